//! Calls that make, remove and change names.

use linux_raw_sys::general as linux;

use super::start::{self, Start};
use super::user;
use crate::errno::{Errno, Result};
use crate::fs;
use crate::fs::bytes::Bytes;
use crate::fs::channel::fifo::Named;
use crate::fs::environment::Environment;
use crate::fs::kernel::Kernel;
use crate::fs::tree::open::new_file;
use crate::fs::tree::{Inode, Kind, Tree};
use crate::proc::current_files;

/// Makes something at the path `path` relative to `dirfd`.
fn create(dirfd: u64, path: u64, make: impl FnOnce(&Tree) -> Result<Inode>) -> Result<usize> {
    let path = user::path(path)?;
    let start = Start::new(dirfd, &path)?;
    let now = Kernel.now();
    // Declared before the tree is locked, so dropped after it is not.
    let spot = start::spot(&start, &path)?;
    let mut tree = fs::root()?.lock();
    let inode = make(&tree)?.at(now);
    tree.create(spot, inode)?;
    drop(tree);
    Ok(0)
}

fn masked(mode: u64) -> u32 {
    mode as u32 & !current_files().lock().umask() & 0o7777
}

/// `mkdirat(dirfd, path, mode)`.
///
/// # Errors
/// As mkdir(2): `EEXIST`, `ENOENT`, `ENOTDIR`, `EPERM` (below /proc and /sys), `ENOMEM`, `EFAULT`...
pub fn mkdirat(args: &[u64; 6]) -> Result<usize> {
    let mode = masked(args[2]) & 0o1777;
    create(args[0], args[1], |_| Ok(Inode::dir(mode)))
}

/// `mknodat(dirfd, path, mode, device)`.
///
/// # Errors
/// As mknod(2): `EINVAL`: a directory or no type at all; as [`mkdirat`].
pub fn mknodat(args: &[u64; 6]) -> Result<usize> {
    let (mode, kind, device) = (masked(args[2]), args[2] as u32 & linux::S_IFMT, args[3] as u32);
    // Linux: new_decode_dev.
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xf_ff00);
    create(args[0], args[1], |tree| match kind {
        0 | linux::S_IFREG => new_file(tree, mode),
        linux::S_IFCHR | linux::S_IFBLK => Ok(Inode::new(kind | mode, Kind::Special(major, minor))),
        linux::S_IFIFO => Ok(Inode::new(kind | mode, Kind::Fifo(Named::default()))),
        linux::S_IFSOCK => Ok(Inode::new(kind | mode, Kind::Special(0, 0))),
        linux::S_IFDIR => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    })
}

/// `symlinkat(target, dirfd, path)`.
///
/// # Errors
/// As symlink(2): `ENOENT`: an empty target; as [`mkdirat`].
pub fn symlinkat(args: &[u64; 6]) -> Result<usize> {
    let target = user::path(args[0])?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    create(args[1], args[2], |_| {
        Ok(Inode::new(linux::S_IFLNK | 0o777, Kind::Symlink(Bytes::copy_of(&target)?)))
    })
}

/// `unlinkat(dirfd, path, flags)`: with AT_REMOVEDIR as rmdir(2), without as unlink(2).
///
/// # Errors
/// As those: `EISDIR`, `ENOTDIR`, `ENOTEMPTY`, `EBUSY`, `ENOENT`, `EPERM`, `EINVAL`...
pub fn unlinkat(args: &[u64; 6]) -> Result<usize> {
    let flags = args[2] as u32;
    if flags & !linux::AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    let path = user::path(args[1])?;
    let start = Start::new(args[0], &path)?;
    let spot = start::spot(&start, &path)?;
    let now = Kernel.now();
    let removed = fs::root()?.lock().remove(&spot, flags != 0, now)?;
    drop(removed); // its pages, without the lock
    Ok(0)
}

/// `linkat(olddirfd, oldpath, newdirfd, newpath, flags)`.
///
/// # Errors
/// As link(2): `EEXIST`, `EPERM`: a directory; `EXDEV`; `EINVAL`: an unknown flag...
pub fn linkat(args: &[u64; 6]) -> Result<usize> {
    let flags = args[4] as u32;
    if flags & !(linux::AT_SYMLINK_FOLLOW | linux::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let follow = if flags & linux::AT_SYMLINK_FOLLOW != 0 { 0 } else { linux::AT_SYMLINK_NOFOLLOW };
    let old = start::place(args[0], args[1], flags & linux::AT_EMPTY_PATH | follow)?;
    let path = user::path(args[3])?;
    let start = Start::new(args[2], &path)?;
    let spot = start::spot(&start, &path)?;
    fs::root()?.lock().hard_link(old.node(), spot, Kernel.now())?;
    Ok(0)
}

/// `renameat(olddirfd, oldpath, newdirfd, newpath)`.
///
/// # Errors
/// As [`renameat2`].
pub fn renameat(args: &[u64; 6]) -> Result<usize> {
    let [old_dir, old, new_dir, new, ..] = *args;
    renameat2(&[old_dir, old, new_dir, new, 0, 0])
}

/// `renameat2(olddirfd, oldpath, newdirfd, newpath, flags)`.
///
/// # Errors
/// As rename(2).
pub fn renameat2(args: &[u64; 6]) -> Result<usize> {
    let (old, new) = (user::path(args[1])?, user::path(args[3])?);
    let (old_start, new_start) = (Start::new(args[0], &old)?, Start::new(args[2], &new)?);
    let now = Kernel.now();
    let from = start::spot(&old_start, &old)?;
    let to = start::spot(&new_start, &new)?;
    let replaced = fs::root()?.lock().rename(&from, to, args[4] as u32, now)?;
    drop(replaced); // its pages, without the lock
    Ok(0)
}
