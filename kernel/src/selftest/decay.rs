//! Blocks that stay folded, on the machine: what copy-on-write costs by the block, and what is folded again.

use linux_raw_sys::general::{MADV_COLLAPSE, MADV_DONTNEED};
use paging::Event;

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, BLOCK, OnlyOrder, PAGE, Sandbox};
use crate::arch::machine::counted;
use crate::mm::Prot;
use crate::mm::policy::BLOCK_ORDER;

pub(super) const TESTS: &[Test] = &[
    test("decay.beside_the_child_one_fault_and_one_copy_a_block", beside_the_child),
    test("decay.after_the_child_one_fault_and_no_copy_a_block", after_the_child),
    test("decay.protection_taken_back_folds_again", protection_taken_back_folds_again),
    test("decay.a_hole_is_refilled_and_folded", a_hole_is_refilled_and_folded),
    test("decay.small_pages_collapse_to_blocks", small_pages_collapse_to_blocks),
];

/// Blocks that each test looks at.
const BLOCKS: usize = 4;
const PAGES: usize = BLOCKS * BLOCK;
const COSTS: [Event; 4] = [Event::PageFaults, Event::CowCopy, Event::FramesCopied, Event::Unfold];

fn spent(before: [u64; COSTS.len()]) -> [u64; COSTS.len()] {
    let mut now = COSTS.map(counted);
    now.iter_mut().zip(before).for_each(|(now, before)| *now -= before);
    now
}

fn beside_the_child() -> TestResult {
    let _order = OnlyOrder::new(BLOCK_ORDER);
    let mut parent = Sandbox::filled(PAGES, 1)?;
    let mut child = parent.fork()?;
    let before = COSTS.map(counted);
    parent.fill(PAGES, 1000)?;
    check!(spent(before) == [BLOCKS as u64, BLOCKS as u64, PAGES as u64, 0]);
    check!(parent.folded(PAGES) == PAGES && child.folded(PAGES) == PAGES);
    check!(parent.holds(PAGES, 1000) && child.holds(PAGES, 1));
    Ok(())
}

fn after_the_child() -> TestResult {
    let _order = OnlyOrder::new(BLOCK_ORDER);
    let mut parent = Sandbox::filled(PAGES, 1)?;
    drop(parent.fork()?);
    let before = COSTS.map(counted);
    parent.fill(PAGES, 1000)?;
    check!(spent(before) == [BLOCKS as u64, 0, 0, 0]);
    check!(parent.folded(PAGES) == PAGES && parent.holds(PAGES, 1000));
    Ok(())
}

fn protection_taken_back_folds_again() -> TestResult {
    let _order = OnlyOrder::new(BLOCK_ORDER);
    let mut sandbox = Sandbox::filled(PAGES, 1)?;
    let (mm, part) = (crate::mm(), BASE + BLOCK / 2 * PAGE);
    sandbox.space().mprotect(mm, part, BLOCK * PAGE, Prot::READ)?;
    check!(sandbox.folded(PAGES) == PAGES - 2 * BLOCK);
    sandbox.space().mprotect(mm, part, BLOCK * PAGE, Prot::READ | Prot::WRITE)?;
    check!(sandbox.folded(PAGES) == PAGES && sandbox.holds(PAGES, 1));
    sandbox.fill(PAGES, 7)?;
    check!(sandbox.holds(PAGES, 7));
    Ok(())
}

fn a_hole_is_refilled_and_folded() -> TestResult {
    let _order = OnlyOrder::new(BLOCK_ORDER);
    let mut sandbox = Sandbox::filled(BLOCK, 1)?;
    let (mm, hole) = (crate::mm(), BASE + 5 * PAGE);
    sandbox.space().madvise(mm, hole, PAGE, MADV_DONTNEED)?;
    check!(sandbox.folded(BLOCK) == 0 && sandbox.read(hole)? == 0);
    sandbox.write(hole + 8, 1)?;
    check!(sandbox.folded(BLOCK) == BLOCK && sandbox.read(hole)? == 0);
    sandbox.write(hole, 6)?;
    check!(sandbox.holds(BLOCK, 1));
    Ok(())
}

fn small_pages_collapse_to_blocks() -> TestResult {
    let mut sandbox = {
        let _order = OnlyOrder::new(0);
        Sandbox::filled(PAGES, 1)?
    };
    let mut child = sandbox.fork()?;
    sandbox.space().madvise(crate::mm(), BASE, PAGES * PAGE, MADV_COLLAPSE)?;
    check!(sandbox.folded(PAGES) == PAGES && child.folded(PAGES) == 0);
    sandbox.fill(PAGES, 500)?;
    check!(sandbox.holds(PAGES, 500) && child.holds(PAGES, 1));
    Ok(())
}
