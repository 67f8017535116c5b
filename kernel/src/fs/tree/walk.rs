//! Path walk: from a directory and a path to a node, with symbolic links (path_resolution(7)).
//!
//! No recursion and no allocation: the tails of paths that links interrupted wait on a small array. Permissions are
//! not checked: every process is root. The tree stays locked for the whole of a walk.

use linux_raw_sys::general as linux;

use crate::errno::{Errno, Result};
use crate::fs::environment::Processes;
use crate::fs::tree::Tree;
use crate::fs::tree::node::{Link, Node};

/// How many links one walk follows, as on Linux (`MAXSYMLINKS`).
const LINK_LIMIT: usize = 40;

/// What becomes of a symbolic link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// It is followed.
    Yes,
    /// It is followed only if a slash stands behind it.
    IfSlash,
    /// It is what the path means.
    Never,
}

/// Where a path leads: its last component, and the directory that is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The directory.
    pub dir: Node,
    /// The last component's name; `.` for a path that has none.
    pub name: &'a [u8],
    /// What it names, if it names anything.
    pub node: Option<Node>,
    /// Whether a slash stands behind it.
    pub slash: bool,
}

/// Finds what `path` names, from `start` unless it is absolute. A link at the end is followed if `follow` is set or a
/// slash stands behind it.
///
/// # Errors
/// Those of [`resolve`], and `ENOENT` if the last component is missing.
pub fn walk(tree: &Tree, processes: &dyn Processes, start: Node, path: &[u8], follow: bool) -> Result<Node> {
    let follow = if follow { Follow::Yes } else { Follow::IfSlash };
    resolve(tree, processes, start, path, follow)?.node.ok_or(Errno::ENOENT)
}

/// Walks `path`, from `start` unless it is absolute, up to its last component, which may be missing.
///
/// # Errors
/// `ENOENT`: something on the way is missing, or the path is empty; `ENOTDIR`: something on the way is no directory;
/// `ELOOP`: more than 40 links; `ENAMETOOLONG`: a component of more than 255 bytes.
pub fn resolve<'a>(
    tree: &'a Tree,
    processes: &dyn Processes,
    start: Node,
    path: &'a [u8],
    follow: Follow,
) -> Result<Found<'a>> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let mut at = if path[0] == b'/' { Node::ROOT } else { start };
    let mut last = Found { dir: at, name: b".", node: None, slash: false };
    // The rest of `path`, then of each link's target that is being walked, innermost last.
    let mut tails: [&[u8]; LINK_LIMIT + 1] = [&[]; LINK_LIMIT + 1];
    let (mut depth, mut links) = (0, 0);
    tails[0] = path;
    loop {
        let tail = tails[depth];
        if tail.is_empty() {
            match depth {
                0 => return Ok(Found { node: Some(at), ..last }),
                _ => depth -= 1,
            }
            continue;
        }
        let name_end = tail.iter().position(|&b| b == b'/').unwrap_or(tail.len());
        let (name, rest) = tail.split_at(name_end);
        let names_end = tails[..depth].iter().chain([&rest]).all(|tail| tail.iter().all(|b| *b == b'/'));
        if name.is_empty() && follow == Follow::Never && names_end && tree.is_link(at) {
            return Ok(Found { node: Some(at), ..last });
        }
        if !tree.is_dir(at) {
            return Err(Errno::ENOTDIR);
        }
        if name.is_empty() {
            tails[depth] = &rest[1..];
            continue;
        }
        tails[depth] = rest;
        if name.len() > linux::NAME_MAX as usize {
            return Err(Errno::ENAMETOOLONG);
        }
        let more = tails[..=depth].iter().any(|tail| !tail.is_empty());
        last = Found { dir: at, name, node: None, slash: more && names_end };
        let next = match name {
            b"." => Some(at),
            b".." => Some(tree.parent(at)),
            _ => tree.entry(processes, at, name),
        };
        let next = match next {
            Some(next) => next,
            None if names_end => return Ok(last),
            None => return Err(Errno::ENOENT),
        };
        let followed = match follow {
            _ if !names_end => true,
            Follow::Yes => true,
            Follow::IfSlash => more,
            Follow::Never => false,
        };
        let link = if followed { tree.link_at(processes, next)? } else { None };
        let Some(link) = link else {
            at = next;
            continue;
        };
        links += 1;
        if links > LINK_LIMIT {
            return Err(Errno::ELOOP);
        }
        match link {
            Link::Node(node) => at = node,
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

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
