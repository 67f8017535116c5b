//! Moving bytes: read, write and their relatives, positions, and directory entries.

use super::user::{UserBuffers, vector};
use super::{file, path};
use crate::arch::uaccess::copy_to_user;
use crate::errno::{Errno, Result};
use crate::fs::kernel::Kernel;
use crate::fs::readdir::RECORD_LIMIT;
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

/// `getdents64(fd, buffer, count)`: as many whole records as fit.
///
/// # Errors
/// `EBADF`; `ENOTDIR`; `EINVAL`: not even one record fits; `EFAULT`; `ENOENT`: a process's directory, and the process is
/// gone.
pub fn getdents64(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    let (dir, mut cursor) = file.dir()?;
    let tree = path::live_tree(dir)?;
    let (start, size) = (args[1], args[2] as u32 as usize);
    let mut done = 0;
    while let Some(found) = tree.next_entry(&Kernel, dir, cursor) {
        let mut record = [0; RECORD_LIMIT];
        let len = tree.dirent(&found, &mut record);
        let outcome = match size - done {
            room if room < len => Err(Errno::EINVAL),
            _ => copy_to_user((start as usize).wrapping_add(done), &record[..len]),
        };
        match outcome {
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
            Ok(()) => {}
        }
        done += len;
        cursor = found.next;
    }
    file.set_cursor(cursor);
    Ok(done)
}
