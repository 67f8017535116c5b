//! A file that is to be executed.

use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use super::contents::Contents;
use super::environment::Processes;
use super::node::Node;
use super::place::{Fs, Place};
use super::tree::Kind;
use super::walk::walk;
use crate::errno::{Errno, Result};
use crate::mm::Object;
use crate::util::Ref;

/// An executable file, kept alive.
pub struct Program {
    place: Place,
    contents: Contents,
}

impl Program {
    /// Finds the file that `path` names, from `start` unless it is absolute.
    ///
    /// # Errors
    /// Those of [`walk`]; `EACCES`: not a regular file, or nobody may execute it.
    pub fn open(fs: &'static Fs, processes: &dyn Processes, start: Node, path: &[u8]) -> Result<Self> {
        let mut tree = fs.lock();
        let node = walk(&tree, processes, start, path, true)?;
        Self::at(fs, &mut tree, node)
    }

    /// The file at `node`; the tree is locked.
    ///
    /// # Errors
    /// `EACCES`: not a regular file, or nobody may execute it.
    pub fn at(fs: &'static Fs, tree: &mut super::Tree, node: Node) -> Result<Self> {
        let Node::Inode(id) = node else { return Err(Errno::EACCES) };
        let inode = tree.inode(id);
        match &inode.kind {
            Kind::File(contents) if inode.mode & (linux::S_IXUSR | linux::S_IXGRP | linux::S_IXOTH) != 0 => {
                let contents = contents.clone();
                Ok(Program { place: fs.place(tree, node), contents })
            }
            _ => Err(Errno::EACCES),
        }
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.contents.len()
    }

    /// A copy of at most `bytes` bytes from `offset` on.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn read(&self, offset: u64, bytes: usize) -> Result<Vec<u8>> {
        let bytes = bytes.min(usize::try_from(self.bytes().saturating_sub(offset)).unwrap_or(usize::MAX));
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes)?;
        copy.resize(bytes, 0);
        let count = self.contents.read(offset, &mut copy);
        copy.truncate(count);
        Ok(copy)
    }

    /// Its pages, to be mapped.
    pub fn object(&self) -> Ref<Object> {
        self.contents.to_map()
    }

    /// Where it is.
    pub fn into_place(self) -> Place {
        self.place
    }
}
