//! What becomes of a registered range, and of those who wait in it.

use linux_raw_sys::general::*;
use paging::NonPresent;
use paging::desc::Marker;

use super::uffd::{MINOR, MISSING, WP, fill, map_shared, monitor, monitor_with, register, va};
use super::*;
use crate::errno::Errno;
use crate::mm::object_io::WriteAt;
use crate::mm::testing::{machine, sized};
use crate::mm::uffd_fill::Fill;
use crate::mm::{
    Backing, FaultError, MapFlags, MapRequest, Object, Prot, RemapFlags, RemapRequest, VmaFlags,
};
use crate::userfault::{Fault, Missed, feature};

fn fault(addr: usize) -> Fault {
    Fault { addr: addr as u64, why: Missed::Missing, write: false, thread: 1 }
}

#[test]
fn whoever_waits_in_a_range_that_goes_looks_again() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let monitor = monitor();
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 8);
        register(&mut process, BASE, 8, MISSING, &monitor).unwrap();
        let tickets: Vec<u64> =
            (0..4).map(|page| monitor.enter(fault(BASE + 2 * page * PAGE)).unwrap()).collect();
        let waiting = || tickets.iter().map(|ticket| monitor.is_waiting(*ticket)).collect::<Vec<_>>();
        process.enter();
        process.space.munmap(&mm, BASE, PAGE).unwrap();
        assert_eq!(waiting(), [false, true, true, true]);
        process.space.uffd_unregister(&mm, (va(BASE + 2 * PAGE), va(BASE + 4 * PAGE))).unwrap();
        assert_eq!(waiting(), [false, false, true, true]);
        let request = RemapRequest {
            addr: BASE + 4 * PAGE,
            old_len: 2 * PAGE,
            new_len: 2 * PAGE,
            flags: RemapFlags::MAYMOVE | RemapFlags::FIXED,
            new_addr: BASE + 64 * PAGE,
        };
        process.space.mremap(&mm, request).unwrap();
        assert_eq!(waiting(), [false, false, false, true]);
        // Another mapping in its place.
        process.map_anon(BASE + 6 * PAGE, 2);
        assert_eq!(waiting(), [false; 4]);
        assert_eq!(process.write(BASE + 6 * PAGE, 1), Ok(()));
        process.exit();
    });
}

#[test]
fn there_are_only_so_many_monitors_and_those_of_nothing_make_room() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 16);
    let monitors: Vec<_> = (0..16).map(|_| monitor()).collect();
    for (page, monitor) in monitors.iter().enumerate().take(15) {
        register(&mut process, BASE + page * PAGE, 1, MISSING, monitor).unwrap();
    }
    let last = |process: &mut Process<'_>| register(process, BASE + 15 * PAGE, 1, MISSING, &monitors[15]);
    assert_eq!(last(&mut process), Err(Errno::ENOMEM));
    process.space.munmap(&mm, BASE + 3 * PAGE, PAGE).unwrap();
    last(&mut process).unwrap();
    for page in [0, 14, 15] {
        let told = process.space.monitor_at(&mm, va(BASE + page * PAGE)).unwrap();
        assert!(crate::util::Ref::ptr_eq(&told, &monitors[page]));
    }
    process.exit();
}

#[test]
fn registered_for_less_a_range_loses_its_protection() {
    let mm = machine();
    let monitor = monitor();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 4);
    process.write(BASE, 1).unwrap();
    register(&mut process, BASE, 4, WP, &monitor).unwrap();
    process.space.uffd_writeprotect(&mm, BASE, 4 * PAGE, true).unwrap();
    register(&mut process, BASE, 4, MISSING, &monitor).unwrap();
    assert_eq!(process.write(BASE, 2), Ok(()));
    assert_eq!(process.space.uffd_writeprotect(&mm, BASE, PAGE, true), Err(Errno::ENOENT));
    process.exit();
}

#[test]
fn absent_anonymous_pages_are_protected_for_those_who_ask_and_missing_first() {
    let mm = machine();
    for features in [0, feature::WP_UNPOPULATED] {
        let monitor = monitor_with(features);
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 4);
        register(&mut process, BASE, 4, MISSING | WP, &monitor).unwrap();
        process.space.uffd_writeprotect(&mm, BASE, 2 * PAGE, true).unwrap();
        let marker = Some(NonPresent::Marker(Marker::UffdWp));
        assert_eq!(process.pte(BASE).non_present() == marker, features != 0);
        assert_eq!(process.read(BASE), Err(FaultError::UffdMissing));
        assert_eq!(process.write(BASE, 1), Err(FaultError::UffdMissing));
        let taken = if features == 0 { Ok(()) } else { Err(Errno::EEXIST) };
        assert_eq!(fill(&mut process, BASE, Fill::Zeroes, false), taken);
        let page = [4; PAGE];
        assert_eq!(fill(&mut process, BASE + PAGE, Fill::Bytes(&page), true), Ok(()));
        assert_eq!(process.read(BASE + PAGE), Ok(4));
        assert_eq!(process.write(BASE + PAGE, 1), Err(FaultError::UffdWp));
        process.exit();
    }
}

#[test]
fn writeprotect_skips_gaps_and_refuses_what_is_not_registered() {
    let mm = machine();
    let monitor = monitor_with(feature::WP_UNPOPULATED);
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 1);
    process.map_anon(BASE + 3 * PAGE, 1);
    register(&mut process, BASE, 4, WP, &monitor).unwrap();
    process.space.uffd_writeprotect(&mm, BASE, 4 * PAGE, true).unwrap();
    process.map_anon(BASE + PAGE, 1);
    assert!(process.pte(BASE + PAGE).is_none(), "nothing was left in the gap");
    assert_eq!(process.write(BASE + PAGE, 1), Ok(()));
    assert_eq!(process.write(BASE + 3 * PAGE, 1), Err(FaultError::UffdWp));
    let protect = |process: &mut Process<'_>, page: usize, pages: usize| {
        process.space.uffd_writeprotect(&mm, BASE + page * PAGE, pages * PAGE, true)
    };
    assert_eq!(protect(&mut process, 0, 2), Err(Errno::ENOENT));
    assert_eq!(protect(&mut process, 2, 1), Err(Errno::ENOENT));
    process.exit();
}

#[test]
fn what_is_filled_permits_what_its_mapping_permits() {
    let mm = machine();
    let monitor = monitor();
    let object = Object::shmem(4 * PAGE as u64).unwrap();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 4);
    let shared = BASE + 64 * PAGE;
    map_shared(&mut process, shared, &object, 4);
    let page = [8; PAGE];
    for at in [BASE, shared] {
        register(&mut process, at, 4, MISSING, &monitor).unwrap();
        let protect =
            |process: &mut Process<'_>, prot| process.space.mprotect(&mm, at, 4 * PAGE, prot).unwrap();
        protect(&mut process, Prot::empty());
        fill(&mut process, at, Fill::Bytes(&page), false).unwrap();
        fill(&mut process, at + PAGE, Fill::Zeroes, false).unwrap();
        assert!(!process.pte(at).is_valid() && !process.pte(at + PAGE).is_valid());
        assert_eq!(process.read(at), Err(FaultError::AccErr));
        protect(&mut process, Prot::READ);
        fill(&mut process, at + 2 * PAGE, Fill::Bytes(&page), false).unwrap();
        assert_eq!((process.read(at), process.read(at + PAGE)), (Ok(8), Ok(0)));
        assert_eq!(process.write(at + 2 * PAGE, 1), Err(FaultError::AccErr));
        protect(&mut process, Prot::READ | Prot::WRITE);
        for page in 0..3 {
            assert_eq!(process.write(at + page * PAGE, 1), Ok(()));
        }
    }
    process.exit();
    mm.object_put(object);
}

#[test]
fn a_private_mapping_of_a_file_is_filled_with_pages_of_its_own() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let monitor = monitor();
        let object = Object::shmem(4 * PAGE as u64).unwrap();
        let mut process = Process::new(&mm);
        process.enter();
        let backing = Backing::Object { object: object.clone(), page: 0 };
        let (flags, prot) = (MapFlags::FIXED, Prot::READ | Prot::WRITE);
        let request = MapRequest { addr: BASE, len: 4 * PAGE, prot, flags, backing };
        process.space.mmap(&mm, request).unwrap();
        register(&mut process, BASE, 4, MISSING | MINOR, &monitor).unwrap();
        assert_eq!(process.write(BASE, 1), Err(FaultError::UffdMissing));
        let page = [6; PAGE];
        fill(&mut process, BASE, Fill::Bytes(&page), false).unwrap();
        assert_eq!((process.write(BASE, 7), process.read(BASE), object.present()), (Ok(()), Ok(7), 0));
        // It has the next page, which a child of fork sees as a page of the file.
        mm.object_write(&object, WriteAt::Offset(PAGE as u64), &[5; PAGE], 0).unwrap();
        assert_eq!(process.read(BASE + PAGE), Err(FaultError::UffdMinor));
        fill(&mut process, BASE + PAGE, Fill::Present, false).unwrap();
        assert_eq!((process.write(BASE + PAGE, 4), process.read(BASE + PAGE)), (Ok(()), Ok(4)));
        let mut byte = [0; 1];
        mm.object_read(&object, PAGE as u64, &mut byte);
        assert_eq!(byte, [5], "written to a copy");
        process.exit();
        mm.object_put(object);
    });
}

#[test]
fn shared_memory_has_its_pages_filled_once_and_not_behind_its_end() {
    let mm = machine();
    let monitor = monitor();
    let object = Object::shmem(2 * PAGE as u64).unwrap();
    let mut process = Process::new(&mm);
    map_shared(&mut process, BASE, &object, 4);
    register(&mut process, BASE, 4, MISSING, &monitor).unwrap();
    let page = [1; PAGE];
    fill(&mut process, BASE, Fill::Bytes(&page), false).unwrap();
    process.space.madvise(&mm, BASE, PAGE, MADV_DONTNEED).unwrap();
    assert_eq!(fill(&mut process, BASE, Fill::Bytes(&page), false), Err(Errno::EEXIST), "the object has it");
    assert_eq!(process.read(BASE), Ok(1));
    assert_eq!(fill(&mut process, BASE + 3 * PAGE, Fill::Bytes(&page), false), Err(Errno::EFAULT));
    assert_eq!(process.read(BASE + 3 * PAGE), Err(FaultError::Bus));
    process.exit();
    mm.object_put(object);
}

#[test]
fn a_file_s_page_stays_protected_though_it_is_not_mapped() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let monitor = monitor();
        let object = Object::shmem((2 * BLOCK * PAGE) as u64).unwrap();
        let mut process = Process::new(&mm);
        map_shared(&mut process, BASE, &object, 2 * BLOCK);
        super::fill(&mut process, BASE, 2 * BLOCK, 0);
        process.map_anon(BASE + 2 * BLOCK * PAGE, 2);
        super::fill(&mut process, BASE + 2 * BLOCK * PAGE, 2, 1);
        register(&mut process, BASE, 2 * BLOCK + 2, WP, &monitor).unwrap();
        let protect = |process: &mut Process<'_>, page: usize, pages: usize| {
            process.space.uffd_writeprotect(&mm, BASE + page * PAGE, pages * PAGE, true).unwrap();
        };
        protect(&mut process, 1, 2);
        protect(&mut process, BLOCK, BLOCK);
        protect(&mut process, 2 * BLOCK, 1);
        process.space.madvise(&mm, BASE, (2 * BLOCK + 2) * PAGE, MADV_DONTNEED).unwrap();
        let marked = (0..2 * BLOCK + 2).filter(|page| !process.pte(BASE + page * PAGE).is_none()).count();
        assert_eq!(marked, BLOCK + 2);
        for page in 0..2 * BLOCK {
            let protected = page == 1 || page == 2 || page >= BLOCK;
            let (at, expected) =
                (BASE + page * PAGE, if protected { Err(FaultError::UffdWp) } else { Ok(()) });
            assert_eq!(process.write(at, page as u8), expected);
            assert_eq!(process.read(at), Ok(page as u8));
        }
        // Anonymous memory is gone, and what protected it.
        assert_eq!(process.write(BASE + 2 * BLOCK * PAGE, 1), Ok(()));
        process.space.uffd_unregister(&mm, (va(BASE), va(BASE + (2 * BLOCK + 2) * PAGE))).unwrap();
        super::fill(&mut process, BASE, 2 * BLOCK + 2, 3);
        process.exit();
        mm.object_put(object);
    });
}

#[test]
fn poison_goes_along_with_fork_and_registration_does_not() {
    let mm = machine();
    let monitor = monitor();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 4);
    register(&mut process, BASE, 4, MISSING | WP, &monitor).unwrap();
    fill(&mut process, BASE, Fill::Poison, false).unwrap();
    let mut child = process.fork().unwrap();
    assert_eq!((process.read(BASE), child.read(BASE)), (Err(FaultError::Poison), Err(FaultError::Poison)));
    assert!(!child.space.is_registered(va(BASE)));
    assert!(child.space.vmas().all(|vma| !vma.flags.intersects(MISSING | WP | VmaFlags::UFFD_MONITOR)));
    assert_eq!(child.write(BASE + PAGE, 1), Ok(()));
    assert_eq!(process.write(BASE + PAGE, 1), Err(FaultError::UffdMissing));
    child.exit();
    process.exit();
}

#[test]
fn a_page_that_cannot_be_had_is_not_filled_and_nothing_is_lost() {
    let mm = sized(1024);
    let monitor = monitor();
    let object = Object::shmem(4 * PAGE as u64).unwrap();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 4);
    // In another table than the anonymous memory, or the same: as the granule has it.
    let shared = BASE + (1 << 30);
    map_shared(&mut process, shared, &object, 4);
    register(&mut process, BASE, 4, MISSING, &monitor).unwrap();
    register(&mut process, shared, 4, MISSING, &monitor).unwrap();
    let page = [1; PAGE];
    let (mut held, mut failed) = (mm.hold_all(), 0);
    for at in [BASE, shared] {
        while let Err(error) = fill(&mut process, at, Fill::Bytes(&page), false) {
            assert_eq!(error, Errno::ENOMEM);
            assert!(process.read(at).is_err());
            failed += 1;
            assert!(held.release(1));
        }
        assert_eq!(process.read(at), Ok(1));
    }
    drop(held);
    assert!(failed >= 3, "two pages and a table at least: failed {failed} times");
    process.exit();
    mm.object_put(object);
}
