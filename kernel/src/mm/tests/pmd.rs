//! 2 MiB folios mapped by one block descriptor: made, shared, split and freed.

use linux_raw_sys::general::{MADV_DOFORK, MADV_DONTFORK, MADV_DONTNEED};
use model::machine::Adversary;
use paging::{CONT_PTES, Event, Pfn, VirtAddr};

use super::*;
use crate::errno::Errno;
use crate::mm::pmd::{PMD_ORDER, PMD_PAGES};
use crate::mm::testing::sized;
use crate::mm::{FaultError, Prot};

const RW: Prot = Prot::READ.union(Prot::WRITE);

/// A machine with room for a few blocks whose policy is to use them; `None` where folios are never that large.
fn blocks() -> Option<Mm<HostMachine>> {
    let order = PMD_ORDER?;
    let mm = sized(16 * PMD_PAGES);
    only_order(&mm, order);
    Some(mm)
}

fn is_block(process: &Process<'_>, addr: usize) -> bool {
    process.space.block_at(process.mm, VirtAddr::new(addr as u64)).is_some()
}

/// A process with a block at [`BASE`], its pages holding `value`, `value + 1`, ...
fn with_block(mm: &Mm<HostMachine>, value: u8) -> Process<'_> {
    let mut process = Process::new(mm);
    process.map_anon(BASE, PMD_PAGES);
    fill(&mut process, BASE, PMD_PAGES, value);
    assert!(is_block(&process, BASE));
    process
}

#[test]
fn the_first_write_maps_a_block_with_one_store_and_one_fault() {
    let Some(mm) = blocks() else { return };
    leaks_nothing(&mm, || {
        mm.machine.choose_by(Adversary::Newest);
        let (faults, stores) = (mm.machine.counted(Event::PageFaults), mm.machine.counted(Event::PteStores));
        let process = with_block(&mm, 3);
        assert_eq!(mm.machine.counted(Event::PageFaults) - faults, 1);
        assert!(mm.machine.counted(Event::PteStores) - stores <= 3, "two tables above and the block");
        assert_eq!(process.space.usage(&mm).pmd_pages, PMD_PAGES);
        process.exit();
    });
}

#[test]
fn no_block_where_the_vma_ends_or_a_table_is() {
    let Some(mm) = blocks() else { return };
    let mut process = Process::new(&mm);
    process.map_anon(BASE, PMD_PAGES - 1);
    process.write(BASE, 1).unwrap();
    process.map_anon(BASE + PMD_PAGES * PAGE, PMD_PAGES);
    assert_eq!(process.read(BASE + (PMD_PAGES + 5) * PAGE), Ok(0));
    process.write(BASE + (PMD_PAGES + 5) * PAGE, 1).unwrap();
    assert_eq!(process.space.usage(&mm).pmd_pages, 0);
    process.exit();
}

#[test]
fn fork_copies_a_block_as_one_entry_and_shares_it_copy_on_write() {
    let Some(mm) = blocks() else { return };
    leaks_nothing(&mm, || {
        let mut parent = with_block(&mm, 1);
        let refs = mm.machine.counted(Event::FolioRefUpdates);
        let mut child = parent.fork().unwrap();
        assert_eq!(mm.machine.counted(Event::FolioRefUpdates) - refs, 1);
        assert_eq!(mm.machine.counted(Event::ForkPmds), 1);
        assert!(is_block(&parent, BASE) && is_block(&child, BASE));
        parent.write(BASE + 7 * PAGE, 99).unwrap();
        assert!(!is_block(&parent, BASE) && is_block(&child, BASE), "only the writer's is split");
        assert!(folded(&parent, BASE, PMD_PAGES) >= PMD_PAGES - CONT_PTES);
        check(&mut child, BASE, PMD_PAGES, 1);
        child.write(BASE + 8 * PAGE, 98).unwrap();
        assert_eq!((parent.read(BASE + 8 * PAGE), parent.read(BASE + 7 * PAGE)), (Ok(9), Ok(99)));
        parent.exit();
        child.exit();
    });
}

#[test]
fn a_block_that_is_ours_alone_again_is_reused_whole() {
    let Some(mm) = blocks() else { return };
    let mut parent = with_block(&mm, 1);
    parent.fork().unwrap().exit();
    let faults = mm.machine.counted(Event::PageFaults);
    fill(&mut parent, BASE, PMD_PAGES, 77);
    assert_eq!(mm.machine.counted(Event::PageFaults) - faults, 1);
    assert_eq!((mm.machine.counted(Event::SplitPmd), mm.machine.counted(Event::CowCopy)), (0, 0));
    parent.exit();
}

#[test]
fn whole_blocks_are_protected_and_unmapped_without_being_split() {
    let Some(mm) = blocks() else { return };
    leaks_nothing(&mm, || {
        let mut process = with_block(&mm, 1);
        let bytes = PMD_PAGES * PAGE;
        for prot in [Prot::READ, Prot::empty(), RW] {
            process.space.mprotect(&mm, BASE, bytes, prot).unwrap();
            let read = process.read(BASE + PAGE);
            assert_eq!(read, if prot.is_empty() { Err(FaultError::AccErr) } else { Ok(2) });
            assert_eq!(process.write(BASE, 1).is_ok(), prot == RW);
            assert!(is_block(&process, BASE));
        }
        check(&mut process, BASE, PMD_PAGES, 1);
        process.space.munmap(&mm, BASE, bytes).unwrap();
        assert_eq!(process.read(BASE), Err(FaultError::MapErr));
        assert_eq!(mm.machine.counted(Event::SplitPmd), 0);
        process.exit();
    });
}

#[test]
fn a_change_of_a_part_splits_the_block_into_folded_blocks() {
    let Some(mm) = blocks() else { return };
    leaks_nothing(&mm, || {
        let part = CONT_PTES * PAGE;
        for change in 0..4 {
            let mut process = with_block(&mm, 1);
            let space = &mut process.space;
            match change {
                0 => space.munmap(&mm, BASE + part, part).unwrap(),
                1 => space.mprotect(&mm, BASE + part, part, Prot::empty()).unwrap(),
                2 => space.madvise(&mm, BASE + part, part, MADV_DONTNEED).unwrap(),
                _ => {
                    space.madvise(&mm, BASE + part, part, MADV_DONTFORK).unwrap();
                    space.madvise(&mm, BASE + part, part, MADV_DOFORK).unwrap();
                }
            }
            assert!(!is_block(&process, BASE));
            let gone = if change == 3 { 0 } else { CONT_PTES };
            assert_eq!(folded(&process, BASE, PMD_PAGES), PMD_PAGES - gone, "change {change}");
            check(&mut process, BASE, CONT_PTES, 1);
            check(&mut process, BASE + 2 * part, PMD_PAGES - 2 * CONT_PTES, (1 + 2 * CONT_PTES) as u8);
            let mut child = process.fork().unwrap();
            check(&mut child, BASE, CONT_PTES, 1);
            child.exit();
            process.exit();
        }
    });
}

#[test]
fn a_block_without_access_is_forked_and_split_like_any_other() {
    let Some(mm) = blocks() else { return };
    leaks_nothing(&mm, || {
        let mut parent = with_block(&mm, 4);
        parent.space.mprotect(&mm, BASE, PMD_PAGES * PAGE, Prot::empty()).unwrap();
        let mut child = parent.fork().unwrap();
        child.space.mprotect(&mm, BASE, CONT_PTES * PAGE, RW).unwrap();
        child.write(BASE, 9).unwrap();
        parent.space.mprotect(&mm, BASE, PMD_PAGES * PAGE, RW).unwrap();
        check(&mut parent, BASE, PMD_PAGES, 4);
        assert_eq!(child.read(BASE + CONT_PTES * PAGE), Err(FaultError::AccErr));
        child.exit();
        parent.exit();
    });
}

#[test]
fn fork_copies_a_pinned_block_page_by_page_and_leaves_the_parent_s_alone() {
    let Some(mm) = blocks() else { return };
    leaks_nothing(&mm, || {
        let mut parent = with_block(&mm, 1);
        let before = parent.pte(BASE).pfn();
        let mut pinned = [Pfn::new(0)];
        assert_eq!(parent.space.pin_pages(&mm, BASE + 3 * PAGE, true, &mut pinned), Ok(1));
        let mut child = parent.fork().unwrap();
        parent.write(BASE + 3 * PAGE, 50).unwrap();
        assert_eq!((parent.pte(BASE).pfn(), pinned[0]), (before, before.add(3)));
        check(&mut child, BASE, PMD_PAGES, 1);
        child.exit();
        mm.unpin(pinned[0]);
        parent.exit();
    });
}

#[test]
fn without_a_table_to_split_it_nothing_changes() {
    let Some(mm) = blocks() else { return };
    leaks_nothing(&mm, || {
        let mut parent = with_block(&mm, 1);
        let mut child = parent.fork().unwrap();
        let held = mm.hold_all();
        assert_eq!(parent.space.munmap(&mm, BASE, PAGE), Err(Errno::ENOMEM));
        assert_eq!(parent.space.mprotect(&mm, BASE, PAGE, Prot::READ), Err(Errno::ENOMEM));
        assert_eq!(parent.space.madvise(&mm, BASE, PAGE, MADV_DONTNEED), Err(Errno::ENOMEM));
        assert_eq!(child.write(BASE, 9), Err(FaultError::Oom));
        assert!(is_block(&parent, BASE) && is_block(&child, BASE));
        check(&mut parent, BASE, PMD_PAGES, 1);
        drop(held);
        child.write(BASE, 9).unwrap();
        check(&mut parent, BASE, PMD_PAGES, 1);
        child.exit();
        parent.exit();
    });
}
