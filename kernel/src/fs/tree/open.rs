//! `open`: from a path and flags to an open file description.

use linux_raw_sys::general as linux;

use crate::errno::{Errno, Result};
use crate::fs::channel::fifo::Fifo;
use crate::fs::environment::Environment;
use crate::fs::file::device::Device;
use crate::fs::file::{OpenFile, Target};
use crate::fs::tree::change::Spot;
use crate::fs::tree::node::Node;
use crate::fs::tree::place::Fs;
use crate::fs::tree::walk::{Follow, resolve};
use crate::fs::tree::{Inode, Kind, Tree};

/// The bit of `O_TMPFILE` that is not `O_DIRECTORY`.
const TMPFILE: u32 = linux::O_TMPFILE & !linux::O_DIRECTORY;

/// Opens what `path` names, from the directory `start` unless it is absolute. A file that is created gets `mode`.
///
/// # Errors
/// Those of [`resolve`]; `ENOENT`; `EISDIR`: a directory for writing, or a name with a slash to be created; `ENOTDIR`:
/// not a directory but `O_DIRECTORY`; `ELOOP`: a symbolic link with `O_NOFOLLOW`; `EEXIST`: `O_CREAT` with `O_EXCL`;
/// `EACCES`: generated contents that cannot be written; `EPERM`: created in `/proc` or `/sys`; `ENXIO`: a socket, a
/// device the kernel does not have, or a FIFO that nobody reads, for writing without waiting; `EINTR`: while waiting for a
/// FIFO's other end; `EINVAL`: `O_TMPFILE` for reading only; `ENOMEM`.
pub fn open(
    fs: &'static Fs,
    env: &dyn Environment,
    start: Node,
    path: &[u8],
    flags: u32,
    mode: u32,
) -> Result<OpenFile> {
    let has = |flag: u32| flags & flag != 0;
    if has(linux::O_PATH) {
        let mut tree = fs.lock();
        let follow = if has(linux::O_NOFOLLOW) { Follow::IfSlash } else { Follow::Yes };
        let node = resolve(&tree, env, start, path, follow)?.node.ok_or(Errno::ENOENT)?;
        if has(linux::O_DIRECTORY) && !tree.is_dir(node) {
            return Err(Errno::ENOTDIR);
        }
        let place = fs.place(&mut tree, node);
        drop(tree);
        return Ok(OpenFile::new(Target::Place(place), flags));
    }
    let writing = flags & linux::O_ACCMODE != linux::O_RDONLY;
    let now = env.now();
    if has(TMPFILE) {
        if !writing || !has(linux::O_DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        return temporary(fs, env, (start, path), flags, mode);
    }
    let create = has(linux::O_CREAT);
    let exclusive = create && has(linux::O_EXCL);
    let follow = if has(linux::O_NOFOLLOW) || exclusive { Follow::IfSlash } else { Follow::Yes };
    let mut tree = fs.lock();
    let found = resolve(&tree, env, start, path, follow)?;
    let node = match found.node {
        Some(_) if exclusive => return Err(Errno::EEXIST),
        Some(node) => node,
        None if !create => return Err(Errno::ENOENT),
        None if found.slash => return Err(Errno::EISDIR),
        None => {
            let spot = Spot::of(&found)?;
            let inode = new_file(&tree, mode)?.at(now);
            let node = Node::Inode(tree.create(spot, inode)?);
            let target = target(fs, &mut tree, node, true)?;
            drop(tree);
            return Ok(OpenFile::new(target, flags));
        }
    };
    if tree.is_dir(node) {
        if writing || create {
            return Err(Errno::EISDIR);
        }
        let place = fs.place(&mut tree, node);
        drop(tree);
        return Ok(OpenFile::new(Target::Dir(place), flags));
    }
    let jumped = matches!(node, Node::Fd(..)) && follow == Follow::Yes;
    if tree.is_link(node) && !jumped {
        return Err(if has(linux::O_DIRECTORY) { Errno::ENOTDIR } else { Errno::ELOOP });
    }
    if has(linux::O_DIRECTORY) {
        return Err(Errno::ENOTDIR);
    }
    if let Node::Fd(pid, fd) = node {
        drop(tree);
        let file = env.open_file(pid, fd).ok_or(Errno::ENOENT)?;
        return Ok(OpenFile::new(file.target().reopen(flags)?, flags));
    }
    let target = match fifo(fs, &mut tree, node, flags)? {
        Some(fifo) => {
            drop(tree);
            fifo.meet(has(linux::O_NONBLOCK))?;
            return Ok(OpenFile::new(Target::Fifo(fifo), flags));
        }
        None => target(fs, &mut tree, node, writing || has(linux::O_TRUNC))?,
    };
    drop(tree);
    let file = OpenFile::new(target, flags);
    if has(linux::O_TRUNC) {
        file.truncate_opened(env)?;
    }
    Ok(file)
}

/// The FIFO that `node` is, opened, if it is one. Whoever is to be waited for has not been waited for yet.
fn fifo(fs: &'static Fs, tree: &mut Tree, node: Node, flags: u32) -> Result<Option<Fifo>> {
    let Node::Inode(id) = node else { return Ok(None) };
    let inode = tree.inode_mut(id);
    let Kind::Fifo(named) = &mut inode.kind else { return Ok(None) };
    let (ends, ino) = (named.open(flags)?, inode.ino);
    Ok(Some(Fifo::new(ends, ino, fs.place(tree, node))))
}

/// A file without a name in the directory that `at` leads to.
fn temporary(
    fs: &'static Fs,
    env: &dyn Environment,
    at: (Node, &[u8]),
    flags: u32,
    mode: u32,
) -> Result<OpenFile> {
    let now = env.now();
    let mut tree = fs.lock();
    let dir = resolve(&tree, env, at.0, at.1, Follow::Yes)?.node.ok_or(Errno::ENOENT)?;
    if !tree.is_dir(dir) {
        return Err(Errno::ENOTDIR);
    }
    let inode = new_file(&tree, mode)?.at(now);
    let id = tree.add(inode)?;
    let target = target(fs, &mut tree, Node::Inode(id), true)?;
    drop(tree);
    Ok(OpenFile::new(target, flags))
}

/// An empty regular file.
///
/// # Errors
/// `ENOMEM`.
pub fn new_file(tree: &Tree, mode: u32) -> Result<Inode> {
    Ok(Inode::new(linux::S_IFREG | mode & 0o7777, Kind::File(tree.contents(&[])?)))
}

fn target(fs: &'static Fs, tree: &mut Tree, node: Node, writing: bool) -> Result<Target> {
    if let Some(what) = tree.generated(node) {
        return match writing && what.permissions() & 0o222 == 0 {
            true => Err(Errno::EACCES),
            false => Ok(Target::Generated(fs.place(tree, node), what)),
        };
    }
    let Node::Inode(id) = node else { return Err(Errno::ENXIO) };
    let inode = tree.inode(id);
    match &inode.kind {
        Kind::File(contents) => {
            let contents = contents.clone();
            Ok(Target::File(fs.place(tree, node), contents))
        }
        Kind::Special(major, minor) if inode.mode & linux::S_IFMT == linux::S_IFCHR => {
            let device = Device::from_number(*major, *minor).ok_or(Errno::ENXIO)?;
            Ok(Target::Device(fs.place(tree, node), device))
        }
        _ => Err(Errno::ENXIO),
    }
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
