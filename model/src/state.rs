//! The checker's state, and which part of it an event concerns.

use alloc::vec::Vec;

use crate::MAX_CPUS;
use crate::config::Config;
use crate::event::{Action, Event, Memory};
use crate::geometry::Granule;
use crate::history::History;
use crate::space::Spaces;
use crate::stale::StaleSet;
use crate::table::Tables;
use crate::violation::Violation;

/// What the model knows of one CPU.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cpu {
    /// Whether it translates.
    pub mmu_on: bool,
    /// The tags of the trees in TTBR0 and TTBR1; `None` before the first write.
    pub current: [Option<u32>; 2],
    /// Trees it left without an ISB since: walks may still use them.
    pub leaving: Vec<u32>,
    /// Flushes of whole trees that it issued and that are not complete.
    pub pending: Vec<Pending>,
    /// Contiguous groups it changed that are not settled: table page and index of the first entry.
    pub unsettled: Vec<(u64, usize)>,
    /// Stale records that must be clean before it returns to EL0.
    pub owed: Vec<crate::stale::Id>,
}

/// The flush of one whole tree, issued.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// The tree.
    pub tag: u32,
    /// The CPUs, one bit each, whose TLBs hold nothing of it once the flush is complete.
    pub clears: u8,
}

/// A checker of event streams; see the crate's documentation.
#[derive(Debug)]
pub struct Model {
    pub(crate) config: Config,
    pub(crate) cpus: [Cpu; MAX_CPUS],
    pub(crate) spaces: Spaces,
    pub(crate) tables: Tables,
    pub(crate) stale: StaleSet,
    pub(crate) history: History,
    pub(crate) violations: Vec<Violation>,
    pub(crate) count: u64,
}

impl Model {
    /// A model of a machine that did nothing yet.
    pub fn new(config: Config) -> Self {
        let cpu = Cpu { mmu_on: true, ..Cpu::default() };
        Model {
            config,
            cpus: core::array::from_fn(|_| cpu.clone()),
            spaces: Spaces::default(),
            tables: Tables::new(config.granule),
            stale: StaleSet::new(config.granule),
            history: History::new(config.history),
            violations: Vec::new(),
            count: 0,
        }
    }

    /// What is taken for granted about the machine; TCR_EL1 writes change it.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether stores to the page at or around `pa` matter: it is a translation table of a tree that some CPU
    /// loaded. Cheap; a host asks this before it makes an event of a store.
    #[inline]
    pub fn watches(&self, pa: u64) -> bool {
        self.tables.contains(pa)
    }

    /// Takes note of `event`; `memory` shows tables that were built unseen. Returns whether no rule was
    /// broken.
    ///
    /// Events of CPUs from `Config::cpus` up are ignored.
    pub fn on<M: Memory + ?Sized>(&mut self, event: Event, memory: &M) -> bool {
        let cpu = event.cpu;
        if cpu >= self.config.cpus.min(MAX_CPUS as u8) {
            return true;
        }
        if let Action::Store { pa, .. } | Action::HwUpdate { pa, .. } = event.action
            && !self.watches(pa)
        {
            return true;
        }
        let before = self.count;
        self.history.push(event);
        match event.action {
            Action::Store { pa, old, new } => self.store(cpu, pa, old, new, memory),
            Action::HwUpdate { pa, new, .. } => self.hw_update(pa, new),
            Action::Dsb { access, domain } => self.dsb(cpu, access, domain),
            Action::Isb => self.synchronised(cpu),
            Action::Tlbi(tlbi) => self.tlbi(cpu, &tlbi),
            Action::WriteTtbr0(value) => self.write_ttbr(cpu, 0, value, memory),
            Action::WriteTtbr1(value) => self.write_ttbr(cpu, 1, value, memory),
            Action::WriteTcr(value) => self.write_tcr(value),
            Action::SetMmu(on) => self.set_mmu(cpu, on),
            Action::ReturnToUser => self.return_to_user(cpu),
            Action::TableFreed { pa } => self.table_freed(pa),
            Action::FramesFreed { pa, bytes } => self.frames_reused(pa, bytes, true),
            Action::FramesReused { pa, bytes } => self.frames_reused(pa, bytes, false),
            Action::TableAllocated { .. } | Action::Translated { .. } => {}
        }
        self.count == before
    }

    /// Violations so far, oldest first; those beyond `Config::max_violations` are only counted.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Takes the violations found since the last call.
    pub fn take_violations(&mut self) -> Vec<Violation> {
        core::mem::take(&mut self.violations)
    }

    /// How many violations there were in all.
    pub fn violation_count(&self) -> u64 {
        self.count
    }

    /// How many events were taken note of.
    pub fn event_count(&self) -> u64 {
        self.history.count()
    }

    /// How many translation tables are known, and how many translations may be stale.
    pub fn size(&self) -> (usize, usize) {
        (self.tables.len(), self.stale.len())
    }

    /// TCR_EL1: T0SZ \[5:0\], TG0 \[15:14\], HA \[39\], HD \[40\]. Both halves are taken to have the size and the
    /// granule of TTBR0's. The granule is that of the first write: none of the tables known since would mean anything
    /// by another.
    fn write_tcr(&mut self, value: u64) {
        if self.tables.len() == 0 {
            self.config.granule = Granule::of_tg0(value);
            self.tables = Tables::new(self.config.granule);
            self.stale = StaleSet::new(self.config.granule);
        }
        self.config.va_bits = 64 - (value & 63).clamp(16, 39) as u32;
        self.config.hw_af = value >> 39 & 1 == 1;
        self.config.hw_dirty = self.config.hw_af && value >> 40 & 1 == 1;
    }
}
