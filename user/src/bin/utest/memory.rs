//! Anonymous memory: mmap, munmap, mprotect, madvise, brk.

use user::rt::start::Args;
use user::sys::Errno;
use user::sys::file;
use user::sys::memory::{self, DONTNEED, NONE, PRIVATE, READ, READ_WRITE, SHARED, block_size, page_size};
use user::sys::process::signal::SIGSEGV;

use crate::harness::{Outcome, Test, child_passes, killed_by};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("mmap is zero-filled", zero_filled),
    ("read zero pages, then write", zero_page_then_write),
    ("munmap makes a hole", munmap_hole),
    ("mprotect takes and gives write permission", mprotect),
    ("PROT_NONE keeps the data", prot_none),
    ("madvise(DONTNEED) zeroes", dontneed),
    ("MAP_SHARED memory is seen across fork", shared_across_fork),
    ("MAP_FIXED replaces", map_fixed),
    ("brk grows and shrinks", brk),
    ("mmap and munmap reject bad arguments", bad_arguments),
    ("write page 7 after page 3 of a clean block", dirty_sibling),
    ("many mappings", many_mappings),
    ("the stack grows", stack_grows),
];

/// Memory that a test works on, with checked access.
#[derive(Clone, Copy)]
pub struct Pages {
    /// Address of the first page.
    pub base: usize,
    len: usize,
}

impl Pages {
    /// Maps `len` bytes, aligned to 2 MiB, read-write. `flags` as for [`memory::map`].
    pub fn map(len: usize, flags: u32) -> Result<Self, Errno> {
        const ALIGN: usize = 2 << 20;
        let start = memory::map(len + ALIGN, READ_WRITE, flags)?;
        let base = start.next_multiple_of(ALIGN);
        for (addr, len) in [(start, base - start), (base + len, start + ALIGN - base)] {
            if len > 0 {
                // SAFETY: the unaligned ends, which nobody uses.
                unsafe { memory::unmap(addr, len) }?;
            }
        }
        Ok(Pages { base, len })
    }

    /// Number of 4 KiB pages.
    pub fn count(&self) -> usize {
        self.len / page_size()
    }

    /// The first word of page `page` (0-based). Where the page may not be read, the process dies of it.
    pub fn get(&self, page: usize) -> u64 {
        assert!(page < self.count());
        // SAFETY: inside of memory that this object mapped; a fault ends the process.
        unsafe { ((self.base + page * page_size()) as *const u64).read_volatile() }
    }

    /// Sets the first word of page `page` (0-based). Where the page may not be written, the process dies of it.
    pub fn set(&self, page: usize, value: u64) {
        assert!(page < self.count());
        // SAFETY: as for `get`; nothing borrows the memory.
        unsafe { ((self.base + page * page_size()) as *mut u64).write_volatile(value) };
    }

    /// Sets page `n` to `seed + n`, for all pages.
    pub fn fill(&self, seed: u64) {
        (0..self.count()).for_each(|page| self.set(page, seed + page as u64));
    }

    /// Whether page `n` still is `seed + n`, for all `pages`.
    pub fn is_filled(&self, seed: u64, mut pages: impl Iterator<Item = usize>) -> bool {
        pages.all(|page| self.get(page) == seed + page as u64)
    }

    /// mprotect of `count` pages from `page` (0-based) on.
    pub fn protect(&self, page: usize, count: usize, prot: u32) -> Result<(), Errno> {
        assert!(page + count <= self.count());
        // SAFETY: nothing borrows the memory; a forbidden access ends the process.
        unsafe { memory::protect(self.base + page * page_size(), count * page_size(), prot) }
    }

    /// munmap of `count` pages from `page` (0-based) on.
    pub fn unmap(&self, page: usize, count: usize) -> Result<(), Errno> {
        assert!(page + count <= self.count());
        // SAFETY: as for `protect`.
        unsafe { memory::unmap(self.base + page * page_size(), count * page_size()) }
    }

    /// madvise(DONTNEED) of `count` pages from `page` (0-based) on.
    pub fn forget(&self, page: usize, count: usize) -> Result<(), Errno> {
        assert!(page + count <= self.count());
        // SAFETY: as for `protect`.
        unsafe { memory::advise(self.base + page * page_size(), count * page_size(), DONTNEED) }
    }
}

fn zero_filled(_: Args) -> Outcome {
    let pages = Pages::map(4 * block_size(), PRIVATE)?;
    for page in 0..pages.count() {
        // SAFETY: the whole page is mapped readable.
        let words = unsafe {
            core::slice::from_raw_parts((pages.base + page * page_size()) as *const u64, page_size() / 8)
        };
        check!(words.iter().all(|word| *word == 0));
    }
    Ok(())
}

fn zero_page_then_write(_: Args) -> Outcome {
    let pages = Pages::map(2 * block_size(), PRIVATE)?;
    check!((0..pages.count()).all(|page| pages.get(page) == 0));
    pages.set(5, 55);
    check_eq!(pages.get(5), 55);
    check!((0..pages.count()).all(|page| page == 5 || pages.get(page) == 0));
    // Another mapping's zero pages must not have changed.
    let other = Pages::map(block_size(), PRIVATE)?;
    check!((0..other.count()).all(|page| other.get(page) == 0));
    Ok(())
}

fn munmap_hole(_: Args) -> Outcome {
    let pages = Pages::map(2 * block_size(), PRIVATE)?;
    pages.fill(100);
    pages.unmap(5, 3)?;
    check!(pages.is_filled(100, (0..5).chain(8..32)));
    for page in 5..8 {
        killed_by(SIGSEGV, || pages.get(page))?;
    }
    pages.set(4, 1);
    pages.set(8, 2);
    check_eq!((pages.get(4), pages.get(8)), (1, 2));
    Ok(())
}

fn mprotect(_: Args) -> Outcome {
    let pages = Pages::map(2 * block_size(), PRIVATE)?;
    pages.fill(200);
    pages.protect(0, 32, READ)?;
    check!(pages.is_filled(200, 0..32));
    killed_by(SIGSEGV, || pages.set(9, 1))?;
    pages.protect(0, 32, READ_WRITE)?;
    pages.fill(300);
    pages.protect(4, 6, READ)?;
    pages.set(3, 1);
    pages.set(10, 1);
    killed_by(SIGSEGV, || pages.set(4, 1))?;
    killed_by(SIGSEGV, || pages.set(9, 1))?;
    check!(pages.is_filled(300, 4..10));
    Ok(())
}

fn prot_none(_: Args) -> Outcome {
    let pages = Pages::map(block_size(), PRIVATE)?;
    pages.fill(7);
    pages.protect(0, 16, NONE)?;
    killed_by(SIGSEGV, || pages.get(0))?;
    pages.protect(0, 16, READ_WRITE)?;
    check!(pages.is_filled(7, 0..16));
    pages.fill(8);
    check!(pages.is_filled(8, 0..16));
    Ok(())
}

fn dontneed(_: Args) -> Outcome {
    let pages = Pages::map(2 * block_size(), PRIVATE)?;
    pages.fill(1);
    pages.forget(3, 1)?;
    pages.forget(16, 16)?;
    check_eq!(pages.get(3), 0);
    check!((16..32).all(|page| pages.get(page) == 0));
    check!(pages.is_filled(1, (0..3).chain(4..16)));
    pages.set(3, 9);
    check_eq!(pages.get(3), 9);
    Ok(())
}

fn shared_across_fork(_: Args) -> Outcome {
    let pages = Pages::map(2 * block_size(), SHARED)?;
    pages.set(0, 1);
    child_passes(|| {
        check_eq!(pages.get(0), 1);
        pages.set(0, 2);
        // A page that the parent has not touched yet.
        pages.set(20, 3);
        Ok(())
    })?;
    check_eq!((pages.get(0), pages.get(20)), (2, 3));
    Ok(())
}

fn map_fixed(_: Args) -> Outcome {
    let pages = Pages::map(block_size(), PRIVATE)?;
    pages.fill(1);
    let (addr, flags) = (pages.base + 4 * page_size(), PRIVATE | memory::FIXED);
    // SAFETY: in the middle of the test's own memory, which nothing borrows.
    let at = unsafe { memory::map_at(addr, 2 * page_size(), READ_WRITE, flags, -1, 0) }?;
    check_eq!(at, addr);
    check_eq!((pages.get(4), pages.get(5)), (0, 0));
    check!(pages.is_filled(1, (0..4).chain(6..16)));
    Ok(())
}

fn brk(_: Args) -> Outcome {
    // SAFETY: only asks.
    let start = unsafe { memory::brk(0) };
    let end = start.next_multiple_of(page_size()) + 3 * page_size();
    // SAFETY: grows: nothing is above the break.
    check_eq!(unsafe { memory::brk(end) }, end);
    let last = (end - 8) as *mut u64;
    // SAFETY: inside the heap just made.
    unsafe { last.write_volatile(77) };
    // SAFETY: as above.
    check_eq!(unsafe { last.read_volatile() }, 77);
    // SAFETY: nothing uses the heap.
    check_eq!(unsafe { memory::brk(end - page_size()) }, end - page_size());
    killed_by(SIGSEGV, || {
        // SAFETY: faults.
        unsafe { last.read_volatile() };
    })?;
    // SAFETY: grows.
    check_eq!(unsafe { memory::brk(end) }, end);
    // SAFETY: inside the heap again.
    check_eq!(unsafe { last.read_volatile() }, 0);
    // SAFETY: below the heap's start: refused, nothing changes.
    check_eq!(unsafe { memory::brk(page_size()) }, end);
    Ok(())
}

fn bad_arguments(_: Args) -> Outcome {
    check_eq!(memory::map(0, READ_WRITE, PRIVATE), Err(Errno::EINVAL));
    check_eq!(memory::map(usize::MAX, READ_WRITE, PRIVATE), Err(Errno::ENOMEM));
    check_eq!(memory::map(1 << 60, READ_WRITE, PRIVATE), Err(Errno::ENOMEM));
    // SAFETY: all of these are refused, or hit nothing.
    unsafe {
        check_eq!(
            memory::map_at(1 << 52, page_size(), READ, PRIVATE | memory::FIXED, -1, 0),
            Err(Errno::ENOMEM)
        );
        check_eq!(memory::map_at(0, page_size(), READ, memory::FILE_PRIVATE, 99, 0), Err(Errno::EBADF));
        check_eq!(memory::unmap(1, page_size()), Err(Errno::EINVAL));
        check_eq!(memory::unmap(page_size(), 0), Err(Errno::EINVAL));
        check_eq!(memory::unmap(page_size(), usize::MAX - page_size()), Err(Errno::EINVAL));
        check_eq!(memory::unmap(usize::MAX & !(page_size() - 1), page_size()), Err(Errno::EINVAL));
        check_eq!(memory::protect(1, page_size(), READ), Err(Errno::EINVAL));
        check_eq!(memory::protect(page_size(), page_size(), READ), Err(Errno::ENOMEM));
        check_eq!(memory::advise(page_size(), page_size(), DONTNEED), Err(Errno::ENOMEM));
        check_eq!(memory::advise(page_size(), page_size(), 999), Err(Errno::EINVAL));
    }
    Ok(())
}

fn dirty_sibling(_: Args) -> Outcome {
    // Section 2, row 9 of Linux's contpte layer: an access-flags update of one entry must not be taken for done because
    // a sibling in the block is dirty already. That once looped for ever on CPUs without hardware dirty management.
    let pages = Pages::map(block_size(), PRIVATE)?;
    pages.fill(1);
    pages.protect(0, 16, READ)?;
    pages.protect(0, 16, READ_WRITE)?;
    pages.set(3, 33);
    pages.set(7, 77);
    child_passes(|| Ok(()))?;
    pages.set(3, 34);
    pages.set(7, 78);
    check_eq!((pages.get(3), pages.get(7)), (34, 78));
    // The same from zero pages.
    let pages = Pages::map(block_size(), PRIVATE)?;
    check!((0..16).all(|page| pages.get(page) == 0));
    pages.set(3, 3);
    pages.set(7, 7);
    check_eq!((pages.get(3), pages.get(7), pages.get(4)), (3, 7, 0));
    Ok(())
}

fn many_mappings(_: Args) -> Outcome {
    // Alternate permissions, so that no two neighbours can be merged.
    let pages = Pages::map(1 << 20, PRIVATE)?;
    pages.fill(1);
    for page in (0..pages.count()).step_by(2) {
        pages.protect(page, 1, READ)?;
    }
    child_passes(|| {
        check!(pages.is_filled(1, 0..pages.count()));
        Ok(())
    })?;
    pages.protect(0, pages.count(), READ_WRITE)?;
    pages.fill(2);
    check!(pages.is_filled(2, 0..pages.count()));
    Ok(())
}

fn stack_grows(_: Args) -> Outcome {
    /// Much more than a program has to begin with; a quarter of what it may have.
    const LEN: usize = 2 << 20;
    #[inline(never)]
    fn deep() -> Outcome {
        let mut local = core::hint::black_box([0u8; LEN]);
        // The lowest first, and by the kernel.
        let pipe = file::pipe(0)?;
        file::write_all(pipe.write, &[9; 16])?;
        check_eq!(file::read(pipe.read, &mut local[..16]), Ok(16));
        local[LEN - 1] = 8;
        child_passes(|| {
            check_eq!((local[0], local[15], local[16], local[LEN - 1]), (9, 9, 0, 8));
            Ok(())
        })?;
        core::hint::black_box(&local);
        Ok(())
    }
    child_passes(deep)
}
