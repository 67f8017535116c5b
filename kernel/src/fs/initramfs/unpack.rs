//! Turns cpio archives into inodes, with the semantics of Linux's init/initramfs.c where files meet.
//!
//! A later entry replaces an earlier one of the same name; hard links share one inode, and the contents come with
//! whichever of them carries bytes. Differences from Linux, which skips such entries without a word: a directory that
//! no entry describes is created, and a name with `..`, or below something that is no directory, is an error.

use alloc::vec::Vec;
use core::fmt;

use linux_raw_sys::general as linux;

use crate::errno::Errno;
use crate::fs::bytes::Bytes;
use crate::fs::channel::fifo::Named;
use crate::fs::environment::Processes;
use crate::fs::generated::ProcessLink;
use crate::fs::generated::text::Text;
use crate::fs::initramfs::cpio::{Archive, CpioError, Entry, Item};
use crate::fs::tree::node::Node;
use crate::fs::tree::walk::walk;
use crate::fs::tree::{Inode, InodeId, Kind, ROOT, Tree};

/// Why an initramfs was not unpacked, or not to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnpackError {
    /// The archive is damaged.
    Archive(CpioError),
    /// The entry whose header starts this many bytes into the input cannot be placed.
    Entry(usize, Misfit),
    /// The heap is full.
    OutOfMemory,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A component of its name is `..`.
    DotDot,
    /// A component of its name has more than 255 bytes.
    NameTooLong,
    /// Something on the way to it is not a directory.
    NotADirectory,
    /// It would replace a directory that is not empty, or the root.
    DirectoryInUse,
    /// A symbolic link without a target, or with one longer than a path may be.
    BadLink,
}

impl fmt::Display for UnpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (offset, misfit) = match self {
            UnpackError::Archive(error) => return error.fmt(f),
            UnpackError::OutOfMemory => return f.write_str("cpio archive: out of memory"),
            UnpackError::Entry(offset, misfit) => (offset, misfit),
        };
        let reason = match misfit {
            Misfit::DotDot => "a name with `..`",
            Misfit::NameTooLong => "a name longer than 255 bytes",
            Misfit::NotADirectory => "a name below something that is not a directory",
            Misfit::DirectoryInUse => "a file in the place of a directory that is not empty",
            Misfit::BadLink => "a symbolic link with an empty or overlong target",
        };
        write!(f, "cpio archive, entry at offset {offset}: {reason}")
    }
}

/// An errno out of the tree, which can only be lack of memory where the caller has checked everything else.
impl From<Errno> for UnpackError {
    fn from(_: Errno) -> Self {
        UnpackError::OutOfMemory
    }
}

impl From<alloc::collections::TryReserveError> for UnpackError {
    fn from(_: alloc::collections::TryReserveError) -> Self {
        UnpackError::OutOfMemory
    }
}

/// Adds the files of all archives in `bytes` to the tree. On an error, the files before it are there.
///
/// # Errors
/// See [`UnpackError`].
pub fn unpack(tree: &mut Tree, bytes: &'static [u8]) -> Result<(), UnpackError> {
    let mut links = Links::default();
    for item in Archive::new(bytes) {
        match item.map_err(UnpackError::Archive)? {
            Item::Trailer => links.seen.clear(),
            Item::Entry(entry) => place(tree, &mut links, &entry)?,
        }
    }
    Ok(())
}

/// The hard-linked files seen in the current archive, sorted by what identifies them.
#[derive(Default)]
struct Links {
    seen: Vec<([u32; 4], InodeId)>,
}

impl Links {
    /// The inode of an earlier entry for the same file, or the place where to note it.
    fn find(&self, key: &[u32; 4]) -> Result<InodeId, usize> {
        self.seen.binary_search_by(|(seen, _)| seen.cmp(key)).map(|index| self.seen[index].1)
    }
}

/// During unpacking there are no processes, and no `/proc` yet.
struct Nobody;

impl Processes for Nobody {
    fn current_pid(&self) -> u32 {
        0
    }

    fn current_thread(&self) -> u32 {
        0
    }

    fn next_pid(&self, _from: u32) -> Option<u32> {
        None
    }

    fn next_thread(&self, _pid: u32, _from: u32) -> Option<u32> {
        None
    }

    fn next_fd(&self, _pid: u32, _from: u32) -> Option<u32> {
        None
    }

    fn descriptor(&self, _pid: u32, _fd: u32) -> Option<Option<Node>> {
        None
    }

    fn describe(&self, _pid: u32, _fd: u32, _out: &mut Text) -> crate::errno::Result<()> {
        Err(Errno::ENOENT)
    }

    fn link(&self, _pid: u32, _link: ProcessLink) -> Option<Node> {
        None
    }
}

fn place(tree: &mut Tree, links: &mut Links, entry: &Entry<'static>) -> Result<(), UnpackError> {
    let kind = match entry.mode & linux::S_IFMT {
        linux::S_IFDIR => Kind::Dir(Vec::new(), ROOT),
        linux::S_IFREG => Kind::File(tree.contents(entry.data)?),
        linux::S_IFLNK => Kind::Symlink(Bytes::Static(target(entry)?)),
        linux::S_IFIFO => Kind::Fifo(Named::default()),
        linux::S_IFCHR | linux::S_IFBLK | linux::S_IFSOCK => Kind::Special(entry.rdev.0, entry.rdev.1),
        _ => return Ok(()), // as Linux: a type it does not know is no file
    };
    let (dir, name) = match locate(tree, entry)? {
        (dir, Some(name)) => (dir, name),
        (root, None) => {
            if !matches!(kind, Kind::Dir(..)) {
                return Err(UnpackError::Entry(entry.offset, Misfit::DirectoryInUse));
            }
            describe(tree.inode_mut(root), entry);
            return Ok(());
        }
    };

    let key = [entry.identity[0], entry.identity[1], entry.identity[2], entry.mode & linux::S_IFMT];
    let linkable = entry.nlink >= 2 && !matches!(kind, Kind::Dir(..) | Kind::Symlink(_));
    if linkable && let Ok(known) = links.find(&key) {
        if tree.child(dir, name) != Some(known) {
            clear(tree, dir, name, entry)?;
            tree.link(dir, Bytes::Static(name), known)?;
        }
        if !entry.data.is_empty() {
            tree.inode_mut(known).kind = kind;
        }
        describe(tree.inode_mut(known), entry);
        return Ok(());
    }
    let id = match tree.child(dir, name) {
        // A directory stays and a file is overwritten in place, as mkdir and open(O_TRUNC) would.
        Some(old) if same_type(&tree.inode(old).kind, &kind) => {
            if matches!(kind, Kind::File(_)) {
                tree.inode_mut(old).kind = kind;
            }
            old
        }
        _ => {
            clear(tree, dir, name, entry)?;
            let id = tree.add(Inode::new(entry.mode & linux::S_IFMT, kind))?;
            tree.link(dir, Bytes::Static(name), id)?;
            id
        }
    };
    describe(tree.inode_mut(id), entry);
    if linkable && let Err(index) = links.find(&key) {
        links.seen.try_reserve(1)?;
        links.seen.insert(index, (key, id));
    }
    Ok(())
}

/// The directory an entry belongs in, created where missing, and its name there; no name for the root itself.
fn locate(tree: &mut Tree, entry: &Entry<'static>) -> Result<(InodeId, Option<&'static [u8]>), UnpackError> {
    let misfit = |reason| UnpackError::Entry(entry.offset, reason);
    let (mut dir, mut last) = (ROOT, None);
    for name in entry.name.split(|&b| b == b'/').filter(|name| !matches!(name, [] | [b'.'])) {
        if name == b".." {
            return Err(misfit(Misfit::DotDot));
        }
        if name.len() > linux::NAME_MAX as usize {
            return Err(misfit(Misfit::NameTooLong));
        }
        if let Some(parent) = last.replace(name) {
            dir = enter(tree, dir, parent)?.ok_or(misfit(Misfit::NotADirectory))?;
        }
    }
    Ok((dir, last))
}

/// The directory that `name` leads to, created if there is nothing; `None` if it leads to something else.
fn enter(tree: &mut Tree, dir: InodeId, name: &'static [u8]) -> Result<Option<InodeId>, UnpackError> {
    if tree.child(dir, name).is_none() {
        let new = tree.add(Inode::dir(0o755))?;
        tree.link(dir, Bytes::Static(name), new)?;
        return Ok(Some(new));
    }
    match walk(tree, &Nobody, Node::Inode(dir), name, true) {
        Ok(Node::Inode(id)) if tree.inode(id).is_dir() => Ok(Some(id)),
        _ => Ok(None),
    }
}

/// Makes sure that `name` is free.
fn clear(tree: &mut Tree, dir: InodeId, name: &[u8], entry: &Entry<'_>) -> Result<(), UnpackError> {
    match tree.unlink(dir, name) {
        Err(Errno::ENOTEMPTY) => Err(UnpackError::Entry(entry.offset, Misfit::DirectoryInUse)),
        _ => Ok(()),
    }
}

fn describe(inode: &mut Inode, entry: &Entry<'_>) {
    inode.mode = inode.mode & linux::S_IFMT | entry.mode & 0o7777;
    (inode.uid, inode.gid) = (entry.uid, entry.gid);
    let time = u64::from(entry.mtime) * 1_000_000_000;
    (inode.atime, inode.mtime, inode.ctime) = (time, time, time);
}

fn same_type(a: &Kind, b: &Kind) -> bool {
    matches!((a, b), (Kind::Dir(..), Kind::Dir(..)) | (Kind::File(_), Kind::File(_)))
}

/// A link's target ends at its first NUL, as a C string does.
fn target(entry: &Entry<'static>) -> Result<&'static [u8], UnpackError> {
    let end = entry.data.iter().position(|&b| b == 0).unwrap_or(entry.data.len());
    match end {
        0 => Err(UnpackError::Entry(entry.offset, Misfit::BadLink)),
        _ if end >= linux::PATH_MAX as usize => Err(UnpackError::Entry(entry.offset, Misfit::BadLink)),
        _ => Ok(&entry.data[..end]),
    }
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;
