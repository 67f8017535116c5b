//! How far a TLB reaches: hits and misses of a simulated two-level TLB, for judging what contiguous entries
//! are worth.
//!
//! This has nothing to do with correctness: entries are never stale, only present or not. Feed the same
//! accesses to two instances, one with the sizes that contiguous entries give and one without, and compare
//! the misses.

use alloc::vec;
use alloc::vec::Vec;

/// The size of what one TLB entry translates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum EntrySize {
    /// One page.
    Page,
    /// A contiguous block of pages.
    Contiguous,
    /// A block of the level above (2 MiB with a 4 KiB granule).
    Block,
    /// A block two levels above (1 GiB with a 4 KiB granule).
    LargeBlock,
}

/// One level's shape: `sets` times `ways` entries, replaced least recently used first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// How many sets, a power of two; 1 is fully associative.
    pub sets: usize,
    /// Entries in a set, at least 1.
    pub ways: usize,
}

/// A TLB's shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TlbConfig {
    /// The first level.
    pub l1: Shape,
    /// The second level.
    pub l2: Shape,
    /// log2 of the bytes of each [`EntrySize`], in order.
    pub shifts: [u32; 4],
}

impl Default for TlbConfig {
    /// 48 entries, fully associative, before 1,280 entries in 5 ways; 4 KiB pages.
    fn default() -> Self {
        TlbConfig {
            l1: Shape { sets: 1, ways: 48 },
            l2: Shape { sets: 256, ways: 5 },
            shifts: [12, 16, 21, 30],
        }
    }
}

/// What came of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// Found in the first level.
    L1,
    /// Found in the second level, and now in the first.
    L2,
    /// In neither: the tables are walked.
    Miss,
}

/// Counts of accesses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TlbCounts {
    /// Found in the first level.
    pub l1_hits: u64,
    /// Found in the second level.
    pub l2_hits: u64,
    /// Found in neither.
    pub misses: u64,
}

/// A two-level TLB.
#[derive(Clone, Debug)]
pub struct Tlb {
    config: TlbConfig,
    l1: Level,
    l2: Level,
    last: u64,
    counts: TlbCounts,
}

/// A tag is page number (45 bits), ASID (16) and size (3, counted from 1) in one word, so never 0.
const EMPTY: u64 = 0;

#[derive(Clone, Debug)]
struct Level {
    shape: Shape,
    /// `ways` tags for each set, the most recently used first.
    tags: Vec<u64>,
}

impl Level {
    fn new(shape: Shape) -> Self {
        assert!(shape.sets.is_power_of_two() && shape.ways > 0);
        Level { shape, tags: vec![EMPTY; shape.sets * shape.ways] }
    }

    fn set(&mut self, tag: u64) -> &mut [u64] {
        // By page number, in units of the entry's own size.
        let set = (tag >> 19) as usize & (self.shape.sets - 1);
        &mut self.tags[set * self.shape.ways..(set + 1) * self.shape.ways]
    }

    /// Makes `tag` the most recently used of its set; returns whether it was there.
    fn touch(&mut self, tag: u64) -> bool {
        let set = self.set(tag);
        let found = set.iter().position(|entry| *entry == tag);
        let last = found.unwrap_or(set.len() - 1);
        set[..=last].rotate_right(1);
        set[0] = tag;
        found.is_some()
    }
}

impl Tlb {
    /// An empty TLB.
    pub fn new(config: TlbConfig) -> Self {
        let (l1, l2) = (Level::new(config.l1), Level::new(config.l2));
        Tlb { config, l1, l2, last: EMPTY, counts: TlbCounts::default() }
    }

    /// Looks up `va` of address space `asid` (any number for kernel addresses, the same for all) and fills in
    /// what was missing; `size` is that of the entry that the tables give.
    #[inline]
    pub fn access(&mut self, va: u64, asid: u16, size: EntrySize) -> Lookup {
        let page = (va & ((1 << 57) - 1)) >> self.config.shifts[size as usize];
        let tag = page << 19 | u64::from(asid) << 3 | (size as u64 + 1);
        if tag == self.last {
            self.counts.l1_hits += 1;
            return Lookup::L1;
        }
        self.last = tag;
        if self.l1.touch(tag) {
            // As hardware does, the second level does not see hits in the first.
            self.counts.l1_hits += 1;
            Lookup::L1
        } else if self.l2.touch(tag) {
            self.counts.l2_hits += 1;
            Lookup::L2
        } else {
            self.counts.misses += 1;
            Lookup::Miss
        }
    }

    /// Empties it.
    pub fn flush(&mut self) {
        self.last = EMPTY;
        self.l1.tags.fill(EMPTY);
        self.l2.tags.fill(EMPTY);
    }

    /// Drops what it has of address space `asid`.
    pub fn flush_asid(&mut self, asid: u16) {
        self.drop_if(|tag| tag >> 3 & 0xffff == u64::from(asid));
    }

    /// Drops what it has for the addresses from `start` to before `end`, of `asid` or (`None`) of all.
    pub fn flush_range(&mut self, start: u64, end: u64, asid: Option<u16>) {
        let shifts = self.config.shifts;
        let mask = (1 << 57) - 1;
        let (start, end) = (start & mask, end.wrapping_sub(1) & mask);
        self.drop_if(|tag| {
            let shift = shifts[(tag & 7) as usize - 1];
            let first = (tag >> 19) << shift;
            let ours = asid.is_none_or(|asid| tag >> 3 & 0xffff == u64::from(asid));
            ours && first <= end && first + ((1 << shift) - 1) >= start
        });
    }

    fn drop_if(&mut self, gone: impl Fn(u64) -> bool) {
        self.last = EMPTY;
        for tag in self.l1.tags.iter_mut().chain(&mut self.l2.tags) {
            if *tag != EMPTY && gone(*tag) {
                *tag = EMPTY;
            }
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> TlbCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_entry_goes_first() {
        let shape = Shape { sets: 1, ways: 2 };
        // The second level keeps one entry only, so as not to help.
        let small = Shape { sets: 1, ways: 1 };
        let mut tlb = Tlb::new(TlbConfig { l1: shape, l2: small, ..TlbConfig::default() });
        let mut page = |number: u64| tlb.access(number << 12, 1, EntrySize::Page);
        assert_eq!([page(1), page(2), page(1)], [Lookup::Miss, Lookup::Miss, Lookup::L1]);
        assert_eq!([page(3), page(1), page(2)], [Lookup::Miss, Lookup::L1, Lookup::Miss]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "many accesses, and no unsafe code")]
    fn the_second_level_catches_what_the_first_lost() {
        let mut tlb = Tlb::new(TlbConfig::default());
        for round in 0..2 {
            for page in 0..1000u64 {
                let lookup = tlb.access(page << 12, 1, EntrySize::Page);
                assert_eq!(lookup, if round == 0 { Lookup::Miss } else { Lookup::L2 }, "page {page}");
            }
        }
        assert_eq!(tlb.counts(), TlbCounts { l1_hits: 0, l2_hits: 1000, misses: 1000 });
    }

    #[test]
    #[cfg_attr(miri, ignore = "many accesses, and no unsafe code")]
    fn contiguous_entries_reach_sixteen_times_as_far() {
        let misses = |size| {
            let mut tlb = Tlb::new(TlbConfig::default());
            for round in 0..3u64 {
                (0..8192).for_each(|page| {
                    tlb.access((page * 7919 % 8192) << 12 | round, 1, size);
                });
            }
            tlb.counts().misses
        };
        assert_eq!(misses(EntrySize::Contiguous), 512);
        assert!(misses(EntrySize::Page) > 20_000);
        assert_eq!(misses(EntrySize::Block), 16);
    }

    #[test]
    fn flushes_take_what_they_name() {
        let mut tlb = Tlb::new(TlbConfig::default());
        let fill = |tlb: &mut Tlb| {
            tlb.access(0x1_0000, 1, EntrySize::Contiguous);
            tlb.access(0x2_0000, 2, EntrySize::Page);
        };
        fill(&mut tlb);
        tlb.flush_asid(1);
        assert_eq!(tlb.access(0x1_0000, 1, EntrySize::Contiguous), Lookup::Miss);
        assert_eq!(tlb.access(0x2_0000, 2, EntrySize::Page), Lookup::L1);
        tlb.flush_range(0x1_f000, 0x2_0000, Some(1));
        assert_eq!(tlb.access(0x1_0000, 1, EntrySize::Contiguous), Lookup::Miss);
        tlb.flush();
        assert_eq!(tlb.access(0x2_0000, 2, EntrySize::Page), Lookup::Miss);
    }

    #[test]
    fn address_spaces_do_not_share_entries() {
        let mut tlb = Tlb::new(TlbConfig::default());
        tlb.access(0x1000, 1, EntrySize::Page);
        assert_eq!(tlb.access(0x1000, 2, EntrySize::Page), Lookup::Miss);
        assert_eq!(tlb.access(0xffff_0000_0000_1000, 2, EntrySize::Page), Lookup::Miss);
    }
}
