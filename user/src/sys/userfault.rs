//! userfaultfd(2).

use linux_raw_sys::general as linux;

use super::file::Fd;
use super::{Errno, Result, raw};

/// Registered for pages that are not there.
pub const MISSING: u64 = 1;
/// Registered for writes to protected pages.
pub const WP: u64 = 2;
/// Registered for pages of shared memory that are there and not mapped.
pub const MINOR: u64 = 4;

/// A fault is a write.
pub const FLAG_WRITE: u64 = 1;
/// A fault is a write to a protected page.
pub const FLAG_WP: u64 = 2;
/// A fault is on a page of shared memory that is there.
pub const FLAG_MINOR: u64 = 4;

/// Faults on pages of shared memory, missing and minor, are reported, and protection of shared memory.
pub const SHMEM: u64 = 1 << 5 | 1 << 10 | 1 << 12;

/// Faults are bus errors, and nobody is told.
pub const SIGBUS: u64 = 1 << 7;
/// Pages can be made bus errors.
pub const POISONS: u64 = 1 << 14;

/// All ioctls of a descriptor.
pub const REQUESTS: [usize; 9] =
    [API, REGISTER, UNREGISTER, WAKE, COPY, ZEROPAGE, WRITEPROTECT, CONTINUE, POISON];

const fn request(direction: u32, number: u32, bytes: u32) -> usize {
    (direction << 30 | bytes << 16 | 0xaa << 8 | number) as usize
}

const API: usize = request(3, 0x3f, 24);
const REGISTER: usize = request(3, 0, 32);
const UNREGISTER: usize = request(2, 1, 16);
const WAKE: usize = request(2, 2, 16);
const COPY: usize = request(3, 3, 40);
const ZEROPAGE: usize = request(3, 4, 32);
const WRITEPROTECT: usize = request(3, 6, 24);
const CONTINUE: usize = request(3, 7, 32);
const POISON: usize = request(3, 8, 32);
/// Of `/dev/userfaultfd`.
const NEW: usize = request(0, 0, 0);

/// A fault, as read from the descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// `FLAG_` bits.
    pub flags: u64,
    /// The page's address.
    pub addr: usize,
}

/// Makes a descriptor for this process's memory and agrees on `features`.
///
/// # Errors
/// `ENOSYS`, `EPERM`, `EMFILE`; `EINVAL`: flags or features that there are not.
pub fn make(flags: u32, features: u64) -> Result<Fd> {
    // SAFETY: makes a descriptor.
    let fd = unsafe { raw(linux::__NR_userfaultfd, [flags as usize]) }? as Fd;
    agree(fd, features)?;
    Ok(fd)
}

/// Agrees on features; returns all that there are.
///
/// # Errors
/// `EINVAL`: some there are not, or agreed already.
pub fn agree(fd: Fd, features: u64) -> Result<u64> {
    let mut words = [0xaa, features, 0];
    ioctl(fd, API, &mut words)?;
    Ok(words[1])
}

fn ioctl<const N: usize>(fd: Fd, request: usize, words: &mut [u64; N]) -> Result<()> {
    // SAFETY: the kernel reads and writes the words, which are as many as the request says.
    unsafe { raw(linux::__NR_ioctl, [fd as usize, request, words.as_mut_ptr() as usize]) }.map(drop)
}

/// Registers a range; returns what can be done with it, a bit for each ioctl.
///
/// # Errors
/// See ioctl_userfaultfd(2).
pub fn register(fd: Fd, addr: usize, len: usize, mode: u64) -> Result<u64> {
    let mut words = [addr as u64, len as u64, mode, 0];
    ioctl(fd, REGISTER, &mut words)?;
    Ok(words[3])
}

/// Ends a registration, and wakes who waits there.
///
/// # Errors
/// See ioctl_userfaultfd(2).
pub fn unregister(fd: Fd, addr: usize, len: usize) -> Result<()> {
    ioctl(fd, UNREGISTER, &mut [addr as u64, len as u64])
}

/// Wakes who waits in a range.
///
/// # Errors
/// `EINVAL`: no range of pages.
pub fn wake(fd: Fd, addr: usize, len: usize) -> Result<()> {
    ioctl(fd, WAKE, &mut [addr as u64, len as u64])
}

/// Fills pages with what is at `from`; returns how many bytes.
///
/// # Errors
/// `EAGAIN`: not all of them. See ioctl_userfaultfd(2).
pub fn copy(fd: Fd, to: usize, from: &[u8], mode: u64) -> Result<u64> {
    let mut words = [to as u64, from.as_ptr() as u64, from.len() as u64, mode, 0];
    ioctl(fd, COPY, &mut words)?;
    Ok(words[4])
}

/// Fills pages with zeroes.
///
/// # Errors
/// As [`copy`].
pub fn zero(fd: Fd, addr: usize, len: usize) -> Result<()> {
    ioctl(fd, ZEROPAGE, &mut [addr as u64, len as u64, 0, 0])
}

/// Maps pages that shared memory has.
///
/// # Errors
/// As [`copy`].
pub fn go_on(fd: Fd, addr: usize, len: usize) -> Result<()> {
    ioctl(fd, CONTINUE, &mut [addr as u64, len as u64, 0, 0])
}

/// Makes pages bus errors.
///
/// # Errors
/// As [`copy`].
pub fn poison(fd: Fd, addr: usize, len: usize) -> Result<()> {
    ioctl(fd, POISON, &mut [addr as u64, len as u64, 0, 0])
}

/// As [`zero`], but nobody is woken.
///
/// # Errors
/// As [`copy`].
pub fn zero_quietly(fd: Fd, addr: usize, len: usize) -> Result<()> {
    ioctl(fd, ZEROPAGE, &mut [addr as u64, len as u64, 1, 0])
}

/// A descriptor from the open `/dev/userfaultfd`. Nothing is agreed on yet.
///
/// # Errors
/// `EINVAL`: no such flags. `EMFILE`.
pub fn from_device(device: Fd, flags: u32) -> Result<Fd> {
    // SAFETY: makes a descriptor.
    unsafe { raw(linux::__NR_ioctl, [device as usize, NEW, flags as usize]) }.map(|fd| fd as Fd)
}

/// Reads up to four messages; returns how many there were.
///
/// # Errors
/// As [`read`].
pub fn read_some(fd: Fd) -> Result<usize> {
    let mut words = [0u64; 16];
    let args = [fd as usize, words.as_mut_ptr() as usize, size_of_val(&words)];
    // SAFETY: the kernel writes at most the words.
    unsafe { raw(linux::__NR_read, args) }.map(|bytes| bytes / 32)
}

/// Protects pages against writes, or ends that and wakes who waits.
///
/// # Errors
/// See ioctl_userfaultfd(2).
pub fn protect(fd: Fd, addr: usize, len: usize, protect: bool) -> Result<()> {
    ioctl(fd, WRITEPROTECT, &mut [addr as u64, len as u64, u64::from(protect)])
}

/// Reads a message; waits for one unless the descriptor does not.
///
/// # Errors
/// `EAGAIN`: there is none. `EINVAL`: nothing agreed on.
pub fn read(fd: Fd) -> Result<Fault> {
    let mut words = [0u64; 4];
    let bytes = size_of_val(&words);
    // SAFETY: the kernel writes at most the words.
    let count = unsafe { raw(linux::__NR_read, [fd as usize, words.as_mut_ptr() as usize, bytes]) }?;
    if count != bytes || words[0] as u8 != 0x12 {
        return Err(Errno::EIO);
    }
    Ok(Fault { flags: words[1], addr: words[2] as usize })
}
