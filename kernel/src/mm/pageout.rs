//! Paging out: anonymous pages to swap, pages of files back to their page cache (MADV_PAGEOUT, reclaim).
//!
//! ```text
//!   1  entries of a batch  ->  migration entries     whole blocks without unfolding; the frame keeps its count
//!   2  one flush                                     from here on nobody reads or writes the frames
//!   3  contents -> slots, entries -> swap entries    or back to what they were, if swap is full
//!   4  the folio loses its mappings                  and is freed with the last
//! ```
//!
//! Contents are looked at only behind the flush: what another CPU wrote through an old translation before it is in the
//! frame by then, and nothing is written afterwards.
//!
//! Only what this address space maps alone is paged out, as Linux's MADV_PAGEOUT leaves pages that others map: there
//! is no way from a frame to all its entries. Pinned pages stay as well, since somebody uses their frames.

use paging::batch::{Respect, folio_pte_batch, pte_batch_hint};
use paging::contpte::{clear_full_ptes, modify_prot_ptes, ptep_clear_flush_young, ptep_get_raw};
use paging::desc::SwapEntry;
use paging::pmd::modify_pmd;
use paging::walk::{Part, PteRef, parts, tables};
use paging::{Asid, NonPresent, PAGE_SIZE, Pfn, Pte, VirtAddr};

use super::Mm;
use super::folio_stats::FolioEvent;
use super::frame::Kind;
use super::gather::Unmapped;
use super::machine::Machine;
use super::space::AddressSpace;
use super::vma::Vma;

/// What a page tracks goes along with it, entry by entry, so no difference ends a batch.
const ANYTHING: Respect = Respect { write: false, dirty: false, soft_dirty: false };

/// Which pages are paged out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    /// All: somebody asked for it.
    All,
    /// Anonymous ones that were not accessed lately; the others count as not accessed from here on.
    Cold,
}

impl AddressSpace {
    /// Pages out what can be of `start..end`; returns how many anonymous pages went to swap.
    pub(super) fn pageout<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
        which: Which,
    ) -> usize {
        if !self.split_for_pageout(mm, start, end, which) {
            return 0;
        }
        let mut unmapped = Unmapped::new(mm, self.asid());
        let usage = mm.swap.usage();
        let mut room = usage.total - usage.used;
        for vma in &self.vmas.as_slice()[self.vmas.overlapping(start, end)] {
            for (first, nr) in tables(&mm.machine, self.root, vma.start.max(start), vma.end.min(end)) {
                self.rss -=
                    isolate(mm, self.context.asid(), vma, (first, nr), which, &mut room, &mut unmapped);
            }
        }
        unmapped.finish();
        let mut swapped = 0;
        for vma in &self.vmas.as_slice()[self.vmas.overlapping(start, end)] {
            for (first, nr) in tables(&mm.machine, self.root, vma.start.max(start), vma.end.min(end)) {
                swapped += write_out(mm, self.context.asid(), vma, first, nr);
            }
        }
        self.rss -= swapped;
        swapped
    }

    /// Splits the blocks of `start..end` that are to be paged out; returns whether anything is. A block that cannot be
    /// split for want of a table stays.
    fn split_for_pageout<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
        which: Which,
    ) -> bool {
        let mut old = true;
        if which == Which::Cold {
            for part in parts(&mm.machine, self.root, start, end) {
                if let Part::Block(at, block) = part
                    && block.is_young()
                {
                    old = false;
                    modify_pmd(&mm.machine, at, Pte::mkold);
                }
            }
        }
        // Nothing is to be done about failure: the pages stay where they are.
        old && self.split_blocks_in(mm, start, end).is_ok()
    }

    /// How many pages of `start..end` are in swap.
    pub fn swapped_pages<M: Machine>(&self, mm: &Mm<M>, start: VirtAddr, end: VirtAddr) -> usize {
        let is_swap = |pte: Pte| matches!(pte.non_present(), Some(NonPresent::Swap(_)));
        tables(&mm.machine, self.root, start, end)
            .map(|(first, nr)| {
                (0..nr).filter(|index| is_swap(ptep_get_raw(&mm.machine, first.add(*index)))).count()
            })
            .sum()
    }
}

/// Puts migration entries in place of the anonymous pages to be paged out among the `nr` entries from `first`, at most
/// `room`, and unmaps pages of files; returns how many those were. All is announced to `unmapped` to be flushed.
fn isolate<M: Machine>(
    mm: &Mm<M>,
    asid: Asid,
    vma: &Vma,
    (first, nr): (PteRef, usize),
    which: Which,
    room: &mut usize,
    unmapped: &mut Unmapped<'_, M>,
) -> usize {
    // The last large folio looked at, and whether it is this address space's alone: once part of it is isolated, the
    // entries no longer say so, and single pages among its own are read back from swap.
    let mut known = (Pfn::new(0), false);
    let mut files = 0;
    let mut index = 0;
    while index < nr {
        let at = first.add(index);
        let pte = ptep_get_raw(&mm.machine, at);
        if !pte.is_valid() || pte.is_special() {
            index += 1;
            continue;
        }
        let folio = mm.frames.folio(pte.pfn());
        let batch = folio_pte_batch(&mm.machine, at, pte, nr - index, folio.span(), ANYTHING).nr;
        index += batch;
        if folio.kind != Kind::Anon {
            // What is tracked of a file's page would be lost with its entry.
            if which == Which::All && !pte.is_uffd_wp() {
                clear_full_ptes(&mm.machine, asid, at, batch);
                unmapped.flush_range(at.va(), at.va().add(batch as u64 * PAGE_SIZE));
                unmapped.folio(folio.head, batch);
                files += batch;
            }
            continue;
        }
        let ours = if known.0 == folio.head {
            known.1
        } else {
            mm.is_unpinned(folio.head) && mm.maps_all_of(vma, at, pte, folio)
        };
        if folio.order > 0 {
            known = (folio.head, ours);
        }
        if !ours || batch > *room || (which == Which::Cold && age(mm, asid, at, batch)) {
            continue;
        }
        *room -= batch;
        modify_prot_ptes(&mm.machine, asid, at, batch, |pte| {
            let entry = NonPresent::Migration { pfn: pte.pfn(), writable: pte.is_writable() };
            entry.encode().with_tracking_of(pte)
        });
        unmapped.flush_range(at.va(), at.va().add(batch as u64 * PAGE_SIZE));
    }
    files
}

/// Whether any of the `nr` entries from `at`, a batch, was accessed; none was from here on. Of a block, one entry is asked
/// for all. TLBs forget what they hold, or a page in use would look cold at the next visit.
fn age<M: Machine>(mm: &Mm<M>, asid: Asid, at: PteRef, nr: usize) -> bool {
    let (mut young, mut index) = (false, 0);
    while index < nr {
        let here = at.add(index);
        index += pte_batch_hint(here, ptep_get_raw(&mm.machine, here));
        young |= ptep_clear_flush_young(&mm.machine, asid, here);
    }
    young
}

/// Writes out what the migration entries among the `nr` from `first`, all of them flushed, refer to; returns how many
/// pages went to swap. What swap has no room for is mapped again.
fn write_out<M: Machine>(mm: &Mm<M>, asid: Asid, vma: &Vma, first: PteRef, nr: usize) -> usize {
    let (mut swapped, mut run) = (0, (Pfn::new(0), 0));
    for index in 0..nr {
        let at = first.add(index);
        let pte = ptep_get_raw(&mm.machine, at);
        let Some(NonPresent::Migration { pfn, writable }) = pte.non_present() else { continue };
        let Some(slot) = mm.swap_out(pfn) else {
            mm.restore(asid, vma, at, pte, pfn, writable);
            continue;
        };
        let entry = NonPresent::Swap(SwapEntry { slot: slot.into() });
        mm.set_nonpresent(at, entry.encode().with_tracking_of(pte));
        swapped += 1;
        let head = mm.frames.folio(pfn).head;
        if run.0 != head {
            release(mm, run);
            run = (head, 0);
        }
        run.1 += 1;
    }
    release(mm, run);
    swapped
}

/// Drops the mappings that a run of migration entries kept.
fn release<M: Machine>(mm: &Mm<M>, (head, nr): (Pfn, u32)) {
    if nr > 0 {
        let order = mm.frames.folio(head).order;
        if order > 0 {
            let event = if nr == 1 << order { FolioEvent::Swpout } else { FolioEvent::SwpoutFallback };
            mm.machine.count_folio(event, order);
        }
        mm.folio_remove_mappings(head, nr);
    }
}
