//! System calls on files and descriptors, as Linux's manual pages (section 2) have them.
//!
//! Each takes the six argument registers and returns what goes into x0. A description is taken out of the table
//! before it is used, so no lock is held while user memory is touched or a call blocks; what is closed meanwhile stays
//! open until the call is done.

mod attributes;
mod copy;
mod descriptor;
mod directory;
mod io;
mod memfd;
mod names;
mod path;
mod size;
mod splice;
pub(super) mod start;
mod stat;
pub(super) mod user;

pub use attributes::{fchmod, fchmodat, fchown, fchownat, utimensat};
pub use copy::{copy_file_range, sendfile, splice, tee};
pub use descriptor::{close, close_range, dup, dup3, fcntl, flock, ioctl, pipe2};
pub use directory::{chdir, chroot, fchdir, getcwd, getdents64, mount, umask, umount2};
pub use io::{lseek, pread64, preadv, preadv2, pwrite64, pwritev, pwritev2, read, readv, write, writev};
pub use memfd::memfd_create;
pub use names::{linkat, mkdirat, mknodat, renameat, renameat2, symlinkat, unlinkat};
pub use path::{faccessat, faccessat2, openat, readlinkat};
pub use size::{fadvise64, fallocate, fsync, ftruncate, readahead, sync, syncfs, truncate};
pub use splice::vmsplice;
pub use stat::{fstat, fstatfs, newfstatat, statfs, statx};

use crate::errno::Result;
use crate::fs::file::OpenFile;
use crate::proc::current_files;
use crate::util::Ref;

/// A descriptor as a call gets it: 32 bits, of which negative values are no descriptor.
const fn descriptor_number(arg: u64) -> usize {
    arg as u32 as usize
}

/// What a descriptor argument stands for.
fn file(arg: u64) -> Result<Ref<OpenFile>> {
    current_files().lock().get(descriptor_number(arg))
}
