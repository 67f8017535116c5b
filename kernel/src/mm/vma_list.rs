//! A process's VMAs in order: finding, splitting, merging, and room between them.

use alloc::vec::Vec;
use core::cell::Cell;

use paging::VirtAddr;

use super::vma::{Backing, Vma, VmaFlags};
use super::watermark::Watermark;
use crate::errno::{Errno, Result};
use crate::util::Ref;

/// The VMAs that a process may have, but for the few that a call which began below that may add. Linux: the default of
/// `max_map_count`.
pub const MAX_MAP_COUNT: usize = 65_530;

/// The properties with which a VMA is another in a child of fork.
const OTHERS_IN_CHILD: VmaFlags = super::uffd::REGISTERED.union(VmaFlags::WIPEONFORK).union(VmaFlags::LOCKED);

/// A process's VMAs, sorted by address, none overlapping another.
#[derive(Default)]
pub struct VmaList {
    vmas: Vec<Vma>,
    /// The index that was looked for last: the next fault is mostly in the same VMA. A hint, checked against the VMA that
    /// has it now, so whoever changes the list need not care. Linux had `vmacache`.
    last: Cell<usize>,
    /// Pages of all VMAs together, and the most that these were.
    size: Watermark,
}

impl VmaList {
    /// No VMAs.
    pub const fn new() -> Self {
        VmaList { vmas: Vec::new(), last: Cell::new(0), size: Watermark::ZERO }
    }

    /// All VMAs, by address.
    pub fn iter(&self) -> core::slice::Iter<'_, Vma> {
        self.vmas.iter()
    }

    /// All VMAs, by address.
    pub fn as_slice(&self) -> &[Vma] {
        &self.vmas
    }

    /// Pages of all VMAs together, and the most that these were.
    pub fn size(&self) -> Watermark {
        self.size
    }

    /// The most pages that VMAs had together was `pages`, or is what they have now: a move is not to count what it moves
    /// twice.
    pub fn set_peak_size(&mut self, pages: usize) {
        self.size.set_peak(pages);
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

    /// Whether a process with these VMAs may not have another.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.vmas.len() >= MAX_MAP_COUNT
    }

    /// Makes room for what [`split_at`](Self::split_at) makes of these two addresses.
    ///
    /// # Errors
    /// `ENOMEM`: no memory, or the process would have more than it may.
    #[inline]
    pub fn reserve_splits(&mut self, start: VirtAddr, end: VirtAddr) -> Result<()> {
        if self.is_full() && self.splits(start, end) {
            return Err(Errno::ENOMEM);
        }
        self.reserve(2)
    }

    /// Whether one of these addresses is in the middle of a VMA.
    #[cold]
    fn splits(&self, start: VirtAddr, end: VirtAddr) -> bool {
        [start, end].iter().any(|at| self.find(*at).is_some_and(|vma| vma.start < *at))
    }

    /// Adds a VMA that overlaps no other, as part of its neighbours where they are alike. Room is reserved.
    pub fn insert(&mut self, vma: Vma) {
        let index = self.index_at(vma.start);
        let starts = vma.start;
        self.size += vma.start.pages_to(vma.end);
        self.vmas.insert(index, vma);
        self.merge_around(starts, starts);
    }

    /// Makes the VMA with the given index begin at `start`, below where it does and not below the end of the one before.
    pub(super) fn grow_down(&mut self, index: usize, start: VirtAddr) {
        debug_assert!(index == 0 || self.vmas[index - 1].end <= start);
        self.size += start.pages_to(self.vmas[index].start);
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

    /// Joins VMAs between the neighbours of `start` and of `end` where they are alike. Those that are left are moved together
    /// as it goes, and the list closes up once: a call may join as many as there are, and nobody else runs meanwhile.
    fn merge_around(&mut self, start: VirtAddr, end: VirtAddr) {
        let mut kept = self.index_at(start).saturating_sub(1);
        let mut next = kept + 1;
        while next < self.vmas.len() && self.vmas[kept].start <= end {
            if self.vmas[kept].continues_in(&self.vmas[next]) {
                let (end, flags) = (self.vmas[next].end, self.vmas[next].flags);
                self.vmas[kept].end = end;
                self.vmas[kept].flags |= flags;
            } else {
                kept += 1;
                if kept != next {
                    self.vmas.swap(kept, next);
                }
            }
            next += 1;
        }
        if next > kept + 1 {
            for joined in self.vmas.drain(kept + 1..next) {
                debug_assert!(!last_reference(&joined), "the lower part refers to the object too");
            }
        }
    }

    /// Removes the VMAs between `start` and `end`, across which none reaches, and hands each to `f`.
    pub fn remove(&mut self, start: VirtAddr, end: VirtAddr, f: impl FnMut(Vma)) {
        let range = self.overlapping(start, end);
        self.size -= pages_of(&self.vmas[range.clone()]);
        self.vmas.drain(range).for_each(f);
    }

    /// Removes all VMAs and hands each to `f`, for good.
    pub fn clear(&mut self, f: impl FnMut(Vma)) {
        core::mem::take(&mut self.vmas).into_iter().for_each(f);
    }

    /// Fills the list, empty as yet, of a child of fork: with all but what MADV_DONTFORK keeps back.
    ///
    /// # Errors
    /// `ENOMEM`.
    #[inline(always)] // one caller
    pub fn fork_into(&self, child: &mut VmaList) -> Result<()> {
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
                    flags -= super::uffd::REGISTERED;
                }
                if flags.contains(VmaFlags::WIPEONFORK) {
                    flags -= VmaFlags::HAS_ANON;
                }
                flags -= VmaFlags::LOCKED | VmaFlags::LOCK_ON_FAULT;
                dropped = true;
            }
            vmas.push(Vma { flags, ..vma.clone() }); // there is room
        }
        child.size += if vmas.len() == self.vmas.len() { self.size.pages() } else { pages_of(&vmas) };
        child.vmas = vmas;
        if dropped {
            child.merge_around(VirtAddr::new(0), VirtAddr::new(u64::MAX));
        }
        Ok(())
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

/// Pages of these VMAs together.
fn pages_of(vmas: &[Vma]) -> usize {
    vmas.iter().map(|vma| vma.start.pages_to(vma.end)).sum()
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
    use super::super::vma::Prot;
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
    fn a_full_list_is_not_split_but_whole_vmas_go() {
        let mut list = VmaList::new();
        list.reserve(MAX_MAP_COUNT).unwrap();
        for number in 1..=MAX_MAP_COUNT as u64 {
            list.vmas.push(vma(number << 16, (number << 16) + 0x2000, Prot::READ));
        }
        list.size += pages_of(&list.vmas);
        let at = VirtAddr::new;
        assert!(list.is_full());
        assert_eq!(list.reserve_splits(at(0x1_0000), at(0x1_1000)), Err(Errno::ENOMEM));
        assert_eq!(list.reserve_splits(at(0x1_1000), at(0x2_0000)), Err(Errno::ENOMEM));
        assert_eq!(list.reserve_splits(at(0x1_0000), at(0x1_2000)), Ok(()));
        list.remove(at(0x1_0000), at(0x1_2000), drop);
        assert_eq!(list.reserve_splits(at(0x2_0000), at(0x2_1000)), Ok(()));
    }

    #[test]
    fn those_that_become_alike_are_joined_and_the_others_keep_their_places() {
        let page = |index: u64| 0x1000 * (index + 1);
        let prot = |index: u64| if index.is_multiple_of(2) { Prot::READ } else { Prot::empty() };
        let all: Vec<_> = (0..40).map(|index| vma(page(index), page(index + 1), prot(index))).collect();
        for (first, behind) in [(0, 40), (0, 7), (3, 4), (4, 21), (33, 40), (39, 40)] {
            for gap in [None, Some(12)] {
                let mut list = list(&all);
                if let Some(gap) = gap {
                    list.remove(VirtAddr::new(page(gap)), VirtAddr::new(page(gap + 1)), drop);
                }
                let (start, end) = (VirtAddr::new(page(first)), VirtAddr::new(page(behind)));
                list.change(start, end, |vma| vma.prot = Prot::READ);
                // As the definition says: each page that is mapped, and a new VMA wherever rights or addresses do not go on.
                let prot_now =
                    |index| if (first..behind).contains(&index) { Prot::READ } else { prot(index) };
                let mut expected: Vec<(u64, u64, Prot)> = Vec::new();
                for index in (0..40).filter(|index| Some(*index) != gap) {
                    match expected.last_mut() {
                        Some(last) if last.1 == page(index) && last.2 == prot_now(index) => {
                            last.1 = page(index + 1)
                        }
                        _ => expected.push((page(index), page(index + 1), prot_now(index))),
                    }
                }
                let found: Vec<_> =
                    list.iter().map(|vma| (vma.start.get(), vma.end.get(), vma.prot)).collect();
                assert_eq!(found, expected, "{first}..{behind} without {gap:?}");
            }
        }
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
