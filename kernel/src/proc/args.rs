//! The strings of an execve: arguments or environment.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};

/// The most bytes that arguments and environment may have together, pointers and NULs included (Linux: `ARG_MAX`,
/// which is what programs may rely on; Linux itself allows more).
pub const ARG_MAX: usize = 128 << 10;

/// A list of strings without NULs, none of them borrowed from user memory.
#[derive(Default)]
pub struct Strings {
    /// The strings, each with a NUL behind it.
    bytes: Vec<u8>,
    count: usize,
}

impl Strings {
    /// No strings.
    pub const fn new() -> Self {
        Strings { bytes: Vec::new(), count: 0 }
    }

    /// A copy of `strings`, each up to its first NUL.
    ///
    /// # Errors
    /// `ENOMEM`; `E2BIG`: more than [`ARG_MAX`] bytes.
    pub fn copy_of(strings: &[&[u8]]) -> Result<Self> {
        let mut copy = Strings::new();
        for string in strings {
            copy.extend_last(string.split(|byte| *byte == 0).next().unwrap_or_default())?;
            copy.finish_last()?;
        }
        Ok(copy)
    }

    /// Appends `part`, without NULs, to the string that is under way.
    ///
    /// # Errors
    /// `ENOMEM`; `E2BIG`: more than [`ARG_MAX`] bytes.
    pub fn extend_last(&mut self, part: &[u8]) -> Result<()> {
        if self.cost() + part.len() > ARG_MAX {
            return Err(Errno::E2BIG);
        }
        self.bytes.try_reserve(part.len() + 1)?; // the NUL gets in without another reservation
        self.bytes.extend_from_slice(part);
        Ok(())
    }

    /// Ends the string that is under way; the next one begins.
    ///
    /// # Errors
    /// `ENOMEM`; `E2BIG`: more than [`ARG_MAX`] bytes.
    pub fn finish_last(&mut self) -> Result<()> {
        self.extend_last(&[])?;
        self.bytes.push(0);
        self.count += 1;
        if self.cost() > ARG_MAX { Err(Errno::E2BIG) } else { Ok(()) }
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All strings, each with its NUL, one behind the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What they take of [`ARG_MAX`] (bytes).
    pub fn cost(&self) -> usize {
        self.bytes.len() + self.count * size_of::<u64>()
    }

    /// Each string's offset in [`Strings::bytes`].
    pub fn offsets(&self) -> impl Iterator<Item = usize> {
        let mut next = 0;
        self.bytes.split_inclusive(|byte| *byte == 0).map(move |string| {
            let offset = next;
            next += string.len();
            offset
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_kept_apart() {
        let strings = Strings::copy_of(&[b"init", b"", b"-v\0junk"]).unwrap();
        assert_eq!(strings.bytes(), b"init\0\0-v\0");
        assert_eq!(strings.offsets().collect::<Vec<_>>(), [0, 5, 6]);
        assert_eq!((strings.len(), strings.is_empty(), strings.cost()), (3, false, 9 + 24));
    }

    #[test]
    fn too_much_is_refused() {
        let big = vec![b'x'; ARG_MAX];
        assert_eq!(Strings::copy_of(&[&big]).err(), Some(Errno::E2BIG));
        let fits = &big[..ARG_MAX - 9];
        assert!(Strings::copy_of(&[fits]).is_ok());
        assert_eq!(Strings::copy_of(&[fits, b""]).err(), Some(Errno::E2BIG));
        let many: Vec<&[u8]> = vec![b""; ARG_MAX / 9 + 1];
        assert_eq!(Strings::copy_of(&many).err(), Some(Errno::E2BIG));
    }
}
