//! The kernel heap: `linked_list_allocator` over a window of kernel addresses that is mapped as it grows, behind free
//! lists of the common sizes (`size_classes.rs`), which make an allocation's cost independent of how many there are.
//! Blocks of more than a page (of 4 KiB; half of a larger one) do not come from there but are frames of their own (`large.rs`).
//!
//! An allocation that finds no room maps more frames behind the end; when there are none it takes back what the free
//! lists keep, and when that does not help it returns null, which callers turn into `ENOMEM`. The heap never shrinks.
//!
//! # Locking
//! `HEAP` is a leaf. `GROWTH` is taken before it, before the kernel map's lock and before the frame source's, so whoever
//! supplies frames must not allocate from the heap while holding a lock that its supplier function takes.

mod large;

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use large::Answer;
use linked_list_allocator::Heap as Holes;
use paging::PAGE_SIZE;
use spin::Mutex;

use crate::arch::kmap::{self, Kind, frames};
use crate::arch::layout::{HEAP_BASE, WINDOW_BYTES};
use crate::errno::{Errno, Result};
use crate::size_classes::{self, SizeClasses};

/// How much the heap grows by at least, in bytes: often enough for many requests, small beside the smallest RAM.
const GROWTH_BYTES: usize = 64 << 10;
const PAGE: usize = PAGE_SIZE as usize;

static HEAP: Mutex<Heap> = Mutex::new(Heap { classes: SizeClasses::new(), holes: Holes::empty() });

/// The end of the mapped part of the window; 0 before [`init`].
static GROWTH: Mutex<usize> = Mutex::new(0);

struct Heap {
    /// Freed blocks of the common sizes. As far as `holes` knows, they are in use.
    classes: SizeClasses,
    /// The rest of the free memory.
    holes: Holes,
}

impl Heap {
    #[inline]
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let Some(class) = size_classes::class_of(layout) else {
            return self.holes.allocate_first_fit(layout).ok();
        };
        match self.classes.take(class) {
            None => self.holes.allocate_first_fit(size_classes::layout(class)).ok(),
            kept => kept,
        }
    }

    /// Makes a hole of a block.
    ///
    /// # Safety
    /// The block came from `allocate` with the same layout, and is not used any more.
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // `allocate` made a block of a class with that class's layout, whoever it was made for.
        let layout = size_classes::class_of(layout).map_or(layout, size_classes::layout);
        // SAFETY: as the caller promises; with the layout it was made with.
        unsafe { self.holes.deallocate(block, layout) };
    }

    /// Makes holes of the blocks that the free lists keep, so that neighbours merge. False if they keep none.
    #[cold]
    fn give_back(&mut self) -> bool {
        let some = self.classes.bytes() > 0;
        while let Some((block, layout)) = self.classes.take_any() {
            // SAFETY: allocated from the holes with this layout, and nobody's since it was freed.
            unsafe { self.holes.deallocate(block, layout) };
        }
        some
    }
}

struct KernelHeap;

#[global_allocator]
static ALLOCATOR: KernelHeap = KernelHeap;

// SAFETY: the heap behind the lock hands out disjoint blocks with at least the size and alignment asked for; a null
// pointer reports failure.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(class) = size_classes::class_of(layout)
            && let Some(block) = HEAP.lock().classes.take(class)
        {
            return block.as_ptr();
        }
        allocate_slow(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(block) else { return };
        // SAFETY: the caller got the block from `alloc` with the same layout, so one of a class has that class's.
        unsafe {
            match size_classes::class_of(layout) {
                Some(class) if HEAP.lock().classes.keep(class, block) => {}
                _ => free_slow(block, layout),
            }
        }
    }
}

/// What the free lists cannot serve: a large block, or one from the holes.
#[inline(never)] // so that those that they can serve do not pay for its registers
fn allocate_slow(layout: Layout) -> *mut u8 {
    if let Answer::Done(block) = large::allocate(layout) {
        return block.map_or(ptr::null_mut(), NonNull::as_ptr);
    }
    loop {
        let size = {
            let mut heap = HEAP.lock();
            if let Some(block) = heap.allocate(layout) {
                return block.as_ptr();
            }
            heap.holes.size()
        };
        if grow(layout, size).is_err() && !HEAP.lock().give_back() {
            return ptr::null_mut();
        }
    }
}

/// Frees what the free lists do not keep.
///
/// # Safety
/// The block came from the allocator with the same layout, and is not used any more.
#[inline(never)] // as above
unsafe fn free_slow(block: NonNull<u8>, layout: Layout) {
    // SAFETY: as the caller promises.
    unsafe {
        if !large::free(block, layout) {
            HEAP.lock().deallocate(block, layout);
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
    unsafe { HEAP.lock().holes.init(HEAP_BASE as *mut u8, bytes) };
    Ok(())
}

/// Bytes in use and bytes mapped.
pub fn usage() -> (usize, usize) {
    let heap = HEAP.lock();
    (heap.holes.used() - heap.classes.bytes(), heap.holes.size())
}

/// Maps enough behind the end for `layout`, unless the heap has grown since it had `size_before` bytes.
fn grow(layout: Layout, size_before: usize) -> Result<()> {
    let mut end = GROWTH.lock();
    if HEAP.lock().holes.size() != size_before {
        return Ok(());
    }
    let wanted = layout.size().checked_add(layout.align() + PAGE).ok_or(Errno::ENOMEM)?; // a class's rest included
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
        unsafe { HEAP.lock().holes.extend(grown) };
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
