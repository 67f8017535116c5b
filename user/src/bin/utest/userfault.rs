//! userfaultfd: a child process resolves the faults of its parent.

use linux_raw_sys::general as linux;
use user::rt::start::Args;
use user::sys::memory::{DONTNEED, PRIVATE, SHARED, page_size};
use user::sys::userfault::{self, FLAG_MINOR, FLAG_WP, FLAG_WRITE, MINOR, MISSING, SHMEM, WP};
use user::sys::{Errno, file, memory, process};

use crate::harness::{Outcome, Test, Trouble, as_status};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("userfaultfd agrees on features once", features),
    ("userfaultfd registers what can be", registration),
    ("a missing page is filled by another process", missing),
    ("a system call waits for a missing page", missing_in_a_call),
    ("a write to a protected page waits", protected),
    ("shared memory has minor faults", minor),
    ("a closed userfaultfd lets everybody go on", closed),
    ("userfaultfd is polled and read without waiting", polled),
];

const NONBLOCK: u32 = linux::O_NONBLOCK;

/// A descriptor, or a reason to skip: Linux may not permit it.
pub fn make(flags: u32, features: u64) -> Result<file::Fd, Trouble> {
    match userfault::make(flags, features) {
        Err(Errno::EPERM | Errno::ENOSYS) => Err(Trouble::Skip("this kernel does not permit it")),
        other => Ok(other?),
    }
}

/// Runs `resolve` in a child, beside `body`; both are to end well.
fn beside(resolve: impl FnOnce() -> Outcome, body: impl FnOnce() -> Outcome) -> Outcome {
    let child = process::spawn(|| as_status(resolve()))?;
    body()?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}

fn features(_: Args) -> Outcome {
    let fd = make(0, 0)?;
    check_eq!(userfault::agree(fd, 0), Err(Errno::EINVAL));
    check_eq!(userfault::make(1 << 5, 0), Err(Errno::EINVAL));
    check_eq!(userfault::make(0, 1 << 63), Err(Errno::EINVAL));
    Ok(())
}

fn registration(_: Args) -> Outcome {
    let (fd, other) = (make(0, 0)?, make(0, 0)?);
    let pages = Pages::map(4 * page_size(), PRIVATE)?;
    let (base, page) = (pages.base, page_size());
    check_eq!(userfault::register(fd, base + 1, page, MISSING), Err(Errno::EINVAL));
    check_eq!(userfault::register(fd, base, 0, MISSING), Err(Errno::EINVAL));
    check_eq!(userfault::register(fd, base, page, 0), Err(Errno::EINVAL));
    check_eq!(userfault::register(fd, base, page, MINOR), Err(Errno::EINVAL));
    let ioctls = userfault::register(fd, base, 2 * page, MISSING)?;
    check!(ioctls & (1 << 3) != 0 && ioctls & (1 << 6) == 0);
    check_eq!(userfault::register(other, base, page, MISSING), Err(Errno::EBUSY));
    check_eq!(userfault::copy(other, base, &[0; 1], 0), Err(Errno::EINVAL));
    check_eq!(userfault::zero(fd, base + 2 * page, page), Err(Errno::ENOENT));
    check_eq!(userfault::zero(fd, base + page, 2 * page), Err(Errno::ENOENT));
    userfault::zero(fd, base, page)?;
    check_eq!(userfault::zero(fd, base, page), Err(Errno::EEXIST));
    check_eq!(pages.get(0), 0);
    userfault::unregister(fd, base, 4 * page)?;
    pages.set(1, 1);
    Ok(())
}

fn missing(_: Args) -> Outcome {
    let fd = make(0, 0)?;
    let pages = Pages::map(4 * page_size(), PRIVATE)?;
    let source = Pages::map(2 * page_size(), PRIVATE)?;
    source.fill(40);
    userfault::register(fd, pages.base, 4 * page_size(), MISSING)?;
    let bytes = |page: usize, count: usize| {
        // SAFETY: mapped for good, and written by nobody meanwhile.
        unsafe {
            core::slice::from_raw_parts((source.base + page * page_size()) as *const u8, count * page_size())
        }
    };
    let resolve = || {
        let fault = userfault::read(fd)?;
        check_eq!((fault.addr, fault.flags), (pages.base + page_size(), 0));
        check_eq!(userfault::copy(fd, fault.addr, bytes(0, 1), 0)?, page_size() as u64);
        let fault = userfault::read(fd)?;
        check_eq!((fault.addr, fault.flags), (pages.base + 2 * page_size(), FLAG_WRITE));
        check_eq!(userfault::copy(fd, fault.addr, bytes(0, 2), 0)?, 2 * page_size() as u64);
        Ok(())
    };
    beside(resolve, || {
        check_eq!(pages.get(1), 40);
        pages.set(2, 5);
        check_eq!((pages.get(2), pages.get(3)), (5, 41));
        Ok(())
    })?;
    // Two pages, of which the second is there.
    // SAFETY: nothing borrows the memory.
    unsafe { memory::advise(pages.base + 2 * page_size(), page_size(), DONTNEED) }?;
    check_eq!(userfault::copy(fd, pages.base + 2 * page_size(), bytes(0, 2), 0), Err(Errno::EAGAIN));
    check_eq!((pages.get(2), pages.get(3)), (40, 41));
    check_eq!(userfault::copy(fd, pages.base + 2 * page_size(), bytes(0, 1), 0), Err(Errno::EEXIST));
    Ok(())
}

fn missing_in_a_call(_: Args) -> Outcome {
    let fd = make(0, 0)?;
    let pages = Pages::map(2 * page_size(), PRIVATE)?;
    userfault::register(fd, pages.base, 2 * page_size(), MISSING)?;
    let pipe = file::pipe(0)?;
    file::write_all(pipe.write, b"abc")?;
    let resolve = || {
        let fault = userfault::read(fd)?;
        check_eq!(fault.addr, pages.base);
        userfault::zero(fd, fault.addr, page_size())?;
        Ok(())
    };
    beside(resolve, || {
        // SAFETY: mapped, and borrowed by nobody else.
        let buffer = unsafe { core::slice::from_raw_parts_mut(pages.base as *mut u8, 8) };
        check_eq!(file::read(pipe.read, buffer), Ok(3));
        check_eq!(buffer[..4], *b"abc\0");
        Ok(())
    })
}

fn protected(_: Args) -> Outcome {
    let fd = make(0, 1)?;
    let pages = Pages::map(4 * page_size(), PRIVATE)?;
    pages.fill(1);
    userfault::register(fd, pages.base, 4 * page_size(), WP)?;
    userfault::protect(fd, pages.base, 2 * page_size(), true)?;
    pages.set(2, 9);
    check_eq!(pages.get(1), 2);
    let resolve = || {
        let fault = userfault::read(fd)?;
        check_eq!((fault.addr, fault.flags), (pages.base + page_size(), FLAG_WP | FLAG_WRITE));
        userfault::protect(fd, fault.addr, page_size(), false)?;
        Ok(())
    };
    beside(resolve, || {
        pages.set(1, 7);
        check_eq!((pages.get(0), pages.get(1)), (1, 7));
        Ok(())
    })
}

fn minor(_: Args) -> Outcome {
    let fd = make(0, SHMEM)?;
    let pages = Pages::map(4 * page_size(), SHARED)?;
    pages.fill(1);
    // It is there, and not mapped any more.
    pages.forget(0, 4)?;
    userfault::register(fd, pages.base, 4 * page_size(), MINOR)?;
    let resolve = || {
        let fault = userfault::read(fd)?;
        check_eq!((fault.addr, fault.flags & FLAG_MINOR), (pages.base + 3 * page_size(), FLAG_MINOR));
        userfault::go_on(fd, fault.addr, page_size())?;
        Ok(())
    };
    beside(resolve, || {
        check_eq!(pages.get(3), 4);
        Ok(())
    })?;
    check_eq!(userfault::go_on(fd, pages.base + 3 * page_size(), page_size()), Err(Errno::EEXIST));
    Ok(())
}

fn closed(_: Args) -> Outcome {
    let fd = make(0, 0)?;
    let pages = Pages::map(2 * page_size(), PRIVATE)?;
    userfault::register(fd, pages.base, 2 * page_size(), MISSING)?;
    let pipe = file::pipe(0)?;
    let child = process::spawn(|| {
        as_status((|| {
            // The last descriptor, once the parent has closed its own.
            check_eq!(file::read(pipe.read, &mut [0])?, 1);
            check_eq!(userfault::read(fd)?.addr, pages.base);
            file::close(fd)?;
            Ok(())
        })())
    })?;
    file::close(fd)?;
    file::write_all(pipe.write, &[1])?;
    pages.set(0, 3);
    check_eq!(pages.get(1), 0);
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}

fn polled(_: Args) -> Outcome {
    const IN: u16 = linux::POLLIN as u16;
    let fd = make(NONBLOCK, 0)?;
    let pages = Pages::map(2 * page_size(), PRIVATE)?;
    userfault::register(fd, pages.base, 2 * page_size(), MISSING)?;
    check_eq!(userfault::read(fd), Err(Errno::EAGAIN));
    check_eq!(file::poll(fd, IN, 0)?, 0);
    let resolve = || {
        check_eq!(file::poll(fd, IN, 10_000_000_000)?, IN);
        let fault = userfault::read(fd)?;
        check_eq!(file::poll(fd, IN, 0)?, 0);
        userfault::zero(fd, fault.addr, page_size())?;
        Ok(())
    };
    beside(resolve, || {
        check_eq!(pages.get(0), 0);
        Ok(())
    })?;
    // Faults of system calls are left to whoever makes the call.
    let user_only = make(1, 0)?;
    let more = Pages::map(page_size(), PRIVATE)?;
    userfault::register(user_only, more.base, page_size(), MISSING)?;
    let pipe = file::pipe(0)?;
    file::write_all(pipe.write, b"abc")?;
    // SAFETY: mapped, and borrowed by nobody else.
    let buffer = unsafe { core::slice::from_raw_parts_mut(more.base as *mut u8, 8) };
    check_eq!(file::read(pipe.read, buffer), Err(Errno::EFAULT));
    Ok(())
}
