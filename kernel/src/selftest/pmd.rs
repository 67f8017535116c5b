//! Block descriptors of user memory on the machine: made, forked, reused and split. Nothing to see on granules whose
//! blocks are larger than any folio.

use linux_raw_sys::general::MADV_DONTNEED;
use paging::{CONT_PTES, Event, VirtAddr};

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, OnlyOrder, PAGE, Sandbox};
use crate::arch::machine::counted;
use crate::mm::Prot;
use crate::mm::pmd::{PMD_ORDER, PMD_PAGES};

pub(super) const TESTS: &[Test] = &[
    test("pmd.one_fault_maps_a_block", one_fault_maps_a_block),
    test("pmd.fork_shares_it_as_one_entry", fork_shares_it_as_one_entry),
    test("pmd.a_write_beside_a_child_splits_it", a_write_beside_a_child_splits_it),
    test("pmd.parts_of_it_are_protected_and_unmapped", parts_of_it_are_protected_and_unmapped),
];

/// Runs `body` on a sandbox with a block at [`BASE`], its pages holding `seed`, `seed + 1`, ...
fn with_block(seed: u64, body: impl FnOnce(&mut Sandbox) -> TestResult) -> TestResult {
    let Some(order) = PMD_ORDER else { return Ok(()) };
    let _order = OnlyOrder::new(order);
    let mut sandbox = Sandbox::filled(PMD_PAGES, seed)?;
    check!(is_block(&mut sandbox));
    body(&mut sandbox)
}

fn is_block(sandbox: &mut Sandbox) -> bool {
    sandbox.space().block_at(crate::mm(), VirtAddr::new(BASE as u64)).is_some()
}

fn one_fault_maps_a_block() -> TestResult {
    let faults = counted(Event::PageFaults);
    with_block(7, |sandbox| {
        check!(counted(Event::PageFaults) == faults + 1);
        check!(sandbox.holds(PMD_PAGES, 7));
        Ok(())
    })
}

fn fork_shares_it_as_one_entry() -> TestResult {
    with_block(100, |parent| {
        let events = [Event::ForkPmds, Event::TlbiAsid, Event::SplitPmd].map(counted);
        let mut child = parent.fork()?;
        let after = [Event::ForkPmds, Event::TlbiAsid, Event::SplitPmd].map(counted);
        check!(after == [events[0] + 1, events[1] + 1, events[2]]);
        check!(is_block(parent) && is_block(&mut child) && child.holds(PMD_PAGES, 100));
        drop(child);
        // Alone again: the first write makes all of it writable.
        let faults = counted(Event::PageFaults);
        parent.fill(PMD_PAGES, 200)?;
        check!(counted(Event::PageFaults) == faults + 1 && is_block(parent));
        check!(parent.holds(PMD_PAGES, 200));
        Ok(())
    })
}

fn a_write_beside_a_child_splits_it() -> TestResult {
    with_block(1, |parent| {
        let mut child = parent.fork()?;
        parent.write(BASE + 9 * PAGE, 999)?;
        check!(!is_block(parent) && is_block(&mut child));
        check!(parent.folded(PMD_PAGES) >= PMD_PAGES - CONT_PTES);
        check!(child.holds(PMD_PAGES, 1) && parent.read(BASE + 9 * PAGE)? == 999);
        check!(parent.read(BASE + 10 * PAGE)? == 11);
        Ok(())
    })
}

fn parts_of_it_are_protected_and_unmapped() -> TestResult {
    with_block(5, |sandbox| {
        let mm = crate::mm();
        // Writable entries of the block are in the TLB now.
        sandbox.space().mprotect(mm, BASE, CONT_PTES * PAGE, Prot::READ)?;
        check!(sandbox.write(BASE, 1).is_err());
        sandbox.space().madvise(mm, BASE + 3 * CONT_PTES * PAGE, PAGE, MADV_DONTNEED)?;
        check!(sandbox.read(BASE + 3 * CONT_PTES * PAGE)? == 0);
        check!(sandbox.read(BASE + (PMD_PAGES - 1) * PAGE)? == 5 + PMD_PAGES as u64 - 1);
        check!(sandbox.folded(PMD_PAGES) == PMD_PAGES - CONT_PTES);
        Ok(())
    })
}
