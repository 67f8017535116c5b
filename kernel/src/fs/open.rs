//! `open`: from a path and flags to an open file description.

use linux_raw_sys::general as linux;

use super::device::Device;
use super::environment::Processes;
use super::file::{OpenFile, Target};
use super::node::Node;
use super::tree::{Kind, Tree};
use super::walk::walk;
use crate::errno::{Errno, Result};

/// The bit of `O_TMPFILE` that is not `O_DIRECTORY`.
const TMPFILE: u32 = linux::O_TMPFILE & !linux::O_DIRECTORY;

/// Opens what `path` names, from the directory `start` unless it is absolute. All files are on a read-only file
/// system; devices and settings can be written nevertheless.
///
/// # Errors
/// Those of [`walk`]; `EROFS`: a regular file for writing, or one to be created; `EISDIR`: a directory for writing;
/// `ENOTDIR`: not a directory but `O_DIRECTORY`; `ELOOP`: a symbolic link with `O_NOFOLLOW`; `EEXIST`: `O_CREAT` with
/// `O_EXCL`; `EACCES`: generated contents that cannot be written; `ENODEV`: a device the kernel does not have, a FIFO
/// or a socket.
pub fn open(
    tree: &Tree,
    processes: &dyn Processes,
    start: Node,
    path: &[u8],
    flags: u32,
) -> Result<OpenFile> {
    let has = |flag: u32| flags & flag != 0;
    if has(linux::O_PATH) {
        let node = walk(tree, processes, start, path, !has(linux::O_NOFOLLOW))?;
        if has(linux::O_DIRECTORY) && !tree.is_dir(node) {
            return Err(Errno::ENOTDIR);
        }
        return Ok(OpenFile::new(Target::Place(node), flags));
    }
    let writing = flags & linux::O_ACCMODE != linux::O_RDONLY;
    if has(TMPFILE) {
        return Err(if writing { Errno::EROFS } else { Errno::EINVAL });
    }
    let create = has(linux::O_CREAT);
    let exclusive = create && has(linux::O_EXCL);
    let follow = !has(linux::O_NOFOLLOW) && !exclusive;
    let node = match walk(tree, processes, start, path, follow) {
        Ok(_) if exclusive => return Err(Errno::EEXIST),
        Err(Errno::ENOENT) if create && !path.is_empty() => {
            return Err(missing(tree, processes, start, path));
        }
        found => found?,
    };
    if tree.is_dir(node) {
        return match writing || create {
            true => Err(Errno::EISDIR),
            false => Ok(OpenFile::new(Target::Dir(node), flags)),
        };
    }
    if is_link(tree, node) {
        return Err(if has(linux::O_DIRECTORY) { Errno::ENOTDIR } else { Errno::ELOOP });
    }
    if has(linux::O_DIRECTORY) {
        return Err(Errno::ENOTDIR);
    }
    Ok(OpenFile::new(target(tree, node, writing || has(linux::O_TRUNC))?, flags))
}

/// Why a file that is to be created cannot be: its directory is missing too, or it is read-only.
fn missing(tree: &Tree, processes: &dyn Processes, start: Node, path: &[u8]) -> Errno {
    let trimmed = path.iter().rposition(|&b| b != b'/').map_or(&path[..0], |last| &path[..=last]);
    if trimmed.len() < path.len() {
        return Errno::EISDIR;
    }
    let dir = match trimmed.iter().rposition(|&b| b == b'/') {
        Some(slash) => walk(tree, processes, start, &trimmed[..=slash], true),
        None => Ok(start),
    };
    dir.map_or_else(|error| error, |_| Errno::EROFS)
}

fn target(tree: &Tree, node: Node, writing: bool) -> Result<Target> {
    if let Some(what) = tree.generated(node) {
        return match writing && what.permissions() & 0o222 == 0 {
            true => Err(Errno::EACCES),
            false => Ok(Target::Generated(node, what)),
        };
    }
    let Node::Inode(id) = node else { return Err(Errno::ENODEV) };
    let inode = tree.inode(id);
    match inode.kind {
        Kind::File(_) if writing => Err(Errno::EROFS),
        Kind::File(bytes) => Ok(Target::File(node, bytes)),
        Kind::Special(major, minor) if inode.mode & linux::S_IFMT == linux::S_IFCHR => {
            let device = Device::from_number(major, minor).ok_or(Errno::ENODEV)?;
            Ok(Target::Device(node, device))
        }
        _ => Err(Errno::ENODEV),
    }
}

fn is_link(tree: &Tree, node: Node) -> bool {
    tree.attributes(node).mode & linux::S_IFMT == linux::S_IFLNK
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
