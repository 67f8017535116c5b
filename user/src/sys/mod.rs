//! System calls as functions: Linux/aarch64 numbers and structures, errors as [`Errno`].
//!
//! Functions that take addresses (`usize`) pass them to the kernel unchecked, because tests hand over bad ones on
//! purpose; those that take slices or references are sound for every argument.

pub mod errno;
pub mod event;
pub mod file;
pub mod memory;
pub mod process;
pub mod signal;
pub mod system;
pub mod thread;
pub mod time;
pub mod timer;
pub mod tree;
pub mod usage;
pub mod userfault;

pub use errno::{Errno, Result};

use crate::rt::syscall::syscall;

/// Issues system call `number` with raw arguments, missing ones being 0.
///
/// # Safety
/// See [`syscall`].
pub unsafe fn raw<const N: usize>(number: u32, args: [usize; N]) -> Result<usize> {
    const { assert!(N <= 6, "Linux passes at most six arguments") };
    let mut all = [0; 6];
    all[..N].copy_from_slice(&args);
    // SAFETY: the caller vouches for the call.
    errno::check(unsafe { syscall(number, all) })
}
