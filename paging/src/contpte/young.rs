//! Asking and forgetting what hardware noted: access flag and dirty state.
//!
//! Both are kept per folio, and a block is within one, so here a folded block is never unfolded: it is changed as a
//! whole, also beyond what the caller named.

use super::{extent, ptep_get_raw, update};
use crate::desc::Pte;
use crate::event::Event;
use crate::flush::issue_range;
use crate::granule::CONT_PTES;
use crate::mmu::{Asid, Mmu};
use crate::walk::PteRef;

/// Clears the access flag of the entry at `at`, or of all its block, and returns whether it was set in any.
///
/// No flush: a TLB that holds the entry goes on using it without setting the flag again, so a page in use may look
/// old. That is a wrong guess about its age, nothing else.
pub fn ptep_test_and_clear_young<M: Mmu>(mmu: &M, at: PteRef) -> bool {
    let (first, nr) = extent(at, ptep_get_raw(mmu, at));
    let mut atomics = 0;
    let mut young = false;
    for index in 0..nr {
        young |= update(mmu, first.add(index), &mut atomics, Pte::mkold).is_young();
    }
    mmu.count(Event::PteStores, nr as u64);
    mmu.count(Event::PteAtomics, atomics);
    young
}

/// As [`ptep_test_and_clear_young`], and if it was young, invalidates what TLBs hold of the entry or of its whole
/// block, by one range. Nobody waits for that: an access that comes too early to be noted was an early access.
pub fn ptep_clear_flush_young<M: Mmu>(mmu: &M, asid: Asid, at: PteRef) -> bool {
    let (first, nr) = extent(at, ptep_get_raw(mmu, at));
    let young = ptep_test_and_clear_young(mmu, at);
    if young && !asid.is_none() {
        issue_range(mmu, asid, first.va(), nr as u64).elide();
    }
    young
}

/// What [`clear_young_dirty_ptes`] clears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forget {
    /// The access flag.
    Young,
    /// The dirty state: the next write is noticed.
    Dirty,
    /// Both.
    Both,
}

/// Clears access flag, dirty state or both of the `nr` entries from `at`, which are present, and of the rest of the
/// blocks they begin and end in: forgetting that one page is dirty forgets it of its whole block, so the caller
/// means the folio. Returns the entries that were changed, for the caller's flush, which writes need to be noticed.
#[must_use = "what was changed, which may be more than was asked for, is to be flushed"]
pub fn clear_young_dirty_ptes<M: Mmu>(mmu: &M, at: PteRef, nr: usize, what: Forget) -> (PteRef, usize) {
    let last = at.add(nr - 1);
    let (first, _) = extent(at, ptep_get_raw(mmu, at));
    let (end, of_last) = extent(last, ptep_get_raw(mmu, last));
    // Indices, not addresses: failure 3 was an end computed in the wrong unit.
    let before = if first == at { 0 } else { at.cont_index() };
    let behind = if of_last == CONT_PTES { CONT_PTES - 1 - last.cont_index() } else { 0 };
    debug_assert!(of_last == 1 || end == last.cont_start());
    let all = before + nr + behind;
    let mut atomics = 0;
    for index in 0..all {
        update(mmu, first.add(index), &mut atomics, |pte| match what {
            Forget::Young => pte.mkold(),
            Forget::Dirty => pte.mkclean(),
            Forget::Both => pte.mkold().mkclean(),
        });
    }
    mmu.count(Event::PteStores, all as u64);
    mmu.count(Event::PteAtomics, atomics);
    (first, all)
}
