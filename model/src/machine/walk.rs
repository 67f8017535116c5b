//! All translations of one address that a CPU may use at this moment.

use std::sync::atomic::Ordering;
use std::vec::Vec;

use super::liberty::{Liberties, Query};
use super::ram::Ram;
use crate::desc::{Desc, Kind};
use crate::geometry::Granule;

/// What a CPU may make of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Candidate {
    /// A translation.
    Leaf {
        /// The descriptor it stems from.
        desc: Desc,
        level: u8,
        /// Where that is, or was.
        at: u64,
        /// Where the address leads.
        pa: u64,
        /// Whether that is what the descriptor says now.
        current: bool,
    },
    /// No translation, by an invalid descriptor at this level and address.
    Nothing { level: u8, at: u64 },
    /// A table descriptor leads out of memory.
    Wild,
}

/// What a walk needs to know.
#[derive(Clone, Copy)]
pub(super) struct Walker<'a> {
    pub ram: &'a Ram,
    pub liberties: &'a Liberties,
    pub granule: Granule,
    pub va_bits: u32,
    pub cpu: u8,
    pub asid: u16,
    pub root: u64,
}

/// More are not looked for; the newest are among them.
const MAX_CANDIDATES: usize = 32;

impl Walker<'_> {
    /// What may come of `va`: first what the tables say now, then older possibilities.
    pub(super) fn candidates(&self, va: u64) -> Vec<Candidate> {
        let mut found = Vec::new();
        self.walk(self.root, self.granule.start_level(self.va_bits), va, true, &mut found);
        found
    }

    fn walk(&self, table: u64, level: u8, va: u64, current: bool, found: &mut Vec<Candidate>) {
        if found.len() >= MAX_CANDIDATES {
            return;
        }
        let granule = self.granule;
        let index = (va >> granule.shift(level)) as usize & (granule.entries() - 1);
        let at = table + 8 * index as u64;
        if !self.ram.contains(at) {
            return push(found, Candidate::Wild);
        }
        let now = Desc(self.ram.atomic(at).load(Ordering::Relaxed));
        self.entry(now, at, level, va, current, found);
        let size = granule.size(level);
        let start = va & !(size - 1);
        if !self.liberties.is_settled(at) {
            for is_table in [true, false] {
                let query = self.query((start, start + size), level, is_table);
                for version in self.liberties.former(at, &query) {
                    let former = Desc(version.value);
                    let table_too = matches!(former.kind(level, granule), Kind::Table(_));
                    // Values that no walker saw yet replaced show as "nothing"; asked about once.
                    if table_too == is_table {
                        self.entry(former, at, level, va, false, found);
                    }
                }
            }
        }
        self.siblings(table, index, level, va, found);
    }

    fn query(&self, range: (u64, u64), level: u8, is_table: bool) -> Query {
        Query { cpu: self.cpu, asid: self.asid, root: self.root, range, level, is_table }
    }

    fn entry(&self, desc: Desc, at: u64, level: u8, va: u64, current: bool, found: &mut Vec<Candidate>) {
        match desc.kind(level, self.granule) {
            Kind::Invalid => push(found, Candidate::Nothing { level, at }),
            Kind::Table(below) => self.walk(below, level + 1, va, current, found),
            Kind::Leaf => {
                let offset = va & (self.granule.size(level) - 1);
                let pa = desc.output(level, self.granule) | offset;
                push(found, Candidate::Leaf { desc, level, at, pa, current });
            }
        }
    }

    /// A TLB may hold a contiguous block as one entry, taken from any of its members (RSKQHL): each of them,
    /// as it is and as it was, translates the whole block.
    fn siblings(&self, table: u64, index: usize, level: u8, va: u64, found: &mut Vec<Candidate>) {
        let granule = self.granule;
        let nr = granule.contiguous(level);
        if nr == 1 {
            return;
        }
        let size = granule.size(level);
        let block = nr as u64 * size;
        let start = va & !(block - 1);
        let first = index & !(nr - 1);
        let query = self.query((start, start + block), level, false);
        for sibling in first..first + nr {
            let at = table + 8 * sibling as u64;
            let take = |desc: Desc, current: bool, found: &mut Vec<Candidate>| {
                if desc.is_cont() && desc.accessed() && desc.kind(level, granule) == Kind::Leaf {
                    let pa = (desc.output(level, granule) & !(block - 1)) | (va - start);
                    let new = !found.iter().any(|one| same_translation(one, desc, pa));
                    if new {
                        push(found, Candidate::Leaf { desc, level, at, pa, current });
                    }
                }
            };
            take(Desc(self.ram.atomic(at).load(Ordering::Relaxed)), sibling == index, found);
            if !self.liberties.is_settled(at) {
                self.liberties.former(at, &query).for_each(|version| take(Desc(version.value), false, found));
            }
        }
    }
}

/// Whether `one` does for the access what `desc`, leading to `pa`, would.
fn same_translation(one: &Candidate, desc: Desc, pa: u64) -> bool {
    matches!(one, Candidate::Leaf { desc: other, pa: there, .. }
        if *there == pa && other.accessed() && other.same_permissions(desc))
}

fn push(found: &mut Vec<Candidate>, candidate: Candidate) {
    if !found.contains(&candidate) && found.len() < MAX_CANDIDATES {
        found.push(candidate);
    }
}
