//! Taking apart the tables of an address space that is gone, each visited once.
//!
//! The caller names the ranges that may be mapped, from low to high. The way down to where the last one ended is kept,
//! and a table is given up when a range begins behind it:
//!
//! ```text
//!   range 1        range 2    range 3
//!   |-----|        |---|      |--------|
//!   [ table a          ][ b       ][ c         ]    a is given up when range 2 has been seen, b within range 3
//! ```
//!
//! A table that nothing leads to any more is of no use but for its page, and that page is worth more if it is known to
//! hold zeroes: it can be a table again as it is. Upper tables do once their entries are cleared, and those are cleared
//! anyway; a last-level table does if the caller cleared all that it found there, and says so.

use crate::addr::{PhysAddr, VirtAddr};
use crate::desc::Upper;
use crate::event::Event;
use crate::level::Level;
use crate::mmu::Mmu;
use crate::pmd::PmdRef;
use crate::walk::{Part, PteRef, entry};

/// Levels of tables.
const LEVELS: usize = Level::PTE.number() as usize + 1;

/// Who takes an address space apart: what becomes of what the tables hold.
pub trait Heir {
    /// Entries of a last-level table, or a block. Returns whether all entries of the part are empty now; of a block that
    /// does not matter.
    fn part(&mut self, part: Part) -> bool;

    /// The page of a table that nothing leads to. `clean`: all of it is zero.
    fn table(&mut self, table: PhysAddr, clean: bool);
}

/// The way down to the table in hand: tables by level, from the one below the top to `deepest`.
struct Way {
    tables: [PhysAddr; LEVELS],
    deepest: Level,
    /// An address that all of them translate.
    va: VirtAddr,
    /// The last-level table holds nothing.
    clean: bool,
}

/// Takes the tables below `root` apart as far as they lead to one of `ranges`, which are page-aligned, in order and do
/// not overlap. `root` itself, empty then, is the caller's.
///
/// No CPU translates through the tables and no TLB holds anything of them, so entries may be cleared in any way; the
/// pages may be used again at once.
pub fn take_apart<M: Mmu>(
    mmu: &M,
    root: PhysAddr,
    ranges: impl Iterator<Item = (VirtAddr, VirtAddr)>,
    heir: &mut impl Heir,
) {
    let va = VirtAddr::new(0);
    let mut way = Way { tables: [root; LEVELS], deepest: Level::TOP, va, clean: true };
    let mut stores = 0;
    for (start, end) in ranges {
        let mut at = start;
        while at < end {
            stores += way.give_up(mmu, at, heir);
            at = way.descend(mmu, at, end, heir);
        }
    }
    while way.deepest > Level::TOP {
        stores += way.pop(mmu, heir);
    }
    mmu.count(Event::PteStores, stores);
}

impl Way {
    fn table(&self, level: Level) -> PhysAddr {
        self.tables[level.number() as usize]
    }

    /// Gives up the tables that do not translate `at`. Returns how many entries that cleared.
    #[inline]
    fn give_up<M: Mmu>(&mut self, mmu: &M, at: VirtAddr, heir: &mut impl Heir) -> u64 {
        let mut stores = 0;
        while let Some(above) = self.deepest.previous()
            && (self.va.get() ^ at.get()) >> above.shift() != 0
        {
            stores += self.pop(mmu, heir);
        }
        stores
    }

    /// Gives up the deepest table.
    #[inline]
    fn pop<M: Mmu>(&mut self, mmu: &M, heir: &mut impl Heir) -> u64 {
        let Some(above) = self.deepest.previous() else { return 0 };
        mmu.store(entry(self.table(above), above, self.va), 0);
        heir.table(self.table(self.deepest), self.deepest < Level::PTE || self.clean);
        self.deepest = above;
        1
    }

    /// Goes down towards `at` and hands over what is there, up to `end`. Returns how far that reaches.
    #[inline]
    fn descend<M: Mmu>(&mut self, mmu: &M, at: VirtAddr, end: VirtAddr, heir: &mut impl Heir) -> VirtAddr {
        while self.deepest < Level::PTE {
            let (table, level) = (self.table(self.deepest), self.deepest);
            let slot = entry(table, level, at);
            match Upper::decode(mmu.load(slot)) {
                Upper::Absent => return level.entry_end(at),
                Upper::Block(block) => {
                    heir.part(Part::Block(PmdRef::in_table(table, at), block));
                    mmu.store(slot, 0);
                    mmu.count(Event::PteStores, 1);
                    return level.entry_end(at);
                }
                Upper::Table(below) => {
                    let Some(next) = level.next() else { break };
                    self.tables[next.number() as usize] = below;
                    (self.deepest, self.va, self.clean) = (next, at, true);
                }
            }
        }
        let first = PteRef::in_table(self.table(Level::PTE), at);
        let nr = first.left_in_table().min(at.pages_to(end));
        self.clean &= heir.part(Part::Table(first, nr));
        at.add(nr as u64 * crate::granule::PAGE_SIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Pfn;
    use crate::desc::Pte;
    use crate::granule::{PAGE_SIZE, PTES_PER_TABLE, VA_BITS};
    use crate::mmu::Features;
    use crate::sim::Sim;
    use crate::walk::{count_tables, lookup_alloc, parts};
    use std::collections::BTreeSet;
    use std::vec::Vec;

    /// What a last-level table maps.
    const TABLE: u64 = Level::PMD.entry_size();

    /// Clears what it is given if it has at most `patience` entries.
    struct Clearing<'s> {
        sim: &'s Sim,
        patience: usize,
        pages: Vec<u64>,
        freed: Vec<(PhysAddr, bool)>,
    }

    impl Heir for Clearing<'_> {
        fn part(&mut self, part: Part) -> bool {
            let Part::Table(first, nr) = part else { return true };
            for at in (0..nr).map(|index| first.add(index)) {
                let pte = Pte::from_raw(self.sim.load(at.desc()));
                if pte.is_present() {
                    self.pages.push(at.va().get());
                    if nr <= self.patience {
                        self.sim.store(at.desc(), 0);
                    }
                }
            }
            nr <= self.patience
        }

        fn table(&mut self, table: PhysAddr, clean: bool) {
            self.freed.push((table, clean));
        }
    }

    fn is_zero(sim: &Sim, table: PhysAddr) -> bool {
        (0..PTES_PER_TABLE as u64).all(|n| sim.load(crate::addr::DescAddr::new(table.get() + 8 * n)) == 0)
    }

    fn map(sim: &Sim, root: PhysAddr, va: u64) {
        let at = lookup_alloc(sim, root, VirtAddr::new(va), &mut || sim.frame()).unwrap();
        sim.store(at.desc(), Pte::user(Pfn::new(va / PAGE_SIZE)).raw());
    }

    #[test]
    fn every_page_is_seen_and_every_table_given_up_once_and_clean_if_it_says_so() {
        let last = (1 << VA_BITS) - PAGE_SIZE;
        let pages = [0, PAGE_SIZE, TABLE - PAGE_SIZE, TABLE, 5 * TABLE, 5 * TABLE + 3 * PAGE_SIZE, last];
        // Two in one table, one over a table's end, one with nothing, and the last.
        let ranges = [
            (0, 2 * PAGE_SIZE),
            (2 * PAGE_SIZE, 3 * PAGE_SIZE),
            (TABLE - 2 * PAGE_SIZE, TABLE + PAGE_SIZE),
            (3 * TABLE, 4 * TABLE),
            (5 * TABLE, 5 * TABLE + 4 * PAGE_SIZE),
            (last - PAGE_SIZE, last + PAGE_SIZE),
        ];
        for patience in [0, 2, 4, PTES_PER_TABLE] {
            let sim = Sim::new(24, Features::default());
            let root = sim.frame().unwrap();
            pages.iter().for_each(|va| map(&sim, root, *va));
            let tables = count_tables(&sim, root);
            let mut heir = Clearing { sim: &sim, patience, pages: Vec::new(), freed: Vec::new() };
            let ranges = ranges.iter().map(|(start, end)| (VirtAddr::new(*start), VirtAddr::new(*end)));
            take_apart(&sim, root, ranges, &mut heir);
            assert_eq!(heir.pages, pages);
            assert_eq!(heir.freed.len(), tables - 1, "all but the root");
            assert_eq!(heir.freed.iter().map(|freed| freed.0).collect::<BTreeSet<_>>().len(), tables - 1);
            assert!(is_zero(&sim, root));
            assert!(heir.freed.iter().all(|(table, clean)| !clean || is_zero(&sim, *table)), "{patience}");
            let clean = heir.freed.iter().filter(|(_, clean)| *clean).count();
            assert_eq!(clean == tables - 1, patience >= 4, "of those with 4 entries in a range, or fewer");
        }
    }

    #[test]
    fn a_table_without_a_range_stays() {
        let sim = Sim::new(12, Features::default());
        let root = sim.frame().unwrap();
        map(&sim, root, 0);
        map(&sim, root, 9 * TABLE);
        let mut heir = Clearing { sim: &sim, patience: 1, pages: Vec::new(), freed: Vec::new() };
        take_apart(&sim, root, core::iter::empty(), &mut heir);
        assert!(heir.freed.is_empty() && heir.pages.is_empty());
        assert_eq!(parts(&sim, root, VirtAddr::new(0), VirtAddr::new(10 * TABLE)).count(), 2);
    }
}
