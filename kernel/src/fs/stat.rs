//! `struct stat` as EL0 sees it, laid out by offset so that no padding byte is ever left unwritten.

use core::mem::{offset_of, size_of};

use linux_raw_sys::general::stat;

/// What is known about a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Inode number.
    pub ino: u64,
    /// File type and permissions.
    pub mode: u32,
    /// Number of names.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Major and minor number of a device node.
    pub rdev: (u32, u32),
    /// Bytes of contents.
    pub size: u64,
    /// Modification time in seconds since the epoch, and all other times.
    pub mtime: u32,
}

/// Size of `struct stat` in bytes.
pub const STAT_BYTES: usize = size_of::<stat>();

/// The page size, which is also the best size of a transfer.
const BLOCK_BYTES: u64 = 4096;

impl Attributes {
    /// The structure's bytes in memory.
    pub fn to_stat(&self) -> [u8; STAT_BYTES] {
        let mut bytes = [0; STAT_BYTES];
        macro_rules! put {
            ($field:ident, $value:expr) => {{
                // The type is inferred from the field, which differs between the host and aarch64.
                let sample: fn(&stat) -> _ = |s| s.$field;
                let value = same_type(sample, $value as _).to_ne_bytes();
                let start = offset_of!(stat, $field);
                bytes[start..start + value.len()].copy_from_slice(&value);
            }};
        }
        put!(st_dev, 1);
        put!(st_ino, self.ino);
        put!(st_mode, self.mode);
        put!(st_nlink, self.nlink);
        put!(st_uid, self.uid);
        put!(st_gid, self.gid);
        put!(st_rdev, device_number(self.rdev));
        put!(st_size, self.size);
        put!(st_blksize, BLOCK_BYTES);
        put!(st_blocks, self.size.div_ceil(512));
        put!(st_atime, self.mtime);
        put!(st_mtime, self.mtime);
        put!(st_ctime, self.mtime);
        bytes
    }
}

/// Gives `value` the type of the field that `_field` returns.
fn same_type<T>(_field: fn(&stat) -> T, value: T) -> T {
    value
}

/// Linux's `new_encode_dev`: the minor number's upper bits stand above the major number's twelve.
fn device_number((major, minor): (u32, u32)) -> u64 {
    u64::from(minor & 0xff | (major & 0xfff) << 8 | (minor & 0xf_ff00) << 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_where_the_structure_has_them() {
        let attributes =
            Attributes { ino: 7, mode: 0o100_755, nlink: 2, size: 513, mtime: 99, ..Attributes::default() };
        let bytes = attributes.to_stat();
        let at = |offset: usize| u32::from_ne_bytes(bytes[offset..offset + 4].try_into().unwrap());
        assert_eq!(at(offset_of!(stat, st_ino)), 7);
        assert_eq!(at(offset_of!(stat, st_mode)), 0o100_755);
        assert_eq!(at(offset_of!(stat, st_nlink)), 2);
        assert_eq!(at(offset_of!(stat, st_size)), 513);
        assert_eq!(at(offset_of!(stat, st_blocks)), 2);
        assert_eq!(at(offset_of!(stat, st_mtime)), 99);
    }

    #[test]
    fn device_numbers_are_encoded_as_linux_does() {
        assert_eq!(device_number((5, 1)), 0x501);
        assert_eq!(device_number((204, 64)), 0xcc40);
        assert_eq!(device_number((1, 0x12345)), 0x1230_0145);
    }
}
