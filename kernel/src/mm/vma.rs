//! Virtual memory areas: what a process asked for, as opposed to what its tables hold yet.

use alloc::vec::Vec;
use core::cell::Cell;

use bitflags::bitflags;
use paging::{PAGE_SHIFT, Pfn, Pte, VirtAddr};

use super::object::Object;
use crate::errno::Result;
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
        const GROWS_DOWN = 1 << 18;
        /// MAP_NORESERVE: it is not counted as promised.
        const NORESERVE = 1 << 20;
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
    fn split_off(&mut self, at: VirtAddr) -> Vma {
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
    fn continues_in(&self, next: &Vma) -> bool {
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

/// The properties with which a VMA is another in a child of fork.
const OTHERS_IN_CHILD: VmaFlags = VmaFlags::UFFD_WP.union(VmaFlags::WIPEONFORK).union(VmaFlags::LOCKED);

/// A process's VMAs, sorted by address, none overlapping another.
#[derive(Default)]
pub struct VmaList {
    vmas: Vec<Vma>,
    /// The index that was looked for last: the next fault is mostly in the same VMA. A hint, checked against the VMA that
    /// has it now, so whoever changes the list need not care. Linux had `vmacache`.
    last: Cell<usize>,
}

impl VmaList {
    /// No VMAs.
    pub const fn new() -> Self {
        VmaList { vmas: Vec::new(), last: Cell::new(0) }
    }

    /// All VMAs, by address.
    pub fn iter(&self) -> core::slice::Iter<'_, Vma> {
        self.vmas.iter()
    }

    /// All VMAs, by address.
    pub fn as_slice(&self) -> &[Vma] {
        &self.vmas
    }

    /// The 0-based index of the first VMA that ends above `va`; the number of VMAs if none does.
    #[inline]
    pub fn index_at(&self, va: VirtAddr) -> usize {
        self.last_hit(va).unwrap_or_else(|| self.search(va))
    }

    /// The index that was looked for last, if that is `va`'s VMA.
    #[inline(always)]
    pub(super) fn last_hit(&self, va: VirtAddr) -> Option<usize> {
        let last = self.last.get();
        self.vmas.get(last).filter(|vma| vma.start <= va && va < vma.end).map(|_| last)
    }

    #[inline(never)]
    fn search(&self, va: VirtAddr) -> usize {
        let index = self.vmas.partition_point(|vma| vma.end <= va);
        self.last.set(index);
        index
    }

    /// The VMA that contains `va`.
    #[inline]
    pub fn find(&self, va: VirtAddr) -> Option<&Vma> {
        self.vmas.get(self.index_at(va)).filter(|vma| vma.start <= va)
    }

    /// The VMA that contains `va`, to change its flags.
    #[inline]
    pub fn find_mut(&mut self, va: VirtAddr) -> Option<&mut Vma> {
        let index = self.index_at(va);
        self.vmas.get_mut(index).filter(|vma| vma.start <= va)
    }

    /// The VMA with the given index, to change its flags.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Vma> {
        self.vmas.get_mut(index)
    }

    /// The VMA with the given index.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Option<&Vma> {
        self.vmas.get(index)
    }

    /// The VMAs that overlap `start..end`, as a range of indices.
    pub fn overlapping(&self, start: VirtAddr, end: VirtAddr) -> core::ops::Range<usize> {
        let first = self.index_at(start);
        let behind = first + self.vmas[first..].partition_point(|vma| vma.start < end);
        first..behind
    }

    /// Whether every address of `start..end` is in a VMA.
    pub fn covers(&self, start: VirtAddr, end: VirtAddr) -> bool {
        self.covered(start, end) >= end
    }

    /// Up to where the addresses from `start` on are in VMAs without a gap; `end` if they are at least up to there.
    pub fn covered(&self, start: VirtAddr, end: VirtAddr) -> VirtAddr {
        let mut at = start;
        for vma in &self.vmas[self.overlapping(start, end)] {
            if vma.start > at {
                break;
            }
            at = vma.end;
        }
        at.min(end)
    }

    /// Makes room for `additional` more VMAs, so that the next changes cannot fail halfway.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn reserve(&mut self, additional: usize) -> Result<()> {
        Ok(self.vmas.try_reserve(additional)?)
    }

    /// Adds a VMA that overlaps no other, as part of its neighbours where they are alike. Room is reserved.
    pub fn insert(&mut self, vma: Vma) {
        let index = self.index_at(vma.start);
        let starts = vma.start;
        self.vmas.insert(index, vma);
        self.merge_around(starts, starts);
    }

    /// Makes the VMA with the given index begin at `start`, below where it does and not below the end of the one before.
    pub(super) fn grow_down(&mut self, index: usize, start: VirtAddr) {
        debug_assert!(index == 0 || self.vmas[index - 1].end <= start);
        self.vmas[index].start = start;
    }

    /// Splits VMAs so that none crosses `at`. Room for one more is reserved.
    pub fn split_at(&mut self, at: VirtAddr) {
        let index = self.index_at(at);
        if let Some(vma) = self.vmas.get_mut(index)
            && vma.start < at
        {
            let upper = vma.split_off(at);
            self.vmas.insert(index + 1, upper);
        }
    }

    /// Applies `f` to the VMAs between `start` and `end`, across which none reaches, then joins what became alike.
    pub fn change(&mut self, start: VirtAddr, end: VirtAddr, f: impl FnMut(&mut Vma)) {
        let range = self.overlapping(start, end);
        self.vmas[range].iter_mut().for_each(f);
        self.merge_around(start, end);
    }

    /// Joins VMAs between the neighbours of `start` and of `end` where they are alike.
    fn merge_around(&mut self, start: VirtAddr, end: VirtAddr) {
        let mut index = self.index_at(start).saturating_sub(1);
        while index + 1 < self.vmas.len() && self.vmas[index].start <= end {
            if self.vmas[index].continues_in(&self.vmas[index + 1]) {
                let next = self.vmas.remove(index + 1);
                self.vmas[index].end = next.end;
                self.vmas[index].flags |= next.flags;
                debug_assert!(!last_reference(&next), "the lower part refers to the object too");
            } else {
                index += 1;
            }
        }
    }

    /// Removes the VMAs between `start` and `end`, across which none reaches, and hands each to `f`.
    pub fn remove(&mut self, start: VirtAddr, end: VirtAddr, f: impl FnMut(Vma)) {
        let range = self.overlapping(start, end);
        self.vmas.drain(range).for_each(f);
    }

    /// Removes all VMAs and hands each to `f`.
    pub fn clear(&mut self, f: impl FnMut(Vma)) {
        core::mem::take(&mut self.vmas).into_iter().for_each(f);
    }

    /// The list for a child of fork: all but what MADV_DONTFORK keeps back.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn fork(&self) -> Result<VmaList> {
        let mut vmas = Vec::new();
        vmas.try_reserve_exact(self.vmas.len())?;
        let mut dropped = false;
        for vma in &self.vmas {
            let mut flags = vma.flags;
            if flags.contains(VmaFlags::DONTFORK) {
                continue;
            }
            if flags.intersects(OTHERS_IN_CHILD) {
                if !vma.child_keeps_wp() {
                    flags -= VmaFlags::UFFD_WP;
                }
                if flags.contains(VmaFlags::WIPEONFORK) {
                    flags -= VmaFlags::HAS_ANON;
                }
                flags -= VmaFlags::LOCKED | VmaFlags::LOCK_ON_FAULT;
                dropped = true;
            }
            vmas.push(Vma { flags, ..vma.clone() }); // there is room
        }
        let mut list = VmaList { vmas, last: Cell::new(0) };
        if dropped {
            list.merge_around(VirtAddr::new(0), VirtAddr::new(u64::MAX));
        }
        Ok(list)
    }

    /// The highest `bytes` free bytes below `limit` and not below `floor` that begin `offset` bytes behind a multiple
    /// of `align` (a power of two, in bytes, greater than `offset`). `None` when there is no such gap.
    pub fn gap_below(
        &self,
        floor: VirtAddr,
        limit: VirtAddr,
        bytes: u64,
        align: u64,
        offset: u64,
    ) -> Option<VirtAddr> {
        let mut end = limit;
        for vma in self.vmas[..self.overlapping(VirtAddr::new(0), limit).end].iter().rev() {
            if let Some(start) = fits(vma.end.max(floor), end, bytes, align, offset) {
                return Some(start);
            }
            end = vma.start;
        }
        fits(floor, end, bytes, align, offset)
    }
}

fn last_reference(vma: &Vma) -> bool {
    matches!(&vma.backing, Backing::Object { object, .. } if Ref::is_unique(object))
}

fn fits(start: VirtAddr, end: VirtAddr, bytes: u64, align: u64, offset: u64) -> Option<VirtAddr> {
    let highest = end.get().checked_sub(bytes)?.checked_sub(offset)?;
    let at = VirtAddr::new(highest).align_down(align).add(offset);
    (at >= start).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn vma(start: u64, end: u64, prot: Prot) -> Vma {
        let (start, end) = (VirtAddr::new(start), VirtAddr::new(end));
        Vma { start, end, prot, flags: VmaFlags::empty(), backing: Backing::Anon }
    }

    fn list(vmas: &[Vma]) -> VmaList {
        let mut list = VmaList::new();
        list.reserve(vmas.len() + 2).unwrap();
        vmas.iter().for_each(|vma| list.insert(vma.clone()));
        list
    }

    fn ranges(list: &VmaList) -> Vec<(u64, u64)> {
        list.iter().map(|vma| (vma.start.get(), vma.end.get())).collect()
    }

    #[test]
    fn neighbours_that_are_alike_become_one() {
        let rw = Prot::READ | Prot::WRITE;
        let list = list(&[vma(0x1000, 0x2000, rw), vma(0x3000, 0x4000, rw), vma(0x2000, 0x3000, rw)]);
        assert_eq!(ranges(&list), [(0x1000, 0x4000)]);
        let other = super::tests::list(&[vma(0x1000, 0x2000, rw), vma(0x2000, 0x3000, Prot::READ)]);
        assert_eq!(ranges(&other).len(), 2);
    }

    #[test]
    fn splitting_and_changing_the_middle_and_back() {
        let mut list = list(&[vma(0x1000, 0x9000, Prot::READ)]);
        let (start, end) = (VirtAddr::new(0x3000), VirtAddr::new(0x5000));
        list.split_at(start);
        list.split_at(end);
        list.change(start, end, |vma| vma.prot = Prot::empty());
        assert_eq!(ranges(&list), [(0x1000, 0x3000), (0x3000, 0x5000), (0x5000, 0x9000)]);
        assert_eq!(list.find(VirtAddr::new(0x4fff)).unwrap().prot, Prot::empty());
        list.change(start, end, |vma| vma.prot = Prot::READ);
        assert_eq!(ranges(&list), [(0x1000, 0x9000)]);
    }

    #[test]
    fn coverage_sees_gaps() {
        let list = list(&[vma(0x1000, 0x2000, Prot::READ), vma(0x3000, 0x4000, Prot::READ)]);
        let covers = |start, end| list.covers(VirtAddr::new(start), VirtAddr::new(end));
        assert!(
            covers(0x1000, 0x2000)
                && !covers(0x1000, 0x4000)
                && !covers(0x0, 0x2000)
                && !covers(0x3000, 0x5000)
        );
    }

    #[test]
    fn gaps_are_found_from_the_top_and_aligned() {
        let list = list(&[vma(0x10_0000, 0x20_0000, Prot::READ), vma(0x30_1000, 0x40_0000, Prot::READ)]);
        let shifted = |bytes, align, offset| {
            let (floor, limit) = (VirtAddr::new(0x1_0000), VirtAddr::new(0x40_0000));
            list.gap_below(floor, limit, bytes, align, offset).map(|va| va.get())
        };
        let gap = |bytes, align| shifted(bytes, align, 0);
        assert_eq!(gap(0x1000, 0x1000), Some(0x30_0000));
        assert_eq!(gap(0x1_0000, 0x1_0000), Some(0x2f_0000));
        assert_eq!(gap(0x10_1000, 0x1000), Some(0x20_0000));
        assert_eq!(gap(0x10_2000, 0x1000), None);
        assert_eq!(gap(0xf_0000, 0x1000), Some(0x21_1000));
        assert_eq!(shifted(0x2000, 0x1_0000, 0x3000), Some(0x2f_3000));
        assert_eq!(shifted(0xf_0000, 0x1_0000, 0x2000), Some(0x20_2000));
        assert_eq!(shifted(0xf_0000, 0x1_0000, 0x1_0000 - 0x1000), Some(0x20_f000));
        assert_eq!(shifted(0xff_f000, 0x1_0000, 0x2000), None, "below nothing");
    }
}
