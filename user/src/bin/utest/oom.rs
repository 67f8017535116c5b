//! Memory exhausted: who ends, and who lives.
//!
//! These tests take all memory there is, which is nothing to do to somebody's own machine: they run on Pleat alone.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use linux_raw_sys::general::{__NR_gettimeofday, MAP_NORESERVE};
use user::sys::memory::{self, PRIVATE, READ_WRITE, SHARED, page_size};
use user::sys::process::signal::SIGKILL;
use user::sys::process::{self, Pid};
use user::sys::{Errno, file, raw, thread, time};
use user::text::leading_number;
use user::{probe, rt::start::Args};

use crate::harness::{Outcome, Test, Trouble};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("who exhausts memory ends, and nobody else", |_| on_pleat(one_takes_all)),
    ("not who asks last ends, but who has most", |_| on_pleat(the_largest_ends)),
    ("oom_score_adj says who ends first, and who never", |_| on_pleat(adjusted)),
    ("who borrows memory and ends holds up nobody", |_| on_pleat(borrower_ends)),
    ("who shares memory with the one that is chosen ends with it", |_| on_pleat(sharers_end)),
    ("oom_score_adj is a number in range", scores),
];

/// With more free memory than this, in bytes, none of these tests runs: they write to all of it, which the host then has
/// to have as well, and what a machine with little shows, one with much does not show better.
const TOO_MUCH: usize = 1 << 30;

fn on_pleat(test: fn() -> Outcome) -> Outcome {
    if !probe::is_pleat() {
        return Err(Trouble::Skip("exhausts all memory"));
    }
    if free_pages()? * page_size() > TOO_MUCH {
        return Err(Trouble::Skip("more than 1 GiB of memory to exhaust"));
    }
    test()
}

fn adjust(adj: &[u8]) -> Result<(), Errno> {
    file::write_file(c"/proc/self/oom_score_adj", adj)
}

/// Writes to `pages` fresh pages.
fn take(pages: usize) -> Result<(), Errno> {
    // More than there is may be asked for, if nobody is to vouch for it.
    let base = memory::map(pages * page_size(), READ_WRITE, PRIVATE | MAP_NORESERVE)?;
    for page in 0..pages {
        // SAFETY: in the mapping that was just made.
        unsafe { ((base + page * page_size()) as *mut u8).write(1) };
    }
    Ok(())
}

fn free_pages() -> Result<usize, Trouble> {
    probe::free_pages().map(|pages| pages as usize).ok_or(Trouble::Skip("no /proc/vmstat"))
}

fn one_takes_all() -> Outcome {
    let all = 2 * free_pages()?;
    let child = process::spawn(|| i32::from(take(all).is_err()))?;
    check_eq!(process::wait(child)?.signalled(), Some(SIGKILL));
    take(16)?;
    Ok(())
}

/// A child that takes so many pages, says so, and sleeps. Its badness is adjusted before.
fn hog(pages: usize, adj: &'static [u8]) -> Result<Pid, Trouble> {
    let pipe = file::pipe(0)?;
    let child = process::spawn(|| {
        if adjust(adj).is_err() || take(pages).is_err() || file::write(pipe.write, b"x").is_err() {
            return 1;
        }
        let _ = time::sleep_ns(60_000_000_000);
        2
    })?;
    let taken = file::read(pipe.read, &mut [0]);
    file::close(pipe.read)?;
    file::close(pipe.write)?;
    check_eq!(taken, Ok(1));
    Ok(child)
}

/// A process that shares its memory with one that sleeps: both are gone when memory is needed, and then there is some.
fn sharers_end() -> Outcome {
    extern "C" fn sleep(_: usize) {
        let _ = time::sleep_ns(60_000_000_000);
    }
    let free = free_pages()?;
    let (ready, alive) = (file::pipe(0)?, file::pipe(0)?);
    let largest = process::spawn(|| {
        let word = AtomicU32::new(0);
        let flags = linux_raw_sys::general::CLONE_VM;
        let taken = take(free / 8 * 5).is_ok() && thread::clone(flags, &word, sleep, 0).is_ok();
        if !taken || file::write(ready.write, b"x").is_err() {
            return 1;
        }
        sleep(0);
        2
    })?;
    check_eq!(file::read(ready.read, &mut [0]), Ok(1));
    file::close(alive.write)?;
    let asks = process::spawn(|| i32::from(take(free / 2).is_err()))?;
    check_eq!(process::wait(asks)?.exited(), Some(0));
    check_eq!(process::wait(largest)?.signalled(), Some(SIGKILL));
    check_eq!(file::read(alive.read, &mut [0]), Ok(0));
    Ok(())
}

fn the_largest_ends() -> Outcome {
    let free = free_pages()?;
    let largest = hog(free / 8 * 5, b"0")?;
    let asks = process::spawn(|| i32::from(take(free / 2).is_err()))?;
    check_eq!(process::wait(asks)?.exited(), Some(0));
    check_eq!(process::wait(largest)?.signalled(), Some(SIGKILL));
    Ok(())
}

fn adjusted() -> Outcome {
    let free = free_pages()?;
    let spared = hog(free / 2, b"-1000")?;
    let first = hog(free / 4, b"1000\n")?;
    // Now it is more than that one has, but it is struck first all the same.
    let asks = process::spawn(|| i32::from(take(free / 8 * 3).is_err()))?;
    check_eq!(process::wait(asks)?.exited(), Some(0));
    check_eq!(process::wait(first)?.signalled(), Some(SIGKILL));
    // And nobody but who asks is left.
    let asks = process::spawn(|| i32::from(take(free).is_err()))?;
    check_eq!(process::wait(asks)?.signalled(), Some(SIGKILL));
    check_eq!(process::wait_for(spared, process::WNOHANG)?, None);
    process::kill(spared, SIGKILL)?;
    process::wait(spared)?;
    Ok(())
}

/// How far they are, [`borrow`]'s thread and [`run_out_with_borrower`].
const HERE: u32 = 1;
const FULL: u32 = 2;
const ENDING: u32 = 3;

fn stage(word: usize) -> &'static AtomicU32 {
    // SAFETY: a shared mapping, zero at first, which nobody unmaps.
    unsafe { &*(word as *const AtomicU32) }
}

/// A child of vfork whose second thread ends it, so that it is ending, and has not ended as long as the first does not run.
extern "C" fn borrow(word: usize) {
    if thread::start(end_all, word).is_ok() {
        let _ = time::sleep_ns(60_000_000_000);
    }
}

extern "C" fn end_all(word: usize) {
    stage(word).store(HERE, SeqCst);
    while stage(word).load(SeqCst) != FULL {
        process::yield_now();
    }
    stage(word).store(ENDING, SeqCst);
    process::exit(0)
}

/// Pages that are left when the borrower begins to end: few enough to be gone before it has had the CPU.
const LEFT: usize = 256;

fn borrower_ends() -> Outcome {
    let child = process::spawn(|| i32::from(run_out_with_borrower().is_err()))?;
    check_eq!(process::wait(child)?.signalled(), Some(SIGKILL));
    Ok(())
}

/// While a child of vfork ends, whose memory is its parent's, has the kernel write to more memory than there is.
fn run_out_with_borrower() -> Result<(), Trouble> {
    let word = memory::map(page_size(), READ_WRITE, SHARED)?;
    process::spawn(|| i32::from(thread::vfork(borrow, word).is_err()))?;
    while stage(word).load(SeqCst) != HERE {
        process::yield_now();
    }
    let (page, pages) = (page_size(), 64 * LEFT);
    let base = memory::map(pages * page, READ_WRITE, PRIVATE | MAP_NORESERVE)?;
    take(free_pages()?.saturating_sub(LEFT))?;
    stage(word).store(FULL, SeqCst);
    while stage(word).load(SeqCst) != ENDING {
        process::yield_now();
    }
    for at in (0..pages).map(|index| base + index * page) {
        // A call that does nothing but write to memory: one that reads a file may let others run.
        // SAFETY: in the mapping that was just made, which nothing else uses.
        unsafe { raw(__NR_gettimeofday, [at, 0]) }?;
    }
    Ok(())
}

fn scores(_: Args) -> Outcome {
    let mut buffer = [0; 16];
    check_eq!(file::read_file(c"/proc/self/oom_score_adj", &mut buffer), Ok(&b"0\n"[..]));
    for bad in [&b"1001"[..], b"-1001", b"much"] {
        check!(adjust(bad).is_err());
    }
    adjust(b"1000")?;
    check_eq!(file::read_file(c"/proc/self/oom_score_adj", &mut buffer), Ok(&b"1000\n"[..]));
    let score = leading_number(file::read_file(c"/proc/self/oom_score", &mut buffer)?);
    check!(score >= Some(1333));
    let child = process::spawn(|| {
        let mut buffer = [0; 16];
        i32::from(file::read_file(c"/proc/self/oom_score_adj", &mut buffer) != Ok(&b"1000\n"[..]))
    })?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}
