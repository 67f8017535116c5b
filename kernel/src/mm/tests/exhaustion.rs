//! Memory exhausted at every point of an operation: an error, nothing leaked, and everybody's contents intact.

use paging::{CONT_PTES, Pfn};

use super::*;
use crate::errno::Errno;
use crate::mm::testing::sized;

#[test]
fn fork_fails_cleanly_wherever_memory_runs_out() {
    for order in [0, BLOCK_ORDER] {
        let mm = sized(2048);
        only_order(&mm, order);
        let mut parent = Process::new(&mm);
        // Four stretches in different last-level tables, so that fork needs several.
        for stretch in 0..4 {
            parent.map_anon(BASE + (stretch << 30), 2 * BLOCK);
            fill(&mut parent, BASE + (stretch << 30), 2 * BLOCK, stretch as u8);
        }
        let mut failed = 0;
        let mut held = mm.hold_all();
        for left in 0.. {
            let forked = parent.fork();
            let done = forked.is_ok();
            match forked {
                Ok(child) => child.exit(),
                Err(error) => {
                    assert_eq!(error, Errno::ENOMEM);
                    failed += 1;
                }
            }
            assert_eq!(mm.free_pages(), left, "leaked or lost with {left} frames left");
            for stretch in 0..4 {
                check(&mut parent, BASE + (stretch << 30), 2 * BLOCK, stretch as u8);
            }
            if done {
                break;
            }
            assert!(held.release(1));
        }
        drop(held);
        assert!(
            failed >= 5,
            "a child needs a top table and one for each stretch at least: failed {failed} times"
        );
        parent.exit();
    }
}

#[test]
fn a_fault_without_memory_is_reported_and_a_smaller_folio_is_tried_first() {
    let mm = sized(1024);
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 4 * BLOCK);
    process.write(BASE + (4 * BLOCK - 1) * PAGE, 0).unwrap();
    let mut held = mm.hold_all();
    assert_eq!(process.write(BASE, 1), Err(crate::mm::FaultError::Oom));
    assert!(held.release(1));
    assert_eq!(process.write(BASE, 1), Ok(()));
    assert!(mm.machine.counted(paging::Event::AnonFallback) >= 1);
    assert_eq!(process.write(BASE + PAGE, 1), Err(crate::mm::FaultError::Oom));
    drop(held);
    process.exit();
}

#[test]
fn unmapping_works_without_any_memory() {
    let mm = sized(2048);
    only_order(&mm, 0);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 600);
        fill(&mut process, BASE, 600, 0);
        let held = mm.hold_all();
        process.space.munmap(&mm, BASE, 600 * PAGE).unwrap();
        assert!(mm.free_pages() >= 600);
        drop(held);
        process.exit();
    });
}

#[test]
fn copy_on_write_without_memory_changes_nothing() {
    let mm = sized(1024);
    let mut parent = Process::new(&mm);
    parent.map_anon(BASE, BLOCK);
    fill(&mut parent, BASE, BLOCK, 1);
    let mut child = parent.fork().unwrap();
    let held = mm.hold_all();
    assert_eq!(child.write(BASE, 9), Err(crate::mm::FaultError::Oom));
    assert_eq!(folded(&child, BASE, BLOCK), BLOCK);
    check(&mut parent, BASE, BLOCK, 1);
    check(&mut child, BASE, BLOCK, 1);
    drop(held);
    child.exit();
    parent.exit();
}

#[test]
fn fork_with_pinned_pages_fails_cleanly_wherever_memory_runs_out() {
    let mm = sized(1024);
    let mut parent = Process::new(&mm);
    parent.map_anon(BASE, 3 * CONT_PTES);
    fill(&mut parent, BASE, 3 * CONT_PTES, 1);
    let mut frames = [Pfn::new(0)];
    parent.space.pin_pages(&mm, BASE + CONT_PTES * PAGE, false, &mut frames).unwrap();
    let mut failed = 0;
    let mut held = mm.hold_all();
    for left in 0.. {
        let forked = parent.fork();
        let done = forked.is_ok();
        match forked {
            Ok(mut child) => {
                check(&mut child, BASE, 3 * CONT_PTES, 1);
                child.exit();
            }
            Err(error) => {
                assert_eq!(error, Errno::ENOMEM);
                failed += 1;
            }
        }
        assert_eq!(mm.free_pages(), left, "leaked or lost with {left} frames left");
        check(&mut parent, BASE, 3 * CONT_PTES, 1);
        if done {
            break;
        }
        assert!(held.release(1));
    }
    drop(held);
    assert!(
        failed > CONT_PTES,
        "a child needs tables and a frame for each page of the folio: failed {failed} times"
    );
    mm.unpin(frames[0]);
    parent.exit();
}

#[test]
fn unsharing_without_memory_pins_nothing_and_changes_nothing() {
    let mm = sized(1024);
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, CONT_PTES);
        fill(&mut parent, BASE, CONT_PTES, 1);
        let mut child = parent.fork().unwrap();
        let mut frames = [Pfn::new(0); 2];
        let mut held = mm.hold_all();
        let refused = child.space.pin_pages(&mm, BASE, false, &mut frames);
        assert_eq!((refused, folded(&child, BASE, CONT_PTES)), (Err(crate::mm::FaultError::Oom), CONT_PTES));
        // Enough for the first page only: that one stays pinned.
        assert!(held.release(1));
        assert_eq!(child.space.pin_pages(&mm, BASE, false, &mut frames), Ok(1));
        drop(held);
        mm.unpin(frames[0]);
        for process in [&mut parent, &mut child] {
            check(process, BASE, CONT_PTES, 1);
        }
        child.exit();
        parent.exit();
    });
}
