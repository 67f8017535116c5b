//! Files, directories and pipes.

use core::ffi::CStr;

use linux_raw_sys::general as linux;

use super::{Result, raw};

/// A file descriptor.
pub type Fd = i32;

/// Open for reading.
pub const READ_ONLY: u32 = linux::O_RDONLY;
/// Open for writing.
pub const WRITE_ONLY: u32 = linux::O_WRONLY;
/// Open only a directory.
pub const DIRECTORY: u32 = linux::O_DIRECTORY;
/// Close at exec.
pub const CLOSE_ON_EXEC: u32 = linux::O_CLOEXEC;
/// [`seek`]: from the start.
pub const SEEK_SET: u32 = linux::SEEK_SET;
/// [`seek`]: from the end.
pub const SEEK_END: u32 = linux::SEEK_END;

const AT_FDCWD: usize = linux::AT_FDCWD as usize;

/// Opens the file at `path`.
///
/// # Errors
/// `ENOENT`, `EACCES`, `EROFS`, `ENOTDIR`, `EMFILE` and others, see open(2).
pub fn open(path: &CStr, flags: u32) -> Result<Fd> {
    // SAFETY: the kernel only reads the path.
    unsafe { raw(linux::__NR_openat, [AT_FDCWD, path.as_ptr() as usize, flags as usize]) }.map(|fd| fd as Fd)
}

/// Closes a file descriptor.
///
/// # Errors
/// `EBADF`: not open.
pub fn close(fd: Fd) -> Result<()> {
    // SAFETY: file descriptors are plain numbers here; none is owned by an object.
    unsafe { raw(linux::__NR_close, [fd as usize]) }.map(drop)
}

/// Reads at most `buffer.len()` bytes; 0 is the end.
///
/// # Errors
/// `EBADF`: not open for reading. `EISDIR`: a directory.
pub fn read(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes into the buffer.
    unsafe { raw(linux::__NR_read, [fd as usize, buffer.as_mut_ptr() as usize, buffer.len()]) }
}

/// Reads until `buffer` is full or the file ends; returns the bytes read.
///
/// # Errors
/// As [`read`].
pub fn read_all(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(fd, &mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Opens the file at `path`, reads as much of it as fits, closes it.
///
/// # Errors
/// As [`open`] and [`read`].
pub fn read_file<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
    let fd = open(path, READ_ONLY)?;
    let result = read_all(fd, buffer);
    close(fd)?;
    Ok(&buffer[..result?])
}

/// Opens the existing file at `path`, writes `bytes` in one call, closes it.
///
/// # Errors
/// As [`open`] and [`write`].
pub fn write_file(path: &CStr, bytes: &[u8]) -> Result<()> {
    let fd = open(path, WRITE_ONLY)?;
    let result = write(fd, bytes);
    close(fd)?;
    result.map(drop)
}

/// Writes at most `bytes.len()` bytes, returns how many.
///
/// # Errors
/// `EBADF`: not open for writing. `EPIPE`: nobody reads (together with SIGPIPE).
pub fn write(fd: Fd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the kernel only reads the bytes.
    unsafe { raw(linux::__NR_write, [fd as usize, bytes.as_ptr() as usize, bytes.len()]) }
}

/// Writes all of `bytes`.
///
/// # Errors
/// As [`write`].
pub fn write_all(fd: Fd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let n = write(fd, bytes)?;
        bytes = &bytes[n..];
    }
    Ok(())
}

/// Moves the file position; returns the new one in bytes from the start.
///
/// # Errors
/// `EINVAL`: before the start. `ESPIPE`: a pipe.
pub fn seek(fd: Fd, offset: i64, whence: u32) -> Result<u64> {
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_lseek, [fd as usize, offset as usize, whence as usize]) }.map(|at| at as u64)
}

/// A file's type and permissions (`st_mode`) and its size in bytes.
///
/// # Errors
/// `EBADF`: not open.
pub fn stat(fd: Fd) -> Result<(u32, u64)> {
    // SAFETY: `stat` is plain data, all zeroes are a value of it.
    let mut stat: linux::stat = unsafe { core::mem::zeroed() };
    // SAFETY: the kernel writes one `stat`.
    unsafe { raw(linux::__NR_fstat, [fd as usize, &raw mut stat as usize]) }?;
    Ok((stat.st_mode, stat.st_size as u64))
}

/// Fills `buffer` with `linux_dirent64` records; returns the bytes written, 0 at the end.
///
/// # Errors
/// `ENOTDIR`: not a directory. `EINVAL`: the buffer is too small for one record.
pub fn directory_entries(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes into the buffer.
    unsafe { raw(linux::__NR_getdents64, [fd as usize, buffer.as_mut_ptr() as usize, buffer.len()]) }
}

/// A pipe.
#[derive(Clone, Copy)]
pub struct Pipe {
    /// The end to read from.
    pub read: Fd,
    /// The end to write to.
    pub write: Fd,
}

/// Makes a pipe; `flags` is 0 or [`CLOSE_ON_EXEC`].
///
/// # Errors
/// `EMFILE`: too many open files. `ENOMEM`: no memory.
pub fn pipe(flags: u32) -> Result<Pipe> {
    let mut ends = [0 as Fd; 2];
    // SAFETY: the kernel writes two file descriptors.
    unsafe { raw(linux::__NR_pipe2, [ends.as_mut_ptr() as usize, flags as usize]) }?;
    Ok(Pipe { read: ends[0], write: ends[1] })
}

/// [`vmsplice`]: the pages are not needed any more.
pub const GIFT: u32 = linux::SPLICE_F_GIFT;
/// [`vmsplice`]: fail instead of waiting.
pub const NONBLOCK: u32 = linux::SPLICE_F_NONBLOCK;

/// Hands memory (address and length in bytes, each) to the pipe that `fd` writes to, or fills it from the pipe that
/// `fd` reads from; returns the bytes moved.
///
/// # Errors
/// `EBADF`: not a pipe. `EFAULT`: not this process's memory. `EAGAIN`: full or empty, and [`NONBLOCK`]. `EINVAL`: bad
/// flags. `EPIPE`: nobody reads (together with SIGPIPE).
///
/// # Safety
/// From a pipe's reading end, nothing borrows the memory.
pub unsafe fn vmsplice(fd: Fd, spans: &[[usize; 2]], flags: u32) -> Result<usize> {
    let args = [fd as usize, spans.as_ptr() as usize, spans.len(), flags as usize];
    // SAFETY: a span is laid out as a `struct iovec`; the caller vouches for what it refers to.
    unsafe { raw(linux::__NR_vmsplice, args) }
}

/// [`poll`]: there is something to read.
pub const POLL_IN: u16 = linux::POLLIN as u16;
/// [`poll`]: there is room to write.
pub const POLL_OUT: u16 = linux::POLLOUT as u16;
/// [`poll`]: nobody reads.
pub const POLL_ERR: u16 = linux::POLLERR as u16;
/// [`poll`]: nobody writes.
pub const POLL_HUP: u16 = linux::POLLHUP as u16;

/// Waits up to `timeout_ns` nanoseconds until `fd` is ready for one of `events`; returns what it is, 0 if nothing.
///
/// # Errors
/// `EINVAL`: no such time.
pub fn poll(fd: Fd, events: u16, timeout_ns: u64) -> Result<u16> {
    let mut entry = linux::pollfd { fd, events: events as i16, revents: 0 };
    let mut timeout = [timeout_ns / 1_000_000_000, timeout_ns % 1_000_000_000];
    let args = [&raw mut entry as usize, 1, timeout.as_mut_ptr() as usize, 0, 0];
    // SAFETY: the kernel writes one `pollfd`, and may write the time left over the timeout, which nobody reads.
    unsafe { raw(linux::__NR_ppoll, args) }?;
    Ok(entry.revents as u16)
}

/// Makes `new` another name of `old`, closing what it was before.
///
/// # Errors
/// `EBADF`: `old` is not open. `EINVAL`: they are the same.
pub fn duplicate(old: Fd, new: Fd) -> Result<()> {
    // SAFETY: file descriptors are plain numbers here.
    unsafe { raw(linux::__NR_dup3, [old as usize, new as usize, 0]) }.map(drop)
}
