//! The simulated machine: several CPUs, memory, and TLBs that take every liberty the architecture leaves.
//!
//! It implements [`paging::Mmu`], and offers what a kernel's memory management asks of a machine besides
//! (memory, the number of the CPU, loading a user table), so that `paging` and `kernel::mm` run over it
//! unchanged. EL0 accesses ([`Machine::load_user`], [`Machine::store_user`]) are translated by what the
//! [`Adversary`] chooses among all that is permitted: tables as they are, tables as they were as long as no
//! complete TLBI ended it, contiguous blocks as one entry or as single ones. Hardware access flag and dirty
//! state land in one member of a block. Everything is an event for the checking [`Model`] too.
//!
//! A machine belongs to one thread; which of its CPUs acts is said by [`Machine::run_on`].

mod access;
mod choice;
mod liberty;
mod mmu;
mod ram;
mod walk;

use core::cell::{Cell, RefCell};
use std::vec::Vec;

use paging::{Asid, Event as Counter, PhysAddr};

pub use access::{Attempt, Fault};
pub use choice::{Adversary, Script};

use crate::MAX_CPUS;
use crate::config::Config;
use crate::event::{Access, Action, Domain, Event, Tlbi, TlbiOp};
use crate::geometry::Granule;
use crate::state::Model;
use crate::violation::Violation;
use liberty::Liberties;
use ram::Ram;
use walk::{Candidate, Walker};

/// What a machine is like.
#[derive(Clone, Debug)]
pub struct MachineConfig {
    /// How many CPUs, at most [`MAX_CPUS`].
    pub cpus: usize,
    /// The first address of its memory, a multiple of 2 MiB.
    pub ram_base: u64,
    /// Bytes of its memory.
    pub ram_bytes: usize,
    /// The granule it translates with: by default the one that `paging` was compiled for, and builds tables for.
    pub granule: Granule,
    /// Bits of a user address.
    pub va_bits: u32,
    /// FEAT_TLBIRANGE.
    pub tlbi_range: bool,
    /// FEAT_TTL.
    pub ttl: bool,
    /// Hardware sets the access flag.
    pub hw_af: bool,
    /// Hardware manages dirty state; only together with `hw_af`.
    pub hw_dirty: bool,
    /// FEAT_BBM level.
    pub bbm_level: u8,
    /// Who chooses.
    pub adversary: Adversary,
    /// Panic at the first violation, with its history; else they are collected.
    pub panic_on_violation: bool,
    /// Note each EL0 access in the history.
    pub log_accesses: bool,
}

impl Default for MachineConfig {
    fn default() -> Self {
        MachineConfig {
            cpus: 2,
            ram_base: 0x4000_0000,
            ram_bytes: 16 << 20,
            granule: match paging::granule::GRANULE {
                paging::granule::Granule::K4 => Granule::K4,
                paging::granule::Granule::K16 => Granule::K16,
                paging::granule::Granule::K64 => Granule::K64,
            },
            va_bits: paging::granule::VA_BITS,
            tlbi_range: true,
            ttl: true,
            hw_af: false,
            hw_dirty: false,
            bbm_level: 0,
            adversary: Adversary::Oldest,
            panic_on_violation: true,
            log_accesses: true,
        }
    }
}

/// The simulated machine.
pub struct Machine {
    config: MachineConfig,
    ram: Ram,
    cpu: Cell<usize>,
    /// By CPU: the user table it has loaded.
    loaded: [Cell<Option<(u64, u16)>>; MAX_CPUS],
    /// By CPU: whether it did something at EL1 since its last access at EL0.
    in_kernel: [Cell<bool>; MAX_CPUS],
    counts: [Cell<u64>; Counter::COUNT],
    state: RefCell<State>,
}

struct State {
    model: Model,
    liberties: Liberties,
    adversary: Adversary,
}

impl Machine {
    /// A machine whose memory is zero, with no user table loaded anywhere. CPU 0 acts first.
    pub fn new(config: MachineConfig) -> Self {
        assert!(config.cpus >= 1 && config.cpus <= MAX_CPUS);
        let model = Model::new(Config {
            granule: config.granule,
            va_bits: config.va_bits,
            bbm_level: config.bbm_level,
            ttl: config.ttl,
            hw_af: config.hw_af,
            hw_dirty: config.hw_dirty,
            cpus: config.cpus as u8,
            ..Config::default()
        });
        let state = State { model, liberties: Liberties::default(), adversary: config.adversary.clone() };
        Machine {
            ram: Ram::new(config.ram_base, config.ram_bytes),
            cpu: Cell::new(0),
            loaded: Default::default(),
            in_kernel: [const { Cell::new(true) }; MAX_CPUS],
            counts: [const { Cell::new(0) }; Counter::COUNT],
            state: RefCell::new(state),
            config,
        }
    }

    /// What it is like.
    pub fn config(&self) -> &MachineConfig {
        &self.config
    }

    /// What follows is done by CPU `cpu`.
    pub fn run_on(&self, cpu: usize) {
        assert!(cpu < self.config.cpus);
        self.cpu.set(cpu);
    }

    /// The CPU that acts, 0-based.
    pub fn cpu(&self) -> usize {
        self.cpu.get()
    }

    /// How often `event` was counted.
    pub fn counted(&self, event: Counter) -> u64 {
        self.counts[event as usize].get()
    }

    /// Takes the violations found since the last call.
    pub fn take_violations(&self) -> Vec<Violation> {
        self.state.borrow_mut().model.take_violations()
    }

    /// Calls `f` with the checker.
    pub fn with_model<R>(&self, f: impl FnOnce(&Model) -> R) -> R {
        f(&self.state.borrow().model)
    }

    /// Exchanges who chooses from here on; returns who did, for a [`Script`] to be advanced.
    pub fn set_adversary(&self, adversary: Adversary) -> Adversary {
        core::mem::replace(&mut self.state.borrow_mut().adversary, adversary)
    }

    /// An event of `cpu` happened, for the checker; a host that has more to say (frames freed) says it here.
    pub fn emit(&self, cpu: usize, action: Action) {
        let mut state = self.state.borrow_mut();
        let fine = state.model.on(Event::new(cpu as u8, action), &self.ram);
        if !matches!(action, Action::HwUpdate { .. } | Action::Translated { .. } | Action::ReturnToUser) {
            self.in_kernel[cpu].set(true);
        }
        if !fine && self.config.panic_on_violation {
            let violations = state.model.take_violations();
            drop(state);
            violations.iter().for_each(|violation| std::eprintln!("{violation}"));
            panic!(
                "{} rule(s) of the architecture broken: {}",
                violations.len(),
                violations[0].rule.meaning()
            );
        }
    }

    /// The first address of its memory.
    pub fn ram_base(&self) -> PhysAddr {
        PhysAddr::new(self.ram.base())
    }

    /// Where the host reaches the byte at `pa`. Table pages in use may be read there, never written.
    pub fn ptr(&self, pa: PhysAddr) -> *mut u8 {
        self.ram.ptr(pa.get())
    }

    /// The address that [`Machine::ptr`] gave `ptr` for.
    pub fn pa(&self, ptr: *mut u8) -> PhysAddr {
        PhysAddr::new(self.ram.pa(ptr))
    }

    /// Zeroes `bytes` bytes from the page-aligned `pa`.
    pub fn zero(&self, pa: PhysAddr, bytes: usize) {
        self.reused(pa, bytes);
        self.ram.zero(pa.get(), bytes);
    }

    /// Copies `bytes` bytes between page-aligned ranges.
    pub fn copy(&self, to: PhysAddr, from: PhysAddr, bytes: usize) {
        self.reused(to, bytes);
        self.ram.copy(to.get(), from.get(), bytes);
    }

    fn reused(&self, pa: PhysAddr, bytes: usize) {
        self.emit(self.cpu(), Action::FramesReused { pa: pa.get(), bytes: bytes as u64 });
        self.state.borrow_mut().liberties.forget_page(pa.get(), bytes as u64);
    }

    /// Makes data visible to instruction fetches; there is no instruction cache here.
    pub fn sync_icache(&self, _: PhysAddr, _: usize) {}

    /// Lets this CPU translate user addresses through the table at `root`, its TLB entries tagged `asid`.
    pub fn set_user_table(&self, root: PhysAddr, asid: Asid) {
        let cpu = self.cpu();
        let left = self.loaded[cpu].replace(Some((root.get(), asid.get())));
        let left = left.map(|(_, asid)| asid);
        self.state.borrow_mut().liberties.loaded(cpu as u8, root.get(), asid.get(), left);
        self.emit(cpu, Action::WriteTtbr0(root.get() | u64::from(asid.get()) << 48));
        self.emit(cpu, Action::Isb);
    }

    /// Invalidates this CPU's whole TLB and waits.
    pub fn flush_local(&self) {
        self.dsb(Access::Stores, Domain::Nsh);
        self.raw_tlbi(Tlbi { op: TlbiOp::Vmalle1, broadcast: false, operand: 0 });
        self.dsb(Access::Full, Domain::Nsh);
        self.emit(self.cpu(), Action::Isb);
    }

    /// Every translation that EL0 on CPU `cpu` may use for `va` now: the physical address and, if it is the
    /// same address space's, whether the tables say so at present.
    ///
    /// # Errors
    /// `Translation` when no table is loaded.
    fn candidates(&self, cpu: usize, va: u64) -> Result<Vec<Candidate>, Fault> {
        let Some((root, asid)) = self.loaded[cpu].get() else { return Err(Fault::Translation(0)) };
        let state = self.state.borrow();
        let walker = Walker {
            ram: &self.ram,
            liberties: &state.liberties,
            granule: self.config.granule,
            va_bits: self.config.va_bits,
            cpu: cpu as u8,
            asid,
            root,
        };
        Ok(walker.candidates(va))
    }

    fn choose(&self, n: usize) -> usize {
        if n <= 1 { 0 } else { self.state.borrow_mut().adversary.choose(n) }
    }

    fn chance(&self, one_in: u64) -> bool {
        self.state.borrow_mut().adversary.chance(one_in)
    }

    fn in_kernel(&self, cpu: usize) -> bool {
        self.in_kernel[cpu].get()
    }

    fn set_in_kernel(&self, cpu: usize, in_kernel: bool) {
        self.in_kernel[cpu].set(in_kernel);
    }

    fn watches(&self, pa: u64) -> bool {
        self.state.borrow().model.watches(pa)
    }
}
