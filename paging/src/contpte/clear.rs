//! Taking entries away. Whoever reuses a frame or a table flushes first.

use super::fold::{unfold, unfold_ends};
use super::{ptep_get_raw, set_pte};
use crate::desc::Pte;
use crate::event::Event;
use crate::flush::issue_range;
use crate::mmu::{Asid, Mmu};
use crate::walk::PteRef;

/// Clears one entry for good, whatever it holds, unfolding its block if it is in one. What hardware noted in it is
/// lost. The caller flushes its page.
pub fn pte_clear<M: Mmu>(mmu: &M, asid: Asid, at: PteRef) {
    unfold(mmu, asid, at);
    set_pte(mmu, at, Pte::NONE);
    mmu.count(Event::PteStores, 1);
}

/// Clears one entry, unfolding its block if it is in one, and returns what it was, with all that was noted in the
/// block. The caller flushes its page.
pub fn ptep_get_and_clear<M: Mmu>(mmu: &M, asid: Asid, at: PteRef) -> Pte {
    unfold(mmu, asid, at);
    mmu.count(Event::PteAtomics, 1);
    mmu.count(Event::PteStores, 1);
    Pte::from_raw(mmu.swap(at.desc(), 0))
}

/// Clears one entry and flushes its page: afterwards no CPU uses the old translation. Linux: `ptep_clear_flush`.
pub fn ptep_clear_flush<M: Mmu>(mmu: &M, asid: Asid, at: PteRef) -> Pte {
    let old = ptep_get_and_clear(mmu, asid, at);
    if old.is_valid() {
        issue_range(mmu, asid, at.va(), 1).sync(mmu);
    }
    old
}

/// Clears the `nr` entries from `at` for good: whatever hardware noted in them is lost. Blocks covered in part are
/// unfolded first; of whole ones no TLB can hold more than it did (IPGVGZ). The caller flushes the range.
pub fn clear_full_ptes<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, nr: usize) {
    unfold_ends(mmu, asid, at, nr);
    for index in 0..nr {
        set_pte(mmu, at.add(index), Pte::NONE);
    }
    mmu.count(Event::PteStores, nr as u64);
}

/// Clears the `nr` entries from `at`, which are a batch of one folio, and returns the first with the access flag and
/// dirty state of them all. Blocks covered in part are unfolded first, whole ones are not. The caller flushes the
/// range.
pub fn get_and_clear_full_ptes<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, nr: usize) -> Pte {
    unfold_ends(mmu, asid, at, nr);
    let mut atomics = 0;
    let mut take = |index: usize| {
        let here = at.add(index);
        let old = ptep_get_raw(mmu, here);
        if !old.is_valid() || old.is_hw_settled() {
            set_pte(mmu, here, Pte::NONE);
            return old;
        }
        atomics += 1;
        Pte::from_raw(mmu.swap(here.desc(), 0))
    };
    let first = take(0);
    let all = (1..nr).map(take).fold(first, Pte::gather);
    mmu.count(Event::PteStores, nr as u64);
    mmu.count(Event::PteAtomics, atomics);
    all
}
