//! Barriers, TLBIs and what they complete.

use alloc::vec::Vec;

use crate::bbm;
use crate::event::{Access, Domain, Tlbi};
use crate::operand::{self, Decoded};
use crate::rule::Rule;
use crate::space::{GLOBAL, KERNEL};
use crate::stale::{How, Record};
use crate::state::{Model, Pending};

impl Model {
    /// All CPUs, one bit each, that an operation of `cpu` reaches.
    fn reach(cpu: u8, broadcast: bool) -> u8 {
        if broadcast { u8::MAX } else { 1 << cpu }
    }

    pub(crate) fn dsb(&mut self, cpu: u8, access: Access, domain: Domain) {
        if access == Access::Loads {
            return;
        }
        let cpus = Self::reach(cpu, domain != Domain::Nsh);
        self.stale.publish(cpu, cpus);
        // Only a DSB for loads and stores waits for TLBIs (Arm ARM, B2.3.12).
        if access == Access::Full {
            self.complete(cpu, cpus);
        }
    }

    /// The TLBIs that `cpu` issued are complete on `cpus`.
    fn complete(&mut self, cpu: u8, cpus: u8) {
        let mut pending = core::mem::take(&mut self.cpus[cpu as usize].pending);
        for flush in &mut pending {
            if let Some(space) = self.spaces.get_mut(flush.tag) {
                space.ran &= !(flush.clears & cpus);
            }
            flush.clears &= !cpus;
        }
        let done: Vec<u32> = pending.iter().map(|flush| flush.tag).collect();
        pending.retain(|flush| flush.clears != 0);
        self.cpus[cpu as usize].pending = pending;
        let clean = self.stale.complete(cpu, cpus);
        let mut last = None;
        for record in &clean {
            self.cleaned(record, &mut last);
        }
        for tag in done {
            self.forget_if_unused(tag);
        }
    }

    /// `record` is clean: its group is settled, its table unreachable. `last` is the group looked at before.
    fn cleaned(&mut self, record: &Record, last: &mut Option<(u64, usize)>) {
        let at = &record.at;
        let nr = self.config.granule.contiguous(at.level);
        if record.how == How::Unlinked {
            let child = match record.old.kind(at.level, self.config.granule) {
                crate::desc::Kind::Table(child) => child,
                _ => return,
            };
            // Tables below have records of their own, each for its range of addresses.
            if self.tables.get(child).is_some_and(|table| table.frozen) {
                self.tables.remove(child);
            }
        } else if record.old.is_cont() || self.is_contiguous(record) {
            let group = (at.page, at.index & !(nr - 1));
            if *last != Some(group) {
                *last = Some(group);
                self.check_settled(group.0, group.1);
            }
        }
    }

    fn is_contiguous(&self, record: &Record) -> bool {
        self.tables.get(record.at.page).is_some_and(|table| table.desc(record.at.index).is_cont())
    }

    pub(crate) fn tlbi(&mut self, cpu: u8, tlbi: &Tlbi) {
        let what = operand::decode(tlbi, self.config.granule);
        let scope = Self::reach(cpu, tlbi.broadcast);
        match what.range {
            None => self.flush_trees(cpu, scope, &what),
            Some((start, _)) => {
                if self.stale.is_empty() {
                    return;
                }
                let hints = self.config.ttl || tlbi.op >= crate::event::TlbiOp::Rvae1;
                if start >> 63 == 1 {
                    return self.stale.cover(cpu, scope, KERNEL, &what, hints);
                }
                let by_asid = |asid: u16| what.asid.is_none_or(|named| named == asid);
                for space in self.spaces.iter().filter(|space| space.half == 0 && by_asid(space.asid)) {
                    self.stale.cover(cpu, scope, space.tag, &what, hints);
                }
                self.stale.cover(cpu, scope, GLOBAL, &what, hints);
            }
        }
    }

    /// A TLBI without address: of one ASID, which spares global entries, or of everything.
    fn flush_trees(&mut self, cpu: u8, scope: u8, what: &Decoded) {
        let hit = |half: u8, asid: u16| what.asid.is_none_or(|named| half == 0 && named == asid);
        for space in self.spaces.iter().filter(|space| hit(space.half, space.asid)) {
            let clears = scope & !space.loaded & space.ran;
            self.cpus[cpu as usize].pending.push(Pending { tag: space.tag, clears });
            self.stale.cover(cpu, scope, space.tag, what, false);
        }
        if what.asid.is_none() {
            self.stale.cover(cpu, scope, GLOBAL, what, false);
            self.stale.cover(cpu, scope, KERNEL, what, false);
        }
    }

    /// Whether the tables say again what the record's translation says: it was taken away and made anew, or, at BBM
    /// level 2, its contiguous bit changed. It may have to go later, when the tables say something else.
    fn stands_again(&self, record: &Record) -> bool {
        let table = self.tables.get(record.at.page).filter(|table| !table.frozen);
        record.how != How::Unlinked
            && table.is_some_and(|table| {
                bbm::harmless(record.old, table.desc(record.at.index), record.at.level, &self.config)
            })
    }

    /// `cpu` returns to EL0: what it took away from the process it runs must be gone from its own and all
    /// other TLBs.
    pub(crate) fn return_to_user(&mut self, cpu: u8) {
        self.synchronised(cpu);
        let active = self.cpus[cpu as usize].current[0];
        let mut owed = core::mem::take(&mut self.cpus[cpu as usize].owed);
        let mut said = false;
        owed.retain(|id| {
            let Some(record) = self.stale.get(*id).copied() else { return false };
            if Some(record.at.tag) != active || self.stands_again(&record) {
                return true;
            }
            if !said {
                self.report_stale(Rule::StaleAtReturn, None, 0, record);
            }
            said = true;
            false
        });
        self.cpus[cpu as usize].owed = owed;
        let unsettled = core::mem::take(&mut self.cpus[cpu as usize].unsettled);
        for (page, first) in unsettled {
            self.check_settled(page, first);
        }
    }
}
