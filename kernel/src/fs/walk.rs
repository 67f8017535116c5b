//! Path walk: from a directory and a path to a node, with symbolic links (path_resolution(7)).
//!
//! No recursion and no allocation: the tails of paths that links interrupted wait on a small array. Permissions are
//! not checked: every process is root.

use linux_raw_sys::general as linux;

use super::environment::Processes;
use super::node::Node;
use super::tree::{Kind, Tree};
use crate::errno::{Errno, Result};

/// How many links one walk follows, as on Linux (`MAXSYMLINKS`).
const LINK_LIMIT: usize = 40;

/// Finds what `path` names, from `start` unless it is absolute. A link at the end is followed if `follow` is set or a
/// slash stands behind it.
///
/// # Errors
/// `ENOENT`: something is missing, or the path is empty; `ENOTDIR`: something on the way is no directory;
/// `ELOOP`: more than 40 links; `ENAMETOOLONG`: a component of more than 255 bytes.
pub fn walk(tree: &Tree, processes: &dyn Processes, start: Node, path: &[u8], follow: bool) -> Result<Node> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let mut at = if path[0] == b'/' { Node::ROOT } else { start };
    // The rest of `path`, then of each link's target that is being walked, innermost last.
    let mut tails: [&[u8]; LINK_LIMIT + 1] = [&[]; LINK_LIMIT + 1];
    let (mut depth, mut links) = (0, 0);
    tails[0] = path;
    loop {
        let tail = tails[depth];
        if tail.is_empty() {
            match depth {
                0 => return Ok(at),
                _ => depth -= 1,
            }
            continue;
        }
        if !tree.is_dir(at) {
            return Err(Errno::ENOTDIR);
        }
        let name_end = tail.iter().position(|&b| b == b'/').unwrap_or(tail.len());
        let (name, rest) = tail.split_at(name_end);
        if name.is_empty() {
            tails[depth] = &rest[1..];
            continue;
        }
        tails[depth] = rest;
        if name.len() > linux::NAME_MAX as usize {
            return Err(Errno::ENAMETOOLONG);
        }
        let next = match name {
            b"." => at,
            b".." => tree.parent(at),
            _ => tree.entry(processes, at, name).ok_or(Errno::ENOENT)?,
        };
        let more = tails[..=depth].iter().any(|tail| !tail.is_empty());
        let link = link(tree, next).filter(|_| follow || more);
        let Some(link) = link else {
            at = next;
            continue;
        };
        links += 1;
        if links > LINK_LIMIT {
            return Err(Errno::ELOOP);
        }
        match link {
            Link::CurrentProcess => {
                let pid = processes.current_pid();
                at = match processes.next_pid(pid) {
                    Some(found) if found == pid => Node::ProcessDir(pid),
                    _ => return Err(Errno::ENOENT),
                };
            }
            Link::Path(target) => {
                if target.first() == Some(&b'/') {
                    at = Node::ROOT;
                }
                // Within bounds: `depth` grows by at most one for each of at most LINK_LIMIT links.
                depth += 1;
                tails[depth] = target;
            }
        }
    }
}

enum Link {
    CurrentProcess,
    Path(&'static [u8]),
}

fn link(tree: &Tree, node: Node) -> Option<Link> {
    let Node::Inode(id) = node else { return None };
    match tree.inode(id).kind {
        Kind::Symlink(target) => Some(Link::Path(target)),
        Kind::ProcSelf => Some(Link::CurrentProcess),
        _ => None,
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
