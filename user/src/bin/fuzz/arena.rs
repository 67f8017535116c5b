//! The mappings that a worker has for the kernel to work on, one of each sort, and what the kernel has mapped since.

use linux_raw_sys::general as linux;
use user::sys::memory::{self, NONE, PRIVATE, READ, READ_WRITE, SHARED, page_size};
use user::sys::{Result, raw};

use crate::random::Random;

/// Results of `mmap` and `mremap` that are remembered.
const RECENT: usize = 8;

/// Where a worker's mappings are: each a first address and a length in bytes.
#[derive(Clone, Copy)]
pub struct Arena {
    /// Private, and behind its end nothing is mapped.
    pub private: [usize; 2],
    /// Shared.
    pub shared: [usize; 2],
    /// Not to be written.
    pub read_only: [usize; 2],
    /// Not to be touched.
    pub none: [usize; 2],
    /// A file's, with pages behind its end.
    pub file: [usize; 2],
    recent: [[usize; 2]; RECENT],
    next: usize,
}

impl Arena {
    /// Maps everything.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> Result<Arena> {
        let (big, small) = (2 << 20, 16 * page_size());
        let guarded = memory::map(2 * big + small, NONE, PRIVATE)?;
        let base = guarded.next_multiple_of(big);
        // SAFETY: the middle of the mapping that was just made; behind it its rest stays inaccessible, or goes.
        unsafe {
            memory::protect(base, big, READ_WRITE)?;
            memory::unmap(base + big, guarded + big + small - base)?;
        }
        let name = c"fz";
        // SAFETY: the kernel only reads the name.
        let fd = unsafe { raw(linux::__NR_memfd_create, [name.as_ptr() as usize, 0]) }?;
        // SAFETY: touches no memory of ours.
        unsafe { raw(linux::__NR_ftruncate, [fd, 5 * page_size() + 7]) }?;
        let flags = linux::MAP_SHARED;
        // SAFETY: nothing is replaced.
        let file = unsafe { memory::map_at(0, small, READ_WRITE, flags, fd as i32, 0) }?;
        Ok(Arena {
            private: [base, big],
            shared: [memory::map(big, READ_WRITE, SHARED)?, big],
            read_only: [memory::map(small, READ, PRIVATE)?, small],
            none: [memory::map(small, NONE, PRIVATE)?, small],
            file: [file, small],
            recent: [[base, big]; RECENT],
            next: 0,
        })
    }

    /// One of the mappings.
    pub fn any(&self, random: &mut Random) -> [usize; 2] {
        match random.below(12) {
            0..4 => self.private,
            4..6 => self.shared,
            6 => self.read_only,
            7 => self.none,
            8 => self.file,
            _ => random.pick(&self.recent),
        }
    }

    /// Remembers what a call has mapped.
    pub fn note(&mut self, base: usize, bytes: usize) {
        // The length is what was asked for, which may have been anything.
        self.recent[self.next % RECENT] = [base, bytes.clamp(page_size(), 1 << 30)];
        self.next += 1;
    }
}
