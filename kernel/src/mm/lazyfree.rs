//! MADV_FREE: pages whose contents the process no longer needs, given back only when memory is short.
//!
//! An anonymous page is *lazily freed* while its entry is clean: whoever maps one (a fault, a copy, fork, swapping in)
//! makes its entry dirty, and MADV_FREE alone cleans it. Reading goes on giving the old contents; the first write
//! makes the entry dirty again, by hardware or by a fault, and keeps the page. Operations that merge the dirty state
//! of several entries can only make more of them dirty: a page is kept that could go, never the other way round. A
//! child of fork gets its entries dirty, so nothing of the child's is lazily freed.
//!
//! There is no way from a frame to its entries. So it is the address space that runs out of memory that discards what
//! it freed lazily, and tries again. It remembers the range that was advised and looks through it once: each
//! discarding goes on where the last ended, so all of them together are bounded by what was advised, and each stops
//! once it has freed [`WANTED`] pages.
//!
//! What is discarded is whole folios that this address space alone maps, by entries of one table: less would free no
//! memory. A block that the advice covers in part stays as it is: cleaning half of it would need it unfolded.

use paging::batch::{Respect, folio_pte_batch};
use paging::contpte::{Forget, clear_young_dirty_ptes, get_and_clear_full_ptes, ptep_get_raw, set_ptes};
use paging::flush::Gather;
use paging::pmd::{modify_pmd, pmd_get_and_clear, set_pmd};
use paging::walk::{Part, PteRef, parts};
use paging::{CONT_PTES, PAGE_SIZE, PMD_SIZE, PTES_PER_TABLE, PmdRef, Pte, VirtAddr};

use super::Mm;
use super::frame::{Folio, Kind};
use super::gather::Unmapped;
use super::machine::Machine;
use super::space::AddressSpace;
use super::vma::VmaFlags;
use crate::errno::{Errno, Result};

/// Pages that one discarding frees, about. Linux: `SWAP_CLUSTER_MAX`.
pub(super) const WANTED: usize = 32;

/// No difference in permission or dirty state matters to what is thrown away.
const ANYTHING: Respect = Respect { write: false, dirty: false, soft_dirty: false };

/// The range in which lazily freed pages may be; empty if there are none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LazyRange {
    start: VirtAddr,
    end: VirtAddr,
}

impl LazyRange {
    /// No lazily freed pages.
    pub const NONE: LazyRange = LazyRange { start: VirtAddr::new(u64::MAX), end: VirtAddr::new(0) };

    fn add(&mut self, start: VirtAddr, end: VirtAddr) {
        self.start = self.start.min(start);
        self.end = self.end.max(end);
    }

    /// What was in `start..end` is at `to` now.
    pub fn moved(&mut self, start: VirtAddr, end: VirtAddr, to: VirtAddr) {
        if self.start < end && start < self.end {
            self.add(to, to.add(end.get() - start.get()));
        }
    }
}

impl AddressSpace {
    /// Frees the pages of `start..end` lazily; one flush, so that every later write is noticed.
    ///
    /// # Errors
    /// `EINVAL` at the first VMA that is not private anonymous memory; those before it were advised.
    pub(super) fn lazy_free<M: Machine>(&mut self, mm: &Mm<M>, start: VirtAddr, end: VirtAddr) -> Result<()> {
        let mut flush = Gather::new();
        let mut outcome = Ok(());
        for index in self.vmas.overlapping(start, end) {
            let Some(vma) = self.vmas.get(index) else { continue };
            if !vma.is_private_anon() {
                outcome = Err(Errno::EINVAL);
                break;
            }
            let (from, to) = (vma.start.max(start), vma.end.min(end));
            for part in parts(&mm.machine, self.root, from, to) {
                match part {
                    Part::Table(first, nr) => clean_table(mm, first, nr, &mut flush),
                    Part::Block(at, pte) if at.va() >= from && at.va().add(PMD_SIZE) <= to => {
                        if may_be_ours(mm, mm.frames.folio(pte.pfn())) {
                            modify_pmd(&mm.machine, at, |pmd| pmd.mkold().mkclean());
                            flush.add_block(at.va());
                        }
                    }
                    Part::Block(..) => {}
                }
            }
            self.lazy.add(from, to);
        }
        flush.flush(&mm.machine, self.asid());
        outcome
    }

    /// Discards lazily freed pages, about [`WANTED`]; returns how many.
    #[cold]
    pub(super) fn discard_lazy<M: Machine>(&mut self, mm: &Mm<M>) -> usize {
        let mut unmapped = Unmapped::new(mm, self.asid());
        let mut freed = 0;
        let LazyRange { start, end } = self.lazy;
        self.lazy = LazyRange::NONE;
        for index in self.vmas.overlapping(start.min(end), end) {
            // Locked since it was advised.
            let range = self.vmas.get(index).filter(|vma| !vma.flags.contains(VmaFlags::LOCKED));
            let Some((from, to)) = range.map(|vma| (vma.start.max(start), vma.end.min(end))) else {
                continue;
            };
            for part in parts(&mm.machine, self.root, from, to) {
                let (at, pages) = match part {
                    Part::Table(first, nr) => (first.va(), self.discard_table(mm, first, nr, &mut unmapped)),
                    Part::Block(at, pte) => (at.va(), self.discard_block(mm, at, pte, &mut unmapped)),
                };
                freed += pages;
                if freed >= WANTED {
                    // The table may hold more; it is looked at again.
                    self.lazy = LazyRange { start: at, end };
                    unmapped.finish();
                    return freed;
                }
            }
        }
        unmapped.finish();
        freed
    }

    /// Discards the folio that the block at `at` maps, if it is clean; returns how many pages that was.
    fn discard_block<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        at: PmdRef,
        pte: Pte,
        unmapped: &mut Unmapped<'_, M>,
    ) -> usize {
        let folio = mm.frames.folio(pte.pfn());
        if pte.is_dirty() || !is_all_of(mm, folio, PTES_PER_TABLE) {
            return 0;
        }
        let old = pmd_get_and_clear(&mm.machine, at);
        if old.is_dirty() {
            // Written between the look and the clearing: it stays.
            let mut flush = Gather::new();
            flush.add_block(at.va());
            flush.flush(&mm.machine, self.asid());
            set_pmd(&mm.machine, at, old);
            return 0;
        }
        unmapped.flush_block(at.va());
        unmapped.folio(folio.head, PTES_PER_TABLE);
        self.rss -= PTES_PER_TABLE;
        PTES_PER_TABLE
    }

    /// Discards the clean folios that the `nr` entries from `first` map; returns how many pages, at least [`WANTED`] if
    /// there are as many.
    fn discard_table<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        first: PteRef,
        nr: usize,
        unmapped: &mut Unmapped<'_, M>,
    ) -> usize {
        let (mut index, mut freed) = (0, 0);
        while index < nr && freed < WANTED {
            let at = first.add(index);
            let Some((folio, batch)) = batch_at(mm, at, nr - index) else {
                index += 1;
                continue;
            };
            index += batch;
            if !is_clean(mm, at, batch) || !is_all_of(mm, folio, batch) {
                continue;
            }
            let range = (at.va(), at.va().add(batch as u64 * PAGE_SIZE));
            let old = get_and_clear_full_ptes(&mm.machine, self.asid(), at, batch);
            if old.is_dirty() {
                // Written between the look and the clearing: it stays.
                let mut flush = Gather::new();
                flush.add(range.0, range.1);
                flush.flush(&mm.machine, self.asid());
                set_ptes(&mm.machine, at, old, batch);
                continue;
            }
            unmapped.flush_range(range.0, range.1);
            unmapped.folio(folio.head, batch);
            self.rss -= batch;
            freed += batch;
        }
        freed
    }
}

/// Whether all that refers to the folio can be this address space's own entries.
fn may_be_ours<M: Machine>(mm: &Mm<M>, folio: Folio) -> bool {
    let counts = mm.frames.counts(folio.head);
    folio.kind == Kind::Anon
        && counts.pins == 0
        && counts.others == 0
        && counts.maps as u64 <= folio.span().pages
}

/// The anonymous folio that the entry at `at` maps, and how many entries, of at most `max`, map it from there on.
fn batch_at<M: Machine>(mm: &Mm<M>, at: PteRef, max: usize) -> Option<(Folio, usize)> {
    let pte = ptep_get_raw(&mm.machine, at);
    if !pte.is_present() || pte.is_special() {
        return None;
    }
    let folio = mm.frames.folio(pte.pfn());
    let nr = folio_pte_batch(&mm.machine, at, pte, max, folio.span(), ANYTHING).nr;
    (folio.kind == Kind::Anon).then_some((folio, nr))
}

fn is_clean<M: Machine>(mm: &Mm<M>, at: PteRef, nr: usize) -> bool {
    !(0..nr).any(|index| ptep_get_raw(&mm.machine, at.add(index)).is_dirty())
}

/// Whether `nr` mappings are all references that the folio has: it is free without them.
fn is_all_of<M: Machine>(mm: &Mm<M>, folio: Folio, nr: usize) -> bool {
    may_be_ours(mm, folio) && mm.frames.counts(folio.head).maps as usize == nr
}

/// Cleans the entries, of `nr` from `first` on, that map anonymous folios which others do not use: whole blocks as
/// they are, single entries one by one.
fn clean_table<M: Machine>(mm: &Mm<M>, first: PteRef, nr: usize, flush: &mut Gather) {
    let mut index = 0;
    while index < nr {
        let mut at = first.add(index);
        let Some((folio, mut batch)) = batch_at(mm, at, nr - index) else {
            index += 1;
            continue;
        };
        index += batch;
        if !may_be_ours(mm, folio) {
            continue;
        }
        // Leave out the blocks at both ends that are covered in part only.
        let last = at.add(batch - 1);
        if last.cont_index() != CONT_PTES - 1 && ptep_get_raw(&mm.machine, last).is_cont() {
            batch -= batch.min(last.cont_index() + 1);
        }
        if at.cont_index() != 0 && ptep_get_raw(&mm.machine, at).is_cont() {
            let skip = batch.min(CONT_PTES - at.cont_index());
            batch -= skip;
            at = at.add(if batch == 0 { 0 } else { skip });
        }
        if batch == 0 {
            continue;
        }
        let (changed, changed_nr) = clear_young_dirty_ptes(&mm.machine, at, batch, Forget::Both);
        debug_assert!((changed, changed_nr) == (at, batch), "only whole blocks");
        flush.add(changed.va(), changed.va().add(changed_nr as u64 * PAGE_SIZE));
    }
}
