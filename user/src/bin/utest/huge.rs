//! Ranges and files of the largest sizes: what costs nothing while nothing is in them must not keep anybody waiting, since
//! a call that is under way in the kernel is not preempted.

use linux_raw_sys::general::*;
use user::sys::memory::{self, PRIVATE, READ_WRITE, page_size};
use user::sys::{Errno, file, raw, time, tree};
use user::{println, probe};

use crate::check;
use crate::harness::{Outcome, Test, Trouble};

/// The tests.
pub const TESTS: &[Test] = &[
    ("calls for a huge range with next to nothing in it are short", |_| on_pleat(ranges)),
    ("calls for a huge file with next to nothing in it are short", |_| on_pleat(files)),
    ("VMAs without number become one shortly", |_| on_pleat(areas)),
];

/// Linux is preempted, so it may take its time.
fn on_pleat(test: fn() -> Outcome) -> Outcome {
    if probe::is_pleat() { test() } else { Err(Trouble::Skip("is about a kernel without preemption")) }
}

/// The longest that a call may take, in nanoseconds: some time slices.
const LIMIT_NS: u64 = 50_000_000;
/// Bytes of the range.
const HUGE: usize = 64 << 40;

/// Makes a call; whether it was short.
fn timed(what: &str, number: u32, args: [usize; 6]) -> (bool, Result<usize, Errno>) {
    let before = time::now_ns();
    // SAFETY: the callers pass ranges of their own that nothing else uses.
    let result = unsafe { raw(number, args) };
    let took = time::now_ns() - before;
    if took > LIMIT_NS {
        println!("# {what} ({number}) took {} us: {result:?}", took / 1000);
    }
    (took <= LIMIT_NS, result)
}

fn ranges() -> Outcome {
    let base = memory::map(HUGE, READ_WRITE, PRIVATE | MAP_NORESERVE)?;
    let touch = || {
        for at in [0, HUGE / 2, HUGE - page_size()] {
            // SAFETY: in the mapping that was just made.
            unsafe { ((base + at) as *mut u8).write_volatile(1) };
        }
    };
    let mut short = true;
    for advice in [
        MADV_COLD,
        MADV_PAGEOUT,
        MADV_FREE,
        MADV_WILLNEED,
        MADV_HUGEPAGE,
        MADV_COLLAPSE,
        MADV_NOHUGEPAGE,
        MADV_DONTNEED,
        MADV_DONTFORK,
        MADV_DOFORK,
    ] {
        touch();
        short &= timed("madvise", __NR_madvise, [base, HUGE, advice as usize, 0, 0, 0]).0;
    }
    touch();
    short &= timed("mlock2", __NR_mlock2, [base, HUGE, MLOCK_ONFAULT as usize, 0, 0, 0]).0;
    short &= timed("munlock", __NR_munlock, [base, HUGE, 0, 0, 0, 0]).0;
    short &= timed("msync", __NR_msync, [base, HUGE, MS_SYNC as usize, 0, 0, 0]).0;
    short &= timed("mprotect", __NR_mprotect, [base, HUGE, PROT_READ as usize, 0, 0, 0]).0;
    short &= timed("mprotect", __NR_mprotect, [base, HUGE, READ_WRITE as usize, 0, 0, 0]).0;
    for path in [
        c"/proc/self/smaps",
        c"/proc/self/smaps_rollup",
        c"/proc/self/status",
        c"/proc/vmstat",
        c"/proc/self/oom_score",
    ] {
        let fd = file::open(path, file::READ_ONLY)? as usize;
        let mut buffer = [0u8; 4096];
        short &= timed("read", __NR_read, [fd, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0]).0;
        file::close(fd as i32)?;
    }
    let fd = file::open(c"/proc/self/clear_refs", file::WRITE_ONLY)? as usize;
    for word in [c"1", c"4"] {
        short &= timed("clear_refs", __NR_write, [fd, word.as_ptr() as usize, 1, 0, 0, 0]).0;
    }
    file::close(fd as i32)?;
    let moved = timed("mremap", __NR_mremap, [base, HUGE, HUGE - (1 << 40), 0, 0, 0]);
    short &= moved.0;
    short &= timed("munmap", __NR_munmap, [base, HUGE, 0, 0, 0, 0]).0;
    check!(short);
    Ok(())
}

fn files() -> Outcome {
    let fd = tree::memfd(c"huge")? as usize;
    let size = 1usize << 42;
    let mut short = timed("ftruncate", __NR_ftruncate, [fd, size, 0, 0, 0, 0]).0;
    for at in [0, size / 2, size - 1] {
        tree::write_at(fd as i32, b"x", at as u64)?;
    }
    for (from, whence) in [(0, 3), (1 << 20, 3), (0, 4), (size / 2 + (1 << 20), 3)] {
        short &= timed("lseek", __NR_lseek, [fd, from, whence, 0, 0, 0]).0;
    }
    let base = memory::map(1 << 40, memory::NONE, PRIVATE)?;
    let flags = (MAP_SHARED | MAP_FIXED) as usize;
    let (result, mapped) = timed("mmap", __NR_mmap, [base, 1 << 40, READ_WRITE as usize, flags, fd, 0]);
    mapped?;
    short &= result;
    short &= timed("MADV_REMOVE", __NR_madvise, [base, 1 << 40, MADV_REMOVE as usize, 0, 0, 0]).0;
    short &= timed("mprotect", __NR_mprotect, [base, 1 << 40, PROT_READ as usize, 0, 0, 0]).0;
    short &= timed("fallocate", __NR_fallocate, [fd, tree::PUNCH_HOLE as usize, 0, size, 0, 0]).0;
    short &= timed("ftruncate", __NR_ftruncate, [fd, 1, 0, 0, 0, 0]).0;
    short &= timed("munmap", __NR_munmap, [base, 1 << 40, 0, 0, 0, 0]).0;
    file::close(fd as i32)?;
    check!(short);
    Ok(())
}

/// VMAs of the last test.
const AREAS: usize = 20_000;

fn areas() -> Outcome {
    let fd = tree::memfd(c"areas")?;
    let (page, bytes) = (page_size(), 2 * AREAS * page_size());
    tree::truncate(fd, bytes as u64)?;
    // SAFETY: replaces nothing.
    let base = unsafe { memory::map_at(0, bytes, READ_WRITE, MAP_SHARED, fd, 0) }?;
    for index in 0..AREAS {
        // SAFETY: every other page of the mapping, which nothing uses.
        unsafe { memory::protect(base + 2 * index * page, page, memory::READ) }?;
    }
    let mut short = true;
    short &= timed("mprotect", __NR_mprotect, [base, bytes, READ_WRITE as usize, 0, 0, 0]).0;
    short &= timed("munmap", __NR_munmap, [base, bytes, 0, 0, 0, 0]).0;
    file::close(fd)?;
    check!(short);
    Ok(())
}
