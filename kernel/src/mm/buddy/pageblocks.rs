//! All pageblocks of the machine, and which of them have blocks of what size to give.
//!
//! A pageblock with free frames is in the list of the largest block it is known to have, or in the list of those that
//! got frames back since somebody looked. Freeing so costs a few bits and at most one move between lists, and never a
//! search; looking is left to whoever finds no block otherwise. A pageblock that is wholly free is in no list: it goes
//! back to where it came from.

use core::ptr::NonNull;

use paging::{PAGE_SIZE, Pfn, PhysAddr};

use super::pageblock::{FRAMES, Pageblock};
use crate::mm::frame::MAX_ORDER;
use crate::mm::machine::Machine;

/// No pageblock; no list.
const NONE: u32 = u32::MAX;
/// The list of pageblocks whose largest block is not known; those before it are by log2 of that, in frames.
const STALE: usize = MAX_ORDER as usize;

struct Entry {
    block: Pageblock,
    list: u32,
    next: u32,
    before: u32,
    /// Not all of it is with the library.
    lent: bool,
}

/// The pageblocks from the lowest frame to the highest; holes have entries without free frames.
pub(super) struct Pageblocks {
    /// The number of the first: its first frame's, in pageblocks.
    base: u64,
    entries: NonNull<Entry>,
    len: usize,
    heads: [u32; STALE + 1],
    free: u64,
}

// SAFETY: the entries are in memory that is this value's for good, so it may be used from any CPU, by one at a time.
unsafe impl Send for Pageblocks {}

impl Pageblocks {
    /// None, until there is memory for them.
    pub const EMPTY: Pageblocks =
        Pageblocks { base: 0, entries: NonNull::dangling(), len: 0, heads: [NONE; STALE + 1], free: 0 };

    fn count(start: PhysAddr, end: PhysAddr) -> usize {
        (end.pfn().get().div_ceil(FRAMES as u64) - start.pfn().get() / FRAMES as u64) as usize
    }

    /// Bytes that the entries for the frames between two addresses take, in whole pages.
    pub fn bytes(start: PhysAddr, end: PhysAddr) -> u64 {
        (Self::count(start, end) * size_of::<Entry>()).next_multiple_of(PAGE_SIZE as usize) as u64
    }

    /// The pageblocks of the frames between two addresses, none of them free, with their entries at `home`: as many
    /// [`Pageblocks::bytes`] of RAM, which are nobody else's from here on.
    pub fn place<M: Machine>(machine: &M, start: PhysAddr, end: PhysAddr, home: PhysAddr) -> Self {
        let (len, entries) = (Self::count(start, end), machine.ptr(home).cast::<Entry>());
        for index in 0..len {
            let entry = Entry { block: Pageblock::NONE, list: NONE, next: NONE, before: NONE, lent: false };
            // SAFETY: within the caller's memory, which is aligned to a page.
            unsafe { entries.add(index).write(entry) };
        }
        let entries = NonNull::new(entries).unwrap_or(NonNull::dangling());
        Pageblocks { base: start.pfn().get() / FRAMES as u64, entries, len, ..Pageblocks::EMPTY }
    }

    /// Frames that are free.
    pub fn free_frames(&self) -> u64 {
        self.free
    }

    #[inline]
    fn entry(&mut self, index: u32) -> &mut Entry {
        assert!((index as usize) < self.len, "no pageblock {index}");
        // SAFETY: in bounds, and `place` wrote as many entries; they are reached through this value only.
        unsafe { self.entries.add(index as usize).as_mut() }
    }

    #[inline]
    fn index_of(&self, pfn: Pfn) -> u32 {
        (pfn.get() / FRAMES as u64).wrapping_sub(self.base) as u32
    }

    fn first_frame(&self, index: u32) -> Pfn {
        Pfn::new((self.base + u64::from(index)) * FRAMES as u64)
    }

    /// Notes that the pageblocks that have frames among the `1 << order` from `pfn` on were taken from the library, or
    /// came back to it.
    pub fn lend(&mut self, pfn: Pfn, order: u8, lent: bool) {
        let first = self.index_of(pfn);
        for index in first..first + (1 << order.saturating_sub(MAX_ORDER)) {
            self.entry(index).lent = lent;
        }
    }

    /// The first frame from `pfn` on whose pageblock the library does not have whole. All before it are free, or no
    /// memory at all.
    pub fn next_lent(&self, pfn: Pfn) -> Option<Pfn> {
        let first = self.index_of(pfn) as usize;
        // SAFETY: `place` wrote as many entries, and whoever could change them needs this value.
        let entries = unsafe { core::slice::from_raw_parts(self.entries.as_ptr(), self.len) };
        let further = entries.get(first..)?.iter().position(|entry| entry.lent)?;
        Some(self.first_frame((first + further) as u32).max(pfn))
    }

    /// Puts the pageblock into another list, or none.
    fn file(&mut self, index: u32, list: u32) {
        let Entry { list: old, next, before, .. } = *self.entry(index);
        if old == list {
            return;
        }
        if old != NONE {
            match before {
                NONE => self.heads[old as usize] = next,
                before => self.entry(before).next = next,
            }
            if next != NONE {
                self.entry(next).before = before;
            }
        }
        let head =
            if list == NONE { NONE } else { core::mem::replace(&mut self.heads[list as usize], index) };
        if head != NONE {
            self.entry(head).before = index;
        }
        let entry = self.entry(index);
        (entry.list, entry.next, entry.before) = (list, head, NONE);
    }

    /// Looks at a pageblock and files it by what it has.
    fn classify(&mut self, index: u32) {
        let list = self.entry(index).block.largest().map_or(NONE, u32::from);
        self.file(index, list);
    }

    /// A pageblock that has a block of `1 << order` frames.
    fn find(&mut self, order: u8) -> Option<u32> {
        loop {
            // The smallest that will do: larger ones stay whole.
            let filed = self.heads[order as usize..STALE].iter().find(|head| **head != NONE);
            if let Some(index) = filed {
                return Some(*index);
            }
            match self.heads[STALE] {
                NONE => return None,
                stale => self.classify(stale),
            }
        }
    }

    /// Takes up to `want` blocks of `1 << order` frames, smaller than a pageblock, all from one, and hands each to
    /// `sink`. Returns how many they were, at least 1 if there is any; `whole` gives the first frame of a free
    /// pageblock if there is one.
    pub fn alloc(
        &mut self,
        order: u8,
        want: usize,
        sink: &mut impl FnMut(Pfn),
        whole: impl FnOnce() -> Option<Pfn>,
    ) -> usize {
        let index = match self.find(order) {
            Some(index) => index,
            None => {
                let Some(pfn) = whole() else { return 0 };
                let index = self.index_of(pfn);
                let entry = self.entry(index);
                entry.block.fill();
                entry.lent = true;
                self.free += FRAMES as u64;
                index
            }
        };
        let first = self.first_frame(index);
        let taken = self.entry(index).block.take(order, want, |frame| sink(first.add(frame as u64)));
        self.free -= (taken as u64) << order;
        self.classify(index);
        taken
    }

    /// Takes back blocks of `1 << order` frames as long as they are in the first one's pageblock, of which there is one.
    /// Returns how many they were, and the first frame of the pageblock as [`Pageblocks::free`] does.
    pub fn free_some(&mut self, blocks: &[Pfn], order: u8) -> (usize, Option<Pfn>) {
        let (index, number) = (self.index_of(blocks[0]), blocks[0].get() / FRAMES as u64);
        let block = &mut self.entry(index).block;
        let here = |pfn: &&Pfn| pfn.get() / FRAMES as u64 == number;
        let many = if order == 0 {
            block.put_frames(blocks.iter().take_while(here).map(|pfn| Pageblock::index(*pfn)))
        } else {
            let indices = blocks.iter().take_while(here).map(|pfn| Pageblock::index(*pfn));
            indices.inspect(|index| block.put(*index, order)).count()
        };
        self.free += (many as u64) << order;
        (many, self.filed(index))
    }

    /// Takes back a block of `1 << order` frames, smaller than a pageblock. Returns the first frame of the pageblock if
    /// that is wholly free: it is the caller's then.
    #[inline]
    pub fn free(&mut self, pfn: Pfn, order: u8) -> Option<Pfn> {
        let index = self.index_of(pfn);
        self.entry(index).block.put(Pageblock::index(pfn), order);
        self.free += 1 << order;
        self.filed(index)
    }

    /// Files a pageblock that got frames back; or returns its first frame, if it is whole.
    #[inline]
    fn filed(&mut self, index: u32) -> Option<Pfn> {
        let entry = self.entry(index);
        let (whole, list) = (entry.block.is_whole(), entry.list);
        if whole {
            self.entry(index).block.clear();
            self.file(index, NONE);
            self.free -= FRAMES as u64;
            return Some(self.first_frame(index));
        }
        if list != STALE as u32 {
            self.file(index, STALE as u32);
        }
        None
    }
}
