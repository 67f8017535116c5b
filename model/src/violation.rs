//! A broken rule, with all that is needed to understand how it came about.

use alloc::vec::Vec;
use core::fmt;

use crate::event::{Action, Event, TlbiOp};
use crate::operand;
use crate::rule::{Cause, Rule};

/// Where in a tree of tables something is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The first virtual address, in bytes, that the entry translates.
    pub va: u64,
    /// The level of the table, 0 to 3.
    pub level: u8,
    /// The entry's index in its table, 0-based.
    pub index: usize,
    /// The index of the contiguous group in its table, 0-based, and the entry's place in it; `None` where the
    /// level has none.
    pub block: Option<(usize, usize)>,
    /// The ASID of the tree; `None` for the kernel's half.
    pub asid: Option<u16>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "va {:#x}, level {}, index {}", self.va, self.level, self.index)?;
        if let Some((block, member)) = self.block {
            write!(f, " (block {block}, entry {member})")?;
        }
        match self.asid {
            Some(asid) => write!(f, ", asid {asid}"),
            None => f.write_str(", kernel"),
        }
    }
}

/// One event that led to a violation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Which event of the run it was, 0-based.
    pub number: u64,
    /// The event, with its tag.
    pub event: Event,
    /// For a store to a descriptor, where that is.
    pub place: Option<Place>,
}

/// A broken rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which one.
    pub rule: Rule,
    /// Where an older translation is in play, why it still is.
    pub cause: Option<Cause>,
    /// The entry in question.
    pub place: Option<Place>,
    /// The descriptor of the older translation, or the entry's former value; 0 where there is none.
    pub old: u64,
    /// The descriptor that was written; 0 where none was.
    pub new: u64,
    /// The change that the older translation stems from, if it is older than `steps`.
    pub origin: Option<Step>,
    /// The events that touch the matter, oldest first; the last one is the one that broke the rule.
    pub steps: Vec<Step>,
}

impl Violation {
    /// The event that broke the rule.
    pub fn event(&self) -> Option<Event> {
        self.steps.last().map(|step| step.event)
    }

    /// The tag of that event.
    pub fn tag(&self) -> u64 {
        self.event().map_or(0, |event| event.tag)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "violation: {}", self.rule.meaning())?;
        writeln!(f, "  rule:  {:?} ({})", self.rule, self.rule.citation())?;
        if let Some(cause) = self.cause {
            writeln!(f, "  cause: {} ({})", cause.meaning(), cause.citation())?;
        }
        if let Some(place) = self.place {
            writeln!(f, "  where: {place}")?;
        }
        if self.old != 0 || self.new != 0 {
            writeln!(f, "  old {:#018x}, new {:#018x}", self.old, self.new)?;
        }
        writeln!(f, "  events:")?;
        if let Some(origin) = self.origin.filter(|origin| !self.steps.contains(origin)) {
            writeln!(f, "    {origin}")?;
            writeln!(f, "    ...")?;
        }
        self.steps.iter().try_for_each(|step| writeln!(f, "    {step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} cpu {}: {}", self.number, self.event.cpu, self.event.action)?;
        if let Some(place) = self.place {
            write!(f, " [{place}]")?;
        }
        if self.event.tag != 0 {
            write!(f, " at {:#x}", self.event.tag)?;
        }
        Ok(())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Action::Store { pa, old, new } => write!(f, "store {pa:#x}: {old:#x} -> {new:#x}"),
            Action::HwUpdate { pa, old, new } => write!(f, "walker updates {pa:#x}: {old:#x} -> {new:#x}"),
            Action::Dsb { access, domain } => write!(f, "DSB {domain:?} ({access:?})"),
            Action::Isb => f.write_str("ISB"),
            Action::Tlbi(tlbi) => {
                let suffix = if tlbi.broadcast { "IS" } else { "" };
                write!(f, "TLBI {:?}{suffix}", tlbi.op)?;
                if tlbi.op != TlbiOp::Vmalle1 {
                    write!(f, " {:#x}", tlbi.operand)?;
                }
                write!(f, " [{}]", operand::decode(&tlbi, operand::named_granule(&tlbi)))
            }
            Action::WriteTtbr0(value) => write!(f, "TTBR0 = {value:#x}"),
            Action::WriteTtbr1(value) => write!(f, "TTBR1 = {value:#x}"),
            Action::WriteTcr(value) => write!(f, "TCR = {value:#x}"),
            Action::SetMmu(on) => write!(f, "MMU {}", if on { "on" } else { "off" }),
            Action::ReturnToUser => f.write_str("return to EL0"),
            Action::TableAllocated { pa } => write!(f, "table {pa:#x} allocated"),
            Action::TableFreed { pa } => write!(f, "table {pa:#x} freed"),
            Action::FramesFreed { pa, bytes } => write!(f, "frames {pa:#x} + {bytes:#x} freed"),
            Action::FramesReused { pa, bytes } => write!(f, "frames {pa:#x} + {bytes:#x} reused"),
            Action::Translated { va, pa: Some(pa), write } => {
                write!(f, "{} {va:#x} -> {pa:#x}", if write { "write" } else { "read" })
            }
            Action::Translated { va, pa: None, write } => {
                write!(f, "{} {va:#x} faults", if write { "write" } else { "read" })
            }
        }
    }
}
