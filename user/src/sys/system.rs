//! What concerns the whole system: its file systems and its end.

use core::ffi::CStr;
use core::ptr;

use linux_raw_sys::general as linux;

use super::file::Fd;
use super::{Result, raw};

/// Makes a directory that everybody may read.
///
/// # Errors
/// `EEXIST`: something has that name. `EROFS`, `EACCES`, `ENOENT` and others, see mkdir(2).
pub fn make_directory(path: &CStr) -> Result<()> {
    let args = [linux::AT_FDCWD as usize, path.as_ptr() as usize, 0o755];
    // SAFETY: the kernel only reads the path.
    unsafe { raw(linux::__NR_mkdirat, args) }.map(drop)
}

/// Mounts a file system of the given kind, one that needs no device, at a directory.
///
/// # Errors
/// `ENODEV`: no such kind. `EPERM`: not privileged. `ENOENT`: no such directory. `ENOSYS`: this kernel mounts nothing.
pub fn mount(kind: &CStr, at: &CStr) -> Result<()> {
    let (kind, at) = (kind.as_ptr() as usize, at.as_ptr() as usize);
    // SAFETY: the kernel only reads the strings; without data there is nothing else to read.
    unsafe { raw(linux::__NR_mount, [kind, at, kind, 0, ptr::null::<u8>() as usize]) }.map(drop)
}

/// Waits until a terminal has sent what was written to it.
///
/// # Errors
/// `ENOTTY`: not a terminal.
pub fn drain(fd: super::file::Fd) -> Result<()> {
    /// Linux: include/uapi/asm-generic/ioctls.h. With an argument other than 0 it sends no break and only waits.
    const TCSBRK: usize = 0x5409;
    // SAFETY: the argument is a number, not an address.
    unsafe { raw(linux::__NR_ioctl, [fd as usize, TCSBRK, 1]) }.map(drop)
}

/// Switches the machine off. Returns only if that does not work.
///
/// # Errors
/// `EPERM`: not privileged. `ENOSYS`: this kernel cannot.
pub fn power_off() -> Result<()> {
    let args = [linux::LINUX_REBOOT_MAGIC1, linux::LINUX_REBOOT_MAGIC2, linux::LINUX_REBOOT_CMD_POWER_OFF];
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_reboot, args.map(|word| word as usize)) }.map(drop)
}

/// Linux: include/uapi/asm-generic/ioctls.h.
const TIOCSCTTY: usize = 0x540e;

/// Begins a session of this process's own, whose terminal is what `fd` stands for.
///
/// # Errors
/// `EPERM`: it leads a process group already, or the terminal is another session's; `ENOTTY`: no terminal.
pub fn lead_session(fd: Fd) -> Result<()> {
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_setsid, [0])? };
    // SAFETY: as above.
    unsafe { raw(linux::__NR_ioctl, [fd as usize, TIOCSCTTY, 0]) }.map(drop)
}
