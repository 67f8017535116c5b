//! Changing what entries permit.
//!
//! Linux changes a batch in two steps, `modify_prot_start_ptes` (clear, so that hardware notes nothing more) and
//! `modify_prot_commit_ptes` (write the changed entries). [`modify_prot_ptes`] is both in one: each entry is exchanged
//! atomically, so there is no time at which an access on another CPU faults, and a block is never without its bit.

use super::fold::unfold_ends;
use super::{ptep_get_raw, update};
use crate::batch::pte_batch_hint;
use crate::desc::Pte;
use crate::event::Event;
use crate::mmu::{Asid, Mmu};
use crate::walk::PteRef;

/// Applies `f` to the permission bits of the `nr` entries from `at`, which are present. Blocks covered in part are
/// unfolded; whole blocks stay folded, and `f` must change all entries of a block alike. `f` may be called more than
/// once for an entry. The caller flushes the range.
///
/// Whether all pages of a batch may become writable is the caller's to know: it passes sub-batches of which that is
/// true or false throughout.
pub fn modify_prot_ptes<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, nr: usize, f: impl Fn(Pte) -> Pte) {
    unfold_ends(mmu, asid, at, nr);
    let mut atomics = 0;
    for index in 0..nr {
        update(mmu, at.add(index), &mut atomics, &f);
    }
    mmu.count(Event::PteStores, nr as u64);
    mmu.count(Event::PteAtomics, atomics);
}

/// Applies `f` as [`modify_prot_ptes`] does to the entries from `at` on, up to `max` or to the first that is not valid.
/// Returns how many they were and whether any changed: if none did, there is nothing to flush. Each entry is read once;
/// a block in which the first does not change is not looked at further, since `f` changes all of a block alike.
pub fn modify_prot_run<M: Mmu>(
    mmu: &M,
    asid: Asid,
    at: PteRef,
    max: usize,
    f: impl Fn(Pte) -> Pte,
) -> (usize, bool) {
    unfold_ends(mmu, asid, at, max);
    let (mut nr, mut changed, mut atomics) = (0, 0, 0);
    while nr < max {
        let here = at.add(nr);
        let old = update(mmu, here, &mut atomics, |pte| if pte.is_valid() { f(pte) } else { pte });
        if !old.is_valid() {
            break;
        }
        let same = f(old) == old;
        changed += u64::from(!same);
        nr += if same && here.cont_index() == 0 { pte_batch_hint(here, old).min(max - nr) } else { 1 };
    }
    mmu.count(Event::PteStores, changed);
    mmu.count(Event::PteAtomics, atomics);
    (nr, changed > 0)
}

/// Write-protects the `nr` entries from `at`, which are present. Blocks covered in part are unfolded, whole ones
/// stay folded. The caller flushes (fork: once, at its end): until then, writes may still go through.
#[inline]
pub fn wrprotect_ptes<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, nr: usize) {
    mmu.count(Event::WrprotectBatches, 1);
    modify_prot_ptes(mmu, asid, at, nr, Pte::wrprotect);
}

/// Write-protects one entry, which is present; if it is in a block, that is unfolded. One that is not writable
/// already, like all of its block, stays as it is. The caller flushes its page.
pub fn ptep_set_wrprotect<M: Mmu>(mmu: &M, asid: Asid, at: PteRef) {
    if ptep_get_raw(mmu, at).is_writable() {
        modify_prot_ptes(mmu, asid, at, 1, Pte::wrprotect);
    }
}
