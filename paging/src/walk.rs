//! Finding last-level entries, allocating the tables that lead to them, and unlinking tables.
//!
//! A table page is zeroed before it is linked, and a walk that races with the link sees either nothing or the zeroed
//! table. Unlinked tables go to the caller, who frees them only after a flush that covers walk caches.

use core::ops::ControlFlow;

use crate::addr::{DescAddr, PhysAddr, VirtAddr};
use crate::desc::{Pte, TableDesc, Upper};
use crate::event::Event;
use crate::granule::{CONT_PTES, PAGE_SIZE, PTES_PER_TABLE};
use crate::level::Level;
use crate::mmu::{Barrier, Mmu};
use crate::pmd::PmdRef;

/// The place of one last-level entry, with the address it translates. Linux passes the pair `(ptep, addr)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PteRef {
    desc: DescAddr,
    va: VirtAddr,
}

impl PteRef {
    /// The entry for `va` in the last-level table at `table`.
    #[inline]
    pub const fn in_table(table: PhysAddr, va: VirtAddr) -> Self {
        PteRef { desc: entry(table, Level::PTE, va), va: va.align_down(PAGE_SIZE) }
    }

    /// The entry for `va` in the same table as `at`. The caller ensures that `va` is in that table's range.
    #[inline]
    pub const fn in_table_of(at: PteRef, va: VirtAddr) -> Self {
        Self::in_table(PhysAddr::new(at.desc.align_down(PAGE_SIZE).get()), va)
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

    /// The entry `n` further up. The caller ensures that it is in the same table.
    #[inline]
    pub const fn add(self, n: usize) -> Self {
        PteRef { desc: self.desc.add(8 * n as u64), va: self.va.add(n as u64 * PAGE_SIZE) }
    }

    /// The first entry of the contpte block around this one.
    #[inline]
    pub const fn cont_start(self) -> Self {
        PteRef { desc: self.desc.align_down(8 * CONT_PTES as u64), va: self.va.cont_start() }
    }

    /// The 0-based index in its contpte block.
    #[inline]
    pub const fn cont_index(self) -> usize {
        (self.desc.get() >> 3) as usize & (CONT_PTES - 1)
    }

    /// Entries from this one to the end of its table, itself included.
    #[inline]
    pub const fn left_in_table(self) -> usize {
        PTES_PER_TABLE - ((self.desc.get() >> 3) as usize & (PTES_PER_TABLE - 1))
    }
}

/// The place of the entry for `va` in the table of `level` at `table`.
#[inline]
pub const fn entry(table: PhysAddr, level: Level, va: VirtAddr) -> DescAddr {
    DescAddr::new(table.get() + 8 * level.index(va) as u64)
}

/// What a walk to the last level found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walk {
    /// A last-level table; this is the entry in it, whatever it holds.
    Pte(PteRef),
    /// A block at this level.
    Block(Pte, Level),
    /// Nothing from this level down.
    Absent(Level),
}

/// Walks from the top-level table `root` towards the last-level entry for `va`.
#[inline]
pub fn walk<M: Mmu>(mmu: &M, root: PhysAddr, va: VirtAddr) -> Walk {
    let mut table = root;
    let mut level = Level::TOP;
    while let Some(next) = level.next() {
        match Upper::decode(mmu.load(entry(table, level, va))) {
            Upper::Absent => return Walk::Absent(level),
            Upper::Block(block) => return Walk::Block(block, level),
            Upper::Table(below) => table = below,
        }
        level = next;
    }
    Walk::Pte(PteRef::in_table(table, va))
}

/// The last-level entry for `va`, if its table exists.
#[inline]
pub fn lookup<M: Mmu>(mmu: &M, root: PhysAddr, va: VirtAddr) -> Option<PteRef> {
    match walk(mmu, root, va) {
        Walk::Pte(at) => Some(at),
        Walk::Block(..) | Walk::Absent(_) => None,
    }
}

/// Why a table or an entry could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableError {
    /// No frame for a table: the allocator's answer.
    NoMemory,
    /// A block stands where a table is needed; the caller maps over something that is mapped.
    Occupied,
}

/// Links the zeroed page `table` under the empty upper entry `at`.
pub fn link_table<M: Mmu>(mmu: &M, at: DescAddr, table: PhysAddr) {
    // The walker must see the zeroes before it can see the table (Linux: pmd_install).
    mmu.count(Event::DsbIshst, 1);
    mmu.barrier(Barrier::DsbIshst);
    mmu.count(Event::PteStores, 1);
    mmu.store(at, TableDesc::new(table).raw());
}

/// The table of level `to` on the way to `va`, made with what is missing above it. `alloc` gives zeroed pages.
///
/// # Errors
/// `NoMemory` when `alloc` gives none (tables made so far stay linked, empty); `Occupied` under a block.
pub fn table_alloc<M: Mmu>(
    mmu: &M,
    root: PhysAddr,
    va: VirtAddr,
    to: Level,
    alloc: &mut impl FnMut() -> Option<PhysAddr>,
) -> Result<PhysAddr, TableError> {
    table_alloc_with(mmu, root, va, to, alloc, link_table)
}

#[inline(always)]
fn table_alloc_with<M: Mmu>(
    mmu: &M,
    root: PhysAddr,
    va: VirtAddr,
    to: Level,
    alloc: &mut impl FnMut() -> Option<PhysAddr>,
    link: impl Fn(&M, DescAddr, PhysAddr),
) -> Result<PhysAddr, TableError> {
    let mut table = root;
    let mut level = Level::TOP;
    while level < to {
        let at = entry(table, level, va);
        table = match Upper::decode(mmu.load(at)) {
            Upper::Table(below) => below,
            Upper::Block(_) => return Err(TableError::Occupied),
            Upper::Absent => {
                let fresh = alloc().ok_or(TableError::NoMemory)?;
                link(mmu, at, fresh);
                fresh
            }
        };
        level = level.next().expect("`to` is a level, so there is one below all above it");
    }
    Ok(table)
}

/// The last-level entry for `va`, its tables made if need be.
///
/// # Errors
/// As [`table_alloc`].
#[inline]
pub fn lookup_alloc<M: Mmu>(
    mmu: &M,
    root: PhysAddr,
    va: VirtAddr,
    alloc: &mut impl FnMut() -> Option<PhysAddr>,
) -> Result<PteRef, TableError> {
    table_alloc(mmu, root, va, Level::PTE, alloc).map(|table| PteRef::in_table(table, va))
}

/// [`lookup_alloc`] in tables that no CPU has translated through yet: nothing can see them grow, so the barrier that
/// comes before `root` is first loaded makes all of them visible at once.
///
/// # Errors
/// As [`table_alloc`].
#[inline]
pub fn lookup_alloc_unseen<M: Mmu>(
    mmu: &M,
    root: PhysAddr,
    va: VirtAddr,
    alloc: &mut impl FnMut() -> Option<PhysAddr>,
) -> Result<PteRef, TableError> {
    let link = |mmu: &M, at, table: PhysAddr| {
        mmu.count(Event::PteStores, 1);
        mmu.store(at, TableDesc::new(table).raw());
    };
    table_alloc_with(mmu, root, va, Level::PTE, alloc, link).map(|table| PteRef::in_table(table, va))
}

/// The entries of each last-level table between two addresses: pairs of the first entry and how many of that table
/// lie in the range. Absent tables are skipped a whole upper entry at a time.
pub struct Tables<'m, M> {
    mmu: &'m M,
    root: PhysAddr,
    at: VirtAddr,
    end: VirtAddr,
}

/// Iterates over the last-level tables below `root` from `start` to before `end`, both page-aligned, in a range that
/// the caller knows to be free of blocks; else [`parts`] is the one to use.
pub fn tables<M: Mmu>(mmu: &M, root: PhysAddr, start: VirtAddr, end: VirtAddr) -> Tables<'_, M> {
    Tables { mmu, root, at: start, end }
}

impl<M: Mmu> Iterator for Tables<'_, M> {
    type Item = (PteRef, usize);

    fn next(&mut self) -> Option<(PteRef, usize)> {
        while self.at < self.end {
            match walk(self.mmu, self.root, self.at) {
                Walk::Pte(first) => {
                    let nr = first.left_in_table().min(self.at.pages_to(self.end));
                    self.at = self.at.add(nr as u64 * PAGE_SIZE);
                    return Some((first, nr));
                }
                Walk::Absent(level) => self.at = level.entry_end(self.at),
                Walk::Block(block, level) => {
                    debug_assert!(false, "a block in a range of tables: {block:?} at {:?}", self.at);
                    self.at = level.entry_end(self.at);
                }
            }
        }
        None
    }
}

/// What maps part of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The first entry of a last-level table in the range, and how many of that table are.
    Table(PteRef, usize),
    /// A block of the level above; the range may begin or end inside it.
    Block(PmdRef, Pte),
}

/// The last-level tables and the blocks between two addresses, in order. Absent entries are skipped whole.
pub struct Parts<'m, M> {
    mmu: &'m M,
    root: PhysAddr,
    at: VirtAddr,
    end: VirtAddr,
}

/// Iterates over what maps `start` to before `end`, both page-aligned, in the tables of user memory below `root`: they
/// have blocks at [`Level::PMD`] only.
pub fn parts<M: Mmu>(mmu: &M, root: PhysAddr, start: VirtAddr, end: VirtAddr) -> Parts<'_, M> {
    Parts { mmu, root, at: start, end }
}

impl<M: Mmu> Iterator for Parts<'_, M> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        while self.at < self.end {
            let mut table = self.root;
            let mut level = Level::TOP;
            loop {
                let slot = entry(table, level, self.at);
                match Upper::decode(self.mmu.load(slot)) {
                    Upper::Absent => break,
                    Upper::Block(block) => {
                        debug_assert!(
                            level == Level::PMD,
                            "user memory has blocks above the last level only"
                        );
                        let at = PmdRef::in_table(table, self.at);
                        self.at = level.entry_end(self.at);
                        return Some(Part::Block(at, block));
                    }
                    Upper::Table(below) if level == Level::PMD => {
                        let first = PteRef::in_table(below, self.at);
                        let nr = first.left_in_table().min(self.at.pages_to(self.end));
                        self.at = self.at.add(nr as u64 * PAGE_SIZE);
                        return Some(Part::Table(first, nr));
                    }
                    Upper::Table(below) => table = below,
                }
                level = level.next().expect("the walk ends at the level above the last");
            }
            self.at = level.entry_end(self.at);
        }
        None
    }
}

/// The entry of the level above the last for `va`, if there is a table of that level.
#[inline(always)]
pub fn lookup_pmd<M: Mmu>(mmu: &M, root: PhysAddr, va: VirtAddr) -> Option<PmdRef> {
    let mut table = root;
    let mut level = Level::TOP;
    while level < Level::PMD {
        match Upper::decode(mmu.load(entry(table, level, va))) {
            Upper::Table(below) => table = below,
            Upper::Absent | Upper::Block(_) => return None,
        }
        level = level.next()?;
    }
    Some(PmdRef::in_table(table, va))
}

/// Unlinks the tables on the way to `start..end` that translate nothing outside `floor..ceiling`; the top-level table
/// stays. The caller knows that no entry between `floor` and `ceiling` is in use. `unlinked` receives each table after
/// those below it, with an address of the range that it translates and its level; it may be freed after a flush of the whole address space. Linux: `free_pgd_range`.
pub fn unlink_tables<M: Mmu>(
    mmu: &M,
    root: PhysAddr,
    (start, end): (VirtAddr, VirtAddr),
    (floor, ceiling): (VirtAddr, VirtAddr),
    unlinked: &mut impl FnMut(PhysAddr, VirtAddr, Level),
) {
    unlink_below(mmu, root, Level::TOP, (start, end), (floor, ceiling), unlinked);
}

fn unlink_below<M: Mmu>(
    mmu: &M,
    table: PhysAddr,
    level: Level,
    (start, end): (VirtAddr, VirtAddr),
    keep: (VirtAddr, VirtAddr),
    unlinked: &mut impl FnMut(PhysAddr, VirtAddr, Level),
) {
    let Some(below) = level.next() else { return };
    let mut at = start;
    while at < end {
        let next = level.entry_end(at);
        let slot = entry(table, level, at);
        if let Upper::Table(child) = Upper::decode(mmu.load(slot)) {
            unlink_below(mmu, child, below, (at, next.min(end)), keep, unlinked);
            if at.align_down(level.entry_size()) >= keep.0 && next <= keep.1 {
                mmu.count(Event::PteStores, 1);
                mmu.store(slot, 0);
                unlinked(child, at, below);
            }
        }
        at = next;
    }
}

/// How many tables there are below and including `root`.
pub fn count_tables<M: Mmu>(mmu: &M, root: PhysAddr) -> usize {
    count_below(mmu, root, Level::TOP)
}

fn count_below<M: Mmu>(mmu: &M, table: PhysAddr, level: Level) -> usize {
    let Some(below) = level.next() else { return 1 };
    let slots = (0..PTES_PER_TABLE as u64).map(|index| DescAddr::new(table.get() + 8 * index));
    let children = slots.map(|slot| match Upper::decode(mmu.load(slot)) {
        Upper::Table(child) => count_below(mmu, child, below),
        Upper::Absent | Upper::Block(_) => 0,
    });
    1 + children.sum::<usize>()
}

/// Calls `f` with every present last-level entry from `start` to before `end`, in order.
pub fn for_each_present<M: Mmu>(
    mmu: &M,
    root: PhysAddr,
    start: VirtAddr,
    end: VirtAddr,
    mut f: impl FnMut(PteRef, Pte) -> ControlFlow<()>,
) {
    for (first, nr) in tables(mmu, root, start, end) {
        for index in 0..nr {
            let at = first.add(index);
            let pte = Pte::from_raw(mmu.load(at.desc()));
            if pte.is_present() && f(at, pte).is_break() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Pfn;
    use crate::granule::VA_BITS;
    use crate::mmu::Features;
    use crate::sim::Sim;
    use std::vec::Vec;

    fn setup() -> (Sim, PhysAddr) {
        let sim = Sim::new(12, Features::default());
        let root = sim.frame().unwrap();
        (sim, root)
    }

    fn map(sim: &Sim, root: PhysAddr, va: u64) -> PteRef {
        let at = lookup_alloc(sim, root, VirtAddr::new(va), &mut || sim.frame()).unwrap();
        sim.store(at.desc(), Pte::user(Pfn::new(va / PAGE_SIZE)).raw());
        at
    }

    /// What a last-level table maps.
    const TABLE: u64 = Level::PMD.entry_size();
    /// What an entry of the topmost table covers.
    const TOP_ENTRY: u64 = Level::TOP.entry_size();
    /// Tables on the way to a page, the topmost included.
    const DEPTH: usize = (Level::PTE.number() - Level::TOP.number()) as usize + 1;

    #[test]
    fn an_entry_is_found_where_it_was_made() {
        let (sim, root) = setup();
        let at = map(&sim, root, 0x1234_5678_0000);
        assert_eq!(lookup(&sim, root, VirtAddr::new(0x1234_5678_0000 + PAGE_SIZE - 1)).unwrap(), at);
        assert!(matches!(walk(&sim, root, VirtAddr::new(0x4000_0000)), Walk::Absent(_)));
    }

    #[test]
    fn running_out_of_tables_is_an_error_and_harmless() {
        let sim = Sim::new(DEPTH - 1, Features::default());
        let root = sim.frame().unwrap();
        let va = VirtAddr::new(PAGE_SIZE);
        assert_eq!(lookup_alloc(&sim, root, va, &mut || sim.frame()), Err(TableError::NoMemory));
        assert_eq!(lookup(&sim, root, va), None);
    }

    #[test]
    fn tables_are_clipped_to_the_range_and_holes_skipped() {
        let (sim, root) = setup();
        map(&sim, root, TABLE - PAGE_SIZE);
        map(&sim, root, TABLE);
        map(&sim, root, TOP_ENTRY);
        let (start, end) = (TABLE - 2 * PAGE_SIZE, TOP_ENTRY + 2 * PAGE_SIZE);
        let seen: Vec<_> = tables(&sim, root, VirtAddr::new(start), VirtAddr::new(end))
            .map(|(at, nr)| (at.va().get(), nr))
            .collect();
        assert_eq!(seen, [(start, 2), (TABLE, PTES_PER_TABLE), (TOP_ENTRY, 2)]);
    }

    #[test]
    fn only_tables_wholly_between_floor_and_ceiling_are_unlinked() {
        let (sim, root) = setup();
        let first = TABLE - PAGE_SIZE;
        for va in [first, TABLE, 2 * TABLE] {
            let at = map(&sim, root, va);
            sim.store(at.desc(), 0);
        }
        let va = VirtAddr::new;
        let mut freed = Vec::new();
        let range = (va(first), va(2 * TABLE + PAGE_SIZE));
        unlink_tables(&sim, root, range, range, &mut |t, _, _| freed.push(t));
        assert_eq!(freed.len(), 1);
        assert!(lookup(&sim, root, va(TABLE)).is_none());
        assert!(lookup(&sim, root, va(first)).is_some());
        assert!(lookup(&sim, root, va(2 * TABLE)).is_some());
        freed.clear();
        // Only the tables on the way to the range are looked at, however wide the gap around it.
        unlink_tables(&sim, root, (va(first), va(TABLE)), (va(0), va(1 << VA_BITS)), &mut |t, _, _| {
            freed.push(t)
        });
        assert_eq!(freed.len(), DEPTH - 1, "a last-level table and all above it but the topmost");
    }

    #[test]
    fn every_table_is_counted_once() {
        let (sim, root) = setup();
        map(&sim, root, TABLE - PAGE_SIZE);
        map(&sim, root, (1 << VA_BITS) - PAGE_SIZE);
        assert_eq!(count_tables(&sim, root), 2 * DEPTH - 1);
    }
}
