//! Clearing, and what must not be written over.

use super::*;

const C: usize = CONT_PTES;

#[test]
fn pte_clear_in_a_block_unfolds_first_and_clears_one() {
    // Failure 12: an entry taken out of a block that keeps its bit.
    let table = Table::folded();
    pte_clear(&table.sim, ASID, table.at(C + 3));
    assert!(table.get(C + 3).is_none() && table.get(C + 2).is_valid());
    assert_eq!(table.folded_blocks(), [true, false, true, true]);
    table.no_stray_cont_bits();
    assert_eq!((table.sim.counted(Event::Unfold), table.tlbis()), (1, 1));
}

#[test]
fn get_and_clear_full_gathers_and_leaves_whole_blocks_alone() {
    let table = Table::folded();
    table.note(2 * C + 1, true);
    let old = get_and_clear_full_ptes(&table.sim, ASID, table.at(C), 2 * C);
    assert!(old.is_young() && old.is_dirty() && old.pfn() == FRAME.add(C as u64));
    assert_eq!((table.sim.counted(Event::Unfold), table.tlbis()), (0, 0));
    assert!((0..4 * C).all(|index| table.get(index).is_none() == (C..3 * C).contains(&index)));
    assert_eq!(table.folded_blocks(), [true, false, false, true]);
    // Not a bit of what is outside the range.
    table.sim.walker_update(table.at(0).desc(), |raw| Pte::from_raw(raw).mkdirty().raw());
    assert!(!get_and_clear_full_ptes(&table.sim, ASID, table.at(3 * C), C).is_dirty());
}

#[test]
fn get_and_clear_full_unfolds_blocks_covered_in_part() {
    let table = Table::folded();
    get_and_clear_full_ptes(&table.sim, ASID, table.at(3), C);
    assert_eq!(table.sim.counted(Event::Unfold), 2);
    assert_eq!(table.folded_blocks(), [false, false, true, true]);
    table.no_stray_cont_bits();
    assert!(table.get(2).is_valid() && table.get(3).is_none() && table.get(3 + C).is_valid());
}

#[test]
fn get_and_clear_full_does_not_lose_what_hardware_notes_until_an_entry_is_gone() {
    // Failure 17: whatever access it happens before, a write that found the entry valid is in the result.
    for when in 0..3 * C {
        let table = Table::folded();
        let mut old = Pte::NONE;
        let written = table.note_during(5, when, || {
            old = get_and_clear_full_ptes(&table.sim, ASID, table.at(0), C);
        });
        assert_eq!(old.is_dirty(), written, "written before access {when}");
    }
}

#[test]
#[should_panic(expected = "set_ptes over a live entry")]
fn a_live_entry_is_not_written_over() {
    let table = Table::folded();
    set_ptes(&table.sim, table.at(3), Pte::user(FRAME.add(3)), 1);
}

#[test]
#[should_panic(expected = "set_ptes into a live block")]
fn the_hole_of_a_live_block_is_not_filled() {
    let table = Table::folded();
    table.sim.swap(table.at(3).desc(), 0);
    set_ptes(&table.sim, table.at(3), Pte::user(FRAME.add(3)), 1);
}

#[test]
fn an_entry_that_maps_no_frame_is_written_and_cleared_like_any() {
    let table = Table::folded();
    let old = ptep_get_and_clear(&table.sim, ASID, table.at(C));
    let swap = crate::NonPresent::Swap(crate::desc::SwapEntry { slot: 77 }).encode().with_tracking_of(old);
    set_pte_at(&table.sim, ASID, table.at(C), swap, None);
    assert_eq!(table.get(C), swap);
    // It does not complete a block, and what completes the block around it does not fold.
    let last = ptep_get_and_clear(&table.sim, ASID, table.at(2 * C - 1));
    set_pte_at(&table.sim, ASID, table.at(2 * C - 1), last, Some(FOLIO));
    assert_eq!(table.sim.counted(Event::Fold), 0);
    assert_eq!(ptep_get_and_clear(&table.sim, ASID, table.at(C)), swap);
    set_pte_at(&table.sim, ASID, table.at(C), old, Some(FOLIO));
    assert_eq!(table.folded_blocks(), [true, false, true, true], "only the last entry's setter folds");
}
