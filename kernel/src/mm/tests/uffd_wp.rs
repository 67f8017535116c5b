//! Write-protection for userfaultfd, through faults, forks, swap and protection changes.

use linux_raw_sys::general::MADV_PAGEOUT;
use paging::desc::Marker;
use paging::{CONT_PTES, Event, NonPresent};

use super::*;
use crate::errno::Errno;
use crate::mm::testing::{machine, sized};
use crate::mm::{Backing, FaultError, MapFlags, MapRequest, Prot, VmaFlags};

/// A process with `pages` pages at [`BASE`], filled by `value`, and registered.
fn registered(mm: &Mm<HostMachine>, pages: usize, value: u8, events: bool) -> Process<'_> {
    let mut process = Process::new(mm);
    process.map_anon(BASE, pages);
    fill(&mut process, BASE, pages, value);
    process.space.uffd_register_wp(mm, BASE, pages * PAGE, events).unwrap();
    process
}

fn protect(process: &mut Process<'_>, page: usize, pages: usize, on: bool) {
    process.enter();
    process.space.uffd_writeprotect(process.mm, BASE + page * PAGE, pages * PAGE, on).unwrap();
}

fn is_protected(process: &Process<'_>, page: usize) -> bool {
    let pte = process.pte(BASE + page * PAGE);
    pte.is_uffd_wp() || pte.non_present() == Some(NonPresent::Marker(Marker::UffdWp))
}

#[test]
fn a_write_to_a_protected_page_is_reported_and_changes_nothing() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = registered(&mm, 4 * CONT_PTES, 0, false);
        let flushes = || {
            [Event::TlbiVa, Event::TlbiRange, Event::TlbiAsid]
                .map(|e| mm.machine.counted(e))
                .iter()
                .sum::<u64>()
        };
        let before = flushes();
        protect(&mut process, 0, 4 * CONT_PTES, true);
        assert_eq!((flushes() - before, mm.machine.counted(Event::Unfold)), (1, 0));
        assert_eq!(folded(&process, BASE, 4 * CONT_PTES), 4 * CONT_PTES);
        for page in 0..4 * CONT_PTES {
            assert_eq!(process.write(BASE + page * PAGE, 99), Err(FaultError::UffdWp));
        }
        check(&mut process, BASE, 4 * CONT_PTES, 0);
        protect(&mut process, CONT_PTES, 2 * CONT_PTES, false);
        process.write(BASE + CONT_PTES * PAGE, 1).unwrap();
        assert_eq!(folded(&process, BASE, 4 * CONT_PTES), 4 * CONT_PTES);
        assert_eq!(process.write(BASE, 1), Err(FaultError::UffdWp));
        process.space.uffd_unregister_wp(&mm, BASE, 4 * CONT_PTES * PAGE).unwrap();
        fill(&mut process, BASE, 4 * CONT_PTES, 3);
        process.exit();
    });
}

#[test]
fn fork_drops_protection_unless_the_monitor_hears_of_it() {
    for events in [false, true] {
        let mm = machine();
        mm.swap_on(64).unwrap();
        leaks_nothing(&mm, || {
            let mut parent = registered(&mm, 2 * CONT_PTES, 0, events);
            parent.space.munmap(&mm, BASE + 12 * PAGE, PAGE).unwrap();
            parent.map_anon(BASE + 12 * PAGE, 1);
            parent.space.uffd_register_wp(&mm, BASE + 12 * PAGE, PAGE, events).unwrap();
            parent.space.madvise(&mm, BASE + 8 * PAGE, PAGE, MADV_PAGEOUT).unwrap();
            // A stretch of present pages, one in swap, one that is not there.
            for (page, pages) in [(3, 2), (8, 1), (12, 1)] {
                protect(&mut parent, page, pages, true);
            }
            let mut child = parent.fork().unwrap();
            for page in [3, 4, 8, 12] {
                assert!(is_protected(&parent, page), "page {page}");
                assert_eq!(is_protected(&child, page), events, "page {page}");
                let expected = if events { Err(FaultError::UffdWp) } else { Ok(()) };
                assert_eq!(child.write(BASE + page * PAGE, 99), expected, "page {page}");
                assert_eq!(parent.write(BASE + page * PAGE, 99), Err(FaultError::UffdWp), "page {page}");
            }
            assert_eq!(child.space.vmas().any(|vma| vma.flags.contains(VmaFlags::UFFD_WP)), events);
            child.write(BASE + 5 * PAGE, 7).unwrap();
            assert_eq!((parent.read(BASE + 5 * PAGE), parent.read(BASE + 8 * PAGE)), (Ok(5), Ok(8)));
            child.exit();
            parent.exit();
        });
    }
}

#[test]
fn a_protected_page_is_not_in_one_batch_with_its_neighbours() {
    let mm = machine();
    // 32 pages: a folio of that many is possible on every granule.
    only_order(&mm, 5);
    let mut parent = registered(&mm, 32, 0, false);
    protect(&mut parent, 20, 1, true);
    let batches = mm.machine.counted(Event::ForkBatches);
    let child = parent.fork().unwrap();
    // The protected page, what is before and behind it, and blocks that are still folded.
    let folded = if CONT_PTES < 32 { 1 } else { 0 };
    assert_eq!(mm.machine.counted(Event::ForkBatches) - batches, 3 + folded);
    child.exit();
    parent.exit();
}

#[test]
fn a_page_that_is_not_there_is_protected_by_a_marker() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 2 * CONT_PTES);
        process.space.uffd_register_wp(&mm, BASE, 2 * CONT_PTES * PAGE, false).unwrap();
        protect(&mut process, 3, 2, true);
        assert_eq!(process.write(BASE + 3 * PAGE, 1), Err(FaultError::UffdWp));
        // Folios are not laid over it.
        process.write(BASE, 1).unwrap();
        assert!(is_protected(&process, 3) && process.pte(BASE + 3 * PAGE).non_present().is_some());
        assert_eq!(process.read(BASE + 3 * PAGE), Ok(0));
        assert!(process.pte(BASE + 3 * PAGE).is_uffd_wp());
        assert_eq!(process.write(BASE + 3 * PAGE, 1), Err(FaultError::UffdWp));
        protect(&mut process, 0, 2 * CONT_PTES, false);
        for page in [3, 4] {
            process.write(BASE + page * PAGE, 5).unwrap();
            assert_eq!(process.read(BASE + page * PAGE), Ok(5));
        }
        process.exit();
    });
}

#[test]
fn protection_outlives_swap_and_changes_of_permission() {
    let mm = machine();
    mm.swap_on(64).unwrap();
    let mut process = registered(&mm, CONT_PTES, 0, false);
    protect(&mut process, 2, 3, true);
    let bytes = CONT_PTES * PAGE;
    process.space.madvise(&mm, BASE, bytes, MADV_PAGEOUT).unwrap();
    assert!(process.pte(BASE + 2 * PAGE).non_present().is_some());
    assert_eq!(process.read(BASE + 2 * PAGE), Ok(2));
    for prot in [Prot::empty(), Prot::READ, Prot::READ | Prot::WRITE] {
        process.space.mprotect(&mm, BASE, bytes, prot).unwrap();
    }
    for page in 2..5 {
        assert_eq!(process.write(BASE + page * PAGE, 9), Err(FaultError::UffdWp));
    }
    process.write(BASE + 5 * PAGE, 5).unwrap();
    check(&mut process, BASE, CONT_PTES, 0);
    process.exit();
}

#[test]
fn shared_memory_is_copied_by_fork_only_for_a_monitor_that_hears_of_it() {
    for events in [false, true] {
        let mm = machine();
        leaks_nothing(&mm, || {
            let mut parent = Process::new(&mm);
            let request = MapRequest {
                addr: BASE,
                len: CONT_PTES * PAGE,
                prot: Prot::READ | Prot::WRITE,
                flags: MapFlags::FIXED | MapFlags::SHARED,
                backing: Backing::Anon,
            };
            parent.space.mmap(&mm, request).unwrap();
            fill(&mut parent, BASE, CONT_PTES, 1);
            parent.space.uffd_register_wp(&mm, BASE, CONT_PTES * PAGE, events).unwrap();
            protect(&mut parent, 4, 1, true);
            let mut child = parent.fork().unwrap();
            assert_eq!(child.space.usage(&mm).rss_pages, if events { CONT_PTES } else { 0 });
            let expected = if events { Err(FaultError::UffdWp) } else { Ok(()) };
            assert_eq!(child.write(BASE + 4 * PAGE, 50), expected);
            // What is shared stays shared, and the child may write where the parent may.
            child.write(BASE + 5 * PAGE, 60).unwrap();
            assert_eq!(parent.read(BASE + 5 * PAGE), Ok(60));
            parent.space.mprotect(&mm, BASE, CONT_PTES * PAGE, Prot::READ).unwrap();
            parent.space.mprotect(&mm, BASE, CONT_PTES * PAGE, Prot::READ | Prot::WRITE).unwrap();
            assert_eq!(parent.write(BASE + 4 * PAGE, 9), Err(FaultError::UffdWp));
            parent.write(BASE + 6 * PAGE, 9).unwrap();
            assert_eq!(child.read(BASE + 6 * PAGE), Ok(9));
            child.exit();
            parent.exit();
        });
    }
}

#[test]
fn only_registered_ranges_are_protected_and_without_memory_nothing_is_lost() {
    let mm = sized(1024);
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 4);
    let protect = |process: &mut Process<'_>, addr| process.space.uffd_writeprotect(&mm, addr, PAGE, true);
    assert_eq!(protect(&mut process, BASE), Err(Errno::ENOENT));
    assert_eq!(protect(&mut process, BASE + 4 * PAGE), Err(Errno::ENOENT));
    assert_eq!(process.space.uffd_register_wp(&mm, BASE, 5 * PAGE, false), Err(Errno::EINVAL));
    process.space.uffd_register_wp(&mm, BASE, 4 * PAGE, false).unwrap();
    let held = mm.hold_all();
    assert_eq!(protect(&mut process, BASE), Err(Errno::ENOMEM));
    drop(held);
    process.write(BASE, 1).unwrap();
    assert_eq!(protect(&mut process, BASE), Ok(()));
    assert_eq!(process.write(BASE, 2), Err(FaultError::UffdWp));
    process.exit();
}
