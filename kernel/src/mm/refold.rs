//! Folding blocks again that were taken apart: the policy file `refold`.
//!
//! | taken apart by | folded again by | at a cost of, besides the fold |
//! |---|---|---|
//! | mprotect of a part | the mprotect that makes it equal again ([`AddressSpace::refold_range`]), or the first write that finds the block ours alone ([`AddressSpace::refold_reused`]) | a load for each folded block of the range, at most two an entry for others |
//! | munmap, MADV_DONTNEED of a part | the first write to it: the frame that was unmapped is still the folio's and nobody else's, so it is zeroed and mapped again ([`Mm::refill_hole`]) | a look at the neighbours, and at the folio's entries |
//! | copying of single pages | a write that finds the folio ours alone: what the copies hold is put back into the frames they were copied from ([`AddressSpace::refold_reused`]) | a copy of each such page, once |
//! | the same, with the folio still shared | a write to be copied when half of the block's pages are from elsewhere: all of it is copied to a new folio ([`AddressSpace::collapse_written_block`]) | a copy of the block for every half a block of copied pages |
//!
//! Each is bounded: a fault looks at one block, copies at most the pages of one, and folds at most once. The last row is
//! why it waits for half: however writes and forks follow each other, it copies at most twice what the faults before
//! copied one by one. Nothing is looked for in the background.
//!
//! A page that somebody holds a reference to besides its mappings is never moved.

use paging::contpte::{block_of, ptep_get_raw, replace_ptes, set_ptes, try_fold_block, try_fold_writable};
use paging::walk::{Part, PteRef, parts};
use paging::{Asid, CONT_PTES, CONT_SIZE, Event, PAGE_SIZE, Pte, VirtAddr};

use super::Mm;
use super::frame::{Folio, Kind};
use super::machine::Machine;
use super::policy::BLOCK_ORDER;
use super::space::AddressSpace;
use super::vma::{Prot, Vma, VmaFlags};

/// So many pages of a block must be from elsewhere before a write copies all of it.
const STRAYS: usize = CONT_PTES / 2;

impl AddressSpace {
    /// A write to the page at `at`, whose entry `pte` is not part of a folded block, found that all mappings of `folio`
    /// are this address space's. Makes the whole block writable and folds it, with pages that were copied out of it
    /// put back. Returns whether it did; if not, nothing changed.
    pub(super) fn refold_reused<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        at: PteRef,
        pte: Pte,
        folio: Folio,
    ) -> bool {
        let span = folio.span();
        let Some(first) = block_of(at, pte, span).filter(|_| mm.blocks.refolds()) else { return false };
        let block = at.cont_start();
        let Some(vma) = self.vmas.find(at.va()).filter(|vma| holds_block(vma, block)) else { return false };
        match mm.strays(at, pte) {
            None => false,
            Some(0) => try_fold_writable(&mm.machine, self.context.asid(), at, span),
            // A pinned folio is ours without a look: whoever pinned it may use frames that nothing maps any more.
            Some(_) if !mm.finds_all_of(vma, at, pte, folio) => false,
            Some(strays) => {
                // The strays' places in the folio are mapped by nobody: all its mappings were found in their places.
                if mm.folio_add_mappings(folio.head, strays as u32).is_err() {
                    return false;
                }
                mm.machine.count(Event::RefoldPages, strays as u64);
                let new = vma.written(first.pfn());
                self.replace_entries(mm, block, CONT_PTES, new);
                true
            }
        }
    }

    /// A write to the page at `at`, whose entry `pte` maps the shared `folio`, is to copy. Copies the whole block to a
    /// folio of its own and folds it if so many of its pages are from elsewhere that it would never be whole
    /// otherwise. Returns whether it did; if not, nothing changed.
    #[inline]
    pub(super) fn collapse_written_block<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        index: usize,
        at: PteRef,
        pte: Pte,
        folio: Folio,
    ) -> bool {
        let block = at.cont_start();
        let Some(vma) = self.vmas.get(index).filter(|vma| holds_block(vma, block)) else { return false };
        // Only where the policy gives such folios: a process that has none is not to get them by writing.
        let wanted =
            mm.blocks.refolds() && mm.policy.largest_below(BLOCK_ORDER + 1, vma.flags) == BLOCK_ORDER;
        if !wanted
            || pte.is_cont()
            || !mm.may_move(folio)
            || mm.strays(at, pte).is_none_or(|strays| strays < STRAYS)
        {
            return false;
        }
        let Some(head) = mm.alloc_anon_mapped(BLOCK_ORDER, self.owner) else { return false };
        mm.count(Event::CowCopy);
        mm.count(Event::Collapse);
        let new = vma.written(head);
        self.replace_entries(mm, block, CONT_PTES, new);
        true
    }

    /// Permissions between `start` and `end` have changed, entries and VMAs alike: folds the blocks there, and those
    /// that the range covers in part, which can be folded now.
    pub(super) fn refold_range<M: Machine>(&self, mm: &Mm<M>, start: VirtAddr, end: VirtAddr) {
        if !mm.blocks.refolds() {
            return;
        }
        let (start, end) = (start.align_down(CONT_SIZE), end.align_up(CONT_SIZE));
        for part in parts(&mm.machine, self.root, start, end) {
            let Part::Table(first, nr) = part else { continue };
            for index in (0..nr).step_by(CONT_PTES) {
                if may_refold(ptep_get_raw(&mm.machine, first.add(index))) {
                    self.refold_block(mm, first.add(index));
                }
            }
        }
    }

    /// Folds the block that begins at `block` if it can be: its entries are equal, or differ only in that some are
    /// write-protected though all may be written, by this address space alone.
    pub(super) fn refold_block<M: Machine>(&self, mm: &Mm<M>, block: PteRef) {
        let pte = ptep_get_raw(&mm.machine, block);
        if !may_refold(pte) {
            return;
        }
        let folio = mm.frames.folio(pte.pfn());
        if block_of(block, pte, folio.span()).is_none() {
            return;
        }
        let Some(vma) = self.vmas.find(block.va()).filter(|vma| holds_block(vma, block)) else { return };
        if try_fold_block(&mm.machine, self.asid(), block, folio.span()) {
            return;
        }
        let writable = vma.is_private() && vma.prot.contains(Prot::WRITE) && folio.kind == Kind::Anon;
        if writable && mm.maps_all_of(vma, block, pte, folio) {
            try_fold_writable(&mm.machine, self.asid(), block, folio.span());
        }
    }
}

/// Whether a block may have to be folded that begins with `pte`. None begins with a frame that is not aligned, as most of
/// small folios are not.
#[inline(always)]
fn may_refold(pte: Pte) -> bool {
    let aligned = pte.pfn().get().is_multiple_of(CONT_PTES as u64);
    pte.is_valid() && !pte.is_cont() && !pte.is_special() && aligned
}

/// Whether all of the block that begins at `block` is in `vma`. A block that reaches into another can be folded while
/// both permit the same, but not for long, so nobody takes the trouble.
#[inline(always)]
pub(super) fn holds_block(vma: &Vma, block: PteRef) -> bool {
    block.va() >= vma.start && block.va().add(CONT_SIZE) <= vma.end
}

impl<M: Machine> Mm<M> {
    /// A write to the page at `at` in `vma`, of the address space that runs as `asid`; the entry holds nothing yet, or
    /// the zero page. If its neighbours map a folio that has a frame for it, which nobody else can reach, gives it that
    /// frame, zeroed, and folds the block if it is whole now. Returns whether it did, which is one page more that is
    /// mapped; if not, nothing changed.
    pub(super) fn refill_hole(&self, vma: &mut Vma, asid: Asid, at: PteRef) -> bool {
        if !self.blocks.refolds() {
            return false;
        }
        let Some((near, pte)) = self.neighbour(at) else { return false };
        let folio = self.frames.folio(pte.pfn());
        let Some(first) = block_of(near, pte, folio.span()).filter(|_| folio.kind == Kind::Anon) else {
            return false;
        };
        let in_vma = near.va() >= vma.start && near.va() < vma.end;
        if !in_vma || !self.finds_all_of(vma, near, pte, folio) {
            return false;
        }
        if self.folio_add_mappings(folio.head, 1).is_err() {
            return false;
        }
        let frame = first.pfn().add(at.cont_index() as u64);
        self.count(Event::RefoldPages);
        self.zero(frame, 1);
        self.sync_if_exec(vma, frame, 1);
        vma.flags |= VmaFlags::HAS_ANON;
        let new = vma.written(frame);
        if ptep_get_raw(&self.machine, at).is_none() {
            set_ptes(&self.machine, at, new, 1);
        } else {
            replace_ptes(&self.machine, asid, at, new, 1);
        }
        if holds_block(vma, at.cont_start()) {
            try_fold_writable(&self.machine, asid, at, folio.span());
        }
        true
    }

    /// Whether [`Mm::refill_hole`] may find something to do for the empty entry `at`, as far as the entry below tells: if
    /// that maps a frame which is not where a folded block would have it, there is nothing.
    #[inline(always)]
    pub(super) fn may_be_hole(&self, at: PteRef) -> bool {
        let Some(below) = at.cont_index().checked_sub(1) else { return true };
        let pte = ptep_get_raw(&self.machine, at.cont_start().add(below));
        !pte.is_valid() || pte.is_special() || pte.pfn().get() as usize & (CONT_PTES - 1) == below
    }

    /// Whether what a folio holds may be moved to another frame: it is anonymous, and nobody but page tables refers
    /// to it.
    pub(super) fn may_move(&self, folio: Folio) -> bool {
        let counts = self.frames.counts(folio.head);
        folio.kind == Kind::Anon && counts.refs() == counts.maps as u64
    }

    /// How many pages of the block around `at` do not map the frame that belongs there if `pte` is the entry of `at`,
    /// but one whose contents may be moved there. `None` if there is a hole, an entry with other attributes (but for
    /// write permission), or a page that may not be moved.
    fn strays(&self, at: PteRef, pte: Pte) -> Option<usize> {
        let attributes = |pte: Pte| pte.mknoncont().wrprotect().block_attributes();
        let block = at.cont_start();
        let mut strays = 0;
        for index in 0..CONT_PTES {
            let entry = ptep_get_raw(&self.machine, block.add(index));
            if !entry.is_valid() || entry.is_special() || attributes(entry) != attributes(pte) {
                return None;
            }
            if entry.pfn().get() + at.cont_index() as u64 != pte.pfn().get() + index as u64 {
                if !self.may_move(self.frames.folio(entry.pfn())) {
                    return None;
                }
                strays += 1;
            }
        }
        Some(strays)
    }

    /// The nearest entry in the block of `at`, below it or else above, that maps a page.
    fn neighbour(&self, at: PteRef) -> Option<(PteRef, Pte)> {
        let block = at.cont_start();
        let others = (0..at.cont_index()).rev().chain(at.cont_index() + 1..CONT_PTES);
        let entries = others.map(|index| (block.add(index), ptep_get_raw(&self.machine, block.add(index))));
        let mut mapped = entries.filter(|(_, pte)| !pte.is_none() && !pte.is_special());
        mapped.next().filter(|(_, pte)| pte.is_valid())
    }

    /// Makes what was written to `pages` frames from `pfn` visible to instruction fetches if `vma` permits those.
    pub(super) fn sync_if_exec(&self, vma: &Vma, pfn: paging::Pfn, pages: usize) {
        if vma.prot.contains(Prot::EXEC) {
            self.machine.sync_icache(pfn.addr(), pages * PAGE_SIZE as usize);
        }
    }
}
