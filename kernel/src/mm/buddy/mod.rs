//! Physical memory not in use.
//!
//! ```text
//!   per-CPU caches  <->  pageblocks: what is smaller than 2 MiB, by bits  <->  the library's buddy system: the rest
//! ```
//!
//! The library keeps its free lists inside the free blocks, so it allocates nothing and cannot fail for want of
//! memory; but it searches a list for the buddy of a block that comes back, which takes the longer the more blocks
//! there are. So it has whole pageblocks only, and what is smaller is given out and taken back by
//! [`pageblocks`], which never searches for a neighbour.

use core::alloc::Layout;
use core::ptr::NonNull;

use buddy_system_allocator::Heap;
use paging::{PAGE_SIZE, Pfn, PhysAddr};

use self::pageblock::FRAMES;
use self::pageblocks::Pageblocks;
use super::frame::MAX_ORDER;
use super::machine::Machine;

mod pageblock;
mod pageblocks;

#[cfg(test)]
mod tests;

/// One more than log2 of the largest block in bytes: 2^39 bytes.
const CLASSES: usize = 40;

/// The free frames of the machine.
pub(super) struct Buddy {
    heap: Heap<CLASSES>,
    blocks: Pageblocks,
    total: u64,
}

impl Buddy {
    /// No frames.
    pub const fn new() -> Self {
        Buddy { heap: Heap::new(), blocks: Pageblocks::EMPTY, total: 0 }
    }

    /// Bytes, in whole pages, that bookkeeping takes for the memory between two addresses.
    pub fn bookkeeping(start: PhysAddr, end: PhysAddr) -> u64 {
        Pageblocks::bytes(start, end)
    }

    /// Keeps book at `home`, where as many bytes of RAM are this value's for good, of memory between two addresses.
    pub fn keep_book<M: Machine>(&mut self, machine: &M, start: PhysAddr, end: PhysAddr, home: PhysAddr) {
        self.blocks = Pageblocks::place(machine, start, end, home);
    }

    /// Takes over the whole frames between two addresses, which are nobody else's.
    pub fn add<M: Machine>(&mut self, machine: &M, start: PhysAddr, end: PhysAddr) {
        const BYTES: u64 = FRAMES as u64 * PAGE_SIZE;
        let (start, end) = (start.align_up(PAGE_SIZE), end.align_down(PAGE_SIZE));
        let (first, last) = (start.align_up(BYTES), end.align_down(BYTES));
        if start >= end {
            return;
        }
        self.total += (end.get() - start.get()) / PAGE_SIZE;
        if first < last {
            let base = machine.ptr(first).expose_provenance();
            // SAFETY: `Mm::new` hands each range of RAM over once, and `Machine::ptr` vouches for the pointer.
            unsafe { self.heap.add_to_heap(base, base + (last.get() - first.get()) as usize) };
        }
        // What is no whole pageblock, at either end.
        let (below, above) = (first.min(end), if first < last { last } else { end });
        for (from, to) in [(start, below), (above, end)] {
            let frames = (to.get() - from.get()) / PAGE_SIZE;
            if frames > 0 {
                self.blocks.lend(from.pfn(), 0, true);
            }
            (0..frames).for_each(|frame| self.free(machine, from.pfn().add(frame), 0));
        }
    }

    /// `1 << order` frames, aligned to their size; `None` when there is no such block.
    pub fn alloc<M: Machine>(&mut self, machine: &M, order: u8) -> Option<Pfn> {
        let mut block = None;
        self.alloc_some(machine, order, 1, &mut |pfn| block = Some(pfn));
        block
    }

    /// Up to `want` blocks of `1 << order` frames, each aligned to its size, which go to `sink`; none when there is no
    /// such block, and fewer where it would take more than a look.
    pub fn alloc_some<M: Machine>(
        &mut self,
        machine: &M,
        order: u8,
        want: usize,
        sink: &mut impl FnMut(Pfn),
    ) -> usize {
        let heap = &mut self.heap;
        let mut take = |order| heap.alloc(layout(order)).ok().map(|block| machine.pa(block.as_ptr()).pfn());
        if order < MAX_ORDER {
            return self.blocks.alloc(order, want, sink, || take(MAX_ORDER));
        }
        let Some(pfn) = take(order) else { return 0 };
        self.blocks.lend(pfn, order, true);
        sink(pfn);
        1
    }

    /// Takes back a block that [`Buddy::alloc`] gave, or part of one: `1 << order` frames aligned to their size.
    #[inline]
    pub fn free<M: Machine>(&mut self, machine: &M, pfn: Pfn, order: u8) {
        if order >= MAX_ORDER {
            self.give_back(machine, pfn, order);
        } else if let Some(whole) = self.blocks.free(pfn, order) {
            self.give_back(machine, whole, MAX_ORDER);
        }
    }

    /// Takes back blocks of `1 << order` frames as [`Buddy::free`] does one.
    pub fn free_some<M: Machine>(&mut self, machine: &M, blocks: &[Pfn], order: u8) {
        if order >= MAX_ORDER {
            blocks.iter().for_each(|pfn| self.give_back(machine, *pfn, order));
            return;
        }
        let mut left = blocks;
        while !left.is_empty() {
            let (many, whole) = self.blocks.free_some(left, order);
            if let Some(whole) = whole {
                self.give_back(machine, whole, MAX_ORDER);
            }
            left = &left[many..];
        }
    }

    fn give_back<M: Machine>(&mut self, machine: &M, pfn: Pfn, order: u8) {
        self.blocks.lend(pfn, order, false);
        let block = NonNull::new(machine.ptr(pfn.addr())).expect("RAM is not at the null pointer");
        // SAFETY: the frame table releases a folio once, after its last reference, with the order it was claimed
        // with; nobody uses the block any more.
        unsafe { self.heap.dealloc(block, layout(order)) };
    }

    /// The first frame from `pfn` on that may be in use: it is not in a free block of a pageblock or more. `None` if
    /// there is none.
    pub fn next_lent(&self, pfn: Pfn) -> Option<Pfn> {
        self.blocks.next_lent(pfn)
    }

    /// Frames in free blocks.
    pub fn free_pages(&self) -> u64 {
        let whole = self.heap.stats_total_bytes() - self.heap.stats_alloc_actual();
        whole as u64 / PAGE_SIZE + self.blocks.free_frames()
    }

    /// Frames taken over.
    pub fn total_pages(&self) -> u64 {
        self.total
    }
}

fn layout(order: u8) -> Layout {
    let bytes = (PAGE_SIZE as usize) << order;
    Layout::from_size_align(bytes, bytes).expect("a block of RAM is far below the limits of a layout")
}
