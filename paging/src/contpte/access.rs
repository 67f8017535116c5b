//! Adding what a fault asks for: access flag, dirty state, write permission.

use super::protect::modify_prot_ptes;
use super::{extent, ptep_get_raw};
use crate::addr::VirtAddr;
use crate::desc::Pte;
use crate::event::Event;
use crate::flush::issue_range;
use crate::granule::CONT_PTES;
use crate::mmu::{Asid, Mmu};
use crate::walk::PteRef;

/// Adds the access flag, dirty state and write permission of `wanted` to the entry at `at`, as a fault does; none is
/// ever taken away. Returns whether anything changed; if not, the fault was spurious: a TLB held an older entry.
///
/// In a folded block the flags go to all entries: hardware may look at any one of them, so a block in which only a
/// sibling is young or dirty is not done (the endless fault loop of contpte reference failure 1). A change of the
/// write permission of a single entry unfolds. What was changed, and no less, is flushed (failure 2).
pub fn set_access_flags<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, wanted: Pte) -> bool {
    let add = |pte: Pte| {
        let pte = if wanted.is_writable() { pte.mkwrite() } else { pte };
        let pte = if wanted.is_dirty() { pte.mkdirty() } else { pte };
        if wanted.is_young() { pte.mkyoung() } else { pte }
    };
    let old = ptep_get_raw(mmu, at);
    let (first, nr) = extent(at, old);
    let changes = |index: usize| {
        let pte = ptep_get_raw(mmu, first.add(index));
        add(pte) != pte
    };
    if !(0..nr).any(changes) {
        return false;
    }
    if add(old).is_writable() != old.is_writable() {
        modify_prot_ptes(mmu, asid, at, 1, add);
        flush_extended(mmu, asid, at.va(), 1);
    } else {
        modify_prot_ptes(mmu, asid, first, nr, add);
        flush_extended(mmu, asid, first.va(), nr);
    }
    true
}

/// Makes the `nr` entries from `at` writable, dirty and young at once, whole blocks staying folded: the folio turned
/// out to be this address space's alone. The old read-only entries are flushed.
///
/// A folded block, all of it, and a single entry are written by plain stores, after a look at the first: all that
/// hardware could note in the old entries until then, an access or a write, the new ones say anyway, and in all else the
/// entries of a block agree.
#[inline]
pub fn make_writable_ptes<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, nr: usize) {
    let written = |pte: Pte| pte.mkyoung().mkwrite().mkdirty();
    let first = ptep_get_raw(mmu, at);
    if nr == if first.is_cont() { CONT_PTES } else { 1 } && (nr == 1 || at.cont_index() == 0) {
        mmu.store_run(at.desc(), written(first).raw(), nr);
        mmu.count(Event::PteStores, nr as u64);
    } else {
        modify_prot_ptes(mmu, asid, at, nr, written);
    }
    flush_extended(mmu, asid, at.va(), nr);
}

/// Flushes entries whose permissions were only extended. Entries with AF clear are in no TLB (Arm ARM, IWZCBG), and
/// an entry that is too strict only costs a spurious fault, but on this CPU that fault would come at once.
#[inline]
fn flush_extended<M: Mmu>(mmu: &M, asid: Asid, va: VirtAddr, nr: usize) {
    issue_range(mmu, asid, va, nr as u64).sync(mmu);
}
