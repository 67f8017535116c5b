//! User memory as files see it: buffers to transfer from and to, and paths.

use alloc::vec::Vec;

use linux_raw_sys::general::{PATH_MAX, UIO_MAXIOV};

use crate::arch::uaccess::{copy_from_user, copy_to_user, strncpy_from_user};
use crate::errno::{Errno, Result};
use crate::fs::span::{Cursor, IOVEC_BYTES, Span};
use crate::fs::transfer::Transfer;

/// Buffers of the calling process.
pub struct UserBuffers<'a>(Cursor<'a>);

impl<'a> UserBuffers<'a> {
    /// All of `spans`, one behind the other.
    pub fn new(spans: &'a [Span]) -> Self {
        UserBuffers(Cursor::new(spans))
    }
}

impl Transfer for UserBuffers<'_> {
    fn remaining(&self) -> usize {
        self.0.remaining()
    }

    fn put(&mut self, from: &[u8]) -> usize {
        self.0.advance(from.len(), |at, range| copy_to_user(at, &from[range]))
    }

    fn take(&mut self, to: &mut [u8]) -> usize {
        self.0.advance(to.len(), |at, range| copy_from_user(&mut to[range], at))
    }
}

/// Reads an array of `count` times `struct iovec` from address `array`.
///
/// # Errors
/// `EINVAL`: too many, or a length that is negative as a signed number; `EFAULT`; `ENOMEM`.
pub fn vector(array: u64, count: u64) -> Result<Vec<Span>> {
    if count > u64::from(UIO_MAXIOV) {
        return Err(Errno::EINVAL);
    }
    let mut spans = Vec::new();
    spans.try_reserve_exact(count as usize)?;
    let mut total = 0;
    for index in 0..count {
        let mut bytes = [0; IOVEC_BYTES];
        let at = array.checked_add(index * IOVEC_BYTES as u64).ok_or(Errno::EFAULT)?;
        copy_from_user(&mut bytes, at as usize)?;
        spans.push(Span::from_iovec(&bytes, &mut total)?);
    }
    Ok(spans)
}

/// Reads a path, without its NUL.
///
/// # Errors
/// `EFAULT`; `ENAMETOOLONG`: `PATH_MAX` bytes or more; `ENOMEM`.
pub fn path(at: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(PATH_MAX as usize)?;
    bytes.resize(PATH_MAX as usize, 0);
    let len = strncpy_from_user(&mut bytes, at as usize)?;
    bytes.truncate(len);
    Ok(bytes)
}
