//! Write faults on present, write-protected pages: reuse what is ours alone, copy what is not.
//!
//! Neither stops at the page that was written. What is *reused*, because no mapping but ours is left of the folio,
//! becomes writable by the block, still folded ([`super::refold`] sees to blocks that are not). What is *copied* is
//! the aligned stretch around the page, up to the limit that the policy file `cow` sets ([`super::block_policy`]), as
//! far as its entries map the same folio in step; it becomes one folio, and a whole block is installed folded.
//!
//! # Why a block and not a page
//!
//! A page copied by itself takes its block apart, for good unless all of it is copied once more. The storm's `decay`
//! (forks, and writes to 10 % of the pages on both sides) leaves 20 % of the blocks folded after one round and none after
//! ten; copied by the block, all stay folded.
//!
//! Instructions (`storm --ops=cow`, 64 KiB folios, the child alive):
//!
//! | | `page` | `block` |
//! |---|--:|--:|
//! | every page is written: per page | 889 | 187 |
//! | one page of each block is written: per write | 1,214 | 2,935 |
//!
//! So the block wins from the third or fourth page of a block on, by the copying alone: one fault, one TLBI and one
//! update of the counts stand for 16. Below that it costs time, and up to 15 pages of memory a block until the other side exits; that
//! buys a block that a TLB can go on holding as one entry, in both processes, which no instruction count shows. Where
//! memory is short the fault takes less by itself; where writes are sparse for good, `cow` takes `page`.
//!
//! The old translation is cleared and flushed before the copy is installed, or a CPU could go on reading the old
//! frame while another writes to the new.

use paging::batch::{FolioSpan, pte_batch_hint};
use paging::contpte::{make_writable_ptes, ptep_clear_flush, ptep_get_raw, replace_ptes, set_pte_at};
use paging::walk::PteRef;
use paging::{CONT_PTES, Event, PAGE_SIZE, Pfn, Pte};

use super::Mm;
use super::counts::Counts;
use super::fault::{FaultError, FaultResult};
use super::folio_stats::FolioEvent;
use super::frame::{Folio, Kind};
use super::machine::Machine;
use super::policy::BLOCK_ORDER;
use super::refold::holds_block;
use super::space::AddressSpace;
use super::thp_disable::PAGES_ONLY;
use super::vma::{Vma, VmaFlags};

impl AddressSpace {
    /// A write to a page whose entry `pte` at `at` is present but not writable, in a VMA that permits writes, that with
    /// the given index.
    #[inline(always)]
    pub(super) fn write_protect_fault<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        index: usize,
        at: PteRef,
        pte: Pte,
    ) -> FaultResult {
        let vma = self.vmas.get_mut(index).ok_or(FaultError::MapErr)?;
        if !vma.is_private() {
            mm.shared_write_fault(self.context.asid(), vma, at, pte);
            return Ok(());
        }
        vma.note_anon();
        if pte.is_special() {
            return self.replace_zero_page(mm, at, pte);
        }
        let folio = mm.frames.folio(pte.pfn());
        if folio.kind == Kind::Anon && mm.is_ours(&mut self.ours, vma, at, pte, folio) {
            self.reuse(mm, index, at, pte, folio)
        } else {
            self.copy_written(mm, index, at, pte, folio)
        }
    }

    /// Makes the page at `at`, and what may go with it, writable: the folio is this address space's alone.
    #[inline(never)]
    fn reuse<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        index: usize,
        at: PteRef,
        pte: Pte,
        folio: Folio,
    ) -> FaultResult {
        mm.count(Event::CowReuse);
        if folio.order == 0 || !mm.blocks.reuses_blocks() {
            make_writable_ptes(&mm.machine, self.context.asid(), at, 1);
        } else if pte.is_cont() || !self.refold_reused(mm, at, pte, folio) {
            let vma = self.vmas.get(index).ok_or(FaultError::MapErr)?;
            let (first, nr) = mm.reusable_run(vma, at, pte, folio.span());
            make_writable_ptes(&mm.machine, self.context.asid(), first, nr);
        }
        Ok(())
    }

    /// The first write to a page that was only read so far, whose entry `pte` maps the zero page.
    #[inline(never)]
    fn replace_zero_page<M: Machine>(&mut self, mm: &Mm<M>, at: PteRef, pte: Pte) -> FaultResult {
        let vma = self.vmas.find_mut(at.va()).ok_or(FaultError::MapErr)?;
        if mm.refill_hole(vma, self.context.asid(), at) {
            self.rss += 1;
            return Ok(());
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
        let copy = mm.alloc_anon_mapped(0, self.owner).ok_or(FaultError::Oom)?;
        let new = if writable { vma.written(copy) } else { vma.pte(copy).mkdirty() };
        let new = new.tracked_like(pte);
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
        mm.sync_if_exec(vma, copy, 1);
        set_pte_at(&mm.machine, self.context.asid(), at, new, Some(mm.frames.folio(copy).span()));
        if !pte.is_special() {
            mm.folio_remove_mappings(mm.frames.folio(pte.pfn()).head, 1);
        }
        Ok(())
    }

    /// Gives this address space its own copy of the page at `at` and of what may be copied with it.
    #[inline(never)]
    fn copy_written<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        index: usize,
        at: PteRef,
        pte: Pte,
        folio: Folio,
    ) -> FaultResult {
        if folio.order > 0 && !pte.is_cont() && self.collapse_written_block(mm, index, at, pte, folio) {
            return Ok(());
        }
        let vma = self.vmas.get(index).ok_or(FaultError::MapErr)?;
        let mut order = mm.copied_order(vma, at, pte, folio.span());
        let copy = loop {
            match mm.alloc_anon_mapped(order, self.owner) {
                Some(copy) => break copy,
                None if order == 0 => return Err(FaultError::Oom),
                // Less memory, less of it; at last the one page without which nothing goes on.
                None => {
                    mm.count(Event::CowFallback);
                    mm.machine.count_folio(FolioEvent::AnonFaultFallback, order);
                    order -= 1;
                }
            }
        };
        if order > 0 {
            mm.machine.count_folio(FolioEvent::AnonFaultAlloc, order);
        }
        let nr = 1 << order;
        let first = PteRef::in_table_of(at, at.va().align_down(PAGE_SIZE << order));
        let source = Pfn::new(pte.pfn().get() - first.va().pages_to(at.va()) as u64);
        mm.count(Event::CowCopy);
        mm.copy(copy, source, nr as u64);
        mm.sync_if_exec(vma, copy, nr);
        let new = vma.written(copy);
        replace_ptes(&mm.machine, self.context.asid(), first, new, nr);
        mm.folio_remove_mappings(folio.head, nr as u32);
        Ok(())
    }
}

/// Whether `pte`, the entry at `at`, is one of a folded block that lies in `vma` as a whole: its entries then map the same
/// folio in step, and with the same attributes.
#[inline(always)]
fn holds_folded(vma: &Vma, at: PteRef, pte: Pte) -> bool {
    pte.is_cont() && holds_block(vma, at.cont_start())
}

impl<M: Machine> Mm<M> {
    /// [`Mm::maps_all_of`] for an address space that remembers the answer in `ours`: a folio of which all mappings were
    /// found to be its own has no others until it forks, since only a fork hands mappings of anonymous folios on, and
    /// only what it maps itself. So the entries of a large folio need not be looked at for each of its blocks.
    #[inline(always)]
    fn is_ours(&self, ours: &mut Option<Pfn>, vma: &Vma, at: PteRef, pte: Pte, folio: Folio) -> bool {
        let counts = self.frames.counts(folio.head);
        if folio.order == 0 && counts.pins == 0 {
            // The entry itself is a mapping.
            return counts == Counts::maps(1);
        }
        if *ours == Some(folio.head) && counts.refs() == counts.maps as u64 {
            return true;
        }
        let is_ours = self.maps_all_of(vma, at, pte, folio);
        if is_ours && counts.pins == 0 {
            *ours = Some(folio.head);
        }
        is_ours
    }

    /// Whether this address space maps the anonymous folio alone, of which `pte`, the entry at `at` in `vma`, maps a
    /// page: then no other process sees what is written to it.
    ///
    /// Pinned, it is always this address space's alone ([`pin`](super::pin)), wherever it is mapped; and it must not
    /// be copied: whoever pinned it would be left with a frame that the process no longer writes to. Who pinned it
    /// sees what is written, and is meant to.
    #[inline(never)]
    pub(super) fn maps_all_of(&self, vma: &Vma, at: PteRef, pte: Pte, folio: Folio) -> bool {
        self.frames.counts(folio.head).pins > 0 || self.finds_all_of(vma, at, pte, folio)
    }

    /// Whether all references to the folio are mappings of it around `at`, whose entry is `pte`, in `vma`. Looks only
    /// where the folio lies if it was never moved; a mapping elsewhere makes the answer "no", which costs a copy, not
    /// correctness.
    pub(super) fn finds_all_of(&self, vma: &Vma, at: PteRef, pte: Pte, folio: Folio) -> bool {
        let counts = self.frames.counts(folio.head);
        if counts.refs() != counts.maps as u64 || counts.maps as u64 > folio.span().pages {
            return false;
        }
        // The entry itself is one mapping, and those of its folded block are as many as that has entries.
        if counts.maps == 1 || (counts.maps as usize == CONT_PTES && holds_folded(vma, at, pte)) {
            return true;
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
            let nr = if is_ours { pte_batch_hint(here, entry) } else { 1 };
            mapped += if is_ours { nr.min(before + behind - index) } else { 0 };
            index += nr;
        }
        mapped == counts.maps as usize
    }

    /// The entries that become writable together with `at`, whose entry is `pte`: those of its block that map the
    /// same folio, in step and write-protected alike. A folded block is wholly among them, unless it reaches into
    /// another VMA, as that of a pinned folio may.
    fn reusable_run(&self, vma: &Vma, at: PteRef, pte: Pte, folio: FolioSpan) -> (PteRef, usize) {
        if holds_folded(vma, at, pte) {
            return (at.cont_start(), CONT_PTES);
        }
        if folio.pages == 1 {
            return (at, 1);
        }
        let (before, behind) = self.run_in_step(vma, at, pte, folio, CONT_PTES);
        (PteRef::in_table_of(at, at.va().sub_pages(before)), before + behind)
    }

    /// log2 of how many pages are copied with the page at `at`, whose entry is `pte`: as many as the policy permits, in
    /// an aligned stretch all of whose entries map `folio`, in step and write-protected alike. Holes and pages that
    /// were copied before end it: what is left of a block is copied by halves, quarters and so on.
    fn copied_order(&self, vma: &Vma, at: PteRef, pte: Pte, folio: FolioSpan) -> u8 {
        let limit = if vma.flags.intersects(PAGES_ONLY) { 0 } else { self.blocks.cow_order() };
        let limit = limit.min(paging::PTES_PER_TABLE.trailing_zeros() as u8);
        if limit == 0 || folio.pages == 1 {
            return 0;
        }
        if limit == BLOCK_ORDER && holds_folded(vma, at, pte) {
            return limit;
        }
        let (before, behind) = self.run_in_step(vma, at, pte, folio, 1 << limit);
        let fits = |order: &u8| {
            let in_stretch = at.va().align_down(PAGE_SIZE << order).pages_to(at.va());
            in_stretch <= before && (1 << order) - in_stretch <= behind
        };
        (1..=limit).rev().find(fits).unwrap_or(0)
    }

    /// How many entries before `at`, and how many from it on, map `folio` in step with `at`, whose entry is `pte`,
    /// and with the same attributes, without a gap; at most those of the aligned `window` (a power of two of pages)
    /// around it, and only in `vma`.
    fn run_in_step(
        &self,
        vma: &Vma,
        at: PteRef,
        pte: Pte,
        folio: FolioSpan,
        window: usize,
    ) -> (usize, usize) {
        let start = at.va().align_down(window as u64 * PAGE_SIZE);
        let end = start.add(window as u64 * PAGE_SIZE).min(vma.end);
        let most_before =
            start.max(vma.start).pages_to(at.va()).min((pte.pfn().get() - folio.first.get()) as usize);
        let most_behind = at.va().pages_to(end).min(folio.left_from(pte.pfn()));
        let matching = |here: PteRef, pfn: u64| {
            let entry = ptep_get_raw(&self.machine, here);
            let alike = entry.mknoncont().block_attributes() == pte.mknoncont().block_attributes();
            (entry.is_valid() && entry.pfn().get() == pfn && alike).then_some(entry)
        };
        let mut behind = pte_batch_hint(at, pte);
        while behind < most_behind {
            let here = at.add(behind);
            let Some(entry) = matching(here, pte.pfn().get() + behind as u64) else { break };
            behind += pte_batch_hint(here, entry);
        }
        let mut before = if pte.is_cont() { at.cont_index() } else { 0 };
        while before < most_before {
            let here = PteRef::in_table_of(at, at.va().sub_pages(before + 1));
            let Some(entry) = matching(here, pte.pfn().get() - before as u64 - 1) else { break };
            before += 1 + if entry.is_cont() { here.cont_index() } else { 0 };
        }
        (before.min(most_before), behind.min(most_behind))
    }
}
