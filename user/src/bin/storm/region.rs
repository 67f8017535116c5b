//! The memory under measurement.

use user::rt::counter::touch;
use user::sys::memory::{self, block_size, page_size};
use user::sys::{Errno, Result};

/// Alignment of the region in bytes: the largest folio.
const ALIGN: usize = 2 << 20;
/// Where in each page [`Region::mark`] puts its mark, in bytes; [`Region::write_all`] writes byte 0.
const MARK: usize = 64;
/// Which page of a block [`Region::punch_holes`] takes: neither at its start nor at its end.
const HOLE: usize = 5;

/// A private anonymous mapping, aligned to 2 MiB, for large folios. Unmapped when dropped.
pub struct Region {
    base: usize,
    len: usize,
}

impl Region {
    /// Maps `len` bytes (a multiple of 2 MiB), without touching them.
    ///
    /// # Errors
    /// `ENOMEM`: no room.
    pub fn map(len: usize) -> Result<Self> {
        let start = memory::map(len + ALIGN, memory::READ_WRITE, memory::PRIVATE)?;
        let base = start.next_multiple_of(ALIGN);
        let (head, tail) = (base - start, start + ALIGN - base);
        for (addr, len) in [(start, head), (base + len, tail)] {
            if len > 0 {
                // SAFETY: the unaligned ends of a mapping that nobody uses yet.
                unsafe { memory::unmap(addr, len) }?;
            }
        }
        // SAFETY: changes no contents.
        match unsafe { memory::advise(base, len, memory::HUGEPAGE) } {
            // EINVAL: a kernel without large folios. The check of the folio size says what that means.
            Ok(()) | Err(Errno::EINVAL) => Ok(Region { base, len }),
            Err(errno) => Err(errno),
        }
    }

    /// Pages of 4 KiB in the region.
    pub fn pages(&self) -> usize {
        self.len / page_size()
    }

    /// Blocks of 64 KiB in the region.
    pub fn blocks(&self) -> usize {
        self.len / block_size()
    }

    /// Writes `value` to the first byte of every page.
    pub fn write_all(&self, value: u8) {
        // SAFETY: the region is mapped writable as long as `self` lives, and nothing borrows from it.
        unsafe { touch(self.base, page_size(), self.pages(), value) };
    }

    /// Writes `value` to the first byte of every 64 KiB block.
    pub fn write_first(&self, value: u8) {
        // SAFETY: as above.
        unsafe { touch(self.base, block_size(), self.blocks(), value) };
    }

    /// Splits the block descriptors that map the region, and does nothing else for good: a VMA that ends inside a block
    /// splits it, on Linux as here. The folios stay.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn split_blocks(&self) -> Result<()> {
        // SAFETY: the region is this object's own, and nobody forks meanwhile.
        unsafe { memory::split_blocks(self.base, self.len) }
    }

    /// Gives the whole region other access permissions.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn protect(&self, prot: u32) -> Result<()> {
        // SAFETY: nothing borrows from the region; who takes a permission away does not use it.
        unsafe { memory::protect(self.base, self.len, prot) }
    }

    /// Has the kernel forget one page of every block, by a call each.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn punch_holes(&self) -> Result<()> {
        (0..self.blocks()).try_for_each(|block| {
            let hole = self.base + block * block_size() + HOLE * page_size();
            // SAFETY: within the region, from which nothing borrows.
            unsafe { memory::advise(hole, page_size(), memory::DONTNEED) }
        })
    }

    /// Unmaps the region, for timing; the same as dropping it.
    pub fn unmap(self) {
        drop(self);
    }

    /// Marks every page in `pages` (0-based) with a value made of `seed` and its number.
    pub fn mark(&self, seed: u64, pages: impl Iterator<Item = usize>) {
        for page in pages {
            // SAFETY: within the region, which is mapped writable, aligned, and not borrowed.
            unsafe { self.mark_at(page).write_volatile(mark(seed, page)) };
        }
    }

    /// Whether every page in `pages` still has the mark of `seed`.
    pub fn is_marked(&self, seed: u64, mut pages: impl Iterator<Item = usize>) -> bool {
        // SAFETY: within the region, which is mapped readable, and aligned.
        pages.all(|page| unsafe { self.mark_at(page).read_volatile() } == mark(seed, page))
    }

    fn mark_at(&self, page: usize) -> *mut u64 {
        assert!(page < self.pages());
        (self.base + page * page_size() + MARK) as *mut u64
    }
}

/// A value that tells page and seed apart.
fn mark(seed: u64, page: usize) -> u64 {
    (seed << 32 ^ page as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the region is this object's own. Unmapping a whole mapping cannot fail for lack of memory, and there
        // is nobody to tell if it did.
        let _ = unsafe { memory::unmap(self.base, self.len) };
    }
}
