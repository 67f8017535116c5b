//! Moving whole last-level tables from one place of a tree to another: mremap at the cost of a few stores a table.
//!
//! A table that hangs in two places, or is linked anew while a walk cache still leads to it from the old one, is what
//! break-before-make forbids (Arm ARM, RWHZWS). So a move has two halves with the flush between, and needs no memory:
//!
//! ```text
//!   old entry   table -> empty                                   walk caches: flush of the address space
//!   new entry   empty -> *parked* (the table, without VALID)  =>                 parked -> table
//! ```
//!
//! A parked entry is invalid: hardware and [`crate::walk`] see nothing there. The entries of the table are not
//! touched. Both addresses are aligned to what a table translates, so every block keeps its place in the table, and
//! with it its alignment.

use crate::addr::{DescAddr, PhysAddr, VirtAddr};
use crate::desc::{TableDesc, Upper};
use crate::event::Event;
use crate::level::Level;
use crate::mmu::Mmu;
use crate::pmd::PmdRef;
use crate::walk::lookup_pmd;

/// The place of the entry for `va` that leads to a last-level table, if the table it would be in exists.
fn slot<M: Mmu>(mmu: &M, root: PhysAddr, va: VirtAddr) -> Option<DescAddr> {
    lookup_pmd(mmu, root, va).map(PmdRef::desc)
}

/// Whether a last-level table could be linked for `va` without any memory: the tables above it exist, its place is
/// empty, and `va` is where a table begins.
pub fn has_room<M: Mmu>(mmu: &M, root: PhysAddr, va: VirtAddr) -> bool {
    va.is_aligned(Level::PMD.entry_size()) && slot(mmu, root, va).is_some_and(|slot| mmu.load(slot) == 0)
}

/// Takes the last-level table of `from` away and parks it for `to`; both begin a table. Returns whether it did: there
/// is a table at `from` and room at `to`. It is to be linked by [`link_parked`] after a flush of the whole address
/// space.
pub fn park<M: Mmu>(mmu: &M, root: PhysAddr, from: VirtAddr, to: VirtAddr) -> bool {
    if !from.is_aligned(Level::PMD.entry_size()) || !has_room(mmu, root, to) {
        return false;
    }
    let (Some(old), Some(new)) = (slot(mmu, root, from), slot(mmu, root, to)) else { return false };
    let Upper::Table(table) = Upper::decode(mmu.load(old)) else { return false };
    mmu.count(Event::PteStores, 2);
    mmu.store(old, 0);
    mmu.store(new, TableDesc::parked(table).raw());
    true
}

/// Links the table parked for `va`, if there is one. Its old place was flushed since.
pub fn link_parked<M: Mmu>(mmu: &M, root: PhysAddr, va: VirtAddr) {
    if let Some(slot) = slot(mmu, root, va)
        && let Some(table) = TableDesc::from_parked(mmu.load(slot))
    {
        mmu.count(Event::TablesMoved, 1);
        mmu.count(Event::PteStores, 1);
        mmu.store(slot, TableDesc::new(table).raw());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Pfn;
    use crate::desc::Pte;
    use crate::mmu::Features;
    use crate::sim::Sim;
    use crate::walk::{lookup, lookup_alloc, table_alloc};

    #[test]
    fn a_parked_table_is_nowhere_until_it_is_linked() {
        let sim = Sim::new(8, Features::default());
        let root = sim.frame().unwrap();
        let size = Level::PMD.entry_size();
        let (from, to) = (VirtAddr::new(3 * size), VirtAddr::new(7 * size));
        let at = lookup_alloc(&sim, root, from, &mut || sim.frame()).unwrap();
        sim.store(at.desc(), Pte::user(Pfn::new(77)).raw());
        assert!(has_room(&sim, root, to) && !has_room(&sim, root, from));
        assert!(!park(&sim, root, from.add(size), to), "there is no table");
        assert!(park(&sim, root, from, to));
        assert_eq!((lookup(&sim, root, from), lookup(&sim, root, to)), (None, None));
        link_parked(&sim, root, to);
        let moved = lookup(&sim, root, to).unwrap();
        assert_eq!((moved.desc(), moved.va()), (at.desc(), to));
        assert_eq!(lookup(&sim, root, from), None);
        link_parked(&sim, root, from); // nothing is parked there
        assert_eq!(lookup(&sim, root, from), None);
    }

    #[test]
    fn a_table_is_not_moved_over_another_or_to_where_none_can_be() {
        let sim = Sim::new(8, Features::default());
        let root = sim.frame().unwrap();
        let size = Level::PMD.entry_size();
        let (from, to) = (VirtAddr::new(3 * size), VirtAddr::new(1 << 43));
        lookup_alloc(&sim, root, from, &mut || sim.frame()).unwrap();
        assert!(!park(&sim, root, from, to), "no table above it");
        table_alloc(&sim, root, to, Level::PMD, &mut || sim.frame()).unwrap();
        assert!(has_room(&sim, root, to));
        lookup_alloc(&sim, root, to, &mut || sim.frame()).unwrap();
        assert!(!park(&sim, root, from, to), "one is there already");
    }
}
