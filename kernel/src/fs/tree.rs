//! The inode table: what the initramfs held, plus `/dev`, `/proc` and `/sys`.
//!
//! It is built once, at boot, and never changes afterwards, so reading it needs no lock. Names and file contents are
//! slices of the initramfs, which stays in memory for good. Inodes are never removed: an entry that a later one
//! replaces just loses its name.
//!
//! Invariants: an [`InodeId`] handed out by a tree is a valid index into its table; the entries of a directory are
//! sorted by name and unique; every directory except a nameless one has its parent's id.

use alloc::vec::Vec;

use linux_raw_sys::general as linux;
use spin::Once;

use super::generated::Generated;
use crate::errno::{Errno, Result};
use crate::mm::Object;
use crate::util::Ref;

/// Index of an inode in its tree, 0-based; 0 is the root directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InodeId(pub(super) u32);

/// The root directory.
pub const ROOT: InodeId = InodeId(0);
/// The console's device node. It exists even when `/dev/console` names something else.
pub const CONSOLE: InodeId = InodeId(1);

/// A name in a directory.
#[derive(Clone, Copy)]
pub struct Dirent {
    /// The name: no slash, no NUL, not empty.
    pub name: &'static [u8],
    /// What it names.
    pub inode: InodeId,
}

/// What an inode is, with its contents.
pub enum Kind {
    /// A directory: its entries, sorted by name, without `.` and `..`, and its parent (the root's is itself).
    Dir(Vec<Dirent>, InodeId),
    /// A regular file with its contents.
    File(&'static [u8]),
    /// A symbolic link with its target.
    Symlink(&'static [u8]),
    /// A device node, FIFO or socket with its device number (major, minor).
    Special(u32, u32),
    /// A file whose contents the kernel writes.
    Generated(Generated),
    /// `/proc/self`: a symbolic link to the calling process's directory.
    ProcSelf,
}

/// One file of any type.
pub struct Inode {
    /// File type and permissions, as in `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time in seconds since the epoch.
    pub mtime: u32,
    /// Number of names; for a directory, as is custom, 2 plus the number of its subdirectories.
    pub nlink: u32,
    /// Type and contents.
    pub kind: Kind,
    object: Once<Ref<Object>>,
}

impl Inode {
    /// An inode without a name yet, owned by root; the file type in `mode` must agree with `kind`.
    pub fn new(mode: u32, kind: Kind) -> Self {
        let nlink = if matches!(kind, Kind::Dir(..)) { 2 } else { 0 };
        Inode { mode, uid: 0, gid: 0, mtime: 0, nlink, kind, object: Once::new() }
    }

    /// An empty directory; its parent is set when it is linked.
    pub fn dir(permissions: u32) -> Self {
        Inode::new(linux::S_IFDIR | permissions, Kind::Dir(Vec::new(), ROOT))
    }

    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir(..))
    }

    /// A regular file's page cache, made on first use and kept.
    ///
    /// # Errors
    /// `ENOMEM`; `EISDIR` for a directory, `EACCES` for anything else that is not a regular file with stored bytes.
    pub fn object(&self) -> Result<Ref<Object>> {
        match self.kind {
            Kind::File(data) => self.object.try_call_once(|| Object::file(data)).cloned(),
            Kind::Dir(..) => Err(Errno::EISDIR),
            _ => Err(Errno::EACCES),
        }
    }

    /// The page cache if something has asked for it before.
    pub fn existing_object(&self) -> Option<&Ref<Object>> {
        self.object.get()
    }
}

/// All inodes.
pub struct Tree {
    inodes: Vec<Inode>,
    /// `/proc`, where process numbers are names too; `None` until it is set up.
    pub(super) proc_root: Option<InodeId>,
}

impl Tree {
    /// An empty root directory and the console's nameless device node.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        let mut tree = Tree { inodes: Vec::new(), proc_root: None };
        tree.add(Inode::dir(0o755))?;
        tree.add(Inode::new(linux::S_IFCHR | 0o600, Kind::Special(5, 1)))?;
        Ok(tree)
    }

    /// The inode with this id.
    pub fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id.0 as usize]
    }

    /// The inode with this id, to be changed while the tree is built.
    pub fn inode_mut(&mut self, id: InodeId) -> &mut Inode {
        &mut self.inodes[id.0 as usize]
    }

    /// All inodes with their ids.
    pub fn inodes(&self) -> impl Iterator<Item = (InodeId, &Inode)> {
        self.inodes.iter().enumerate().map(|(index, inode)| (InodeId(index as u32), inode))
    }

    /// Adds an inode without a name.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn add(&mut self, inode: Inode) -> Result<InodeId> {
        let id = u32::try_from(self.inodes.len()).map_err(|_| Errno::ENOMEM)?;
        self.inodes.try_reserve(1)?;
        self.inodes.push(inode);
        Ok(InodeId(id))
    }

    /// The entries of a directory; none for anything else.
    pub fn entries(&self, dir: InodeId) -> &[Dirent] {
        match &self.inode(dir).kind {
            Kind::Dir(entries, _) => entries,
            _ => &[],
        }
    }

    /// What `name` names in `dir`, not following links; `.` and `..` are not names here.
    pub fn child(&self, dir: InodeId, name: &[u8]) -> Option<InodeId> {
        let entries = self.entries(dir);
        let index = entries.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        Some(entries[index].inode)
    }

    /// Gives an inode a name. A directory must have no other name; it becomes `dir`'s subdirectory.
    ///
    /// # Errors
    /// `ENOMEM`; `EEXIST` if the name is taken; `ENOTDIR` if `dir` is no directory.
    pub fn link(&mut self, dir: InodeId, name: &'static [u8], inode: InodeId) -> Result<()> {
        let Kind::Dir(entries, _) = &mut self.inode_mut(dir).kind else { return Err(Errno::ENOTDIR) };
        match entries.binary_search_by(|entry| entry.name.cmp(name)) {
            Ok(_) => return Err(Errno::EEXIST),
            Err(index) => {
                entries.try_reserve(1)?;
                entries.insert(index, Dirent { name, inode });
            }
        }
        let child = self.inode_mut(inode);
        match &mut child.kind {
            Kind::Dir(_, parent) => {
                *parent = dir;
                self.inode_mut(dir).nlink += 1;
            }
            _ => child.nlink += 1,
        }
        Ok(())
    }

    /// Takes a name away.
    ///
    /// # Errors
    /// `ENOENT` if there is none; `EEXIST` for a directory that still has entries.
    pub fn unlink(&mut self, dir: InodeId, name: &[u8]) -> Result<()> {
        let child = self.child(dir, name).ok_or(Errno::ENOENT)?;
        if !self.entries(child).is_empty() {
            return Err(Errno::EEXIST);
        }
        if let Kind::Dir(entries, _) = &mut self.inode_mut(dir).kind {
            entries.retain(|entry| entry.name != name);
        }
        if self.inode(child).is_dir() {
            self.inode_mut(dir).nlink -= 1;
        } else {
            self.inode_mut(child).nlink -= 1;
        }
        Ok(())
    }

    /// Gives an inode a name that something else may have; that loses it, with all that is below it.
    ///
    /// # Errors
    /// `ENOMEM`; `ENOTDIR` if `dir` is no directory.
    pub fn rename_over(&mut self, dir: InodeId, name: &'static [u8], inode: InodeId) -> Result<()> {
        if let Some(old) = self.child(dir, name) {
            if let Kind::Dir(entries, _) = &mut self.inode_mut(old).kind {
                entries.clear();
            }
            self.unlink(dir, name)?;
        }
        self.link(dir, name, inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use linux::S_IFREG;

    fn file(data: &'static [u8]) -> Inode {
        Inode::new(S_IFREG | 0o644, Kind::File(data))
    }

    #[test]
    fn names_are_sorted_unique_and_counted() {
        let mut tree = Tree::new().unwrap();
        let (a, dir) = (tree.add(file(b"a")).unwrap(), tree.add(Inode::dir(0o755)).unwrap());
        tree.link(ROOT, b"z", dir).unwrap();
        tree.link(ROOT, b"m", a).unwrap();
        tree.link(dir, b"m2", a).unwrap();
        assert_eq!(tree.link(ROOT, b"m", dir), Err(Errno::EEXIST));
        assert_eq!(tree.link(a, b"x", dir), Err(Errno::ENOTDIR));
        let names: Vec<_> = tree.entries(ROOT).iter().map(|entry| entry.name).collect();
        assert_eq!(names, [b"m", b"z"]);
        assert_eq!((tree.inode(a).nlink, tree.inode(ROOT).nlink, tree.inode(dir).nlink), (2, 3, 2));

        assert_eq!(tree.unlink(ROOT, b"z"), Err(Errno::EEXIST));
        tree.unlink(dir, b"m2").unwrap();
        tree.unlink(ROOT, b"z").unwrap();
        assert_eq!(tree.unlink(ROOT, b"z"), Err(Errno::ENOENT));
        assert_eq!((tree.inode(a).nlink, tree.inode(ROOT).nlink), (1, 2));
        assert_eq!(tree.child(ROOT, b"m"), Some(a));
    }

    #[test]
    fn a_file_has_one_page_cache() {
        let inode = file(b"contents");
        assert!(inode.existing_object().is_none());
        let (first, second) = (inode.object().unwrap(), inode.object().unwrap());
        assert!(Ref::ptr_eq(&first, &second));
        assert_eq!(Inode::dir(0o755).object().err(), Some(Errno::EISDIR));
        assert_eq!(Inode::new(S_IFREG, Kind::ProcSelf).object().err(), Some(Errno::EACCES));
    }
}
