//! Fork isolation for each folio size, and Pleat's own promise that fork keeps blocks folded.
//!
//! The policy files are machine-wide; each test puts back what it found. On another kernel than Pleat these tests are
//! skipped where the files cannot be written.

use user::counters::Counters;
use user::policy::Policy;
use user::probe;
use user::rt::start::Args;
use user::sys::memory::{PRIVATE, block_size, page_size};
use user::sys::{Errno, file, process};

use crate::fork::{fork_again_on, isolation};
use crate::harness::{Outcome, Test, Trouble};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("fork isolation, 4K folios", |_| with_folios(4, isolated)),
    ("fork isolation, 8K folios", |_| with_folios(8, isolated)),
    ("fork isolation, 16K folios", |_| with_folios(16, isolated)),
    ("fork isolation, 32K folios", |_| with_folios(32, isolated)),
    ("fork isolation, 64K folios", |_| with_folios(64, isolated)),
    ("fork isolation, 128K folios", |_| with_folios(128, isolated)),
    ("fork isolation, 256K folios", |_| with_folios(256, isolated)),
    ("fork isolation, 512K folios", |_| with_folios(512, isolated)),
    ("fork isolation, 1M folios", |_| with_folios(1024, isolated)),
    ("fork isolation, 2M folios", |_| with_folios(2048, isolated)),
    ("fork keeps blocks folded", blocks_stay_folded),
    ("fork flushes once", one_flush),
];

/// Bytes of the memory under test: two of the largest folios.
const LEN: usize = 4 << 20;

fn isolated() -> Outcome {
    let pages = Pages::map(LEN, PRIVATE)?;
    // SAFETY: changes no contents. A kernel without large folios refuses, and then has small ones.
    let _ = unsafe { user::sys::memory::advise(pages.base, LEN, user::sys::memory::HUGEPAGE) };
    isolation(&pages)?;
    fork_again_on(&pages)
}

/// Runs `test` with folios of `kib` KiB only, then restores the policy.
fn with_folios(kib: u32, test: fn() -> Outcome) -> Outcome {
    if (kib as usize) << 10 < page_size() {
        return Err(Trouble::Skip("less than a page"));
    }
    let policy = Policy::save();
    let outcome = match policy.only(kib) {
        Ok(()) => test(),
        Err(Errno::ENOENT | Errno::EACCES | Errno::EROFS) if !probe::is_pleat() => {
            Err(Trouble::Skip("this kernel's folio sizes cannot be set so"))
        }
        Err(errno) => Err(errno.into()),
    };
    policy.restore();
    outcome
}

/// KiB in contpte blocks, or a reason to skip.
fn folded_kib() -> Result<u64, Trouble> {
    probe::contpte_kib().ok_or(Trouble::Skip("this kernel does not say what is folded"))
}

fn blocks_stay_folded(_: Args) -> Outcome {
    folded_kib()?;
    with_folios((block_size() >> 10) as u32, || {
        let base = folded_kib()?;
        let pages = Pages::map(LEN, PRIVATE)?;
        pages.fill(1);
        let populated = folded_kib()?;
        check_eq!(populated - base, LEN as u64 / 1024);
        let pipe = file::pipe(0)?;
        let child = process::spawn(|| {
            let released = file::read(pipe.read, &mut [0]);
            // Only what this child has written since, of its stack, may have been unfolded.
            let least = LEN as u64 / 1024;
            i32::from(released != Ok(1) || probe::contpte_kib().is_none_or(|kib| kib < least))
        })?;
        let forked = folded_kib()?;
        file::write_all(pipe.write, &[1])?;
        check_eq!(process::wait(child)?.exited(), Some(0));
        check!(forked >= LEN as u64 / 1024);
        // Reuse of a whole block keeps it folded as well.
        pages.fill(2);
        check!(folded_kib()? >= LEN as u64 / 1024);
        Ok(())
    })
}

fn one_flush(_: Args) -> Outcome {
    if !probe::is_pleat() {
        return Err(Trouble::Skip("this kernel does not count its flushes"));
    }
    let pages = Pages::map(16 * block_size(), PRIVATE)?;
    pages.fill(1);
    let before = probe::counters();
    let child = process::spawn(|| 0)?;
    let after = probe::counters();
    check_eq!(process::wait(child)?.exited(), Some(0));
    let events: Counters = after.since(&before);
    check_eq!(events.get("forks"), Some(1));
    // The parent's whole address space, once. Single pages of its stack are copied on write after that.
    check_eq!(events.get("tlbi_asid"), Some(1));
    check_eq!(events.get("tlbi_all"), Some(0));
    Ok(())
}
