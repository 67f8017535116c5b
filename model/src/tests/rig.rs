//! A few tables by hand, and events in a line or less.

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::vec::Vec;

use crate::event::{Access, Action, Domain, Event, Memory, Tlbi, TlbiOp};
use crate::{Cause, Config, Model, Rule};

/// The tables of the tree that CPU 0 runs as [`ASID`] from the start; each maps from address 0 up.
pub const ROOT: u64 = 0x10_0000;
pub const L1: u64 = 0x10_1000;
pub const L2: u64 = 0x10_2000;
pub const L3: u64 = 0x10_3000;
/// A second last-level table, linked for addresses from 2 MiB up.
pub const L3B: u64 = 0x10_4000;
/// A table without entries.
pub const EMPTY: u64 = 0x10_f000;
pub const ASID: u16 = 5;

pub const TABLE: u64 = 3;
pub const READ_ONLY: u64 = 1 << 7;
pub const CONT: u64 = 1 << 52;
pub const NG: u64 = 1 << 11;
pub const AF: u64 = 1 << 10;
pub const ATTR: u64 = 1 << 2;
/// Valid page, EL0, inner shareable, AF, nG, PXN, UXN.
const PAGE: u64 = 3 | 1 << 6 | 3 << 8 | AF | NG | 3 << 53;

/// A young read-only user page at `pa`.
pub const fn ro(pa: u64) -> u64 {
    PAGE | READ_ONLY | pa
}

/// A young, dirty, writable user page at `pa`.
pub const fn rw(pa: u64) -> u64 {
    PAGE | 1 << 51 | pa
}

/// A young writable kernel page.
pub const fn kernel(pa: u64) -> u64 {
    3 | 3 << 8 | AF | 1 << 54 | pa
}

/// A block of level 2 made of the page `page`.
pub const fn block(page: u64) -> u64 {
    page & !2
}

#[derive(Default)]
pub struct Words(RefCell<BTreeMap<u64, u64>>);

impl Memory for Words {
    fn word(&self, pa: u64) -> u64 {
        self.0.borrow().get(&pa).copied().unwrap_or(0)
    }

    /// Contents in 0x7000_0000 and up are equal.
    fn same_contents(&self, a: u64, b: u64, _: u64) -> bool {
        a >= 0x7000_0000 && b >= 0x7000_0000
    }
}

pub struct Rig {
    pub model: Model,
    pub words: Words,
}

impl Rig {
    pub fn new() -> Rig {
        Rig::with(Config::default())
    }

    /// CPU 0 runs [`ROOT`] as [`ASID`], with L3 and L3B linked and empty.
    pub fn with(config: Config) -> Rig {
        let rig = Rig { model: Model::new(config), words: Words::default() };
        let links = [(ROOT, L1), (L1, L2), (L2, L3), (L2 + 8, L3B)];
        links.iter().for_each(|(at, to)| {
            rig.words.0.borrow_mut().insert(*at, to | TABLE);
        });
        rig.load(0, ROOT, ASID)
    }

    pub fn on(mut self, cpu: u8, action: Action) -> Rig {
        self.model.on(Event::new(cpu, action), &self.words);
        self
    }

    /// Writes without an event, as software does to tables that are not in use.
    pub fn quietly(self, pa: u64, value: u64) -> Rig {
        self.words.0.borrow_mut().insert(pa, value);
        self
    }

    pub fn store_by(self, cpu: u8, pa: u64, new: u64) -> Rig {
        let old = self.words.0.borrow_mut().insert(pa, new).unwrap_or(0);
        self.on(cpu, Action::Store { pa, old, new })
    }

    pub fn store(self, pa: u64, new: u64) -> Rig {
        self.store_by(0, pa, new)
    }

    /// Writes entry `index` of L3.
    pub fn pte(self, index: u64, new: u64) -> Rig {
        self.store(L3 + 8 * index, new)
    }

    /// Writes the 16 entries of the first group of L3, mapping consecutive pages from that of `first`, or
    /// nothing.
    pub fn ptes(self, first: u64) -> Rig {
        (0..16).fold(self, |rig, i| rig.pte(i, if first == 0 { 0 } else { first + (i << 12) }))
    }

    pub fn dsb(self, access: Access, domain: Domain) -> Rig {
        self.on(0, Action::Dsb { access, domain })
    }

    /// DSB ISHST.
    pub fn ishst(self) -> Rig {
        self.dsb(Access::Stores, Domain::Ish)
    }

    /// DSB ISH.
    pub fn ish(self) -> Rig {
        self.dsb(Access::Full, Domain::Ish)
    }

    pub fn tlbi(self, op: TlbiOp, operand: u64) -> Rig {
        self.on(0, Action::Tlbi(Tlbi { op, broadcast: true, operand }))
    }

    /// TLBI VALE1IS of page `index` under [`ASID`].
    pub fn page(self, index: u64) -> Rig {
        self.tlbi(TlbiOp::Vale1, u64::from(ASID) << 48 | index)
    }

    /// The whole sequence for the first group of L3, by range.
    pub fn flush_group(self) -> Rig {
        let rvale1 = u64::from(ASID) << 48 | 1 << 46 | 7 << 39 | 3 << 37;
        self.ishst().tlbi(TlbiOp::Rvale1, rvale1).ish()
    }

    /// The whole sequence for page `index`.
    pub fn flush(self, index: u64) -> Rig {
        self.ishst().page(index).ish()
    }

    /// The whole sequence for all of [`ASID`].
    pub fn flush_asid(self) -> Rig {
        self.ishst().tlbi(TlbiOp::Aside1, u64::from(ASID) << 48).ish()
    }

    /// TTBR0 and ISB.
    pub fn load(self, cpu: u8, root: u64, asid: u16) -> Rig {
        self.on(cpu, Action::WriteTtbr0(root | u64::from(asid) << 48)).on(cpu, Action::Isb)
    }

    pub fn user(self) -> Rig {
        self.on(0, Action::ReturnToUser)
    }

    fn found(&mut self) -> Vec<(Rule, Option<Cause>)> {
        self.model.take_violations().iter().map(|violation| (violation.rule, violation.cause)).collect()
    }

    /// No rule was broken.
    #[track_caller]
    pub fn fine(mut self) -> Rig {
        let found = self.model.take_violations();
        assert!(found.is_empty(), "{}", found[0]);
        self
    }

    /// The first rule that was broken is `rule`.
    #[track_caller]
    pub fn found_first(mut self, rule: Rule) {
        assert_eq!(self.found().first().map(|found| found.0), Some(rule));
    }

    /// Exactly `rule` was broken, once, and not with a stale translation.
    #[track_caller]
    pub fn breaks(mut self, rule: Rule) -> Rig {
        assert_eq!(self.found(), [(rule, None)]);
        self
    }

    /// Exactly `rule` was broken, once, for this cause.
    #[track_caller]
    pub fn breaks_by(mut self, rule: Rule, cause: Cause) -> Rig {
        assert_eq!(self.found(), [(rule, Some(cause))]);
        self
    }
}
