//! Files: the initramfs as an in-memory tree, `/dev`, `/proc` and `/sys`, pipes, and descriptors.
//!
//! Everything here but `kernel` (what files need from the rest of the kernel) is free of the machine and runs in
//! host tests. The tree is built once by [`init`] and then only read, without a lock. User memory is reached through
//! [`transfer::Transfer`] alone, and never with a lock held.
//!
//! ```text
//! cpio --> unpack --> tree <-- builtin          fd --> file --> device, pipe, sysfs
//!                      ^                                 |
//!                      +---- walk, node, readdir <--- open
//! ```

pub mod builtin;
pub mod cpio;
pub mod device;
pub mod devmem;
pub mod environment;
pub mod fd;
pub mod file;
pub mod generated;
#[cfg(target_os = "none")]
pub mod kernel;
pub mod node;
pub mod open;
mod pagemap;
pub mod pinned;
pub mod pipe;
pub mod procfs;
pub mod readdir;
pub mod ring;
pub mod smaps;
pub mod span;
pub mod stat;
pub mod sysfs;
#[cfg(test)]
mod testing;
pub mod text;
pub mod transfer;
pub mod tree;
pub mod tty;
pub mod unpack;
mod wait;
pub mod walk;

use spin::Once;

pub use fd::FdTable;
pub use node::Node;
pub use tree::Tree;
pub use unpack::UnpackError;

use crate::errno::{Errno, Result};
use crate::mm::Object;
use crate::util::Ref;
use tree::Kind;

static TREE: Once<Tree> = Once::new();

/// Unpacks the initramfs (empty if there is none) and adds `/dev`, `/proc` and `/sys`. Only the first call has an
/// effect.
///
/// # Errors
/// What is wrong with the archive; the files before that place are there all the same, as on Linux, so the caller may
/// report it and go on. Without memory for the tree itself there are no files at all.
pub fn init(initramfs: &'static [u8]) -> core::result::Result<(), UnpackError> {
    let mut tree = Tree::new()?;
    let unpacked = unpack::unpack(&mut tree, initramfs);
    builtin::populate(&mut tree)?;
    TREE.call_once(|| tree);
    unpacked
}

/// The file system.
///
/// # Errors
/// `ENOENT` before [`init`].
pub fn tree() -> Result<&'static Tree> {
    TREE.get().ok_or(Errno::ENOENT)
}

/// Finds what a path from the root names, following links.
///
/// # Errors
/// Those of [`walk::walk`].
#[cfg(target_os = "none")]
pub fn lookup(path: &[u8]) -> Result<Node> {
    walk::walk(tree()?, &kernel::Kernel, Node::ROOT, path, true)
}

impl Node {
    /// A regular file's contents; `None` for everything else.
    pub fn data(self) -> Option<&'static [u8]> {
        match self {
            Node::Inode(id) => match tree().ok()?.inode(id).kind {
                Kind::File(bytes) => Some(bytes),
                _ => None,
            },
            Node::ProcessDir(_) | Node::ProcessFile(..) => None,
        }
    }

    /// A regular file's page cache, one for each inode, made on first use and kept.
    ///
    /// # Errors
    /// `ENOMEM`; `EISDIR` for a directory, `EACCES` for anything else without stored contents.
    pub fn object(self) -> Result<Ref<Object>> {
        match self {
            Node::Inode(id) => tree()?.inode(id).object(),
            Node::ProcessDir(_) => Err(Errno::EISDIR),
            Node::ProcessFile(..) => Err(Errno::EACCES),
        }
    }

    /// Whether it is a regular file with an execute permission.
    pub fn is_executable(self) -> bool {
        self.data().is_some() && tree().is_ok_and(|tree| tree.attributes(self).mode & 0o111 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testing::{Packer, World};

    #[test]
    fn the_kernel_s_tree_is_set_once() {
        assert_eq!(tree().err(), Some(Errno::ENOENT));
        let damaged = Packer::default().file("init", b"\x7fELF").zeros(4).bytes().leak();
        assert!(matches!(init(damaged), Err(UnpackError::Archive(_))));
        init(&[]).unwrap();
        let walk = |path| walk::walk(tree().unwrap(), &World::default(), Node::ROOT, path, true);
        let node = walk(b"/init").unwrap();
        assert_eq!(node.data(), Some(&b"\x7fELF"[..]));
        assert!(node.is_executable());
        assert!(Ref::ptr_eq(&node.object().unwrap(), &node.object().unwrap()));
        assert_eq!(Node::ROOT.object().err(), Some(Errno::EISDIR));
        assert_eq!(walk(b"/proc/vmstat").unwrap().data(), None);
    }
}
