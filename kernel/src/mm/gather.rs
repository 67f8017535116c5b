//! What an unmapping operation releases, held back until the TLB flush that covers it is complete.
//!
//! A frame freed earlier could be given to somebody while a stale translation still leads to it, on any CPU. The
//! list lives in frames taken for it; when none is to be had, in a few slots on the stack, with more flushes. So
//! unmapping always works, most of all when memory is exhausted.

use paging::flush::Gather;
use paging::{Asid, PAGE_SHIFT, PAGE_SIZE, PTES_PER_TABLE, Pfn, PhysAddr, PteRef, VirtAddr};

use super::Mm;
use super::frame::Kind;
use super::machine::Machine;

/// Entries in the list on the stack.
const INLINE: usize = 16;
/// Entries in a frame of the list.
const PER_FRAME: usize = PAGE_SIZE as usize / 8;
/// Frames the list may grow to before it is flushed: 16,384 entries, 64 MiB in single pages of 4 KiB.
const MAX_FRAMES: usize = 16384 / PER_FRAME;

/// One release, in one word.
///
/// ```text
///   a folio, or (0 mappings) a table that maps nothing:   | 0 | frame number, 47 bits | mappings, 16 |
///   a last-level table and the entries in it to release:  | 1 | frame number, 36 | first entry, 13 | how many, 14 |
/// ```
#[derive(Clone, Copy)]
struct Entry(u64);

const _: () = assert!(PTES_PER_TABLE <= 1 << 13 && 48 - PAGE_SHIFT <= 36);

impl Entry {
    const TABLE: u64 = 1 << 63;

    const fn folio(pfn: Pfn, nr: usize) -> Self {
        Entry(pfn.get() << 16 | nr as u64)
    }

    const fn table(table: Pfn, first: usize, nr: usize) -> Self {
        Entry(Entry::TABLE | table.get() << 27 | (first as u64) << 14 | nr as u64)
    }

    /// The table, the first entry and how many; or `None` of others.
    const fn entries(self) -> Option<(Pfn, usize, usize)> {
        if self.0 & Entry::TABLE == 0 {
            return None;
        }
        let pfn = Pfn::new((self.0 & !Entry::TABLE) >> 27);
        Some((pfn, (self.0 >> 14 & 0x1fff) as usize, (self.0 & 0x3fff) as usize))
    }

    const fn pfn(self) -> Pfn {
        Pfn::new(self.0 >> 16)
    }

    const fn nr(self) -> u32 {
        self.0 as u16 as u32
    }
}

/// Collects what is to be flushed and what is to be released afterwards. Finish with [`Unmapped::finish`].
#[must_use = "frames are released only by finish"]
pub struct Unmapped<'m, M: Machine> {
    mm: &'m Mm<M>,
    asid: Asid,
    flush: Gather,
    inline: [Entry; INLINE],
    frames: [Pfn; MAX_FRAMES],
    frame_count: usize,
    len: usize,
    released: usize,
}

impl<'m, M: Machine> Unmapped<'m, M> {
    /// Nothing yet, for the address space that runs as `asid`.
    pub fn new(mm: &'m Mm<M>, asid: Asid) -> Self {
        Unmapped {
            mm,
            asid,
            flush: Gather::new(),
            inline: [Entry(0); INLINE],
            frames: [Pfn::new(0); MAX_FRAMES],
            frame_count: 0,
            len: 0,
            released: 0,
        }
    }

    /// PTEs between `start` and `end` were changed.
    #[inline]
    pub fn flush_range(&mut self, start: VirtAddr, end: VirtAddr) {
        self.flush.add(start, end);
    }

    /// The block at `start` was changed.
    #[inline]
    pub fn flush_block(&mut self, start: VirtAddr) {
        self.flush.add_block(start);
    }

    /// Tables were taken from their place, to be used elsewhere: walk caches may still lead to them.
    pub fn flush_all(&mut self) {
        self.flush.add_all();
    }

    /// `nr` PTEs, cleared and announced to [`Unmapped::flush_range`], mapped frames of the folio at `head`.
    #[inline]
    pub fn folio(&mut self, head: Pfn, nr: usize) {
        self.push(Entry::folio(head, nr));
    }

    /// The table at `table` was unlinked. It maps nothing any more.
    pub fn table(&mut self, table: PhysAddr) {
        self.flush.add_all();
        self.push(Entry::folio(table.pfn(), 0));
    }

    /// The last-level table at `table` was unlinked with all that it maps: the `nr` entries from the 0-based `first` on.
    /// They are read when it is released, and nobody writes to them until then but hardware.
    pub fn table_with_entries(&mut self, table: PhysAddr, first: usize, nr: usize) {
        self.flush.add_all();
        self.push(Entry::table(table.pfn(), first, nr));
    }

    fn push(&mut self, entry: Entry) {
        if self.len == self.capacity() && !self.grow() {
            self.release();
        }
        if self.frame_count == 0 {
            self.inline[self.len] = entry;
        } else {
            // SAFETY: the slot is in a frame that this list took for itself, and below its capacity.
            unsafe { self.slot(self.len).write(entry) };
        }
        self.len += 1;
    }

    fn capacity(&self) -> usize {
        if self.frame_count == 0 { INLINE } else { self.frame_count * PER_FRAME }
    }

    /// Takes one more frame; the entries on the stack move to the first. Returns whether there was one.
    fn grow(&mut self) -> bool {
        if self.frame_count == MAX_FRAMES {
            return false;
        }
        let Some(frame) = self.mm.alloc_frames(0, Kind::Kernel, 0) else { return false };
        self.frames[self.frame_count] = frame;
        self.frame_count += 1;
        if self.frame_count == 1 {
            for (index, entry) in self.inline.into_iter().enumerate() {
                // SAFETY: as in push; the inline entries fit in one frame.
                unsafe { self.slot(index).write(entry) };
            }
        }
        true
    }

    fn slot(&self, index: usize) -> *mut Entry {
        let frame = self.frames[index / PER_FRAME];
        self.mm.machine.ptr(frame.addr().add((index % PER_FRAME * 8) as u64)).cast()
    }

    /// Flushes, then releases all that was gathered.
    fn release(&mut self) {
        self.flush.flush(&self.mm.machine, self.asid);
        for index in 0..self.len {
            let entry = if self.frame_count == 0 {
                self.inline[index]
            } else {
                // SAFETY: as in push; the entry was written there.
                unsafe { self.slot(index).read() }
            };
            if let Some((table, first, nr)) = entry.entries() {
                // Where the table stood does not matter any more.
                let first = PteRef::in_table(table.addr(), VirtAddr::new(0)).add(first);
                self.released += self.mm.release_entries(first, nr);
                self.mm.free_table(table.addr());
                continue;
            }
            match entry.nr() {
                0 => self.mm.free_table(entry.pfn().addr()),
                nr => self.mm.folio_remove_mappings(entry.pfn(), nr),
            }
        }
        self.len = 0;
    }

    /// Flushes what was changed, releases what was mapped, and gives the list's own frames back. Returns how many pages of
    /// the resident set were in tables that came with their entries.
    pub fn finish(mut self) -> usize {
        self.release();
        for frame in &self.frames[..self.frame_count] {
            self.mm.folio_put(*frame);
        }
        self.released
    }
}
