//! The frame table: 16 bytes for each frame of RAM that say what it is used for and, for the first frame of a folio,
//! how often it is referenced and mapped.
//!
//! ```text
//!   counts: | pins, 16 bits | other references, 16 | mappings, 32 |     first frame of a folio only
//!   meta:   | owner, 32 bits | offset in the folio, 16 | order, 8 | kind, 8 |    every frame
//! ```
//!
//! A folio that is freed says so in its first frame alone, and one that is claimed writes all its frames' entries: what
//! other frames say is true while the first frame of the folio that they name is in use and claims them.
//!
//! The counts are in one word so that mapping or unmapping a batch is one atomic update ([`counts`](super::counts)).

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use paging::batch::FolioSpan;
use paging::{CONT_PTES, PAGE_SHIFT, PAGE_SIZE, Pfn, PhysAddr};

use super::PhysRange;
use super::counts::{AtomicCounts, Counts, TooManyReferences};
use super::machine::Machine;

/// The largest folio: 2 MiB on every granule, which is 512, 128 or 32 frames and so never less than a contpte block.
pub const MAX_ORDER: u8 = (21 - PAGE_SHIFT) as u8;

const _: () = assert!(1 << MAX_ORDER >= CONT_PTES);

/// What a frame is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Nothing: in the buddy or in a per-CPU cache.
    Free = 0,
    /// Anonymous memory.
    Anon = 1,
    /// A page of a file or of shared memory.
    Object = 2,
    /// A translation table, or a frame of zeroes that is kept to be one.
    Table = 3,
    /// Something of the kernel's own: heap, stacks, bookkeeping.
    Kernel = 4,
}

impl Kind {
    const fn from_meta(meta: u64) -> Kind {
        match meta as u8 {
            1 => Kind::Anon,
            2 => Kind::Object,
            3 => Kind::Table,
            4 => Kind::Kernel,
            _ => Kind::Free,
        }
    }
}

/// One frame's entry.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Frame {
    counts: AtomicCounts,
    meta: AtomicU64,
}

/// A folio as the table knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Folio {
    /// Its first frame.
    pub head: Pfn,
    /// log2 of its number of frames.
    pub order: u8,
    /// What it is used for.
    pub kind: Kind,
}

impl Folio {
    #[inline(always)]
    const fn from_meta(pfn: Pfn, meta: u64) -> Folio {
        let offset = meta >> 16 & 0xffff;
        Folio { head: Pfn::new(pfn.get() - offset), order: (meta >> 8) as u8, kind: Kind::from_meta(meta) }
    }

    /// Whether it is a single page of anonymous memory.
    #[inline]
    pub const fn is_page(self) -> bool {
        self.order == 0 && matches!(self.kind, Kind::Anon)
    }

    /// Its frames.
    #[inline]
    pub const fn span(self) -> FolioSpan {
        FolioSpan { first: self.head, pages: 1 << self.order }
    }
}

/// A folio and how many of its mappings are gone from tables and TLBs.
pub(super) struct Mapped<'a> {
    /// The folio.
    pub folio: Folio,
    /// How many mappings.
    pub pages: u32,
    head: &'a Frame,
}

impl Mapped<'_> {
    /// No folio, no mappings: no frame has that number.
    pub const NONE: Mapped<'static> = Mapped {
        folio: Folio { head: Pfn::new(u64::MAX), order: 0, kind: Kind::Free },
        pages: 0,
        head: &NOBODY,
    };

    /// Whether it is the folio that the frame belongs to.
    #[inline(always)]
    pub fn holds(&self, pfn: Pfn) -> bool {
        self.folio.span().contains(pfn)
    }

    /// Takes the mappings from the folio's count. Returns whether that was the last of it: an anonymous folio is entered
    /// as free then, others are the caller's to free.
    #[inline(always)]
    pub fn unshare(&self) -> bool {
        let last = self.head.counts.sub(Counts::maps(self.pages));
        if last && self.folio.kind == Kind::Anon {
            self.head.meta.store(0, Ordering::Relaxed);
        }
        last
    }
}

/// The entry of no frame.
static NOBODY: Frame = Frame { counts: AtomicCounts::zero(), meta: AtomicU64::new(0) };

/// The entries of all frames from the lowest to the highest that the machine has; holes between banks have entries
/// that nothing uses.
#[derive(Clone, Copy)]
pub struct FrameTable {
    base: Pfn,
    entries: NonNull<Frame>,
    len: usize,
}

// SAFETY: the entries are atomics in memory that is the table's for good, so it may be used from any CPU.
unsafe impl Send for FrameTable {}
// SAFETY: as above.
unsafe impl Sync for FrameTable {}

/// A folio whose mappings may be added to without looking.
#[derive(Clone, Copy)]
pub(super) struct Shareable<'a> {
    /// Its frames.
    pub span: FolioSpan,
    head: &'a Frame,
}

impl Shareable<'_> {
    /// No folio.
    pub const NONE: Shareable<'static> =
        Shareable { span: FolioSpan { first: Pfn::new(0), pages: 0 }, head: &NOBODY };

    /// Adds `nr` mappings, by one atomic update.
    #[inline(always)]
    pub fn share(&self, nr: u32) {
        self.head.counts.share(nr);
    }
}

/// Somebody took a number for a frame's that is none.
#[cold]
#[inline(never)]
fn no_frame(pfn: Pfn) -> ! {
    panic!("{pfn:?} is no frame of RAM");
}

impl FrameTable {
    /// A table of no frames, until there is memory for one.
    pub(super) const EMPTY: FrameTable =
        FrameTable { base: Pfn::new(0), entries: NonNull::dangling(), len: 0 };

    /// Puts a zeroed table for all of `usable` at the start of the largest range; returns it with the memory it
    /// takes. `None` if that range is too small.
    pub(super) fn place<M: Machine>(machine: &M, usable: &[PhysRange]) -> Option<(Self, PhysRange)> {
        let first = usable.iter().map(|range| range.start.pfn()).min()?;
        let end = usable.iter().map(|range| range.start.get() + range.bytes).max()?;
        let len = (end / PAGE_SIZE).checked_sub(first.get())? as usize;
        let bytes = (len * size_of::<Frame>()).next_multiple_of(PAGE_SIZE as usize) as u64;
        let home = usable.iter().max_by_key(|range| range.bytes)?;
        if home.bytes <= bytes {
            return None;
        }
        machine.zero(home.start, bytes as usize);
        let entries = NonNull::new(machine.ptr(home.start))?.cast();
        Some((FrameTable { base: first, entries, len }, PhysRange { start: home.start, bytes }))
    }

    /// Whether the frame is one the table knows.
    #[inline]
    pub fn contains(&self, pfn: Pfn) -> bool {
        pfn.get().wrapping_sub(self.base.get()) < self.len as u64
    }

    #[inline]
    fn entry(&self, pfn: Pfn) -> &Frame {
        let index = pfn.get().wrapping_sub(self.base.get()) as usize;
        if index >= self.len {
            no_frame(pfn);
        }
        // SAFETY: in bounds, checked above; `place` put `len` zeroed entries there, which are valid atomics.
        unsafe { self.entries.add(index).as_ref() }
    }

    /// Enters the `1 << order` free frames from `pfn` as a folio with these counts.
    #[inline(always)]
    pub(super) fn claim(&self, pfn: Pfn, order: u8, kind: Kind, owner: u32, counts: Counts) {
        let head = self.entry(pfn);
        debug_assert!(self.is_free(pfn), "{pfn:?} is in use");
        head.counts.set(counts);
        let meta = (owner as u64) << 32 | (order as u64) << 8 | kind as u64;
        if order == 0 {
            head.meta.store(meta, Ordering::Relaxed);
        } else {
            self.enter(pfn, meta, 1 << order);
        }
    }

    /// Enters the `pages` frames from `pfn` as those of the folio whose head says `meta`.
    #[inline]
    fn enter(&self, pfn: Pfn, meta: u64, pages: usize) {
        const STEP: u64 = 1 << 16;
        let frames = self.entries_of(pfn, pages);
        let mut meta = meta;
        let (chunks, rest) = frames.as_chunks::<8>();
        for chunk in chunks {
            for frame in chunk {
                frame.meta.store(meta, Ordering::Relaxed);
                meta += STEP;
            }
        }
        for frame in rest {
            frame.meta.store(meta, Ordering::Relaxed);
            meta += STEP;
        }
    }

    /// The entries of the `pages` frames from `pfn`.
    #[inline(always)]
    fn entries_of(&self, pfn: Pfn, pages: usize) -> &[Frame] {
        let index = pfn.get().wrapping_sub(self.base.get()) as usize;
        assert!(index < self.len && pages <= self.len - index, "{pages} frames from {pfn:?} are not all RAM");
        // SAFETY: in bounds, checked above; `place` put `len` zeroed entries there, which are valid atomics.
        unsafe { core::slice::from_raw_parts(self.entries.as_ptr().add(index), pages) }
    }

    /// Enters the frames of the folio at `head` as free and returns what it was. Only the first frame is told.
    #[inline]
    pub(super) fn release(&self, head: Pfn) -> Folio {
        let folio = self.folio(head);
        debug_assert!(folio.head == head && folio.kind != Kind::Free, "{folio:?} freed by {head:?}");
        self.entry(head).meta.store(0, Ordering::Relaxed);
        folio
    }

    /// Whether nothing uses the frame: it says so, or names a folio that is not there any more.
    fn is_free(&self, pfn: Pfn) -> bool {
        let named = self.folio(pfn);
        let head = self.folio(named.head);
        let there = head.head == named.head && pfn.get() - head.head.get() < 1 << head.order;
        named.kind == Kind::Free || head.kind == Kind::Free || !there
    }

    /// The folio that the frame, which is in use, belongs to.
    #[inline]
    pub fn folio(&self, pfn: Pfn) -> Folio {
        Folio::from_meta(pfn, self.entry(pfn).meta.load(Ordering::Relaxed))
    }

    /// The folio that the frame, which is in use, belongs to, for its mappings to be dropped.
    #[inline(always)]
    pub(super) fn mapped(&self, pfn: Pfn) -> Mapped<'_> {
        let entry = self.entry(pfn);
        let folio = Folio::from_meta(pfn, entry.meta.load(Ordering::Relaxed));
        let offset = pfn.get() - folio.head.get();
        // SAFETY: the entries of a folio follow one another, and this one says how many come before it (`claim`).
        let head = unsafe { &*core::ptr::from_ref(entry).sub(offset as usize) };
        Mapped { folio, pages: 0, head }
    }

    /// The number of the address space that the folio was allocated for; 0 for none.
    pub fn owner(&self, pfn: Pfn) -> u32 {
        (self.entry(pfn).meta.load(Ordering::Relaxed) >> 32) as u32
    }

    /// The folio's counts.
    #[inline]
    pub fn counts(&self, head: Pfn) -> Counts {
        self.entry(head).counts.get()
    }

    /// Turns the one reference of a folio that is still private to its maker into `nr` mappings. No atomic update:
    /// nobody else can know the folio.
    #[inline]
    pub(super) fn set_first_mappings(&self, head: Pfn, nr: u32) {
        self.entry(head).counts.set(Counts::maps(nr));
    }

    /// Adds references and returns how many there were.
    ///
    /// # Errors
    /// [`TooManyReferences`]; nothing was added.
    #[inline]
    pub(super) fn add(&self, head: Pfn, more: Counts) -> Result<Counts, TooManyReferences> {
        self.entry(head).counts.add(more)
    }

    /// Adds a mapping to the anonymous folio that `pfn` is, if it is a single page and may be shared as
    /// [`AtomicCounts::can_share`] says. Returns whether it is and may.
    #[inline(always)]
    pub(super) fn share_page(&self, pfn: Pfn) -> bool {
        let entry = self.entry(pfn);
        // Its offset and order are 0.
        let may = entry.meta.load(Ordering::Relaxed) as u32 == Kind::Anon as u32 && entry.counts.can_share();
        if may {
            entry.counts.share(1);
        }
        may
    }

    /// Takes a mapping of each of its pages from the anonymous folio that begins with `pfn` and has this order, if there is
    /// one, and enters it as free if those were the last references; returns whether they were. None, and nothing is
    /// taken, of others.
    #[inline(always)]
    pub(super) fn unshare_whole(&self, pfn: Pfn, order: u8) -> Option<bool> {
        let entry = self.entry(pfn);
        // Its offset in the folio is 0.
        if entry.meta.load(Ordering::Relaxed) as u32 != (order as u32) << 8 | Kind::Anon as u32 {
            return None;
        }
        let last = entry.counts.sub(Counts::maps(1 << order));
        if last {
            entry.meta.store(0, Ordering::Relaxed);
        }
        Some(last)
    }

    /// The anonymous folio that `pfn` belongs to, if it may be shared as [`AtomicCounts::can_share`] says.
    #[inline(always)]
    pub(super) fn shareable(&self, pfn: Pfn) -> Option<Shareable<'_>> {
        let entry = self.entry(pfn);
        let meta = entry.meta.load(Ordering::Relaxed);
        let offset = meta >> 16 & 0xffff;
        // SAFETY: the entries of a folio follow one another, and this one says how many come before it (`claim`).
        let head = unsafe { &*core::ptr::from_ref(entry).sub(offset as usize) };
        let span = FolioSpan { first: Pfn::new(pfn.get() - offset), pages: 1 << (meta >> 8 & 0xff) };
        (meta as u8 == Kind::Anon as u8 && head.counts.can_share()).then_some(Shareable { span, head })
    }

    /// Drops references. Returns whether none is left.
    #[inline]
    pub(super) fn sub(&self, head: Pfn, less: Counts) -> bool {
        self.entry(head).counts.sub(less)
    }

    /// The address range of all frames the table covers, holes included.
    pub fn span(&self) -> (PhysAddr, PhysAddr) {
        (self.base.addr(), self.base.add(self.len as u64).addr())
    }
}
