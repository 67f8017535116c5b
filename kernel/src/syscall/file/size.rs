//! Calls about a file's size and the memory it takes.

use linux_raw_sys::general as linux;

use super::{file, start};
use crate::errno::{Errno, Result};
use crate::fs;
use crate::fs::file::regular;
use crate::fs::kernel::Kernel;
use crate::mm::object_io::SIZE_LIMIT;

fn size(arg: u64) -> Result<u64> {
    if arg > SIZE_LIMIT { Err(Errno::EINVAL) } else { Ok(arg) }
}

/// `truncate(path, size)`.
///
/// # Errors
/// Those of the path walk; `EINVAL`: a negative size, or no regular file; `EISDIR`; `EPERM`: sealed.
pub fn truncate(args: &[u64; 6]) -> Result<usize> {
    let bytes = size(args[1])?;
    let place = start::place(linux::AT_FDCWD as u64, args[0], 0)?;
    let contents = place.with(|inode| inode.contents().cloned()).ok_or(Errno::EINVAL)??;
    regular::resize(&Kernel, &place, &contents, bytes)?;
    Ok(0)
}

/// `ftruncate(fd, size)`.
///
/// # Errors
/// `EBADF`; `EINVAL`: a negative size, not open for writing, or no regular file; `EPERM`: sealed.
pub fn ftruncate(args: &[u64; 6]) -> Result<usize> {
    let (bytes, file) = (size(args[1])?, file(args[0])?);
    if file.flags() & linux::O_PATH != 0 {
        return Err(Errno::EBADF);
    }
    let (place, contents) = file.regular().map_err(|_| Errno::EINVAL)?;
    if !file.writable() {
        return Err(Errno::EINVAL);
    }
    regular::resize(&Kernel, place, contents, bytes)?;
    Ok(0)
}

/// `fallocate(fd, mode, offset, len)`.
///
/// # Errors
/// As fallocate(2): `EBADF`, `EINVAL`, `EOPNOTSUPP`, `EFBIG`, `ENOSPC`, `EPERM`; `ENODEV`, `ESPIPE`: no regular file.
pub fn fallocate(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    if !file.writable() {
        return Err(Errno::EBADF);
    }
    let (place, contents) = file.regular().map_err(|error| match (error, file.place()) {
        (Errno::EISDIR, _) => Errno::EISDIR,
        (_, Some(_)) => Errno::ENODEV,
        (_, None) => Errno::ESPIPE,
    })?;
    regular::allocate(&Kernel, place, contents, args[1] as u32, (args[2], args[3]))?;
    Ok(0)
}

/// `fsync(fd)` and `fdatasync(fd)`, `sync_file_range`: memory is all there is, and it has the bytes already.
///
/// # Errors
/// `EBADF`; `EINVAL`: something that is never stored.
pub fn fsync(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    if file.place().is_some() { Ok(0) } else { Err(Errno::EINVAL) }
}

/// `sync()`: memory is all there is.
pub fn sync(_: &[u64; 6]) -> Result<usize> {
    fs::root().map(|_| 0)
}

/// `syncfs(fd)`.
///
/// # Errors
/// `EBADF`.
pub fn syncfs(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    if file.flags() & linux::O_PATH == 0 { Ok(0) } else { Err(Errno::EBADF) }
}

/// `readahead(fd, offset, count)`: all there is has been read.
///
/// # Errors
/// `EBADF`: not open for reading; `EINVAL`: no regular file.
pub fn readahead(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    if !file.readable() {
        return Err(Errno::EBADF);
    }
    file.regular().map(|_| 0).map_err(|_| Errno::EINVAL)
}

/// `fadvise64(fd, offset, len, advice)`: nothing is ever read ahead.
///
/// # Errors
/// `EBADF`; `EINVAL`: advice there is not; `ESPIPE`: a pipe.
pub fn fadvise64(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    match file.place() {
        None => Err(Errno::ESPIPE),
        Some(_) if args[3] as u32 > linux::POSIX_FADV_NOREUSE => Err(Errno::EINVAL),
        Some(_) => Ok(0),
    }
}
