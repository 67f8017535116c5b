//! The buddy over plain memory.

use std::collections::BTreeSet;
use std::vec::Vec;

use paging::Pfn;

use super::pageblock::FRAMES;
use crate::mm::frame::MAX_ORDER;
use crate::mm::testing::machine;

fn drain(mm: &crate::mm::Mm<crate::mm::testing::HostMachine>, order: u8) -> Vec<Pfn> {
    core::iter::from_fn(|| mm.buddy.lock().alloc(&mm.machine, order)).collect()
}

#[test]
fn every_frame_is_given_once_at_every_order_and_all_come_back_whole() {
    let mm = machine();
    mm.drain_caches();
    let (free, whole) = (mm.free_pages(), drain(&mm, MAX_ORDER));
    whole.iter().for_each(|pfn| mm.buddy.lock().free(&mm.machine, *pfn, MAX_ORDER));
    for order in 0..=MAX_ORDER {
        let taken = drain(&mm, order);
        let frames: BTreeSet<u64> =
            taken.iter().flat_map(|pfn| pfn.get()..pfn.get() + (1 << order)).collect();
        assert_eq!(frames.len(), taken.len() << order, "a frame given twice");
        assert!(taken.iter().all(|pfn| pfn.get() % (1 << order) == 0));
        assert!(order > 0 || mm.free_pages() == 0);
        // In an order in which neighbours are far apart.
        let step = 7;
        for start in 0..step {
            for pfn in taken.iter().skip(start).step_by(step) {
                mm.buddy.lock().free(&mm.machine, *pfn, order);
            }
        }
        assert_eq!(mm.free_pages(), free);
        let again = drain(&mm, MAX_ORDER);
        assert_eq!(again.len(), whole.len(), "order {order} leaves pageblocks in pieces");
        again.iter().for_each(|pfn| mm.buddy.lock().free(&mm.machine, *pfn, MAX_ORDER));
    }
}

#[test]
fn small_blocks_come_from_the_pageblock_that_is_in_pieces_already() {
    let mm = machine();
    mm.drain_caches();
    let whole = |count: &mut Vec<Pfn>| {
        *count = drain(&mm, MAX_ORDER);
        count.iter().for_each(|pfn| mm.buddy.lock().free(&mm.machine, *pfn, MAX_ORDER));
        count.len()
    };
    let mut blocks = Vec::new();
    let before = whole(&mut blocks);
    let mut taken = Vec::new();
    for _ in 0..FRAMES / 2 {
        taken.push(mm.buddy.lock().alloc(&mm.machine, 0).unwrap());
    }
    assert!(whole(&mut blocks) + 1 >= before);
    // Every second comes back: single frames are there for the asking, pairs are not but from another pageblock.
    let (kept, back): (Vec<_>, Vec<_>) = taken.into_iter().partition(|pfn| pfn.get() % 2 == 0);
    back.iter().for_each(|pfn| mm.buddy.lock().free(&mm.machine, *pfn, 0));
    let single = mm.buddy.lock().alloc(&mm.machine, 0).unwrap();
    assert!(kept.iter().all(|pfn| *pfn != single));
    let pair = mm.buddy.lock().alloc(&mm.machine, 1).unwrap();
    assert!(kept.iter().all(|pfn| pfn.get() / 2 != pair.get() / 2));
    mm.buddy.lock().free(&mm.machine, single, 0);
    mm.buddy.lock().free(&mm.machine, pair, 1);
    kept.iter().for_each(|pfn| mm.buddy.lock().free(&mm.machine, *pfn, 0));
    assert_eq!(whole(&mut blocks), before);
}

#[test]
fn memory_that_is_no_whole_pageblock_is_used_too() {
    let mm = machine();
    assert!(!mm.total_pages().is_multiple_of(FRAMES as u64), "the frame table takes part of one");
    mm.drain_caches();
    let free = mm.free_pages();
    assert_eq!(drain(&mm, 0).len() as u64, free);
}

#[test]
fn free_pageblocks_are_passed_over_and_no_frame_in_use_is() {
    let mm = machine();
    mm.drain_caches();
    let (start, end) = mm.frames.span();
    let lent = || {
        let mut pageblocks = BTreeSet::new();
        let mut next = start.pfn();
        while let Some(pfn) = mm.buddy.lock().next_lent(next) {
            assert!(pfn >= next);
            pageblocks.insert(pfn.get() / FRAMES as u64);
            next = Pfn::new((pfn.get() / FRAMES as u64 + 1) * FRAMES as u64);
        }
        pageblocks
    };
    let before = lent();
    let pageblocks = end.pfn().get() / FRAMES as u64 - start.pfn().get() / FRAMES as u64;
    assert!(before.len() as u64 <= pageblocks / 2, "{} of {pageblocks} in use by nobody", before.len());
    for order in [0, 1, MAX_ORDER - 1, MAX_ORDER, MAX_ORDER + 1] {
        let taken = drain(&mm, order);
        let now = lent();
        for pfn in &taken {
            let last = pfn.get() + (1 << order) - 1;
            assert!((pfn.get()..=last).all(|frame| now.contains(&(frame / FRAMES as u64))), "order {order}");
        }
        taken.iter().for_each(|pfn| mm.buddy.lock().free(&mm.machine, *pfn, order));
        assert_eq!(lent(), before, "order {order}");
    }
}
