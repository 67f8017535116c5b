//! Mapping ranges with the largest descriptors that fit: for the kernel's own tables, which are built before they
//! are used. Live user tables are changed through [`crate::contpte`].

use crate::addr::{PhysAddr, VirtAddr};
use crate::desc::{Pte, Upper};
use crate::event::Event;
use crate::level::Level;
use crate::mmu::Mmu;
use crate::walk::{TableError, entry, table_alloc};

/// Maps `bytes` from `va` to `pa` with the attributes of `template` (a page descriptor; its frame is ignored), by
/// blocks of `largest` level or below where both addresses are aligned. All three are multiples of the page size.
/// Nothing may be mapped there before; the entries become valid at once, and a DSB and ISB are the caller's.
///
/// # Errors
/// `Occupied` where something is mapped already, `NoMemory` when `alloc` has no zeroed page for a table. What was
/// mapped before the error stays.
#[allow(clippy::too_many_arguments)] // a mapping has that many sides; a struct would only name them twice
pub fn map_range<M: Mmu>(
    mmu: &M,
    root: PhysAddr,
    va: VirtAddr,
    pa: PhysAddr,
    bytes: u64,
    template: Pte,
    largest: Level,
    alloc: &mut impl FnMut() -> Option<PhysAddr>,
) -> Result<(), TableError> {
    let attributes = Pte::from_raw(template.raw() & !template.pfn().addr().get());
    let mut done = 0;
    while done < bytes {
        let (at, target, left) = (va.add(done), pa.add(done), bytes - done);
        let mut level = Level::TOP;
        while !fits(level, largest, at, target, left) {
            level = level.next().expect("a page always fits: all three are page-aligned");
        }
        let table = table_alloc(mmu, root, at, level, alloc)?;
        let slot = entry(table, level, at);
        if Upper::decode(mmu.load(slot)) != Upper::Absent {
            return Err(TableError::Occupied);
        }
        let leaf = if level == Level::PTE { attributes } else { attributes.mkblock() };
        mmu.count(Event::PteStores, 1);
        mmu.store(slot, leaf.raw() | target.get());
        done += level.entry_size();
    }
    Ok(())
}

fn fits(level: Level, largest: Level, va: VirtAddr, pa: PhysAddr, left: u64) -> bool {
    let size = level.entry_size();
    let allowed = level == Level::PTE || (level >= largest && level.has_blocks());
    allowed && size <= left && va.is_aligned(size) && pa.is_aligned(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Pfn;
    use crate::granule::PAGE_SIZE;
    use crate::mmu::Features;
    use crate::sim::Sim;
    use crate::walk::{Walk, walk};

    const LINEAR: u64 = 0xffff_0000_0000_0000;

    /// The topmost level with blocks.
    fn largest() -> Level {
        let above = Level::TOP.next().filter(|level| level.has_blocks());
        above.unwrap_or(Level::PMD)
    }

    #[test]
    fn each_part_gets_the_largest_descriptor_that_fits() {
        let sim = Sim::new(16, Features::default());
        let root = sim.frame().unwrap();
        let (large, small) = (largest().entry_size(), Level::PMD.entry_size());
        let (start, bytes) = (large - PAGE_SIZE, PAGE_SIZE + large + small + 2 * PAGE_SIZE);
        let (va, pa) = (VirtAddr::new(LINEAR + start), PhysAddr::new(start));
        let template = Pte::kernel(Pfn::new(0)).mkkernelwrite();
        map_range(&sim, root, va, pa, bytes, template, largest(), &mut || sim.frame()).unwrap();
        let at = |offset: u64| walk(&sim, root, VirtAddr::new(LINEAR + offset));
        assert!(matches!(at(start), Walk::Pte(_)));
        let Walk::Block(block, level) = at(large) else { panic!() };
        assert_eq!((block.pfn().addr().get(), level), (large, largest()));
        assert!(matches!(at(2 * large), Walk::Block(_, Level::PMD)));
        let last = 2 * large + small + PAGE_SIZE;
        let Walk::Pte(page) = at(last) else { panic!() };
        assert_eq!(Pte::from_raw(sim.load(page.desc())).pfn().addr().get(), last);
        let Walk::Pte(behind) = at(last + PAGE_SIZE) else { panic!() };
        assert_eq!(sim.load(behind.desc()), 0);
    }

    #[test]
    fn mapping_over_something_is_refused() {
        let sim = Sim::new(16, Features::default());
        let root = sim.frame().unwrap();
        let template = Pte::kernel(Pfn::new(0));
        let map = |start: u64, bytes| {
            let (va, pa) = (VirtAddr::new(LINEAR + start), PhysAddr::new(start));
            map_range(&sim, root, va, pa, bytes, template, Level::PMD, &mut || sim.frame())
        };
        let block = Level::PMD.entry_size();
        assert_eq!(map(block, block), Ok(()));
        assert_eq!(map(block + PAGE_SIZE, PAGE_SIZE), Err(TableError::Occupied));
        assert_eq!(map(block, block), Err(TableError::Occupied));
    }
}
