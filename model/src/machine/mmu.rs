//! The machine as `paging` sees it.

use std::sync::atomic::Ordering;

use paging::mmu::{Barrier, Features};
use paging::tlbi::{Scope, Tlbi as PagingTlbi};
use paging::{DescAddr, Event as Counter, Mmu};

use super::Machine;
use crate::desc::{Desc, Kind};
use crate::event::{Access, Action, Domain, Tlbi, TlbiOp};
use crate::geometry::LAST_LEVEL;

impl Machine {
    fn replaced(&self, at: u64, old: u64, new: u64) {
        let cpu = self.cpu();
        if old != new {
            self.state.borrow_mut().liberties.stored(cpu as u8, at, old);
        }
        self.emit(cpu, Action::Store { pa: at, old, new });
    }

    /// A walker on some CPU may note an access just now, before software's next write.
    fn walker_interferes(&self, at: u64) {
        if !self.config.hw_af || !self.chance(8) || !self.watches(at) {
            return;
        }
        let old = Desc(self.ram.atomic(at).load(Ordering::Relaxed));
        if old.kind(LAST_LEVEL, self.config.granule) == Kind::Leaf && old.is_user() {
            let dirty = self.config.hw_dirty && old.dirty_by_hardware() && self.chance(2);
            let new = if dirty { old.with_accessed().with_dirty() } else { old.with_accessed() };
            self.update_by_walker(self.cpu(), at, old, new);
        }
    }

    /// Executes a TLBI, given as raw as to hardware.
    pub fn raw_tlbi(&self, tlbi: Tlbi) {
        assert!(
            self.config.tlbi_range || tlbi.op < TlbiOp::Rvae1 || tlbi.op > TlbiOp::Rvaale1,
            "{tlbi:?} is UNDEFINED"
        );
        let what = crate::operand::decode(&tlbi, self.config.granule);
        let what = if self.config.ttl || tlbi.op >= TlbiOp::Rvae1 {
            what
        } else {
            crate::operand::Decoded { level: None, granule_ok: true, ..what }
        };
        let cpu = self.cpu();
        self.state.borrow_mut().liberties.tlbi(cpu as u8, tlbi.broadcast, what);
        self.emit(cpu, Action::Tlbi(tlbi));
    }

    /// Executes a DSB.
    pub fn dsb(&self, access: Access, domain: Domain) {
        let cpu = self.cpu();
        if access != Access::Loads {
            let local = domain == Domain::Nsh;
            self.state.borrow_mut().liberties.dsb(cpu as u8, access == Access::Full, local);
        }
        self.emit(cpu, Action::Dsb { access, domain });
    }
}

impl Mmu for Machine {
    fn load(&self, at: DescAddr) -> u64 {
        self.ram.atomic(at.get()).load(Ordering::Relaxed)
    }

    fn store(&self, at: DescAddr, value: u64) {
        self.walker_interferes(at.get());
        let old = self.ram.atomic(at.get()).swap(value, Ordering::Relaxed);
        self.replaced(at.get(), old, value);
    }

    fn swap(&self, at: DescAddr, value: u64) -> u64 {
        self.walker_interferes(at.get());
        let old = self.ram.atomic(at.get()).swap(value, Ordering::Relaxed);
        self.replaced(at.get(), old, value);
        old
    }

    fn compare_exchange(&self, at: DescAddr, old: u64, new: u64) -> Result<(), u64> {
        self.walker_interferes(at.get());
        self.ram.atomic(at.get()).compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed)?;
        self.replaced(at.get(), old, new);
        Ok(())
    }

    fn barrier(&self, barrier: Barrier) {
        match barrier {
            Barrier::DsbIshst => self.dsb(Access::Stores, Domain::Ish),
            Barrier::DsbIsh => self.dsb(Access::Full, Domain::Ish),
            Barrier::DsbNsh => self.dsb(Access::Full, Domain::Nsh),
            Barrier::Isb => self.emit(self.cpu(), Action::Isb),
        }
    }

    fn tlbi(&self, tlbi: PagingTlbi) {
        let (op, broadcast, operand) = match tlbi {
            PagingTlbi::Page(operand, scope) => (TlbiOp::Vale1, scope == Scope::Broadcast, operand.raw()),
            PagingTlbi::Range(operand) => (TlbiOp::Rvale1, true, operand.raw()),
            PagingTlbi::GlobalPage(operand) => (TlbiOp::Vaale1, true, operand.raw()),
            PagingTlbi::Asid(operand) => (TlbiOp::Aside1, true, operand.raw()),
            PagingTlbi::All(scope) => (TlbiOp::Vmalle1, scope == Scope::Broadcast, 0),
        };
        self.raw_tlbi(Tlbi { op, broadcast, operand });
    }

    fn features(&self) -> Features {
        Features {
            tlbi_range: self.config.tlbi_range,
            ttl: self.config.ttl,
            hw_af: self.config.hw_af,
            hw_dirty: self.config.hw_dirty,
            bbm_level: self.config.bbm_level,
        }
    }

    fn count(&self, event: Counter, n: u64) {
        let count = &self.counts[event as usize];
        count.set(count.get() + n);
    }
}
