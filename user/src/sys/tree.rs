//! Names in the file system: what makes, removes, renames and links files, and the working directory. Also files without
//! a name, and their sizes.

use core::ffi::CStr;

use linux_raw_sys::general as linux;

use super::file::Fd;
use super::{Result, raw};

/// [`create`]: the file must not be there yet.
pub const EXCLUSIVE: u32 = linux::O_EXCL;
/// [`create`]: what the file held is gone.
pub const TRUNCATE: u32 = linux::O_TRUNC;
/// [`create`]: every write goes to the end.
pub const APPEND: u32 = linux::O_APPEND;
/// [`rename`]: fail if the new name is taken.
pub const NOREPLACE: u32 = linux::RENAME_NOREPLACE;
/// [`rename`]: let the two change names.
pub const EXCHANGE: u32 = linux::RENAME_EXCHANGE;
/// [`allocate`]: take the memory away.
pub const PUNCH_HOLE: u32 = linux::FALLOC_FL_PUNCH_HOLE | linux::FALLOC_FL_KEEP_SIZE;

const HERE: usize = linux::AT_FDCWD as usize;

fn at(path: &CStr) -> usize {
    path.as_ptr() as usize
}

/// Opens the file at `path` for reading and writing, makes it if need be.
///
/// # Errors
/// `EEXIST`, `ENOENT`, `ENOTDIR`, `EISDIR` and others, see open(2).
pub fn create(path: &CStr, flags: u32) -> Result<Fd> {
    let flags = flags | linux::O_RDWR | linux::O_CREAT;
    // SAFETY: the kernel only reads the path.
    unsafe { raw(linux::__NR_openat, [HERE, at(path), flags as usize, 0o666]) }.map(|fd| fd as Fd)
}

/// Makes a directory.
///
/// # Errors
/// As mkdir(2).
pub fn mkdir(path: &CStr) -> Result<()> {
    // SAFETY: the kernel only reads the path.
    unsafe { raw(linux::__NR_mkdirat, [HERE, at(path), 0o777]) }.map(drop)
}

/// Makes a FIFO.
///
/// # Errors
/// As mknod(2).
pub fn make_fifo(path: &CStr) -> Result<()> {
    let mode = (linux::S_IFIFO | 0o600) as usize;
    // SAFETY: the kernel only reads the path.
    unsafe { raw(linux::__NR_mknodat, [HERE, at(path), mode, 0]) }.map(drop)
}

/// Takes a file's name away.
///
/// # Errors
/// As unlink(2).
pub fn unlink(path: &CStr) -> Result<()> {
    // SAFETY: the kernel only reads the path.
    unsafe { raw(linux::__NR_unlinkat, [HERE, at(path), 0]) }.map(drop)
}

/// Removes a directory.
///
/// # Errors
/// As rmdir(2).
pub fn rmdir(path: &CStr) -> Result<()> {
    // SAFETY: the kernel only reads the path.
    unsafe { raw(linux::__NR_unlinkat, [HERE, at(path), linux::AT_REMOVEDIR as usize]) }.map(drop)
}

/// Renames a file; `flags` are 0, [`NOREPLACE`] or [`EXCHANGE`].
///
/// # Errors
/// As rename(2).
pub fn rename(old: &CStr, new: &CStr, flags: u32) -> Result<()> {
    // SAFETY: the kernel only reads the paths.
    unsafe { raw(linux::__NR_renameat2, [HERE, at(old), HERE, at(new), flags as usize]) }.map(drop)
}

/// Gives a file a further name.
///
/// # Errors
/// As link(2).
pub fn link(old: &CStr, new: &CStr) -> Result<()> {
    // SAFETY: the kernel only reads the paths.
    unsafe { raw(linux::__NR_linkat, [HERE, at(old), HERE, at(new), 0]) }.map(drop)
}

/// Makes a symbolic link at `path` that leads to `target`.
///
/// # Errors
/// As symlink(2).
pub fn symlink(target: &CStr, path: &CStr) -> Result<()> {
    // SAFETY: the kernel only reads the paths.
    unsafe { raw(linux::__NR_symlinkat, [at(target), HERE, at(path)]) }.map(drop)
}

/// Reads where a symbolic link leads.
///
/// # Errors
/// As readlink(2).
pub fn readlink<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
    let args = [HERE, at(path), buffer.as_mut_ptr() as usize, buffer.len()];
    // SAFETY: the kernel writes at most `buffer.len()` bytes into the buffer.
    let len = unsafe { raw(linux::__NR_readlinkat, args) }?;
    Ok(&buffer[..len])
}

/// Changes the working directory.
///
/// # Errors
/// As chdir(2).
pub fn chdir(path: &CStr) -> Result<()> {
    // SAFETY: the kernel only reads the path.
    unsafe { raw(linux::__NR_chdir, [at(path)]) }.map(drop)
}

/// The working directory's path, with a NUL.
///
/// # Errors
/// `ENOENT`: it was removed; `ERANGE`: it does not fit.
pub fn getcwd(buffer: &mut [u8]) -> Result<&[u8]> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes into the buffer.
    let len = unsafe { raw(linux::__NR_getcwd, [buffer.as_mut_ptr() as usize, buffer.len()]) }?;
    Ok(&buffer[..len])
}

/// Makes a file `bytes` long.
///
/// # Errors
/// As ftruncate(2).
pub fn truncate(fd: Fd, bytes: u64) -> Result<()> {
    // SAFETY: touches no memory but what is mapped of the file, which the caller has to know about.
    unsafe { raw(linux::__NR_ftruncate, [fd as usize, bytes as usize]) }.map(drop)
}

/// Makes memory for a range of a file's bytes, or with [`PUNCH_HOLE`] takes it away.
///
/// # Errors
/// As fallocate(2).
pub fn allocate(fd: Fd, mode: u32, offset: u64, bytes: u64) -> Result<()> {
    let args = [fd as usize, mode as usize, offset as usize, bytes as usize];
    // SAFETY: as in `truncate`.
    unsafe { raw(linux::__NR_fallocate, args) }.map(drop)
}

/// Writes at an offset.
///
/// # Errors
/// As pwrite(2).
pub fn write_at(fd: Fd, bytes: &[u8], offset: u64) -> Result<usize> {
    let args = [fd as usize, bytes.as_ptr() as usize, bytes.len(), offset as usize];
    // SAFETY: the kernel only reads the bytes.
    unsafe { raw(linux::__NR_pwrite64, args) }
}

/// Reads at an offset.
///
/// # Errors
/// As pread(2).
pub fn read_at(fd: Fd, buffer: &mut [u8], offset: u64) -> Result<usize> {
    let args = [fd as usize, buffer.as_mut_ptr() as usize, buffer.len(), offset as usize];
    // SAFETY: the kernel writes at most `buffer.len()` bytes into the buffer.
    unsafe { raw(linux::__NR_pread64, args) }
}

/// Copies up to `count` bytes from one descriptor to another.
///
/// # Errors
/// As sendfile(2).
pub fn send_file(out: Fd, input: Fd, count: usize) -> Result<usize> {
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_sendfile, [out as usize, input as usize, 0, count]) }
}

/// Makes a file without a name that can be sealed.
///
/// # Errors
/// As memfd_create(2).
pub fn memfd(name: &CStr) -> Result<Fd> {
    // SAFETY: the kernel only reads the name.
    unsafe { raw(linux::__NR_memfd_create, [at(name), linux::MFD_ALLOW_SEALING as usize]) }.map(|fd| fd as Fd)
}

/// [`seal`]: against writing.
pub const SEAL_WRITE: u32 = linux::F_SEAL_WRITE;
/// [`seal`]: against being cut off.
pub const SEAL_SHRINK: u32 = linux::F_SEAL_SHRINK;

/// Forbids something for good.
///
/// # Errors
/// `EBUSY`: it is mapped so that it can be written; `EPERM`.
pub fn seal(fd: Fd, seals: u32) -> Result<()> {
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_fcntl, [fd as usize, linux::F_ADD_SEALS as usize, seals as usize]) }.map(drop)
}
