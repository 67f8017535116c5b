//! Shared memory and mapped files in folios larger than a page: what one fault maps.

use core::ffi::CStr;

use user::probe;
use user::rt::start::Args;
use user::sys::memory::{self, FILE_PRIVATE, READ, SHARED, block_size, page_size};
use user::sys::{Errno, file};
use user::text::Text;

use crate::harness::{Outcome, Test, Trouble, child_passes};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("shared memory is mapped by the block", shared_by_block),
    ("a child maps shared memory by the block", child_by_block),
    ("a file is mapped by the block", file_by_block),
    ("shmem_enabled rules shared memory's folios", policy),
];

/// Blocks of the shared memory under test.
const BLOCKS: usize = 4;
/// Page faults beside those under test: the stack's, and those that only find a translation not seen yet.
const FEW: u64 = 8;

fn pleat() -> Outcome {
    if probe::is_pleat() { Ok(()) } else { Err(Trouble::Skip("this kernel does not say what is folded")) }
}

/// What `f` made of it: page faults taken, and KiB mapped by contpte blocks.
fn cost(f: impl FnOnce()) -> (u64, u64) {
    let faults = || probe::counters().get("pgfault").unwrap_or(0);
    let folded = || probe::contpte_kib().unwrap_or(0);
    let (faults_before, folded_before) = (faults(), folded());
    f();
    (faults() - faults_before, folded() - folded_before)
}

/// Has the code run once that a measurement runs in: the program's text is mapped by blocks, too, where it is first used.
fn warm() -> Outcome {
    let page = Pages::map(page_size(), SHARED)?;
    page.fill(1);
    check!(page.is_filled(1, 0..1));
    Ok(())
}

fn shared_by_block(_: Args) -> Outcome {
    pleat()?;
    warm()?;
    let pages = Pages::map(BLOCKS * block_size(), SHARED)?;
    let (faults, folded) = cost(|| pages.fill(1));
    check_eq!(folded, (BLOCKS * block_size() / 1024) as u64);
    check!(faults <= BLOCKS as u64 + FEW);
    Ok(())
}

fn child_by_block(_: Args) -> Outcome {
    pleat()?;
    let pages = Pages::map(BLOCKS * block_size(), SHARED)?;
    pages.fill(1);
    child_passes(|| {
        warm()?;
        let mut all = false;
        let (faults, folded) = cost(|| all = pages.is_filled(1, 0..pages.count()));
        check!(all);
        check_eq!(folded, (BLOCKS * block_size() / 1024) as u64);
        check!(faults <= BLOCKS as u64 + FEW);
        pages.set(5, 99);
        Ok(())
    })?;
    check_eq!(pages.get(5), 99);
    Ok(())
}

fn file_by_block(_: Args) -> Outcome {
    pleat()?;
    let fd = file::open(c"/bin/utest", file::READ_ONLY)?;
    let (_, size) = file::stat(fd)?;
    let (page, block) = (page_size(), block_size());
    // Of whole pages: the last is mapped to its end.
    let blocks = (size as usize).next_multiple_of(page) / block;
    // From the second page on: the mapping begins as far into a block as the file's page does.
    // SAFETY: at no fixed place.
    let base = unsafe { memory::map_at(0, size as usize - page, READ, FILE_PRIVATE, fd, page as u64) }?;
    if size as usize >= page + block {
        check_eq!(base % block, page);
    }
    let (faults, folded) = cost(|| {
        for offset in (0..size as usize - page).step_by(page) {
            // SAFETY: mapped above, and not beyond the file's end.
            unsafe { ((base + offset) as *const u8).read_volatile() };
        }
    });
    check_eq!(folded, (blocks.saturating_sub(1) * block / 1024) as u64);
    // The folios of what is left behind the last whole block are smaller; a read maps those that are there.
    check!(faults <= blocks as u64 + 2 * FEW);
    Ok(())
}

fn policy(_: Args) -> Outcome {
    pleat()?;
    const DIR: &str = "/sys/kernel/mm/transparent_hugepage";
    let path: Text<96> =
        Text::format(format_args!("{DIR}/hugepages-{}kB/shmem_enabled\0", block_size() / 1024));
    let path = CStr::from_bytes_with_nul(path.as_bytes()).map_err(|_| Errno::EINVAL)?;
    let write = |word: &[u8]| -> Outcome {
        let fd = file::open(path, file::WRITE_ONLY)?;
        file::write_all(fd, word)?;
        Ok(file::close(fd)?)
    };
    let mut buffer = [0; 128];
    check_eq!(file::read_file(path, &mut buffer)?, b"always inherit [within_size] advise never\n");
    write(b"never")?;
    let outcome = (|| {
        let pages = Pages::map(BLOCKS * block_size(), SHARED)?;
        let (_, folded) = cost(|| pages.fill(1));
        check_eq!(folded, 0);
        Ok(())
    })();
    write(b"within_size")?;
    outcome
}
