//! System calls on files and descriptors, as Linux's manual pages (section 2) have them.
//!
//! Each takes the six argument registers and returns what goes into x0. A description is taken out of the table
//! before it is used, so no lock is held while user memory is touched or a call blocks; what is closed meanwhile stays
//! open until the call is done.

mod descriptor;
mod io;
mod path;
mod splice;
mod user;

pub use descriptor::{close, dup, dup3, fcntl, ioctl, pipe2};
pub use io::{getdents64, lseek, pread64, read, readv, write, writev};
pub use path::{faccessat, fstat, getcwd, newfstatat, openat, readlinkat};
pub use splice::vmsplice;

use crate::errno::Result;
use crate::fs::{self, file::OpenFile};
use crate::mm::Object;
use crate::proc::current_files;
use crate::util::Ref;

/// A descriptor as a call gets it: 32 bits, of which negative values are no descriptor.
const fn descriptor_number(arg: u64) -> usize {
    arg as u32 as usize
}

/// The page cache of an open file, for mmap.
///
/// # Errors
/// `EBADF`; `EACCES`: not open for reading; `ENODEV`: not a regular file with stored contents; `ENOMEM`.
pub fn object(fd: i32) -> Result<Ref<Object>> {
    file(fd as u64)?.object(fs::tree()?)
}

/// What a descriptor argument stands for.
fn file(arg: u64) -> Result<Ref<OpenFile>> {
    current_files().lock().get(descriptor_number(arg))
}
