//! Write protection of one entry, and permissions by batch.

use super::*;

const C: usize = CONT_PTES;

#[test]
fn set_wrprotect_unfolds_and_protects_one() {
    let table = Table::folded();
    table.note(C, true);
    ptep_set_wrprotect(&table.sim, ASID, table.at(C + 2));
    assert_eq!(table.folded_blocks(), [true, false, true, true]);
    assert!((0..4 * C).all(|index| table.get(index).is_writable() == (index != C + 2)));
    assert!(table.get(C + 2).is_dirty(), "failure 17: what hardware noted in a sibling");
    table.assert_break_before_make();
}

#[test]
fn set_wrprotect_of_what_is_protected_leaves_its_block_folded() {
    let table = Table::folded();
    wrprotect_ptes(&table.sim, ASID, table.at(0), C);
    ptep_set_wrprotect(&table.sim, ASID, table.at(2));
    assert_eq!(table.folded_blocks(), [true; 4]);
    assert_eq!(table.sim.counted(Event::Unfold), 0);
}

#[test]
fn permissions_of_whole_blocks_change_in_place_and_are_never_absent() {
    let table = Table::folded();
    modify_prot_ptes(&table.sim, ASID, table.at(0), 4 * C, |pte| pte.mkexec().wrprotect());
    assert_eq!(table.folded_blocks(), [true; 4]);
    assert!((0..4 * C).all(|index| table.get(index).is_user_exec() && !table.get(index).is_writable()));
    for op in table.sim.ops() {
        assert!(!matches!(op, Op::Store(_, _, new) if !Pte::from_raw(new).is_valid()), "{op:?}");
    }
}

#[test]
fn no_access_and_back_leaves_a_written_page_writable_at_once() {
    // Failure 9: read and write -> PROT_NONE -> read and write left dirty for software and clean for hardware.
    let table = Table::folded();
    (0..C).for_each(|i| {
        table.note(i, true);
    });
    modify_prot_ptes(&table.sim, ASID, table.at(0), C, Pte::mkprotnone);
    assert!((0..C).all(|i| table.get(i).is_protnone() && !table.get(i).is_cont()));
    let back = table.get(0).wrprotect().mkvalid().mkwrite();
    set_ptes(&table.sim, table.at(0), back, C);
    assert!((0..C).all(|i| table.get(i).is_hw_dirty() && table.get(i).is_cont()));
}
