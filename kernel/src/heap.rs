//! The kernel heap: `linked_list_allocator` over a window of kernel addresses that is mapped as it grows.
//!
//! An allocation that finds no room maps more frames behind the end; when there are none it returns null, which
//! callers turn into `ENOMEM`. The heap never shrinks.
//!
//! # Locking
//! `HEAP` is a leaf. `GROWTH` is taken before it, before the kernel map's lock and before the frame source's, so whoever
//! supplies frames must not allocate from the heap while holding a lock that its supplier function takes.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use linked_list_allocator::Heap;
use paging::PAGE_SIZE;
use spin::Mutex;

use crate::arch::kmap::{self, Kind, frames};
use crate::arch::layout::{HEAP_BASE, WINDOW_BYTES};
use crate::errno::{Errno, Result};

/// How much the heap grows by at least, in bytes: often enough for many requests, small beside the smallest RAM.
const GROWTH_BYTES: usize = 64 << 10;
const PAGE: usize = PAGE_SIZE as usize;

static HEAP: Mutex<Heap> = Mutex::new(Heap::empty());

/// The end of the mapped part of the window; 0 before [`init`].
static GROWTH: Mutex<usize> = Mutex::new(0);

struct KernelHeap;

#[global_allocator]
static ALLOCATOR: KernelHeap = KernelHeap;

// SAFETY: the heap behind the lock hands out disjoint blocks with the size and alignment asked for; a null pointer
// reports failure.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        loop {
            let size = {
                let mut heap = HEAP.lock();
                if let Ok(block) = heap.allocate_first_fit(layout) {
                    return block.as_ptr();
                }
                heap.size()
            };
            if grow(layout, size).is_err() {
                return ptr::null_mut();
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller got the block from `alloc` with the same layout.
            unsafe { HEAP.lock().deallocate(block, layout) };
        }
    }
}

/// Starts the heap on `bytes` of RAM (whole pages) at physical address `pa`.
///
/// # Errors
/// `ENOMEM` when there are no frames for tables.
///
/// # Safety
/// The RAM is nobody else's, for good. Called once.
pub unsafe fn init(pa: u64, bytes: usize) -> Result<()> {
    let mut end = GROWTH.lock();
    kmap::vmap(HEAP_BASE, pa, bytes, Kind::Data, frames::allocate)?;
    *end = HEAP_BASE + bytes;
    // SAFETY: freshly mapped memory in a window that only this module hands out; called once, says the caller.
    unsafe { HEAP.lock().init(HEAP_BASE as *mut u8, bytes) };
    Ok(())
}

/// Bytes in use and bytes mapped.
pub fn usage() -> (usize, usize) {
    let heap = HEAP.lock();
    (heap.used(), heap.size())
}

/// Maps enough behind the end for `layout`, unless the heap has grown since it had `size_before` bytes.
fn grow(layout: Layout, size_before: usize) -> Result<()> {
    let mut end = GROWTH.lock();
    if HEAP.lock().size() != size_before {
        return Ok(());
    }
    let wanted = layout.size().checked_add(layout.align() + PAGE).ok_or(Errno::ENOMEM)?;
    let wanted = wanted.max(GROWTH_BYTES).checked_next_multiple_of(PAGE).ok_or(Errno::ENOMEM)?;
    if *end == 0 || wanted > HEAP_BASE + WINDOW_BYTES - *end {
        return Err(Errno::ENOMEM);
    }
    // All frames first: a request that cannot be met must not swallow what is left of RAM.
    let mut reserve = Reserve::new();
    for _ in 0..wanted / PAGE {
        reserve.push(frames::allocate().ok_or(Errno::ENOMEM)?);
    }
    let mut grown = 0;
    while let Some(frame) = reserve.pop() {
        if let Err(error) = kmap::vmap(*end + grown, frame, PAGE, Kind::Data, frames::allocate) {
            frames::free(frame);
            // No frame for a table. What is mapped by now is of use to smaller requests.
            return extend(&mut end, grown).and(Err(error));
        }
        grown += PAGE;
    }
    extend(&mut end, grown)
}

/// Hands the `grown` bytes that are mapped behind `end` to the heap.
fn extend(end: &mut usize, grown: usize) -> Result<()> {
    *end += grown;
    if grown > 0 {
        // SAFETY: these bytes are mapped directly behind the heap's end, which the caller's lock makes ours to move.
        unsafe { HEAP.lock().extend(grown) };
    }
    Ok(())
}

/// Frames on their way into the heap, each holding the physical address of the next. Those that are left when it is
/// dropped go back to where they came from.
struct Reserve {
    /// Physical address of the first, or `END`.
    first: u64,
}

impl Reserve {
    /// What ends the list: no frame has this address.
    const END: u64 = u64::MAX;

    const fn new() -> Self {
        Reserve { first: Self::END }
    }

    fn push(&mut self, frame: u64) {
        // SAFETY: the frame is ours, whole, and in the linear map.
        unsafe { kmap::phys_to_ptr(frame).cast::<u64>().write(self.first) };
        self.first = frame;
    }

    fn pop(&mut self) -> Option<u64> {
        let frame = self.first;
        if frame == Self::END {
            return None;
        }
        // SAFETY: `push` stored the link there, and the frame has been ours since.
        self.first = unsafe { kmap::phys_to_ptr(frame).cast::<u64>().read() };
        Some(frame)
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        while let Some(frame) = self.pop() {
            frames::free(frame);
        }
    }
}
