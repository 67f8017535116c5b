//! Block descriptors of user memory at the level above the last: one entry where a table would have
//! [`PTES_PER_TABLE`]. Linux: `huge_memory.c`, PMD-mapped THP.
//!
//! A block is made where the entry was empty, changed and cleared as one, and *split* in place into a table of folded
//! contpte blocks before a part of it changes. Splitting changes the size of a live translation, so it is
//! break-before-make (Arm ARM DDI 0487, RWHZWS), or one exchange where FEAT_BBM level 2 is relied upon (RPVTFW).
//!
//! The caller holds the address space's lock. As in [`crate::contpte`], only hardware writes concurrently, noting AF and
//! dirty state.

use crate::addr::{DescAddr, PhysAddr, VirtAddr};
use crate::desc::{Pte, TableDesc};
use crate::event::Event;
use crate::flush::issue_block;
use crate::granule::{PAGE_SIZE, PTES_PER_TABLE};
use crate::level::Level;
use crate::mmu::{Asid, Barrier, Mmu};
use crate::walk::entry;

/// Bytes that an entry of the level above the last covers: the size of a block.
pub const PMD_SIZE: u64 = Level::PMD.entry_size();

/// The place of one entry of the level above the last, with the first address it translates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PmdRef {
    desc: DescAddr,
    va: VirtAddr,
}

impl PmdRef {
    /// The entry for `va` in the table of level [`Level::PMD`] at `table`.
    #[inline]
    pub const fn in_table(table: PhysAddr, va: VirtAddr) -> Self {
        PmdRef { desc: entry(table, Level::PMD, va), va: va.align_down(PMD_SIZE) }
    }

    /// The entry behind this one, if it is in the same table.
    #[inline]
    pub const fn next(self) -> Option<Self> {
        let next = PmdRef { desc: self.desc.add(8), va: self.va.add(PMD_SIZE) };
        if next.desc.is_aligned(PAGE_SIZE) { None } else { Some(next) }
    }

    /// Where the entry is.
    #[inline]
    pub const fn desc(self) -> DescAddr {
        self.desc
    }

    /// The first address the entry translates.
    #[inline]
    pub const fn va(self) -> VirtAddr {
        self.va
    }
}

/// Reads the entry as if it were a block's.
#[inline]
pub fn pmd_get<M: Mmu>(mmu: &M, at: PmdRef) -> Pte {
    Pte::from_raw(mmu.load(at.desc()))
}

/// Maps a block by the empty entry at `at`: the frames from that of `pte`, a page's entry, on. They are aligned to the
/// block; the entry was flushed if it ever was present.
#[inline]
pub fn set_pmd<M: Mmu>(mmu: &M, at: PmdRef, pte: Pte) {
    debug_assert!(mmu.load(at.desc()) == 0, "set_pmd over something");
    debug_assert!(pte.pfn().addr().is_aligned(PMD_SIZE), "{pte:?} is not aligned to a block");
    mmu.count(Event::PteStores, 1);
    mmu.store(at.desc(), pte.mknoncont().mkblock().raw());
}

/// Replaces the block at `at` by `f` of it, atomically towards hardware; returns what it was. `f` may change
/// permissions, AF, dirty state and software bits, or make it PROT_NONE. No flush.
pub fn modify_pmd<M: Mmu>(mmu: &M, at: PmdRef, f: impl Fn(Pte) -> Pte) -> Pte {
    let mut old = pmd_get(mmu, at);
    loop {
        let new = f(old);
        if new == old {
            return old;
        }
        mmu.count(Event::PteStores, 1);
        if !old.is_valid() || old.is_hw_settled() {
            mmu.store(at.desc(), new.raw());
            return old;
        }
        mmu.count(Event::PteAtomics, 1);
        match mmu.compare_exchange(at.desc(), old.raw(), new.raw()) {
            Ok(()) => return old,
            Err(now) => old = Pte::from_raw(now),
        }
    }
}

/// Shares the block `block` at `src` copy-on-write: write-protects it, and maps the same, old and dirty, by the empty
/// entry `dst` of a child that has not run. Returns how many stores the caller has to count; if the block was writable,
/// its flush is the caller's as well.
#[inline]
pub fn share_pmd<M: Mmu>(mmu: &M, src: PmdRef, dst: PmdRef, block: Pte) -> u64 {
    debug_assert!(mmu.load(dst.desc()) == 0, "shared over something");
    let protected = block.wrprotect();
    mmu.store(dst.desc(), protected.mkold().mkdirty().raw());
    if !block.is_writable() {
        return 1;
    }
    if !block.is_hw_settled() {
        modify_pmd(mmu, src, Pte::wrprotect);
        return 1;
    }
    mmu.store(src.desc(), protected.raw());
    2
}

/// Clears the block at `at` and returns what it was, with all that hardware noted. The caller flushes.
pub fn pmd_get_and_clear<M: Mmu>(mmu: &M, at: PmdRef) -> Pte {
    mmu.count(Event::PteAtomics, 1);
    mmu.count(Event::PteStores, 1);
    Pte::from_raw(mmu.swap(at.desc(), 0))
}

/// Clears the block at `at` for good: what hardware noted is lost. The caller flushes before it reuses frames.
#[inline]
pub fn clear_full_pmd<M: Mmu>(mmu: &M, at: PmdRef) {
    mmu.count(Event::PteStores, 1);
    mmu.store(at.desc(), 0);
}

/// Replaces the block at `at` by the table at `table`, whose contents do not matter: the same translations, in folded
/// contpte blocks. AF and dirty state that hardware noted in the block until it was cleared are in every page's entry.
pub fn split_pmd<M: Mmu>(mmu: &M, asid: Asid, at: PmdRef, table: PhysAddr) {
    mmu.count(Event::SplitPmd, 1);
    let mut block = pmd_get(mmu, at);
    if mmu.features().bbm_level >= 2 && block.is_valid() && !asid.is_none() {
        // No break: with level 2 hardware takes the block or the table's entries, never a mixture that translates
        // otherwise. What it notes in the block meanwhile fails the exchange.
        loop {
            fill(mmu, table, block);
            let linked = TableDesc::new(table).raw();
            mmu.count(Event::PteAtomics, 1);
            match mmu.compare_exchange(at.desc(), block.raw(), linked) {
                Ok(()) => break,
                Err(now) => block = Pte::from_raw(now),
            }
        }
        // Later flushes of parts of it carry the last level's hint; they must not miss what the block left behind.
        issue_block(mmu, asid, at.va()).sync(mmu);
        return;
    }
    block = pmd_get_and_clear(mmu, at);
    if block.is_valid() && !asid.is_none() {
        issue_block(mmu, asid, at.va()).sync(mmu);
    }
    fill(mmu, table, block);
    mmu.count(Event::PteStores, 1);
    mmu.store(at.desc(), TableDesc::new(table).raw());
    // Should the access that made us split be repeated at once, the walker finds the table.
    mmu.count(Event::DsbIshst, 1);
    mmu.barrier(Barrier::DsbIshst);
}

/// Writes the entries of a table that nobody can reach yet, so that it translates as `block` does, and makes them
/// visible to walkers.
fn fill<M: Mmu>(mmu: &M, table: PhysAddr, block: Pte) {
    let page = block.mkpage();
    // A block is aligned and uniform, so its table is all contpte blocks; entries that are not valid are never folded.
    let page = if page.is_valid() { page.mkcont() } else { page };
    for index in 0..PTES_PER_TABLE as u64 {
        mmu.store(DescAddr::new(table.get() + 8 * index), page.advance(index).raw());
    }
    mmu.count(Event::PteStores, PTES_PER_TABLE as u64);
    mmu.count(Event::DsbIshst, 1);
    mmu.barrier(Barrier::DsbIshst);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Pfn;
    use crate::contpte::ptep_get_raw;
    use crate::mmu::Features;
    use crate::sim::{Op, Sim};
    use crate::walk::{Part, parts, table_alloc};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::vec::Vec;

    const ASID: Asid = Asid::new(3);
    const VA: VirtAddr = VirtAddr::new(PMD_SIZE * 5);
    const FRAME: Pfn = Pfn::new(4 * PTES_PER_TABLE as u64);

    fn setup(features: Features) -> (Sim, PhysAddr, PmdRef) {
        let sim = Sim::new(8, features);
        let root = sim.frame().unwrap();
        let table = table_alloc(&sim, root, VA, Level::PMD, &mut || sim.frame()).unwrap();
        let at = PmdRef::in_table(table, VA);
        set_pmd(&sim, at, Pte::user(FRAME).mkwrite());
        sim.clear_ops();
        (sim, root, at)
    }

    #[test]
    fn a_split_block_translates_the_same_folded_and_keeps_what_hardware_noted() {
        for bbm_level in [0, 2] {
            let (sim, root, at) = setup(Features { bbm_level, ..Features::default() });
            sim.walker_update(at.desc(), |raw| Pte::from_raw(raw).mkyoung().mkdirty().raw());
            split_pmd(&sim, ASID, at, sim.frame().unwrap());
            let found: Vec<_> = parts(&sim, root, VA, VA.add(PMD_SIZE)).collect();
            let [Part::Table(first, nr)] = found[..] else { panic!("{found:?}") };
            assert_eq!(nr, PTES_PER_TABLE);
            for index in 0..nr {
                let pte = ptep_get_raw(&sim, first.add(index));
                assert_eq!(pte.pfn(), FRAME.add(index as u64));
                assert!(pte.is_cont() && pte.is_young() && pte.is_dirty() && pte.is_writable());
            }
        }
    }

    #[test]
    fn splitting_breaks_and_flushes_before_it_makes() {
        let (sim, _, at) = setup(Features::default());
        split_pmd(&sim, ASID, at, sim.frame().unwrap());
        let ops = sim.ops();
        let position = |wanted: &dyn Fn(&Op) -> bool| ops.iter().position(wanted).unwrap();
        let broken = position(&|op| matches!(op, Op::Store(to, _, 0) if *to == at.desc()));
        let flushed = position(&|op| matches!(op, Op::Tlbi(_)));
        let complete = position(&|op| matches!(op, Op::Barrier(Barrier::DsbIsh)));
        let made = position(&|op| matches!(op, Op::Store(to, 0, new) if *to == at.desc() && *new != 0));
        assert!(broken < flushed && flushed < complete && complete < made);
        assert_eq!(ops.iter().filter(|op| matches!(op, Op::Tlbi(_))).count(), 1, "one TLBI for all of it");
    }

    #[test]
    fn a_block_without_access_splits_into_pages_without_access() {
        let (sim, root, at) = setup(Features::default());
        modify_pmd(&sim, at, Pte::mkprotnone);
        sim.clear_ops();
        split_pmd(&sim, ASID, at, sim.frame().unwrap());
        let mut found = parts(&sim, root, VA, VA.add(PMD_SIZE));
        let Some(Part::Table(first, _)) = found.next() else { panic!() };
        let pte = ptep_get_raw(&sim, first.add(7));
        assert!(pte.is_protnone() && !pte.is_cont() && pte.pfn() == FRAME.add(7));
        assert!(!sim.ops().iter().any(|op| matches!(op, Op::Tlbi(_))), "no TLB holds an invalid entry");
    }

    #[test]
    fn changes_of_a_block_lose_nothing_that_hardware_notes() {
        let (sim, _, at) = setup(Features::default());
        sim.walker_update(at.desc(), |raw| Pte::from_raw(raw).mkyoung().mkdirty().raw());
        modify_pmd(&sim, at, Pte::wrprotect);
        let now = pmd_get(&sim, at);
        assert!(now.is_dirty() && now.is_young() && !now.is_writable());
        assert_eq!(pmd_get_and_clear(&sim, at), now);
        assert!(pmd_get(&sim, at).is_none());
    }

    #[test]
    fn a_shared_block_is_read_only_on_both_sides_and_dirty_in_the_child() {
        let (written, all) = (Pte::user(FRAME).mkwrite().mkyoung().mkdirty(), [0, 1, 2]);
        for (pte, stores, atomics) in
            [(written, 2, 0), (written.mkclean(), 1, 1), (written.wrprotect(), 1, 0)]
        {
            let (sim, _, at) = setup(Features::default());
            sim.store(at.desc(), pte.mkblock().raw());
            let (block, dst) = (pmd_get(&sim, at), at.next().unwrap());
            assert_eq!(share_pmd(&sim, at, dst, block), stores);
            assert_eq!(sim.counted(Event::PteAtomics), atomics, "{pte:?}");
            let (parent, child) = (pmd_get(&sim, at), pmd_get(&sim, dst));
            assert!(!parent.is_writable() && parent.is_young() && !child.is_writable() && !child.is_young());
            assert_eq!((parent.is_dirty(), child.is_dirty()), (pte.is_dirty(), true));
            assert!(all.iter().all(|ahead| parent.advance(*ahead).pfn() == child.advance(*ahead).pfn()));
        }
    }

    #[test]
    fn what_hardware_notes_in_a_block_that_is_being_shared_is_not_lost() {
        for when in 0..4 {
            let (sim, _, at) = setup(Features { hw_dirty: true, ..Features::default() });
            let (block, dst) = (pmd_get(&sim, at), at.next().unwrap());
            let (mut left, wrote) = (when, Arc::new(AtomicBool::new(false)));
            let went_through = wrote.clone();
            sim.interfere(move |sim| {
                if left == 0 && pmd_get(sim, at).is_writable() {
                    sim.walker_update(at.desc(), |raw| Pte::from_raw(raw).mkyoung().mkdirty().raw());
                    went_through.store(true, Ordering::Relaxed);
                }
                left -= 1;
            });
            share_pmd(&sim, at, dst, block);
            sim.be_alone();
            assert!(!pmd_get(&sim, at).is_writable());
            assert_eq!(pmd_get(&sim, at).is_dirty(), wrote.load(Ordering::Relaxed), "written at {when}");
        }
    }
}
