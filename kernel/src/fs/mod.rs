//! Files: the root file system in memory, `/dev`, `/proc` and `/sys`, pipes, sockets, events, and descriptors.
//!
//! Everything here but `kernel` (what files need from the rest of the kernel) is free of the machine and runs in
//! host tests. The tree is built by [`init`] and has one lock ([`place`]). User memory is reached through
//! [`transfer::Transfer`] alone, and never with a lock held.
//!
//! ```text
//! cpio --> unpack --> tree <-- builtin          fd --> file --> regular, device, pipe, sysfs
//!                      ^  ^                              |          |
//!                      |  +-- change                     |          v
//!                      +---- walk, node, readdir <--- open      contents --> mm's objects
//! ```

pub mod builtin;
pub mod bytes;
pub mod change;
pub mod constants;
pub mod contents;
pub mod cpio;
pub mod device;
pub mod devmem;
pub mod environment;
pub mod epoll;
pub mod event;
pub mod fd;
pub mod file;
pub mod generated;
mod inode;
#[cfg(target_os = "none")]
pub mod kernel;
pub mod node;
pub mod open;
mod pagemap;
pub mod pidfd;
pub mod pinned;
pub mod pipe;
pub mod place;
pub mod proc_pid;
pub mod proc_system;
pub mod procfs;
pub mod program;
pub mod readdir;
pub mod regular;
pub mod ring;
pub mod smaps;
pub mod socket;
pub mod span;
pub mod stat;
pub mod sysfs;
#[cfg(test)]
mod testing;
pub mod text;
pub mod timer;
pub mod transfer;
pub mod tree;
pub mod unpack;
mod wait;
pub mod walk;

use spin::Once;

pub use fd::{Executed, FdTable};
pub use node::Node;
pub use place::{Fs, Place};
pub use program::Program;
pub use tree::Tree;
pub use unpack::UnpackError;

use crate::errno::{Errno, Result};

static FS: Once<Fs> = Once::new();

/// Unpacks the initramfs (empty if there is none) and adds `/dev`, `/proc` and `/sys`. Only the first call has an
/// effect.
///
/// # Errors
/// What is wrong with the archive; the files before that place are there all the same, as on Linux, so the caller may
/// report it and go on. Without memory for the tree itself there are no files at all.
pub fn init(
    store: &'static dyn contents::Store,
    initramfs: &'static [u8],
) -> core::result::Result<(), UnpackError> {
    let mut tree = Tree::new(store)?;
    let unpacked = unpack::unpack(&mut tree, initramfs);
    builtin::populate(&mut tree)?;
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
