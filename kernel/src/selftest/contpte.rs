//! Folding and unfolding on the machine: contents and what hardware noted survive, and the old translations do not.

use paging::contpte::{ptep_get, set_pte_at, unfold, wrprotect_ptes};
use paging::flush::issue_range;
use paging::{CONT_PTES, Event};

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, BLOCK, HUGE, OnlyOrder, PAGE, Sandbox};
use crate::arch::machine::{Cpu, counted};
use crate::arch::probe;
use crate::errno::Errno;
use crate::mm::frame::MAX_ORDER;
use crate::mm::pmd::PMD_ORDER;
use crate::mm::policy::BLOCK_ORDER;

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
    for order in (BLOCK_ORDER..=MAX_ORDER).filter(|order| Some(*order) != PMD_ORDER) {
        let _order = OnlyOrder::new(order);
        let mut sandbox = Sandbox::filled(HUGE, 0)?;
        check!(sandbox.folded(HUGE) == HUGE);
        check!(sandbox.holds(HUGE, 0));
    }
    let _order = OnlyOrder::new(BLOCK_ORDER - 1);
    let mut sandbox = Sandbox::filled(4 * BLOCK, 0)?;
    check!(sandbox.folded(4 * BLOCK) == 0);
    Ok(())
}

fn unfold_keeps_contents_and_dirty_state() -> TestResult {
    let _order = OnlyOrder::new(BLOCK_ORDER);
    let mut sandbox = Sandbox::filled(3 * BLOCK, 10)?;
    let unfolds = counted(Event::Unfold);
    let tlbis = || counted(Event::TlbiVa) + counted(Event::TlbiRange);
    let (before, level) = (tlbis(), crate::arch::bbm_level());
    let spared = counted(Event::FoldNoTlbi);
    let at = sandbox.at(BASE + (BLOCK + 4) * PAGE).ok_or(Errno::EFAULT)?;
    unfold(&Cpu, sandbox.space().asid(), at);
    check!(counted(Event::Unfold) == unfolds + 1);
    // Memory that was written: nothing is left for hardware to note, so level 2 needs neither break nor flush.
    check!((tlbis() > before) == (level < 2));
    check!((counted(Event::FoldNoTlbi) > spared) == (level == 2));
    check!(sandbox.folded(3 * BLOCK) == 2 * BLOCK);
    check!(sandbox.pte(BASE + (2 * BLOCK - 1) * PAGE).is_dirty());
    check!(sandbox.holds(3 * BLOCK, 10));
    sandbox.fill(3 * BLOCK, 70)?;
    check!(sandbox.holds(3 * BLOCK, 70));
    Ok(())
}

fn the_last_entry_folds_the_block() -> TestResult {
    let _order = OnlyOrder::new(BLOCK_ORDER);
    let mut sandbox = Sandbox::filled(BLOCK, 3)?;
    let asid = sandbox.space().asid();
    let first = sandbox.at(BASE).ok_or(Errno::EFAULT)?;
    let span = crate::mm().frames.folio(sandbox.pte(BASE).pfn()).span();
    unfold(&Cpu, asid, first);
    // Take the last entry out and put it back, as a single-page operation would.
    let last = first.add(CONT_PTES - 1);
    let pte = paging::contpte::ptep_clear_flush(&Cpu, asid, last);
    check!(probe::load_user(BASE + (BLOCK - 1) * PAGE).is_err());
    let folds = counted(Event::Fold);
    set_pte_at(&Cpu, asid, last, pte, Some(span));
    check!(counted(Event::Fold) == folds + 1 && sandbox.folded(BLOCK) == BLOCK);
    check!(sandbox.holds(BLOCK, 3));
    Ok(())
}

fn a_hole_unfolds_only_its_block() -> TestResult {
    let _order = OnlyOrder::new(BLOCK_ORDER);
    let mut sandbox = Sandbox::filled(4 * BLOCK, 0)?;
    sandbox.space().munmap(crate::mm(), BASE + (BLOCK + 4) * PAGE, PAGE)?;
    check!(sandbox.folded(4 * BLOCK) == 3 * BLOCK);
    sandbox.activate();
    check!(probe::load_user(BASE + (BLOCK + 4) * PAGE).is_err());
    check!(
        sandbox.read(BASE + (BLOCK + 3) * PAGE)? == BLOCK as u64 + 3
            && sandbox.read(BASE + (BLOCK + 5) * PAGE)? == BLOCK as u64 + 5
    );
    Ok(())
}

fn wrprotect_of_a_block_stops_writes_folded() -> TestResult {
    let _order = OnlyOrder::new(BLOCK_ORDER);
    let mut sandbox = Sandbox::filled(2 * BLOCK, 0)?;
    sandbox.activate();
    let asid = sandbox.space().asid();
    let first = sandbox.at(BASE).ok_or(Errno::EFAULT)?;
    wrprotect_ptes(&Cpu, asid, first, 2 * BLOCK);
    issue_range(&Cpu, asid, first.va(), 2 * BLOCK as u64).sync(&Cpu);
    check!(sandbox.folded(2 * BLOCK) == 2 * BLOCK);
    for page in 0..2 * BLOCK {
        check!(probe::load_user(BASE + page * PAGE) == Ok(page as u64));
        check!(probe::store_user(BASE + page * PAGE, 1).is_err());
        check!(sandbox.pte(BASE + page * PAGE).is_dirty());
    }
    Ok(())
}

fn a_dirty_sibling_does_not_hide_a_fault() -> TestResult {
    let _order = OnlyOrder::new(BLOCK_ORDER);
    let mut sandbox = Sandbox::filled(BLOCK, 0)?;
    let asid = sandbox.space().asid();
    let first = sandbox.at(BASE).ok_or(Errno::EFAULT)?;
    // The whole block old and clean, then page 3 written, then page 7.
    paging::contpte::modify_prot_ptes(&Cpu, asid, first, CONT_PTES, |pte| pte.mkold().mkclean());
    issue_range(&Cpu, asid, first.va(), CONT_PTES as u64).sync(&Cpu);
    sandbox.write(BASE + 3 * PAGE, 30)?;
    sandbox.write(BASE + 7 * PAGE, 70)?;
    let gathered = ptep_get(&Cpu, first);
    check!(gathered.is_young() && gathered.is_dirty());
    check!(sandbox.folded(BLOCK) == BLOCK);
    check!(sandbox.read(BASE + 3 * PAGE)? == 30 && sandbox.read(BASE + 7 * PAGE)? == 70);
    Ok(())
}
