//! Folding and unfolding on the machine: contents and what hardware noted survive, and the old translations do not.

use paging::contpte::{ptep_get, set_pte_at, unfold, wrprotect_ptes};
use paging::flush::issue_range;
use paging::{CONT_PTES, Event};

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, OnlyOrder, PAGE, Sandbox};
use crate::arch::machine::{Cpu, counted};
use crate::arch::probe;
use crate::errno::Errno;
use crate::mm::pmd::PMD_ORDER;

pub(super) const TESTS: &[Test] = &[
    test("contpte.large_folios_are_mapped_folded", large_folios_are_mapped_folded),
    test("contpte.unfold_keeps_contents_and_dirty_state", unfold_keeps_contents_and_dirty_state),
    test("contpte.the_last_entry_folds_the_block", the_last_entry_folds_the_block),
    test("contpte.a_hole_unfolds_only_its_block", a_hole_unfolds_only_its_block),
    test("contpte.wrprotect_of_a_block_stops_writes_folded", wrprotect_of_a_block_stops_writes_folded),
    test("contpte.a_dirty_sibling_does_not_hide_a_fault", a_dirty_sibling_does_not_hide_a_fault),
];

fn large_folios_are_mapped_folded() -> TestResult {
    // The largest is mapped by a block descriptor where there is one of its size: see `pmd`.
    for order in (4..=9).filter(|order| Some(*order) != PMD_ORDER) {
        let _order = OnlyOrder::new(order);
        let mut sandbox = Sandbox::filled(512, 0)?;
        check!(sandbox.folded(512) == 512);
        check!(sandbox.holds(512, 0));
    }
    let _order = OnlyOrder::new(3);
    let mut sandbox = Sandbox::filled(64, 0)?;
    check!(sandbox.folded(64) == 0);
    Ok(())
}

fn unfold_keeps_contents_and_dirty_state() -> TestResult {
    let mut sandbox = Sandbox::filled(48, 10)?;
    let unfolds = counted(Event::Unfold);
    let at = sandbox.at(BASE + 20 * PAGE).ok_or(Errno::EFAULT)?;
    unfold(&Cpu, sandbox.space().asid(), at);
    check!(counted(Event::Unfold) == unfolds + 1);
    check!(sandbox.folded(48) == 32);
    check!(sandbox.pte(BASE + 31 * PAGE).is_dirty());
    check!(sandbox.holds(48, 10));
    sandbox.fill(48, 70)?;
    check!(sandbox.holds(48, 70));
    Ok(())
}

fn the_last_entry_folds_the_block() -> TestResult {
    let mut sandbox = Sandbox::filled(16, 3)?;
    let asid = sandbox.space().asid();
    let first = sandbox.at(BASE).ok_or(Errno::EFAULT)?;
    let span = crate::mm().frames.folio(sandbox.pte(BASE).pfn()).span();
    unfold(&Cpu, asid, first);
    // Take the last entry out and put it back, as a single-page operation would.
    let last = first.add(CONT_PTES - 1);
    let pte = paging::contpte::ptep_clear_flush(&Cpu, asid, last);
    check!(probe::load_user(BASE + 15 * PAGE).is_err());
    let folds = counted(Event::Fold);
    set_pte_at(&Cpu, asid, last, pte, Some(span));
    check!(counted(Event::Fold) == folds + 1 && sandbox.folded(16) == 16);
    check!(sandbox.holds(16, 3));
    Ok(())
}

fn a_hole_unfolds_only_its_block() -> TestResult {
    let mut sandbox = Sandbox::filled(64, 0)?;
    sandbox.space().munmap(crate::mm(), BASE + 20 * PAGE, PAGE)?;
    check!(sandbox.folded(64) == 48);
    sandbox.activate();
    check!(probe::load_user(BASE + 20 * PAGE).is_err());
    check!(sandbox.read(BASE + 19 * PAGE)? == 19 && sandbox.read(BASE + 21 * PAGE)? == 21);
    Ok(())
}

fn wrprotect_of_a_block_stops_writes_folded() -> TestResult {
    let mut sandbox = Sandbox::filled(32, 0)?;
    sandbox.activate();
    let asid = sandbox.space().asid();
    let first = sandbox.at(BASE).ok_or(Errno::EFAULT)?;
    wrprotect_ptes(&Cpu, asid, first, 32);
    issue_range(&Cpu, asid, first.va(), 32).sync(&Cpu);
    check!(sandbox.folded(32) == 32);
    for page in 0..32 {
        check!(probe::load_user(BASE + page * PAGE) == Ok(page as u64));
        check!(probe::store_user(BASE + page * PAGE, 1).is_err());
        check!(sandbox.pte(BASE + page * PAGE).is_dirty());
    }
    Ok(())
}

fn a_dirty_sibling_does_not_hide_a_fault() -> TestResult {
    let mut sandbox = Sandbox::filled(16, 0)?;
    let asid = sandbox.space().asid();
    let first = sandbox.at(BASE).ok_or(Errno::EFAULT)?;
    // The whole block old and clean, then page 3 written, then page 7.
    paging::contpte::modify_prot_ptes(&Cpu, asid, first, CONT_PTES, |pte| pte.mkold().mkclean());
    issue_range(&Cpu, asid, first.va(), CONT_PTES as u64).sync(&Cpu);
    sandbox.write(BASE + 3 * PAGE, 30)?;
    sandbox.write(BASE + 7 * PAGE, 70)?;
    let gathered = ptep_get(&Cpu, first);
    check!(gathered.is_young() && gathered.is_dirty());
    check!(sandbox.folded(16) == 16);
    check!(sandbox.read(BASE + 3 * PAGE)? == 30 && sandbox.read(BASE + 7 * PAGE)? == 70);
    Ok(())
}
