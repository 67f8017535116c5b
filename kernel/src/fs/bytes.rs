//! A name or a link's target: a slice of the initramfs or of the kernel's own, or bytes of the heap's.

use alloc::vec::Vec;
use core::ops::Deref;

use crate::errno::Result;

/// Bytes that do not change.
#[derive(Debug)]
pub enum Bytes {
    /// Stored for good somewhere else.
    Static(&'static [u8]),
    /// Owned.
    Heap(Vec<u8>),
}

impl Bytes {
    /// A copy of `bytes`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn copy_of(bytes: &[u8]) -> Result<Self> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len())?;
        copy.extend_from_slice(bytes);
        Ok(Bytes::Heap(copy))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Static(bytes) => bytes,
            Bytes::Heap(bytes) => bytes,
        }
    }
}
