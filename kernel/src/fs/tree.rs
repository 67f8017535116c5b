//! The inode table: the root file system, which is what the initramfs held and what was made since, with `/dev`,
//! `/proc` and `/sys`.
//!
//! An inode lives as long as it has a name or a pin ([`place::Place`]); what takes the last away gets it back and
//! drops it, best without the lock. While the tree is built at boot nothing is pinned, and inodes that lost their names
//! stay until [`Tree::sweep`].
//!
//! `inode` is what is in it, `contents` the bytes of a file and `stat` its attributes; `place` keeps one in use, `walk` finds it,
//! `node` is what was found, `open`, `change` and `readdir` are done with it. `builtin` adds `/dev`, `/proc` and `/sys`
//! at boot, `constants` those files there that always say the same.
//!
//! Invariants: an [`InodeId`] is good while its inode lives, hence for whoever found it as long as the tree stays locked;
//! the entries of a directory are sorted by name and unique; every directory with a name has its parent's id.

pub mod builtin;
pub mod change;
pub mod constants;
pub mod contents;
mod inode;
pub mod node;
pub mod open;
pub mod place;
pub mod readdir;
pub mod stat;
pub mod walk;

use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use super::bytes::Bytes;
use crate::errno::{Errno, Result};
use contents::{Contents, Store};
pub use inode::{Dirent, Inode, Kind, Mount};

/// Index of an inode in its tree, 0-based; 0 is the root directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InodeId(pub(super) u32);

/// The root directory.
pub const ROOT: InodeId = InodeId(0);
/// The console's device node. It exists even when `/dev/console` names something else.
pub const CONSOLE: InodeId = InodeId(1);

enum Slot {
    Used(Inode),
    /// The next free slot.
    Free(Option<u32>),
}

/// All inodes.
pub struct Tree {
    slots: Vec<Slot>,
    free: Option<u32>,
    last_ino: u64,
    store: &'static dyn Store,
    /// `/proc`, where process numbers are names too; `None` until it is set up.
    pub(super) proc_root: Option<InodeId>,
}

impl Tree {
    /// An empty root directory and the console's nameless device node. Files' contents will be in `store`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(store: &'static dyn Store) -> Result<Self> {
        let mut tree = Tree { slots: Vec::new(), free: None, last_ino: 0, store, proc_root: None };
        for inode in [Inode::dir(0o755), Inode::new(linux::S_IFCHR | 0o600, Kind::Special(5, 1))] {
            let id = tree.add(inode)?;
            tree.pin(id);
        }
        tree.inode_mut(ROOT).nlink = 2;
        Ok(tree)
    }

    /// Contents for a new file, which begin as `data`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn contents(&self, data: &'static [u8]) -> Result<Contents> {
        Contents::new(self.store, data)
    }

    /// Pages that files may take, and that they take.
    pub fn share(&self) -> (u64, u64) {
        self.store.share()
    }

    /// The inode with this id.
    pub fn inode(&self, id: InodeId) -> &Inode {
        match &self.slots[id.0 as usize] {
            Slot::Used(inode) => inode,
            Slot::Free(_) => panic!("{id:?} is no inode"),
        }
    }

    /// The inode with this id, to be changed.
    pub fn inode_mut(&mut self, id: InodeId) -> &mut Inode {
        match &mut self.slots[id.0 as usize] {
            Slot::Used(inode) => inode,
            Slot::Free(_) => panic!("{id:?} is no inode"),
        }
    }

    /// All inodes with their ids.
    pub fn inodes(&self) -> impl Iterator<Item = (InodeId, &Inode)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| match slot {
            Slot::Used(inode) => Some((InodeId(index as u32), inode)),
            Slot::Free(_) => None,
        })
    }

    /// Adds an inode without a name.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn add(&mut self, inode: Inode) -> Result<InodeId> {
        let ino = self.last_ino + 1;
        let inode = Slot::Used(Inode { ino, ..inode });
        let index = match self.free {
            Some(index) => {
                if let Slot::Free(next) = core::mem::replace(&mut self.slots[index as usize], inode) {
                    self.free = next;
                }
                index
            }
            None => {
                let index = u32::try_from(self.slots.len()).map_err(|_| Errno::ENOMEM)?;
                self.slots.try_reserve(1)?;
                self.slots.push(inode);
                index
            }
        };
        self.last_ino = ino;
        Ok(InodeId(index))
    }

    /// Keeps an inode alive.
    pub fn pin(&mut self, id: InodeId) {
        self.inode_mut(id).pins += 1;
    }

    /// Takes back one [`pin`](Self::pin). Returns the inode if nothing else kept it.
    #[must_use]
    pub fn unpin(&mut self, id: InodeId) -> Option<Inode> {
        self.inode_mut(id).pins -= 1;
        self.reap(id)
    }

    /// Takes an inode out of the table if it has neither a name nor a pin.
    #[must_use]
    pub fn reap(&mut self, id: InodeId) -> Option<Inode> {
        let inode = self.inode(id);
        if inode.nlink > 0 || inode.pins > 0 {
            return None;
        }
        let free = Slot::Free(self.free.replace(id.0));
        match core::mem::replace(&mut self.slots[id.0 as usize], free) {
            Slot::Used(inode) => Some(inode),
            Slot::Free(_) => None,
        }
    }

    /// Drops all inodes that have neither a name nor a pin.
    pub fn sweep(&mut self) {
        for index in 0..self.slots.len() as u32 {
            if matches!(self.slots[index as usize], Slot::Used(_)) {
                drop(self.reap(InodeId(index)));
            }
        }
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
        let index = entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok()?;
        Some(entries[index].inode)
    }

    /// Gives an inode a name. A directory must have no other name; it becomes `dir`'s subdirectory.
    ///
    /// # Errors
    /// `ENOMEM`; `EEXIST` if the name is taken; `ENOTDIR` if `dir` is no directory.
    pub fn link(&mut self, dir: InodeId, name: Bytes, inode: InodeId) -> Result<()> {
        let Kind::Dir(entries, _) = &mut self.inode_mut(dir).kind else { return Err(Errno::ENOTDIR) };
        match entries.binary_search_by(|entry| (*entry.name).cmp(&*name)) {
            Ok(_) => return Err(Errno::EEXIST),
            Err(index) => {
                entries.try_reserve(1)?;
                entries.insert(index, Dirent { name, inode });
            }
        }
        if self.inode(inode).is_dir() {
            let nlink = 2 + self.subdirs(inode);
            let child = self.inode_mut(inode);
            child.nlink = nlink;
            if let Kind::Dir(_, parent) = &mut child.kind {
                *parent = dir;
            }
            self.inode_mut(dir).nlink += 1;
        } else {
            self.inode_mut(inode).nlink += 1;
        }
        Ok(())
    }

    fn subdirs(&self, dir: InodeId) -> u32 {
        self.entries(dir).iter().filter(|entry| self.inode(entry.inode).is_dir()).count() as u32
    }

    /// Takes a name away; the inode stays, to be [reaped](Self::reap).
    ///
    /// # Errors
    /// `ENOENT` if there is none; `ENOTEMPTY` for a directory that still has entries.
    pub fn unlink(&mut self, dir: InodeId, name: &[u8]) -> Result<InodeId> {
        let child = self.child(dir, name).ok_or(Errno::ENOENT)?;
        if !self.entries(child).is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.detach(dir, name);
        Ok(child)
    }

    /// Takes a name away, whatever it names; returns that, and the name.
    pub(super) fn detach(&mut self, dir: InodeId, name: &[u8]) -> Option<Dirent> {
        let Kind::Dir(entries, _) = &mut self.inode_mut(dir).kind else { return None };
        let index = entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok()?;
        let entry = entries.remove(index);
        let child = self.inode_mut(entry.inode);
        if child.is_dir() {
            child.nlink = 0;
            self.inode_mut(dir).nlink -= 1;
        } else {
            child.nlink -= 1;
        }
        Some(entry)
    }

    /// Gives an inode a name that something else may have; that loses it, with all that is below it.
    ///
    /// # Errors
    /// `ENOMEM`; `ENOTDIR` if `dir` is no directory.
    pub fn rename_over(&mut self, dir: InodeId, name: &'static [u8], inode: InodeId) -> Result<()> {
        if let Some(old) = self.child(dir, name) {
            self.empty(old);
            self.unlink(dir, name)?;
        }
        self.link(dir, Bytes::Static(name), inode)
    }

    /// Takes the names in a directory away, and those in its subdirectories.
    fn empty(&mut self, dir: InodeId) {
        let mut at = dir;
        loop {
            match self.entries(at).last() {
                Some(last) if !self.entries(last.inode).is_empty() => at = last.inode,
                Some(_) => {
                    if let Kind::Dir(entries, _) = &mut self.inode_mut(at).kind
                        && let Some(entry) = entries.pop()
                    {
                        let child = self.inode_mut(entry.inode);
                        if child.is_dir() {
                            child.nlink = 0;
                            self.inode_mut(at).nlink -= 1;
                        } else {
                            child.nlink -= 1;
                        }
                    }
                }
                None if at == dir => return,
                None => {
                    let Kind::Dir(_, parent) = self.inode(at).kind else { return };
                    at = parent;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::store;
    use linux::S_IFREG;

    fn file(tree: &mut Tree, data: &'static [u8]) -> InodeId {
        let contents = tree.contents(data).unwrap();
        tree.add(Inode::new(S_IFREG | 0o644, Kind::File(contents))).unwrap()
    }

    fn name(name: &'static [u8]) -> Bytes {
        Bytes::Static(name)
    }

    #[test]
    fn names_are_sorted_unique_and_counted() {
        let mut tree = Tree::new(store()).unwrap();
        let (a, dir) = (file(&mut tree, b"a"), tree.add(Inode::dir(0o755)).unwrap());
        tree.link(ROOT, name(b"z"), dir).unwrap();
        tree.link(ROOT, name(b"m"), a).unwrap();
        tree.link(dir, name(b"m2"), a).unwrap();
        assert_eq!(tree.link(ROOT, name(b"m"), dir), Err(Errno::EEXIST));
        assert_eq!(tree.link(a, name(b"x"), dir), Err(Errno::ENOTDIR));
        let names: Vec<_> = tree.entries(ROOT).iter().map(|entry| &*entry.name).collect();
        assert_eq!(names, [b"m", b"z"]);
        assert_eq!((tree.inode(a).nlink, tree.inode(ROOT).nlink, tree.inode(dir).nlink), (2, 3, 2));

        assert_eq!(tree.unlink(ROOT, b"z"), Err(Errno::ENOTEMPTY));
        tree.unlink(dir, b"m2").unwrap();
        assert_eq!(tree.unlink(ROOT, b"z"), Ok(dir));
        assert_eq!(tree.unlink(ROOT, b"z"), Err(Errno::ENOENT));
        assert_eq!((tree.inode(a).nlink, tree.inode(ROOT).nlink), (1, 2));
        assert_eq!(tree.child(ROOT, b"m"), Some(a));
    }

    #[test]
    fn an_inode_lives_as_long_as_a_name_or_a_pin() {
        let mut tree = Tree::new(store()).unwrap();
        let a = file(&mut tree, b"a");
        tree.link(ROOT, name(b"a"), a).unwrap();
        tree.pin(a);
        tree.pin(a);
        assert!(tree.unpin(a).is_none() && tree.reap(a).is_none());
        tree.unlink(ROOT, b"a").unwrap();
        assert!(tree.reap(a).is_none());
        let ino = tree.inode(a).ino;
        assert!(tree.unpin(a).is_some());
        let next = file(&mut tree, b"b");
        assert_eq!(next, a, "its place is free");
        assert_ne!(tree.inode(next).ino, ino, "its number is not");
    }

    #[test]
    fn what_is_replaced_goes_with_all_below_it() {
        let mut tree = Tree::new(store()).unwrap();
        let before = tree.inodes().count();
        let mut dir = ROOT;
        for _ in 0..3 {
            let (sub, a) = (tree.add(Inode::dir(0o755)).unwrap(), file(&mut tree, b"a"));
            tree.link(dir, name(b"d"), sub).unwrap();
            tree.link(dir, name(b"f"), a).unwrap();
            dir = sub;
        }
        let new = tree.add(Inode::dir(0o700)).unwrap();
        tree.rename_over(ROOT, b"d", new).unwrap();
        tree.sweep();
        assert_eq!(tree.inodes().count(), before + 2);
        assert_eq!(tree.inode(ROOT).nlink, 3);
    }
}
