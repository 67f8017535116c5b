//! Folding and unfolding without a flush between, at BBM level 2.

use super::*;

const C: usize = CONT_PTES;

/// Hardware that manages dirty state or not, at BBM level 2.
fn level2(hw_dirty: bool) -> Features {
    Features { hw_af: hw_dirty, hw_dirty, bbm_level: 2, ..Features::default() }
}

fn ever_invalid(table: &Table) -> bool {
    table.sim.ops().iter().any(|op| matches!(op, Op::Store(_, _, new) if !Pte::from_raw(*new).is_valid()))
}

/// Fills the first block entry by entry with `pte`, so that the last one folds it.
fn fill(table: &Table, pte: Pte) {
    for index in 0..C {
        set_pte_at(&table.sim, ASID, table.at(index), pte.advance(index as u64), Some(FOLIO));
    }
}

#[test]
fn folding_and_unfolding_need_no_tlbi_and_entries_are_never_invalid() {
    for hw_dirty in [false, true] {
        let table = Table::with(level2(hw_dirty));
        fill(&table, Pte::user(FRAME).mkwrite().mkdirty().mkyoung());
        assert_eq!((table.folded_blocks()[0], table.sim.counted(Event::Fold)), (true, 1));
        unfold(&table.sim, ASID, table.at(3));
        assert!(!table.folded_blocks()[0]);
        assert_eq!(table.tlbis(), 0);
        assert!(!ever_invalid(&table));
        assert_eq!(table.sim.counted(Event::FoldNoTlbi), 2);
        assert!((0..C).all(|i| table.get(i).is_hw_dirty() && table.get(i).pfn() == FRAME.add(i as u64)));
    }
}

#[test]
fn below_level_2_there_is_a_break_and_a_flush() {
    for bbm_level in [0, 1] {
        let table = Table::folded_with(Features { bbm_level, ..Features::default() });
        unfold(&table.sim, ASID, table.at(0));
        assert_eq!((table.tlbis(), ever_invalid(&table)), (1, true));
        table.assert_break_before_make();
    }
}

#[test]
fn a_block_that_hardware_could_still_make_dirty_is_broken_but_not_flushed() {
    let table = Table::folded_with(level2(true));
    unfold(&table.sim, ASID, table.at(0));
    assert_eq!((table.tlbis(), ever_invalid(&table)), (0, true));
    // Read-only and dirty ones it cannot change.
    for pte in [Pte::user(FRAME), Pte::user(FRAME).mkwrite().mkdirty()] {
        let table = Table::with(level2(true));
        set_ptes(&table.sim, table.at(0), pte, C);
        unfold(&table.sim, ASID, table.at(0));
        assert!(!ever_invalid(&table), "{pte:?}");
    }
}

#[test]
fn nothing_that_hardware_notes_meanwhile_is_lost() {
    // Failure 17, without a break: the write happens before any one access of the conversion.
    for index in [0, 1, C - 1] {
        for when in (0..5 * C).step_by(if cfg!(miri) { 9 } else { 1 }) {
            let table = Table::folded_with(level2(true));
            if table.note_during(index, when, || unfold(&table.sim, ASID, table.at(2))) {
                assert!(table.get(index).is_dirty() && table.get(index).is_young(), "unfold, access {when}");
            }
            assert!(!table.folded_blocks()[0]);

            let table = Table::with(level2(true));
            (0..C - 1).for_each(|i| set_ptes(&table.sim, table.at(i), table.plain(i), 1));
            let fold = || set_pte_at(&table.sim, ASID, table.at(C - 1), table.plain(C - 1), Some(FOLIO));
            if table.note_during(index, when, fold) {
                assert!(ptep_get(&table.sim, table.at(0)).is_dirty(), "fold, entry {index}, access {when}");
            }
            assert!(table.folded_blocks()[0]);
        }
    }
}

#[test]
fn unfolding_gives_every_entry_what_any_had() {
    // A TLB that holds the block as one entry wrote to all pages after noting it in one.
    for hw_dirty in [false, true] {
        let table = Table::folded_with(level2(hw_dirty));
        table.note(3, true);
        unfold(&table.sim, ASID, table.at(0));
        assert!((0..C).all(|i| table.get(i).is_hw_dirty() && table.get(i).is_young()));
    }
}
