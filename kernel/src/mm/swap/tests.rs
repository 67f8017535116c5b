//! The swap area by itself: contents, counts, limits.

use super::*;
use crate::mm::testing::{HostMachine, machine, sized};

/// A frame filled by `byte`, from its index.
fn frame(mm: &Mm<HostMachine>, byte: impl Fn(usize) -> u8) -> Pfn {
    let pfn = mm.alloc_anon(0, 1).unwrap();
    for index in 0..PAGE {
        // SAFETY: the frame is the test's own.
        unsafe { mm.machine.ptr(pfn.addr()).add(index).write(byte(index)) };
    }
    pfn
}

fn holds(mm: &Mm<HostMachine>, pfn: Pfn, byte: impl Fn(usize) -> u8) -> bool {
    // SAFETY: the frame is the test's own.
    (0..PAGE).all(|index| unsafe { mm.machine.ptr(pfn.addr()).add(index).read() } == byte(index))
}

/// Bytes that do not compress.
fn noise(index: usize) -> u8 {
    let mut x = index as u64 + 1;
    for _ in 0..3 {
        x = (x ^ x >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    (x >> 56) as u8
}

#[test]
fn every_kind_of_page_comes_back_as_it_was() {
    let mm = machine();
    let free = mm.free_pages();
    mm.swap_on(8).unwrap();
    let kinds: [fn(usize) -> u8; 4] = [|_| 0, |index| index as u8 & 7, |index| (index / 100) as u8, noise];
    for (number, kind) in kinds.into_iter().enumerate() {
        let source = frame(&mm, kind);
        let slot = mm.swap_out(source).unwrap();
        let target = frame(&mm, |_| 0xee);
        mm.swap_in(slot, target);
        assert!(holds(&mm, target, kind), "kind {number}");
        assert_eq!(mm.swap.usage().frames, usize::from(number >= 2), "one word needs no frame");
        assert_eq!(mm.swap_off(), Err(Errno::EBUSY));
        mm.swap_free(slot);
        mm.folio_put(source);
        mm.folio_put(target);
    }
    assert_eq!(mm.swap.usage(), SwapUsage { total: 8, used: 0, frames: 0 });
    mm.swap_off().unwrap();
    assert_eq!(mm.free_pages(), free);
}

#[test]
fn the_limit_is_kept_and_references_keep_a_slot() {
    let mm = machine();
    mm.swap_on(2).unwrap();
    assert_eq!(mm.swap_on(2), Err(Errno::EBUSY));
    let source = frame(&mm, noise);
    let slots = [mm.swap_out(source).unwrap(), mm.swap_out(source).unwrap()];
    assert_eq!(mm.swap_out(source), None);
    mm.swap_duplicate(slots[0]).unwrap();
    mm.swap_free(slots[0]);
    assert_eq!((mm.swap_count(slots[0]), mm.swap_out(source)), (1, None));
    mm.swap_free(slots[0]);
    assert!(mm.swap_out(source).is_some());
}

#[test]
fn without_memory_pages_that_need_none_or_little_are_still_stored() {
    let mm = sized(512);
    mm.swap_on(512).unwrap();
    let (zeroes, text, random) =
        (frame(&mm, |_| 0), frame(&mm, |index| (index / 64) as u8), frame(&mm, noise));
    let held = mm.hold_all();
    assert!((0..100).all(|_| mm.swap_out(zeroes).is_some()));
    assert!((0..8).all(|_| mm.swap_out(text).is_some()));
    while mm.swap_out(random).is_some() {}
    assert!(mm.swap.usage().used < 120, "the reserve is bounded");
    assert!(mm.swap_out(zeroes).is_some());
    drop(held);
    assert!(mm.swap_out(random).is_some());
}

#[test]
fn swap_that_cannot_be_made_leaves_nothing() {
    let mm = sized(512);
    let held = mm.hold_all();
    assert_eq!(mm.swap_on(4), Err(Errno::ENOMEM));
    assert!(!mm.swap.is_on() && mm.free_pages() == 0);
    drop(held);
    assert_eq!(mm.swap_on(0), Err(Errno::EINVAL));
    assert_eq!(mm.swap_off(), Ok(()));
}
