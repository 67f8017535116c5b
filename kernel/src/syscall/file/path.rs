//! Calls that take a path, and `fstat`. The working directory is always the root.

use linux_raw_sys::general as linux;

use super::file;
use super::user;
use crate::arch::uaccess::copy_to_user;
use crate::errno::{Errno, Result};
use crate::fs::environment::Processes;
use crate::fs::kernel::Kernel;
use crate::fs::open::open;
use crate::fs::stat::Attributes;
use crate::fs::walk::walk;
use crate::fs::{self, Node, Tree};
use crate::proc::current_files;
use crate::util::Ref;

/// `openat(dirfd, path, flags, mode)`; the mode is for files that are created, and none can be.
///
/// # Errors
/// As open(2) on a read-only file system; see [`fs::open::open`]. `EMFILE`, `EFAULT`, `ENAMETOOLONG`, `EBADF`.
pub fn openat(args: &[u64; 6]) -> Result<usize> {
    let (path, flags) = (user::path(args[1])?, args[2] as u32);
    let start = start(args[0], &path)?;
    let file = Ref::try_new(open(fs::tree()?, &Kernel, start, &path, flags)?)?;
    current_files().lock().insert(file, flags & linux::O_CLOEXEC != 0, 0)
}

/// `fstat(fd, stat)`.
///
/// # Errors
/// `EBADF`, `EFAULT`.
pub fn fstat(args: &[u64; 6]) -> Result<usize> {
    let attributes = file(args[0])?.attributes(fs::tree()?);
    put_stat(args[1], &attributes)
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
    let path = user::path(args[1])?;
    let attributes = if path.is_empty() && flags & linux::AT_EMPTY_PATH != 0 {
        match args[0] as i32 {
            linux::AT_FDCWD => fs::tree()?.attributes(Node::ROOT),
            _ => file(args[0])?.attributes(fs::tree()?),
        }
    } else {
        let node = find(args[0], &path, flags & linux::AT_SYMLINK_NOFOLLOW == 0)?;
        fs::tree()?.attributes(node)
    };
    put_stat(args[2], &attributes)
}

/// `readlinkat(dirfd, path, buffer, size)`: the target, cut off at `size`, without a NUL.
///
/// # Errors
/// `EINVAL`: a size that is not positive, or not a symbolic link; those of the path walk; `EBADF`, `EFAULT`.
pub fn readlinkat(args: &[u64; 6]) -> Result<usize> {
    let size = usize::try_from(args[3] as i32).ok().filter(|size| *size > 0).ok_or(Errno::EINVAL)?;
    let path = user::path(args[1])?;
    let node = if path.is_empty() {
        // On a link itself, opened with O_PATH and O_NOFOLLOW; otherwise as if nothing had that name.
        let node = file(args[0])?.node().ok_or(Errno::ENOENT)?;
        let is_link = fs::tree()?.attributes(node).mode & linux::S_IFMT == linux::S_IFLNK;
        if is_link { node } else { return Err(Errno::ENOENT) }
    } else {
        find(args[0], &path, false)?
    };
    let mut digits = [0; 10];
    let target = fs::tree()?.link_target(&Kernel, node, &mut digits).ok_or(Errno::EINVAL)?;
    let len = target.len().min(size);
    copy_to_user(args[2] as usize, &target[..len])?;
    Ok(len)
}

/// `faccessat(dirfd, path, mode)`, for root: what it may not do is write to a read-only file system, and execute
/// what nobody may.
///
/// # Errors
/// `EINVAL`: an unknown mode; `EROFS`; `EACCES`; those of the path walk; `EBADF`, `EFAULT`.
pub fn faccessat(args: &[u64; 6]) -> Result<usize> {
    let wanted = args[2] as u32;
    if wanted & !(linux::R_OK | linux::W_OK | linux::X_OK) != 0 {
        return Err(Errno::EINVAL);
    }
    let path = user::path(args[1])?;
    let node = find(args[0], &path, true)?;
    let tree = fs::tree()?;
    let mode = tree.attributes(node).mode;
    let is_stored = matches!(mode & linux::S_IFMT, linux::S_IFREG | linux::S_IFDIR | linux::S_IFLNK);
    if wanted & linux::W_OK != 0 && is_stored && tree.generated(node).is_none() {
        return Err(Errno::EROFS);
    }
    if wanted & linux::X_OK != 0 && mode & 0o111 == 0 && !tree.is_dir(node) {
        return Err(Errno::EACCES);
    }
    Ok(0)
}

/// `getcwd(buffer, size)`: always the root. Returns the length with the NUL.
///
/// # Errors
/// `ERANGE`: does not fit; `EFAULT`.
pub fn getcwd(args: &[u64; 6]) -> Result<usize> {
    let path = b"/\0";
    if args[1] < path.len() as u64 {
        return Err(Errno::ERANGE);
    }
    copy_to_user(args[0] as usize, path)?;
    Ok(path.len())
}

/// The tree, if the directory `dir` is still there: a process's goes with it.
pub(super) fn live_tree(dir: Node) -> Result<&'static Tree> {
    match dir {
        Node::ProcessDir(pid) if Kernel.next_pid(pid) != Some(pid) => Err(Errno::ENOENT),
        _ => fs::tree(),
    }
}

fn find(dirfd: u64, path: &[u8], follow: bool) -> Result<Node> {
    walk(fs::tree()?, &Kernel, start(dirfd, path)?, path, follow)
}

/// The directory that a path is relative to; an absolute one does not need the descriptor.
fn start(dirfd: u64, path: &[u8]) -> Result<Node> {
    if path.first() == Some(&b'/') || dirfd as i32 == linux::AT_FDCWD {
        return Ok(Node::ROOT);
    }
    let node = file(dirfd)?.node().ok_or(Errno::ENOTDIR)?;
    live_tree(node)?;
    Ok(node)
}

fn put_stat(at: u64, attributes: &Attributes) -> Result<usize> {
    copy_to_user(at as usize, &attributes.to_stat())?;
    Ok(0)
}
