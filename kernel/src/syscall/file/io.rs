//! Moving bytes: read, write and their relatives, and positions.

use linux_raw_sys::general as linux;

use super::file;
use super::user::{UserBuffers, vector};
use crate::errno::{Errno, Result};
use crate::fs::kernel::Kernel;
use crate::fs::span::Span;

/// `read(fd, buffer, count)`.
///
/// # Errors
/// As read(2): `EBADF`, `EFAULT`, `EISDIR`, `EAGAIN`, `EINTR`, `ENOMEM`.
pub fn read(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    if !file.readable() {
        return Err(Errno::EBADF);
    }
    file.read(&Kernel, &mut UserBuffers::new(&[Span::new(args[1], args[2])?]))
}

/// `write(fd, buffer, count)`.
///
/// # Errors
/// As write(2): `EBADF`, `EFAULT`, `EINVAL`, `EPIPE`, `EAGAIN`, `EINTR`, `ENOMEM`.
pub fn write(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    if !file.writable() {
        return Err(Errno::EBADF);
    }
    file.write(&Kernel, &mut UserBuffers::new(&[Span::new(args[1], args[2])?]))
}

/// `readv(fd, iovecs, count)`.
///
/// # Errors
/// As [`read`], and `EINVAL` for a vector that is too long or has a negative length.
pub fn readv(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    if !file.readable() {
        return Err(Errno::EBADF);
    }
    file.read(&Kernel, &mut UserBuffers::new(&vector(args[1], args[2])?))
}

/// `writev(fd, iovecs, count)`.
///
/// # Errors
/// As [`write()`], and `EINVAL` for a vector that is too long or has a negative length.
pub fn writev(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    if !file.writable() {
        return Err(Errno::EBADF);
    }
    file.write(&Kernel, &mut UserBuffers::new(&vector(args[1], args[2])?))
}

/// `pread64(fd, buffer, count, offset)`: reads at an offset in bytes and leaves the position alone.
///
/// # Errors
/// As [`read`]; `EINVAL` for a negative offset; `ESPIPE` for what cannot seek.
pub fn pread64(args: &[u64; 6]) -> Result<usize> {
    if args[3] > i64::MAX as u64 {
        return Err(Errno::EINVAL);
    }
    let file = file(args[0])?;
    let span = Span::new(args[1], args[2])?;
    file.read_at(&Kernel, &mut UserBuffers::new(&[span]), args[3])
}

/// `lseek(fd, offset, whence)`.
///
/// # Errors
/// `EBADF`, `ESPIPE`, `EINVAL`, as lseek(2).
pub fn lseek(args: &[u64; 6]) -> Result<usize> {
    let position = file(args[0])?.seek(args[1] as i64, args[2] as u32)?;
    Ok(position as usize)
}

/// `pwrite64(fd, buffer, count, offset)`: writes at an offset in bytes and leaves the position alone.
///
/// # Errors
/// As [`write()`]; `EINVAL` for a negative offset; `ESPIPE` for what cannot seek.
pub fn pwrite64(args: &[u64; 6]) -> Result<usize> {
    let offset = offset(args[3])?;
    let file = file(args[0])?;
    let span = Span::new(args[1], args[2])?;
    file.write_at(&Kernel, &mut UserBuffers::new(&[span]), offset)
}

/// `preadv(fd, iovecs, count, offset)`.
///
/// # Errors
/// As [`readv`] and [`pread64`].
pub fn preadv(args: &[u64; 6]) -> Result<usize> {
    let offset = offset(args[3])?;
    let file = file(args[0])?;
    file.read_at(&Kernel, &mut UserBuffers::new(&vector(args[1], args[2])?), offset)
}

/// `pwritev(fd, iovecs, count, offset)`.
///
/// # Errors
/// As [`writev`] and [`pwrite64`].
pub fn pwritev(args: &[u64; 6]) -> Result<usize> {
    let offset = offset(args[3])?;
    let file = file(args[0])?;
    file.write_at(&Kernel, &mut UserBuffers::new(&vector(args[1], args[2])?), offset)
}

/// `preadv2(fd, iovecs, count, offset, -, flags)`: an offset of -1 is the position; of the flags those that are hints.
///
/// # Errors
/// As [`preadv`]; `EOPNOTSUPP`: any other flag.
pub fn preadv2(args: &[u64; 6]) -> Result<usize> {
    hints(args[5])?;
    if args[3] == u64::MAX { readv(args) } else { preadv(args) }
}

/// `pwritev2(fd, iovecs, count, offset, -, flags)`, as [`preadv2`].
///
/// # Errors
/// As [`pwritev`]; `EOPNOTSUPP`: any other flag.
pub fn pwritev2(args: &[u64; 6]) -> Result<usize> {
    hints(args[5])?;
    if args[3] == u64::MAX { writev(args) } else { pwritev(args) }
}

/// Accepts the flags of `preadv2` that change nothing here: everything is in memory, and what is written is stored.
fn hints(flags: u64) -> Result<()> {
    let known = linux::RWF_HIPRI | linux::RWF_DSYNC | linux::RWF_SYNC;
    if flags & !u64::from(known) != 0 { Err(Errno::EOPNOTSUPP) } else { Ok(()) }
}

/// An offset in a file, which is not negative.
fn offset(arg: u64) -> Result<u64> {
    if arg > i64::MAX as u64 { Err(Errno::EINVAL) } else { Ok(arg) }
}
