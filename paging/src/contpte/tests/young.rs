//! Access flag and dirty state are a block's.

use super::*;

const C: usize = CONT_PTES;

#[test]
fn test_and_clear_young_takes_the_whole_block_without_unfolding() {
    let table = Table::folded();
    table.note(5, false);
    table.note(C + 1, false);
    assert!(ptep_test_and_clear_young(&table.sim, table.at(9)), "a sibling was accessed");
    assert!(!ptep_test_and_clear_young(&table.sim, table.at(0)), "and that is forgotten in all");
    assert!(table.get(C + 1).is_young(), "but not in the next block");
    assert_eq!(table.folded_blocks(), [true; 4]);
    assert_eq!((table.tlbis(), table.sim.counted(Event::Unfold)), (0, 0));
}

#[test]
fn test_and_clear_young_of_a_single_entry_takes_that_one() {
    let table = Table::folded();
    unfold(&table.sim, ASID, table.at(0));
    table.note(5, true);
    table.note(6, false);
    assert!(!ptep_test_and_clear_young(&table.sim, table.at(4)));
    assert!(ptep_test_and_clear_young(&table.sim, table.at(5)));
    assert!(table.get(6).is_young() && table.get(5).is_dirty());
}

#[test]
fn clear_flush_young_is_one_range_without_waiting_and_nothing_if_it_was_old() {
    let table = Table::folded();
    table.sim.clear_ops();
    assert!(!ptep_clear_flush_young(&table.sim, ASID, table.at(3)));
    assert_eq!(table.tlbis(), 0);
    table.note(5, false);
    assert!(ptep_clear_flush_young(&table.sim, ASID, table.at(3)));
    assert_eq!(table.ranges(), [(table.at(0).va(), C as u64)]);
    assert_eq!(table.tlbis(), 1);
    assert!(!table.sim.ops().contains(&Op::Barrier(Barrier::DsbIsh)), "nobody waits");
    assert_eq!(table.folded_blocks(), [true; 4]);
}

#[test]
fn clear_young_does_not_lose_a_dirty_state_that_hardware_sets_meanwhile() {
    for when in 0..3 * C {
        let table = Table::folded();
        table.note(3, false);
        let written = table.note_during(3, when, || {
            ptep_test_and_clear_young(&table.sim, table.at(0));
        });
        assert_eq!(table.get(3).is_dirty(), written, "written before access {when}");
    }
}

#[test]
fn clear_young_dirty_reaches_whole_blocks_and_never_beyond() {
    // Failure 3: the end was computed in entries instead of bytes, and ran out of bounds.
    for (first, nr, changed) in [
        (0, 4 * C, 0..4 * C),
        (C, C, C..2 * C),
        (C + 1, 1, C..2 * C),
        (C - 1, 2, 0..2 * C),
        (5, 2 * C, 0..3 * C),
        (4 * C - 1, 1, 3 * C..4 * C),
    ] {
        let table = Table::folded();
        (0..4 * C).for_each(|index| table.note(index, true));
        let (from, all) = clear_young_dirty_ptes(&table.sim, table.at(first), nr, Forget::Both);
        assert_eq!((from, all), (table.at(changed.start), changed.len()), "{nr} from {first}");
        for index in 0..4 * C {
            let (pte, gone) = (table.get(index), changed.contains(&index));
            assert_eq!((pte.is_young(), pte.is_dirty()), (!gone, !gone), "entry {index}, {nr} from {first}");
            assert!(pte.is_writable());
        }
        assert_eq!(table.folded_blocks(), [true; 4]);
        assert_eq!(table.sim.counted(Event::PteStores), (4 * C + changed.len()) as u64);
    }
}

#[test]
fn clear_young_dirty_of_single_entries_stays_within_the_range() {
    let table = Table::folded();
    (0..4).for_each(|block| unfold(&table.sim, ASID, table.at(block * C)));
    (0..4 * C).for_each(|index| table.note(index, true));
    let all = clear_young_dirty_ptes(&table.sim, table.at(3), C, Forget::Young);
    assert_eq!(all, (table.at(3), C));
    let all = clear_young_dirty_ptes(&table.sim, table.at(3), 1, Forget::Dirty);
    assert_eq!(all, (table.at(3), 1));
    for index in 0..4 * C {
        assert_eq!(table.get(index).is_young(), !(3..3 + C).contains(&index), "entry {index}");
        assert_eq!(table.get(index).is_dirty(), index != 3, "entry {index}");
    }
}
