//! Changing the tree: what creates, removes and renames files, after Linux's fs/namei.c and in its order of checks.
//!
//! Each takes a path that has been walked up to its last component. What lost its last name is handed back, to be
//! dropped when the tree is no longer locked: it may have pages to free.

use linux_raw_sys::general as linux;

use crate::errno::{Errno, Result};
use crate::fs::bytes::Bytes;
use crate::fs::tree::node::Node;
use crate::fs::tree::walk::Found;
use crate::fs::tree::{Inode, InodeId, Kind, Mount, Tree};

/// A path's last component, free of the tree: the directory, the name, and what has it now.
#[derive(Debug)]
pub struct Spot {
    /// The directory.
    pub dir: Node,
    /// The name in it.
    pub name: Bytes,
    /// What it names.
    pub node: Option<Node>,
    /// Whether a slash stands behind it.
    pub slash: bool,
}

impl Spot {
    /// Takes a walk's result out of the tree.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn of(found: &Found<'_>) -> Result<Self> {
        Ok(Spot { dir: found.dir, name: Bytes::copy_of(found.name)?, node: found.node, slash: found.slash })
    }

    /// Whether it is `.` or `..`, which name a directory but are no entries.
    fn is_dots(&self) -> bool {
        matches!(&*self.name, b"." | b"..")
    }
}

/// What lost its name and its last keeper, if it did.
pub type Removed = Option<Inode>;

impl Tree {
    /// The directory that names can be put in or taken from.
    fn writable_dir(&self, dir: Node) -> Result<InodeId> {
        match dir {
            Node::Inode(id) if self.inode(id).mount != Mount::Root => Err(Errno::EPERM),
            // A directory that was removed has no names any more, and gets none.
            Node::Inode(id) if self.inode(id).nlink == 0 => Err(Errno::ENOENT),
            Node::Inode(id) => Ok(id),
            _ => Err(Errno::EPERM),
        }
    }

    /// Makes `inode` where `spot` is.
    ///
    /// # Errors
    /// `EEXIST`; `ENOENT`: no directory, and a slash behind the name, or the directory was removed; `EPERM`: `/proc` or
    /// `/sys`; `ENOMEM`.
    pub fn create(&mut self, spot: Spot, inode: Inode) -> Result<InodeId> {
        if spot.node.is_some() {
            return Err(Errno::EEXIST);
        }
        if spot.slash && !inode.is_dir() {
            return Err(Errno::ENOENT);
        }
        let dir = self.writable_dir(spot.dir)?;
        let now = inode.mtime;
        let id = self.add(inode)?;
        if let Err(error) = self.link(dir, spot.name, id) {
            drop(self.reap(id)); // new, so without pages
            return Err(error);
        }
        self.inode_mut(dir).changed(now);
        Ok(id)
    }

    /// Gives an inode a further name.
    ///
    /// # Errors
    /// `EPERM`: a directory, or something of `/proc` or `/sys`; `EXDEV`: between file systems; as [`create`](Self::create).
    pub fn hard_link(&mut self, node: Node, spot: Spot, now: u64) -> Result<()> {
        let Node::Inode(id) = node else { return Err(Errno::EXDEV) };
        if spot.node.is_some() {
            return Err(Errno::EEXIST);
        }
        if spot.slash {
            return Err(Errno::ENOENT);
        }
        let dir = self.writable_dir(spot.dir)?;
        if self.inode(id).mount != Mount::Root {
            return Err(Errno::EXDEV);
        }
        if self.inode(id).is_dir() {
            return Err(Errno::EPERM);
        }
        self.link(dir, spot.name, id)?;
        self.inode_mut(id).ctime = now;
        self.inode_mut(dir).changed(now);
        Ok(())
    }

    /// Takes a file's name away, or removes an empty directory (`directory`).
    ///
    /// # Errors
    /// `ENOENT`; `EISDIR`, `ENOTDIR`: the other call is meant; `ENOTEMPTY`; `EINVAL`: `.`; `EBUSY`: the root, `/proc` or
    /// `/sys`; `EPERM`: something in those.
    pub fn remove(&mut self, spot: &Spot, directory: bool, now: u64) -> Result<Removed> {
        if spot.is_dots() {
            return Err(match (&*spot.name, spot.dir == Node::ROOT && spot.node == Some(Node::ROOT)) {
                _ if !directory => Errno::EISDIR,
                (_, true) => Errno::EBUSY,
                (b".", _) => Errno::EINVAL,
                _ => Errno::ENOTEMPTY,
            });
        }
        let dir = match self.writable_dir(spot.dir) {
            Err(Errno::ENOENT) => return Err(Errno::ENOENT),
            other => spot.node.ok_or(Errno::ENOENT).and(other)?,
        };
        let child = self.child(dir, &spot.name).ok_or(Errno::ENOENT)?;
        match (self.inode(child).is_dir(), directory) {
            (true, false) => return Err(Errno::EISDIR),
            (false, true) => return Err(Errno::ENOTDIR),
            (false, false) if spot.slash => return Err(Errno::ENOTDIR),
            _ => {}
        }
        if self.inode(child).mount != Mount::Root {
            return Err(Errno::EBUSY);
        }
        self.unlink(dir, &spot.name)?;
        self.inode_mut(child).ctime = now;
        self.inode_mut(dir).changed(now);
        Ok(self.reap(child))
    }

    /// Renames, with Linux's flags for what is to happen if the new name is taken.
    ///
    /// # Errors
    /// `ENOENT`; `EEXIST`: taken, and RENAME_NOREPLACE; `EINVAL`: a directory into itself, or flags that contradict;
    /// `EISDIR`, `ENOTDIR`, `ENOTEMPTY`: what has the new name cannot be replaced; `EBUSY`: `.`, `..`, the root, `/proc` or
    /// `/sys`; `EPERM`: something in those; `ENOMEM`.
    pub fn rename(&mut self, from: &Spot, to: Spot, flags: u32, now: u64) -> Result<Removed> {
        let (noreplace, exchange) =
            (flags & linux::RENAME_NOREPLACE != 0, flags & linux::RENAME_EXCHANGE != 0);
        if flags & !(linux::RENAME_NOREPLACE | linux::RENAME_EXCHANGE) != 0 || noreplace && exchange {
            return Err(Errno::EINVAL);
        }
        if from.is_dots() || to.is_dots() {
            return Err(if noreplace && to.is_dots() { Errno::EEXIST } else { Errno::EBUSY });
        }
        if from.node.is_none() || exchange && to.node.is_none() {
            return Err(Errno::ENOENT);
        }
        if noreplace && to.node.is_some() {
            return Err(Errno::EEXIST);
        }
        let (old_dir, new_dir) = (self.writable_dir(from.dir)?, self.writable_dir(to.dir)?);
        let moved = self.child(old_dir, &from.name).ok_or(Errno::ENOENT)?;
        let target = self.child(new_dir, &to.name);
        let is_dir = |tree: &Tree, id| tree.inode(id).is_dir();
        let moves_dir = is_dir(self, moved);
        if !moves_dir && (from.slash || !exchange && to.slash) {
            return Err(Errno::ENOTDIR);
        }
        for id in [Some(moved), target].into_iter().flatten() {
            if self.inode(id).mount != Mount::Root {
                return Err(Errno::EBUSY);
            }
        }
        if self.is_within(new_dir, moved)
            || exchange && target.is_some_and(|target| self.is_within(old_dir, target))
        {
            return Err(Errno::EINVAL);
        }
        if target.is_some_and(|target| !exchange && self.is_within(old_dir, target)) {
            return Err(Errno::ENOTEMPTY); // an ancestor of what moves is not empty
        }
        let Some(target) = target else {
            self.make_room(new_dir)?;
            self.move_entry((old_dir, &from.name), (new_dir, to.name), now)?;
            return Ok(None);
        };
        if target == moved {
            return Ok(None); // two names of one file: nothing happens, as POSIX has it
        }
        if exchange {
            self.exchange((old_dir, &from.name), (new_dir, &to.name), now);
            return Ok(None);
        }
        match (moves_dir, is_dir(self, target)) {
            (true, false) => return Err(Errno::ENOTDIR),
            (false, true) => return Err(Errno::EISDIR),
            _ => {}
        }
        if !self.entries(target).is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        // Its entry makes the room.
        self.detach(new_dir, &to.name);
        self.move_entry((old_dir, &from.name), (new_dir, to.name), now)?;
        self.inode_mut(target).ctime = now;
        Ok(self.reap(target))
    }

    /// Makes room for one more name, so that nothing can fail halfway.
    fn make_room(&mut self, dir: InodeId) -> Result<()> {
        if let Kind::Dir(entries, _) = &mut self.inode_mut(dir).kind {
            entries.try_reserve(1)?;
        }
        Ok(())
    }

    /// Moves an entry to a name that is free, in a directory that has room.
    fn move_entry(&mut self, from: (InodeId, &[u8]), to: (InodeId, Bytes), now: u64) -> Result<()> {
        let entry = self.detach(from.0, from.1).ok_or(Errno::ENOENT)?;
        self.link(to.0, to.1, entry.inode)?;
        self.inode_mut(entry.inode).ctime = now;
        self.inode_mut(from.0).changed(now);
        self.inode_mut(to.0).changed(now);
        Ok(())
    }

    /// Lets two names change what they name.
    fn exchange(&mut self, a: (InodeId, &[u8]), b: (InodeId, &[u8]), now: u64) {
        let (Some(first), Some(second)) = (self.child(a.0, a.1), self.child(b.0, b.1)) else { return };
        for (dir, name, new) in [(a.0, a.1, second), (b.0, b.1, first)] {
            if let Kind::Dir(entries, _) = &mut self.inode_mut(dir).kind
                && let Ok(index) = entries.binary_search_by(|entry| (*entry.name).cmp(name))
            {
                entries[index].inode = new;
            }
            self.inode_mut(dir).changed(now);
            self.inode_mut(new).ctime = now;
        }
        for (from, to, id) in [(a.0, b.0, first), (b.0, a.0, second)] {
            if let Kind::Dir(_, parent) = &mut self.inode_mut(id).kind {
                *parent = to;
                self.inode_mut(from).nlink -= 1;
                self.inode_mut(to).nlink += 1;
            }
        }
    }

    /// Whether `dir` is `ancestor` or below it.
    fn is_within(&self, dir: InodeId, ancestor: InodeId) -> bool {
        let mut at = dir;
        loop {
            if at == ancestor {
                return true;
            }
            match self.parent(Node::Inode(at)) {
                Node::Inode(parent) if parent != at => at = parent,
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
