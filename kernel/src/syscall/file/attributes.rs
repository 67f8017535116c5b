//! Calls that change what `stat` tells. Everybody is root, so everybody may.

use linux_raw_sys::general as linux;

use super::super::user_ptr::UserPtr;
use super::{file, start};
use crate::errno::{Errno, Result};
use crate::fs::Place;
use crate::fs::environment::Environment;
use crate::fs::kernel::Kernel;
use crate::fs::tree::Inode;

/// Changes a file's inode, and notes when.
fn change(place: Option<&Place>, f: impl FnOnce(&mut Inode) -> Result<()>) -> Result<usize> {
    let now = Kernel.now();
    let change = |inode: &mut Inode| f(inode).map(|()| inode.ctime = now);
    let changed = place.and_then(|place| place.with(change)).transpose()?;
    // What has no inode is a pipe, whose attributes nobody needs, or belongs to a process.
    match (changed, place) {
        (Some(()), _) | (None, None) => Ok(0),
        (None, Some(_)) => Err(Errno::EPERM),
    }
}

fn set_owner(inode: &mut Inode, uid: u64, gid: u64) -> Result<()> {
    // All bits set: it stays.
    if uid as u32 != u32::MAX {
        inode.uid = uid as u32;
    }
    if gid as u32 != u32::MAX {
        inode.gid = gid as u32;
    }
    Ok(())
}

/// `fchmod(fd, mode)`.
///
/// # Errors
/// `EBADF`; `EPERM`: a process's file, or sealed.
pub fn fchmod(args: &[u64; 6]) -> Result<usize> {
    change(file(args[0])?.place(), |inode| inode.set_permissions(args[1] as u32))
}

/// `fchmodat(dirfd, path, mode)`, and `fchmodat2` with flags.
///
/// # Errors
/// Those of the path walk; `EINVAL`: an unknown flag; `EOPNOTSUPP`: a symbolic link; `EPERM`: a process's file.
pub fn fchmodat(args: &[u64; 6], flags: u64) -> Result<usize> {
    let flags = flags as u32;
    if flags & !(linux::AT_SYMLINK_NOFOLLOW | linux::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let place = start::place(args[0], args[1], flags)?;
    if place.with(|inode| inode.mode & linux::S_IFMT == linux::S_IFLNK) == Some(true) {
        return Err(Errno::EOPNOTSUPP);
    }
    change(Some(&place), |inode| inode.set_permissions(args[2] as u32))
}

/// `fchown(fd, uid, gid)`.
///
/// # Errors
/// As [`fchmod`].
pub fn fchown(args: &[u64; 6]) -> Result<usize> {
    change(file(args[0])?.place(), |inode| set_owner(inode, args[1], args[2]))
}

/// `fchownat(dirfd, path, uid, gid, flags)`.
///
/// # Errors
/// As [`fchmodat`], but links can be given away too.
pub fn fchownat(args: &[u64; 6]) -> Result<usize> {
    let flags = args[4] as u32;
    if flags & !(linux::AT_SYMLINK_NOFOLLOW | linux::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let place = start::place(args[0], args[1], flags)?;
    change(Some(&place), |inode| set_owner(inode, args[2], args[3]))
}

/// `utimensat(dirfd, path, times, flags)`: of access and modification, now if there are none given.
///
/// # Errors
/// Those of the path walk; `EINVAL`: an unknown flag, or no such nanosecond; `EBADF`, `EFAULT`; `EPERM`: a process's file.
pub fn utimensat(args: &[u64; 6]) -> Result<usize> {
    let flags = args[3] as u32;
    if flags & !(linux::AT_SYMLINK_NOFOLLOW | linux::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let times = UserPtr::<[i64; 4]>::new(args[2]);
    let now = Kernel.now();
    let (atime, mtime) = match times.is_null() {
        true => (Some(now), Some(now)),
        false => {
            let [a_seconds, a_nanoseconds, m_seconds, m_nanoseconds] = times.read()?;
            (time((a_seconds, a_nanoseconds), now)?, time((m_seconds, m_nanoseconds), now)?)
        }
    };
    let set = |inode: &mut Inode| {
        inode.atime = atime.unwrap_or(inode.atime);
        inode.mtime = mtime.unwrap_or(inode.mtime);
        Ok(())
    };
    // Without a path it is the descriptor's file, as libraries do futimens.
    if args[1] == 0 {
        return change(file(args[0])?.place(), set);
    }
    change(Some(&start::place(args[0], args[1], flags)?), set)
}

/// A time in nanoseconds; `None`: it stays as it is.
fn time((seconds, nanoseconds): (i64, i64), now: u64) -> Result<Option<u64>> {
    match nanoseconds {
        nanoseconds if nanoseconds == i64::from(linux::UTIME_NOW) => Ok(Some(now)),
        nanoseconds if nanoseconds == i64::from(linux::UTIME_OMIT) => Ok(None),
        0..1_000_000_000 => {
            // Times before 1970 are 1970, those after 2554 are that.
            let seconds = seconds.max(0) as u64;
            Ok(Some(seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds as u64)))
        }
        _ => Err(Errno::EINVAL),
    }
}
