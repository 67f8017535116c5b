//! Swap (MADV_PAGEOUT), soft-dirty bits and pagemap.
//!
//! On Pleat each test makes swap for itself and takes it away again: where there is some, exhausted memory is something
//! else. Elsewhere there is some or not; what is true of pages is true either way.

use core::ffi::CStr;

use user::sys::file::{self, READ_ONLY, SEEK_SET};
use user::sys::memory::{self, PRIVATE, block_size, page_size};
use user::sys::{Errno, process};
use user::{probe, rt::start::Args};

use crate::harness::{Outcome, Test, Trouble, as_status, child_passes};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("paged out memory comes back", |_| with_swap(comes_back)),
    ("fork shares what is paged out", |_| with_swap(fork_of_paged_out)),
    ("pages go out and come back, round after round", |_| with_swap(many_pages)),
    ("soft-dirty pages are those written", soft_dirty),
    ("fork keeps soft-dirty bits", |_| fork_keeps_soft_dirty()),
    ("soft offlining keeps the contents", soft_offline),
];

/// Linux's number of the advice to page out.
const PAGEOUT: u32 = linux_raw_sys::general::MADV_PAGEOUT;
const SOFT_OFFLINE: u32 = linux_raw_sys::general::MADV_SOFT_OFFLINE;

const SIZE: &CStr = c"/sys/kernel/mm/swap/size";
const SOFT_DIRTY: u64 = 1 << 55;
const SWAPPED: u64 = 1 << 62;
const PRESENT: u64 = 1 << 63;

/// Runs `test` in a child, so that all its pages are gone before swap is.
fn with_swap(test: fn() -> Outcome) -> Outcome {
    let ours = match file::write_file(SIZE, b"32M\n") {
        Ok(()) => true,
        Err(Errno::EBUSY) => false, // made at boot
        Err(_) if !probe::is_pleat() => false,
        Err(errno) => return Err(errno.into()),
    };
    let outcome = child_passes(test);
    if ours {
        file::write_file(SIZE, b"0")?;
    }
    outcome
}

/// The word of pagemap about page `page` of `pages`.
fn word(pages: &Pages, page: usize) -> Result<u64, Trouble> {
    let fd = file::open(c"/proc/self/pagemap", READ_ONLY)?;
    let mut bytes = [0; 8];
    file::seek(fd, ((pages.base / page_size() + page) * 8) as i64, SEEK_SET)?;
    let count = file::read(fd, &mut bytes)?;
    file::close(fd)?;
    check_eq!(count, 8);
    Ok(u64::from_ne_bytes(bytes))
}

fn advise(pages: &Pages, advice: u32) -> Result<(), Errno> {
    // SAFETY: neither paging out nor moving pages changes what is in them.
    unsafe { memory::advise(pages.base, pages.count() * page_size(), advice) }
}

fn comes_back() -> Outcome {
    let pages = Pages::map(4 * block_size(), PRIVATE)?;
    pages.fill(1000);
    advise(&pages, PAGEOUT)?;
    if probe::is_pleat() {
        check_eq!(word(&pages, 5)? & (PRESENT | SWAPPED), SWAPPED);
    }
    check!(pages.is_filled(1000, 0..pages.count()));
    check_eq!(word(&pages, 5)? & (PRESENT | SWAPPED), PRESENT);
    advise(&pages, PAGEOUT)?;
    pages.fill(2000);
    check!(pages.is_filled(2000, 0..pages.count()));
    // Unmapped while it is out.
    advise(&pages, PAGEOUT)?;
    pages.unmap(0, pages.count() / 2)?;
    check!(pages.is_filled(2000, pages.count() / 2..pages.count()));
    Ok(())
}

fn fork_of_paged_out() -> Outcome {
    let pages = Pages::map(4 * block_size(), PRIVATE)?;
    pages.fill(1);
    advise(&pages, PAGEOUT)?;
    let child = process::spawn(|| {
        as_status((|| {
            check!(pages.is_filled(1, 0..pages.count()));
            pages.fill(500);
            check!(pages.is_filled(500, 0..pages.count()));
            Ok(())
        })())
    })?;
    pages.set(3, 77);
    check_eq!(process::wait(child)?.exited(), Some(0));
    check_eq!(pages.get(3), 77);
    check!(pages.is_filled(1, (0..pages.count()).filter(|page| *page != 3)));
    Ok(())
}

fn many_pages() -> Outcome {
    let pages = Pages::map(8 << 20, PRIVATE)?;
    for round in 0..3 {
        pages.fill(round);
        advise(&pages, PAGEOUT)?;
        check!(pages.is_filled(round, 0..pages.count()));
    }
    Ok(())
}

/// Clears the soft-dirty bits of this process, or says why that cannot be tested.
fn clear_soft_dirty() -> Result<(), Trouble> {
    match file::write_file(c"/proc/self/clear_refs", b"4") {
        Err(_) if !probe::is_pleat() => Err(Trouble::Skip("this kernel does not track soft-dirty pages")),
        done => Ok(done?),
    }
}

fn written(pages: &Pages, expected: &[usize]) -> Outcome {
    for page in 0..pages.count() {
        check_eq!((page, word(pages, page)? & SOFT_DIRTY != 0), (page, expected.contains(&page)));
    }
    Ok(())
}

fn soft_dirty(_: Args) -> Outcome {
    let pages = Pages::map(2 * block_size(), PRIVATE)?;
    pages.fill(0);
    clear_soft_dirty()?;
    check!(pages.is_filled(0, 0..pages.count()));
    if !probe::is_pleat() && word(&pages, 0)? & SOFT_DIRTY != 0 {
        return Err(Trouble::Skip("this kernel does not track soft-dirty pages"));
    }
    written(&pages, &[])?;
    pages.set(3, 3);
    pages.set(20, 20);
    written(&pages, &[3, 20])?;
    check!(pages.is_filled(0, 0..pages.count()));
    clear_soft_dirty()?;
    pages.set(21, 21);
    written(&pages, &[21])
}

fn fork_keeps_soft_dirty() -> Outcome {
    let pages = Pages::map(2 * block_size(), PRIVATE)?;
    pages.fill(0);
    clear_soft_dirty()?;
    pages.set(3, 3);
    if word(&pages, 4)? & SOFT_DIRTY != 0 {
        return Err(Trouble::Skip("this kernel does not track soft-dirty pages"));
    }
    child_passes(|| {
        written(&pages, &[3])?;
        pages.set(9, 9);
        written(&pages, &[3, 9])
    })?;
    pages.set(5, 5);
    written(&pages, &[3, 5])?;
    check!(pages.is_filled(0, 0..pages.count()));
    Ok(())
}

fn soft_offline(_: Args) -> Outcome {
    if !probe::is_pleat() {
        return Err(Trouble::Skip("this kernel would take frames out of use"));
    }
    let pages = Pages::map(block_size(), PRIVATE)?;
    pages.fill(40);
    let before = word(&pages, 3)?;
    advise(&pages, SOFT_OFFLINE)?;
    check!(word(&pages, 3)? != before);
    check!(pages.is_filled(40, 0..pages.count()));
    Ok(())
}
