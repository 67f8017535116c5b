//! Files: the root file system in memory, `/dev`, `/proc` and `/sys`, pipes, sockets, events, and descriptors.
//!
//! Everything here but `kernel` (what files need from the rest of the kernel) is free of the machine and runs in
//! host tests. The tree is built by [`init`] and has one lock ([`tree::place`]). User memory is reached through
//! [`transfer::Transfer`] alone, and never with a lock held.
//!
//! ```text
//! initramfs --> tree: inodes and their         fd --> file --> regular, device, channel, notify, generated
//!                 names, walk, open, change            |          |
//!                                                      |          v
//!   environment, kernel: what files need               v      contents --> mm's objects
//!   from the rest of the kernel                     transfer --> user memory
//! ```
//!
//! - [`tree`]: what has a name, and what is done by name.
//! - [`file`]: what a descriptor stands for, and the descriptors.
//! - [`channel`]: pipes and sockets. [`notify`]: epoll, events, timers, pidfds, faults.
//! - [`generated`]: the files of `/proc` and `/sys`, and what is written in them.
//! - [`initramfs`]: the archive it all begins with.

pub mod bytes;
pub mod channel;
pub mod environment;
pub mod file;
pub mod generated;
pub mod initramfs;
#[cfg(target_os = "none")]
pub mod kernel;
pub mod mount;
pub mod notify;
pub mod program;
pub mod span;
#[cfg(test)]
mod testing;
pub mod transfer;
pub mod tree;

use spin::Once;

pub use file::fd::{Executed, FdTable};
pub use initramfs::unpack::UnpackError;
pub use program::Program;
pub use tree::Tree;
pub use tree::node::Node;
pub use tree::place::{Fs, Place};

use crate::errno::{Errno, Result};

static FS: Once<Fs> = Once::new();

/// Unpacks the initramfs (empty if there is none) and adds `/dev`, `/proc` and `/sys`. Only the first call has an
/// effect.
///
/// # Errors
/// What is wrong with the archive; the files before that place are there all the same, as on Linux, so the caller may
/// report it and go on. Without memory for the tree itself there are no files at all.
pub fn init(
    store: &'static dyn tree::contents::Store,
    initramfs: &'static [u8],
) -> core::result::Result<(), UnpackError> {
    let mut tree = Tree::new(store)?;
    let unpacked = initramfs::unpack::unpack(&mut tree, initramfs);
    tree::builtin::populate(&mut tree)?;
    FS.call_once(|| Fs::new(tree));
    unpacked
}

/// The file system.
///
/// # Errors
/// `ENOENT` before [`init`].
pub fn root() -> Result<&'static Fs> {
    FS.get().ok_or(Errno::ENOENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testing::{Packer, World, store};

    #[test]
    fn the_kernel_s_tree_is_set_once() {
        assert_eq!(root().err(), Some(Errno::ENOENT));
        let damaged = Packer::default().file("init", b"\x7fELF").zeros(4).bytes().leak();
        assert!(matches!(init(store(), damaged), Err(UnpackError::Archive(_))));
        init(store(), &[]).unwrap();
        let program = Program::open(root().unwrap(), &World::default(), Node::ROOT, b"/init").unwrap();
        assert_eq!(program.read(1, 9).unwrap(), b"ELF");
        assert_eq!(program.bytes(), 4);
        let error = |path| Program::open(root().unwrap(), &World::default(), Node::ROOT, path).err();
        assert_eq!(error(b"/dev"), Some(Errno::EACCES));
        assert_eq!(error(b"/proc/vmstat"), Some(Errno::EACCES));
        assert_eq!(error(b"/none"), Some(Errno::ENOENT));
    }
}
