//! Putting other frames where some are mapped.

use super::{clear_full_ptes, set_ptes};
use crate::desc::Pte;
use crate::event::Event;
use crate::flush::issue_range;
use crate::mmu::{Asid, Barrier, Mmu};
use crate::walk::PteRef;

/// Replaces the `nr` entries from `at`, which are not writable, by entries like `pte` that map consecutive frames
/// from its own on: break-before-make, with one flush for all of them (Arm ARM, RWHZWS). No CPU uses an old
/// translation when the first new one can be used. Blocks covered in part are unfolded first, whole ones are written
/// folded. Whatever hardware noted in the old entries is lost. Nothing is left for the caller to flush.
pub fn replace_ptes<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, pte: Pte, nr: usize) {
    clear_full_ptes(mmu, asid, at, nr);
    if !asid.is_none() {
        issue_range(mmu, asid, at.va(), nr as u64).sync(mmu);
    }
    set_ptes(mmu, at, pte, nr);
    // The access that made us replace them will be repeated at once: the walker is to find the new entries.
    mmu.barrier(Barrier::DsbIshst);
    mmu.count(Event::DsbIshst, 1);
}
