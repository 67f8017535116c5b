//! A file that is to be executed.

use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use super::environment::Processes;
use super::tree::Kind;
use crate::errno::{Errno, Result};
use crate::fs::tree::contents::Contents;
use crate::fs::tree::node::Node;
use crate::fs::tree::place::{Fs, Place};
use crate::fs::tree::walk::walk;
use crate::mm::Object;
use crate::util::Ref;

/// An executable file, kept alive.
pub struct Program {
    place: Ref<Place>,
    contents: Contents,
}

impl Program {
    /// Finds the file that `path` names, from `start` unless it is absolute.
    ///
    /// # Errors
    /// Those of [`walk`]; `EACCES`: not a regular file, or nobody may execute it; `ENOMEM`.
    pub fn open(fs: &'static Fs, processes: &dyn Processes, start: Node, path: &[u8]) -> Result<Self> {
        let mut tree = fs.lock();
        let node = walk(&tree, processes, start, path, true)?;
        let Node::Inode(id) = node else { return Err(Errno::EACCES) };
        let inode = tree.inode(id);
        let contents = match &inode.kind {
            Kind::File(contents) if inode.mode & (linux::S_IXUSR | linux::S_IXGRP | linux::S_IXOTH) != 0 => {
                contents.clone()
            }
            _ => return Err(Errno::EACCES),
        };
        let place = fs.place(&mut tree, node);
        drop(tree); // a place must not be dropped under the lock, which the next line may do
        Ok(Program { place: Ref::try_new(place)?, contents })
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
    pub fn place(&self) -> Ref<Place> {
        self.place.clone()
    }
}
