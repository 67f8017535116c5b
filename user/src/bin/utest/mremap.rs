//! mremap from EL0, and what it costs.

use user::probe;
use user::rt::start::Args;
use user::sys::Errno;
use user::sys::memory::{
    self, DONTUNMAP, MAYMOVE, MOVE_TO, PRIVATE, READ, READ_WRITE, SHARED, block_size, page_size,
};
use user::sys::process::signal::SIGSEGV;

use crate::harness::{Outcome, Test, Trouble, child_passes, killed_by};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("mremap grows in place and shrinks", grow_and_shrink),
    ("mremap moves what is in the way", moves),
    ("mremap to a fixed address, aligned and not", fixed),
    ("mremap(DONTUNMAP) leaves zeroes", dontunmap),
    ("mremap of length 0 duplicates shared memory", duplicate),
    ("mremap after fork stays copy-on-write", copy_on_write),
    ("mremap rejects bad arguments", bad_arguments),
    ("mremap moves tables and flushes once", cost),
];

/// Bytes that one last-level table translates with pages of 4 KiB.
const TABLE: usize = 2 << 20;

/// Pages of a contpte block.
fn block_pages() -> usize {
    block_size() / page_size()
}

/// mremap of a test's own memory, which nothing borrows.
fn remap(addr: usize, old_len: usize, new_len: usize, flags: u32, to: usize) -> Result<usize, Errno> {
    // SAFETY: tests pass addresses of mappings of theirs, or are refused.
    unsafe { memory::remap(addr, old_len, new_len, flags, to) }
}

/// The first word at `addr`.
fn get(addr: usize) -> u64 {
    // SAFETY: a fault ends the process, which is what the test finds out.
    unsafe { (addr as *const u64).read_volatile() }
}

/// Whether page `n` from `addr` holds `seed + n`, for `count` pages.
fn is_filled(addr: usize, seed: u64, count: usize) -> bool {
    (0..count).all(|page| get(addr + page * page_size()) == seed + page as u64)
}

fn grow_and_shrink(_: Args) -> Outcome {
    let n = block_pages();
    let pages = Pages::map(4 * block_size(), PRIVATE)?;
    pages.fill(1);
    pages.unmap(n, 3 * n)?;
    check_eq!(remap(pages.base, block_size(), 2 * block_size(), 0, 0), Ok(pages.base));
    check!(pages.is_filled(1, 0..n) && (n..2 * n).all(|page| pages.get(page) == 0));
    pages.set(2 * n - 1, 9);
    check_eq!(remap(pages.base, 2 * block_size(), 3 * page_size(), 0, 0), Ok(pages.base));
    check!(pages.is_filled(1, 0..3));
    killed_by(SIGSEGV, || pages.get(3))
}

fn moves(_: Args) -> Outcome {
    let pages = Pages::map(4 * block_size(), PRIVATE)?;
    pages.fill(1);
    check_eq!(remap(pages.base, block_size(), 8 * block_size(), 0, 0), Err(Errno::ENOMEM));
    let at = remap(pages.base, block_size(), 8 * block_size(), MAYMOVE, 0)?;
    check!(is_filled(at, 1, block_pages()) && get(at + 8 * block_size() - page_size()) == 0);
    killed_by(SIGSEGV, || pages.get(0))?;
    check!(pages.is_filled(1, block_pages()..pages.count()));
    Ok(())
}

fn fixed(_: Args) -> Outcome {
    let n = 4 * block_pages();
    let (pages, target) = (Pages::map(4 * block_size(), PRIVATE)?, Pages::map(8 * block_size(), PRIVATE)?);
    pages.fill(1);
    target.fill(500);
    // Blocks fall between blocks, and go back.
    let odd = target.base + 5 * page_size();
    check_eq!(remap(pages.base, 4 * block_size(), 4 * block_size(), MOVE_TO, odd), Ok(odd));
    check!(is_filled(odd, 1, n) && target.is_filled(500, (0..5).chain(n + 5..2 * n)));
    child_passes(|| {
        check!(is_filled(odd, 1, n));
        Ok(())
    })?;
    check_eq!(remap(odd, 4 * block_size(), 4 * block_size(), MOVE_TO, pages.base), Ok(pages.base));
    check!(pages.is_filled(1, 0..n));
    pages.fill(2);
    check!(pages.is_filled(2, 0..n));
    killed_by(SIGSEGV, || get(odd))
}

fn dontunmap(_: Args) -> Outcome {
    let n = 2 * block_pages();
    let (pages, target) = (Pages::map(2 * block_size(), PRIVATE)?, Pages::map(2 * block_size(), PRIVATE)?);
    pages.fill(1);
    let moved = remap(pages.base, 2 * block_size(), 2 * block_size(), MOVE_TO | DONTUNMAP, target.base);
    check_eq!(moved, Ok(target.base));
    check!(target.is_filled(1, 0..n) && (0..n).all(|page| pages.get(page) == 0));
    pages.fill(3);
    check!(target.is_filled(1, 0..n) && pages.is_filled(3, 0..n));
    Ok(())
}

fn duplicate(_: Args) -> Outcome {
    let pages = Pages::map(block_size(), SHARED)?;
    pages.fill(1);
    let twin = remap(pages.base + 4 * page_size(), 0, 4 * page_size(), MAYMOVE, 0)?;
    check!(is_filled(twin, 5, 4));
    pages.set(4, 99);
    check_eq!(get(twin), 99);
    Ok(())
}

fn copy_on_write(_: Args) -> Outcome {
    let (pages, target) = (Pages::map(TABLE, PRIVATE)?, Pages::map(TABLE, PRIVATE)?);
    pages.fill(1);
    child_passes(|| {
        check_eq!(remap(pages.base, TABLE, TABLE, MOVE_TO, target.base), Ok(target.base));
        check!(target.is_filled(1, 0..pages.count()));
        target.fill(7);
        child_passes(|| {
            target.set(3, 0);
            Ok(())
        })?;
        check!(target.is_filled(7, 0..pages.count()));
        Ok(())
    })?;
    check!(pages.is_filled(1, 0..pages.count()));
    Ok(())
}

fn bad_arguments(_: Args) -> Outcome {
    let pages = Pages::map(block_size(), PRIVATE)?;
    let at = pages.base;
    pages.protect(block_pages() / 2, block_pages() / 2, READ)?;
    check_eq!(remap(at + 1, page_size(), page_size(), MAYMOVE, 0), Err(Errno::EINVAL));
    check_eq!(remap(at, page_size(), 0, MAYMOVE, 0), Err(Errno::EINVAL));
    check_eq!(remap(at, page_size(), page_size(), 8, 0), Err(Errno::EINVAL));
    check_eq!(remap(at, page_size(), page_size(), MOVE_TO & !MAYMOVE, 0), Err(Errno::EINVAL));
    check_eq!(remap(at, 0, page_size(), MAYMOVE, 0), Err(Errno::EINVAL));
    check_eq!(remap(at, 2 * page_size(), 2 * page_size(), MOVE_TO, at + page_size()), Err(Errno::EINVAL));
    check_eq!(remap(at, page_size(), 2 * page_size(), MAYMOVE | DONTUNMAP, 0), Err(Errno::EINVAL));
    check_eq!(remap(page_size(), page_size(), 2 * page_size(), MAYMOVE, 0), Err(Errno::EFAULT));
    check_eq!(remap(at, block_size(), 2 * block_size(), MAYMOVE, 0), Err(Errno::EFAULT));
    check_eq!(remap(at, page_size(), 1 << 50, MAYMOVE, 0), Err(Errno::ENOMEM));
    Ok(())
}

fn cost(_: Args) -> Outcome {
    if !probe::is_pleat() || page_size() != 4096 {
        return Err(Trouble::Skip("this kernel does not count its flushes, or has larger tables"));
    }
    let pages = Pages::map(2 * TABLE, PRIVATE)?;
    let target = Pages::map(2 * TABLE, PRIVATE)?;
    // SAFETY: nothing uses it; the move then only moves.
    unsafe { memory::unmap(target.base, 2 * TABLE) }?;
    pages.fill(1);
    let before = probe::counters();
    let moved = remap(pages.base, 2 * TABLE, 2 * TABLE, MOVE_TO, target.base);
    let events = probe::counters().since(&before);
    check_eq!(moved, Ok(target.base));
    check_eq!(events.get("tables_moved"), Some(2));
    check_eq!((events.get("tlbi_asid"), events.get("tlbi_range")), (Some(1), Some(0)));
    check!(target.is_filled(1, 0..pages.count()));
    // SAFETY: the test's own memory, which nothing borrows.
    unsafe { memory::protect(target.base, TABLE, READ_WRITE) }?;
    Ok(())
}
