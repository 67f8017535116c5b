//! Writing entries where none were.

use super::refold::try_fold_block;
use super::{ptep_get_raw, set_pte};
use crate::batch::FolioSpan;
use crate::desc::Pte;
use crate::event::Event;
use crate::granule::CONT_PTES;
use crate::mmu::{Asid, Mmu};
use crate::walk::PteRef;

/// Writes `nr` entries from `at`, mapping consecutive frames from that of `pte`. They were not valid before (and
/// are flushed, if they ever were). Whole aligned blocks become folded at once: no clear, no TLBI. An entry that
/// maps no frame (swap, migration, marker) goes alone: `nr` is 1.
#[inline(always)]
pub fn set_ptes<M: Mmu>(mmu: &M, at: PteRef, pte: Pte, nr: usize) {
    debug_assert!(nr == 1 || pte.is_present());
    mmu.count(Event::SetPtesBatches, 1);
    mmu.count(Event::PteStores, nr as u64);
    if nr == 1 {
        assert_not_live(mmu, at, 1);
        set_pte(mmu, at, pte.mknoncont());
    } else if nr == CONT_PTES && at.cont_index() == 0 && may_cont(pte) {
        assert_not_live(mmu, at, CONT_PTES);
        mmu.store_run(at.desc(), pte.mkcont().raw(), CONT_PTES);
    } else {
        set_run(mmu, at, pte.mknoncont(), nr);
    }
}

/// Writes `nr` entries from `at`, `plain` in the first, block by block.
#[inline]
fn set_run<M: Mmu>(mmu: &M, at: PteRef, plain: Pte, nr: usize) {
    let mut done = 0;
    while done < nr {
        let here = at.add(done);
        let part = (CONT_PTES - here.cont_index()).min(nr - done);
        let value = plain.advance(done as u64);
        let value = if part == CONT_PTES && may_cont(value) { value.mkcont() } else { value };
        assert_not_live(mmu, here, part);
        mmu.store_run(here.desc(), value.raw(), part);
        done += part;
    }
}

/// Writes one entry that was not valid before, then folds its block if this was the entry that completed it.
/// `folio` is the folio of the frame, if it has one.
#[inline(always)]
pub fn set_pte_at<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, pte: Pte, folio: Option<FolioSpan>) {
    set_ptes(mmu, at, pte, 1);
    // Trying only at the last entry keeps the cost of filling a block entry by entry to one look. A folio smaller than a
    // block never fills one.
    if let Some(folio) = folio
        && at.cont_index() == CONT_PTES - 1
        && folio.pages >= CONT_PTES as u64
    {
        try_fold_block(mmu, asid, at, folio);
    }
}

/// Whether a block may begin with `pte`: a valid user mapping of a counted frame, its frame aligned to the block.
#[inline]
pub(super) fn may_cont(pte: Pte) -> bool {
    pte.is_valid() && pte.is_user() && !pte.is_special() && pte.pfn().get() & (CONT_PTES as u64 - 1) == 0
}

/// Nothing is written over a valid entry, nor into the hole of a block that has the bit: there would be none if all
/// who cleared the entry had unfolded. One sibling tells, as a live block is uniform.
#[inline]
fn assert_not_live<M: Mmu>(mmu: &M, at: PteRef, nr: usize) {
    if cfg!(debug_assertions) {
        for index in 0..nr {
            assert!(!ptep_get_raw(mmu, at.add(index)).is_valid(), "set_ptes over a live entry");
        }
        let sibling = at.cont_start().add(if at.cont_index() == 0 { CONT_PTES - 1 } else { 0 });
        let sibling = ptep_get_raw(mmu, sibling);
        assert!(!sibling.is_valid() || !sibling.is_cont(), "set_ptes into a live block");
    }
}
