//! Blocks that stay folded: copied whole, reused whole, and folded again once they can be.

use linux_raw_sys::general::MADV_DONTNEED;
use paging::{CONT_PTES, Event, Pfn};

use super::*;
use crate::mm::testing::{machine, sized};
use crate::mm::{FaultError, Prot};

const RW: Prot = Prot::READ.union(Prot::WRITE);
/// Pages in half a block.
const HALF: usize = CONT_PTES / 2;

/// A process with `blocks` filled blocks at [`BASE`], page i holding `1 + i`.
fn filled<'m>(mm: &'m Mm<HostMachine>, blocks: usize) -> Process<'m> {
    only_order(mm, BLOCK_ORDER);
    let mut process = Process::new(mm);
    process.map_anon(BASE, blocks * CONT_PTES);
    fill(&mut process, BASE, blocks * CONT_PTES, 1);
    process
}

/// How often each of `events` is counted during `f`.
fn counted<const N: usize>(mm: &Mm<HostMachine>, events: [Event; N], f: impl FnOnce()) -> [u64; N] {
    let before = events.map(|event| mm.machine.counted(event));
    f();
    let mut after = events.map(|event| mm.machine.counted(event));
    after.iter_mut().zip(before).for_each(|(after, before)| *after -= before);
    after
}

const COW: [Event; 6] = [
    Event::PageFaults,
    Event::CowCopy,
    Event::FramesCopied,
    Event::Unfold,
    Event::TlbiRange,
    Event::FolioRefUpdates,
];

#[test]
fn a_write_beside_the_child_copies_the_block_in_one_fault_and_maps_it_folded() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = filled(&mm, 4);
        let mut child = parent.fork().unwrap();
        let pages = 4 * CONT_PTES;
        let spent = counted(&mm, COW, || fill(&mut parent, BASE, pages, 100));
        assert_eq!(spent, [4, 4, pages as u64, 0, 4, 4]);
        let spent = counted(&mm, COW, || fill(&mut child, BASE, pages, 200));
        assert_eq!(spent[..3], [4, 0, 0], "what the parent left is the child's alone");
        assert_eq!((folded(&parent, BASE, pages), folded(&child, BASE, pages)), (pages, pages));
        check(&mut parent, BASE, pages, 100);
        check(&mut child, BASE, pages, 200);
        child.exit();
        parent.exit();
    });
}

#[test]
fn with_the_child_gone_one_fault_a_block_and_no_copy() {
    let mm = machine();
    let mut parent = filled(&mm, 4);
    parent.fork().unwrap().exit();
    let spent = counted(&mm, COW, || fill(&mut parent, BASE, 4 * CONT_PTES, 5));
    assert_eq!(spent[..4], [4, 0, 0, 0]);
    assert_eq!(folded(&parent, BASE, 4 * CONT_PTES), 4 * CONT_PTES);
    parent.exit();
}

#[test]
fn a_copy_ends_with_the_vma_and_what_is_behind_stays_shared_and_protected() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = filled(&mm, 1);
        parent.space.mprotect(&mm, BASE + HALF * PAGE, HALF * PAGE, Prot::READ).unwrap();
        let mut child = parent.fork().unwrap();
        let spent = counted(&mm, COW, || child.write(BASE + PAGE, 99).unwrap());
        assert_eq!(spent[..3], [1, 1, HALF as u64]);
        for page in HALF..CONT_PTES {
            assert_eq!(child.pte(BASE + page * PAGE).pfn(), parent.pte(BASE + page * PAGE).pfn());
        }
        assert_eq!(child.write(BASE + HALF * PAGE, 1), Err(FaultError::AccErr));
        check(&mut parent, BASE, CONT_PTES, 1);
        check(&mut child, BASE + 2 * PAGE, CONT_PTES - 2, 3);
        child.exit();
        parent.exit();
    });
}

#[test]
fn a_hole_or_a_page_from_elsewhere_is_not_copied_over() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = filled(&mm, 2);
        parent.space.madvise(&mm, BASE + PAGE, PAGE, MADV_DONTNEED).unwrap();
        blocks(&mm, 0, true, false);
        let first = parent.fork().unwrap();
        parent.write(BASE + (CONT_PTES + 1) * PAGE, 77).unwrap();
        first.exit();
        blocks(&mm, BLOCK_ORDER, true, false);
        let mut child = parent.fork().unwrap();
        for block in 0..2 {
            let page = block * CONT_PTES + HALF;
            let spent = counted(&mm, COW, || child.write(BASE + page * PAGE, 9).unwrap());
            assert_eq!(spent[..3], [1, 1, HALF as u64], "the half without it");
        }
        assert_eq!((child.read(BASE + PAGE), child.read(BASE)), (Ok(0), Ok(1)));
        assert_eq!(child.read(BASE + (CONT_PTES + 1) * PAGE), Ok(77));
        assert_eq!(parent.read(BASE + HALF * PAGE), Ok(1 + HALF as u8));
        child.exit();
        parent.exit();
    });
}

#[test]
fn the_limit_may_be_less_or_more_than_a_block() {
    let mm = machine();
    leaks_nothing(&mm, || {
        only_order(&mm, LARGE_ORDER);
        let pages = LARGE;
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, pages);
        fill(&mut parent, BASE, pages, 1);
        for limit in [0, BLOCK_ORDER - 1, BLOCK_ORDER + 1, MAX_ORDER] {
            let copied = 1usize << limit.min(LARGE_ORDER);
            blocks(&mm, limit, true, true);
            let mut child = parent.fork().unwrap();
            let spent = counted(&mm, COW, || child.write(BASE + 3 * PAGE, 9).unwrap());
            assert_eq!(spent[..3], [1, 1, copied as u64], "limit {limit}");
            assert_eq!(
                mm.frames.folio(child.pte(BASE).pfn()) == mm.frames.folio(child.pte(BASE + 3 * PAGE).pfn()),
                copied > 1
            );
            check(&mut child, BASE + 4 * PAGE, pages - 4, 5);
            child.exit();
        }
        check(&mut parent, BASE, pages, 1);
        parent.exit();
    });
}

#[test]
fn with_less_memory_less_is_copied_and_without_any_nothing_changes() {
    let mm = sized(1024);
    leaks_nothing(&mm, || {
        let mut parent = filled(&mm, 1);
        let mut copied = std::vec::Vec::new();
        for frames in 0.. {
            let mut child = parent.fork().unwrap();
            let mut held = mm.hold_all();
            assert!(held.release(frames));
            let mut result = Ok(());
            let spent = counted(&mm, COW, || result = child.write(BASE + HALF * PAGE, 9));
            assert_eq!(result.is_ok(), frames > 0);
            copied.push(spent[2]);
            check(&mut parent, BASE, CONT_PTES, 1);
            child.read(BASE).unwrap();
            drop(held);
            child.exit();
            if spent[2] == CONT_PTES as u64 {
                break;
            }
        }
        assert_eq!((copied[0], copied[1]), (0, 1), "at last, the one page");
        assert!(copied.contains(&(HALF as u64)), "half a block if there is no whole one: {copied:?}");
        assert!(mm.machine.counted(Event::CowFallback) > 0);
        parent.exit();
    });
}

#[test]
fn protection_of_a_part_taken_back_folds_the_block_again() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = filled(&mm, 2);
        let part = (BASE + HALF * PAGE, CONT_PTES * PAGE);
        process.space.mprotect(&mm, part.0, part.1, Prot::READ).unwrap();
        assert_eq!(folded(&process, BASE, 2 * CONT_PTES), 0);
        let spent = counted(&mm, [Event::Fold], || process.space.mprotect(&mm, part.0, part.1, RW).unwrap());
        assert_eq!((spent, folded(&process, BASE, 2 * CONT_PTES)), ([2], 2 * CONT_PTES));
        let spent = counted(&mm, COW, || fill(&mut process, BASE, 2 * CONT_PTES, 4));
        assert_eq!(spent[0], 0, "ours alone: no fault is left to make it writable");
        process.exit();
    });
}

#[test]
fn a_shared_block_that_became_equal_again_is_folded_but_not_made_writable() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = filled(&mm, 1);
        let mut child = parent.fork().unwrap();
        parent.space.mprotect(&mm, BASE, HALF * PAGE, Prot::empty()).unwrap();
        assert_eq!(folded(&parent, BASE, CONT_PTES), 0);
        parent.space.mprotect(&mm, BASE, HALF * PAGE, RW).unwrap();
        assert_eq!(folded(&parent, BASE, CONT_PTES), CONT_PTES);
        assert!(!parent.pte(BASE).is_writable());
        parent.write(BASE, 9).unwrap();
        check(&mut child, BASE, CONT_PTES, 1);
        child.exit();
        parent.exit();
    });
}

#[test]
fn unequal_permissions_are_never_folded() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = filled(&mm, 1);
        // Read-only in a VMA of its own, inside a writable one: not for the block's other entries to decide.
        process.space.mprotect(&mm, BASE + 3 * PAGE, PAGE, Prot::READ).unwrap();
        process.fork().unwrap().exit();
        process.write(BASE, 1).unwrap();
        process.space.mprotect(&mm, BASE + PAGE, PAGE, Prot::READ).unwrap();
        process.space.mprotect(&mm, BASE + PAGE, PAGE, RW).unwrap();
        assert_eq!(folded(&process, BASE, CONT_PTES), 0);
        assert_eq!(process.write(BASE + 3 * PAGE, 1), Err(FaultError::AccErr));
        process.exit();
    });
}

#[test]
fn an_unmapped_page_gets_its_own_frame_back_and_the_block_folds() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = filled(&mm, 1);
        let hole = BASE + 5 * PAGE;
        let (frame, free) = (process.pte(hole).pfn(), mm.free_pages());
        for round in 0..3 {
            match round {
                0 => process.space.munmap(&mm, hole, PAGE).unwrap(),
                _ => process.space.madvise(&mm, hole, PAGE, MADV_DONTNEED).unwrap(),
            }
            assert_eq!(folded(&process, BASE, CONT_PTES), 0);
            process.map_anon(hole, 1);
            if round == 2 {
                assert_eq!(process.read(hole), Ok(0), "the zero page is mapped");
            }
            process.write(hole + 7, 1).unwrap();
            assert_eq!(process.read(hole), Ok(0), "a fresh page is zero");
            process.write(hole, 6).unwrap();
            assert_eq!((process.pte(hole).pfn(), mm.free_pages()), (frame, free));
            assert_eq!(
                (folded(&process, BASE, CONT_PTES), process.space.usage(&mm).rss_pages),
                (CONT_PTES, CONT_PTES)
            );
        }
        check(&mut process, BASE, CONT_PTES, 1);
        process.exit();
    });
}

#[test]
fn a_frame_that_the_child_still_maps_is_not_taken_back() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = filled(&mm, 1);
        let mut child = parent.fork().unwrap();
        parent.space.madvise(&mm, BASE + 5 * PAGE, PAGE, MADV_DONTNEED).unwrap();
        parent.write(BASE + 5 * PAGE, 99).unwrap();
        assert_ne!(parent.pte(BASE + 5 * PAGE).pfn(), child.pte(BASE + 5 * PAGE).pfn());
        check(&mut child, BASE, CONT_PTES, 1);
        child.exit();
        parent.exit();
    });
}

#[test]
fn a_frame_that_is_pinned_is_not_taken_back() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = filled(&mm, 1);
        let mut frames = [Pfn::new(0)];
        process.enter();
        process.space.pin_pages(&mm, BASE + 5 * PAGE, true, &mut frames).unwrap();
        process.space.munmap(&mm, BASE + 5 * PAGE, PAGE).unwrap();
        process.map_anon(BASE + 5 * PAGE, 1);
        process.write(BASE + 5 * PAGE, 99).unwrap();
        assert_ne!(process.pte(BASE + 5 * PAGE).pfn(), frames[0], "a device may still write to it");
        // Nor is what was written put into it.
        process.space.mprotect(&mm, BASE, CONT_PTES * PAGE, Prot::READ).unwrap();
        process.space.mprotect(&mm, BASE, CONT_PTES * PAGE, RW).unwrap();
        process.write(BASE, 1).unwrap();
        assert_ne!(process.pte(BASE + 5 * PAGE).pfn(), frames[0]);
        mm.unpin(frames[0]);
        process.exit();
    });
}

#[test]
fn pages_copied_out_of_a_block_are_put_back_when_it_is_ours_alone() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = filled(&mm, 1);
        blocks(&mm, 0, true, true);
        let child = parent.fork().unwrap();
        for page in [2, 3, CONT_PTES - 1] {
            parent.write(BASE + page * PAGE, 1 + page as u8).unwrap();
        }
        assert_eq!(folded(&parent, BASE, CONT_PTES), 0);
        child.exit();
        let free = mm.free_pages();
        let spent = counted(&mm, [Event::PageFaults, Event::RefoldPages, Event::FramesCopied], || {
            parent.write(BASE, 1).unwrap();
        });
        assert_eq!((spent, mm.free_pages()), ([1, 3, 3], free + 3));
        assert_eq!(folded(&parent, BASE, CONT_PTES), CONT_PTES);
        check(&mut parent, BASE, CONT_PTES, 1);
        let spent = counted(&mm, COW, || fill(&mut parent, BASE, CONT_PTES, 50));
        assert_eq!(spent[0], 0, "all of it is writable");
        check(&mut parent, BASE, CONT_PTES, 50);
        parent.exit();
    });
}

#[test]
fn a_page_that_somebody_refers_to_is_not_moved() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = filled(&mm, 1);
        blocks(&mm, 0, true, true);
        let child = parent.fork().unwrap();
        parent.write(BASE + 2 * PAGE, 3).unwrap();
        child.exit();
        let page = parent.pte(BASE + 2 * PAGE).pfn();
        mm.folio_get(page).unwrap();
        fill(&mut parent, BASE, CONT_PTES, 1);
        assert_eq!((parent.pte(BASE + 2 * PAGE).pfn(), folded(&parent, BASE, CONT_PTES)), (page, 0));
        mm.folio_put(page);
        check(&mut parent, BASE, CONT_PTES, 1);
        parent.exit();
    });
}

#[test]
fn a_block_half_of_copied_pages_is_copied_whole_once() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = filled(&mm, 1);
        blocks(&mm, 0, true, true);
        let mut child = parent.fork().unwrap();
        let spent = counted(&mm, COW, || fill(&mut parent, BASE, HALF, 1));
        assert_eq!((spent[2], folded(&parent, BASE, CONT_PTES)), (HALF as u64, 0));
        let spent = counted(&mm, COW, || parent.write(BASE + HALF * PAGE, 1 + HALF as u8).unwrap());
        assert_eq!(spent[..3], [1, 1, CONT_PTES as u64]);
        assert_eq!(folded(&parent, BASE, CONT_PTES), CONT_PTES);
        check(&mut parent, BASE, CONT_PTES, 1);
        check(&mut child, BASE, CONT_PTES, 1);
        child.exit();
        parent.exit();
    });
}

#[test]
fn a_process_of_single_pages_is_not_given_large_folios_by_writing() {
    let mm = machine();
    leaks_nothing(&mm, || {
        only_order(&mm, 0);
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, CONT_PTES);
        fill(&mut parent, BASE, CONT_PTES, 1);
        let child = parent.fork().unwrap();
        let spent = counted(&mm, COW, || fill(&mut parent, BASE, CONT_PTES, 1));
        assert_eq!(spent[..3], [CONT_PTES as u64; 3]);
        child.exit();
        parent.exit();
    });
}

/// Rounds of fork and writes to a tenth of the pages on both sides, as the storm does; returns how many of 100 pages
/// are mapped by folded blocks at the end.
fn folded_after(rounds: usize, mm: &Mm<HostMachine>) -> usize {
    let blocks = (512 / CONT_PTES).max(4);
    let pages = blocks * CONT_PTES;
    let mut parent = filled(mm, blocks);
    let mut values: std::vec::Vec<u8> = (0..pages).map(|page| 1u8.wrapping_add(page as u8)).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as usize % pages
    };
    for round in 0..rounds {
        let mut child = parent.fork().unwrap();
        for _ in 0..pages / 10 {
            let (ours, its) = (next(), next());
            parent.write(BASE + ours * PAGE, round as u8).unwrap();
            child.write(BASE + its * PAGE, 255).unwrap();
            values[ours] = round as u8;
        }
        child.exit();
    }
    for (page, value) in values.into_iter().enumerate() {
        assert_eq!(parent.read(BASE + page * PAGE), Ok(value));
    }
    let kept = folded(&parent, BASE, pages);
    parent.exit();
    kept * 100 / pages
}

#[test]
fn a_hundred_rounds_of_forks_and_writes_leave_the_blocks_folded_or_not() {
    let mm = machine();
    leaks_nothing(&mm, || {
        assert_eq!(folded_after(100, &mm), 100);
        blocks(&mm, 0, false, false);
        let kept = folded_after(20, &mm);
        assert!(kept < 5, "as without any of it: {kept} %");
        blocks(&mm, 0, true, true);
        let kept = folded_after(100, &mm);
        let collapsed = mm.machine.counted(Event::Collapse);
        assert!(collapsed > 0 && (kept > 10 || CONT_PTES > 16), "page by page, but folded again: {kept} %");
    });
}

#[test]
fn what_was_ours_before_a_fork_is_not_after_it() {
    let mm = machine();
    leaks_nothing(&mm, || {
        only_order(&mm, LARGE_ORDER);
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, LARGE);
        fill(&mut parent, BASE, LARGE, 1);
        parent.fork().unwrap().exit();
        // The whole folio is found to be the parent's, and it is remembered.
        let spent = counted(&mm, [Event::CowReuse, Event::CowCopy], || parent.write(BASE, 77).unwrap());
        assert_eq!(spent, [1, 0]);
        let mut child = parent.fork().unwrap();
        let last = LARGE - 1;
        let spent = counted(&mm, [Event::CowReuse, Event::CowCopy], || {
            parent.write(BASE + last * PAGE, 88).unwrap();
        });
        assert_eq!(spent, [0, 1]);
        assert_eq!((child.read(BASE + last * PAGE), child.read(BASE)), (Ok(1 + last as u8), Ok(77)));
        child.exit();
        parent.exit();
    });
}

#[test]
fn a_folio_remembered_as_ours_is_not_while_somebody_refers_to_it() {
    let mm = machine();
    leaks_nothing(&mm, || {
        only_order(&mm, LARGE_ORDER);
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, LARGE);
        fill(&mut parent, BASE, LARGE, 1);
        parent.fork().unwrap().exit();
        blocks(&mm, 0, false, false);
        parent.write(BASE, 77).unwrap();
        let head = mm.frames.folio(parent.pte(BASE).pfn()).head;
        mm.folio_get(head).unwrap();
        let spent =
            counted(&mm, [Event::CowReuse, Event::CowCopy], || parent.write(BASE + PAGE, 88).unwrap());
        assert_eq!(spent, [0, 1], "whoever has the reference is not to see what is written");
        mm.folio_put(head);
        parent.exit();
    });
}
