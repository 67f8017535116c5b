//! Physical memory not in use: the library's buddy system over the kernel's linear view of RAM.
//!
//! The library keeps its free lists inside the free blocks, so it allocates nothing and cannot fail for want of
//! memory. It searches a list for the buddy of a block that comes back, which is why per-CPU caches
//! ([`super::pcp`]) stand before it on every common path.

use core::alloc::Layout;
use core::ptr::NonNull;

use buddy_system_allocator::Heap;
use paging::{PAGE_SHIFT, PAGE_SIZE, Pfn, PhysAddr};

use super::machine::Machine;

/// One more than log2 of the largest block in bytes: 2^39 bytes.
const CLASSES: usize = 40;

/// The free frames of the machine.
pub(super) struct Buddy {
    heap: Heap<CLASSES>,
}

impl Buddy {
    /// No frames.
    pub const fn new() -> Self {
        Buddy { heap: Heap::new() }
    }

    /// Takes over the whole frames between two addresses, which are nobody else's.
    pub fn add<M: Machine>(&mut self, machine: &M, start: PhysAddr, end: PhysAddr) {
        let (start, end) = (start.align_up(PAGE_SIZE), end.align_down(PAGE_SIZE));
        if start < end {
            let base = machine.ptr(start).expose_provenance();
            // SAFETY: `Mm::new` hands each range of RAM over once, and `Machine::ptr` vouches for the pointer.
            unsafe { self.heap.add_to_heap(base, base + (end.get() - start.get()) as usize) };
        }
    }

    /// `1 << order` frames, aligned to their size; `None` when there is no such block.
    pub fn alloc<M: Machine>(&mut self, machine: &M, order: u8) -> Option<Pfn> {
        let block = self.heap.alloc(layout(order)).ok()?;
        Some(machine.pa(block.as_ptr()).pfn())
    }

    /// Takes back a block that [`Buddy::alloc`] gave, or part of one: `1 << order` frames aligned to their size.
    pub fn free<M: Machine>(&mut self, machine: &M, pfn: Pfn, order: u8) {
        let block = NonNull::new(machine.ptr(pfn.addr())).expect("RAM is not at the null pointer");
        // SAFETY: the frame table releases a folio once, after its last reference, with the order it was claimed
        // with; nobody uses the block any more.
        unsafe { self.heap.dealloc(block, layout(order)) };
    }

    /// Frames in free blocks.
    pub fn free_pages(&self) -> u64 {
        ((self.heap.stats_total_bytes() - self.heap.stats_alloc_actual()) >> PAGE_SHIFT) as u64
    }

    /// Frames taken over.
    pub fn total_pages(&self) -> u64 {
        (self.heap.stats_total_bytes() >> PAGE_SHIFT) as u64
    }
}

fn layout(order: u8) -> Layout {
    let bytes = (PAGE_SIZE as usize) << order;
    Layout::from_size_align(bytes, bytes).expect("a block of RAM is far below the limits of a layout")
}
