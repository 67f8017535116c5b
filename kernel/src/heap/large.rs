//! Large heap blocks: whole frames, by their address in the linear map, which go back when the block is freed.
//!
//! The heap proper never shrinks. If a pipe's 64 KiB came from there, a program that fills memory with pipes would leave
//! the machine without frames for good.
//!
//! A block takes a power of two of frames, aligned to their size. There may be memory but no such block: up to
//! [`COSTLY_ORDER`] the heap is asked then, which needs no contiguous frames; above, the request fails. Which of the two
//! a block came from its address tells.

use core::alloc::Layout;
use core::ptr::NonNull;

use paging::{PAGE_SHIFT, PAGE_SIZE};

use crate::arch::kmap::{self, frames};
use crate::arch::layout::{HEAP_BASE, WINDOW_BYTES};
use crate::mm::frame::MAX_ORDER;
use crate::size_classes::LARGEST;

const PAGE: usize = PAGE_SIZE as usize;

/// Up to this order (32 KiB, or a page) a request does not fail for want of contiguous frames (Linux:
/// PAGE_ALLOC_COSTLY_ORDER).
const COSTLY_ORDER: u8 = 15u32.saturating_sub(PAGE_SHIFT) as u8;
/// The largest request that is always the heap's: a large page for half of it would be a waste.
const SMALL: usize = if PAGE / 2 > LARGEST { PAGE / 2 } else { LARGEST };

/// The order of a block of frames for `layout`; none if it is small, or larger than any block.
#[inline]
fn order_of(layout: Layout) -> Option<u8> {
    if layout.size() <= SMALL || layout.align() > PAGE {
        return None;
    }
    let order = layout.size().div_ceil(PAGE).next_power_of_two().ilog2() as u8;
    (order <= MAX_ORDER).then_some(order)
}

/// Whose request it is.
pub(super) enum Answer {
    /// The block, or none if there is no memory.
    Done(Option<NonNull<u8>>),
    /// The heap's.
    Heap,
}

/// Allocates a block for `layout` if it is large.
#[inline]
pub(super) fn allocate(layout: Layout) -> Answer {
    let Some(order) = order_of(layout) else { return Answer::Heap };
    match frames::allocate_block(order) {
        Some(frame) => Answer::Done(NonNull::new(kmap::phys_to_ptr(frame))),
        None if order > COSTLY_ORDER && frames::available() => Answer::Done(None),
        None => Answer::Heap,
    }
}

/// Frees a block of `layout` if it came from [`allocate`]; false if it is the heap's.
///
/// # Safety
/// The block was allocated with this layout, by [`allocate`] or from the heap, and is not used any more.
#[inline]
pub(super) unsafe fn free(block: NonNull<u8>, layout: Layout) -> bool {
    let in_heap = (HEAP_BASE..HEAP_BASE + WINDOW_BYTES).contains(&(block.as_ptr() as usize));
    match order_of(layout) {
        Some(order) if !in_heap => {
            frames::free_block(kmap::ptr_to_phys(block.as_ptr()), order);
            true
        }
        _ => false,
    }
}
