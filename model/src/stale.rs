//! Translations that were taken away or changed and may still be in some TLB.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::MAX_CPUS;
use crate::desc::Desc;
use crate::event::Event;
use crate::geometry::Granule;
use crate::operand::Decoded;
use crate::rule::Cause;
use crate::table::At;

/// How an entry changed, mildest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum How {
    /// It permits what it did; a cached copy may lack something.
    Extended,
    /// A cached copy permits more.
    Reduced,
    /// It leads elsewhere, or its attributes changed.
    Replaced,
    /// It is invalid.
    Removed,
    /// It pointed to a table and no longer does.
    Unlinked,
}

/// A translation that may be stale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Whose TLB entries it is about: a tree's, all trees' or the kernel's.
    pub tag: u32,
    /// The entry; its `tag` is the tree's.
    pub at: At,
    /// What it said.
    pub old: Desc,
    pub how: How,
    /// The CPU that changed it.
    pub changer: u8,
    /// CPUs, one bit each, that may hold it.
    pub holders: u8,
    /// CPUs, one bit each, whose walkers no longer see the old value.
    pub published: u8,
    /// By issuing CPU: the CPUs whose copy its next DSB ends.
    pub covered: [u8; MAX_CPUS],
    /// A local TLBI of it was completed.
    pub local: bool,
    /// Why a TLBI that came did not count.
    pub near_miss: Option<Cause>,
    /// The change, and its number.
    pub origin: (u64, Event),
}

impl Record {
    /// Why it is not clean.
    pub(crate) fn cause(&self) -> Cause {
        if self.covered.iter().any(|cpus| *cpus != 0) {
            Cause::NotComplete
        } else if self.local {
            Cause::LocalOnly
        } else if let Some(cause) = self.near_miss {
            cause
        } else if self.published == 0 {
            Cause::NoBarrier
        } else {
            Cause::NoTlbi
        }
    }
}

/// Names a record; it does not name another one after the record is gone.
pub(crate) type Id = (u32, u64);

/// All stale records.
#[derive(Clone, Debug)]
pub(crate) struct StaleSet {
    granule: Granule,
    slots: Vec<Option<Record>>,
    free: Vec<u32>,
    /// By level: tag, address, slot.
    index: [BTreeSet<(u32, u64, u32)>; 4],
    /// By changer: records whose change is not published to all.
    unpublished: [Vec<Id>; MAX_CPUS],
    /// By issuer of a TLBI: records it covered.
    covered: [Vec<Id>; MAX_CPUS],
}

impl StaleSet {
    pub(crate) fn new(granule: Granule) -> Self {
        StaleSet {
            granule,
            slots: Vec::new(),
            free: Vec::new(),
            index: Default::default(),
            unpublished: Default::default(),
            covered: Default::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn get(&self, id: Id) -> Option<&Record> {
        self.slots.get(id.0 as usize)?.as_ref().filter(|record| record.origin.0 == id.1)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.slots.iter().flatten()
    }

    /// Adds a record. One that says the same, of the same change or an older one, begins anew instead.
    pub(crate) fn insert(&mut self, record: Record) -> Id {
        let level = record.at.level as usize;
        let key = (record.tag, record.at.va);
        let same =
            self.index[level].range((key.0, key.1, 0)..=(key.0, key.1, u32::MAX)).find(|(_, _, slot)| {
                let other = self.slots[*slot as usize].as_ref();
                other.is_some_and(|other| other.old.cached() == record.old.cached())
            });
        let (slot, record) = match same.copied() {
            Some((_, _, slot)) => {
                let other = self.slots[slot as usize].as_ref();
                let (how, holders) = other.map_or((record.how, 0), |other| (other.how, other.holders));
                (slot, Record { how: how.max(record.how), holders: holders | record.holders, ..record })
            }
            None => match self.free.pop() {
                Some(slot) => (slot, record),
                None => {
                    self.slots.push(None);
                    (self.slots.len() as u32 - 1, record)
                }
            },
        };
        self.index[level].insert((key.0, key.1, slot));
        let id = (slot, record.origin.0);
        self.unpublished[record.changer as usize].push(id);
        self.slots[slot as usize] = Some(record);
        id
    }

    fn remove(&mut self, slot: u32) -> Option<Record> {
        let record = self.slots[slot as usize].take()?;
        self.index[record.at.level as usize].remove(&(record.tag, record.at.va, slot));
        self.free.push(slot);
        Some(record)
    }

    /// Removes all records of a tree, those kept under other tags included.
    pub(crate) fn remove_tree(&mut self, tag: u32) {
        for slot in 0..self.slots.len() {
            if self.slots[slot].as_ref().is_some_and(|record| record.at.tag == tag && record.tag == tag) {
                self.remove(slot as u32);
            }
        }
    }

    /// Calls `f` with the slot of each record of `tag` and `level` that translates part of `range` (all if
    /// `None`).
    fn slots_in(&self, tag: u32, level: u8, range: Option<(u64, u64)>, mut f: impl FnMut(u32)) {
        let (start, end) = match range {
            Some((start, end)) => (start & !(self.granule.size(level) - 1), end.wrapping_sub(1)),
            None => (0, u64::MAX),
        };
        if start <= end {
            self.index[level as usize].range((tag, start, 0)..=(tag, end, u32::MAX)).for_each(|key| f(key.2));
        }
    }

    /// The records of `tag` at `level` that translate part of `range`.
    pub(crate) fn overlapping(&self, tag: u32, level: u8, range: (u64, u64)) -> Vec<Record> {
        let mut found = Vec::new();
        if !self.index[level as usize].is_empty() {
            self.slots_in(tag, level, Some(range), |slot| found.extend(self.slots[slot as usize]));
        }
        found
    }

    /// A DSB by `cpu` makes its stores visible to the walkers of `cpus`, one bit each.
    pub(crate) fn publish(&mut self, cpu: u8, cpus: u8) {
        let mut waiting = core::mem::take(&mut self.unpublished[cpu as usize]);
        waiting.retain(|id| {
            let slot = self.slots[id.0 as usize].as_mut().filter(|record| record.origin.0 == id.1);
            let Some(record) = slot else { return false };
            record.published |= cpus;
            record.published != u8::MAX
        });
        self.unpublished[cpu as usize] = waiting;
    }

    /// `cpu` issued a TLBI that says `what`, of the entries tagged `tag`, towards `scope`. `hints` tells
    /// whether level hints of operations by address count.
    pub(crate) fn cover(&mut self, cpu: u8, scope: u8, tag: u32, what: &Decoded, hints: bool) {
        let mut slots = Vec::new();
        for level in 0..4 {
            if !self.index[level as usize].is_empty() {
                self.slots_in(tag, level, what.range, |slot| slots.push(slot));
            }
        }
        for slot in slots {
            let Some(record) = self.slots[slot as usize].as_mut() else { continue };
            let unlinked = record.how == How::Unlinked;
            let effective = scope & record.published & record.holders;
            if !what.granule_ok {
                record.near_miss = Some(Cause::WrongGranule);
            } else if unlinked && what.leaf_only {
                record.near_miss = Some(Cause::LeafOnly);
            } else if !unlinked && hints && what.level.is_some_and(|level| level != record.at.level) {
                record.near_miss = Some(Cause::WrongLevel);
            } else if effective == 0 {
                if record.published == 0 {
                    record.near_miss = Some(Cause::TlbiTooEarly);
                }
            } else {
                if record.covered[cpu as usize] == 0 {
                    self.covered[cpu as usize].push((slot, record.origin.0));
                }
                record.covered[cpu as usize] |= effective;
                record.local |= scope.count_ones() == 1;
            }
        }
    }

    /// A DSB by `cpu` completes its TLBIs on `cpus`; returns the records that are clean now.
    pub(crate) fn complete(&mut self, cpu: u8, cpus: u8) -> Vec<Record> {
        let mut clean = Vec::new();
        if self.covered[cpu as usize].is_empty() {
            return clean;
        }
        let mut waiting = core::mem::take(&mut self.covered[cpu as usize]);
        waiting.retain(|id| {
            let slot = self.slots[id.0 as usize].as_mut().filter(|record| record.origin.0 == id.1);
            let Some(record) = slot else { return false };
            let mine = &mut record.covered[cpu as usize];
            record.holders &= !(*mine & cpus);
            *mine &= !cpus;
            let more = *mine != 0;
            if record.holders == 0 {
                clean.extend(self.remove(id.0));
                return false;
            }
            more
        });
        self.covered[cpu as usize] = waiting;
        clean
    }

    /// The table that the entry at `va` of `level` pointed to, as `old` said, is linked there again.
    pub(crate) fn relinked(&mut self, tag: u32, va: u64, level: u8, old: Desc) {
        let mut found = None;
        self.slots_in(tag, level, Some((va, va + 1)), |slot| {
            let record = self.slots[slot as usize].as_ref();
            if record.is_some_and(|record| record.how == How::Unlinked && record.old == old) {
                found = Some(slot);
            }
        });
        if let Some(slot) = found {
            self.remove(slot);
        }
    }
}
