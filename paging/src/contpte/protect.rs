//! Changing what entries permit.
//!
//! Linux changes a batch in two steps, `modify_prot_start_ptes` (clear, so that hardware notes nothing more) and
//! `modify_prot_commit_ptes` (write the changed entries). [`modify_prot_ptes`] is both in one: each entry is exchanged
//! atomically, so there is no time at which an access on another CPU faults, and a block is never without its bit.

use super::fold::unfold_ends;
use super::{ptep_get_raw, update};
use crate::desc::Pte;
use crate::event::Event;
use crate::granule::CONT_PTES;
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
/// Returns how many they were and whether any changed: if none did, there is nothing to flush.
///
/// What `f` makes of an entry is worked out once for all that follow and say the same but for their frames. They are
/// written together, by plain stores, where that loses nothing that hardware may note meanwhile:
///
/// - Single entries in which it can note nothing any more ([`Pte::is_hw_settled`]), or on a machine that never does.
/// - Whole folded blocks of which the first entry is young and dirty. Both are the block's by contract, so what the
///   others still note is known: the new entries say both. Of each such block one entry is read.
///
/// All others are exchanged one by one. A block in which the first does not change is not looked at further, since `f`
/// changes all of a block alike.
pub fn modify_prot_run<M: Mmu>(
    mmu: &M,
    asid: Asid,
    at: PteRef,
    max: usize,
    f: impl Fn(Pte) -> Pte,
) -> (usize, bool) {
    // What is folded after this lies in the range as a whole.
    unfold_ends(mmu, asid, at, max);
    let features = mmu.features();
    let hw_notes = features.hw_af || features.hw_dirty;
    let (mut nr, mut changed, mut atomics) = (0, 0, 0);
    while nr < max {
        let here = at.add(nr);
        let old = ptep_get_raw(mmu, here);
        if !old.is_valid() {
            break;
        }
        let (left, flip) = (max - nr, old.raw() ^ f(old).raw());
        let (run, plain) = if old.is_cont() {
            (alike::<M, CONT_PTES>(mmu, here, old, left), old.is_young() && old.is_dirty())
        } else {
            (alike::<M, 1>(mmu, here, old, left), old.is_hw_settled() || !hw_notes)
        };
        debug_assert!(flip & !old.attributes() & old.raw() == 0, "a change of protection moves no page");
        if flip != 0 {
            if !plain {
                for index in 0..run {
                    update(mmu, here.add(index), &mut atomics, &f);
                }
            } else if old.is_cont() {
                mmu.copy_blocks(here.desc(), here.desc(), run / CONT_PTES, 0, flip);
            } else {
                mmu.copy_entries(here.desc(), here.desc(), run, 0, flip);
            }
            changed += run as u64;
        }
        nr += run;
    }
    mmu.count(Event::PteStores, changed);
    mmu.count(Event::PteAtomics, atomics);
    (nr, changed > 0)
}

/// How many entries from `at`, which holds `pte`, say the same but for their frames; at most `max`. Of every `STEP`, which
/// are alike, the first is read.
#[inline(always)]
fn alike<M: Mmu, const STEP: usize>(mmu: &M, at: PteRef, pte: Pte, max: usize) -> usize {
    let is_alike = |nr: usize| ptep_get_raw(mmu, at.add(nr)).attributes() == pte.attributes();
    let mut nr = STEP;
    // By four, as the loop would cost as much as the comparison.
    while nr + 4 * STEP <= max
        && is_alike(nr)
        && is_alike(nr + STEP)
        && is_alike(nr + 2 * STEP)
        && is_alike(nr + 3 * STEP)
    {
        nr += 4 * STEP;
    }
    while nr + STEP <= max && is_alike(nr) {
        nr += STEP;
    }
    nr
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
