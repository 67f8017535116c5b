//! Fork isolation for each folio size, and Pleat's own promise that fork keeps blocks folded.
//!
//! The policy files are machine-wide; each test puts back what it found. On another kernel than Pleat these tests are
//! skipped where the files cannot be written.

use user::counters::Counters;
use user::policy::Policy;
use user::probe;
use user::rt::start::Args;
use user::smaps::areas;
use user::sys::memory::{self, PRIVATE, block_size, page_size};
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
    ("a write beside the child copies a block at once", copied_by_the_block),
    ("a write after the child copies nothing", reused_by_the_block),
    ("small pages collapse to blocks", collapsed),
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

/// As [`folded_kib`], of what lies between the ends of `pages`.
fn folded_kib_of(pages: &Pages) -> Result<u64, Trouble> {
    let mut text = [0; 24 << 10];
    let text = file::read_file(c"/proc/self/smaps", &mut text)?;
    let (start, end) = (pages.base, pages.base + pages.count() * page_size());
    Ok(areas(text)
        .filter(|area| start <= area.start && area.end <= end)
        .filter_map(|area| area.contpte)
        .sum())
}

fn blocks_stay_folded(_: Args) -> Outcome {
    folded_kib()?;
    with_folios((block_size() >> 10) as u32, || {
        let pages = Pages::map(LEN, PRIVATE)?;
        pages.fill(1);
        // Of the whole process it would be more now and then: the program's text is mapped by blocks as well, as it runs.
        check_eq!(folded_kib_of(&pages)?, LEN as u64 / 1024);
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
    // The child waits: if it ran to its end before the counters are read, its exit's flush would be among them.
    let pipe = file::pipe(0)?;
    let before = probe::counters();
    let child = process::spawn(|| i32::from(file::read(pipe.read, &mut [0]) != Ok(1)))?;
    let after = probe::counters();
    file::write_all(pipe.write, &[1])?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    let events: Counters = after.since(&before);
    check_eq!(events.get("forks"), Some(1));
    // The parent's whole address space, once. Single pages of its stack are copied on write after that.
    check_eq!(events.get("tlbi_asid"), Some(1));
    check_eq!(events.get("tlbi_all"), Some(0));
    Ok(())
}

/// Blocks in the memory under test.
fn blocks() -> u64 {
    (LEN / block_size()) as u64
}

/// Faults, faults that copied and frames copied while this process writes to all pages; what its own stack and data
/// cost besides comes to a few more.
fn write_costs(pages: &Pages) -> Result<[u64; 3], Trouble> {
    let before = probe::counters();
    // Once more, so that reading the counters has had its faults.
    let before = (before, probe::counters()).1;
    pages.fill(2);
    let spent = probe::counters().since(&before);
    let get = |name| spent.get(name).ok_or(Trouble::Skip("this kernel does not count it"));
    Ok([get("pgfault")?, get("cow_copy")?, get("frames_copied")?])
}

/// Faults that a process may take besides those that are counted on.
const OTHERS: u64 = 8;

fn copied_by_the_block(_: Args) -> Outcome {
    folded_kib()?;
    with_folios((block_size() >> 10) as u32, || {
        let pages = Pages::map(LEN, PRIVATE)?;
        pages.fill(1);
        let pipe = file::pipe(0)?;
        let child = process::spawn(|| {
            let released = file::read(pipe.read, &mut [0]);
            i32::from(released != Ok(1) || !pages.is_filled(1, 0..pages.count()))
        })?;
        let [faults, copies, frames] = write_costs(&pages)?;
        let in_block = (block_size() / page_size()) as u64;
        check!((blocks()..=blocks() + OTHERS).contains(&faults));
        check!((blocks()..=blocks() + OTHERS).contains(&copies));
        check!((blocks() * in_block..=(blocks() + OTHERS) * in_block).contains(&frames));
        check!(folded_kib()? >= LEN as u64 / 1024);
        file::write_all(pipe.write, &[1])?;
        check_eq!(process::wait(child)?.exited(), Some(0));
        check!(pages.is_filled(2, 0..pages.count()));
        Ok(())
    })
}

fn reused_by_the_block(_: Args) -> Outcome {
    folded_kib()?;
    with_folios((block_size() >> 10) as u32, || {
        let pages = Pages::map(LEN, PRIVATE)?;
        pages.fill(1);
        check_eq!(process::wait(process::spawn(|| 0)?)?.exited(), Some(0));
        let [faults, copies, _] = write_costs(&pages)?;
        check!((blocks()..=blocks() + OTHERS).contains(&faults) && copies <= OTHERS);
        check!(pages.is_filled(2, 0..pages.count()));
        Ok(())
    })
}

fn collapsed(_: Args) -> Outcome {
    folded_kib()?;
    with_folios((page_size() >> 10) as u32, || {
        let pages = Pages::map(LEN, PRIVATE)?;
        pages.fill(1);
        let before = folded_kib()?;
        let part = |page: usize, len| {
            let start = pages.base + page * page_size();
            // SAFETY: changes no contents; the range is this test's own mapping, or is refused.
            unsafe { memory::advise(start, len, memory::COLLAPSE) }
        };
        part(0, block_size())?;
        check_eq!(folded_kib()? - before, block_size() as u64 / 1024);
        check_eq!(part(1, block_size() - 2 * page_size()), Err(Errno::EINVAL));
        part(0, LEN)?;
        check!(pages.is_filled(1, 0..pages.count()));
        Ok(())
    })
}
