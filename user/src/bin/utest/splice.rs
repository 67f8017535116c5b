//! vmsplice: pages of this process in a pipe, and what fork makes of them.

use user::probe;
use user::rt::start::Args;
use user::sys::file::{self, GIFT, NONBLOCK, POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT, Pipe};
use user::sys::memory::{LARGEST_PAGE, NONE, PRIVATE, READ, SHARED, page_size};
use user::sys::process::signal::SIGPIPE;
use user::sys::{Errno, process};

use crate::harness::{Outcome, Test, Trouble, as_status, child_passes, killed_by};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("vmsplice: pages come out of the pipe, with what was written", in_order),
    ("vmsplice, fork, write: the pipe shows the parent's page", pinned_across_fork),
    ("vmsplice of a page that a child shares", shared_then_spliced),
    ("vmsplice, fork: every page of the child's is its own", child_has_its_own),
    ("vmsplice of untouched, read-only and shared memory", kinds_of_memory),
    ("vmsplice: a pipe holds 16 pages", until_full),
    ("vmsplice from a pipe copies", from_pipe),
    ("vmsplice, then munmap and exit: the data stays", outlives_the_mapping),
    ("vmsplice reports errors", errors),
    ("poll waits for pages in a pipe and for room", polled),
    ("vmsplice: a closed pipe gives its pages back", closed_full),
];

/// Hands `len` bytes from offset `from` of `pages` to the pipe, as many as it takes.
fn splice(pipe: Pipe, pages: &Pages, from: usize, len: usize) -> Result<usize, Errno> {
    // SAFETY: the kernel only reads the pages.
    unsafe { file::vmsplice(pipe.write, &[[pages.base + from, len]], GIFT | NONBLOCK) }
}

/// Reads a page from the pipe; its first word.
fn next_word(pipe: Pipe) -> Result<u64, Trouble> {
    let mut page = [0; LARGEST_PAGE];
    check_eq!(file::read_all(pipe.read, &mut page[..page_size()])?, page_size());
    let [a, b, c, d, e, f, g, h, ..] = page;
    Ok(u64::from_ne_bytes([a, b, c, d, e, f, g, h]))
}

fn in_order(_: Args) -> Outcome {
    let (pages, pipe) = (Pages::map(16 * page_size(), PRIVATE)?, file::pipe(0)?);
    pages.fill(0x4141_4141_4141_4100);
    file::write_all(pipe.write, b"before")?;
    // From the middle of a page into the next, then two spans, the last of one byte.
    check_eq!(splice(pipe, &pages, page_size() - 3, 8), Ok(8));
    // SAFETY: the kernel only reads the pages.
    let two = unsafe { file::vmsplice(pipe.write, &[[pages.base, 2], [pages.base + 5 * page_size(), 1]], 0) };
    check_eq!(two, Ok(3));
    file::write_all(pipe.write, b"behind")?;
    let mut buffer = [0; 23];
    check_eq!(file::read_all(pipe.read, &mut buffer), Ok(23));
    check_eq!(buffer, *b"before\0\0\0\x01AAAA\x00A\x05behind");
    Ok(())
}

fn pinned_across_fork(_: Args) -> Outcome {
    if !probe::is_pleat() {
        // Linux takes references here, not pins, so that after a fork the first to write leaves with a copy.
        return Err(Trouble::Skip("Pleat's promise only"));
    }
    let (pages, pipe) = (Pages::map(32 * page_size(), PRIVATE)?, file::pipe(0)?);
    pages.fill(100);
    check_eq!(splice(pipe, &pages, 5 * page_size(), 2 * page_size()), Ok(2 * page_size()));
    let go = file::pipe(0)?;
    let child = process::spawn(|| {
        as_status((|| {
            file::read(go.read, &mut [0])?;
            check!(pages.is_filled(100, 0..pages.count()));
            pages.fill(300);
            check!(pages.is_filled(300, 0..pages.count()));
            Ok(())
        })())
    })?;
    pages.set(5, 500);
    // The page was pinned: it is still the one that this process maps, and the child has the old contents.
    check_eq!(next_word(pipe)?, 500);
    file::write_all(go.write, &[1])?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    check_eq!(next_word(pipe)?, 106);
    check_eq!(pages.get(5), 500);
    check!(pages.is_filled(100, (0..pages.count()).filter(|page| *page != 5)));
    Ok(())
}

fn shared_then_spliced(_: Args) -> Outcome {
    if !probe::is_pleat() {
        return Err(Trouble::Skip("Pleat's promise only"));
    }
    let (pages, pipe, go) = (Pages::map(16 * page_size(), PRIVATE)?, file::pipe(0)?, file::pipe(0)?);
    pages.fill(10);
    let child = process::spawn(|| {
        as_status((|| {
            file::read(go.read, &mut [0])?;
            check!(pages.is_filled(10, 0..pages.count()));
            pages.fill(30);
            Ok(())
        })())
    })?;
    check_eq!(splice(pipe, &pages, 3 * page_size(), page_size()), Ok(page_size()));
    pages.set(3, 99);
    file::write_all(go.write, &[1])?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    check_eq!(next_word(pipe)?, 99);
    check_eq!(pages.get(3), 99);
    Ok(())
}

fn child_has_its_own(_: Args) -> Outcome {
    let (pages, pipe) = (Pages::map(32 * page_size(), PRIVATE)?, file::pipe(0)?);
    pages.fill(7);
    check_eq!(splice(pipe, &pages, page_size(), page_size()), Ok(page_size()));
    child_passes(|| {
        check!(pages.is_filled(7, 0..pages.count()));
        pages.fill(1000);
        child_passes(|| {
            check!(pages.is_filled(1000, 0..pages.count()));
            pages.fill(2000);
            Ok(())
        })?;
        check!(pages.is_filled(1000, 0..pages.count()));
        Ok(())
    })?;
    check_eq!(next_word(pipe)?, 8);
    check!(pages.is_filled(7, 0..pages.count()));
    pages.fill(9);
    check!(pages.is_filled(9, 0..pages.count()));
    Ok(())
}

fn kinds_of_memory(_: Args) -> Outcome {
    let (pages, pipe) = (Pages::map(16 * page_size(), PRIVATE)?, file::pipe(0)?);
    check_eq!(pages.get(0), 0);
    pages.set(2, 2);
    pages.protect(2, 1, READ)?;
    check_eq!(splice(pipe, &pages, 0, 3 * page_size()), Ok(3 * page_size()));
    check_eq!([next_word(pipe)?, next_word(pipe)?, next_word(pipe)?], [0, 0, 2]);
    let shared = Pages::map(16 * page_size(), SHARED)?;
    shared.set(1, 5);
    check_eq!(splice(pipe, &shared, page_size(), page_size()), Ok(page_size()));
    child_passes(|| {
        shared.set(1, 6);
        Ok(())
    })?;
    check_eq!(next_word(pipe)?, 6);
    Ok(())
}

fn until_full(_: Args) -> Outcome {
    let (pages, pipe) = (Pages::map(32 * page_size(), PRIVATE)?, file::pipe(0)?);
    pages.fill(1);
    check_eq!(splice(pipe, &pages, 0, 20 * page_size()), Ok(16 * page_size()));
    check_eq!(splice(pipe, &pages, 0, 1), Err(Errno::EAGAIN));
    check_eq!(next_word(pipe)?, 1);
    check_eq!(splice(pipe, &pages, 16 * page_size(), 4 * page_size()), Ok(page_size()));
    for page in 1..17 {
        check_eq!(next_word(pipe)?, 1 + page);
    }
    // With a reader that takes its time, a blocking call waits for room.
    let child = process::spawn(|| {
        as_status((|| {
            let mut left = 32;
            while left > 0 {
                let from = pages.base + (32 - left) * page_size();
                // SAFETY: the kernel only reads the pages.
                left -=
                    unsafe { file::vmsplice(pipe.write, &[[from, left * page_size()]], 0) }? / page_size();
            }
            Ok(())
        })())
    })?;
    for page in 0..32 {
        check_eq!(next_word(pipe)?, 1 + page);
    }
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}

fn from_pipe(_: Args) -> Outcome {
    let (pages, pipe) = (Pages::map(16 * page_size(), PRIVATE)?, file::pipe(0)?);
    pages.fill(40);
    check_eq!(splice(pipe, &pages, 3 * page_size(), 2 * page_size()), Ok(2 * page_size()));
    let spans = [[pages.base + 8 * page_size(), page_size()], [pages.base + 12 * page_size(), page_size()]];
    // SAFETY: the kernel writes into memory that nothing borrows.
    check_eq!(unsafe { file::vmsplice(pipe.read, &spans, 0) }, Ok(2 * page_size()));
    check_eq!([pages.get(8), pages.get(12), pages.get(3)], [43, 44, 43]);
    // SAFETY: as above.
    check_eq!(unsafe { file::vmsplice(pipe.read, &spans, NONBLOCK) }, Err(Errno::EAGAIN));
    file::close(pipe.write)?;
    // SAFETY: as above.
    check_eq!(unsafe { file::vmsplice(pipe.read, &spans, 0) }, Ok(0));
    Ok(())
}

fn outlives_the_mapping(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    child_passes(|| {
        let pages = Pages::map(16 * page_size(), PRIVATE)?;
        pages.fill(70);
        check_eq!(splice(pipe, &pages, 0, 2 * page_size()), Ok(2 * page_size()));
        pages.unmap(0, 1)?;
        let other = Pages::map(16 * page_size(), PRIVATE)?;
        other.fill(0);
        Ok(())
    })?;
    check_eq!([next_word(pipe)?, next_word(pipe)?], [70, 71]);
    Ok(())
}

fn polled(_: Args) -> Outcome {
    const SOON: u64 = 1_000_000;
    const LONG: u64 = 30_000_000_000;
    let (pages, pipe) = (Pages::map(16 * page_size(), PRIVATE)?, file::pipe(0)?);
    check_eq!(file::poll(pipe.read, POLL_IN, SOON), Ok(0));
    check_eq!(file::poll(pipe.write, POLL_OUT, LONG), Ok(POLL_OUT));
    let child =
        process::spawn(|| i32::from(splice(pipe, &pages, 0, 16 * page_size()) != Ok(16 * page_size())))?;
    check_eq!(file::poll(pipe.read, POLL_IN, LONG), Ok(POLL_IN));
    check_eq!(process::wait(child)?.exited(), Some(0));
    check_eq!(file::poll(pipe.write, POLL_OUT, SOON), Ok(0));
    next_word(pipe)?;
    check_eq!(file::poll(pipe.write, POLL_OUT, 0), Ok(POLL_OUT));
    file::close(pipe.write)?;
    check_eq!(file::poll(pipe.read, 0, LONG), Ok(POLL_HUP));
    let other = file::pipe(0)?;
    file::close(other.read)?;
    check_eq!(file::poll(other.write, 0, LONG), Ok(POLL_ERR));
    Ok(())
}

fn errors(_: Args) -> Outcome {
    let (pages, pipe) = (Pages::map(16 * page_size(), PRIVATE)?, file::pipe(0)?);
    pages.fill(1);
    let call = |fd, addr, len, flags| {
        // SAFETY: the kernel reads the pages at most; the reading end is empty.
        unsafe { file::vmsplice(fd, &[[addr, len]], flags) }
    };
    check_eq!(call(pipe.write, pages.base, 1, 0x100), Err(Errno::EINVAL));
    check_eq!(call(99, pages.base, 1, 0), Err(Errno::EBADF));
    check_eq!(call(1, pages.base, 1, 0), Err(Errno::EBADF)); // the console
    check_eq!(call(pipe.write, pages.base, 0, 0), Ok(0));
    pages.protect(1, 1, NONE)?;
    pages.unmap(2, 1)?;
    check_eq!(call(pipe.write, pages.base + page_size(), 1, 0), Err(Errno::EFAULT));
    check_eq!(call(pipe.write, pages.base + 2 * page_size(), 1, 0), Err(Errno::EFAULT));
    check_eq!(call(pipe.write, usize::MAX - page_size(), 1, 0), Err(Errno::EFAULT));
    check_eq!(call(pipe.write, pages.base, 2 * page_size(), NONBLOCK), Ok(page_size()));
    file::close(pipe.read)?;
    killed_by(SIGPIPE, || call(pipe.write, pages.base, 1, 0))
}

fn closed_full(_: Args) -> Outcome {
    let Some(before) = probe::free_pages() else { return Err(Trouble::Skip("/proc/vmstat does not say")) };
    for _ in 0..64 {
        child_passes(|| {
            let (pages, pipe) = (Pages::map(128 * page_size(), PRIVATE)?, file::pipe(0)?);
            pages.fill(1);
            for page in 0..16 {
                check_eq!(splice(pipe, &pages, page * 8 * page_size(), page_size()), Ok(page_size()));
            }
            Ok(())
        })?;
    }
    // Leaked, it would be 16 pages each, and the folios they are in.
    let after = probe::free_pages().unwrap_or(0);
    check!(after + 512 > before);
    Ok(())
}
