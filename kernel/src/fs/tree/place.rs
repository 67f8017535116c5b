//! The file system as it is shared, and what keeps a file in it alive.
//!
//! Locks: one for the whole tree, held for a walk or a change of names and attributes, never while bytes move or a call
//! blocks. Inside it the process table and file tables may be locked, to look at `/proc`; objects and the allocators,
//! when an inode goes. So no [`Place`] may be dropped under one of those, nor under the tree's own.

use spin::{Mutex, MutexGuard};

use crate::fs::tree::node::Node;
use crate::fs::tree::{Inode, InodeId, Tree};

/// A tree behind its lock.
pub struct Fs(Mutex<Tree>);

impl Fs {
    /// Shares a tree.
    pub const fn new(tree: Tree) -> Self {
        Fs(Mutex::new(tree))
    }

    /// The tree, nobody else's until the guard is dropped.
    pub fn lock(&self) -> MutexGuard<'_, Tree> {
        self.0.lock()
    }

    /// Keeps `node` alive; `tree` is this file system's, locked.
    pub fn place(&'static self, tree: &mut Tree, node: Node) -> Place {
        if let Node::Inode(id) = node {
            tree.pin(id);
        }
        Place { node, fs: Some(self) }
    }
}

/// A node that stays as long as this does, with or without a name.
pub struct Place {
    node: Node,
    fs: Option<&'static Fs>,
}

impl Place {
    /// A node that is never freed: the root, or something of `/proc`.
    pub const fn permanent(node: Node) -> Self {
        Place { node, fs: None }
    }

    /// Which node.
    pub fn node(&self) -> Node {
        self.node
    }

    /// Calls `f` with the inode, if it is one, under the lock.
    pub fn with<T>(&self, f: impl FnOnce(&mut Inode) -> T) -> Option<T> {
        match (self.node, self.fs) {
            (Node::Inode(id), Some(fs)) => Some(f(fs.lock().inode_mut(id))),
            _ => None,
        }
    }

    /// The inode's number in the table, if it is one.
    pub fn id(&self) -> Option<InodeId> {
        match self.node {
            Node::Inode(id) => Some(id),
            _ => None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let (Node::Inode(id), Some(fs)) = (self.node, self.fs) {
            let dead = fs.lock().unpin(id);
            drop(dead); // its pages go without the lock
        }
    }
}
