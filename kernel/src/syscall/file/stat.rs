//! Calls that tell about files and file systems.

use linux_raw_sys::general as linux;

use super::{file, start};
use crate::arch::uaccess::copy_to_user;
use crate::errno::{Errno, Result};
use crate::fs;
use crate::fs::kernel::Kernel;
use crate::fs::tree::Mount;
use crate::fs::tree::stat::Attributes;

/// `fstat(fd, stat)`.
///
/// # Errors
/// `EBADF`, `EFAULT`.
pub fn fstat(args: &[u64; 6]) -> Result<usize> {
    copy_to_user(args[1] as usize, &of_descriptor(args[0])?.to_stat())?;
    Ok(0)
}

/// `newfstatat(dirfd, path, stat, flags)`.
///
/// # Errors
/// `EINVAL`: an unknown flag; those of the path walk; `EBADF`, `EFAULT`.
pub fn newfstatat(args: &[u64; 6]) -> Result<usize> {
    let flags = args[3] as u32;
    if flags & !(linux::AT_SYMLINK_NOFOLLOW | linux::AT_NO_AUTOMOUNT | linux::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    copy_to_user(args[2] as usize, &of_path(args[0], args[1], flags)?.to_stat())?;
    Ok(0)
}

/// `statx(dirfd, path, flags, mask, statx)`: whatever is asked for, it tells what it knows.
///
/// # Errors
/// As [`newfstatat`]; `EINVAL`: a mask with the bit that is reserved.
pub fn statx(args: &[u64; 6]) -> Result<usize> {
    let (flags, mask) = (args[2] as u32, args[3] as u32);
    const SYNC: u32 = linux::AT_STATX_FORCE_SYNC | linux::AT_STATX_DONT_SYNC;
    let known = linux::AT_SYMLINK_NOFOLLOW | linux::AT_NO_AUTOMOUNT | linux::AT_EMPTY_PATH | SYNC;
    if flags & !known != 0 || flags & SYNC == SYNC || mask & linux::STATX__RESERVED != 0 {
        return Err(Errno::EINVAL);
    }
    copy_to_user(args[4] as usize, &of_path(args[0], args[1], flags)?.to_statx())?;
    Ok(0)
}

fn of_descriptor(fd: u64) -> Result<Attributes> {
    let file = file(fd)?;
    Ok(file.attributes(&fs::root()?.lock()))
}

fn of_path(dirfd: u64, path: u64, flags: u32) -> Result<Attributes> {
    match start::place(dirfd, path, flags) {
        Ok(place) => Ok(fs::root()?.lock().attributes(place.node())),
        // An empty path, and a descriptor of something without a place.
        Err(Errno::EINVAL) => of_descriptor(dirfd),
        Err(error) => Err(error),
    }
}

/// `statfs(path, statfs)`.
///
/// # Errors
/// Those of the path walk; `EFAULT`.
pub fn statfs(args: &[u64; 6]) -> Result<usize> {
    let place = start::place(linux::AT_FDCWD as u64, args[0], 0)?;
    let attributes = fs::root()?.lock().attributes(place.node());
    put_statfs(args[1], &attributes)
}

/// `fstatfs(fd, statfs)`.
///
/// # Errors
/// `EBADF`, `EFAULT`.
pub fn fstatfs(args: &[u64; 6]) -> Result<usize> {
    put_statfs(args[1], &of_descriptor(args[0])?)
}

fn put_statfs(at: u64, attributes: &Attributes) -> Result<usize> {
    let bytes = if attributes.mount == Mount::Proc as u32 {
        fs::tree::stat::statfs(linux::PROC_SUPER_MAGIC, (0, 0))
    } else if attributes.mount == Mount::Sys as u32 {
        fs::tree::stat::statfs(linux::SYSFS_MAGIC, (0, 0))
    } else {
        let (limit, used) = fs::root()?.lock().share();
        let free = limit.saturating_sub(used).min(Kernel.free_pages());
        // Without a limit none is told, nor what is left of it (Linux: `shmem_statfs`).
        let room = if limit == u64::MAX { (0, 0) } else { (limit, free) };
        fs::tree::stat::statfs(linux::TMPFS_MAGIC, room)
    };
    copy_to_user(at as usize, &bytes)?;
    Ok(0)
}
