//! Moving bytes between a file and the caller of a system call, whose memory may turn out not to be there.
//!
//! Files see only this trait: the kernel's implementation goes through `arch::uaccess`, the tests' through a `Vec`.
//! A transfer may fault in the caller's memory lock or block, so no lock may be held across one.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};

/// The caller's buffers, from the first byte not yet moved.
pub trait Transfer {
    /// Bytes still to be moved.
    fn remaining(&self) -> usize;

    /// Copies bytes to the caller and advances; returns how many, fewer than `from.len()` only at the end of the
    /// buffers or at memory that cannot be written.
    fn put(&mut self, from: &[u8]) -> usize;

    /// Copies bytes from the caller and advances; returns how many, fewer than `to.len()` only at the end of the
    /// buffers or at memory that cannot be read.
    fn take(&mut self, to: &mut [u8]) -> usize;
}

/// What a transfer reports: the bytes that were moved, or `EFAULT` if there were some to move and none could be.
///
/// # Errors
/// As said.
pub fn moved(count: usize, wanted: usize) -> Result<usize> {
    if count == 0 && wanted > 0 { Err(Errno::EFAULT) } else { Ok(count) }
}

/// Bytes that are bounced through the stack.
const SMALL: usize = 256;
/// Bytes that are bounced through the heap: a page, and not less than `PIPE_BUF`.
const LARGE: usize = 4096;

/// Kernel memory that bytes pass through where a lock must not be held over a [`Transfer`].
pub struct Bounce {
    small: [u8; SMALL],
    large: Vec<u8>,
}

impl Bounce {
    /// Room for `wanted` bytes or a page, whichever is less. Small ones do not need the heap.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(wanted: usize) -> Result<Self> {
        let mut large = Vec::new();
        if wanted > SMALL {
            large.try_reserve_exact(wanted.min(LARGE))?;
            large.resize(wanted.min(LARGE), 0);
        }
        Ok(Bounce { small: [0; SMALL], large })
    }

    /// The room, at most `limit` bytes of it.
    pub fn buffer(&mut self, limit: usize) -> &mut [u8] {
        let all = if self.large.is_empty() { &mut self.small[..] } else { &mut self.large[..] };
        let len = limit.min(all.len());
        &mut all[..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_counts_only_before_the_first_byte() {
        assert_eq!(moved(0, 1), Err(Errno::EFAULT));
        assert_eq!(moved(0, 0), Ok(0));
        assert_eq!(moved(3, 9), Ok(3));
    }

    #[test]
    fn a_bounce_is_a_page_at_most() {
        let len = |wanted, limit| Bounce::new(wanted).unwrap().buffer(limit).len();
        assert_eq!(len(10, 10), 10);
        assert_eq!(len(257, 257), 257);
        assert_eq!(len(usize::MAX, usize::MAX), 4096);
        assert_eq!(len(usize::MAX, 100), 100);
    }
}
