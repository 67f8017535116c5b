//! Moving PTEs from one place of an address space to another: mremap.
//!
//! The frames stay where they are, so nothing is copied, and what a block is may change: it is decided anew for the
//! new place by [`set_ptes`]. A block whose new address no longer fits its frames ends unfolded, and entries that
//! were not folded become a block where address and frames now fit.
//!
//! ```text
//!   old place   clear (whole blocks stay whole: no unfold)   -- stale, usable until the flush -->  flush
//!   new place                 write (valid at once)
//! ```
//!
//! Until the caller's flush a TLB may go on translating the old address, to the frame that the new one leads to as
//! well. No contents can go apart, so no flush is needed between; but it must be complete before anybody else can get
//! the old address, and before the system call returns. A CPU that would have to note a first write through the old
//! entry finds it cleared, and faults (Arm ARM, D8.5: dirty state is set in the descriptor, by a new walk).

use super::{get_and_clear_full_ptes, ptep_get_raw, set_pte, set_pte_at, set_ptes};
use crate::batch::FolioSpan;
use crate::desc::Pte;
use crate::event::Event;
use crate::mmu::{Asid, Mmu};
use crate::walk::PteRef;

/// Moves the `nr` entries from `from` to `to`, each in one table. They map consecutive frames of one folio with equal
/// write permission ([`crate::batch::folio_pte_batch`]), or are one entry of any kind (`folio` is none if it maps no
/// counted frame). The entries at `to` are empty and flushed. `carry` says what becomes of an entry on the way.
///
/// Access flag and dirty state are gathered over the batch, as everywhere. The caller flushes the old range before
/// anything else can be mapped there.
pub fn move_ptes<M: Mmu>(
    mmu: &M,
    asid: Asid,
    from: PteRef,
    to: PteRef,
    nr: usize,
    folio: Option<FolioSpan>,
    carry: impl Fn(Pte) -> Pte,
) {
    mmu.count(Event::MoveBatches, 1);
    let old = ptep_get_raw(mmu, from);
    if !old.is_present() {
        // Not a mapping: its bits mean something else, and hardware does not look at them.
        set_pte(mmu, from, Pte::NONE);
        set_pte(mmu, to, carry(old));
        mmu.count(Event::PteStores, 2);
        return;
    }
    let pte = carry(get_and_clear_full_ptes(mmu, asid, from, nr));
    if nr == 1 {
        set_pte_at(mmu, asid, to, pte, folio);
    } else {
        set_ptes(mmu, to, pte, nr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::{Pfn, PhysAddr, VirtAddr};
    use crate::granule::{CONT_PTES, PAGE_SIZE};
    use crate::mmu::Features;
    use crate::sim::{Op, Sim};

    const ASID: Asid = Asid::new(3);
    /// Aligned to a block.
    const FIRST: Pfn = Pfn::new(16 * CONT_PTES as u64);
    const FOLIO: FolioSpan = FolioSpan { first: FIRST, pages: 2 * CONT_PTES as u64 };

    /// A table whose first two blocks are folded and map FOLIO, writable.
    fn table() -> (Sim, PhysAddr) {
        let sim = Sim::new(1, Features { tlbi_range: true, ..Features::default() });
        let page = sim.frame().unwrap();
        set_ptes(&sim, at(page, 0), Pte::user(FIRST).mkwrite(), 2 * CONT_PTES);
        (sim, page)
    }

    fn at(page: PhysAddr, index: usize) -> PteRef {
        PteRef::in_table(page, VirtAddr::new(index as u64 * PAGE_SIZE))
    }

    fn get(sim: &Sim, page: PhysAddr, index: usize) -> Pte {
        ptep_get_raw(sim, at(page, index))
    }

    fn move_to(sim: &Sim, page: PhysAddr, from: usize, to: usize, nr: usize) {
        move_ptes(sim, ASID, at(page, from), at(page, to), nr, Some(FOLIO), |pte| pte);
    }

    #[test]
    fn whole_blocks_move_folded_without_a_flush() {
        let (sim, page) = table();
        sim.clear_ops();
        move_to(&sim, page, 0, 4 * CONT_PTES, 2 * CONT_PTES);
        assert!(sim.ops().iter().all(|op| matches!(op, Op::Store(..))), "no barrier, no TLBI");
        for index in 0..2 * CONT_PTES {
            let pte = get(&sim, page, 4 * CONT_PTES + index);
            assert!(pte.is_cont() && pte.is_writable() && pte.pfn() == FIRST.add(index as u64));
            assert!(get(&sim, page, index).is_none());
        }
        assert_eq!(sim.counted(Event::Unfold), 0);
    }

    #[test]
    fn a_block_that_no_longer_fits_its_address_ends_unfolded() {
        // Failure 12: alignment of the new address against the frame was not looked at.
        let (sim, page) = table();
        move_to(&sim, page, 0, 4 * CONT_PTES + 1, 2 * CONT_PTES);
        for index in 0..2 * CONT_PTES {
            let pte = get(&sim, page, 4 * CONT_PTES + 1 + index);
            assert!(pte.is_valid() && !pte.is_cont() && pte.pfn() == FIRST.add(index as u64));
        }
        // And back: there it fits again.
        move_to(&sim, page, 4 * CONT_PTES + 1, 6 * CONT_PTES, 2 * CONT_PTES);
        assert!((0..2 * CONT_PTES).all(|index| get(&sim, page, 6 * CONT_PTES + index).is_cont()));
        assert_eq!((sim.counted(Event::Fold), sim.counted(Event::Unfold)), (0, 0));
    }

    #[test]
    fn a_part_of_a_block_leaves_the_rest_unfolded_and_whole() {
        let (sim, page) = table();
        move_to(&sim, page, 1, 4 * CONT_PTES + 1, CONT_PTES);
        assert_eq!(sim.counted(Event::Unfold), 2, "a block at each end");
        for index in [0, CONT_PTES + 1, 2 * CONT_PTES - 1] {
            let pte = get(&sim, page, index);
            assert!(pte.is_valid() && !pte.is_cont() && pte.pfn() == FIRST.add(index as u64));
        }
        assert!((0..CONT_PTES).all(|index| !get(&sim, page, 4 * CONT_PTES + 1 + index).is_cont()));
    }

    #[test]
    fn what_hardware_noted_anywhere_in_the_batch_arrives_everywhere() {
        let (sim, page) = table();
        sim.walker_update(at(page, 5).desc(), |raw| Pte::from_raw(raw).mkyoung().mkdirty().raw());
        move_to(&sim, page, 0, 4 * CONT_PTES, CONT_PTES);
        for index in 0..CONT_PTES {
            let pte = get(&sim, page, 4 * CONT_PTES + index);
            assert!(pte.is_young() && pte.is_dirty() && pte.is_cont(), "entry {index}");
        }
    }

    #[test]
    fn single_entries_that_complete_a_block_fold_it() {
        let (sim, page) = table();
        for index in 0..CONT_PTES {
            move_to(&sim, page, index, 4 * CONT_PTES + index, 1);
        }
        assert!((0..CONT_PTES).all(|index| get(&sim, page, 4 * CONT_PTES + index).is_cont()));
        assert_eq!((sim.counted(Event::Unfold), sim.counted(Event::Fold)), (1, 1));
    }
}
