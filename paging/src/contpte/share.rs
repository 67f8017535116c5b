//! What fork does to entries of private memory that hardware has finished with: both sides by plain stores.
//!
//! Write-protecting an entry that hardware may still change takes an exchange for each. Most entries at a fork are not
//! of that kind: a page that was written is young and dirty, and hardware has nothing left to note in its entry
//! ([`Pte::is_hw_settled`]). [`Share`] is what such an entry says besides its frame, and what it becomes on either side;
//! it is worked out once and holds for every entry that says the same, so that a run of them costs its stores.
//!
//! Of a folded block one entry is read. Access flag and dirty state are the block's: if one entry has both, so has the
//! block, whatever hardware is about to note in the others, and the entries written here have both. A walker that comes
//! after the store finds a read-only entry with the access flag, and has nothing to note.

use super::set::may_cont;
use super::{ptep_get_raw, set_ptes};
use crate::desc::Pte;
use crate::granule::CONT_PTES;
use crate::mmu::Mmu;
use crate::sparse::Sparse;
use crate::walk::PteRef;

/// What an entry says besides its frame, and what its two successors do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    seen: u64,
    /// The bits in which the parent's entry will differ from what it is.
    protect: u64,
    /// The bits in which the child's entry differs from what the parent's is.
    inherit: u64,
}

impl Share {
    /// What to do with `pte`, an anonymous page's in private memory, and all like it: the parent's is write-protected,
    /// the child's is that, dirty, old, and protected for userfaultfd only if `keep_wp`.
    ///
    /// None if it takes more than that: a page that is not valid or not counted, and a writable one in which hardware
    /// may still note something.
    #[inline]
    pub const fn of(pte: Pte, keep_wp: bool) -> Option<Share> {
        if !pte.is_valid() || pte.is_special() {
            return None;
        }
        if pte.is_writable() && !(pte.is_young() && pte.is_hw_dirty()) {
            return None;
        }
        let parent = pte.wrprotect();
        let child = parent.mkdirty().mkold();
        let child = if keep_wp { child } else { child.clear_uffd_wp() };
        let seen = pte.raw();
        Some(Share { seen: pte.attributes(), protect: seen ^ parent.raw(), inherit: seen ^ child.raw() })
    }

    /// Whether `pte` says the same.
    #[inline(always)]
    pub const fn covers(&self, pte: Pte) -> bool {
        pte.attributes() == self.seen
    }

    /// Whether the entries are parts of folded blocks.
    #[inline(always)]
    pub const fn is_folded(&self) -> bool {
        Pte::from_raw(self.seen).is_cont()
    }

    /// Whether the parent's entries change, and so need a flush.
    #[inline(always)]
    pub const fn protects(&self) -> bool {
        self.protect != 0
    }

    /// Writes both sides of a page that is a folio by itself: of `src`, which holds `pte`, and of the child's empty
    /// `dst`. Here as in [`Share::write`] the caller counts the stores, and flushes the parent if [`Share::protects`].
    #[inline(always)]
    pub fn write_page<M: Mmu>(&self, mmu: &M, src: PteRef, dst: PteRef, pte: Pte) {
        if self.protects() {
            mmu.store(src.desc(), pte.raw() ^ self.protect);
        }
        debug_assert!(ptep_get_raw(mmu, dst).is_none(), "shared over an entry");
        mmu.store(dst.desc(), pte.raw() ^ self.inherit);
    }

    /// How many entries from `at`, which holds `pte`, map consecutive frames and are covered; at most `max`, which ends
    /// in the table and the folio. Not for folded blocks.
    ///
    /// 0 if that is not all that may go together: the folio goes on in entries that say something else, in their write
    /// permission perhaps, of which a batch has to say what becomes of it ([`crate::batch`]).
    #[inline(always)]
    pub fn run<M: Mmu>(&self, mmu: &M, at: PteRef, pte: Pte, max: usize) -> usize {
        debug_assert!(!self.is_folded());
        self.steps::<M, 1>(mmu, at, pte, max)
    }

    /// As [`Share::run`], of folded blocks, the first of which begins at `at`: of each, its first entry is read.
    #[inline(always)]
    pub fn run_blocks<M: Mmu>(&self, mmu: &M, at: PteRef, pte: Pte, max: usize) -> usize {
        debug_assert!(self.is_folded() && at.cont_index() == 0);
        self.steps::<M, CONT_PTES>(mmu, at, pte, max)
    }

    #[inline(always)]
    fn steps<M: Mmu, const STEP: usize>(&self, mmu: &M, at: PteRef, pte: Pte, max: usize) -> usize {
        debug_assert!(self.covers(pte) && max <= at.left_in_table());
        let entry = |here: PteRef, step: usize| ptep_get_raw(mmu, here.add(step * STEP));
        let ahead = |wanted: Pte, step: usize| wanted.advance((step * STEP) as u64);
        let (mut here, mut wanted, mut left) =
            (at.add(STEP), pte.advance(STEP as u64), max.wrapping_sub(STEP));
        if max < STEP {
            return 0;
        }
        // By four and without a branch for each, as the loop would cost more than the comparison.
        while left >= 4 * STEP {
            let same = (entry(here, 0) == wanted)
                & (entry(here, 1) == ahead(wanted, 1))
                & (entry(here, 2) == ahead(wanted, 2))
                & (entry(here, 3) == ahead(wanted, 3));
            if !same {
                break;
            }
            (here, wanted, left) = (here.add(4 * STEP), ahead(wanted, 4), left - 4 * STEP);
        }
        while left >= STEP && entry(here, 0) == wanted {
            (here, wanted, left) = (here.add(STEP), ahead(wanted, 1), left - STEP);
        }
        let nr = max - left;
        if left == 0 {
            return nr;
        }
        // A hole ends it, or another frame, or that blocks are folded from here on or are not; not what is left of a block,
        // nor a page of the folio that differs.
        let next = entry(here, 0);
        let refolded = next.raw() ^ wanted.raw() == Pte::NONE.mkcont().raw();
        let differs = next.is_present() && next.pfn() == wanted.pfn() && !refolded;
        if differs { 0 } else { nr }
    }

    /// Writes both sides of the `nr` entries of a [`Share::run`] from `src`, which holds `pte`, or of several
    /// [`Share::run_blocks`] that follow one another; the child's, at `dst`, were empty.
    #[inline(always)]
    pub fn write<M: Mmu>(&self, mmu: &M, src: PteRef, dst: PteRef, pte: Pte, nr: usize) {
        debug_assert!(
            (0..nr).all(|index| ptep_get_raw(mmu, dst.add(index)).is_none()),
            "shared over an entry"
        );
        if self.is_folded() {
            mmu.copy_blocks(src.desc(), dst.desc(), nr / CONT_PTES, self.protect, self.inherit);
            return;
        }
        if nr < CONT_PTES {
            mmu.copy_entries(src.desc(), dst.desc(), nr, self.protect, self.inherit);
            return;
        }
        if self.protects() {
            mmu.store_run(src.desc(), pte.raw() ^ self.protect, nr);
        }
        // Whole blocks among them are folded at once.
        set_ptes(mmu, dst, Pte::from_raw(pte.raw() ^ self.inherit), nr);
    }
    /// Looks at the places of contpte blocks from `at`, one for each of `found`, which end in the table; returns how many
    /// of them have nothing but covered entries and holes, and may go together. Not for folded blocks.
    #[inline(always)]
    pub fn survey<M: Mmu>(&self, mmu: &M, at: PteRef, found: &mut [Sparse]) -> usize {
        debug_assert!(!self.is_folded() && at.cont_index() == 0);
        debug_assert!(found.len() * CONT_PTES <= at.left_in_table());
        mmu.survey(at.desc(), self.seen, found)
    }

    /// Writes both sides of what [`Share::survey`] found from `src` on; the child's entries, at `dst`, were empty. What
    /// has no holes is folded on the child's side.
    #[inline(always)]
    pub fn write_sparse<M: Mmu>(&self, mmu: &M, src: PteRef, dst: PteRef, found: &[Sparse]) {
        debug_assert!(
            (0..found.len() * CONT_PTES).all(|index| ptep_get_raw(mmu, dst.add(index)).is_none()),
            "shared over an entry"
        );
        // Aligned its frames are, as the survey says.
        let fold = if may_cont(Pte::from_raw(self.seen)) { Pte::NONE.mkcont().raw() } else { 0 };
        mmu.copy_sparse(src.desc(), dst.desc(), found, self.protect, self.inherit, fold);
    }
}
