//! Operations on the PTEs of user memory that decide about the contiguous bit by themselves.
//!
//! A *contpte block* is [`CONT_PTES`](crate::CONT_PTES) naturally aligned entries with the contiguous bit, mapping
//! equally aligned consecutive frames with equal attributes; a TLB may hold it as one entry. Callers pass and see
//! plain PTEs and ranges of them; whether a block is *folded* (has the bit) is decided here, and a contiguous bit in
//! an entry that a caller passes is ignored:
//!
//! - [`set_ptes`] writes whole blocks folded; [`set_pte_at`] folds when the last entry of a block is set, and
//!   [`try_fold_block`] wherever a block may have become whole again.
//! - Operations on single entries or parts of blocks *unfold* them first ([`fold`]).
//! - Operations on whole blocks leave them folded. That is legal for changes of permission and for clearing:
//!   while the entries of a block differ in permission, hardware uses one of the programmed values, never a mixture
//!   (Arm ARM DDI 0487, RJQQTC), and invalid entries among valid ones are not misprogramming (IPGVGZ). The flush
//!   that follows ends the uncertainty. It does not for a *partial* change, which is why that unfolds.
//! - Access flag and dirty state are a block's, not an entry's: hardware may note either in any one entry
//!   (RXDPXQ), so reading gathers them, and clearing takes the whole block.
//!
//! # Contract of every operation
//!
//! The caller holds the address space's lock, but for [`ptep_get_lockless`]. The entries named by `at` and `nr` (at
//! least 1) lie in one table of a user address space; kernel mappings never get here. Concurrently only hardware
//! writes, setting AF and dirty state in single entries; read-modify-writes here are atomic towards that, or on
//! entries that hardware can no longer change ([`Pte::is_hw_settled`]). Each function says what it leaves for the
//! caller to flush; until that flush, the old entries may be used.

pub mod access;
pub mod clear;
pub mod fold;
pub mod get;
pub mod move_ptes;
pub mod protect;
pub mod refold;
pub mod replace;
pub mod set;
pub mod share;
pub mod young;

pub use access::{make_writable_ptes, set_access_flags};
pub use clear::{clear_full_ptes, get_and_clear_full_ptes, pte_clear, ptep_clear_flush, ptep_get_and_clear};
pub use fold::unfold;
pub use get::{ptep_get, ptep_get_lockless, ptep_get_raw};
pub use move_ptes::move_ptes;
pub use protect::{modify_prot_ptes, modify_prot_run, ptep_set_wrprotect, wrprotect_ptes};
pub use refold::{block_of, try_fold_block, try_fold_writable};
pub use replace::replace_ptes;
pub use set::{set_pte_at, set_ptes};
pub use share::Share;
pub use young::{Forget, clear_young_dirty_ptes, ptep_clear_flush_young, ptep_test_and_clear_young};

use crate::desc::Pte;
use crate::granule::CONT_PTES;
use crate::mmu::Mmu;
use crate::walk::PteRef;

/// The single raw store of an entry: no decision about blocks, no flush.
#[inline]
fn set_pte<M: Mmu>(mmu: &M, at: PteRef, pte: Pte) {
    mmu.store(at.desc(), pte.raw());
}

/// The entries that change together with the one at `at`, which holds `pte`: its block if that is folded, else it
/// alone.
#[inline]
fn extent(at: PteRef, pte: Pte) -> (PteRef, usize) {
    if pte.is_valid() && pte.is_cont() { (at.cont_start(), CONT_PTES) } else { (at, 1) }
}

/// Replaces the entry at `at` by `f` of it, atomically towards hardware, and returns what it was.
#[inline]
fn update<M: Mmu>(mmu: &M, at: PteRef, atomics: &mut u64, f: impl Fn(Pte) -> Pte) -> Pte {
    let mut old = ptep_get_raw(mmu, at);
    loop {
        let new = f(old);
        if new == old {
            return old;
        }
        if !old.is_valid() || old.is_hw_settled() {
            set_pte(mmu, at, new);
            return old;
        }
        *atomics += 1;
        match mmu.compare_exchange(at.desc(), old.raw(), new.raw()) {
            Ok(()) => return old,
            Err(now) => old = Pte::from_raw(now),
        }
    }
}

#[cfg(test)]
mod tests;
