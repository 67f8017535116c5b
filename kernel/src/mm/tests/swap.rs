//! Swap: pages go out and come back, alone, forked, unmapped, at the limit, and when memory is exhausted.

use linux_raw_sys::general::{MADV_DONTNEED, MADV_PAGEOUT};
use paging::desc::SwapEntry;
use paging::{Barrier, CONT_PTES, Event, Mmu, NonPresent, PAGE_SIZE, VirtAddr};

use super::*;
use crate::errno::Errno;
use crate::mm::Machine;
use crate::mm::pageout::Which;
use crate::mm::pmd::{PMD_ORDER, PMD_PAGES};
use crate::mm::testing::{machine, sized};
use crate::mm::{FaultError, Prot};

/// Machines here have swap of this many pages.
const SLOTS: usize = 2048;

fn with_swap(mm: Mm<HostMachine>) -> Mm<HostMachine> {
    mm.swap_on(SLOTS).unwrap();
    mm
}

fn page_out(process: &mut Process<'_>, addr: usize, pages: usize) {
    process.enter();
    process.space.madvise(process.mm, addr, pages * PAGE, MADV_PAGEOUT).unwrap();
}

/// The slot that the entry for `addr` refers to, if it is a swap entry.
fn slot(process: &Process<'_>, addr: usize) -> Option<u32> {
    match process.pte(addr).non_present() {
        Some(NonPresent::Swap(SwapEntry { slot })) => Some(slot as u32),
        _ => None,
    }
}

fn swapped(process: &Process<'_>, addr: usize, pages: usize) -> usize {
    (0..pages).filter(|page| slot(process, addr + page * PAGE).is_some()).count()
}

/// Writes words to a page that no compressor makes smaller, other ones for each `seed`, then `seed` to its first byte.
fn fill_with_noise(process: &mut Process<'_>, addr: usize, seed: usize) -> Result<(), FaultError> {
    process.write(addr, 0)?;
    let frame = process.pte(addr).pfn();
    let words = process.mm.machine.ptr(frame.addr()).cast::<u64>();
    let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for index in 0..PAGE / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // SAFETY: the frame is the process's, which does not run.
        unsafe { words.add(index).write(state) };
    }
    process.write(addr, seed as u8)
}

#[test]
fn pages_of_every_folio_size_go_out_whole_with_one_flush_and_come_back() {
    for order in 0..=MAX_ORDER {
        let mm = with_swap(machine());
        only_order(&mm, order);
        let pages = (2 << order).max(2 * CONT_PTES);
        leaks_nothing(&mm, || {
            let mut process = Process::new(&mm);
            process.map_anon(BASE, pages);
            fill(&mut process, BASE, pages, 3);
            let events = [Event::Unfold, Event::TlbiVa, Event::TlbiRange, Event::TlbiAsid];
            let before = events.map(|event| mm.machine.counted(event));
            let free = mm.free_pages();
            page_out(&mut process, BASE, pages);
            let spent: std::vec::Vec<u64> = events
                .iter()
                .zip(before)
                .map(|(event, before)| mm.machine.counted(*event) - before)
                .collect();
            // A block descriptor is split first, which is a flush by itself.
            let splits = if Some(order) == PMD_ORDER { pages / PMD_PAGES } else { 0 };
            let flushes = 1 + splits as u64;
            assert_eq!((spent[0], spent[1..].iter().sum::<u64>()), (0, flushes), "order {order}: {spent:?}");
            assert_eq!((swapped(&process, BASE, pages), process.space.usage(&mm).rss_pages), (pages, 0));
            assert!(mm.free_pages() > free + pages as u64 / 2, "order {order}");
            check(&mut process, BASE, pages, 3);
            assert_eq!((mm.swap.usage().used, process.space.usage(&mm).rss_pages), (0, pages));
            fill(&mut process, BASE, pages, 4);
            check(&mut process, BASE, pages, 4);
            process.exit();
        });
    }
}

#[test]
fn part_of_a_block_goes_out_and_the_rest_stays() {
    let mm = with_swap(machine());
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 2 * CONT_PTES);
        fill(&mut process, BASE, 2 * CONT_PTES, 0);
        page_out(&mut process, BASE + 3 * PAGE, 2);
        assert_eq!(swapped(&process, BASE, 2 * CONT_PTES), 2);
        assert_eq!(folded(&process, BASE, 2 * CONT_PTES), CONT_PTES);
        process.write(BASE + 3 * PAGE, 77).unwrap();
        assert_eq!(process.read(BASE + 4 * PAGE), Ok(4));
        // Again, the rest of the block included.
        page_out(&mut process, BASE, 2 * CONT_PTES);
        assert_eq!(swapped(&process, BASE, 2 * CONT_PTES), 2 * CONT_PTES);
        assert_eq!(process.read(BASE + 3 * PAGE), Ok(77));
        check(&mut process, BASE + 4 * PAGE, 2 * CONT_PTES - 4, 4);
        process.exit();
    });
}

#[test]
fn fork_counts_slots_and_both_sides_read_their_own_copy() {
    let mm = with_swap(machine());
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, 20);
        fill(&mut parent, BASE, 20, 9);
        page_out(&mut parent, BASE, 16);
        let slots = mm.swap.usage().used;
        let mut child = parent.fork().unwrap();
        let mut grandchild = child.fork().unwrap();
        assert_eq!((slots, mm.swap.usage().used), (16, 16));
        assert_eq!(mm.swap_count(slot(&parent, BASE).unwrap()), 3);
        parent.write(BASE, 1).unwrap();
        child.write(BASE + PAGE, 2).unwrap();
        check(&mut grandchild, BASE, 20, 9);
        grandchild.exit();
        check(&mut child, BASE + 2 * PAGE, 18, 11);
        parent.exit();
        assert_eq!((child.read(BASE), child.read(BASE + PAGE)), (Ok(9), Ok(2)));
        child.exit();
        assert_eq!(mm.swap.usage().used, 0);
    });
}

#[test]
fn slots_are_freed_by_exit_munmap_and_discarding() {
    let mm = with_swap(machine());
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 64);
        fill(&mut process, BASE, 64, 0);
        page_out(&mut process, BASE, 64);
        let used = || mm.swap.usage().used;
        process.space.munmap(&mm, BASE, 10 * PAGE).unwrap();
        assert_eq!(used(), 54);
        process.space.madvise(&mm, BASE + 10 * PAGE, 10 * PAGE, MADV_DONTNEED).unwrap();
        assert_eq!((used(), process.read(BASE + 12 * PAGE)), (44, Ok(0)));
        // Mapping over it, as exec does.
        process.map_anon(BASE + 20 * PAGE, 10);
        assert_eq!(used(), 34);
        assert_eq!(
            process.space.swapped_pages(
                &mm,
                VirtAddr::new(BASE as u64),
                VirtAddr::new(BASE as u64).add(64 * PAGE_SIZE)
            ),
            34
        );
        process.exit();
        assert_eq!(used(), 0);
    });
}

#[test]
fn what_others_use_stays_where_it_is() {
    let mm = with_swap(machine());
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, 3 * CONT_PTES);
        fill(&mut parent, BASE, 3 * CONT_PTES, 0);
        let head = mm.frames.folio(parent.pte(BASE).pfn()).head;
        mm.folio_get(head).unwrap();
        page_out(&mut parent, BASE, CONT_PTES);
        assert_eq!(swapped(&parent, BASE, CONT_PTES), 0, "somebody refers to the folio");
        mm.folio_put(head);
        parent.read(BASE + 4 * CONT_PTES * PAGE).unwrap_err();
        let child = parent.fork().unwrap();
        page_out(&mut parent, BASE, 3 * CONT_PTES);
        assert_eq!(swapped(&parent, BASE, 3 * CONT_PTES), 0, "the child maps all of it");
        child.exit();
        page_out(&mut parent, BASE, 3 * CONT_PTES);
        assert_eq!(swapped(&parent, BASE, 3 * CONT_PTES), 3 * CONT_PTES);
        check(&mut parent, BASE, 3 * CONT_PTES, 0);
        parent.exit();
    });
}

#[test]
fn protection_changes_while_pages_are_out_hold_when_they_are_back() {
    let mm = with_swap(machine());
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 4);
    fill(&mut process, BASE, 4, 5);
    page_out(&mut process, BASE, 4);
    process.space.mprotect(&mm, BASE, 2 * PAGE, Prot::READ).unwrap();
    process.space.mprotect(&mm, BASE + 2 * PAGE, PAGE, Prot::empty()).unwrap();
    assert_eq!(process.read(BASE), Ok(5));
    assert_eq!(process.write(BASE, 0), Err(FaultError::AccErr));
    assert_eq!(process.write(BASE + PAGE, 0), Err(FaultError::AccErr));
    assert_eq!(process.read(BASE + 2 * PAGE), Err(FaultError::AccErr));
    process.space.mprotect(&mm, BASE, 4 * PAGE, Prot::READ | Prot::WRITE).unwrap();
    check(&mut process, BASE, 4, 5);
    process.exit();
}

#[test]
fn what_swap_has_no_room_for_stays_mapped() {
    let mm = machine();
    mm.swap_on(20).unwrap();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 4 * CONT_PTES);
        fill(&mut process, BASE, 4 * CONT_PTES, 0);
        page_out(&mut process, BASE, 4 * CONT_PTES);
        assert!(swapped(&process, BASE, 4 * CONT_PTES) <= 20);
        assert!(folded(&process, BASE, 4 * CONT_PTES) >= 2 * CONT_PTES);
        check(&mut process, BASE, 4 * CONT_PTES, 0);
        process.exit();
    });
}

#[test]
fn a_slot_with_as_many_references_as_it_can_have_makes_fork_fail_cleanly() {
    let mm = with_swap(machine());
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, 8);
        fill(&mut parent, BASE, 8, 0);
        page_out(&mut parent, BASE, 8);
        let last = slot(&parent, BASE + 7 * PAGE).unwrap();
        let more = u16::MAX - 1;
        (0..more).for_each(|_| mm.swap_duplicate(last).unwrap());
        assert_eq!(parent.fork().err(), Some(Errno::ENOMEM));
        assert_eq!(mm.swap_count(slot(&parent, BASE).unwrap()), 1);
        (0..more).for_each(|_| mm.swap_free(last));
        parent.fork().unwrap().exit();
        check(&mut parent, BASE, 8, 0);
        parent.exit();
    });
}

#[test]
fn a_process_larger_than_memory_runs_by_paging_itself_out() {
    let mm = with_swap(sized(1024));
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 1500);
        fill(&mut process, BASE, 1500, 0);
        check(&mut process, BASE, 1500, 0);
        assert!(mm.machine.counted(Event::PswpOut) > 500 && mm.machine.counted(Event::PswpIn) > 0);
        process.exit();
    });
}

#[test]
fn fork_makes_room_by_paging_out_and_without_swap_it_does_not() {
    let mm = sized(1024.max(16 * CONT_PTES));
    let mut parent = Process::new(&mm);
    parent.map_anon(BASE, 10 * CONT_PTES);
    fill(&mut parent, BASE, 10 * CONT_PTES, 1);
    let held = mm.hold_all();
    assert_eq!(parent.fork().err(), Some(Errno::ENOMEM));
    drop(held);
    mm.swap_on(SLOTS).unwrap();
    let held = mm.hold_all();
    let mut child = parent.fork().unwrap();
    assert!(swapped(&child, BASE, 10 * CONT_PTES) > 0);
    drop(held);
    check(&mut child, BASE, 10 * CONT_PTES, 1);
    check(&mut parent, BASE, 10 * CONT_PTES, 1);
    child.exit();
    parent.exit();
}

#[test]
fn contents_that_do_not_compress_free_nothing_and_are_not_lost() {
    let mm = with_swap(sized(1024));
    only_order(&mm, 0);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 64);
        (0..48).for_each(|page| fill_with_noise(&mut process, BASE + page * PAGE, page).unwrap());
        let held = mm.hold_all();
        // The store's reserve is soon used up.
        let more = (48..64).find(|page| fill_with_noise(&mut process, BASE + page * PAGE, *page).is_err());
        let written = more.expect("there is nothing left to store pages in");
        assert_eq!(process.write(BASE + written * PAGE, 1), Err(FaultError::Oom));
        drop(held);
        check(&mut process, BASE, written, 0);
        process.exit();
    });
}

#[test]
fn reclaim_spares_a_block_that_was_used_since_it_last_came_by() {
    let mm = with_swap(machine());
    leaks_nothing(&mm, || {
        only_order(&mm, CONT_PTES.ilog2() as u8);
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 2 * CONT_PTES);
        fill(&mut process, BASE, 2 * CONT_PTES, 0);
        let visit = |process: &mut Process<'_>| {
            process.enter();
            let end = VirtAddr::new((BASE + 2 * CONT_PTES * PAGE) as u64);
            process.space.pageout(process.mm, VirtAddr::new(BASE as u64), end, Which::Cold)
        };
        let young = |process: &Process<'_>| {
            (0..2 * CONT_PTES).filter(|page| process.pte(BASE + page * PAGE).is_young()).count()
        };
        // All of it was just written.
        assert_eq!(visit(&mut process), 0);
        assert_eq!((young(&process), folded(&process, BASE, 2 * CONT_PTES)), (0, 2 * CONT_PTES));
        // TLBs have forgotten it by the CPU's next barrier, so that the next use is noticed.
        mm.machine.barrier(Barrier::DsbIsh);
        process.read(BASE + (CONT_PTES + 3) * PAGE).unwrap();
        assert!(young(&process) > 0);
        assert_eq!(visit(&mut process), CONT_PTES);
        assert_eq!(swapped(&process, BASE, CONT_PTES), CONT_PTES);
        assert_eq!(folded(&process, BASE + CONT_PTES * PAGE, CONT_PTES), CONT_PTES);
        check(&mut process, BASE, 2 * CONT_PTES, 0);
        process.exit();
    });
}
