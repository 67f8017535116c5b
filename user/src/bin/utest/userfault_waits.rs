//! userfaultfd: who waits for a page, for how long, and who does not wait at all.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use linux_raw_sys::general as linux;
use user::rt::start::Args;
use user::sys::memory::{PRIVATE, READ_WRITE, page_size};
use user::sys::process::signal::{SIGBUS, SIGKILL, SIGSEGV};
use user::sys::thread::{self, Thread};
use user::sys::userfault::{self, FLAG_MINOR, MINOR, MISSING, POISONS, SHMEM, SIGBUS as NOBODY_TOLD, WP};
use user::sys::{Errno, event, file, memory, process, time, tree};

use crate::harness::{Outcome, Test, Trouble, as_status, child_passes, killed_by};
use crate::memory::Pages;
use crate::userfault::make;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("a thread fills the missing pages of others", threads),
    ("several faults are read at once", several),
    ("who waits for a page can be killed", killed),
    ("unmapped, a page is waited for no more", unmapped),
    ("faults can be bus errors instead", bus_errors),
    ("a poisoned page is a bus error", poisoned),
    ("a child of fork is not registered", forked),
    ("a memfd's pages are let in by a second mapping", memfd),
    ("epoll tells of a fault", epolled),
    ("/dev/userfaultfd makes descriptors", device),
    ("what needs a page on behalf of others waits for it", on_behalf),
];

const NONBLOCK: u32 = linux::O_NONBLOCK;
const READERS: usize = 3;

/// A descriptor and pages registered with it for missing ones.
fn missing(flags: u32, features: u64, pages: usize) -> Result<(file::Fd, Pages), Trouble> {
    let fd = make(flags, features)?;
    let pages = Pages::map(pages * page_size(), PRIVATE)?;
    userfault::register(fd, pages.base, pages.count() * page_size(), MISSING)?;
    Ok((fd, pages))
}

/// What a thread found at its address.
static FOUND: AtomicU32 = AtomicU32::new(0);

extern "C" fn look(addr: usize) {
    // SAFETY: mapped, if perhaps not there yet; nobody writes to it but the kernel, before it is.
    FOUND.fetch_add(unsafe { (addr as *const u32).read_volatile() }, SeqCst);
}

/// Starts threads that look at the first pages, one each.
fn start_readers(pages: &Pages) -> Result<[Thread; READERS], Errno> {
    let start = |page: usize| thread::start(look, pages.base + page * page_size());
    Ok([start(0)?, start(1)?, start(2)?])
}

fn threads(_: Args) -> Outcome {
    let (fd, pages) = missing(0, 0, READERS)?;
    let source = Pages::map(page_size(), PRIVATE)?;
    source.set(0, 7);
    // SAFETY: mapped for good, and written by nobody any more.
    let bytes = unsafe { core::slice::from_raw_parts(source.base as *const u8, page_size()) };
    let readers = start_readers(&pages)?;
    for _ in 0..READERS {
        let fault = userfault::read(fd)?;
        userfault::copy(fd, fault.addr, bytes, 0)?;
    }
    readers.iter().for_each(Thread::join);
    check_eq!(FOUND.load(SeqCst), 7 * READERS as u32);
    Ok(())
}

fn several(_: Args) -> Outcome {
    let (fd, pages) = missing(NONBLOCK, 0, READERS)?;
    let readers = start_readers(&pages)?;
    let mut told = 0;
    while told < READERS {
        time::sleep_ns(20_000_000)?; // all of them have had the time to come so far
        match userfault::read_some(fd) {
            Ok(count) => told += count,
            Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    check_eq!(told, READERS);
    // Nobody is woken before all is there.
    for page in 0..READERS {
        userfault::zero_quietly(fd, pages.base + page * page_size(), page_size())?;
    }
    check_eq!(userfault::read_some(fd), Err(Errno::EAGAIN));
    userfault::wake(fd, pages.base, READERS * page_size())?;
    readers.iter().for_each(Thread::join);
    check_eq!(FOUND.load(SeqCst), 0);
    Ok(())
}

fn killed(_: Args) -> Outcome {
    let (ready, given) = (file::pipe(0)?, file::pipe(0)?);
    file::write_all(given.write, &[1; 8])?;
    for in_a_call in [false, true] {
        let child = process::spawn(|| {
            as_status((|| {
                let (fd, pages) = missing(NONBLOCK, 0, 1)?;
                let reader = thread::start(look, pages.base)?;
                check_eq!(file::poll(fd, linux::POLLIN as u16, 10_000_000_000)?, linux::POLLIN as u16);
                file::write_all(ready.write, &[1])?;
                if in_a_call {
                    // SAFETY: mapped, and borrowed by nobody else.
                    let buffer = unsafe { core::slice::from_raw_parts_mut(pages.base as *mut u8, 8) };
                    let _ = file::read(given.read, buffer);
                }
                reader.join();
                Ok(())
            })())
        })?;
        check_eq!(file::read(ready.read, &mut [0])?, 1);
        time::sleep_ns(5_000_000)?;
        process::kill(child, SIGKILL)?;
        check_eq!(process::wait(child)?.signalled(), Some(SIGKILL));
    }
    Ok(())
}

fn unmapped(_: Args) -> Outcome {
    killed_by(SIGSEGV, || {
        as_status((|| {
            let (fd, pages) = missing(0, 0, 1)?;
            let reader = thread::start(look, pages.base)?;
            check_eq!(userfault::read(fd)?.addr, pages.base);
            pages.unmap(0, 1)?;
            reader.join(); // it takes everybody along
            Ok(())
        })())
    })
}

fn bus_errors(_: Args) -> Outcome {
    let (_fd, pages) = missing(0, NOBODY_TOLD, 2)?;
    killed_by_own(SIGBUS, || missing(0, NOBODY_TOLD, 1).map(|(_, pages)| pages.get(0)))?;
    let pipe = file::pipe(0)?;
    file::write_all(pipe.write, b"abc")?;
    // SAFETY: mapped, and borrowed by nobody else.
    let buffer = unsafe { core::slice::from_raw_parts_mut(pages.base as *mut u8, 8) };
    check_eq!(file::read(pipe.read, buffer), Err(Errno::EFAULT));
    Ok(())
}

/// As [`killed_by`], of what may not be possible here.
fn killed_by_own<R>(signal: u32, body: impl FnOnce() -> Result<R, Trouble>) -> Outcome {
    killed_by(signal, || body().is_ok())
}

fn poisoned(_: Args) -> Outcome {
    let fd = make(0, POISONS)?;
    let pages = Pages::map(2 * page_size(), PRIVATE)?;
    userfault::register(fd, pages.base, 2 * page_size(), MISSING)?;
    userfault::poison(fd, pages.base, page_size())?;
    check_eq!(userfault::poison(fd, pages.base, page_size()), Err(Errno::EEXIST));
    killed_by(SIGBUS, || pages.get(0))
}

fn forked(_: Args) -> Outcome {
    let fd = make(0, 1)?;
    let pages = Pages::map(2 * page_size(), PRIVATE)?;
    pages.set(0, 5);
    userfault::register(fd, pages.base, 2 * page_size(), MISSING | WP)?;
    userfault::protect(fd, pages.base, page_size(), true)?;
    child_passes(|| {
        pages.set(0, 6);
        check_eq!((pages.get(0), pages.get(1)), (6, 0));
        Ok(())
    })?;
    check_eq!(pages.get(0), 5);
    userfault::zero(fd, pages.base + page_size(), page_size())?;
    check_eq!(pages.get(1), 0);
    Ok(())
}

fn memfd(_: Args) -> Outcome {
    let bytes = 4 * page_size();
    let object = tree::memfd(c"shared")?;
    tree::truncate(object, bytes as u64)?;
    // SAFETY: fresh mappings, whose addresses the kernel chooses.
    let map = || unsafe { memory::map_at(0, bytes, READ_WRITE, linux::MAP_SHARED, object, 0) };
    let (here, there) = (map()?, map()?);
    let fd = make(NONBLOCK, SHMEM)?;
    userfault::register(fd, here, bytes, MISSING | MINOR)?;
    // SAFETY: just mapped, and nobody else's.
    unsafe { (there as *mut u32).write_volatile(9) };
    let reader = thread::start(look, here)?;
    check_eq!(file::poll(fd, linux::POLLIN as u16, 10_000_000_000)?, linux::POLLIN as u16);
    let fault = userfault::read(fd)?;
    check_eq!((fault.addr, fault.flags), (here, FLAG_MINOR));
    userfault::go_on(fd, here, page_size())?;
    reader.join();
    check_eq!(FOUND.load(SeqCst), 9);
    Ok(())
}

fn epolled(_: Args) -> Outcome {
    let (fd, pages) = missing(NONBLOCK, 0, 1)?;
    let set = event::set()?;
    event::watch(set, fd, event::IN)?;
    check_eq!(event::wait(set, 0)?, None);
    let reader = thread::start(look, pages.base)?;
    check_eq!(event::wait(set, 10_000)?, Some((fd, event::IN)));
    let fault = userfault::read(fd)?;
    check_eq!(event::wait(set, 0)?, None);
    userfault::zero(fd, fault.addr, page_size())?;
    reader.join();
    Ok(())
}

fn device(_: Args) -> Outcome {
    let device = match file::open(c"/dev/userfaultfd", linux::O_RDWR) {
        Err(Errno::ENOENT | Errno::EACCES) => return Err(Trouble::Skip("there is none here")),
        other => other?,
    };
    check_eq!(userfault::from_device(device, 1 << 5), Err(Errno::EINVAL));
    let fd = userfault::from_device(device, NONBLOCK)?;
    check_eq!(userfault::read_some(fd), Err(Errno::EINVAL));
    check!(userfault::agree(fd, 0)? & SHMEM == SHMEM);
    check_eq!(userfault::read_some(fd), Err(Errno::EAGAIN));
    Ok(())
}

fn on_behalf(_: Args) -> Outcome {
    const POPULATE_WRITE: u32 = linux::MADV_POPULATE_WRITE;
    let (fd, pages) = missing(0, 0, 4)?;
    let source = [3u8; 4];
    let fill = || -> Outcome {
        for page in 0..3 {
            let fault = userfault::read(fd)?;
            check_eq!(fault.addr, pages.base + page * page_size());
            userfault::zero(fd, fault.addr, page_size())?;
        }
        Ok(())
    };
    let child = process::spawn(|| as_status(fill()))?;
    // SAFETY: nothing borrows the memory.
    unsafe { memory::advise(pages.base, page_size(), POPULATE_WRITE) }?;
    memory::lock(pages.base, 2 * page_size(), 0)?;
    let (local, there) = ([[source.as_ptr() as usize, 4]], [[pages.base + 2 * page_size(), 4]]);
    // SAFETY: reads the bytes, and writes to memory that nothing borrows.
    let moved = unsafe { memory::remote(memory::Way::Write, process::getpid(), &local, &there) };
    check_eq!(moved, Ok(4));
    check_eq!(process::wait(child)?.exited(), Some(0));
    check_eq!((pages.get(1), pages.get(2)), (0, 0x0303_0303));
    Ok(())
}
