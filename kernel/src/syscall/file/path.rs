//! Calls that find files by path: opening, and asking what may be done.

use linux_raw_sys::general as linux;

use super::start::{self, Start};
use super::{file, user};
use crate::arch::uaccess::copy_to_user;
use crate::errno::{Errno, Result};
use crate::fs;
use crate::fs::kernel::Kernel;
use crate::fs::tree::open::open;
use crate::proc::current_files;
use crate::util::Ref;

/// `openat(dirfd, path, flags, mode)`.
///
/// # Errors
/// As open(2); see [`fs::tree::open::open`]. `EMFILE`, `EFAULT`, `ENAMETOOLONG`, `EBADF`.
pub fn openat(args: &[u64; 6]) -> Result<usize> {
    let (path, flags) = (user::path(args[1])?, args[2] as u32);
    let start = Start::new(args[0], &path)?;
    let mode = {
        let files = current_files().lock();
        // Before a file is made for which there is no descriptor.
        files.lowest_free(0)?;
        args[3] as u32 & !files.umask()
    };
    let file = Ref::try_new(open(fs::root()?, &Kernel, start.node(), &path, flags, mode)?)?;
    // The clone outlives the lock, should there be no descriptor for it.
    current_files().lock().insert(file.clone(), flags & linux::O_CLOEXEC != 0, 0)
}

/// `readlinkat(dirfd, path, buffer, size)`: the target, cut off at `size`, without a NUL.
///
/// # Errors
/// `EINVAL`: a size that is not positive, or not a symbolic link; those of the path walk; `EBADF`, `EFAULT`.
pub fn readlinkat(args: &[u64; 6]) -> Result<usize> {
    let size = usize::try_from(args[3] as i32).ok().filter(|size| *size > 0).ok_or(Errno::EINVAL)?;
    let path = user::path(args[1])?;
    let target = if path.is_empty() {
        // On a link itself, opened with O_PATH and O_NOFOLLOW; otherwise as if nothing had that name.
        let file = file(args[0])?;
        let node = file.node().ok_or(Errno::ENOENT)?;
        fs::root()?.lock().link_text(&Kernel, node)?.ok_or(Errno::ENOENT)?
    } else {
        let place = start::place(args[0], args[1], linux::AT_SYMLINK_NOFOLLOW)?;
        fs::root()?.lock().link_text(&Kernel, place.node())?.ok_or(Errno::EINVAL)?
    };
    let len = target.len().min(size);
    copy_to_user(args[2] as usize, &target[..len])?;
    Ok(len)
}

/// `faccessat(dirfd, path, mode)`.
///
/// # Errors
/// As [`faccessat2`].
pub fn faccessat(args: &[u64; 6]) -> Result<usize> {
    access(args[0], args[1], args[2] as u32, 0)
}

/// `faccessat2(dirfd, path, mode, flags)`, for root: what it may not do is execute what nobody may, and write where only
/// the kernel does.
///
/// # Errors
/// `EINVAL`: an unknown mode or flag; `EACCES`; those of the path walk; `EBADF`, `EFAULT`.
pub fn faccessat2(args: &[u64; 6]) -> Result<usize> {
    let flags = args[3] as u32;
    if flags & !(linux::AT_EACCESS | linux::AT_SYMLINK_NOFOLLOW | linux::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    access(args[0], args[1], args[2] as u32, flags)
}

fn access(dirfd: u64, path: u64, wanted: u32, flags: u32) -> Result<usize> {
    if wanted & !(linux::R_OK | linux::W_OK | linux::X_OK) != 0 {
        return Err(Errno::EINVAL);
    }
    let place = start::place(dirfd, path, flags)?;
    let tree = fs::root()?.lock();
    let (node, mode) = (place.node(), tree.attributes(place.node()).mode);
    let execute = mode & 0o111 != 0 || tree.is_dir(node);
    let write = tree.generated(node).is_none() || mode & 0o222 != 0;
    drop(tree);
    let refused = wanted & linux::X_OK != 0 && !execute || wanted & linux::W_OK != 0 && !write;
    if refused { Err(Errno::EACCES) } else { Ok(0) }
}
