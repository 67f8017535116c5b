//! Moving page tables' contents from one range of an address space to another: what mremap does to PTEs.
//!
//! 1. [`AddressSpace::prepare_move`] makes the tables that the new range needs and splits blocks that do not fit: all that can fail, before anything
//!    has moved. (Linux makes them on the way, and moves everything back when one is missing.)
//! 2. [`AddressSpace::move_page_tables`] moves batches of PTEs and whole blocks, and *parks* last-level tables that can move whole
//!    ([`paging::relink`]).
//! 3. The caller flushes the old range, once.
//! 4. [`AddressSpace::link_moved_tables`] puts parked tables in their new place.
//!
//! The new range has no VMA and no entries, the old one a single VMA. Frames, their counts and rss stay as they are.

use paging::batch::{Respect, folio_pte_batch};
use paging::contpte::{move_ptes, ptep_get_raw};
use paging::desc::{Marker, NonPresent};
use paging::pmd::{pmd_get_and_clear, set_pmd};
use paging::relink;
use paging::walk::{Part, PteRef, lookup, lookup_pmd, parts, table_alloc};
use paging::{Level, PAGE_SIZE, PMD_SIZE, PTES_PER_TABLE, PmdRef, Pte, VirtAddr};

use super::Mm;
use super::gather::Unmapped;
use super::machine::Machine;
use super::space::AddressSpace;
use crate::errno::{Errno, Result};

/// A move of `start..end` to `to`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Move {
    /// The old range's first address.
    pub start: VirtAddr,
    /// The first address behind it.
    pub end: VirtAddr,
    /// The new range's first address.
    pub to: VirtAddr,
    /// The mapping is registered with userfaultfd for write-protection, and will not be: its entries lose theirs.
    pub drops_wp: bool,
}

/// Part of a move.
enum Stretch {
    /// `nr` entries from `src` on, in one last-level table before and after.
    Ptes { src: PteRef, to: VirtAddr, nr: usize },
    /// A block, to become one: both places are aligned to it.
    Block { src: PmdRef, to: VirtAddr },
}

impl Move {
    /// Where the page at `va` of the old range goes.
    fn target(&self, va: VirtAddr) -> VirtAddr {
        self.to.add(va.get() - self.start.get())
    }

    /// Whether the old and the new place have the same offset from a block's boundary.
    fn is_congruent(&self) -> bool {
        self.start.get() % PMD_SIZE == self.to.get() % PMD_SIZE
    }

    /// Whether a part of `nr` entries is all of a table, which may move as it is.
    fn is_table(&self, nr: usize) -> bool {
        nr == PTES_PER_TABLE && !self.drops_wp
    }

    /// What an entry is at its new place: without the write protection of a registration that stays behind; and a page
    /// that was moved counts as written there (Linux: `move_soft_dirty_pte`).
    fn carried(&self, pte: Pte) -> Pte {
        let kept = if self.drops_wp { pte.clear_uffd_wp() } else { pte };
        match pte.non_present() {
            Some(NonPresent::Marker(Marker::UffdWp)) if self.drops_wp => Pte::NONE,
            Some(NonPresent::Marker(_)) => kept,
            _ => kept.mksoft_dirty(),
        }
    }

    /// The move's next part from `at` on; `at` is moved behind it.
    fn next<M: Machine>(&self, mm: &Mm<M>, space: &AddressSpace, at: &mut VirtAddr) -> Option<Stretch> {
        match parts(&mm.machine, space.root, *at, self.end).next()? {
            Part::Table(src, left) => {
                let to = self.target(src.va());
                let nr = left.min(PTES_PER_TABLE - Level::PTE.index(to));
                *at = src.va().add(nr as u64 * PAGE_SIZE);
                Some(Stretch::Ptes { src, to, nr })
            }
            Part::Block(src, _) => {
                *at = src.va().add(PMD_SIZE);
                Some(Stretch::Block { src, to: self.target(src.va()) })
            }
        }
    }
}

impl AddressSpace {
    /// Makes the tables that `what` needs in its new range, and splits the blocks that cannot move as such: those that
    /// the old range covers in part, and all if the new one is aligned otherwise.
    ///
    /// # Errors
    /// `ENOMEM`; tables made so far stay, empty, for the caller to unlink.
    pub(super) fn prepare_move<M: Machine>(&mut self, mm: &Mm<M>, what: Move) -> Result<()> {
        if what.start == what.end {
            return Ok(());
        }
        if what.is_congruent() {
            self.split_blocks_at(mm, what.start, what.end)?;
        } else {
            self.split_blocks_in(mm, what.start, what.end)?;
        }
        let mut at = what.start;
        while let Some(part) = what.next(mm, self, &mut at) {
            let (Stretch::Ptes { to, .. } | Stretch::Block { to, .. }) = part;
            let make = |level| {
                table_alloc(&mm.machine, self.root, to, level, &mut || mm.alloc_table())
                    .map_err(|_| Errno::ENOMEM)
            };
            make(Level::PMD)?;
            match part {
                Stretch::Ptes { nr, .. }
                    if what.is_table(nr) && relink::has_room(&mm.machine, self.root, to) => {}
                Stretch::Block { .. } if relink::has_room(&mm.machine, self.root, to) => {}
                Stretch::Ptes { .. } => {
                    make(Level::PTE)?;
                }
                Stretch::Block { src, .. } => {
                    make(Level::PTE)?;
                    self.split_block(mm, src)?;
                }
            }
        }
        Ok(())
    }

    /// Moves what [`AddressSpace::prepare_move`] prepared, and tells `unmapped` what to flush. Differences that
    /// `respect` names end a batch.
    pub(super) fn move_page_tables<M: Machine>(
        &self,
        mm: &Mm<M>,
        what: Move,
        respect: Respect,
        unmapped: &mut Unmapped<'_, M>,
    ) {
        let mut at = what.start;
        while let Some(part) = what.next(mm, self, &mut at) {
            match part {
                Stretch::Ptes { src, to, nr } => {
                    if what.is_table(nr) && relink::park(&mm.machine, self.root, src.va(), to) {
                        unmapped.flush_all();
                    } else if let Some(dst) = lookup(&mm.machine, self.root, to) {
                        self.move_entries(mm, what, (src, nr), dst, respect, unmapped);
                    }
                }
                Stretch::Block { src, to } => {
                    if let Some(dst) = lookup_pmd(&mm.machine, self.root, to) {
                        set_pmd(&mm.machine, dst, what.carried(pmd_get_and_clear(&mm.machine, src)));
                        unmapped.flush_block(src.va());
                    }
                }
            }
        }
    }

    /// Moves the `nr` entries from `src` to those from `dst` on, batch by batch.
    fn move_entries<M: Machine>(
        &self,
        mm: &Mm<M>,
        what: Move,
        (src, nr): (PteRef, usize),
        dst: PteRef,
        respect: Respect,
        unmapped: &mut Unmapped<'_, M>,
    ) {
        let mut index = 0;
        while index < nr {
            let from = src.add(index);
            let pte = ptep_get_raw(&mm.machine, from);
            if pte.is_none() {
                index += 1;
                continue;
            }
            let folio = counted(pte).then(|| mm.frames.folio(pte.pfn()).span());
            let batch = folio
                .map_or(1, |folio| folio_pte_batch(&mm.machine, from, pte, nr - index, folio, respect).nr);
            move_ptes(&mm.machine, self.asid(), from, dst.add(index), batch, folio, |pte| what.carried(pte));
            if pte.is_valid() {
                unmapped.flush_range(from.va(), from.va().add(batch as u64 * PAGE_SIZE));
            }
            index += batch;
        }
    }

    /// Links the tables that were parked for the new range. The old one was flushed since, walk caches included.
    pub(super) fn link_moved_tables<M: Machine>(&self, mm: &Mm<M>, what: Move) {
        let mut at = what.to.align_up(PMD_SIZE);
        let end = what.target(what.end);
        while at.get() + PMD_SIZE <= end.get() {
            relink::link_parked(&mm.machine, self.root, at);
            at = at.add(PMD_SIZE);
        }
    }
}

/// Whether the entry maps a frame of a folio.
fn counted(pte: Pte) -> bool {
    pte.is_present() && !pte.is_special()
}

#[cfg(test)]
mod tests {
    use super::*;
    use paging::Pfn;
    use paging::desc::SwapEntry;

    #[test]
    fn a_moved_entry_is_soft_dirty_and_not_write_protected_for_userfaultfd() {
        // Failure 10: uffd-wp survived mremap without the registration it belongs to.
        let at = VirtAddr::new(0);
        let what = Move { start: at, end: at, to: at, drops_wp: true };
        let (page, swap) = (Pte::user(Pfn::new(9)), NonPresent::Swap(SwapEntry { slot: 5 }).encode());
        let marker = |marker| NonPresent::Marker(marker).encode();
        for entry in [page, swap] {
            assert_eq!(what.carried(entry.mkuffd_wp()), entry.mksoft_dirty());
        }
        assert_eq!(what.carried(marker(Marker::Guard)), marker(Marker::Guard));
        assert_eq!(what.carried(marker(Marker::UffdWp)), Pte::NONE);
        assert!(!what.is_table(PTES_PER_TABLE), "a table moved whole would keep them");
        let keeps = Move { drops_wp: false, ..what };
        assert_eq!(keeps.carried(marker(Marker::UffdWp)), marker(Marker::UffdWp));
        assert!(keeps.carried(page.mkuffd_wp()).is_uffd_wp());
    }
}
