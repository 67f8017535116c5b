//! How much memory may be promised: the modes of `/proc/sys/vm/overcommit_memory`, and what meminfo tells of them.
//!
//! The setting is the machine's, so the tests that change it run on Pleat alone, and put it back.

use core::ffi::CStr;

use linux_raw_sys::general as linux;
use user::counters::field;
use user::sys::memory::{self, NONE, PRIVATE, READ, READ_WRITE, page_size};
use user::sys::{Errno, file, process};
use user::{probe, rt::start::Args};

use crate::harness::{Outcome, Test, Trouble, child_passes};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("overcommit 0: no single promise of more than there is", |_| with_mode(b"0", heuristic)),
    ("overcommit 1: anything is promised", |_| with_mode(b"1", always)),
    ("overcommit 2: all promises stay below the limit", |_| with_mode(b"2", strict)),
    ("overcommit settings are numbers in range", settings),
];

const MODE: &CStr = c"/proc/sys/vm/overcommit_memory";
const RATIO: &CStr = c"/proc/sys/vm/overcommit_ratio";
const NORESERVE: u32 = PRIVATE | linux::MAP_NORESERVE;

/// Runs `test` in a child with this mode.
fn with_mode(mode: &[u8], test: fn() -> Outcome) -> Outcome {
    if !probe::is_pleat() {
        return Err(Trouble::Skip("changes the machine's settings"));
    }
    let mut buffer = [0; 8];
    let before = file::read_file(MODE, &mut buffer)?;
    file::write_file(MODE, mode)?;
    let outcome = child_passes(test);
    file::write_file(MODE, before)?;
    file::write_file(RATIO, b"50")?;
    outcome
}

/// A value of meminfo, in bytes.
fn meminfo(name: &str) -> Result<usize, Trouble> {
    let mut buffer = [0; 4096];
    let value = field(file::read_file(c"/proc/meminfo", &mut buffer)?, name);
    value.map(|kib| (kib as usize) << 10).ok_or(Trouble::Skip("no such line in meminfo"))
}

fn heuristic() -> Outcome {
    let more = meminfo("MemTotal")? + meminfo("SwapTotal")? + (1 << 20);
    check_eq!(memory::map(more, READ_WRITE, PRIVATE), Err(Errno::ENOMEM));
    check_eq!(memory::map(more, READ_WRITE, memory::SHARED), Err(Errno::ENOMEM));
    // What cannot be written needs no memory, and who says so gets what nobody vouches for.
    for (prot, flags) in [(READ_WRITE, NORESERVE), (READ, PRIVATE), (NONE, PRIVATE)] {
        let base = memory::map(more, prot, flags)?;
        // SAFETY: nobody uses it.
        unsafe { memory::unmap(base, more) }?;
    }
    // Together it may be more.
    let each = more / 2;
    for _ in 0..3 {
        memory::map(each, READ_WRITE, PRIVATE)?;
    }
    // SAFETY: only asks.
    let now = unsafe { memory::brk(0) };
    // SAFETY: only grows, or does not.
    check_eq!(unsafe { memory::brk(now + more) }, now);
    Ok(())
}

fn always() -> Outcome {
    memory::map(1 << 40, READ_WRITE, PRIVATE)?;
    Ok(())
}

fn strict() -> Outcome {
    let page = page_size();
    let (limit, promised) = (meminfo("CommitLimit")?, meminfo("Committed_AS")?);
    check!(promised < limit);
    let half = (limit - promised) / 2 / page * page;
    let base = memory::map(half, READ_WRITE, PRIVATE)?;
    check!(meminfo("Committed_AS")? >= promised + half);
    check_eq!(memory::map(half + 64 * page, READ_WRITE, PRIVATE), Err(Errno::ENOMEM));
    check_eq!(memory::map(half + 64 * page, READ_WRITE, NORESERVE), Err(Errno::ENOMEM));
    // The right to write is a promise, and so is a copy.
    let silent = memory::map(half + 64 * page, READ, PRIVATE)?;
    // SAFETY: nobody uses it.
    check_eq!(unsafe { memory::protect(silent, half + 64 * page, READ_WRITE) }, Err(Errno::ENOMEM));
    let more = memory::map(64 * page, READ_WRITE, PRIVATE)?;
    check_eq!(process::fork(), Err(Errno::ENOMEM));
    // SAFETY: nobody uses them.
    unsafe {
        memory::unmap(base, half)?;
        memory::unmap(more, 64 * page)?;
        memory::protect(silent, half + 64 * page, READ_WRITE)?;
    }
    file::write_file(RATIO, b"0")?;
    check_eq!(memory::map(page, READ_WRITE, PRIVATE), Err(Errno::ENOMEM));
    Ok(())
}

fn settings(_: Args) -> Outcome {
    let mut buffer = [0; 8];
    let mode = file::read_file(MODE, &mut buffer)?;
    check!(matches!(mode, b"0\n" | b"1\n" | b"2\n"));
    check!(file::write_file(MODE, b"3").is_err() && file::write_file(MODE, b"x").is_err());
    check!(meminfo("CommitLimit")? > 0 && meminfo("Committed_AS")? > 0);
    Ok(())
}
