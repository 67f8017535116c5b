//! Write protection of one entry, and permissions by batch.

use super::*;

const C: usize = CONT_PTES;
/// A machine whose walkers note accesses and writes.
const HARDWARE: Features =
    Features { tlbi_range: true, ttl: false, hw_af: true, hw_dirty: true, bbm_level: 0 };

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

/// mprotect's change: no more writes.
fn protect_run(table: &Table, index: usize, max: usize) -> (usize, bool) {
    modify_prot_run(&table.sim, ASID, table.at(index), max, Pte::wrprotect)
}

#[test]
fn blocks_that_are_young_and_dirty_change_by_plain_stores_and_each_is_read_once() {
    let table = Table::folded_with(HARDWARE);
    (0..4).for_each(|block| table.note(block * C, true));
    let loads = Arc::new(Mutex::new(0));
    let seen = loads.clone();
    table.sim.interfere(move |_| *seen.lock().unwrap() += 1);
    assert_eq!(protect_run(&table, 0, 4 * C), (4 * C, true));
    table.sim.be_alone();
    assert!((0..4 * C).all(|i| {
        let pte = table.get(i);
        pte == table.plain(i).mkyoung().mkdirty().mkcont().wrprotect()
    }));
    let (stores, atomics) = (4 * C as u64, table.sim.counted(Event::PteAtomics));
    assert_eq!((table.sim.counted(Event::PteStores), atomics), (stores + stores, 0), "set, then protected");
    // A store is an access, and of each block two loads are: one to compare, one to write from.
    assert!(*loads.lock().unwrap() <= 4 * (C + 2) + 2, "{loads:?}");
}

#[test]
fn whatever_hardware_notes_in_a_block_meanwhile_is_kept() {
    // The first entry: only young, only dirty, neither, both.
    for (young, dirty) in [(true, false), (false, true), (false, false), (true, true)] {
        let mut when = 0;
        loop {
            let table = Table::folded_with(HARDWARE);
            table.sim.walker_update(table.at(0).desc(), |raw| {
                let pte = Pte::from_raw(raw);
                let pte = if young { pte.mkyoung() } else { pte };
                if dirty { pte.mkdirty().raw() } else { pte.raw() }
            });
            if !table.note_during(3, when, || assert_eq!(protect_run(&table, 0, C), (C, true))) {
                break;
            }
            let all = ptep_get(&table.sim, table.at(0));
            assert!(
                all.is_dirty() && all.is_young() && !all.is_writable(),
                "{young} {dirty} {when}: {all:?}"
            );
            when += 1;
        }
        assert!(when > 0);
    }
}

#[test]
fn whatever_hardware_notes_in_single_entries_meanwhile_is_kept() {
    // Unfolded, writable, and in turn: nothing noted, accessed, written.
    let fresh = || {
        let table = Table::folded_with(HARDWARE);
        unfold(&table.sim, ASID, table.at(0));
        (0..C).filter(|i| i % 3 > 0).for_each(|i| table.note(i, i % 3 == 2));
        table
    };
    for index in 0..3 {
        let mut when = 0;
        loop {
            let table = fresh();
            if !table.note_during(index, when, || assert_eq!(protect_run(&table, 0, C), (C, true))) {
                break;
            }
            assert!(table.get(index).is_dirty() && table.get(index).is_young(), "{index} {when}");
            assert!((0..C).all(|i| !table.get(i).is_writable()));
            when += 1;
        }
        assert!(when > 0);
    }
    // Without such hardware nothing needs an exchange, whatever the entries say.
    let table = Table::folded();
    unfold(&table.sim, ASID, table.at(0));
    let before = table.sim.counted(Event::PteAtomics);
    (0..C).filter(|i| i % 3 > 0).for_each(|i| table.note(i, i % 3 == 2));
    assert_eq!(protect_run(&table, 0, C), (C, true));
    assert!((0..C).all(|i| table.get(i).is_dirty() == (i % 3 == 2) && !table.get(i).is_writable()));
    assert_eq!(table.sim.counted(Event::PteAtomics), before);
}

#[test]
fn each_entry_changes_by_what_it_says_itself() {
    let table = Table::with(HARDWARE);
    let entry = |i: usize| {
        let pte = table.plain(i).mkyoung().mkdirty();
        let pte = if i.is_multiple_of(5) { pte.mkexec() } else { pte };
        if i.is_multiple_of(7) { pte.wrprotect().mksoft_dirty() } else { pte }
    };
    // No block is aligned to its frames, so none is folded.
    let place = |i: usize| table.at(i + 1);
    (0..C + 3).for_each(|i| set_ptes(&table.sim, place(i), entry(i), 1));
    let f = |pte: Pte| if pte.is_user_exec() { pte.mknoexec() } else { pte.wrprotect() };
    assert_eq!(modify_prot_run(&table.sim, ASID, place(0), 3 * C, f), (C + 3, true), "up to the hole");
    assert!((0..C + 3).all(|i| ptep_get_raw(&table.sim, place(i)) == f(entry(i))));
}

#[test]
fn what_does_not_change_is_not_written() {
    let table = Table::folded_with(HARDWARE);
    table.note(2 * C, true);
    unfold(&table.sim, ASID, table.at(3 * C));
    table.sim.clear_ops();
    assert_eq!(modify_prot_run(&table.sim, ASID, table.at(0), 4 * C, |pte| pte), (4 * C, false));
    assert!(table.sim.ops().is_empty());
}

#[test]
fn a_run_that_covers_part_of_a_block_unfolds_it() {
    let table = Table::folded_with(HARDWARE);
    (0..4).for_each(|block| table.note(block * C, true));
    assert_eq!(protect_run(&table, C / 2, 2 * C), (2 * C, true));
    assert_eq!(table.folded_blocks(), [false, true, false, true]);
    assert!((0..4 * C).all(|i| table.get(i).is_writable() != (C / 2..C / 2 + 2 * C).contains(&i)));
    table.assert_break_before_make();
}

#[test]
fn a_block_becomes_writable_by_plain_stores_and_only_as_a_whole() {
    let table = Table::folded_with(HARDWARE);
    wrprotect_ptes(&table.sim, ASID, table.at(0), 4 * C);
    let atomics = table.sim.counted(Event::PteAtomics);
    table.note(3, false);
    make_writable_ptes(&table.sim, ASID, table.at(0), C);
    let written = |i: usize| table.get(i).is_hw_dirty() && table.get(i).is_young();
    assert!((0..C).all(written) && !(C..4 * C).any(written));
    assert_eq!(table.sim.counted(Event::PteAtomics), atomics);
    assert_eq!((table.folded_blocks(), table.tlbis()), ([true; 4].to_vec(), 1));
    // One entry of a block.
    make_writable_ptes(&table.sim, ASID, table.at(C + 3), 1);
    assert_eq!(table.folded_blocks(), [true, false, true, true]);
    assert!((C..2 * C).all(|i| table.get(i).is_writable() == (i == C + 3)));
    // As many entries as a block has, of two.
    make_writable_ptes(&table.sim, ASID, table.at(2 * C + 1), C);
    assert_eq!(table.folded_blocks(), [true, false, false, false]);
    assert!((2 * C..4 * C).all(|i| table.get(i).is_writable() == (2 * C + 1..3 * C + 1).contains(&i)));
    // One entry that is in no block.
    make_writable_ptes(&table.sim, ASID, table.at(C), 1);
    assert!(written(C) && !table.get(C + 1).is_writable());
}
