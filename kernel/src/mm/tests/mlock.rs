//! Locked memory, which pages are there, and what a range that is not all mapped does.

use linux_raw_sys::general::*;
use paging::{PAGE_SIZE, VirtAddr};

use super::*;
use crate::errno::Errno;
use crate::mm::mlock::Lock;
use crate::mm::testing::machine;
use crate::mm::{Backing, MapFlags, MapRequest, Object, Prot, RemapFlags, RemapRequest};

fn va(addr: usize) -> VirtAddr {
    VirtAddr::new(addr as u64)
}

fn lock(process: &mut Process<'_>, addr: usize, pages: usize, how: Option<Lock>) -> crate::errno::Result<()> {
    process.enter();
    process.space.mlock(process.mm, va(addr), va(addr + pages * PAGE), how)
}

fn advise(process: &mut Process<'_>, addr: usize, pages: usize, advice: u32) -> crate::errno::Result<()> {
    process.enter();
    process.space.madvise(process.mm, addr, pages * PAGE, advice)
}

fn locked_pages(process: &Process<'_>) -> usize {
    (process.space.locked_bytes() / PAGE_SIZE) as usize
}

/// Which of `pages` pages from `addr` are there, as mincore tells.
fn there(process: &Process<'_>, addr: usize, pages: usize) -> std::vec::Vec<u8> {
    let mut out = std::vec![7; pages];
    let mut done = 0;
    while done < pages {
        done += process.space.mincore(process.mm, va(addr + done * PAGE), &mut out[done..]).unwrap();
    }
    out
}

fn shared(process: &mut Process<'_>, addr: usize, pages: usize, prot: Prot) {
    process.enter();
    let backing = Backing::Object { object: Object::shmem((pages * PAGE) as u64).unwrap(), page: 0 };
    let flags = MapFlags::FIXED | MapFlags::SHARED;
    let request = MapRequest { addr, len: pages * PAGE, prot, flags, backing };
    process.space.mmap(process.mm, request).unwrap();
}

#[test]
fn what_is_locked_is_there_and_refuses_to_go() {
    let mm = machine();
    leaks_nothing(&mm, || {
        mm.swap_on(4 * BLOCK).unwrap();
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 3 * BLOCK);
        lock(&mut process, BASE + PAGE, BLOCK, Some(Lock::Now)).unwrap();
        assert_eq!(locked_pages(&process), BLOCK);
        assert!(there(&process, BASE + PAGE, BLOCK).iter().all(|there| *there == 1));
        for advice in [MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_PAGEOUT] {
            assert_eq!(advise(&mut process, BASE + PAGE, 1, advice), Err(Errno::EINVAL), "{advice}");
        }
        // What comes before it is advised.
        process.write(BASE, 9).unwrap();
        assert_eq!(advise(&mut process, BASE, 2, MADV_DONTNEED), Err(Errno::EINVAL));
        assert_eq!(process.read(BASE), Ok(0));
        process.write(BASE + PAGE, 5).unwrap();
        assert_eq!(advise(&mut process, BASE + PAGE, 1, MADV_DONTNEED_LOCKED), Ok(()));
        assert_eq!(process.read(BASE + PAGE), Ok(0));
        process.enter();
        // Nothing but the lock keeps it: once it is gone, so are the pages.
        let swapped =
            |process: &Process<'_>| process.space.swapped_pages(&mm, va(BASE), va(BASE + 3 * BLOCK * PAGE));
        (0..BLOCK).for_each(|page| process.write(BASE + PAGE + page * PAGE, 1).unwrap());
        while process.space.reclaim(&mm, 1000) > 0 {}
        assert_eq!(swapped(&process), 0);
        lock(&mut process, BASE, 3 * BLOCK, None).unwrap();
        assert_eq!((locked_pages(&process), process.space.vmas().count()), (0, 1));
        while process.space.reclaim(&mm, 1000) > 0 {}
        assert!(swapped(&process) >= BLOCK - 1);
        process.exit();
        mm.swap_off().unwrap();
    });
}

#[test]
fn a_range_with_a_gap_is_locked_up_to_it() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 1);
    process.map_anon(BASE + 2 * PAGE, 1);
    assert_eq!(lock(&mut process, BASE, 3, Some(Lock::OnFault)), Err(Errno::ENOMEM));
    assert_eq!((locked_pages(&process), there(&process, BASE, 1)), (1, std::vec![0]));
    assert_eq!(lock(&mut process, BASE + PAGE, 2, Some(Lock::Now)), Err(Errno::ENOMEM));
    assert_eq!(locked_pages(&process), 1);
    // No access: it cannot be made resident, and is locked all the same.
    process.space.mprotect(&mm, BASE + 2 * PAGE, PAGE, Prot::empty()).unwrap();
    assert_eq!(lock(&mut process, BASE + 2 * PAGE, 1, Some(Lock::Now)), Err(Errno::ENOMEM));
    assert_eq!(locked_pages(&process), 2);
    let held = mm.hold_all();
    process.space.mprotect(&mm, BASE + 2 * PAGE, PAGE, Prot::READ | Prot::WRITE).unwrap();
    assert_eq!(lock(&mut process, BASE + 2 * PAGE, 1, Some(Lock::Now)), Err(Errno::EAGAIN));
    drop(held);
    process.exit();
}

#[test]
fn all_that_is_and_will_be_mapped_can_be_locked_and_a_child_has_nothing_locked() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 2);
    process.space.mlockall(&mm, Some(Lock::Now), Some(Lock::Now));
    assert_eq!((locked_pages(&process), there(&process, BASE, 2)), (2, std::vec![1, 1]));
    process.map_anon(BASE + 4 * PAGE, 1);
    assert_eq!((locked_pages(&process), there(&process, BASE + 4 * PAGE, 1)), (3, std::vec![1]));
    let mut child = process.fork().unwrap();
    assert_eq!(locked_pages(&child), 0);
    child.map_anon(BASE + 8 * PAGE, 1);
    assert_eq!((locked_pages(&child), there(&child, BASE + 8 * PAGE, 1)), (0, std::vec![0]));
    child.exit();
    // What grows is there from the start; what is left behind is not locked.
    let request =
        |flags, new_len, new_addr| RemapRequest { addr: BASE, old_len: 2 * PAGE, new_len, flags, new_addr };
    process.enter();
    process.space.mremap(&mm, request(RemapFlags::empty(), 3 * PAGE, 0)).unwrap();
    assert_eq!(there(&process, BASE, 3), [1, 1, 1]);
    let keep = RemapFlags::MAYMOVE | RemapFlags::DONTUNMAP;
    let there_now = process.space.mremap(&mm, request(keep, 2 * PAGE, BASE + 16 * PAGE)).unwrap();
    assert_eq!(there(&process, there_now, 2), [1, 1]);
    assert_eq!(there(&process, BASE, 2), [0, 0]);
    assert_eq!(locked_pages(&process), 2 + 1);
    process.space.mlockall(&mm, None, None);
    process.map_anon(BASE + 32 * PAGE, 1);
    assert_eq!((locked_pages(&process), there(&process, BASE + 32 * PAGE, 1)), (0, std::vec![0]));
    process.exit();
}

#[test]
fn pages_locked_as_they_are_touched_stay_even_if_they_were_given_up_before() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 2 * BLOCK);
    process.write(BASE, 3).unwrap();
    process.write(BASE + BLOCK * PAGE, 3).unwrap();
    advise(&mut process, BASE, 2 * BLOCK, MADV_FREE).unwrap();
    lock(&mut process, BASE, BLOCK, Some(Lock::OnFault)).unwrap();
    while process.space.reclaim(&mm, 1000) > 0 {}
    assert_eq!((process.read(BASE), process.read(BASE + BLOCK * PAGE)), (Ok(3), Ok(0)));
    process.exit();
}

#[test]
fn mincore_tells_of_mapped_shared_and_paged_out_pages() {
    let mm = machine();
    leaks_nothing(&mm, || {
        mm.swap_on(64).unwrap();
        let mut process = Process::new(&mm);
        only_order(&mm, 0);
        process.map_anon(BASE, 4);
        process.write(BASE + PAGE, 1).unwrap();
        process.read(BASE + 2 * PAGE).unwrap();
        assert_eq!(there(&process, BASE, 4), [0, 1, 1, 0]);
        process.space.madvise(&mm, BASE + PAGE, PAGE, MADV_PAGEOUT).unwrap();
        assert_eq!(there(&process, BASE, 4), [0, 0, 1, 0]);
        assert_eq!(process.space.mincore(&mm, va(BASE + 4 * PAGE), &mut [0]), Err(Errno::ENOMEM));
        mm.shmem_policy.set(BLOCK_ORDER, Setting::Never);
        let at = BASE + 16 * PAGE;
        shared(&mut process, at, 4, Prot::READ | Prot::WRITE);
        process.write(at + 2 * PAGE, 1).unwrap();
        process.space.madvise(&mm, at, 4 * PAGE, MADV_DONTNEED).unwrap();
        assert_eq!(there(&process, at, 4), [0, 0, 1, 0], "the object still has it");
        process.exit();
        mm.swap_off().unwrap();
    });
}

#[test]
fn msync_knows_gaps_and_locks() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 2);
    let msync = |process: &Process<'_>, pages: usize, invalidate| {
        process.space.msync(va(BASE), va(BASE + pages * PAGE), invalidate)
    };
    assert_eq!(msync(&process, 2, true), Ok(()));
    assert_eq!(msync(&process, 3, false), Err(Errno::ENOMEM));
    lock(&mut process, BASE + PAGE, 1, Some(Lock::OnFault)).unwrap();
    assert_eq!(msync(&process, 2, true), Err(Errno::EBUSY));
    assert_eq!(msync(&process, 2, false), Ok(()));
    process.exit();
}

#[test]
fn mprotect_changes_what_is_before_a_gap_or_a_mapping_that_refuses() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 2);
    process.map_anon(BASE + 3 * PAGE, 1);
    (0..2).for_each(|page| process.write(BASE + page * PAGE, 1).unwrap());
    process.write(BASE + 3 * PAGE, 1).unwrap();
    process.enter();
    assert_eq!(process.space.mprotect(&mm, BASE, 4 * PAGE, Prot::READ), Err(Errno::ENOMEM));
    assert!(process.write(BASE, 2).is_err() && process.write(BASE + PAGE, 2).is_err());
    assert_eq!(process.write(BASE + 3 * PAGE, 2), Ok(()), "behind the gap nothing changed");
    assert_eq!(process.space.mprotect(&mm, BASE + 2 * PAGE, 2 * PAGE, Prot::READ), Err(Errno::ENOMEM));
    assert_eq!(process.write(BASE + 3 * PAGE, 3), Ok(()));
    let rw = Prot::READ | Prot::WRITE;
    let backing = Backing::Object { object: Object::shmem(PAGE_SIZE).unwrap(), page: 0 };
    let flags = MapFlags::FIXED | MapFlags::SHARED | MapFlags::READ_ONLY;
    let request = MapRequest { addr: BASE + 2 * PAGE, len: PAGE, prot: Prot::READ, flags, backing };
    process.space.mmap(&mm, request).unwrap();
    assert_eq!(process.space.mprotect(&mm, BASE, 4 * PAGE, rw), Err(Errno::EACCES));
    assert_eq!(process.write(BASE + PAGE, 4), Ok(()));
    assert!(process.write(BASE + 2 * PAGE, 4).is_err());
    process.exit();
}

#[test]
fn memory_of_others_is_read_and_written_as_they_could() {
    let mm = machine();
    let mut parent = Process::new(&mm);
    parent.map_anon(BASE, 2 * BLOCK);
    parent.write(BASE + PAGE - 1, 1).unwrap();
    parent.write(BASE + PAGE, 2).unwrap();
    let mut child = parent.fork().unwrap();
    let mut bytes = [9; 4];
    // Up to the end of a page; then the next.
    assert_eq!(child.space.read_remote(&mm, BASE + PAGE - 2, &mut bytes), Ok(2));
    assert_eq!(bytes, [0, 1, 9, 9]);
    assert_eq!(child.space.write_remote(&mm, BASE + PAGE, &[7, 8]), Ok(2));
    assert_eq!((child.read(BASE + PAGE), child.read(BASE + PAGE + 1)), (Ok(7), Ok(8)));
    assert_eq!(parent.read(BASE + PAGE), Ok(2), "it was the child's own copy that was written");
    assert_eq!(child.space.read_remote(&mm, BASE + BLOCK * PAGE, &mut bytes[..1]), Ok(1));
    assert_eq!(bytes[0], 0, "untouched memory is zero");
    child.space.mprotect(&mm, BASE, PAGE, Prot::READ).unwrap();
    child.space.mprotect(&mm, BASE + PAGE, PAGE, Prot::empty()).unwrap();
    assert!(child.space.write_remote(&mm, BASE, &[1]).is_err());
    assert!(child.space.read_remote(&mm, BASE + PAGE, &mut bytes).is_err());
    assert!(child.space.read_remote(&mm, BASE - PAGE, &mut bytes).is_err());
    assert!(child.space.read_remote(&mm, usize::MAX, &mut bytes).is_err());
    child.exit();
    parent.exit();
}

#[test]
fn only_shared_writable_objects_can_lose_pages() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 1);
    shared(&mut process, BASE + PAGE, 2, Prot::READ);
    let removable = |process: &Process<'_>, addr, len| {
        let (bytes, object, first) = process.space.removable(addr, len)?;
        mm.object_put(object);
        Ok((bytes, first))
    };
    assert_eq!(removable(&process, BASE, PAGE), Err(Errno::EINVAL));
    assert_eq!(removable(&process, BASE + 2 * PAGE, 5 * PAGE), Ok((PAGE, PAGE_SIZE)));
    assert_eq!(removable(&process, BASE + 3 * PAGE, PAGE), Err(Errno::ENOMEM));
    lock(&mut process, BASE + PAGE, 1, Some(Lock::OnFault)).unwrap();
    assert_eq!(removable(&process, BASE + PAGE, PAGE), Err(Errno::EINVAL));
    process.exit();
}

#[test]
fn a_mapping_that_grows_down_does_so_where_it_is_accessed() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.enter();
    let request = MapRequest {
        addr: BASE,
        len: PAGE,
        prot: Prot::READ | Prot::WRITE,
        flags: MapFlags::FIXED | MapFlags::GROWS_DOWN,
        backing: Backing::Anon,
    };
    process.space.mmap(&mm, request).unwrap();
    assert_eq!(process.write(BASE - 3 * PAGE, 1), Ok(()));
    assert!(process.space.vmas().next().is_some_and(|vma| vma.start <= va(BASE - 3 * PAGE)));
    let far = BASE - crate::mm::stack::STACK_BYTES as usize - PAGE;
    assert!(process.write(far, 1).is_err());
    process.exit();
}
