//! fork on the machine: what the parent had cached for writing must not outlive the fork.

use linux_raw_sys::general::MADV_DONTNEED;
use paging::{Event, Level, PAGE_SHIFT};

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, BLOCK, HUGE, LARGE, LARGE_ORDER, OnlyOrder, PAGE, Sandbox};
use crate::arch::machine::counted;
use crate::mm::policy::BLOCK_ORDER;
use crate::mm::{FaultError, Prot};

pub(super) const TESTS: &[Test] = &[
    test("fork.isolates_both_ways_4k", || isolates_both_ways(12)),
    test("fork.isolates_both_ways_8k", || isolates_both_ways(13)),
    test("fork.isolates_both_ways_16k", || isolates_both_ways(14)),
    test("fork.isolates_both_ways_32k", || isolates_both_ways(15)),
    test("fork.isolates_both_ways_64k", || isolates_both_ways(16)),
    test("fork.isolates_both_ways_128k", || isolates_both_ways(17)),
    test("fork.isolates_both_ways_256k", || isolates_both_ways(18)),
    test("fork.isolates_both_ways_512k", || isolates_both_ways(19)),
    test("fork.isolates_both_ways_1m", || isolates_both_ways(20)),
    test("fork.isolates_both_ways_2m", || isolates_both_ways(21)),
    test("fork.blocks_stay_folded_with_one_flush", blocks_stay_folded_with_one_flush),
    test("fork.again_before_any_write", again_before_any_write),
    test("fork.reuses_what_the_child_left", reuses_what_the_child_left),
    test("fork.copies_partial_batches", copies_partial_batches),
    test("fork.crosses_a_pmd_boundary", crosses_a_pmd_boundary),
    test("fork.300_children", three_hundred_children),
];

/// With folios of `1 << shift` bytes, or of pages where these are larger.
fn isolates_both_ways(shift: u32) -> TestResult {
    // Two of the largest folios, at least half of which are written on one side only.
    const PAGES: usize = if HUGE > 128 { HUGE } else { 128 };
    let order = shift.saturating_sub(PAGE_SHIFT) as u8;
    let _order = OnlyOrder::new(order);
    let mut parent = Sandbox::filled(PAGES, 1000)?;
    // The parent's TLB holds writable entries for all of it now.
    let mut child = parent.fork()?;
    parent.fill(64, 5000)?;
    check!(child.holds(PAGES, 1000));
    for page in 32..96 {
        child.write(BASE + page * PAGE, 7)?;
    }
    check!(parent.holds(64, 5000));
    check!((64..PAGES).all(|page| parent.read(BASE + page * PAGE) == Ok(1000 + page as u64)));
    drop(child);
    parent.fill(PAGES, 1)?;
    check!(parent.holds(PAGES, 1));
    Ok(())
}

fn blocks_stay_folded_with_one_flush() -> TestResult {
    let _order = OnlyOrder::new(BLOCK_ORDER);
    // 64 MiB, or what a small machine has room for beside the tables.
    let blocks = ((64 << 20) / PAGE).min(crate::mm().free_pages() as usize / 2) / BLOCK;
    let pages = blocks * BLOCK;
    let mut parent = Sandbox::filled(pages, 0)?;
    check!(parent.folded(pages) == pages);
    let events =
        [Event::Unfold, Event::TlbiAsid, Event::TlbiVa, Event::TlbiRange, Event::TlbiAll].map(counted);
    let mut child = parent.fork()?;
    let after =
        [Event::Unfold, Event::TlbiAsid, Event::TlbiVa, Event::TlbiRange, Event::TlbiAll].map(counted);
    check!(after[0] == events[0] && after[1] == events[1] + 1 && after[2..] == events[2..]);
    check!(parent.folded(pages) == pages && child.folded(pages) == pages);
    check!(child.read(BASE + 5 * PAGE)? == 5);
    Ok(())
}

fn again_before_any_write() -> TestResult {
    let mut parent = Sandbox::filled(32, 1)?;
    let mut first = parent.fork()?;
    let mut second = parent.fork()?;
    let mut grandchild = second.fork()?;
    parent.write(BASE, 100)?;
    first.write(BASE, 101)?;
    grandchild.write(BASE, 102)?;
    check!(second.holds(32, 1));
    check!(parent.read(BASE)? == 100 && first.read(BASE)? == 101 && grandchild.read(BASE)? == 102);
    Ok(())
}

fn reuses_what_the_child_left() -> TestResult {
    let _order = OnlyOrder::new(BLOCK_ORDER);
    let mut parent = Sandbox::filled(4 * BLOCK, 0)?;
    drop(parent.fork()?);
    let (copies, reuses) = (counted(Event::CowCopy), counted(Event::CowReuse));
    parent.fill(4 * BLOCK, 1)?;
    check!(counted(Event::CowCopy) == copies && counted(Event::CowReuse) == reuses + 4);
    check!(parent.folded(4 * BLOCK) == 4 * BLOCK && parent.holds(4 * BLOCK, 1));
    Ok(())
}

fn copies_partial_batches() -> TestResult {
    let _order = OnlyOrder::new(LARGE_ORDER);
    let mut parent = Sandbox::filled(LARGE, 0)?;
    let mm = crate::mm();
    // A hole, a page without access, a page of another folio, read-only pages among writable ones.
    parent.space().madvise(mm, BASE + 5 * PAGE, PAGE, MADV_DONTNEED)?;
    parent.space().mprotect(mm, BASE + 9 * PAGE, PAGE, Prot::empty())?;
    parent.space().madvise(mm, BASE + 20 * PAGE, PAGE, MADV_DONTNEED)?;
    parent.write(BASE + 20 * PAGE, 20)?;
    parent.space().mprotect(mm, BASE + (LARGE - 8) * PAGE, 8 * PAGE, Prot::READ)?;
    let mut child = parent.fork()?;
    for side in [&mut parent, &mut child] {
        check!(side.read(BASE + 5 * PAGE)? == 0);
        check!(side.read(BASE + 9 * PAGE) == Err(FaultError::AccErr));
        check!(side.write(BASE + (LARGE - 4) * PAGE, 1) == Err(FaultError::AccErr));
        check!(
            (0..LARGE)
                .filter(|page| ![5, 9].contains(page))
                .all(|page| side.read(BASE + page * PAGE) == Ok(page as u64))
        );
    }
    child.write(BASE + 20 * PAGE, 1)?;
    parent.write(BASE + 15 * PAGE, 2)?;
    check!(parent.read(BASE + 20 * PAGE)? == 20 && child.read(BASE + 15 * PAGE)? == 15);
    Ok(())
}

fn crosses_a_pmd_boundary() -> TestResult {
    let mut parent = Sandbox::new()?;
    let start = BASE + Level::PMD.entry_size() as usize - 24 * PAGE;
    parent.map(start, 48)?;
    for page in 0..48 {
        parent.write(start + page * PAGE, page as u64)?;
    }
    let mut child = parent.fork()?;
    parent.write(start + 23 * PAGE, 0)?;
    parent.write(start + 24 * PAGE, 0)?;
    check!((0..48).all(|page| child.read(start + page * PAGE) == Ok(page as u64)));
    Ok(())
}

fn three_hundred_children() -> TestResult {
    let mut parent = Sandbox::filled(16, 6)?;
    let mut children = alloc::vec::Vec::new();
    children.try_reserve_exact(300).map_err(crate::errno::Errno::from)?;
    for _ in 0..300 {
        children.push(parent.fork()?);
    }
    if let [first, .., last] = &mut children[..] {
        first.write(BASE, 1)?;
        check!(last.holds(16, 6));
    }
    check!(parent.holds(16, 6));
    Ok(())
}
