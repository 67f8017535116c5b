//! What walkers and TLBs may still use, found from time alone.
//!
//! Every descriptor keeps its former values, each with the time since when walkers no longer see it: that of
//! the DSB behind the store that replaced it. Every CPU keeps the invalidations that are complete on it, each
//! with the time it was issued, and the times it had each ASID loaded. A former value may still be used by a
//! CPU if no invalidation that matches was issued behind the value's end, and the CPU had the tree loaded at
//! a time when the value stood.
//!
//! Nothing of the checker's bookkeeping is used here, so that each can show a mistake of the other. Where
//! memory is saved (old values, old invalidations forgotten), the machine becomes kinder, never stricter.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::vec::Vec;

use crate::MAX_CPUS;
use crate::operand::Decoded;

/// Former values kept of one descriptor.
const MAX_VERSIONS: usize = 6;
/// Invalidations by address kept for one CPU.
const MAX_INVALIDATIONS: usize = 256;
/// Times that a CPU had one ASID loaded.
const MAX_INTERVALS: usize = 8;
/// Descriptors with former values, above which those that all walkers know to be former are forgotten.
const MAX_DESCRIPTORS: usize = 1 << 16;
/// Bytes of the smallest page: tables are forgotten by that much at once.
const CHUNK: u64 = 4096;

/// A value that a descriptor had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    pub value: u64,
    /// When it was written, or later.
    since: u64,
    /// From when on walkers no longer see it; `None` while they may.
    until: Option<u64>,
    /// The CPU that replaced it.
    writer: u8,
    /// CPUs, one bit each, whose own walkers no longer see it though others may: they executed a DSB after
    /// the store.
    seen_by: u8,
    /// Since when, for the first of them.
    seen_at: u64,
}

/// A TLBI and when it was issued.
#[derive(Clone, Copy, Debug)]
struct Invalidation {
    issued: u64,
    what: Decoded,
}

/// One descriptor's past.
#[derive(Clone, Debug, Default)]
struct Past {
    /// When it was last written.
    written: u64,
    /// Its former values, oldest first.
    versions: Vec<Version>,
}

#[derive(Clone, Debug, Default)]
struct CpuState {
    /// Loaded times by ASID: root, from, to (`u64::MAX` while it is loaded).
    loaded: HashMap<u16, Vec<(u64, u64, u64)>>,
    /// Complete invalidations by address, oldest first.
    invalidations: Vec<Invalidation>,
    /// By ASID: when the latest complete invalidation of all of it was issued.
    floors: HashMap<u16, u64>,
    /// The same for everything, and for what `invalidations` forgot.
    floor: u64,
    /// Issued by this CPU and not complete: towards which CPU.
    issued: Vec<(u8, Invalidation)>,
    /// Descriptors this CPU wrote since its last DSB.
    written: Vec<u64>,
}

/// The whole machine's.
#[derive(Debug, Default)]
pub(super) struct Liberties {
    time: u64,
    past: HashMap<u64, Past, BuildHasherDefault<WordHasher>>,
    /// Which stretches of [`CHUNK`] bytes have descriptors in `past`, by number.
    chunks: HashSet<u64, BuildHasherDefault<WordHasher>>,
    /// Nothing is known of times before, for descriptors that `past` does not have.
    forgotten: u64,
    cpus: [CpuState; MAX_CPUS],
}

/// Which translation is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    pub cpu: u8,
    pub asid: u16,
    pub root: u64,
    /// Addresses that the entry translates, from the first to before the second.
    pub range: (u64, u64),
    pub level: u8,
    pub is_table: bool,
}

impl Liberties {
    fn tick(&mut self) -> u64 {
        self.time += 1;
        self.time
    }

    /// `cpu` replaced `old` at `pa`.
    pub(super) fn stored(&mut self, cpu: u8, pa: u64, old: u64) {
        let now = self.tick();
        if self.past.len() > MAX_DESCRIPTORS {
            self.past.retain(|_, past| past.versions.iter().any(|version| version.until.is_none()));
            self.forgotten = now;
        }
        self.chunks.insert(pa / CHUNK);
        let forgotten = self.forgotten;
        let past = self.past.entry(pa).or_insert_with(|| Past { written: forgotten, versions: Vec::new() });
        if past.versions.len() == MAX_VERSIONS {
            past.versions.remove(0);
        }
        past.versions.push(Version {
            value: old,
            since: past.written,
            until: None,
            writer: cpu,
            seen_by: 0,
            seen_at: now,
        });
        past.written = now;
        self.cpus[cpu as usize].written.push(pa);
    }

    /// The page at `pa` has new contents; what its words were as descriptors is left to those who walk there.
    pub(super) fn forget_page(&mut self, pa: u64, bytes: u64) {
        for chunk in (pa / CHUNK..(pa + bytes).div_ceil(CHUNK)).filter(|chunk| self.chunks.remove(chunk)) {
            (chunk * CHUNK..(chunk + 1) * CHUNK).step_by(8).for_each(|at| {
                self.past.remove(&at);
            });
        }
        self.forgotten = self.time;
    }

    /// `cpu` executed a DSB: its stores are visible; if it waits for loads as well, its TLBIs are complete,
    /// everywhere or (`local`) on itself.
    pub(super) fn dsb(&mut self, cpu: u8, completes: bool, local: bool) {
        let now = self.tick();
        for pa in std::mem::take(&mut self.cpus[cpu as usize].written) {
            let versions = self.past.get_mut(&pa).into_iter().flat_map(|past| &mut past.versions);
            for version in versions.filter(|version| version.writer == cpu && version.until.is_none()) {
                version.until = Some(now);
            }
        }
        self.observe(cpu, now);
        if !completes {
            return;
        }
        let mut issued = std::mem::take(&mut self.cpus[cpu as usize].issued);
        issued.retain(|(target, invalidation)| {
            let done = !local || *target == cpu;
            if done {
                self.cpus[*target as usize].invalidate(*invalidation);
            }
            !done
        });
        self.cpus[cpu as usize].issued = issued;
    }

    /// What other CPUs stored is seen by `cpu`, which took a lock from them; after its own DSB its walkers
    /// see it too.
    fn observe(&mut self, cpu: u8, now: u64) {
        for other in (0..MAX_CPUS).filter(|other| *other != cpu as usize) {
            for pa in &self.cpus[other].written {
                let versions = self.past.get_mut(pa).into_iter().flat_map(|past| &mut past.versions);
                for version in versions.filter(|version| version.until.is_none()) {
                    if version.seen_by == 0 {
                        version.seen_at = now;
                    }
                    version.seen_by |= 1 << cpu;
                }
            }
        }
    }

    /// `cpu` issued a TLBI towards itself or (`broadcast`) all CPUs.
    pub(super) fn tlbi(&mut self, cpu: u8, broadcast: bool, what: Decoded) {
        let invalidation = Invalidation { issued: self.tick(), what };
        if !what.granule_ok {
            return;
        }
        let targets = if broadcast { 0..MAX_CPUS as u8 } else { cpu..cpu + 1 };
        self.cpus[cpu as usize].issued.extend(targets.map(|target| (target, invalidation)));
    }

    /// `cpu` loaded `root` under `asid`; `left` is the ASID it had loaded.
    pub(super) fn loaded(&mut self, cpu: u8, root: u64, asid: u16, left: Option<u16>) {
        let now = self.tick();
        // The write to TTBR0 and the ISB behind it come after what this CPU saw of the tables.
        self.observe(cpu, now);
        let state = &mut self.cpus[cpu as usize];
        if let Some(last) =
            left.and_then(|left| state.loaded.get_mut(&left)).and_then(|times| times.last_mut())
        {
            last.2 = now;
        }
        let times = state.loaded.entry(asid).or_default();
        if times.len() == MAX_INTERVALS {
            times.remove(0);
        }
        times.push((root, now, u64::MAX));
    }

    /// The values, the newest first, that `query`'s CPU may use for the descriptor at `pa` instead of what it
    /// says now.
    pub(super) fn former(&self, pa: u64, query: &Query) -> impl Iterator<Item = Version> + '_ {
        let versions = self.past.get(&pa).map_or(&[][..], |past| &past.versions);
        let state = &self.cpus[query.cpu as usize];
        let from = if versions.is_empty() { 0 } else { state.last_invalidation(query) };
        let query = *query;
        versions.iter().rev().copied().filter(move |version| state.may_use(version, from, &query))
    }

    /// Whether there is nothing old at all at `pa`.
    pub(super) fn is_settled(&self, pa: u64) -> bool {
        self.past.get(&pa).is_none_or(|past| past.versions.is_empty())
    }

    /// Walkers have seen the newest value at `pa`: what it was while it was not valid is over.
    pub(super) fn seen(&mut self, pa: u64) {
        if let Some(past) = self.past.get_mut(&pa) {
            past.versions.retain(|version| version.value & 1 == 1);
        }
    }
}

impl CpuState {
    fn invalidate(&mut self, invalidation: Invalidation) {
        let Invalidation { issued, what } = invalidation;
        match (what.range, what.asid) {
            (None, None) => self.raise(issued),
            (None, Some(asid)) => {
                let floor = self.floors.entry(asid).or_default();
                *floor = issued.max(*floor);
                self.invalidations.retain(|other| other.what.asid != Some(asid) || other.issued > issued);
            }
            (Some(_), _) => {
                if self.invalidations.len() == MAX_INVALIDATIONS {
                    let half = self.invalidations[MAX_INVALIDATIONS / 2].issued;
                    self.raise(half);
                }
                self.invalidations.push(invalidation);
            }
        }
    }

    fn raise(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        self.invalidations.retain(|other| other.issued > floor);
    }

    /// When the latest complete invalidation was issued that ended what `query` asks about.
    fn last_invalidation(&self, query: &Query) -> u64 {
        let matches = |invalidation: &&Invalidation| {
            let what = &invalidation.what;
            let overlaps = what.range.is_none_or(|(start, end)| start < query.range.1 && end > query.range.0);
            let level = query.is_table || what.level.is_none_or(|level| level == query.level);
            overlaps
                && what.asid.is_none_or(|asid| asid == query.asid)
                && level
                && !(query.is_table && what.leaf_only)
        };
        let by_address =
            self.invalidations.iter().filter(matches).map(|other| other.issued).max().unwrap_or(0);
        let by_asid = self.floors.get(&query.asid).copied().unwrap_or(0);
        by_address.max(by_asid).max(self.floor)
    }

    fn may_use(&self, version: &Version, from: u64, query: &Query) -> bool {
        let until = match version.until {
            Some(until) => until,
            None if version.seen_by & 1 << query.cpu != 0 => version.seen_at,
            None => return true,
        };
        // Gone from the tables: it must be in the TLB, as a valid entry whose access flag was set.
        let cacheable = version.value & 1 == 1 && (query.is_table || version.value & 1 << 10 != 0);
        let from = from.max(version.since);
        let was_loaded =
            |&&(root, start, end): &&(u64, u64, u64)| root == query.root && start < until && end > from;
        let times = self.loaded.get(&query.asid);
        cacheable && from < until && times.is_some_and(|times| times.iter().find(was_loaded).is_some())
    }
}

/// Addresses of words are their own hash, spread.
#[derive(Clone, Copy, Default)]
pub(super) struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}
