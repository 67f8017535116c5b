//! Host tests of the contpte layer: what the entries become, and by which stores, barriers and TLBIs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::vec::Vec;

use super::*;
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::batch::FolioSpan;
use crate::event::Event;
use crate::granule::PAGE_SIZE;
use crate::mmu::{Asid, Barrier, Features};
use crate::sim::{Op, Sim};
use crate::tlbi::Tlbi;

mod clear;
mod level2;
mod lockless;
mod protect;
mod share;
mod sparse;
mod young;

const ASID: Asid = Asid::new(7);
const FRAME: Pfn = Pfn::new(0x8000);
/// Entries of a block, so that places can be written as so many blocks and so many entries.
const N: usize = CONT_PTES;
/// The entries the tests are about: four blocks.
const ALL: usize = 4 * N;
const FOLIO: FolioSpan = FolioSpan { first: FRAME, pages: ALL as u64 };

/// What hardware makes of an entry at an access.
fn noted(raw: u64, written: bool) -> u64 {
    let pte = Pte::from_raw(raw).mkyoung();
    if written { pte.mkdirty().raw() } else { pte.raw() }
}

struct Table {
    sim: Sim,
    page: PhysAddr,
}

impl Table {
    fn new() -> Self {
        Table::with(Features::default())
    }

    fn with(features: Features) -> Self {
        let sim = Sim::new(1, Features { tlbi_range: true, ..features });
        let page = sim.frame().unwrap();
        Table { sim, page }
    }

    /// The first ALL entries map FOLIO, writable, clean and old: four folded blocks.
    fn folded() -> Self {
        Table::folded_with(Features::default())
    }

    fn folded_with(features: Features) -> Self {
        let table = Table::with(features);
        set_ptes(&table.sim, table.at(0), Pte::user(FRAME).mkwrite(), ALL);
        table.sim.clear_ops();
        table
    }

    fn at(&self, index: usize) -> PteRef {
        PteRef::in_table(self.page, VirtAddr::new(0x4000_0000 + index as u64 * PAGE_SIZE))
    }

    fn get(&self, index: usize) -> Pte {
        ptep_get_raw(&self.sim, self.at(index))
    }

    /// What entry `index` is without its block: writable, clean and old.
    fn plain(&self, index: usize) -> Pte {
        Pte::user(FRAME.add(index as u64)).mkwrite()
    }

    /// Hardware notes an access in entry `index`, and if the entry permits it and `written` says so, a write.
    fn note(&self, index: usize, written: bool) {
        self.sim.walker_update(self.at(index).desc(), |raw| noted(raw, written));
    }

    /// Runs `f` while hardware notes a write in entry `index`, before the access to a descriptor with number `when`
    /// (from 0), if it finds it valid and writable then. Returns whether it did.
    fn note_during(&self, index: usize, when: usize, f: impl FnOnce()) -> bool {
        let (at, mut accesses) = (self.at(index), 0);
        let done = Arc::new(AtomicBool::new(false));
        let seen = done.clone();
        self.sim.interfere(move |sim| {
            let pte = Pte::from_raw(sim.load(at.desc()));
            if accesses == when && pte.is_valid() && pte.is_writable() {
                sim.walker_update(at.desc(), |raw| noted(raw, true));
                seen.store(true, Ordering::Relaxed);
            }
            accesses += 1;
        });
        f();
        self.sim.be_alone();
        done.load(Ordering::Relaxed)
    }

    fn folded_blocks(&self) -> Vec<bool> {
        (0..4).map(|block| (0..CONT_PTES).all(|i| self.get(block * CONT_PTES + i).is_cont())).collect()
    }

    fn no_stray_cont_bits(&self) {
        for block in 0..4 {
            let set = (0..CONT_PTES).filter(|i| self.get(block * CONT_PTES + i).is_cont()).count();
            assert!(set == 0 || set == CONT_PTES, "block {block} has {set} entries with the bit");
        }
    }

    fn tlbis(&self) -> usize {
        self.sim.ops().iter().filter(|op| matches!(op, Op::Tlbi(_))).count()
    }

    /// The range TLBIs so far: the first address of each and how many pages.
    fn ranges(&self) -> Vec<(VirtAddr, u64)> {
        let range = |op: &Op| match op {
            Op::Tlbi(Tlbi::Range(range)) => Some((range.base(crate::granule::GRANULE), range.pages())),
            _ => None,
        };
        self.sim.ops().iter().filter_map(range).collect()
    }

    /// No entry may go from one valid output address or contiguous bit to another without an invalid step and a
    /// completed TLBI between.
    fn assert_break_before_make(&self) {
        let mut broken = false;
        let mut flushed = false;
        for op in self.sim.ops() {
            match op {
                Op::Store(_, old, new) => {
                    let (old, new) = (Pte::from_raw(old), Pte::from_raw(new));
                    let changed = old.pfn() != new.pfn() || old.is_cont() != new.is_cont();
                    assert!(
                        !(old.is_valid() && new.is_valid() && changed),
                        "{old:?} -> {new:?} without a break"
                    );
                    if old.is_valid() && !new.is_valid() {
                        (broken, flushed) = (true, false);
                    }
                    if new.is_valid() && broken {
                        assert!(flushed, "made before the flush was complete");
                    }
                }
                Op::Tlbi(Tlbi::Range(op)) => assert_eq!(op.pages(), CONT_PTES as u64),
                Op::Barrier(Barrier::DsbIsh) => flushed = true,
                _ => {}
            }
        }
    }
}

#[test]
fn aligned_blocks_are_set_folded_without_clear_or_tlbi() {
    let table = Table::folded();
    assert_eq!(table.folded_blocks(), [true; 4]);
    assert_eq!(table.get(N + 1).pfn(), FRAME.add(N as u64 + 1));
    assert_eq!(table.sim.counted(Event::Fold), 0);
    assert_eq!(table.tlbis(), 0);
}

#[test]
fn only_parts_aligned_in_va_and_pa_get_the_bit() {
    let table = Table::new();
    // Starts one entry late: all but the first entry of a block, and the first of another, are no whole block.
    set_ptes(&table.sim, table.at(1), Pte::user(FRAME.add(1)), 3 * N);
    assert_eq!(table.folded_blocks(), [false, true, true, false]);
    let table = Table::new();
    // VA aligned, PA not (failure 12).
    set_ptes(&table.sim, table.at(0), Pte::user(FRAME.add(1)), 2 * N);
    assert_eq!(table.folded_blocks(), [false; 4]);
    table.no_stray_cont_bits();
}

#[test]
fn a_caller_s_own_cont_bit_is_ignored() {
    let table = Table::new();
    set_ptes(&table.sim, table.at(3), Pte::user(FRAME.add(3)).mkcont(), 4);
    table.no_stray_cont_bits();
}

#[test]
fn kernel_special_and_protnone_entries_are_never_folded() {
    for pte in [Pte::kernel(FRAME), Pte::user(FRAME).mkspecial(), Pte::user(FRAME).mkprotnone()] {
        let table = Table::new();
        set_ptes(&table.sim, table.at(0), pte, N);
        assert_eq!(table.folded_blocks(), [false; 4], "{pte:?}");
    }
}

#[test]
fn the_entry_that_completes_a_block_folds_it() {
    let table = Table::new();
    for i in 0..N {
        assert_eq!(table.sim.counted(Event::Fold), 0);
        set_pte_at(&table.sim, ASID, table.at(i), Pte::user(FRAME.add(i as u64)).mkyoung(), Some(FOLIO));
    }
    assert_eq!(table.folded_blocks(), [true, false, false, false]);
    table.assert_break_before_make();
}

#[test]
fn a_block_of_two_folios_or_of_unequal_entries_is_not_folded() {
    let half = FolioSpan { first: FRAME.add(N as u64 / 2), pages: N as u64 / 2 };
    for (odd, folio) in
        [(None, half), (Some(Pte::user(FRAME.add(5)).mkwrite()), FOLIO), (Some(Pte::NONE), FOLIO)]
    {
        let table = Table::new();
        for i in 0..N {
            let pte = odd.filter(|_| i == 5).unwrap_or(Pte::user(FRAME.add(i as u64)));
            set_pte_at(&table.sim, ASID, table.at(i), pte, Some(folio));
        }
        assert_eq!(table.folded_blocks(), [false; 4], "{odd:?}");
    }
}

#[test]
fn unfold_breaks_before_it_makes_and_loses_nothing() {
    let table = Table::folded();
    // The walker noted an access and a write in two different entries.
    table.note(N + 2, false);
    table.note(2 * N - 2, true);
    unfold(&table.sim, ASID, table.at(N + 4));
    assert_eq!(table.folded_blocks(), [true, false, true, true]);
    for i in N..2 * N {
        assert_eq!(table.get(i).pfn(), FRAME.add(i as u64));
        assert!(table.get(i).is_young() && table.get(i).is_dirty());
    }
    table.assert_break_before_make();
    assert_eq!(table.tlbis(), 1);
}

#[test]
fn get_gathers_over_the_block_and_only_over_it() {
    let table = Table::folded();
    table.note(5, true);
    assert!(ptep_get(&table.sim, table.at(N - 1)).is_young());
    assert!(ptep_get(&table.sim, table.at(0)).is_dirty());
    assert!(!ptep_get(&table.sim, table.at(N)).is_young());
}

#[test]
fn wrprotect_of_whole_blocks_keeps_them_folded_and_issues_no_tlbi() {
    let table = Table::folded();
    wrprotect_ptes(&table.sim, ASID, table.at(0), ALL);
    assert_eq!(table.folded_blocks(), [true; 4]);
    assert!((0..ALL).all(|i| !table.get(i).is_writable()));
    assert_eq!((table.tlbis(), table.sim.counted(Event::Unfold)), (0, 0));
}

#[test]
fn wrprotect_unfolds_exactly_the_partially_covered_ends() {
    for (first, nr, folded) in [
        (4, 2 * N + 8, [false, true, false, true]),
        (N, N + 4, [true, true, false, true]),
        (N + 4, 4, [true, false, true, true]),
        (5, N - 5, [false, true, true, true]),
        (N / 2, N, [false, false, true, true]),
        (0, ALL - 1, [true, true, true, false]),
    ] {
        let table = Table::folded();
        wrprotect_ptes(&table.sim, ASID, table.at(first), nr);
        assert_eq!(table.folded_blocks(), folded, "{nr} from {first}");
        for i in 0..ALL {
            assert_eq!(table.get(i).is_writable(), !(first..first + nr).contains(&i), "entry {i}");
        }
        table.no_stray_cont_bits();
        table.assert_break_before_make();
    }
}

#[test]
fn wrprotect_does_not_lose_a_dirty_state_hardware_sets_meanwhile() {
    let table = Table::folded();
    table.note(2, true);
    wrprotect_ptes(&table.sim, ASID, table.at(0), ALL);
    assert!(table.get(2).is_dirty() && !table.get(3).is_dirty());
    // Entries that hardware could still change were exchanged atomically, settled ones stored.
    assert_eq!(table.sim.counted(Event::PteAtomics), ALL as u64 - 1);
}

#[test]
fn clearing_whole_blocks_needs_no_unfold_and_parts_do() {
    let table = Table::folded();
    clear_full_ptes(&table.sim, ASID, table.at(N), 2 * N + N / 2);
    assert_eq!(table.sim.counted(Event::Unfold), 1);
    assert_eq!(table.folded_blocks(), [true, false, false, false]);
    assert!((0..ALL).all(|i| table.get(i).is_none() == (N..3 * N + N / 2).contains(&i)));
    table.no_stray_cont_bits();
}

#[test]
fn a_block_with_a_young_dirty_sibling_is_not_mistaken_for_done() {
    // Failure 1: page 3 dirty, then page 7 written, on a CPU without hardware AF and dirty state.
    let table = Table::folded();
    table.note(3, true);
    let wanted = table.get(7).mkyoung().mkdirty();
    assert!(set_access_flags(&table.sim, ASID, table.at(7), wanted));
    assert!((0..N).all(|i| table.get(i).is_hw_dirty() && table.get(i).is_young()));
    assert_eq!(table.folded_blocks(), [true; 4]);
    // Failure 2: all that was changed is flushed, not the one page.
    assert_eq!(table.ranges(), [(table.at(0).va(), CONT_PTES as u64)]);
    assert!(!set_access_flags(&table.sim, ASID, table.at(7), wanted), "now it is spurious");
}

#[test]
fn write_permission_of_one_entry_unfolds_of_a_whole_block_does_not() {
    let table = Table::folded();
    wrprotect_ptes(&table.sim, ASID, table.at(0), ALL);
    let wanted = table.get(7).mkwrite().mkdirty().mkyoung();
    assert!(set_access_flags(&table.sim, ASID, table.at(7), wanted));
    assert_eq!(table.folded_blocks(), [false, true, true, true]);
    assert!((0..N).all(|i| table.get(i).is_writable() == (i == 7)));
    table.sim.clear_ops();
    make_writable_ptes(&table.sim, ASID, table.at(N), 2 * N);
    assert_eq!(table.folded_blocks(), [false, true, true, true]);
    assert!((N..3 * N).all(|i| table.get(i).is_hw_dirty()));
    assert_eq!(table.tlbis(), 1);
}

#[test]
fn clearing_one_entry_of_a_block_unfolds_and_returns_what_was_noted() {
    let table = Table::folded();
    table.note(9, true);
    let old = ptep_clear_flush(&table.sim, ASID, table.at(4));
    assert!(old.is_dirty() && old.pfn() == FRAME.add(4));
    assert!(table.get(4).is_none() && table.get(5).is_valid());
    table.no_stray_cont_bits();
    assert_eq!(table.tlbis(), 2, "the block for the unfold, then the page");
}

#[test]
fn a_block_that_became_equal_again_folds_whichever_entry_was_last() {
    let table = Table::folded();
    unfold(&table.sim, ASID, table.at(0));
    table.sim.clear_ops();
    assert!(try_fold_block(&table.sim, ASID, table.at(5), FOLIO));
    table.assert_break_before_make();
    assert_eq!(table.folded_blocks(), [true; 4]);
    assert_eq!(table.tlbis(), 1);
    assert!(!try_fold_block(&table.sim, ASID, table.at(5), FOLIO), "nothing left to do");
    assert_eq!(table.tlbis(), 1);
}

#[test]
fn unequal_entries_holes_and_foreign_pages_are_not_folded() {
    type Change = fn(Pte) -> Pte;
    let unequal: [(usize, Change); 5] = [
        (3, Pte::wrprotect),
        (CONT_PTES - 1, Pte::mkexec),
        (0, |_| Pte::NONE),
        (CONT_PTES - 2, |pte| pte.advance(1)),
        (1, Pte::mkprotnone),
    ];
    for (index, change) in unequal {
        let table = Table::folded();
        unfold(&table.sim, ASID, table.at(0));
        let old = ptep_clear_flush(&table.sim, ASID, table.at(index));
        table.sim.store(table.at(index).desc(), change(old).raw());
        assert!(!try_fold_block(&table.sim, ASID, table.at(5), FOLIO), "entry {index}");
        let writes_differ = change(old) == old.wrprotect();
        assert_eq!(try_fold_writable(&table.sim, ASID, table.at(5), FOLIO), writes_differ, "entry {index}");
    }
    let table = Table::folded();
    unfold(&table.sim, ASID, table.at(0));
    let short = FolioSpan { first: FRAME, pages: CONT_PTES as u64 - 1 };
    assert!(!try_fold_block(&table.sim, ASID, table.at(5), short), "half of it is another folio's");
}

#[test]
fn a_block_folded_writable_is_writable_dirty_and_young_throughout() {
    let table = Table::folded();
    wrprotect_ptes(&table.sim, ASID, table.at(0), CONT_PTES / 2);
    table.sim.clear_ops();
    assert!(try_fold_writable(&table.sim, ASID, table.at(CONT_PTES - 1), FOLIO));
    table.assert_break_before_make();
    assert!(
        (0..CONT_PTES).map(|i| table.get(i)).all(|pte| pte.is_cont() && pte.is_hw_dirty() && pte.is_young())
    );
}
