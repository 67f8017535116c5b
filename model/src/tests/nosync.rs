//! TLBIs that are issued on one CPU and waited for on another, or by nobody.

use paging::contpte::*;
use paging::flush::issue_range;
use paging::{Barrier, CONT_PTES, Mmu, VirtAddr};

use super::contpte::{ASID, Process, VA, everywhere, lenient};
use crate::machine::{Adversary, Fault};

/// A block that CPU 1 writes to, write-protected by CPU 0, which issued the TLBI and did not wait.
fn protected_without_waiting(process: &Process) -> paging::flush::Issued {
    process.map(0, CONT_PTES);
    process.write(1, 0, 1).unwrap();
    process.machine.run_on(0);
    wrprotect_ptes(&process.machine, ASID, process.at(0), CONT_PTES);
    issue_range(&process.machine, ASID, VirtAddr::new(VA), CONT_PTES as u64)
}

#[test]
fn a_dsb_of_another_cpu_leaves_the_stale_writable_entry() {
    // Failure 7: CPU 1 protects what CPU 0 protected already, and takes its own barrier for the end of both.
    let process = lenient(Adversary::Oldest);
    let issued = protected_without_waiting(&process);
    process.machine.run_on(1);
    process.machine.barrier(Barrier::DsbIsh);
    assert_eq!(process.machine.store_user(1, VA, 2), Ok(()), "through the old entry");
    process.machine.run_on(0);
    issued.sync(&process.machine);
    assert_eq!(process.machine.store_user(1, VA, 3), Err(Fault::Permission));
}

#[test]
fn a_flush_that_is_issued_again_on_the_other_cpu_ends_the_stale_entry() {
    let process = lenient(Adversary::Oldest);
    protected_without_waiting(&process).elide();
    process.machine.run_on(1);
    process.flush(0, CONT_PTES as u64);
    assert_eq!(process.machine.store_user(1, VA, 3), Err(Fault::Permission));
}

#[test]
fn what_was_issued_cannot_be_sent_to_another_cpu() {
    // Failure 7, for the compiler: with both implementations the name below would be ambiguous.
    trait Fixed<Reason> {
        fn stays() {}
    }
    impl<T> Fixed<()> for T {}
    struct BySend;
    impl<T: Send> Fixed<BySend> for T {}
    struct BySync;
    impl<T: Sync> Fixed<BySync> for T {}
    <paging::flush::Issued as Fixed<_>>::stays();
}

#[test]
fn a_local_tlbi_leaves_other_cpus_their_entry() {
    // Failure 18: a local TLBI where other CPUs run the address space.
    let process = lenient(Adversary::Oldest);
    process.map(0, 1);
    process.write(1, 0, 1).unwrap();
    process.machine.run_on(0);
    wrprotect_ptes(&process.machine, ASID, process.at(0), 1);
    paging::flush::local_page(&process.machine, ASID, VirtAddr::new(VA));
    assert_eq!(process.machine.store_user(1, VA, 2), Ok(()));
    let found = process.machine.take_violations();
    assert!(found.is_empty(), "CPU 1 owes nothing: {:?}", found[0].rule);
    assert_eq!(process.machine.store_user(0, VA, 2), Err(Fault::Permission));
    let found = process.machine.take_violations();
    assert_eq!(found[0].cause, Some(crate::Cause::LocalOnly));
}

#[test]
fn age_is_forgotten_by_the_block_and_nobody_waits() {
    everywhere(|process| {
        process.map(0, 2 * CONT_PTES);
        process.write(0, 3, 3).unwrap();
        assert!(ptep_clear_flush_young(&process.machine, ASID, process.at(9)));
        assert!(process.pte(0).is_cont());
        // It is used on, taken apart and taken away, as if nothing had been left to complete.
        process.write(1, 4, 4).unwrap();
        assert!(ptep_get(&process.machine, process.at(0)).is_dirty());
        let old = ptep_clear_flush(&process.machine, ASID, process.at(4));
        assert!(old.is_dirty());
        assert_eq!(process.read(1, 4), Err(Fault::Translation(3)));
        process.write(0, 3, 5).unwrap();
    });
}

#[test]
fn what_is_taken_out_of_a_block_knows_who_wrote() {
    everywhere(|process| {
        process.map(0, 2 * CONT_PTES);
        let (first, nr) = clear_young_dirty_ptes(&process.machine, process.at(1), 1, Forget::Both);
        assert_eq!((first, nr), (process.at(0), CONT_PTES));
        process.flush(0, CONT_PTES as u64);
        assert!(process.pte(0).is_cont() && !ptep_get(&process.machine, process.at(0)).is_dirty());
        process.write(1, 7, 7).unwrap();
        let old = get_and_clear_full_ptes(&process.machine, ASID, process.at(0), CONT_PTES);
        assert!(old.is_dirty() && old.is_young());
        process.flush(0, CONT_PTES as u64);
        set_ptes(&process.machine, process.at(0), old.wrprotect(), CONT_PTES);
        assert_eq!(process.read(0, 7), Ok(7));
        assert!(process.machine.store_user(0, VA, 1).is_err());
    });
}
