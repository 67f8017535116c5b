//! Operations on the PTEs of user memory that decide about the contiguous bit by themselves.
//!
//! A *contpte block* is [`CONT_PTES`] naturally aligned entries with the contiguous bit, mapping equally aligned
//! consecutive frames with equal attributes; a TLB may hold it as one entry. Callers pass and see plain PTEs and
//! ranges of them; whether a block is *folded* (has the bit) is decided here:
//!
//! - [`set_ptes`] writes whole blocks folded; [`set_pte_at`] folds when the last entry of a block is set.
//! - Operations on single entries or parts of blocks *unfold* them first, by break-before-make.
//! - Operations on whole blocks leave them folded. That is legal for changes of permission and for clearing:
//!   while the entries of a block differ in permission, hardware uses one of the programmed values, never a mixture
//!   (Arm ARM DDI 0487, RJQQTC), and invalid entries among valid ones are not misprogramming (IPGVGZ). The flush
//!   that follows ends the uncertainty. It does not for a *partial* change, which is why that unfolds.
//!
//! The caller holds the address space's lock. Concurrently only hardware writes, setting AF and dirty state in
//! single entries; read-modify-writes here are atomic towards that, or on entries that hardware can no longer
//! change ([`Pte::is_hw_settled`]).

use crate::addr::VirtAddr;
use crate::batch::FolioSpan;
use crate::desc::Pte;
use crate::event::Event;
use crate::flush::issue_range;
use crate::granule::{CONT_PTES, PAGE_SIZE};
use crate::mmu::{Asid, Barrier, Mmu};
use crate::walk::PteRef;

/// Reads one entry as it is in the table.
#[inline]
pub fn ptep_get_raw<M: Mmu>(mmu: &M, at: PteRef) -> Pte {
    Pte::from_raw(mmu.load(at.desc()))
}

/// Reads one entry; if it is part of a folded block, with the access flag and dirty state of the whole block, since
/// hardware may have noted an access in any of its entries (Arm ARM, RXDPXQ, INFFSV).
pub fn ptep_get<M: Mmu>(mmu: &M, at: PteRef) -> Pte {
    let mut pte = ptep_get_raw(mmu, at);
    if !pte.is_cont() || !pte.is_valid() {
        return pte;
    }
    let block = at.cont_start();
    for index in 0..CONT_PTES {
        if pte.is_young() && pte.is_dirty() {
            break;
        }
        pte = pte.gather(ptep_get_raw(mmu, block.add(index)));
    }
    pte
}

/// The single raw store of an entry: no decision about blocks, no flush.
#[inline]
fn set_pte<M: Mmu>(mmu: &M, at: PteRef, pte: Pte) {
    mmu.store(at.desc(), pte.raw());
}

/// Writes `nr` entries from `at`, mapping consecutive frames from that of `pte`. They were not present before (and
/// are flushed, if they ever were), and lie in one table. Whole aligned blocks become folded at once: no clear, no
/// TLBI.
#[inline]
pub fn set_ptes<M: Mmu>(mmu: &M, at: PteRef, pte: Pte, nr: usize) {
    mmu.count(Event::SetPtesBatches, 1);
    mmu.count(Event::PteStores, nr as u64);
    let plain = pte.mknoncont();
    let mut done = 0;
    while done < nr {
        let here = at.add(done);
        let part = (CONT_PTES - here.cont_index()).min(nr - done);
        let value = plain.advance(done as u64);
        let value = if part == CONT_PTES && may_cont(value) { value.mkcont() } else { value };
        for index in 0..part {
            debug_assert!(!ptep_get_raw(mmu, here.add(index)).is_valid(), "set_ptes over a live entry");
            set_pte(mmu, here.add(index), value.advance(index as u64));
        }
        done += part;
    }
}

/// Whether a block may begin with `pte`: a valid user mapping of a counted frame, its frame aligned to the block.
#[inline]
fn may_cont(pte: Pte) -> bool {
    pte.is_valid() && pte.is_user() && !pte.is_special() && pte.pfn().get() & (CONT_PTES as u64 - 1) == 0
}

/// Writes one entry that was not present before, then folds its block if this was the entry that completed it.
/// `folio` is the folio of the frame, if it has one.
pub fn set_pte_at<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, pte: Pte, folio: Option<FolioSpan>) {
    set_ptes(mmu, at, pte, 1);
    if let Some(folio) = folio {
        try_fold(mmu, asid, at, pte, folio);
    }
}

/// Folds the block around `at`, whose entry is `pte`, if `at` is its last entry and all are what a block needs:
/// consecutive frames of one folio, aligned, equal but for AF and dirty state. Trying only at the last entry keeps
/// the cost of filling a block entry by entry to one look.
fn try_fold<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, pte: Pte, folio: FolioSpan) {
    let last = CONT_PTES as u64 - 1;
    // The frame's place in its block must be the entry's, so that the first frame is aligned.
    if at.cont_index() as u64 != last || pte.pfn().get() & last != last {
        return;
    }
    let first = Pte::from_raw(pte.mknoncont().raw() - last * PAGE_SIZE);
    if !may_cont(first) || !folio.covers(first.pfn(), CONT_PTES as u64) {
        return;
    }
    let block = at.cont_start();
    let matches = |index: usize| {
        let entry = ptep_get_raw(mmu, block.add(index));
        entry.is_valid()
            && entry.pfn() == first.pfn().add(index as u64)
            && entry.block_attributes() == first.block_attributes()
    };
    if (0..CONT_PTES).all(matches) {
        mmu.count(Event::Fold, 1);
        convert(mmu, asid, block, first.mkcont());
    }
}

/// Takes apart the block around `at` if it is folded: the same translations, without the bit.
pub fn unfold<M: Mmu>(mmu: &M, asid: Asid, at: PteRef) {
    let block = at.cont_start();
    let first = ptep_get_raw(mmu, block);
    if first.is_valid() && first.is_cont() {
        mmu.count(Event::Unfold, 1);
        convert(mmu, asid, block, first.mknoncont());
    }
}

/// Replaces the entries of a block by ones that map the same frames from `first` on, with another contiguous bit,
/// by break-before-make (Arm ARM, RWHZWS, RDDMVT): clear all, flush the block, write all. What hardware noted in
/// the old entries until they were cleared is kept in all of the new. An address space that never ran is in no TLB.
fn convert<M: Mmu>(mmu: &M, asid: Asid, block: PteRef, first: Pte) {
    let mut value = first;
    for index in 0..CONT_PTES {
        value = value.gather(Pte::from_raw(mmu.swap(block.add(index).desc(), 0)));
    }
    mmu.count(Event::PteAtomics, CONT_PTES as u64);
    mmu.count(Event::PteStores, 2 * CONT_PTES as u64);
    if !asid.is_none() {
        issue_range(mmu, asid, block.va(), CONT_PTES as u64).sync(mmu);
    }
    for index in 0..CONT_PTES {
        set_pte(mmu, block.add(index), value.advance(index as u64));
    }
    // Should the access that made us convert be repeated at once, the walker finds the new entries.
    mmu.barrier(Barrier::DsbIshst);
    mmu.count(Event::DsbIshst, 1);
}

/// Unfolds the blocks that the `nr` entries from `at` cover only in part; there are at most two, at the ends.
fn unfold_ends<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, nr: usize) {
    let last = at.add(nr - 1);
    if at.cont_index() != 0 || nr < CONT_PTES {
        unfold(mmu, asid, at);
    }
    if last.cont_index() != CONT_PTES - 1 && last.cont_start() != at.cont_start() {
        unfold(mmu, asid, last);
    }
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

/// Applies `f` to the permission bits of the `nr` entries from `at`, which lie in one table and are present. Blocks
/// covered in part are unfolded; whole blocks stay folded, and `f` must change all entries of a block alike. No
/// flush: until the caller's, the old permissions may be used.
pub fn modify_prot_ptes<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, nr: usize, f: impl Fn(Pte) -> Pte) {
    unfold_ends(mmu, asid, at, nr);
    let mut atomics = 0;
    for index in 0..nr {
        update(mmu, at.add(index), &mut atomics, &f);
    }
    mmu.count(Event::PteStores, nr as u64);
    mmu.count(Event::PteAtomics, atomics);
}

/// Write-protects the `nr` entries from `at`, which lie in one table and are present. Blocks covered in part are
/// unfolded, whole ones stay folded. No flush here: until the caller's, writes may still go through.
#[inline]
pub fn wrprotect_ptes<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, nr: usize) {
    mmu.count(Event::WrprotectBatches, 1);
    modify_prot_ptes(mmu, asid, at, nr, Pte::wrprotect);
}

/// Clears the `nr` entries from `at`, which lie in one table, for good: whatever hardware noted in them is lost.
/// Blocks covered in part are unfolded first. The caller flushes before it reuses frames.
pub fn clear_full_ptes<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, nr: usize) {
    unfold_ends(mmu, asid, at, nr);
    for index in 0..nr {
        set_pte(mmu, at.add(index), Pte::NONE);
    }
    mmu.count(Event::PteStores, nr as u64);
}

/// Clears one entry, unfolding its block if it is in one, and returns what it was, with all that was noted in the
/// block. The caller flushes.
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

/// Adds the access flag, dirty state and write permission of `wanted` to the entry at `at`, as a fault does; none is
/// ever taken away. Returns whether anything changed; if not, the fault was spurious: a TLB held an older entry.
///
/// In a folded block the flags go to all entries: hardware may look at any one of them, so a block in which only a
/// sibling is young or dirty is not done (the endless fault loop of contpte reference failure 1). A change of the
/// write permission of a single entry unfolds.
pub fn set_access_flags<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, wanted: Pte) -> bool {
    let add = |pte: Pte| {
        let pte = if wanted.is_writable() { pte.mkwrite() } else { pte };
        let pte = if wanted.is_dirty() { pte.mkdirty() } else { pte };
        if wanted.is_young() { pte.mkyoung() } else { pte }
    };
    let old = ptep_get_raw(mmu, at);
    let in_block = old.is_valid() && old.is_cont();
    let (first, nr) = if in_block { (at.cont_start(), CONT_PTES) } else { (at, 1) };
    let changes = |index: usize| {
        let pte = ptep_get_raw(mmu, first.add(index));
        add(pte) != pte
    };
    if !(0..nr).any(changes) {
        return false;
    }
    if in_block && add(old).is_writable() != old.is_writable() {
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
pub fn make_writable_ptes<M: Mmu>(mmu: &M, asid: Asid, at: PteRef, nr: usize) {
    modify_prot_ptes(mmu, asid, at, nr, |pte| pte.mkyoung().mkwrite().mkdirty());
    flush_extended(mmu, asid, at.va(), nr);
}

/// Flushes entries whose permissions were only extended. Entries with AF clear are in no TLB (Arm ARM, IWZCBG), and
/// an entry that is too strict only costs a spurious fault, but on this CPU that fault would come at once.
fn flush_extended<M: Mmu>(mmu: &M, asid: Asid, va: VirtAddr, nr: usize) {
    issue_range(mmu, asid, va, nr as u64).sync(mmu);
}

#[cfg(test)]
mod tests;
