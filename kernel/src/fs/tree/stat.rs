//! `struct stat`, `struct statx` and `struct statfs` as EL0 sees them, laid out by offset so that no padding byte is ever
//! left unwritten.

use core::mem::{offset_of, size_of};

use linux_raw_sys::general::{self as linux, stat, statfs64, statx, statx_timestamp};

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
    /// Units of 512 bytes that are taken up.
    pub blocks: u64,
    /// Minor number of the device it seems to be on.
    pub mount: u32,
    /// Times of access, modification and change, in nanoseconds since the epoch.
    pub times: [u64; 3],
}

/// Size of `struct stat` in bytes.
pub const STAT_BYTES: usize = size_of::<stat>();
/// Size of `struct statx` in bytes.
pub const STATX_BYTES: usize = size_of::<statx>();
/// Size of `struct statfs` in bytes.
pub const STATFS_BYTES: usize = size_of::<statfs64>();

/// The best size of a transfer: a small page.
const BLOCK_BYTES: u64 = 4096;
/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Puts values into a structure's bytes, each at its field.
macro_rules! putter {
    ($bytes:ident, $type:ty) => {
        macro_rules! put {
            ($field:ident, $value:expr) => {{
                // The type is inferred from the field, which differs between the host and aarch64.
                let sample: fn(&$type) -> _ = |s| s.$field;
                let value = same_type(sample, $value as _).to_ne_bytes();
                let start = offset_of!($type, $field);
                $bytes[start..start + value.len()].copy_from_slice(&value);
            }};
        }
    };
}

impl Attributes {
    /// The bytes of `struct stat` in memory.
    pub fn to_stat(&self) -> [u8; STAT_BYTES] {
        let mut bytes = [0; STAT_BYTES];
        putter!(bytes, stat);
        let [atime, mtime, ctime] = self.times;
        put!(st_dev, self.mount);
        put!(st_ino, self.ino);
        put!(st_mode, self.mode);
        put!(st_nlink, self.nlink);
        put!(st_uid, self.uid);
        put!(st_gid, self.gid);
        put!(st_rdev, device_number(self.rdev));
        put!(st_size, self.size);
        put!(st_blksize, BLOCK_BYTES);
        put!(st_blocks, self.blocks);
        put!(st_atime, atime / SECOND);
        put!(st_atime_nsec, atime % SECOND);
        put!(st_mtime, mtime / SECOND);
        put!(st_mtime_nsec, mtime % SECOND);
        put!(st_ctime, ctime / SECOND);
        put!(st_ctime_nsec, ctime % SECOND);
        bytes
    }

    /// The bytes of `struct statx` in memory.
    pub fn to_statx(&self) -> [u8; STATX_BYTES] {
        let mut bytes = [0; STATX_BYTES];
        {
            putter!(bytes, statx);
            put!(stx_mask, linux::STATX_BASIC_STATS);
            put!(stx_blksize, BLOCK_BYTES);
            put!(stx_nlink, self.nlink);
            put!(stx_uid, self.uid);
            put!(stx_gid, self.gid);
            put!(stx_mode, self.mode);
            put!(stx_ino, self.ino);
            put!(stx_size, self.size);
            put!(stx_blocks, self.blocks);
            put!(stx_rdev_major, self.rdev.0);
            put!(stx_rdev_minor, self.rdev.1);
            put!(stx_dev_minor, self.mount);
        }
        let fields =
            [offset_of!(statx, stx_atime), offset_of!(statx, stx_mtime), offset_of!(statx, stx_ctime)];
        for (field, time) in fields.into_iter().zip(self.times) {
            let seconds = field + offset_of!(statx_timestamp, tv_sec);
            let nanoseconds = field + offset_of!(statx_timestamp, tv_nsec);
            bytes[seconds..seconds + 8].copy_from_slice(&(time / SECOND).to_ne_bytes());
            bytes[nanoseconds..nanoseconds + 4].copy_from_slice(&((time % SECOND) as u32).to_ne_bytes());
        }
        bytes
    }
}

/// The bytes of `struct statfs` of a file system of this type (`*_MAGIC`), with `total` pages of which `free` are free.
pub fn statfs(magic: u32, (total, free): (u64, u64)) -> [u8; STATFS_BYTES] {
    let mut bytes = [0; STATFS_BYTES];
    putter!(bytes, statfs64);
    put!(f_type, magic);
    put!(f_bsize, paging::PAGE_SIZE);
    put!(f_frsize, paging::PAGE_SIZE);
    put!(f_blocks, total);
    put!(f_bfree, free);
    put!(f_bavail, free);
    put!(f_files, total);
    put!(f_ffree, free);
    put!(f_namelen, linux::NAME_MAX);
    bytes
}

/// Gives `value` the type of the field that `_field` returns.
fn same_type<S, T>(_field: fn(&S) -> T, value: T) -> T {
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
        let times = [1, 99 * SECOND + 7, 3 * SECOND];
        let attributes = Attributes {
            ino: 7,
            mode: 0o100_755,
            nlink: 2,
            size: 513,
            blocks: 8,
            times,
            ..Attributes::default()
        };
        let bytes = attributes.to_stat();
        let at = |offset: usize| u32::from_ne_bytes(bytes[offset..offset + 4].try_into().unwrap());
        assert_eq!(at(offset_of!(stat, st_ino)), 7);
        assert_eq!(at(offset_of!(stat, st_mode)), 0o100_755);
        assert_eq!(at(offset_of!(stat, st_nlink)), 2);
        assert_eq!(at(offset_of!(stat, st_size)), 513);
        assert_eq!(at(offset_of!(stat, st_blocks)), 8);
        assert_eq!(at(offset_of!(stat, st_mtime)), 99);
        assert_eq!(at(offset_of!(stat, st_mtime_nsec)), 7);
        let bytes = attributes.to_statx();
        let at = |offset: usize| u32::from_ne_bytes(bytes[offset..offset + 4].try_into().unwrap());
        assert_eq!(at(offset_of!(statx, stx_size)), 513);
        assert_eq!(at(offset_of!(statx, stx_mtime) + offset_of!(statx_timestamp, tv_sec)), 99);
        assert_eq!(at(offset_of!(statx, stx_mtime) + offset_of!(statx_timestamp, tv_nsec)), 7);
        assert_eq!(at(offset_of!(statx, stx_ctime)), 3);
    }

    #[test]
    fn device_numbers_are_encoded_as_linux_does() {
        assert_eq!(device_number((5, 1)), 0x501);
        assert_eq!(device_number((204, 64)), 0xcc40);
        assert_eq!(device_number((1, 0x12345)), 0x1230_0145);
    }
}
