//! Write faults on present, write-protected pages: reuse what is ours alone, copy what is not.

use paging::batch::FolioSpan;
use paging::contpte::{make_writable_ptes, ptep_clear_flush, ptep_get_raw, set_pte_at};
use paging::walk::PteRef;
use paging::{CONT_PTES, Event, PAGE_SIZE, Pte};

use super::Mm;
use super::fault::{FaultError, FaultResult};
use super::frame::{Folio, Kind};
use super::machine::Machine;
use super::space::AddressSpace;
use super::vma::{Prot, Vma, VmaFlags};

impl AddressSpace {
    /// A write to a page whose entry `pte` at `at` is present but not writable, in a VMA that permits writes.
    pub(super) fn write_protect_fault<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        at: PteRef,
        pte: Pte,
    ) -> FaultResult {
        let vma = self.vmas.find_mut(at.va()).ok_or(FaultError::MapErr)?;
        if !vma.is_private() {
            mm.shared_write_fault(self.context.asid(), vma, at, pte);
            return Ok(());
        }
        vma.flags |= VmaFlags::HAS_ANON;
        if !pte.is_special() {
            let folio = mm.frames.folio(pte.pfn());
            if folio.kind == Kind::Anon && mm.maps_all_of(vma, at, pte, folio) {
                mm.count(Event::CowReuse);
                let (first, nr) = mm.reusable_run(vma, at, pte, folio.span());
                make_writable_ptes(&mm.machine, self.context.asid(), first, nr);
                return Ok(());
            }
        }
        self.copy_page(mm, at, pte, true)
    }

    /// Replaces the page at `at`, whose entry `pte` is valid, in private memory, by a copy that is this address space's
    /// alone.
    pub(super) fn copy_page<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        at: PteRef,
        pte: Pte,
        writable: bool,
    ) -> FaultResult {
        let vma = self.vmas.find_mut(at.va()).ok_or(FaultError::MapErr)?;
        vma.flags |= VmaFlags::HAS_ANON;
        let copy = mm.alloc_anon(0, self.owner).ok_or(FaultError::Oom)?;
        let new = vma.pte(copy);
        let new = if writable { new.mkwrite().mkdirty() } else { new.mkdirty() };
        // The old translation must be gone everywhere before the copy can be written, or a CPU could go on reading
        // the old frame; and, where it permitted writes, before the copy is made.
        ptep_clear_flush(&mm.machine, self.context.asid(), at);
        if pte.is_special() {
            mm.zero(copy, 1);
            self.rss += 1;
        } else {
            mm.count(Event::CowCopy);
            mm.copy(copy, pte.pfn(), 1);
        }
        if vma.prot.contains(Prot::EXEC) {
            mm.machine.sync_icache(copy.addr(), PAGE_SIZE as usize);
        }
        mm.frames.set_first_mappings(copy, 1);
        set_pte_at(&mm.machine, self.context.asid(), at, new, Some(mm.frames.folio(copy).span()));
        if !pte.is_special() {
            mm.folio_remove_mappings(mm.frames.folio(pte.pfn()).head, 1);
        }
        Ok(())
    }
}

impl<M: Machine> Mm<M> {
    /// Whether this address space maps the anonymous folio alone, of which `pte`, the entry at `at` in `vma`, maps a
    /// page: then no other process sees what is written to it. All mappings must be found around `at`. Looks only where
    /// the folio lies if it was never moved; a mapping elsewhere makes the answer "no", which costs a copy, not
    /// correctness.
    ///
    /// Pinned, it is always this address space's alone ([`pin`](super::pin)), wherever it is mapped; and it must not
    /// be copied: whoever pinned it would be left with a frame that the process no longer writes to. Who pinned it
    /// sees what is written, and is meant to.
    pub(super) fn maps_all_of(&self, vma: &Vma, at: PteRef, pte: Pte, folio: Folio) -> bool {
        let counts = self.frames.counts(folio.head);
        if counts.pins > 0 {
            return true;
        }
        if counts.others != 0 || counts.maps as u64 > folio.span().pages {
            return false;
        }
        let before = ((pte.pfn().get() - folio.head.get()) as usize)
            .min(vma.start.pages_to(at.va()))
            .min(paging::PTES_PER_TABLE - at.left_in_table());
        let behind = folio.span().left_from(pte.pfn()).min(at.va().pages_to(vma.end)).min(at.left_in_table());
        let first = PteRef::in_table_of(at, at.va().sub_pages(before));
        let mut mapped = 0;
        let mut index = 0;
        while index < before + behind {
            let here = first.add(index);
            let entry = ptep_get_raw(&self.machine, here);
            let expected = pte.pfn().get() - before as u64 + index as u64;
            let is_ours = entry.is_present() && entry.pfn().get() == expected;
            let nr = if is_ours { paging::batch::pte_batch_hint(here, entry) } else { 1 };
            mapped += if is_ours { nr.min(before + behind - index) } else { 0 };
            index += nr;
        }
        mapped == counts.maps as usize
    }

    /// The entries that become writable together with `at`, whose entry is `pte`: those of its block that map the
    /// same folio, in step and write-protected alike. A folded block is wholly among them, unless it reaches into
    /// another VMA, as that of a pinned folio may.
    fn reusable_run(&self, vma: &Vma, at: PteRef, pte: Pte, folio: FolioSpan) -> (PteRef, usize) {
        let block = at.cont_start();
        if pte.is_cont() && block.va() >= vma.start && block.add(CONT_PTES - 1).va() < vma.end {
            return (block, CONT_PTES);
        }
        let matches = |index: usize| {
            let here = block.add(index);
            let entry = ptep_get_raw(&self.machine, here);
            let in_vma = here.va() >= vma.start && here.va() < vma.end;
            let pfn = (pte.pfn().get() + index as u64).wrapping_sub(at.cont_index() as u64);
            in_vma
                && entry.is_valid()
                && entry.pfn().get() == pfn
                && folio.covers(entry.pfn(), 1)
                && entry.block_attributes() == pte.block_attributes()
        };
        let here = at.cont_index();
        let first = (0..here).rev().take_while(|index| matches(*index)).last().unwrap_or(here);
        let last = (here + 1..CONT_PTES).take_while(|index| matches(*index)).last().unwrap_or(here);
        (block.add(first), last + 1 - first)
    }
}
