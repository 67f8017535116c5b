//! Finding runs of PTEs that can be handled at once. Linux: `folio_pte_batch`.

use crate::addr::Pfn;
use crate::desc::{DESC, Pte};
use crate::granule::CONT_PTES;
use crate::mmu::Mmu;
use crate::walk::PteRef;

/// The frames of one folio.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FolioSpan {
    /// The folio's first frame.
    pub first: Pfn,
    /// How many frames it has.
    pub pages: u64,
}

impl FolioSpan {
    /// Whether `pfn` is one of the folio's.
    #[inline]
    pub const fn contains(self, pfn: Pfn) -> bool {
        pfn.get().wrapping_sub(self.first.get()) < self.pages
    }

    /// Frames from `pfn`, which is one of the folio's, to its end.
    #[inline]
    pub const fn left_from(self, pfn: Pfn) -> usize {
        (self.first.get() + self.pages - pfn.get()) as usize
    }

    /// Whether the `pages` frames from `pfn` are all the folio's.
    #[inline]
    pub const fn covers(self, pfn: Pfn, pages: u64) -> bool {
        pfn.get() >= self.first.get() && pfn.get() + pages <= self.first.get() + self.pages
    }
}

/// Which differences between PTEs end a batch. The access flag and the contiguous bit never do; the uffd-wp bit, like
/// every attribute, always does: what is true of one page's writes is not of its neighbour's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Respect {
    /// A different write permission ends it; otherwise permissions are merged.
    pub write: bool,
    /// A different dirty state ends it.
    pub dirty: bool,
    /// A different soft-dirty bit ends it: where somebody tracks that.
    pub soft_dirty: bool,
}

/// A run of PTEs that map consecutive frames of one folio with equal attributes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Batch {
    /// How many PTEs, at least 1.
    pub nr: usize,
    /// Whether any of them is writable.
    pub any_writable: bool,
    /// Whether all of them are.
    pub all_writable: bool,
}

/// Entries from `at` to the end of its block if `pte`, its value, is folded; else 1. Entries of a live block agree
/// in all that a batch compares but the dirty state, so a scan need not read them. Linux: `pte_batch_hint`.
#[inline]
pub fn pte_batch_hint(at: PteRef, pte: Pte) -> usize {
    if pte.is_cont() { CONT_PTES - at.cont_index() } else { 1 }
}

/// How many PTEs from `at` map one frame after the other from that of `first`, the value of `at`, which is present and
/// in no block: all that are in no block and, like it, counted or not, whatever else they say. At most `max_nr`.
#[inline]
pub fn mapped_run<M: Mmu>(mmu: &M, at: PteRef, first: Pte, max_nr: usize) -> usize {
    match max_nr {
        0 | 1 => max_nr,
        _ => 1 + mmu.like_run(at.add(1).desc(), max_nr - 1, first.advance(1).raw(), Pte::MAPPING),
    }
}

/// How many PTEs from `at`, which holds `first`, are folded and map one frame after the other: its block to the end, and
/// those behind. At most `max_nr`. Blocks are folded whole, so one entry of each is read.
#[inline]
pub fn folded_run<M: Mmu>(mmu: &M, at: PteRef, first: Pte, max_nr: usize) -> usize {
    let mut nr = pte_batch_hint(at, first);
    while nr < max_nr && (mmu.load(at.add(nr).desc()) ^ first.advance(nr as u64).raw()) & Pte::MAPPING == 0 {
        nr += CONT_PTES;
    }
    nr.min(max_nr)
}

/// How many PTEs from `at` map consecutive frames of `folio` like `first`, the value of `at`, which is present. At
/// most `max_nr`, and never past the end of the folio or of the table, whatever the entries behind them hold.
pub fn folio_pte_batch<M: Mmu>(
    mmu: &M,
    at: PteRef,
    first: Pte,
    max_nr: usize,
    folio: FolioSpan,
    respect: Respect,
) -> Batch {
    let mut batch = Batch { nr: 1, any_writable: first.is_writable(), all_writable: first.is_writable() };
    let bound = max_nr.min(folio.left_from(first.pfn())).min(at.left_in_table());
    let skip = |at, pte| if respect.dirty { 1 } else { pte_batch_hint(at, pte) };
    let mut nr = skip(at, first);
    while nr < bound {
        let here = at.add(nr);
        let pte = Pte::from_raw(mmu.load(here.desc()));
        if compared(pte, respect) != compared(first.advance(nr as u64), respect)
            || (respect.dirty && pte.is_dirty() != first.is_dirty())
        {
            break;
        }
        batch.any_writable |= pte.is_writable();
        batch.all_writable &= pte.is_writable();
        nr += skip(here, pte);
    }
    batch.nr = nr.min(bound);
    batch
}

/// The bits of a PTE that must be equal throughout a batch.
fn compared(pte: Pte, respect: Respect) -> u64 {
    const NEVER: u64 = DESC::AF::SET.value
        | DESC::CONT::SET.value
        | DESC::SW_DIRTY::SET.value
        // Says dirty in a writable entry; in the others it is always set.
        | DESC::RDONLY::SET.value;
    let write = if respect.write { 0 } else { DESC::DBM::SET.value };
    let soft_dirty = if respect.soft_dirty { 0 } else { DESC::SW_SOFT_DIRTY::SET.value };
    pte.raw() & !(NEVER | write | soft_dirty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{PhysAddr, VirtAddr};
    use crate::desc::{Marker, NonPresent, SwapEntry};
    use crate::granule::PTES_PER_TABLE;
    use crate::mmu::Features;
    use crate::sim::Sim;

    #[test]
    fn a_mapped_run_ends_where_another_frame_is_mapped_or_in_another_way() {
        let sim = Sim::new(4, Features::default());
        let at = PteRef::in_table(sim.frame().unwrap(), VirtAddr::new(0));
        let first = Pte::user(Pfn::new(64));
        let run = |other: Pte, max| {
            for index in 0..6 {
                let usual = first.advance(index as u64);
                let usual = if index % 2 == 1 { usual.mkyoung().mkwrite().mkdirty() } else { usual };
                sim.store(at.add(index).desc(), if index == 4 { other } else { usual }.raw());
            }
            mapped_run(&sim, at, first, max)
        };
        let (fifth, none) = (first.advance(4), Pte::NONE);
        assert_eq!([0, 1, 2, 5, 6].map(|max| run(fifth.mkyoung(), max)), [0, 1, 2, 5, 6]);
        for other in [none, first, first.advance(5), fifth.mkcont(), fifth.mkspecial(), fifth.mkprotnone()] {
            assert_eq!(run(other, 6), 4, "{other:?}");
        }
        assert_eq!((sim.empty_run(at.desc(), 6), run(none, 6)), (0, 4));
        assert_eq!((sim.empty_run(at.add(4).desc(), 2), sim.empty_run(at.add(4).desc(), 1)), (1, 1));
    }

    #[test]
    fn a_folded_run_goes_on_from_block_to_block() {
        let sim = Sim::new(1, Features::default());
        let at = PteRef::in_table(sim.frame().unwrap(), VirtAddr::new(0));
        let (first, blocks) = (Pte::user(Pfn::new(4 * CONT_PTES as u64)).mkcont(), 3 * CONT_PTES);
        (0..blocks).for_each(|index| sim.store(at.add(index).desc(), first.advance(index as u64).raw()));
        let run = |from: usize, max| folded_run(&sim, at.add(from), first.advance(from as u64), max);
        assert_eq!([run(0, PTES_PER_TABLE), run(1, PTES_PER_TABLE)], [blocks, blocks - 1], "up to the hole");
        assert_eq!([1, CONT_PTES, CONT_PTES + 1].map(|max| run(0, max)), [1, CONT_PTES, CONT_PTES + 1]);
        for other in [first.mknoncont(), first, first.advance(1)] {
            sim.store(at.add(CONT_PTES).desc(), other.raw());
            assert_eq!(run(2, PTES_PER_TABLE), CONT_PTES - 2, "{other:?}");
        }
    }

    const MERGE: Respect = Respect { write: false, dirty: false, soft_dirty: false };
    /// Pages of the folio.
    const PAGES: usize = 4 * CONT_PTES;
    const FOLIO: FolioSpan = FolioSpan { first: Pfn::new(0x1000), pages: PAGES as u64 };

    struct Table {
        sim: Sim,
        page: PhysAddr,
    }

    impl Table {
        /// The first entries map FOLIO, writable.
        fn new() -> Self {
            let sim = Sim::new(1, Features::default());
            let page = sim.frame().unwrap();
            let table = Table { sim, page };
            (0..PAGES).for_each(|i| table.set(i, Pte::user(FOLIO.first.add(i as u64)).mkwrite()));
            table
        }

        fn at(&self, index: usize) -> PteRef {
            PteRef::in_table(self.page, VirtAddr::new(index as u64 * Sim::PAGE))
        }

        fn get(&self, index: usize) -> Pte {
            Pte::from_raw(self.sim.load(self.at(index).desc()))
        }

        fn set(&self, index: usize, pte: Pte) {
            self.sim.store(self.at(index).desc(), pte.raw());
        }

        fn batch(&self, index: usize, max: usize, respect: Respect) -> Batch {
            folio_pte_batch(&self.sim, self.at(index), self.get(index), max, FOLIO, respect)
        }
    }

    #[test]
    fn a_whole_folio_is_one_batch_whatever_its_af_and_dirty_state() {
        let table = Table::new();
        table.set(3, table.get(3).mkyoung().mkdirty());
        assert_eq!(
            table.batch(0, PTES_PER_TABLE, MERGE),
            Batch { nr: PAGES, any_writable: true, all_writable: true }
        );
        assert_eq!(table.batch(0, 7, MERGE).nr, 7);
        assert_eq!(table.batch(0, PAGES, Respect { dirty: true, ..MERGE }).nr, 3);
    }

    #[test]
    fn a_batch_ends_at_the_folio_s_end_even_if_the_next_frame_follows() {
        // Failure 4: the end was found by comparing entries.
        let table = Table::new();
        table.set(PAGES, Pte::user(FOLIO.first.add(FOLIO.pages)).mkwrite());
        assert_eq!(table.batch(PAGES - 4, PTES_PER_TABLE, MERGE).nr, 4);
    }

    #[test]
    fn a_batch_ends_at_the_table_s_end() {
        // Failure 5: a folio that straddles two tables.
        let table = Table::new();
        let last = PTES_PER_TABLE - 2;
        table.set(last, Pte::user(FOLIO.first));
        table.set(last + 1, Pte::user(FOLIO.first.add(1)));
        assert_eq!(table.batch(last, PTES_PER_TABLE, MERGE).nr, 2);
    }

    #[test]
    fn holes_protnone_and_other_frames_end_a_batch() {
        for stopper in [Pte::NONE, Pte::user(FOLIO.first.add(10)).mkprotnone(), Pte::user(FOLIO.first)] {
            let table = Table::new();
            table.set(10, stopper);
            assert_eq!(table.batch(0, PAGES, MERGE).nr, 10, "{stopper:?}");
        }
    }

    #[test]
    fn write_permission_is_merged_or_respected() {
        let table = Table::new();
        table.set(5, table.get(5).wrprotect());
        let merged = table.batch(0, PAGES, MERGE);
        assert_eq!(merged, Batch { nr: PAGES, any_writable: true, all_writable: false });
        assert_eq!(table.batch(0, PAGES, Respect { write: true, ..MERGE }).nr, 5);
    }

    #[test]
    fn soft_dirty_ends_a_batch_where_it_is_tracked_and_uffd_wp_always() {
        let table = Table::new();
        table.set(5, table.get(5).mksoft_dirty());
        assert_eq!(table.batch(0, PAGES, MERGE).nr, PAGES);
        assert_eq!(table.batch(0, PAGES, Respect { soft_dirty: true, ..MERGE }).nr, 5);
        table.set(9, table.get(9).mkuffd_wp());
        assert_eq!(table.batch(0, PAGES, MERGE).nr, 9);
        assert_eq!(table.batch(9, PAGES, MERGE).nr, 1);
    }

    #[test]
    fn swap_and_migration_entries_and_markers_end_a_batch() {
        let pfn = FOLIO.first.add(10);
        for stopper in [
            NonPresent::Swap(SwapEntry { slot: pfn.get() }),
            NonPresent::Migration { pfn, writable: true },
            NonPresent::Marker(Marker::Guard),
        ] {
            let table = Table::new();
            table.set(10, stopper.encode());
            assert_eq!(table.batch(0, PAGES, MERGE).nr, 10, "{stopper:?}");
        }
    }

    #[test]
    fn folded_blocks_are_not_read_entry_by_entry() {
        let table = Table::new();
        (0..2 * CONT_PTES).for_each(|i| table.set(i, table.get(i).mkcont()));
        // Inside a block only the first entry read counts: the rest are known to agree.
        table.set(7, Pte::NONE);
        assert_eq!(table.batch(0, PAGES, MERGE).nr, PAGES);
        assert_eq!(table.batch(3, CONT_PTES + 4, MERGE).nr, CONT_PTES + 4);
    }
}
