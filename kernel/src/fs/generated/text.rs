//! A growing buffer of text that runs out of memory with an error, for contents the kernel generates.

use alloc::vec::Vec;
use core::fmt;

use crate::errno::{Errno, Result};

/// Bytes written so far. `write!` into it fails only when the heap has no room.
#[derive(Default)]
pub struct Text {
    bytes: Vec<u8>,
}

impl Text {
    /// Starts empty, without allocating.
    pub const fn new() -> Self {
        Text { bytes: Vec::new() }
    }

    /// Appends raw bytes.
    ///
    /// # Errors
    /// `ENOMEM` when the heap has no room; nothing is appended.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.try_reserve(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// What was written, as a buffer.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.push(s.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// Turns the outcome of formatting into a [`Text`] into the kernel's: it can only have failed for lack of memory.
///
/// # Errors
/// `ENOMEM` when `outcome` is an error.
pub fn written(outcome: fmt::Result) -> Result<()> {
    outcome.map_err(|fmt::Error| Errno::ENOMEM)
}

/// Reads a number of bytes, in decimal, with K, M or G behind it for powers of 1024 (Linux: `memparse`).
///
/// # Errors
/// `EINVAL`: it is none.
pub fn parse_size(text: &[u8]) -> Result<u64> {
    let (digits, shift) = match text {
        [digits @ .., b'K' | b'k'] => (digits, 10),
        [digits @ .., b'M' | b'm'] => (digits, 20),
        [digits @ .., b'G' | b'g'] => (digits, 30),
        digits => (digits, 0),
    };
    let number = core::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    number.and_then(|number| number.checked_mul(1 << shift)).ok_or(Errno::EINVAL)
}

/// What `fill` writes, for tests of those who write such files.
#[cfg(test)]
pub(in crate::fs) fn text(fill: impl FnOnce(&mut Text) -> Result<()>) -> std::string::String {
    let mut out = Text::new();
    fill(&mut out).unwrap();
    std::string::String::from_utf8(out.bytes().to_vec()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;

    #[test]
    fn formats_and_appends() {
        let mut text = Text::new();
        written(write!(text, "{:>8} kB", 64)).unwrap();
        text.push(b"\n\xff").unwrap();
        assert_eq!(text.bytes(), b"      64 kB\n\xff");
        assert_eq!(written(Err(fmt::Error)), Err(Errno::ENOMEM));
    }
}
