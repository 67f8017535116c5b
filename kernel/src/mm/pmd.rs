//! 2 MiB folios mapped by one block descriptor. Linux: `huge_memory.c`.
//!
//! A block counts as a mapping of each of its pages, so that splitting it changes no count, and whoever asks whether
//! all mappings of a folio were found need not know how it is mapped.
//!
//! A block lies in one VMA: whoever cuts a VMA inside a block splits the block first
//! ([`AddressSpace::split_vmas`]). Splitting needs a table, and is the one thing that can fail about blocks: it is done
//! before anything else changes. Linux keeps a table in reserve for each block instead; a fork or a fault would have
//! to pay for that each time, and what fails here for want of one page is about to fail anyway.
//!
//! Only a granule whose block is no larger than the largest folio has such blocks: 4 KiB.

use paging::contpte::ptep_get_raw;
use paging::flush::local_block;
use paging::pmd::{modify_pmd, set_pmd, split_pmd};
use paging::walk::{Part, Walk, parts, table_alloc, walk};
use paging::{Event, Level, PAGE_SIZE, PMD_SIZE, PTES_PER_TABLE, PmdRef, Pte, VirtAddr};

use super::Mm;
use super::fault::FaultError;
use super::folio_stats::FolioEvent;
use super::frame::{Kind, MAX_ORDER};
use super::machine::Machine;
use super::space::AddressSpace;
use super::vma::VmaFlags;
use crate::errno::{Errno, Result};

/// The order of the folio that a block maps; `None` where that would be larger than any folio.
pub const PMD_ORDER: Option<u8> = {
    let order = PTES_PER_TABLE.trailing_zeros() as u8;
    if order <= MAX_ORDER { Some(order) } else { None }
};
/// Pages of a block.
pub const PMD_PAGES: usize = PTES_PER_TABLE;

impl AddressSpace {
    /// Cuts VMAs, and the blocks that map them, so that none reaches across `start` or `end`. Room for two more VMAs
    /// is there afterwards too.
    ///
    /// # Errors
    /// `ENOMEM`: no memory, or too many VMAs; nothing was cut but, at most, a block, which changes nothing for the process.
    pub(super) fn split_vmas<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
    ) -> Result<()> {
        self.vmas.reserve_splits(start, end)?;
        self.split_blocks_at(mm, start, end)?;
        self.vmas.split_at(start);
        self.vmas.split_at(end);
        Ok(())
    }

    /// Splits the blocks that reach across `start` or `end`, so that what follows need only know whole ones.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn split_blocks_at<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
    ) -> Result<()> {
        self.split_block_around(mm, start)?;
        self.split_block_around(mm, end)
    }

    fn split_block_around<M: Machine>(&mut self, mm: &Mm<M>, at: VirtAddr) -> Result<()> {
        if PMD_ORDER.is_none() || at.is_aligned(PMD_SIZE) {
            return Ok(());
        }
        self.split_blocks_in(mm, at, at.add(PAGE_SIZE))
    }

    /// Splits every block that maps part of `start..end`, for operations that know only pages.
    ///
    /// # Errors
    /// `ENOMEM`: some may be split already, which changes nothing for the process.
    pub(super) fn split_blocks_in<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
    ) -> Result<()> {
        if PMD_ORDER.is_none() {
            return Ok(());
        }
        let mut at = start;
        while at < end {
            let Some(Part::Block(block, _)) =
                parts(&mm.machine, self.root, at, end).find(|part| matches!(part, Part::Block(..)))
            else {
                return Ok(());
            };
            self.split_block(mm, block)?;
            at = block.va().add(PMD_SIZE);
        }
        Ok(())
    }

    /// Splits the block at `at`.
    ///
    /// # Errors
    /// `ENOMEM`: nothing changed.
    pub(super) fn split_block<M: Machine>(&self, mm: &Mm<M>, at: PmdRef) -> Result<()> {
        let table = mm.alloc_table_unfilled().ok_or(Errno::ENOMEM)?;
        split_pmd(&mm.machine, self.asid(), at, table);
        Ok(())
    }

    /// The entry of the level above the last for `va`, its tables made if need be.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn pmd_for<M: Machine>(&self, mm: &Mm<M>, va: VirtAddr) -> Result<PmdRef> {
        let table = table_alloc(&mm.machine, self.root, va, Level::PMD, &mut || mm.alloc_table());
        table.map(|table| PmdRef::in_table(table, va)).map_err(|_| Errno::ENOMEM)
    }

    /// The block that maps `va`, if one does.
    pub fn block_at<M: Machine>(&self, mm: &Mm<M>, va: VirtAddr) -> Option<Pte> {
        match walk(&mm.machine, self.root, va) {
            Walk::Block(block, _) => Some(block),
            Walk::Pte(_) | Walk::Absent(_) => None,
        }
    }

    /// What translates `va`, as a page's entry: read from its table, or as it would be if its block were split. Without
    /// the contiguous bit in the latter case.
    pub fn pte_at<M: Machine>(&self, mm: &Mm<M>, va: VirtAddr) -> Pte {
        match walk(&mm.machine, self.root, va) {
            Walk::Pte(at) => ptep_get_raw(&mm.machine, at),
            Walk::Block(block, level) => {
                block.mkpage().advance(va.align_down(level.entry_size()).pages_to(va) as u64)
            }
            Walk::Absent(_) => Pte::NONE,
        }
    }

    /// The first touch of anonymous memory by a write, in the VMA with the given index, where the empty entry `at` could
    /// map a block: maps one if the policy and the VMA permit it and there is such a folio. Returns whether it did.
    pub(super) fn anon_block_fault<M: Machine>(&mut self, mm: &Mm<M>, index: usize, at: PmdRef) -> bool {
        let Some(order) = PMD_ORDER else { return false };
        let Some(vma) = self.vmas.get_mut(index) else { return false };
        let fits = at.va() >= vma.start && at.va().add(PMD_SIZE) <= vma.end;
        if !fits
            || !vma.is_private_anon()
            || vma.hears_of_absence()
            || mm.policy.largest_below(order + 1, vma.flags) != order
        {
            return false;
        }
        let flags = vma.flags;
        let mut head = mm.alloc_anon_mapped(order, self.owner);
        if head.is_none() && self.make_room_for(mm, order, flags) {
            head = mm.alloc_anon_mapped(order, self.owner);
        }
        let (Some(head), Some(vma)) = (head, self.vmas.get_mut(index)) else {
            mm.count(Event::AnonFallback);
            mm.machine.count_folio(FolioEvent::AnonFaultFallback, order);
            return false;
        };
        mm.zero(head, PMD_PAGES as u64);
        let pte = vma.written(head);
        vma.note_anon();
        set_pmd(&mm.machine, at, pte);
        mm.count(Event::ThpFaultAlloc);
        mm.machine.count_folio(FolioEvent::AnonFaultAlloc, order);
        self.rss += PMD_PAGES;
        true
    }

    /// A fault at an address that the block `pmd` at `at` maps. Returns whether the access can be repeated; if not,
    /// the block was split, and the fault is one of pages.
    ///
    /// # Errors
    /// [`FaultError::Oom`]: no table to split it.
    pub(super) fn block_fault<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        at: PmdRef,
        pmd: Pte,
        write: bool,
    ) -> core::result::Result<bool, FaultError> {
        if write && !pmd.is_writable() {
            let head = mm.frames.folio(pmd.pfn()).head;
            if !mm.is_only_user(head, PMD_PAGES) {
                self.split_block(mm, at).map_err(|_| FaultError::Oom)?;
                return Ok(false);
            }
            mm.count(Event::CowReuse);
        }
        let tracked = self.vmas.find(at.va()).is_some_and(|vma| vma.flags.contains(VmaFlags::SOFT_DIRTY));
        let change = |pmd: Pte| {
            let pmd = if write { pmd.mkyoung().mkwrite().mkdirty() } else { pmd.mkyoung() };
            // As on Linux all of a block counts as written.
            if write && tracked { pmd.mksoft_dirty() } else { pmd }
        };
        modify_pmd(&mm.machine, at, change);
        // Only extended: another CPU with the old entry faults and finds the new one.
        local_block(&mm.machine, self.asid(), at.va());
        Ok(true)
    }
}

impl<M: Machine> Mm<M> {
    /// Whether nobody but whoever holds `mappings` of the folio's mappings can see it.
    fn is_only_user(&self, head: paging::Pfn, mappings: usize) -> bool {
        let counts = self.frames.counts(head);
        counts.others == 0 && counts.maps as usize == mappings
    }

    /// A translation table whose contents do not matter; `None` when memory is exhausted.
    fn alloc_table_unfilled(&self) -> Option<paging::PhysAddr> {
        let pfn = self.alloc_frames(0, Kind::Table, 0)?;
        self.tables.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
        self.machine.table_not_zeroed(pfn.addr());
        Some(pfn.addr())
    }
}
