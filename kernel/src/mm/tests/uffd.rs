//! Faults that a monitor resolves, and how it fills pages.

use linux_raw_sys::general::*;
use paging::VirtAddr;

use super::*;
use crate::errno::Errno;
use crate::mm::testing::machine;
use crate::mm::uffd_fill::Fill;
use crate::mm::{Backing, FaultError, MapFlags, MapRequest, Object, Prot, VmaFlags};
use crate::userfault::Monitor;
use crate::util::Ref;

pub(super) const MISSING: VmaFlags = VmaFlags::UFFD_MISSING;
pub(super) const MINOR: VmaFlags = VmaFlags::UFFD_MINOR;
pub(super) const WP: VmaFlags = VmaFlags::UFFD_WP;

pub(super) fn monitor() -> Ref<Monitor> {
    monitor_with(0)
}

pub(super) fn monitor_with(features: u64) -> Ref<Monitor> {
    let monitor = Ref::try_new(Monitor::new(false)).unwrap();
    monitor.agree(features).unwrap();
    monitor
}

pub(super) fn va(addr: usize) -> VirtAddr {
    VirtAddr::new(addr as u64)
}

pub(super) fn register(
    process: &mut Process<'_>,
    addr: usize,
    pages: usize,
    modes: VmaFlags,
    monitor: &Ref<Monitor>,
) -> crate::errno::Result<()> {
    process.enter();
    process.space.uffd_register(process.mm, (va(addr), va(addr + pages * PAGE)), modes, monitor)
}

pub(super) fn fill(
    process: &mut Process<'_>,
    addr: usize,
    what: Fill<'_>,
    protect: bool,
) -> crate::errno::Result<()> {
    process.enter();
    process.space.uffd_fill(process.mm, (va(addr), va(addr + PAGE)), what, protect)
}

pub(super) fn map_shared(process: &mut Process<'_>, addr: usize, object: &Ref<Object>, pages: usize) {
    process.enter();
    let backing = Backing::Object { object: object.clone(), page: 0 };
    let flags = MapFlags::FIXED | MapFlags::SHARED;
    let prot = Prot::READ | Prot::WRITE;
    process.space.mmap(process.mm, MapRequest { addr, len: pages * PAGE, prot, flags, backing }).unwrap();
}

#[test]
fn what_is_missing_is_the_monitor_s_and_filled_page_by_page() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let monitor = monitor();
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 3 * BLOCK);
        process.write(BASE, 1).unwrap();
        register(&mut process, BASE, 2 * BLOCK, MISSING, &monitor).unwrap();
        assert_eq!(process.read(BASE), Ok(1), "what is there is no fault");
        let at = BASE + BLOCK * PAGE;
        assert_eq!(process.read(at), Err(FaultError::UffdMissing));
        assert_eq!(process.write(at + PAGE, 1), Err(FaultError::UffdMissing));
        assert_eq!(process.write(at + BLOCK * PAGE, 1), Ok(()), "behind the range");
        let page = [7; PAGE];
        fill(&mut process, at, Fill::Bytes(&page), false).unwrap();
        assert_eq!((process.read(at), process.read(at + PAGE - 1)), (Ok(7), Ok(7)));
        assert_eq!(process.write(at, 8), Ok(()));
        assert_eq!(process.read(at + PAGE), Err(FaultError::UffdMissing), "nothing comes along");
        fill(&mut process, at + PAGE, Fill::Zeroes, false).unwrap();
        assert_eq!((process.read(at + PAGE), process.write(at + PAGE, 2)), (Ok(0), Ok(())));
        assert_eq!(process.read(at + PAGE), Ok(2));
        for what in [Fill::Zeroes, Fill::Bytes(&page), Fill::Poison] {
            assert_eq!(fill(&mut process, at, what, false), Err(Errno::EEXIST));
        }
        fill(&mut process, at + 2 * PAGE, Fill::Poison, false).unwrap();
        assert_eq!(process.read(at + 2 * PAGE), Err(FaultError::Poison));
        // Thrown away, it is missing again.
        process.space.madvise(&mm, at, PAGE, MADV_DONTNEED).unwrap();
        assert_eq!(process.read(at), Err(FaultError::UffdMissing));
        let usage = process.space.usage(&mm).rss_pages;
        assert_eq!(usage, 2 * BLOCK + 1);
        process.exit();
    });
}

#[test]
fn pages_can_be_filled_write_protected() {
    let mm = machine();
    let monitor = monitor();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 4);
    register(&mut process, BASE, 4, MISSING, &monitor).unwrap();
    let page = [3; PAGE];
    let protected = |process: &mut Process<'_>| fill(process, BASE, Fill::Bytes(&page), true);
    assert_eq!(protected(&mut process), Err(Errno::EINVAL), "not registered for that");
    register(&mut process, BASE, 4, MISSING | WP, &monitor).unwrap();
    protected(&mut process).unwrap();
    assert_eq!((process.read(BASE), process.write(BASE, 1)), (Ok(3), Err(FaultError::UffdWp)));
    process.space.uffd_writeprotect(&mm, BASE, PAGE, false).unwrap();
    assert_eq!(process.write(BASE, 1), Ok(()));
    process.exit();
}

#[test]
fn minor_faults_are_those_on_pages_that_shared_memory_has() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let monitor = monitor();
        let object = Object::shmem((2 * BLOCK * PAGE) as u64).unwrap();
        let mut process = Process::new(&mm);
        map_shared(&mut process, BASE, &object, 2 * BLOCK);
        let other = BASE + 4 * BLOCK * PAGE;
        map_shared(&mut process, other, &object, 2 * BLOCK);
        register(&mut process, BASE, 2 * BLOCK, MINOR, &monitor).unwrap();
        // Nobody has it yet: a fault like any other, but for one page only. The other mapping makes a block.
        process.write(other, 5).unwrap();
        assert_eq!(process.read(BASE), Err(FaultError::UffdMinor));
        fill(&mut process, BASE, Fill::Present, false).unwrap();
        assert_eq!((process.read(BASE), process.write(BASE, 6), process.read(other)), (Ok(5), Ok(()), Ok(6)));
        assert_eq!(process.read(BASE + PAGE), Err(FaultError::UffdMinor), "nothing comes along");
        assert_eq!(fill(&mut process, BASE, Fill::Present, false), Err(Errno::EEXIST));
        let absent = BASE + BLOCK * PAGE;
        assert_eq!(fill(&mut process, absent, Fill::Present, false), Err(Errno::EFAULT));
        process.space.uffd_unregister(&mm, (va(BASE), va(BASE + 2 * BLOCK * PAGE))).unwrap();
        assert_eq!(process.read(BASE + PAGE), Ok(0));
        process.exit();
        mm.object_put(object);
    });
}

#[test]
fn missing_pages_of_shared_memory_are_filled_for_all() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let monitor = monitor();
        let object = Object::shmem((2 * BLOCK * PAGE) as u64).unwrap();
        let mut process = Process::new(&mm);
        map_shared(&mut process, BASE, &object, 2 * BLOCK);
        register(&mut process, BASE, 2 * BLOCK, MISSING, &monitor).unwrap();
        assert_eq!(process.write(BASE + PAGE, 1), Err(FaultError::UffdMissing));
        let page = [9; PAGE];
        fill(&mut process, BASE + PAGE, Fill::Bytes(&page), false).unwrap();
        assert_eq!(process.read(BASE + PAGE), Ok(9));
        assert_eq!(process.read(BASE), Err(FaultError::UffdMissing), "a page, not a folio");
        let mut bytes = [0; 2];
        mm.object_read(&object, PAGE as u64, &mut bytes);
        assert_eq!(bytes, [9, 9]);
        process.exit();
        mm.object_put(object);
    });
}

#[test]
fn registration_is_checked_as_by_linux() {
    let mm = machine();
    let (first, second) = (monitor(), monitor());
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 2);
    process.map_anon(BASE + 8 * PAGE, 2);
    assert_eq!(register(&mut process, BASE, 2, MINOR, &first), Err(Errno::EINVAL), "anonymous memory");
    assert_eq!(register(&mut process, BASE + 4 * PAGE, 1, MISSING, &first), Err(Errno::EINVAL), "a gap");
    assert_eq!(register(&mut process, BASE + 64 * PAGE, 1, MISSING, &first), Err(Errno::EINVAL));
    register(&mut process, BASE, 1, MISSING, &first).unwrap();
    assert_eq!(register(&mut process, BASE, 2, MISSING, &second), Err(Errno::EBUSY));
    register(&mut process, BASE + PAGE, 1, MISSING, &second).unwrap();
    assert_eq!(process.space.vmas().count(), 3, "each has its own");
    assert_eq!(fill(&mut process, BASE + 8 * PAGE, Fill::Zeroes, false), Err(Errno::ENOENT));
    let told = process.space.monitor_at(&mm, va(BASE + PAGE)).unwrap();
    assert!(Ref::ptr_eq(&told, &second));
    process.exit();
}

#[test]
fn a_closed_monitor_is_forgotten_with_all_it_watched() {
    let mm = machine();
    let (closed, other) = (monitor(), monitor());
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 4);
    process.write(BASE, 1).unwrap();
    register(&mut process, BASE, 2, MISSING | WP, &closed).unwrap();
    register(&mut process, BASE + 2 * PAGE, 2, MISSING, &other).unwrap();
    process.space.uffd_writeprotect(&mm, BASE, PAGE, true).unwrap();
    assert_eq!(process.write(BASE, 2), Err(FaultError::UffdWp));
    closed.close();
    assert!(process.space.monitor_at(&mm, va(BASE)).is_none());
    assert_eq!(process.write(BASE, 2), Ok(()));
    assert_eq!(process.write(BASE + PAGE, 2), Ok(()));
    assert_eq!(process.write(BASE + 2 * PAGE, 2), Err(FaultError::UffdMissing));
    process.exit();
}

#[test]
fn a_child_and_a_moved_mapping_are_not_registered() {
    let mm = machine();
    let monitor = monitor();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 2);
    register(&mut process, BASE, 2, MISSING, &monitor).unwrap();
    let mut child = process.fork().unwrap();
    assert_eq!(child.write(BASE, 1), Ok(()));
    child.exit();
    assert_eq!(process.write(BASE, 1), Err(FaultError::UffdMissing));
    assert_eq!(process.space.madvise(&mm, BASE, 2 * PAGE, MADV_COLLAPSE), Err(Errno::EINVAL));
    let request = crate::mm::RemapRequest {
        addr: BASE,
        old_len: 2 * PAGE,
        new_len: 2 * PAGE,
        flags: crate::mm::RemapFlags::MAYMOVE | crate::mm::RemapFlags::FIXED,
        new_addr: BASE + 64 * PAGE,
    };
    process.enter();
    let to = process.space.mremap(&mm, request).unwrap();
    assert_eq!(process.write(to, 1), Ok(()));
    process.exit();
}
