//! Pages of user memory that were handed to a file as they are: pinned, so that they can be read long after the call
//! that handed them over, whatever their process does meanwhile.
//!
//! Files know frames by number only. Who can read and unpin them is behind [`Pins`]: memory management in the kernel,
//! a table in tests.

use paging::Pfn;

use crate::errno::Result;

/// Access to pinned frames.
pub trait Pins: Sync {
    /// Copies the bytes of a pinned frame from `offset` on, as they are now; all of `to` lies within the page.
    fn read(&self, frame: Pfn, offset: usize, to: &mut [u8]);

    /// Gives back one pin of a frame.
    fn unpin(&self, frame: Pfn);
}

/// Some bytes of a pinned page; dropping it unpins the page.
pub struct Fragment {
    frame: Pfn,
    pins: &'static dyn Pins,
    offset: usize,
    bytes: usize,
}

impl Fragment {
    /// The `bytes` bytes, at least one, from `offset` on in the page `frame`, one pin of which becomes the fragment's.
    pub fn new(frame: Pfn, pins: &'static dyn Pins, offset: usize, bytes: usize) -> Self {
        Fragment { frame, pins, offset, bytes }
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Copies bytes from number `from` (0-based) on; they are there.
    pub fn read(&self, from: usize, to: &mut [u8]) {
        debug_assert!(from + to.len() <= self.bytes);
        self.pins.read(self.frame, self.offset + from, to);
    }
}

impl Drop for Fragment {
    fn drop(&mut self) {
        self.pins.unpin(self.frame);
    }
}

/// The caller's memory, to be handed over page by page, from the first byte that was not yet.
///
/// As with a [`Transfer`](crate::fs::transfer::Transfer), no lock may be held: pages are faulted in.
pub trait Handover {
    /// Bytes still to be handed over.
    fn remaining(&self) -> usize;

    /// Pins pages from the first byte on, at most as many as `to` has room for and at least one, puts what of them is
    /// to be handed over into `to` from its start, and returns how many. Does not advance.
    ///
    /// # Errors
    /// `EFAULT`: not the caller's to read; `ENOMEM`.
    fn pin(&mut self, to: &mut [Option<Fragment>]) -> Result<usize>;

    /// The next `bytes` bytes have been handed over.
    fn advance(&mut self, bytes: usize);
}
