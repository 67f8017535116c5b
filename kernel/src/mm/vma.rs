//! Virtual memory areas: what a process asked for, as opposed to what its tables hold yet.

use bitflags::bitflags;
use paging::{PAGE_SHIFT, Pfn, Pte, VirtAddr};

use super::object::Object;
use crate::util::Ref;

bitflags! {
    /// What a process may do with memory. The values are Linux's `PROT_*`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct Prot: u32 {
        /// Load from it.
        const READ = 1;
        /// Store to it.
        const WRITE = 2;
        /// Execute it.
        const EXEC = 4;
    }
}

bitflags! {
    /// Properties of a VMA.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct VmaFlags: u32 {
        /// Writes are seen by all who map it (MAP_SHARED).
        const SHARED = 1;
        /// MADV_HUGEPAGE: large folios are wanted.
        const HUGEPAGE = 2;
        /// MADV_NOHUGEPAGE: large folios are not wanted.
        const NOHUGEPAGE = 4;
        /// Tables may hold anonymous pages, so fork has to copy them.
        const HAS_ANON = 8;
        /// MADV_DONTFORK: the child does not get it.
        const DONTFORK = 16;
        /// MADV_WIPEONFORK: the child gets it empty.
        const WIPEONFORK = 32;
        /// The initial stack.
        const STACK = 64;
        /// Shared, and the file may not be written: nor may this, now or later.
        const READ_ONLY = 256;
        /// The heap that brk moves.
        const HEAP = 128;
        /// Registered with userfaultfd for write-protection.
        const UFFD_WP = 1 << 12;
        /// Whoever registered it hears of fork and mremap: what they make is registered as well.
        const UFFD_EVENTS = 1 << 13;
        /// Its pages stay in memory (mlock).
        const LOCKED = 1 << 16;
        /// With LOCKED: those that were touched, others are not made resident beforehand.
        const LOCK_ON_FAULT = 1 << 17;
        /// Grows down to where it is accessed, as the initial stack does (MAP_GROWSDOWN).
        const GROWS_DOWN = 1 << 21;
        /// MAP_NORESERVE: it is not counted as promised.
        const NORESERVE = 1 << 20;
        /// PR_SET_THP_DISABLE: the process has no large folios. With NOHUGEPAGE this makes one mask that an instruction holds.
        const THP_DISABLED = 1 << 18;
        /// Registered with userfaultfd for pages that are not there.
        const UFFD_MISSING = 1 << 22;
        /// Registered with userfaultfd for pages of shared memory that are there and not mapped.
        const UFFD_MINOR = 1 << 23;
        /// The number of the monitor it is registered with, from 1 up; 0: none.
        const UFFD_MONITOR = 0xf << 24;
        /// Writes are tracked: entries without the soft-dirty bit are not writable.
        const SOFT_DIRTY = 1 << 14;
    }
}

/// Where the contents of a VMA come from.
#[derive(Clone)]
pub enum Backing {
    /// Zeroes.
    Anon,
    /// A file or shared memory.
    Object {
        /// Its page cache.
        object: Ref<Object>,
        /// The object's page that the VMA's first page shows (0-based, in pages).
        page: u64,
    },
    /// Physical frames that are not counted, device registers: see `pfnmap`.
    Frames {
        /// The frame that the VMA's first page shows.
        first: Pfn,
    },
}

/// A range of a process's addresses with equal properties.
#[derive(Clone)]
pub struct Vma {
    /// The first address.
    pub start: VirtAddr,
    /// The first address behind it.
    pub end: VirtAddr,
    /// What is permitted.
    pub prot: Prot,
    /// Its properties.
    pub flags: VmaFlags,
    /// Where its contents come from.
    pub backing: Backing,
}

impl Vma {
    /// Whether it shows a file, or shared memory, which is one without a name.
    pub fn is_mapped_file(&self) -> bool {
        !matches!(self.backing, Backing::Anon)
    }

    /// Whether writes stay with the process: a write to a page that others see too copies it first.
    #[inline]
    pub fn is_private(&self) -> bool {
        !self.flags.contains(VmaFlags::SHARED)
    }

    /// Notes that fork has anonymous pages to copy here.
    #[inline(always)]
    pub(super) fn note_anon(&mut self) {
        if !self.flags.contains(VmaFlags::HAS_ANON) {
            self.flags |= VmaFlags::HAS_ANON;
        }
    }

    /// Whether it is private memory that begins as zeroes.
    #[inline]
    pub fn is_private_anon(&self) -> bool {
        self.is_private() && matches!(self.backing, Backing::Anon)
    }

    /// Whether fork copies its PTEs. The rest the child can fault in by itself: what has no anonymous pages, says
    /// nothing about userfaultfd, and is not mapped once and for all. Linux: `vma_needs_copy`.
    #[inline]
    pub fn needs_copy(&self) -> bool {
        (self.flags.contains(VmaFlags::HAS_ANON)
            || self.child_keeps_wp()
            || matches!(self.backing, Backing::Frames { .. }))
            && !self.flags.intersects(VmaFlags::DONTFORK | VmaFlags::WIPEONFORK)
    }

    /// Whether a child of fork keeps the registration with userfaultfd, and so the protection of single pages.
    #[inline]
    pub fn child_keeps_wp(&self) -> bool {
        self.flags.contains(VmaFlags::UFFD_WP.union(VmaFlags::UFFD_EVENTS))
    }

    /// The entry that maps the frame `pfn` here for a write: writable, dirty, and told to who tracks writes.
    #[inline]
    pub fn written(&self, pfn: Pfn) -> Pte {
        let pte = self.pte(pfn).mkwrite().mkdirty();
        if self.flags.contains(VmaFlags::SOFT_DIRTY) { pte.mksoft_dirty() } else { pte }
    }

    /// Whether it may hold pages that reclaim can page out.
    pub fn needs_reclaim(&self) -> bool {
        self.is_private() && self.flags.contains(VmaFlags::HAS_ANON) && !self.flags.contains(VmaFlags::LOCKED)
    }

    /// The object's page (0-based) that `va` shows, with the object; `None` for anonymous memory.
    pub fn object_page(&self, va: VirtAddr) -> Option<(&Ref<Object>, u64)> {
        match &self.backing {
            Backing::Anon | Backing::Frames { .. } => None,
            Backing::Object { object, page } => Some((object, page + (self.start.pages_to(va) as u64))),
        }
    }

    /// The uncounted frame that `va` shows; `None` for all other memory.
    pub fn frame(&self, va: VirtAddr) -> Option<Pfn> {
        match self.backing {
            Backing::Frames { first } => Some(first.add(self.start.pages_to(va) as u64)),
            _ => None,
        }
    }

    /// The entry that maps the frame `pfn` here: young, clean, and not yet writable.
    #[inline]
    pub fn pte(&self, pfn: Pfn) -> Pte {
        let pte = Pte::user(pfn).mkyoung();
        if self.prot.contains(Prot::EXEC) { pte.mkexec() } else { pte }
    }

    /// What a VMA shows that begins with the contents of `va`, which is in this one or its end.
    pub fn backing_at(&self, va: VirtAddr) -> Backing {
        let pages = self.start.pages_to(va) as u64;
        match &self.backing {
            Backing::Anon => Backing::Anon,
            Backing::Object { object, page } => {
                Backing::Object { object: object.clone(), page: page + pages }
            }
            Backing::Frames { first } => Backing::Frames { first: first.add(pages) },
        }
    }

    /// Cuts the VMA in two at `at`, which is inside; `self` keeps the lower part.
    pub(super) fn split_off(&mut self, at: VirtAddr) -> Vma {
        let mut upper = self.clone();
        upper.start = at;
        let pages = (at.get() - self.start.get()) >> PAGE_SHIFT;
        match &mut upper.backing {
            Backing::Anon => {}
            Backing::Object { page, .. } => *page += pages,
            Backing::Frames { first } => *first = first.add(pages),
        }
        self.end = at;
        upper
    }

    /// Whether `next`, which begins where this one ends, could be one with it.
    pub(super) fn continues_in(&self, next: &Vma) -> bool {
        // That fork may have work in only one of the two does not make them different.
        let flags = |vma: &Vma| vma.flags | VmaFlags::HAS_ANON;
        let contents = match (&self.backing, &next.backing) {
            (Backing::Anon, Backing::Anon) => true,
            (Backing::Object { object: a, .. }, Backing::Object { object: b, page }) => {
                Ref::ptr_eq(a, b) && self.object_page(self.end).is_some_and(|(_, end)| end == *page)
            }
            (Backing::Frames { .. }, Backing::Frames { first }) => self.frame(self.end) == Some(*first),
            _ => false,
        };
        contents && self.end == next.start && self.prot == next.prot && flags(self) == flags(next)
    }
}
