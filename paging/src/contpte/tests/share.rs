//! Sharing what hardware has finished with.

use super::*;

/// The first ALL entries map FOLIO, writable, and were written: four folded blocks, or none.
fn written(folded: bool) -> (Table, Pte, Share) {
    let table = Table::new();
    let pte = Pte::user(FRAME).mkwrite().mkdirty().mkyoung();
    if folded {
        set_ptes(&table.sim, table.at(0), pte, ALL);
    } else {
        (0..ALL).for_each(|index| set_ptes(&table.sim, table.at(index), pte.advance(index as u64), 1));
    }
    table.sim.clear_ops();
    let pte = table.get(0);
    (table, pte, Share::of(pte, false).unwrap())
}

/// Where the tests' child has its entries: in the same table, which is all the same to the functions.
const CHILD: usize = ALL;

fn is_shared(table: &Table, index: usize, cont: bool) {
    let (parent, child) = (table.get(index), table.get(CHILD + index));
    assert!(!parent.is_writable() && parent.is_dirty() && parent.is_young(), "{parent:?}");
    assert!(!child.is_writable() && child.is_dirty() && !child.is_young(), "{child:?}");
    let frame = FRAME.add(index as u64);
    assert_eq!((parent.pfn(), child.pfn()), (frame, frame));
    assert_eq!((parent.is_cont(), child.is_cont()), (cont, cont));
}

#[test]
fn blocks_are_shared_folded_with_one_read_each_and_no_exchange() {
    let (table, pte, share) = written(true);
    assert_eq!(share.run_blocks(&table.sim, table.at(0), pte, ALL), ALL);
    share.write(&table.sim, table.at(0), table.at(CHILD), pte, ALL);
    (0..ALL).for_each(|index| is_shared(&table, index, true));
    assert!(share.protects());
    assert_eq!((table.sim.counted(Event::Unfold), table.sim.counted(Event::PteAtomics)), (0, 0));
    // What was shared once is not protected again, and stays as it is.
    let pte = table.get(N);
    let again = Share::of(pte, false).unwrap();
    assert!(!again.protects());
    (CHILD..CHILD + ALL).for_each(|index| table.sim.store(table.at(index).desc(), 0));
    again.write(&table.sim, table.at(N), table.at(CHILD + N), pte, N);
    (N..2 * N).for_each(|index| is_shared(&table, index, true));
    assert!(table.get(CHILD).is_none() && table.get(CHILD + 2 * N).is_none());
}

#[test]
fn single_entries_are_shared_as_they_are_and_whole_blocks_of_them_folded_for_the_child() {
    for nr in 2..2 * N {
        let (table, pte, share) = written(false);
        assert_eq!(share.run(&table.sim, table.at(0), pte, nr), nr);
        share.write(&table.sim, table.at(0), table.at(CHILD), pte, nr);
        for index in 0..nr {
            assert!(!table.get(index).is_writable() && !table.get(CHILD + index).is_writable());
            assert_eq!(table.get(CHILD + index).is_cont(), index < nr / N * N, "{index} of {nr}");
        }
        assert!(table.get(nr).is_writable() && table.get(CHILD + nr).is_none());
    }
}

#[test]
fn a_page_that_is_a_folio_by_itself_is_two_stores() {
    let (table, pte, share) = written(false);
    share.write_page(&table.sim, table.at(0), table.at(CHILD), pte);
    is_shared(&table, 0, false);
    assert_eq!(table.sim.ops().len(), 2);
}

#[test]
fn hardware_has_the_last_word_where_it_may_still_note_something() {
    let pte = Pte::user(FRAME).mkwrite().mkdirty().mkyoung();
    assert!(Share::of(pte, true).is_some());
    for other in [pte.mkclean(), pte.mkold(), pte.mkprotnone(), pte.mkspecial(), Pte::NONE] {
        assert_eq!(Share::of(other, true), None, "{other:?}");
    }
    // A read-only entry does not change on the parent's side, so what hardware notes in it stays.
    assert!(Share::of(Pte::user(FRAME), true).is_some_and(|share| !share.protects()));
}

#[test]
fn what_hardware_notes_in_other_entries_of_a_block_meanwhile_is_not_lost() {
    // Failure 17, for a block of which one entry is young and dirty and the others are clean.
    for when in 0..4 * N {
        let table = Table::folded();
        table.note(0, true);
        let pte = table.get(0);
        let share = Share::of(pte, false).unwrap();
        table.note_during(5, when, || {
            share.write(&table.sim, table.at(0), table.at(CHILD), pte, N);
        });
        (0..N).for_each(|index| is_shared(&table, index, true));
    }
}

#[test]
fn a_run_ends_at_a_hole_and_is_none_where_its_folio_goes_on_otherwise() {
    for hole in 2..N {
        let (table, pte, share) = written(false);
        table.sim.store(table.at(hole).desc(), 0);
        assert_eq!(share.run(&table.sim, table.at(0), pte, ALL), hole);
        table.sim.store(table.at(hole).desc(), pte.raw());
        assert_eq!(share.run(&table.sim, table.at(0), pte, ALL), hole, "another frame");
        table.sim.store(table.at(hole).desc(), pte.advance(hole as u64).wrprotect().raw());
        assert_eq!(share.run(&table.sim, table.at(0), pte, ALL), 0, "a batch of mixed permissions");
        assert_eq!(share.run(&table.sim, table.at(0), pte, hole), hole);
    }
    let (table, pte, share) = written(true);
    assert_eq!(
        share.run_blocks(&table.sim, table.at(0), pte, ALL - 1),
        0,
        "part of a block is unfolded first"
    );
    // Neither does a block of the folio that is not folded, or a folded one behind others, make it less.
    for (folded, next) in
        [(true, Pte::mknoncont as fn(Pte) -> Pte), (true, |_| Pte::NONE), (false, Pte::mkcont)]
    {
        let (table, pte, share) = written(folded);
        (N..2 * N).for_each(|index| table.sim.store(table.at(index).desc(), next(table.get(index)).raw()));
        let run = match folded {
            true => share.run_blocks(&table.sim, table.at(0), pte, ALL),
            false => share.run(&table.sim, table.at(0), pte, ALL),
        };
        assert_eq!(run, N);
    }
}

#[test]
fn protection_for_userfaultfd_goes_to_a_child_that_keeps_the_registration() {
    let pte = Pte::user(FRAME).mkyoung().mkdirty().mkuffd_wp();
    for keep in [false, true] {
        let (table, share) = (Table::new(), Share::of(pte, keep).unwrap());
        set_ptes(&table.sim, table.at(0), pte, 1);
        share.write_page(&table.sim, table.at(0), table.at(CHILD), pte);
        assert_eq!((table.get(0).is_uffd_wp(), table.get(CHILD).is_uffd_wp()), (true, keep));
    }
}
