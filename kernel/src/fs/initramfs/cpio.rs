//! The newc cpio format of initramfs archives: bytes in, entries out.
//!
//! Accepted is what Linux accepts (Documentation/driver-api/early-userspace/buffer-format.rst, init/initramfs.c):
//! magic `070701`, or `070702` with a checksum; several archives one behind the other, with zero bytes between them.
//! The input is hostile until proven otherwise: every length is checked against what is there before it is used, and
//! the first thing that is wrong ends the iteration with its offset and its reason. Nothing is allocated; names and
//! contents are slices of the archive.

use core::fmt;

/// Bytes of a newc header: the magic and 13 fields of 8 hex digits.
const HEADER_BYTES: usize = 6 + 13 * 8;
/// The longest name, in bytes with its NUL, as Linux limits it (`PATH_MAX`).
const NAME_LIMIT: usize = 4096;
/// The name of the entry that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// One file, directory, link or device in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where its header starts, in bytes from the start of the input.
    pub offset: usize,
    /// The name as stored, without the NUL; not normalised.
    pub name: &'a [u8],
    /// File type and permissions, as in `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of hard links the file had where it was packed.
    pub nlink: u32,
    /// Modification time in seconds since the epoch.
    pub mtime: u32,
    /// What identifies the file among its hard links within one archive: device major, device minor, inode number.
    pub identity: [u32; 3],
    /// Major and minor number of a device node.
    pub rdev: (u32, u32),
    /// A regular file's contents or a symbolic link's target.
    pub data: &'a [u8],
}

/// A step through the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An entry.
    Entry(Entry<'a>),
    /// The end of one archive: hard links do not reach beyond it.
    Trailer,
}

/// What is wrong with an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Neither a newc header nor the zero bytes that may stand between archives.
    BadMagic,
    /// A cpio archive of the old character format (`070707`).
    OldFormat,
    /// Compressed data.
    Compressed,
    /// The archive does not start at a multiple of four bytes.
    Misaligned,
    /// A header field is not eight hex digits.
    BadHex,
    /// A name of no bytes, of more than `PATH_MAX`, or without its NUL.
    BadName,
    /// The input ends inside an entry.
    Truncated,
    /// The input ends without a `TRAILER!!!` entry.
    NoTrailer,
    /// The bytes of a `070702` file do not add up to its checksum.
    BadChecksum,
}

/// Where and why reading an archive stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpioError {
    /// Bytes from the start of the input.
    pub offset: usize,
    /// The reason.
    pub flaw: Flaw,
}

impl fmt::Display for CpioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self.flaw {
            Flaw::BadMagic => "neither a newc header nor padding",
            Flaw::OldFormat => "old character format, pack with `cpio -H newc`",
            Flaw::Compressed => "compressed data, only plain newc archives are supported",
            Flaw::Misaligned => "archive does not start at a multiple of 4 bytes",
            Flaw::BadHex => "a header field is not hexadecimal",
            Flaw::BadName => "a name that is empty, too long or not terminated",
            Flaw::Truncated => "archive ends inside an entry",
            Flaw::NoTrailer => "archive ends without TRAILER!!!",
            Flaw::BadChecksum => "contents do not match their checksum",
        };
        write!(f, "cpio archive, offset {}: {reason}", self.offset)
    }
}

/// Iterates over the entries of all archives in some bytes. After an error there is nothing more.
pub struct Archive<'a> {
    bytes: &'a [u8],
    /// Offset of the next header or padding, in bytes; `bytes.len()` once finished.
    next: usize,
    /// Between archives, where zero bytes may stand; not between an archive's entries.
    outside: bool,
}

impl<'a> Archive<'a> {
    /// Starts at the first byte. An empty or all-zero input is an archive without entries.
    pub fn new(bytes: &'a [u8]) -> Self {
        Archive { bytes, next: 0, outside: true }
    }

    fn step(&mut self) -> Result<Option<Item<'a>>, Flaw> {
        if self.outside {
            let padding = self.bytes[self.next..].iter().take_while(|&&b| b == 0).count();
            self.next += padding;
        }
        let rest = &self.bytes[self.next..];
        if rest.is_empty() {
            return if self.outside { Ok(None) } else { Err(Flaw::NoTrailer) };
        }
        let checksummed = magic(rest)?;
        if !self.next.is_multiple_of(4) {
            return Err(Flaw::Misaligned);
        }
        let header = rest.get(..HEADER_BYTES).ok_or(Flaw::Truncated)?;
        let mut fields = [0u32; 13];
        for (field, digits) in fields.iter_mut().zip(header[6..].chunks_exact(8)) {
            *field = hex(digits).ok_or(Flaw::BadHex)?;
        }
        let [ino, mode, uid, gid, nlink, mtime, size, major, minor, rmajor, rminor, name_size, check] =
            fields;

        let (size, name_size) = (size as usize, name_size as usize);
        if name_size == 0 || name_size > NAME_LIMIT {
            return Err(Flaw::BadName);
        }
        let name_end = HEADER_BYTES + name_size;
        let name = rest.get(HEADER_BYTES..name_end).ok_or(Flaw::Truncated)?;
        let name_len = match name {
            [.., 0] => name.iter().take_while(|&&b| b != 0).count(),
            _ => return Err(Flaw::BadName),
        };
        let name = &name[..name_len];
        if name == TRAILER {
            // Linux ignores a size here; the bytes behind the name are padding or the next archive.
            self.next = self.bytes.len().min(self.next + name_end.next_multiple_of(4));
            self.outside = true;
            return Ok(Some(Item::Trailer));
        }

        // Sizes are below 2^32 and offsets below the input's length, so a 64-bit `usize` cannot overflow here.
        let data_start = name_end.next_multiple_of(4);
        let data = rest.get(data_start..data_start + size).ok_or(Flaw::Truncated)?;
        if checksummed && !data.is_empty() && is_regular(mode) && sum(data) != check {
            return Err(Flaw::BadChecksum);
        }
        let offset = self.next;
        self.next = self.bytes.len().min(offset + (data_start + size).next_multiple_of(4));
        self.outside = false;
        let identity = [major, minor, ino];
        let rdev = (rmajor, rminor);
        Ok(Some(Item::Entry(Entry { offset, name, mode, uid, gid, nlink, mtime, identity, rdev, data })))
    }
}

impl<'a> Iterator for Archive<'a> {
    type Item = Result<Item<'a>, CpioError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.step() {
            Ok(item) => item.map(Ok),
            Err(flaw) => {
                let offset = core::mem::replace(&mut self.next, self.bytes.len());
                self.outside = true;
                Some(Err(CpioError { offset, flaw }))
            }
        }
    }
}

/// Whether the header at the start of `rest` has a checksum.
fn magic(rest: &[u8]) -> Result<bool, Flaw> {
    match rest {
        [b'0', b'7', b'0', b'7', b'0', b'1', ..] => Ok(false),
        [b'0', b'7', b'0', b'7', b'0', b'2', ..] => Ok(true),
        [b'0', b'7', b'0', b'7', b'0', b'7', ..] => Err(Flaw::OldFormat),
        // gzip, bzip2, xz, lzma, lzo, lz4 (legacy frame) and zstd: what Linux would decompress (lib/decompress.c).
        [0x1f, 0x8b | 0x9e, ..] | [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', ..] | [0x5d, 0, ..] => {
            Err(Flaw::Compressed)
        }
        [0x89, b'L', b'Z', ..] | [0x02, 0x21, 0x4c, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Err(Flaw::Compressed)
        }
        _ if rest.len() < 6 && b"07070".starts_with(rest) => Err(Flaw::Truncated),
        _ => Err(Flaw::BadMagic),
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value: u32, &c| Some(value << 4 | char::from(c).to_digit(16)?))
}

fn sum(data: &[u8]) -> u32 {
    data.iter().fold(0, |sum: u32, &b| sum.wrapping_add(b.into()))
}

fn is_regular(mode: u32) -> bool {
    mode & 0o170_000 == 0o100_000
}

#[cfg(test)]
#[path = "cpio_tests.rs"]
mod tests;
