//! Folding blocks whose entries have become equal, wherever in the block the last change was.
//!
//! [`super::set_pte_at`] tries only when a block's last entry is set, so that filling a block costs one look. What
//! takes blocks apart (a protection of a part, a single page copied) is undone in no such order; who undoes it calls
//! these. A look costs a load and a comparison where the block's frame does not fit its place, as that of a page
//! from elsewhere almost never does, and at most one load an entry more. Folding is break-before-make, with one range TLBI of the
//! block, so a caller that would fold again and again what somebody takes apart again and again has to bound that.

use super::fold::convert;
use super::set::may_cont;
use super::{make_writable_ptes, ptep_get_raw};
use crate::batch::FolioSpan;
use crate::desc::Pte;
use crate::event::Event;
use crate::granule::CONT_PTES;
use crate::mmu::{Asid, Mmu};
use crate::walk::PteRef;

/// Folds the block around `at` if it is not folded and all its entries are what a block needs: consecutive frames of
/// `folio`, which is the folio of the frame at `at`, aligned, equal but for AF and dirty state. Returns whether it
/// did. Nothing is left for the caller to flush.
pub fn try_fold_block<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, folio: FolioSpan) -> bool {
    let Some(first) = foldable(mmu, at, folio, Pte::block_attributes) else { return false };
    mmu.count(Event::Fold, 1);
    convert(mmu, asid, at.cont_start(), first.mkcont());
    true
}

/// As [`try_fold_block`], of entries that may differ in write permission too; all become writable, dirty and young.
/// The caller knows that every page of the block may be written by whoever uses these tables, and by nobody else.
pub fn try_fold_writable<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, folio: FolioSpan) -> bool {
    let but_write = |pte: Pte| pte.wrprotect().block_attributes();
    let Some(first) = foldable(mmu, at, folio, but_write) else { return false };
    if mmu.features().bbm_level >= 2 {
        // No flush will come between, and a TLB may hold entries that permit less.
        make_writable_ptes(mmu, asid, at.cont_start(), CONT_PTES);
    }
    mmu.count(Event::Fold, 1);
    convert(mmu, asid, at.cont_start(), first.mkyoung().mkwrite().mkdirty().mkcont());
    true
}

/// Whether a frame of `folio` at `at` is where a block of that folio would have it: the first frame of the block, if
/// the whole block would be the folio's. Costs no load.
#[inline]
pub fn block_of(at: PteRef, pte: Pte, folio: FolioSpan) -> Option<Pte> {
    let index = at.cont_index() as u64;
    if pte.pfn().get() & (CONT_PTES as u64 - 1) != index {
        return None;
    }
    let first = pte.mknoncont().rewind(index);
    (may_cont(first) && folio.covers(first.pfn(), CONT_PTES as u64)).then_some(first)
}

/// The first entry of the block around `at`, without the bit, if the block can be folded as far as `compared` tells.
fn foldable<M: Mmu>(mmu: &M, at: PteRef, folio: FolioSpan, compared: impl Fn(Pte) -> u64) -> Option<Pte> {
    let pte = ptep_get_raw(mmu, at);
    if !pte.is_valid() || pte.is_cont() {
        return None;
    }
    let first = block_of(at, pte, folio)?;
    let matches = |index: usize| {
        let entry = ptep_get_raw(mmu, at.cont_start().add(index));
        entry.is_valid() && entry.pfn() == first.pfn().add(index as u64) && compared(entry) == compared(first)
    };
    (0..CONT_PTES).all(matches).then_some(first)
}
