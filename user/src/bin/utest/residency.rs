//! Which memory is there and what is to stay: mlock and its kin, mincore, msync; and the memory of other processes.

use linux_raw_sys::general as linux;
use user::counters::field;
use user::rt::start::Args;
use user::smaps::areas;
use user::sys::memory::{self, DONTNEED, NONE, PRIVATE, READ, SHARED, Way, page_size};
use user::sys::process::signal::SIGSEGV;
use user::sys::{Errno, file, process, usage};

use crate::harness::{Outcome, Test, Trouble, killed_by};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("locked memory is there and stays", locked),
    ("mlock on fault makes nothing resident", locked_on_fault),
    ("mlockall reaches what is mapped later", all_locked),
    ("mlock, mincore and msync reject bad arguments", bad_arguments),
    ("mincore tells which pages are there", in_core),
    ("mprotect stops at a gap", protected_up_to_a_gap),
    ("madvise(REMOVE) takes pages from all who map them", removed),
    ("a mapping grows down", grows_down),
    ("the most memory that was there is remembered", peaks),
    ("the most memory that a child had is its parent's to know", childrens_peak),
    ("process_vm_readv and writev copy between processes", remote),
    ("process_vm_readv stops where nothing is mapped", remote_gaps),
];

const ONFAULT: u32 = linux::MLOCK_ONFAULT;
const REMOVE: u32 = linux::MADV_REMOVE;
static PATTERN: [u8; 8] = [0x55; 8];

/// KiB that `/proc/self/status` says are locked.
fn locked_kib() -> Result<u64, Trouble> {
    let mut text = [0; 4096];
    field(file::read_file(c"/proc/self/status", &mut text)?, "VmLck").ok_or(Trouble::Failed)
}

fn kib(pages: usize) -> u64 {
    (pages * page_size() / 1024) as u64
}

/// KiB of `pages` that smaps says are there.
fn resident_kib(pages: &Pages) -> Result<u64, Trouble> {
    let mut text = [0; 24 << 10];
    let text = file::read_file(c"/proc/self/smaps", &mut text)?;
    let (start, end) = (pages.base, pages.base + pages.count() * page_size());
    Ok(areas(text).filter(|area| start <= area.start && area.end <= end).map(|area| area.rss).sum())
}

fn locked(_: Args) -> Outcome {
    let pages = Pages::map(16 * page_size(), PRIVATE)?;
    check_eq!(locked_kib()?, 0);
    // An address in the middle of a page means the page.
    memory::lock(pages.base + 4 * page_size() + 1, 2 * page_size(), 0)?;
    check_eq!(locked_kib()?, kib(3));
    let mut there = [0; 16];
    memory::in_core(pages.base, &mut there)?;
    check!(there[4..7].iter().all(|there| there & 1 == 1));
    check_eq!(pages.forget(3, 2), Err(Errno::EINVAL));
    let child = process::spawn(|| i32::from(locked_kib().ok() != Some(0)))?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    memory::unlock(pages.base, 16 * page_size())?;
    check_eq!(locked_kib()?, 0);
    pages.forget(3, 2)?;
    Ok(())
}

fn locked_on_fault(_: Args) -> Outcome {
    let pages = Pages::map(16 * page_size(), PRIVATE)?;
    memory::lock(pages.base, 16 * page_size(), ONFAULT)?;
    check_eq!((locked_kib()?, resident_kib(&pages)?), (kib(16), 0));
    pages.set(3, 1);
    check!(resident_kib(&pages)? >= kib(1));
    // Locked once more, and wholly this time.
    memory::lock(pages.base, 16 * page_size(), 0)?;
    check_eq!(resident_kib(&pages)?, kib(16));
    Ok(())
}

fn all_locked(_: Args) -> Outcome {
    memory::lock_all(linux::MCL_FUTURE)?;
    let before = locked_kib()?;
    let pages = Pages::map(8 * page_size(), PRIVATE)?;
    check_eq!((locked_kib()? - before, resident_kib(&pages)?), (kib(8), kib(8)));
    memory::lock_all(linux::MCL_CURRENT | linux::MCL_ONFAULT)?;
    check!(locked_kib()? > kib(8));
    let more = Pages::map(8 * page_size(), PRIVATE)?;
    check_eq!(resident_kib(&more)?, 0);
    memory::lock_all(0)?;
    check_eq!(locked_kib()?, 0);
    for flags in [linux::MCL_ONFAULT, 8] {
        check_eq!(memory::lock_all(flags), Err(Errno::EINVAL));
    }
    Ok(())
}

fn bad_arguments(_: Args) -> Outcome {
    let pages = Pages::map(3 * page_size(), PRIVATE)?;
    pages.unmap(1, 1)?;
    let (base, page) = (pages.base, page_size());
    check_eq!(memory::lock(base, 3 * page, 0), Err(Errno::ENOMEM));
    check_eq!(locked_kib()?, kib(1));
    check_eq!(memory::unlock(base, 3 * page), Err(Errno::ENOMEM));
    check_eq!(locked_kib()?, 0);
    check_eq!(memory::lock(base, page, 2), Err(Errno::EINVAL));
    check_eq!(memory::lock(base, 0, 0), Ok(()));
    check_eq!(memory::lock(usize::MAX - 2 * page, page, 0), Err(Errno::ENOMEM));
    check_eq!(memory::lock(base, usize::MAX - 2 * page, 0), Err(Errno::EINVAL));
    check_eq!(memory::in_core(base, &mut [0; 3]), Err(Errno::ENOMEM));
    check_eq!(memory::in_core(base + 1, &mut [0]), Err(Errno::EINVAL));
    // SAFETY: the kernel refuses, or writes nothing.
    let to = |to: usize| unsafe { user::sys::raw(linux::__NR_mincore, [base, page, to]) };
    check_eq!(to(8), Err(Errno::EFAULT));
    check_eq!(to(usize::MAX), Err(Errno::EFAULT));
    let sync = |len, flags| memory::sync(base, len, flags);
    check_eq!(sync(page, linux::MS_SYNC), Ok(()));
    check_eq!(sync(3 * page, linux::MS_ASYNC), Err(Errno::ENOMEM));
    check_eq!(sync(page, linux::MS_SYNC | linux::MS_ASYNC), Err(Errno::EINVAL));
    check_eq!(sync(page, 8), Err(Errno::EINVAL));
    check_eq!(memory::sync(base + 1, page, linux::MS_SYNC), Err(Errno::EINVAL));
    check_eq!(sync(usize::MAX, linux::MS_SYNC), Ok(()));
    memory::lock(base, page, 0)?;
    check_eq!(sync(page, linux::MS_INVALIDATE), Err(Errno::EBUSY));
    Ok(())
}

fn in_core(_: Args) -> Outcome {
    let shared = Pages::map(600 * page_size(), SHARED)?;
    let mut there = [2; 600];
    shared.set(7, 1);
    shared.set(599, 1);
    memory::in_core(shared.base, &mut there)?;
    check!(there[7] & 1 == 1 && there[599] & 1 == 1 && there.iter().any(|there| there & 1 == 0));
    // What is not mapped any more is still in the object.
    shared.forget(0, 600)?;
    let before = there;
    memory::in_core(shared.base, &mut there)?;
    check!(there == before);
    let private = Pages::map(64 * page_size(), PRIVATE)?;
    private.set(0, 1);
    private.forget(0, 64)?;
    let mut there = [2; 64];
    memory::in_core(private.base, &mut there)?;
    check!(there.iter().all(|there| there & 1 == 0));
    Ok(())
}

fn protected_up_to_a_gap(_: Args) -> Outcome {
    let pages = Pages::map(4 * page_size(), PRIVATE)?;
    pages.fill(1);
    pages.unmap(2, 1)?;
    check_eq!(pages.protect(0, 4, READ), Err(Errno::ENOMEM));
    pages.set(3, 9);
    check_eq!(pages.get(1), 2);
    killed_by(SIGSEGV, || pages.set(1, 9))?;
    check_eq!(pages.protect(2, 2, NONE), Err(Errno::ENOMEM));
    check_eq!(pages.get(3), 9);
    Ok(())
}

fn removed(_: Args) -> Outcome {
    let shared = Pages::map(8 * page_size(), SHARED)?;
    shared.fill(1);
    let child = process::spawn(|| {
        // SAFETY: nothing borrows the memory.
        let outcome = unsafe { memory::advise(shared.base + 2 * page_size(), 3 * page_size(), REMOVE) };
        i32::from(outcome.is_err() || shared.get(2) != 0 || shared.get(5) != 6)
    })?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    check!((2..5).all(|page| shared.get(page) == 0));
    check_eq!((shared.get(1), shared.get(5)), (2, 6));
    let private = Pages::map(page_size(), PRIVATE)?;
    // SAFETY: refused.
    check_eq!(unsafe { memory::advise(private.base, page_size(), REMOVE) }, Err(Errno::EINVAL));
    // SAFETY: nothing borrows the memory.
    check_eq!(unsafe { memory::advise(private.base, page_size(), DONTNEED) }, Ok(()));
    Ok(())
}

fn grows_down(_: Args) -> Outcome {
    let room = Pages::map(4 << 20, PRIVATE)?;
    let at = room.base + (3 << 20);
    room.unmap(0, room.count())?;
    let flags = PRIVATE | memory::FIXED | linux::MAP_GROWSDOWN;
    // SAFETY: what was there has just been unmapped.
    check_eq!(unsafe { memory::map_at(at, page_size(), memory::READ_WRITE, flags, -1, 0) }, Ok(at));
    let below = (at - page_size()) as *mut u8;
    // SAFETY: the mapping grows to where it is accessed; if it did not, this process would end.
    unsafe { below.write_volatile(1) };
    Ok(())
}

/// KiB that `/proc/self/status` tells in a line.
fn status_kib(name: &str) -> Result<u64, Trouble> {
    let mut text = [0; 4096];
    field(file::read_file(c"/proc/self/status", &mut text)?, name).ok_or(Trouble::Failed)
}

/// Bytes of memory that is had for a while.
const MUCH: usize = 8 << 20;
/// The same in KiB.
const MUCH_KIB: u64 = MUCH as u64 / 1024;

/// Has [`MUCH`] memory for a while.
fn have_much() -> Outcome {
    let pages = Pages::map(MUCH, PRIVATE)?;
    pages.fill(1);
    Ok(pages.unmap(0, pages.count())?)
}

fn peaks(_: Args) -> Outcome {
    let (size, before) = (status_kib("VmSize")?, status_kib("VmRSS")?);
    have_much()?;
    check!(status_kib("VmRSS")? < before + MUCH_KIB / 2 && status_kib("VmSize")? < size + MUCH_KIB / 2);
    check!(status_kib("VmHWM")? >= before + MUCH_KIB && status_kib("VmPeak")? >= size + MUCH_KIB);
    check!(usage::used(usage::SELF)?.max_rss >= before + MUCH_KIB);
    file::write_file(c"/proc/self/clear_refs", b"5")?;
    check!(status_kib("VmHWM")? < before + MUCH_KIB / 2);
    check!(status_kib("VmPeak")? >= size + MUCH_KIB);
    Ok(())
}

fn childrens_peak(_: Args) -> Outcome {
    check_eq!(usage::used(usage::CHILDREN)?.max_rss, 0);
    let own = usage::used(usage::SELF)?.max_rss;
    let child = process::spawn(|| {
        // What its own child had counts as well.
        let grandchild = process::spawn(|| i32::from(have_much().is_err()));
        i32::from(grandchild.and_then(process::wait).ok().and_then(|status| status.exited()) != Some(0))
    })?;
    let (status, used) = usage::wait(child)?;
    check_eq!(status.exited(), Some(0));
    check!(used.max_rss >= MUCH_KIB);
    check_eq!(usage::used(usage::CHILDREN)?.max_rss, used.max_rss);
    check!(usage::used(usage::SELF)?.max_rss < own + MUCH_KIB / 2);
    Ok(())
}

/// A child that waits until it is told to end, and what tells it.
fn waiting() -> Result<(process::Pid, file::Fd), Trouble> {
    let pipe = file::pipe(0)?;
    let child = process::spawn(|| {
        let _ = file::close(pipe.write);
        i32::from(file::read(pipe.read, &mut [0]) != Ok(0))
    })?;
    file::close(pipe.read)?;
    Ok((child, pipe.write))
}

fn remote(_: Args) -> Outcome {
    let pages = Pages::map(8 * page_size(), PRIVATE)?;
    pages.fill(1);
    let (child, end) = waiting()?;
    // The parent's are others from here on.
    pages.fill(100);
    let (page, mut words) = (page_size(), [0u64; 3]);
    let at = |number: usize, bytes| [pages.base + number * page, bytes];
    let local = [[words.as_mut_ptr() as usize, 4], [words.as_mut_ptr() as usize + 4, 20]];
    // SAFETY: the words are not borrowed.
    let copied = unsafe { memory::remote(Way::Read, child, &local, &[at(2, 8), at(5, 8), at(0, 8)]) };
    check_eq!(copied, Ok(24));
    check_eq!(words, [3, 6, 1]);
    // Over the end of a page, which is another frame.
    let across = [pages.base + 3 * page - 4, 8];
    // SAFETY: the child does not run.
    let copied = unsafe { memory::remote(Way::Write, child, &[[PATTERN.as_ptr() as usize, 8]], &[across]) };
    check_eq!(copied, Ok(8));
    // SAFETY: as above.
    let copied = unsafe { memory::remote(Way::Read, child, &[[words.as_mut_ptr() as usize, 8]], &[across]) };
    check_eq!((copied, words[0]), (Ok(8), 0x5555_5555_5555_5555));
    check_eq!((pages.get(2), pages.get(3)), (102, 103));
    // Its own memory as well.
    let own = process::getpid();
    // SAFETY: as above.
    let copied = unsafe { memory::remote(Way::Read, own, &[[words.as_mut_ptr() as usize, 8]], &[at(4, 8)]) };
    check_eq!((copied, words[0]), (Ok(8), 104));
    file::close(end)?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    // SAFETY: as above.
    let copied =
        unsafe { memory::remote(Way::Read, child, &[[words.as_mut_ptr() as usize, 8]], &[at(4, 8)]) };
    check_eq!(copied, Err(Errno::ESRCH));
    Ok(())
}

fn remote_gaps(_: Args) -> Outcome {
    let pages = Pages::map(4 * page_size(), PRIVATE)?;
    let to = Pages::map(4 * page_size(), PRIVATE)?;
    pages.fill(1);
    pages.unmap(2, 1)?;
    pages.protect(1, 1, READ)?;
    let (page, own) = (page_size(), process::getpid());
    let all = [[pages.base, 4 * page]];
    // SAFETY: nothing borrows either.
    let copied = unsafe { memory::remote(Way::Read, own, &[[to.base, 4 * page]], &all) };
    check_eq!(copied, Ok(2 * page));
    check!(to.is_filled(1, 0..2));
    // SAFETY: as above.
    check_eq!(unsafe { memory::remote(Way::Write, own, &[[to.base, 4 * page]], &all) }, Ok(page));
    for there in [pages.base + 2 * page, 0, usize::MAX >> 1] {
        // SAFETY: as above.
        let copied = unsafe { memory::remote(Way::Read, own, &[[to.base, page]], &[[there, page]]) };
        check_eq!(copied, Err(Errno::EFAULT));
    }
    // SAFETY: as above.
    check_eq!(unsafe { memory::remote(Way::Read, own, &[], &all) }, Ok(0));
    // SAFETY: as above.
    let none = unsafe { memory::remote(Way::Read, i32::MAX, &[[to.base, page]], &all) };
    check_eq!(none, Err(Errno::ESRCH));
    Ok(())
}
