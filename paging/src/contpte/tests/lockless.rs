//! Reading a block while another CPU changes it.

use super::*;

const OTHER: Pfn = Pfn::new(0x9000);
/// Loads of one attempt: the entry, then the whole block.
const LOADS: usize = 1 + CONT_PTES;

/// Lets `change` happen once, before the load with number `when` (from 0), and returns what the reader got.
fn read_while(
    table: &Table,
    index: usize,
    when: usize,
    change: impl Fn(&Sim, PteRef) + Send + 'static,
) -> Pte {
    let (block, mut loads) = (table.at(0), 0);
    table.sim.interfere(move |sim| {
        if loads == when {
            change(sim, block);
        }
        loads += 1;
    });
    let pte = ptep_get_lockless(&table.sim, table.at(index));
    table.sim.be_alone();
    pte
}

fn dirtied(index: usize) -> Table {
    let table = Table::folded();
    table.note(index, true);
    table
}

#[test]
fn a_quiet_block_is_gathered_and_a_single_entry_is_itself() {
    let table = dirtied(5);
    assert!(ptep_get_lockless(&table.sim, table.at(CONT_PTES - 1)).is_dirty());
    assert!(!ptep_get_lockless(&table.sim, table.at(CONT_PTES)).is_dirty());
    unfold(&table.sim, ASID, table.at(CONT_PTES));
    let single = table.at(CONT_PTES + 1);
    assert_eq!(ptep_get_lockless(&table.sim, single), ptep_get_raw(&table.sim, single));
}

#[test]
fn a_block_replaced_while_it_is_read_gives_all_of_the_old_or_all_of_the_new() {
    // The old block was written, through entry 5; the new one was not.
    for when in 0..LOADS + 2 {
        let table = dirtied(5);
        let pte = read_while(&table, 7, when, |sim, block| {
            clear_full_ptes(sim, ASID, block, CONT_PTES);
            set_ptes(sim, block, Pte::user(OTHER).mkwrite(), CONT_PTES);
        });
        let old = pte.pfn() == FRAME.add(7) && pte.is_dirty() && pte.is_young();
        let new = pte.pfn() == OTHER.add(7) && !pte.is_dirty() && !pte.is_young();
        assert!(old || new, "changed before load {when}: {pte:?}");
    }
}

#[test]
fn a_block_protected_unfolded_or_cleared_while_it_is_read_is_seen_before_or_after() {
    for when in 0..LOADS + 2 {
        let table = dirtied(5);
        let pte = read_while(&table, 7, when, |sim, block| wrprotect_ptes(sim, ASID, block, CONT_PTES));
        assert!(pte.is_dirty() && pte.pfn() == FRAME.add(7), "write-protected before load {when}: {pte:?}");

        let table = dirtied(5);
        let pte = read_while(&table, 7, when, |sim, block| unfold(sim, ASID, block));
        assert!(pte.is_dirty() && pte.is_young(), "unfolded before load {when}: {pte:?}");

        let table = dirtied(5);
        let pte = read_while(&table, 7, when, |sim, block| clear_full_ptes(sim, ASID, block, CONT_PTES));
        assert!(pte.is_none() || pte.is_dirty(), "cleared before load {when}: {pte:?}");
    }
}

#[test]
fn a_writer_in_the_middle_of_its_break_is_waited_for() {
    // Entries 0 to 7 of the block are cleared when the reader begins, and set again after it has seen that.
    let table = dirtied(CONT_PTES / 2 + 1);
    let kept: Vec<u64> = (0..CONT_PTES / 2).map(|index| table.get(index).raw()).collect();
    (0..CONT_PTES / 2).for_each(|index| {
        table.sim.swap(table.at(index).desc(), 0);
    });
    let (block, mut loads) = (table.at(0), 0);
    table.sim.interfere(move |sim| {
        loads += 1;
        if loads == LOADS {
            kept.iter().enumerate().for_each(|(index, raw)| {
                sim.swap(block.add(index).desc(), *raw);
            });
        }
    });
    let pte = ptep_get_lockless(&table.sim, table.at(CONT_PTES - 1));
    assert!(pte.is_dirty() && pte.is_cont());
}
