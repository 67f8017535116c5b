//! `/sys/kernel/mm/transparent_hugepage`: the background that makes large folios, and what the settings permit.
//!
//! The files are machine-wide; each test puts back what it found.

use core::ffi::CStr;

use user::policy::Policy;
use user::probe;
use user::smaps::areas;
use user::sys::memory::{PRIVATE, SHARED};
use user::sys::{Errno, file, time};

use crate::harness::{Outcome, Test, Trouble};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("khugepaged makes large folios while the machine idles", |_| on_pleat(|| collapsed(Wait::Asleep))),
    ("khugepaged makes large folios while a program runs", |_| on_pleat(|| collapsed(Wait::Awake))),
    ("khugepaged's settings have Linux's limits", |_| on_pleat(limits)),
    ("shmem_enabled denies shared memory and files large folios", |_| on_pleat(denied)),
    ("defrag and use_zero_page take Linux's words", |_| on_pleat(words)),
];

const SCAN_SLEEP: &CStr = c"/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs";
const COLLAPSED: &CStr = c"/sys/kernel/mm/transparent_hugepage/khugepaged/pages_collapsed";
const FULL_SCANS: &CStr = c"/sys/kernel/mm/transparent_hugepage/khugepaged/full_scans";
const PAGES_TO_SCAN: &CStr = c"/sys/kernel/mm/transparent_hugepage/khugepaged/pages_to_scan";
const MAX_PTES_NONE: &CStr = c"/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none";
const SHMEM: &CStr = c"/sys/kernel/mm/transparent_hugepage/shmem_enabled";
const DEFRAG: &CStr = c"/sys/kernel/mm/transparent_hugepage/defrag";
const ZERO_PAGE: &CStr = c"/sys/kernel/mm/transparent_hugepage/use_zero_page";

/// KiB of the largest folio.
const LARGE_KIB: u64 = 2048;
/// How long khugepaged is waited for, in nanoseconds.
const PATIENCE_NS: u64 = 10_000_000_000;

/// On another kernel the settings may be out of reach, or the size not there.
fn on_pleat(test: fn() -> Outcome) -> Outcome {
    if probe::is_pleat() { test() } else { Err(Trouble::Skip("sets what the whole machine does")) }
}

/// What the test does until there is a folio.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Asleep,
    Awake,
}

fn number(path: &CStr) -> Result<u64, Trouble> {
    let mut buffer = [0; 32];
    let text = core::str::from_utf8(file::read_file(path, &mut buffer)?).map_err(|_| Trouble::Failed)?;
    text.trim_end().parse().map_err(|_| Trouble::Failed)
}

/// KiB of `pages` in large folios: by block descriptors, or by contpte blocks where those are as large.
fn large_kib(pages: &Pages) -> Result<u64, Trouble> {
    let mut text = [0; 24 << 10];
    let text = file::read_file(c"/proc/self/smaps", &mut text)?;
    let area = areas(text).find(|area| area.start == pages.base).ok_or(Trouble::Failed)?;
    let in_blocks =
        if user::sys::memory::block_size() as u64 / 1024 == LARGE_KIB { area.contpte } else { None };
    Ok(in_blocks.unwrap_or(area.blocks))
}

fn collapsed(wait: Wait) -> Outcome {
    let policy = Policy::save();
    let outcome = (|| {
        policy.only(user::sys::memory::page_size() as u32 / 1024)?;
        let pages = Pages::map(3 * LARGE_KIB as usize * 1024, PRIVATE)?;
        pages.fill(1);
        check_eq!(large_kib(&pages)?, 0);
        let (before, scans) = (number(COLLAPSED)?, number(FULL_SCANS)?);
        policy.only(LARGE_KIB as u32)?;
        file::write_file(SCAN_SLEEP, b"5")?;
        let end = time::now_ns() + PATIENCE_NS;
        // Two of the largest folios fit into what is mapped, wherever it begins.
        while large_kib(&pages)? < 2 * LARGE_KIB {
            check!(time::now_ns() < end);
            if wait == Wait::Asleep {
                time::sleep_ns(5_000_000)?;
            }
        }
        check!(number(COLLAPSED)? >= before + 2);
        while number(FULL_SCANS)? <= scans {
            check!(time::now_ns() < end);
        }
        check!(pages.is_filled(1, 0..pages.count()));
        Ok(())
    })();
    // A setting that could be written can be written again.
    let _ = file::write_file(SCAN_SLEEP, b"10000");
    policy.restore();
    outcome
}

fn limits() -> Outcome {
    check_eq!((number(SCAN_SLEEP)?, number(FULL_SCANS)?), (10_000, number(FULL_SCANS)?));
    let refused = |path, text: &[u8]| file::write_file(path, text) == Err(Errno::EINVAL);
    check!(refused(PAGES_TO_SCAN, b"0") && refused(SCAN_SLEEP, b"4294967296") && refused(SCAN_SLEEP, b"x"));
    let most = number(MAX_PTES_NONE)?;
    check_eq!((most + 1) * user::sys::memory::page_size() as u64, LARGE_KIB * 1024);
    check!(refused(MAX_PTES_NONE, b"512"));
    file::write_file(MAX_PTES_NONE, b"0\n")?;
    let found = number(MAX_PTES_NONE);
    let text: user::text::Text<24> = user::text::Text::format(format_args!("{most}"));
    file::write_file(MAX_PTES_NONE, text.as_bytes())?;
    check_eq!(found?, 0);
    check!(file::write_file(COLLAPSED, b"1").is_err());
    Ok(())
}

/// KiB that one touch of shared memory makes resident.
fn touched() -> Result<u64, Trouble> {
    let pages = Pages::map(2 * user::sys::memory::block_size(), SHARED)?;
    pages.set(0, 1);
    let mut text = [0; 24 << 10];
    let text = file::read_file(c"/proc/self/smaps", &mut text)?;
    areas(text).find(|area| area.start == pages.base).map(|area| area.rss).ok_or(Trouble::Failed)
}

fn denied() -> Outcome {
    let mut buffer = [0; 128];
    check_eq!(file::read_file(SHMEM, &mut buffer)?, b"always within_size advise [never] deny force\n");
    let page_kib = user::sys::memory::page_size() as u64 / 1024;
    check!(touched()? > page_kib);
    file::write_file(SHMEM, b"deny")?;
    let denied = touched();
    file::write_file(SHMEM, b"never")?;
    check_eq!(denied?, page_kib);
    check_eq!(file::write_file(SHMEM, b"inherit"), Err(Errno::EINVAL));
    Ok(())
}

fn words() -> Outcome {
    let mut buffer = [0; 128];
    check_eq!(file::read_file(DEFRAG, &mut buffer)?, b"always defer defer+madvise [madvise] never\n");
    for word in [&b"always"[..], b"defer", b"defer+madvise", b"never", b"madvise\n"] {
        file::write_file(DEFRAG, word)?;
    }
    check_eq!(file::write_file(DEFRAG, b"sometimes"), Err(Errno::EINVAL));
    check_eq!(file::read_file(ZERO_PAGE, &mut buffer)?, b"0\n");
    check_eq!(file::write_file(ZERO_PAGE, b"2"), Err(Errno::EINVAL));
    file::write_file(ZERO_PAGE, b"0")?;
    Ok(())
}
