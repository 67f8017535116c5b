//! MADV_COLLAPSE: what becomes one folio, what does not, and why.

use linux_raw_sys::general::{MADV_COLLAPSE, MADV_NOHUGEPAGE};
use paging::{CONT_PTES, Event, PTES_PER_TABLE, Pfn};

use super::*;
use crate::errno::{Errno, Result};
use crate::mm::testing::{machine, sized};
use crate::mm::{Backing, FaultError, MapFlags, MapRequest, Prot};

const PMD_ORDER: u8 = PTES_PER_TABLE.trailing_zeros() as u8;

/// A process with `pages` single pages mapped at [`BASE`], of which every `step`th was written: `1 + i`.
fn small<'m>(mm: &'m Mm<HostMachine>, pages: usize, step: usize) -> Process<'m> {
    only_order(mm, 0);
    let mut process = Process::new(mm);
    process.map_anon(BASE, pages);
    for page in (0..pages).step_by(step) {
        process.write(BASE + page * PAGE, 1u8.wrapping_add(page as u8)).unwrap();
    }
    process
}

/// Whether all pages hold what [`small`] wrote.
fn intact(process: &mut Process<'_>, pages: usize, step: usize) {
    for page in 0..pages {
        let value = if page.is_multiple_of(step) { 1u8.wrapping_add(page as u8) } else { 0 };
        assert_eq!(process.read(BASE + page * PAGE), Ok(value), "page {page}");
    }
}

fn collapse(process: &mut Process<'_>, first: usize, pages: usize) -> Result<()> {
    process.enter();
    process.space.madvise(process.mm, BASE + first * PAGE, pages * PAGE, MADV_COLLAPSE)
}

fn order_of(process: &Process<'_>, page: usize) -> u8 {
    process.mm.frames.folio(process.pte(BASE + page * PAGE).pfn()).order
}

#[test]
fn small_pages_and_holes_become_folded_blocks() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = small(&mm, 4 * CONT_PTES, 3);
        process.read(BASE + PAGE).unwrap(); // the zero page
        // From inside the first block to inside the last: the two between.
        collapse(&mut process, 1, 4 * CONT_PTES - 2).unwrap();
        assert_eq!(folded(&process, BASE, 4 * CONT_PTES), 2 * CONT_PTES);
        assert_eq!(folded(&process, BASE + CONT_PTES * PAGE, 2 * CONT_PTES), 2 * CONT_PTES);
        assert_eq!((order_of(&process, CONT_PTES), order_of(&process, 0)), (BLOCK_ORDER, 0));
        intact(&mut process, 4 * CONT_PTES, 3);
        let rss =
            2 * CONT_PTES + (0..CONT_PTES).chain(3 * CONT_PTES..4 * CONT_PTES).filter(|p| p % 3 == 0).count();
        assert_eq!(process.space.usage(&mm).rss_pages, rss);
        let faults = mm.machine.counted(Event::PageFaults);
        fill(&mut process, BASE + CONT_PTES * PAGE, 2 * CONT_PTES, 9);
        assert_eq!(mm.machine.counted(Event::PageFaults), faults, "all of it is writable");
        process.exit();
    });
}

#[test]
fn a_whole_table_of_small_pages_becomes_one_folio() {
    if PMD_ORDER > MAX_ORDER {
        return; // no folio is that large with this granule
    }
    let mm = sized(8 * PTES_PER_TABLE);
    leaks_nothing(&mm, || {
        let mut process = small(&mm, 2 * PTES_PER_TABLE, 1);
        let free = mm.free_pages() + mm.table_pages();
        collapse(&mut process, 0, 2 * PTES_PER_TABLE).unwrap();
        assert_eq!((order_of(&process, 0), order_of(&process, PTES_PER_TABLE)), (PMD_ORDER, PMD_ORDER));
        let both = mm.free_pages() + mm.table_pages();
        assert_eq!((both, mm.machine.counted(Event::Collapse)), (free, 2), "two tables less are needed");
        assert_eq!(process.space.usage(&mm).pmd_pages, 2 * PTES_PER_TABLE);
        intact(&mut process, 2 * PTES_PER_TABLE, 1);
        // Again: nothing is left to do.
        let copied = mm.machine.counted(Event::FramesCopied);
        collapse(&mut process, 0, 2 * PTES_PER_TABLE).unwrap();
        assert_eq!(
            (mm.machine.counted(Event::FramesCopied), mm.machine.counted(Event::Collapse)),
            (copied, 2)
        );
        process.exit();
    });
}

#[test]
fn a_block_that_was_split_gets_its_entry_back_without_a_copy() {
    if PMD_ORDER > MAX_ORDER {
        return;
    }
    let mm = sized(8 * PTES_PER_TABLE);
    leaks_nothing(&mm, || {
        only_order(&mm, PMD_ORDER);
        let mut process = Process::new(&mm);
        process.map_anon(BASE, PTES_PER_TABLE);
        fill(&mut process, BASE, PTES_PER_TABLE, 1);
        process.space.mprotect(&mm, BASE, 3 * PAGE, Prot::READ).unwrap();
        process.space.mprotect(&mm, BASE, 3 * PAGE, Prot::READ | Prot::WRITE).unwrap();
        assert_eq!(process.space.usage(&mm).pmd_pages, 0);
        assert_eq!(folded(&process, BASE, PTES_PER_TABLE), PTES_PER_TABLE, "in blocks of a table at least");
        let copied = mm.machine.counted(Event::FramesCopied);
        collapse(&mut process, 0, PTES_PER_TABLE).unwrap();
        assert_eq!(process.space.usage(&mm).pmd_pages, PTES_PER_TABLE);
        assert_eq!(mm.machine.counted(Event::FramesCopied), copied);
        check(&mut process, BASE, PTES_PER_TABLE, 1);
        fill(&mut process, BASE, PTES_PER_TABLE, 7);
        process.exit();
    });
}

#[test]
fn pages_shared_with_a_child_are_copied_and_stay_the_child_s() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = small(&mm, 2 * CONT_PTES, 1);
        let mut child = parent.fork().unwrap();
        collapse(&mut parent, 0, 2 * CONT_PTES).unwrap();
        assert_eq!(
            (folded(&parent, BASE, 2 * CONT_PTES), folded(&child, BASE, 2 * CONT_PTES)),
            (2 * CONT_PTES, 0)
        );
        parent.write(BASE + 3 * PAGE, 99).unwrap();
        intact(&mut child, 2 * CONT_PTES, 1);
        child.write(BASE, 98).unwrap();
        assert_eq!((parent.read(BASE), parent.read(BASE + 3 * PAGE)), (Ok(1), Ok(99)));
        child.exit();
        parent.exit();
    });
}

#[test]
fn protection_is_kept_and_a_split_block_of_one_folio_is_only_folded() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = small(&mm, 3 * CONT_PTES, 1);
        process.space.mprotect(&mm, BASE, CONT_PTES * PAGE, Prot::READ).unwrap();
        process.space.mprotect(&mm, BASE + CONT_PTES * PAGE, CONT_PTES * PAGE, Prot::empty()).unwrap();
        collapse(&mut process, 0, 3 * CONT_PTES).unwrap();
        assert_eq!(process.write(BASE, 1), Err(FaultError::AccErr));
        assert_eq!(process.read(BASE + CONT_PTES * PAGE), Err(FaultError::AccErr));
        let all = Prot::READ | Prot::WRITE;
        process.space.mprotect(&mm, BASE, 3 * CONT_PTES * PAGE, all).unwrap();
        assert_eq!(folded(&process, BASE, 3 * CONT_PTES), 3 * CONT_PTES);
        intact(&mut process, 3 * CONT_PTES, 1);
        blocks(&mm, BLOCK_ORDER, true, false);
        process.space.mprotect(&mm, BASE, PAGE, Prot::READ).unwrap();
        process.space.mprotect(&mm, BASE, PAGE, all).unwrap();
        assert_eq!(folded(&process, BASE, CONT_PTES), 0);
        let copied = mm.machine.counted(Event::FramesCopied);
        collapse(&mut process, 0, CONT_PTES).unwrap();
        assert_eq!(
            (folded(&process, BASE, CONT_PTES), mm.machine.counted(Event::FramesCopied)),
            (CONT_PTES, copied)
        );
        process.exit();
    });
}

#[test]
fn a_page_others_refer_to_stays_and_the_rest_goes_on() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = small(&mm, 3 * CONT_PTES, 1);
        let page = process.pte(BASE + (CONT_PTES + 2) * PAGE).pfn();
        mm.folio_get(page).unwrap();
        assert_eq!(collapse(&mut process, 0, 3 * CONT_PTES), Err(Errno::EAGAIN));
        assert_eq!(process.pte(BASE + (CONT_PTES + 2) * PAGE).pfn(), page);
        assert_eq!(
            [0, CONT_PTES, 2 * CONT_PTES].map(|page| order_of(&process, page)),
            [BLOCK_ORDER, 0, BLOCK_ORDER]
        );
        mm.folio_put(page);
        assert_eq!(collapse(&mut process, 0, 3 * CONT_PTES), Ok(()));
        intact(&mut process, 3 * CONT_PTES, 1);
        process.exit();
    });
}

#[test]
fn a_pinned_page_is_not_moved_whatever_stands_beside_it() {
    let mm = machine();
    leaks_nothing(&mm, || {
        only_order(&mm, BLOCK_ORDER);
        let mut process = Process::new(&mm);
        process.map_anon(BASE, CONT_PTES);
        fill(&mut process, BASE, CONT_PTES, 1);
        let mut frames = [Pfn::new(0)];
        process.enter();
        process.space.pin_pages(&mm, BASE, true, &mut frames).unwrap();
        // The last page is another folio's, so that the block is not all in step.
        let last = BASE + (CONT_PTES - 1) * PAGE;
        process.space.munmap(&mm, last, PAGE).unwrap();
        process.map_anon(last, 1);
        process.write(last, CONT_PTES as u8).unwrap();
        assert_eq!(collapse(&mut process, 0, CONT_PTES), Err(Errno::EAGAIN));
        assert_eq!(process.pte(BASE).pfn(), frames[0]);
        mm.unpin(frames[0]);
        assert_eq!(collapse(&mut process, 0, CONT_PTES), Ok(()));
        check(&mut process, BASE, CONT_PTES, 1);
        process.exit();
    });
}

#[test]
fn what_cannot_be_collapsed_is_refused_as_on_linux() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = small(&mm, 2 * CONT_PTES, 1);
        assert_eq!(collapse(&mut process, 1, CONT_PTES), Err(Errno::EINVAL), "no whole block");
        assert_eq!(collapse(&mut process, 0, 4 * CONT_PTES), Err(Errno::ENOMEM), "part of it is not mapped");
        assert_eq!(folded(&process, BASE, 2 * CONT_PTES), 2 * CONT_PTES, "but what is was collapsed");
        // In another table, nothing of which exists.
        process.map_anon(BASE + 8 * PTES_PER_TABLE * PAGE, CONT_PTES);
        assert_eq!(collapse(&mut process, 8 * PTES_PER_TABLE, CONT_PTES), Err(Errno::EINVAL));
        process.space.madvise(&mm, BASE, CONT_PTES * PAGE, MADV_NOHUGEPAGE).unwrap();
        assert_eq!(collapse(&mut process, 0, CONT_PTES), Err(Errno::EINVAL));
        let addr = BASE + 4 * CONT_PTES * PAGE;
        let flags = MapFlags::FIXED | MapFlags::SHARED;
        let prot = Prot::READ | Prot::WRITE;
        let request = MapRequest { addr, len: CONT_PTES * PAGE, prot, flags, backing: Backing::Anon };
        process.space.mmap(&mm, request).unwrap();
        process.write(addr, 1).unwrap();
        assert_eq!(collapse(&mut process, 4 * CONT_PTES, CONT_PTES), Err(Errno::EINVAL));
        process.exit();
    });
}

#[test]
fn where_nothing_is_mapped_nothing_is_looked_for() {
    let mm = machine();
    leaks_nothing(&mm, || {
        // The last block of one table, a block at the start of another, and all that is between them: what else such a
        // table has would be filled.
        let first = PTES_PER_TABLE - CONT_PTES;
        let last = (64 << 40) / PAGE / PTES_PER_TABLE * PTES_PER_TABLE;
        let pages = last + CONT_PTES - first;
        let mut process = Process::new(&mm);
        process.map_anon(BASE + first * PAGE, pages);
        for page in [first + 1, last] {
            process.write(BASE + page * PAGE, 7).unwrap();
        }
        // A look at each block, of which there are thousands of millions, would not end today.
        assert_eq!(collapse(&mut process, first, pages), Err(Errno::EINVAL), "of the stretches that failed");
        for page in [first + 1, last] {
            assert_eq!(process.read(BASE + page * PAGE), Ok(7));
            assert!(order_of(&process, page) >= BLOCK_ORDER, "what is mapped is collapsed");
        }
        process.exit();
    });
}

#[test]
fn wherever_memory_runs_out_nothing_is_lost_or_leaked() {
    let pages = HUGE.max(4 * CONT_PTES);
    let mm = sized(4 * pages);
    let whole = PMD_ORDER <= MAX_ORDER;
    leaks_nothing(&mm, || {
        let (mut none, mut some, mut all) = (0, 0, 0);
        // Ever more memory left, in steps that are no multiple of anything, and at last all of it.
        for left in (0..6 * CONT_PTES as u64).step_by(CONT_PTES / 2 + 5).chain([u64::MAX]) {
            let mut process = small(&mm, pages, 1);
            let left = left.min(mm.free_pages());
            let mut held = mm.hold_all();
            assert!(held.release(left));
            let tables = mm.table_pages();
            let result = collapse(&mut process, 0, pages);
            assert!(matches!(result, Ok(()) | Err(Errno::ENOMEM)));
            assert_eq!(
                mm.free_pages() + mm.table_pages(),
                left + tables,
                "as many frames were freed as taken"
            );
            intact(&mut process, pages, 1);
            match (result, order_of(&process, 0)) {
                (Err(_), 0) => none += 1,
                (_, PMD_ORDER) if whole => all += 1,
                _ => some += 1,
            }
            drop(held);
            process.exit();
        }
        assert!(none > 0 && some > 0 && (all > 0 || !whole), "{none} {some} {all}");
        assert!(mm.machine.counted(Event::CollapseFailed) > 0);
    });
}
