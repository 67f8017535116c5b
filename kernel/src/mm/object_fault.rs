//! Faults on files and shared memory: whole folios and what is around them are mapped at once.
//!
//! ```text
//!   VMA     ........[.........................................]......
//!   table   |                                               |
//!   folio                  [ . . . . X . . . . . . ]                 X: the fault
//!   window                 [.......................]                 the folio, clipped to VMA and table
//!   read:          [. . . . . . . . X . . . . . .  ]                 and at least the 64 KiB around the fault
//! ```
//!
//! In the window every page that the object has already is mapped where its entry is empty; entries that hold
//! anything are skipped, each run between them is one batch. Nothing is read for that but what the fault asked for.
//! Blocks that lie in a run as a whole are written folded, one that a run completes is folded. Linux: `filemap_map_pages`, `finish_fault`.
//!
//! # Young, dirty, writable
//!
//! The batch with the fault's own page is young, and dirty if it was a write: both are kept by the folio. The other
//! batches are guesses; where hardware sets the access flag they are old, so that it says which guess was right, and
//! elsewhere young, which saves a fault (Linux: `arch_wants_old_prefaulted_pte`). Shared entries are writable at once
//! and clean: the first write is noted in the entry, by hardware or by a fault.

use paging::batch::FolioSpan;
use paging::contpte::{make_writable_ptes, ptep_get_raw, set_pte_at, set_ptes, try_fold_block};
use paging::walk::PteRef;
use paging::{Asid, CONT_PTES, CONT_SIZE, PAGE_SIZE, PTES_PER_TABLE, Pte};

use super::Mm;
use super::fault::{FaultError, FaultResult};
use super::machine::Machine;
use super::object::Object;
use super::space::AddressSpace;
use super::vma::{Prot, Vma, VmaFlags};
use super::watermark::Watermark;

/// Pages around a read fault that are mapped with it, if the object has them: 64 KiB, Linux's `fault_around_bytes`.
const FAULT_AROUND: usize = if PAGE_SIZE < 64 << 10 { (64 << 10) / PAGE_SIZE as usize } else { 1 };

impl AddressSpace {
    /// The first touch of a page of a file or of shared memory, whose entry `at` is empty. Where device registers are
    /// mapped no entry is, so there is nothing to touch.
    pub(super) fn object_fault<M: Machine>(&mut self, mm: &Mm<M>, at: PteRef, write: bool) -> FaultResult {
        let vma = self.vmas.find_mut(at.va()).ok_or(FaultError::MapErr)?;
        let (object, page) = vma.object_page(at.va()).ok_or(FaultError::Bus)?;
        let source = mm.object_page(object, page, vma.flags)?;
        if !(write && vma.is_private()) {
            return mm.map_around(self.context.asid(), vma, at, (object, page), write, &mut self.rss);
        }
        let copy = mm.alloc_anon(0, self.owner).ok_or(FaultError::Oom)?;
        mm.copy(copy, source, 1);
        if vma.prot.contains(Prot::EXEC) {
            mm.machine.sync_icache(copy.addr(), PAGE_SIZE as usize);
        }
        mm.frames.set_first_mappings(copy, 1);
        vma.flags |= VmaFlags::HAS_ANON;
        let pte = vma.written(copy);
        set_pte_at(&mm.machine, self.context.asid(), at, pte, Some(mm.frames.folio(copy).span()));
        self.rss += 1;
        Ok(())
    }
}

impl<M: Machine> Mm<M> {
    /// Maps page number `page` of `object`, which is there, at `at`, and what the object has around it.
    fn map_around(
        &self,
        asid: Asid,
        vma: &Vma,
        at: PteRef,
        (object, page): (&Object, u64),
        write: bool,
        rss: &mut Watermark,
    ) -> FaultResult {
        let (before, behind) = self.window(vma, at, (object, page), write);
        let first = PteRef::in_table_of(at, at.va().sub_pages(before));
        let is_none = |index| ptep_get_raw(&self.machine, first.add(index)).is_none();
        let shared_write = !vma.is_private() && vma.prot.contains(Prot::WRITE);
        let tracked = vma.flags.contains(VmaFlags::SOFT_DIRTY);
        let mut index = 0;
        while index < before + behind {
            let left = before + behind - index;
            let known = |index| self.object_run(object, page - before as u64 + index as u64, left);
            let Some((pfn, run)) = is_none(index).then(|| known(index)).flatten() else {
                index += 1;
                continue;
            };
            let nr = (index + 1..index + run).take_while(|index| is_none(*index)).count() + 1;
            let asked_for = (index..index + nr).contains(&before);
            let folio = self.frames.folio(pfn);
            if self.folio_add_mappings(folio.head, nr as u32).is_err() {
                if asked_for {
                    return Err(FaultError::Oom);
                }
            } else {
                let pte = vma.pte(pfn);
                let noticed = !tracked || (asked_for && write);
                let pte = if shared_write && noticed { pte.mkwrite() } else { pte };
                let pte = if tracked && asked_for && write { pte.mksoft_dirty() } else { pte };
                let pte = match asked_for {
                    true if write => pte.mkdirty(),
                    false if self.machine.features().hw_af => pte.mkold(),
                    _ => pte,
                };
                set_ptes(&self.machine, first.add(index), pte, nr);
                self.fold_ends(asid, first.add(index), nr, folio.span());
                *rss += nr;
            }
            index += nr;
        }
        Ok(())
    }

    /// The `nr` entries from `at`, which map `folio`, are new: folds the blocks at their ends that they complete.
    fn fold_ends(&self, asid: Asid, at: PteRef, nr: usize, folio: FolioSpan) {
        let last = at.add(nr - 1);
        let (from_start, to_end) = (at.cont_index() == 0, last.cont_index() == CONT_PTES - 1);
        if !self.blocks.refolds() || (from_start && to_end) {
            return;
        }
        try_fold_block(&self.machine, asid, if from_start { last } else { at }, folio);
        if !from_start && !to_end && last.cont_start() != at.cont_start() {
            try_fold_block(&self.machine, asid, last, folio);
        }
    }

    /// How many entries before `at`, and how many from it on, a fault there looks at.
    fn window(&self, vma: &Vma, at: PteRef, (object, page): (&Object, u64), write: bool) -> (usize, usize) {
        // A page that is there is the monitor's to let in.
        if vma.flags.contains(VmaFlags::UFFD_MINOR) {
            return (0, 1);
        }
        let Some((pfn, behind)) = self.object_run(object, page, PTES_PER_TABLE) else { return (0, 1) };
        let before = (pfn.get() - self.frames.folio(pfn).head.get()) as usize;
        // A write was asked for one folio only: the others would be taken for written.
        let around = if write { 0 } else { (at.va().get() / PAGE_SIZE) as usize & (FAULT_AROUND - 1) };
        let ahead = if write { 1 } else { FAULT_AROUND - around };
        let before =
            before.max(around).min(vma.start.pages_to(at.va())).min(PTES_PER_TABLE - at.left_in_table());
        let behind = behind.max(ahead).min(at.va().pages_to(vma.end)).min(at.left_in_table());
        // The VMA may begin in the middle of the object, but never before its first page.
        (before.min(page as usize), behind)
    }

    /// A write to a page of shared memory whose entry `pte` at `at` is present but not writable, in a VMA that permits
    /// it. A folded block becomes writable as a whole, still folded, if all of it is this VMA's: nothing of shared
    /// memory has to be copied, so an entry that is like this one may be what this one may be.
    pub(super) fn shared_write_fault(&self, asid: Asid, vma: &Vma, at: PteRef, pte: Pte) {
        let block = at.cont_start();
        let whole = pte.is_cont() && block.va() >= vma.start && block.va().add(CONT_SIZE) <= vma.end;
        let (first, nr) = if whole { (block, CONT_PTES) } else { (at, 1) };
        make_writable_ptes(&self.machine, asid, first, nr);
    }
}
