//! Giving blocks the contiguous bit and taking it away again.
//!
//! The bit of live entries changes by break-before-make (Arm ARM, RWHZWS, RDDMVT): clear all, flush the block, write
//! all. What hardware noted in the old entries until they were cleared is kept in all of the new.
//!
//! # BBM level 2
//!
//! Where [`Features::bbm_level`](crate::mmu::Features) is 2, hardware copes with a translation that a TLB holds both
//! as a block and as pages (RPVTFW), and no flush comes between. The kernel says 2 only if whoever started it did:
//! the ID register promises a correct translation, or a *TLB conflict abort* instead, and nothing says which CPUs
//! never take that. (Linux keeps a list of those known not to.)
//!
//! - *Fold* writes the entries in place, each by one atomic exchange: no access can fail meanwhile.
//! - *Unfold* does so too, unless hardware could still make the block dirty. A TLB that holds the block as one
//!   entry and notes a write in one PTE may let writes to the other pages go without noting them; as long as it is a
//!   block, reading gathers. Once it is pages, those writes would be lost. So a writable, clean block whose dirty
//!   state hardware manages is cleared first: an update of an invalid entry is impossible, what was noted until
//!   then is gathered, and it is written anew. The flush between is still spared.
//!
//! Entries of the old form end with the next flush that covers their address: a TLBI by address removes whatever
//! translates that address, of either form (IVNXYF). Until then both translate equally, so no operation that flushes
//! what it changes needs to know of them.

use super::{ptep_get_raw, set_pte, update};
use crate::desc::Pte;
use crate::event::Event;
use crate::flush::issue_range;
use crate::granule::CONT_PTES;
use crate::mmu::{Asid, Barrier, Mmu};
use crate::walk::PteRef;

/// Takes apart the block around `at` if it is folded: the same translations, without the bit. Nothing is left for
/// the caller to flush.
pub fn unfold<M: Mmu>(mmu: &M, asid: Asid, at: PteRef) {
    let block = at.cont_start();
    let first = ptep_get_raw(mmu, block);
    if first.is_valid() && first.is_cont() {
        mmu.count(Event::Unfold, 1);
        convert(mmu, asid, block, first.mknoncont());
    }
}

/// Unfolds the blocks that the `nr` entries from `at` cover only in part; there are at most two, at the ends.
pub(super) fn unfold_ends<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, nr: usize) {
    let last = at.add(nr - 1);
    if at.cont_index() != 0 || nr < CONT_PTES {
        unfold(mmu, asid, at);
    }
    if last.cont_index() != CONT_PTES - 1 && last.cont_start() != at.cont_start() {
        unfold(mmu, asid, last);
    }
}

/// Replaces the entries of a block by ones that map the same frames from `first` on, with another contiguous bit.
/// An address space that never ran is in no TLB, so that nothing needs to be flushed.
pub(super) fn convert<M: Mmu>(mmu: &M, asid: Asid, block: PteRef, first: Pte) {
    let in_place = mmu.features().bbm_level >= 2;
    if in_place {
        mmu.count(Event::FoldNoTlbi, 1);
    }
    if !(in_place && convert_in_place(mmu, block, first)) {
        let mut value = first;
        for index in 0..CONT_PTES {
            value = value.gather(Pte::from_raw(mmu.swap(block.add(index).desc(), 0)));
        }
        mmu.count(Event::PteAtomics, CONT_PTES as u64);
        mmu.count(Event::PteStores, 2 * CONT_PTES as u64);
        if !in_place && !asid.is_none() {
            issue_range(mmu, asid, block.va(), CONT_PTES as u64).sync(mmu);
        }
        for index in 0..CONT_PTES {
            set_pte(mmu, block.add(index), value.advance(index as u64));
        }
    }
    // Should the access that made us convert be repeated at once, the walker finds the new entries.
    mmu.barrier(Barrier::DsbIshst);
    mmu.count(Event::DsbIshst, 1);
}

/// The same without a break, at BBM level 2. Returns whether it was possible; if not, nothing was changed.
fn convert_in_place<M: Mmu>(mmu: &M, block: PteRef, first: Pte) -> bool {
    let entries = (0..CONT_PTES).map(|index| ptep_get_raw(mmu, block.add(index)));
    let value = entries.fold(first, Pte::gather);
    let hw_may_dirty = mmu.features().hw_dirty && value.is_writable() && !value.is_hw_dirty();
    if !value.is_cont() && hw_may_dirty {
        return false;
    }
    let mut atomics = 0;
    for index in 0..CONT_PTES {
        // What hardware noted in this entry since it was read stays in it.
        update(mmu, block.add(index), &mut atomics, |old| value.advance(index as u64).gather(old));
    }
    mmu.count(Event::PteStores, CONT_PTES as u64);
    mmu.count(Event::PteAtomics, atomics);
    true
}
