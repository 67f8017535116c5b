//! What a path leads to: an inode of the tree, or something of a process's directory in `/proc`, which comes and
//! goes with the process and is never stored.

use linux_raw_sys::general as linux;

use super::environment::Processes;
use super::generated::{Generated, PROCESS, ProcessFile};
use super::readdir::decimal;
use super::stat::Attributes;
use super::tree::{InodeId, Kind, ROOT, Tree};

/// A file of any type, named by where it is; cheap to copy, and it keeps nothing alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// An inode of the tree.
    Inode(InodeId),
    /// `/proc/<pid>`.
    ProcessDir(u32),
    /// A file in `/proc/<pid>`.
    ProcessFile(u32, ProcessFile),
}

impl Node {
    /// The root directory.
    pub const ROOT: Node = Node::Inode(ROOT);
}

impl Tree {
    /// Whether a node is a directory.
    pub fn is_dir(&self, node: Node) -> bool {
        match node {
            Node::Inode(id) => self.inode(id).is_dir(),
            Node::ProcessDir(_) => true,
            Node::ProcessFile(..) => false,
        }
    }

    /// The directory that a directory is in; the root is in itself.
    pub fn parent(&self, dir: Node) -> Node {
        match dir {
            Node::Inode(id) => match self.inode(id).kind {
                Kind::Dir(_, parent) => Node::Inode(parent),
                _ => Node::ROOT,
            },
            Node::ProcessDir(_) => Node::Inode(self.proc_root.unwrap_or(ROOT)),
            Node::ProcessFile(pid, _) => Node::ProcessDir(pid),
        }
    }

    /// What `name` names in a directory, not following links; `.` and `..` are not names here.
    pub fn entry(&self, processes: &dyn Processes, dir: Node, name: &[u8]) -> Option<Node> {
        match dir {
            Node::Inode(id) => {
                let process = || {
                    let pid = (self.proc_root == Some(id)).then(|| parse_pid(name))??;
                    (processes.next_pid(pid) == Some(pid)).then_some(Node::ProcessDir(pid))
                };
                self.child(id, name).map(Node::Inode).or_else(process)
            }
            Node::ProcessDir(pid) => {
                let (_, file) = PROCESS.iter().find(|(known, _)| *known == name)?;
                Some(Node::ProcessFile(pid, *file))
            }
            Node::ProcessFile(..) => None,
        }
    }

    /// Which generated file a node is, if it is one.
    pub fn generated(&self, node: Node) -> Option<Generated> {
        match node {
            Node::Inode(id) => match self.inode(id).kind {
                Kind::Generated(what) => Some(what),
                _ => None,
            },
            Node::ProcessDir(_) => None,
            Node::ProcessFile(pid, file) => Some(Generated::Process(pid, file)),
        }
    }

    /// A symbolic link's target; `/proc/self`'s is written to `digits`. `None` for anything else.
    pub fn link_target<'a>(
        &self,
        processes: &dyn Processes,
        node: Node,
        digits: &'a mut [u8; 10],
    ) -> Option<&'a [u8]> {
        let Node::Inode(id) = node else { return None };
        match self.inode(id).kind {
            Kind::Symlink(target) => Some(target),
            Kind::ProcSelf => Some(decimal(processes.current_pid(), digits)),
            _ => None,
        }
    }

    /// Collects the names on the way from the root to an inode, the root's side first; returns how many, 0 if it has
    /// no name or they do not fit.
    pub fn path_of(&self, id: InodeId, names: &mut [&'static [u8]]) -> usize {
        let name_in =
            |dir, id| self.entries(dir).iter().find(|entry| entry.inode == id).map(|entry| entry.name);
        let Some((mut dir, name)) = self.inodes().find_map(|(dir, _)| Some((dir, name_in(dir, id)?))) else {
            return 0;
        };
        let mut next = Some(name);
        for count in 0..names.len() {
            let Some(name) = next else { return 0 };
            names[count] = name;
            if dir == ROOT {
                names[..=count].reverse();
                return count + 1;
            }
            let Node::Inode(parent) = self.parent(Node::Inode(dir)) else { return 0 };
            next = name_in(parent, dir);
            dir = parent;
        }
        0
    }

    /// What `stat` tells about a node.
    pub fn attributes(&self, node: Node) -> Attributes {
        let ino = inode_number(node);
        let id = match node {
            Node::Inode(id) => id,
            Node::ProcessDir(_) => {
                return Attributes { ino, mode: linux::S_IFDIR | 0o555, nlink: 2, ..Attributes::default() };
            }
            Node::ProcessFile(..) => {
                return Attributes { ino, mode: linux::S_IFREG | 0o444, nlink: 1, ..Attributes::default() };
            }
        };
        let inode = self.inode(id);
        let (size, rdev) = match inode.kind {
            Kind::File(bytes) | Kind::Symlink(bytes) => (bytes.len() as u64, (0, 0)),
            Kind::Special(major, minor) => (0, (major, minor)),
            _ => (0, (0, 0)),
        };
        let (mode, nlink) = (inode.mode, inode.nlink);
        Attributes { ino, mode, nlink, uid: inode.uid, gid: inode.gid, rdev, size, mtime: inode.mtime }
    }
}

/// A number that is the node's alone, never 0.
pub(super) fn inode_number(node: Node) -> u64 {
    match node {
        Node::Inode(id) => u64::from(id.0) + 1,
        Node::ProcessDir(pid) => 1 << 40 | u64::from(pid) << 8,
        Node::ProcessFile(pid, file) => 1 << 40 | u64::from(pid) << 8 | (file as u64 + 1),
    }
}

/// A process number as `/proc` prints it: decimal, no sign, no leading zero.
fn parse_pid(name: &[u8]) -> Option<u32> {
    match name {
        [b'1'..=b'9', ..] => core::str::from_utf8(name).ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::{Packer, World, tree};
    use crate::fs::walk::walk;

    #[test]
    fn process_numbers_are_plain_decimal() {
        assert_eq!(parse_pid(b"17"), Some(17));
        for bad in [&b""[..], b"0", b"017", b"+1", b"1a", b"99999999999", b"\xff"] {
            assert_eq!(parse_pid(bad), None);
        }
    }

    #[test]
    fn paths_are_found_backwards() {
        let tree = tree(Packer::default().file("usr/bin/sh", b"sh").symlink("l", "usr"));
        let Ok(Node::Inode(sh)) = walk(&tree, &World::default(), Node::ROOT, b"/l/bin/sh", true) else {
            panic!()
        };
        let mut names = [&b""[..]; 3];
        assert_eq!(tree.path_of(sh, &mut names), 3);
        assert_eq!(names, [&b"usr"[..], b"bin", b"sh"]);
        assert_eq!(tree.path_of(sh, &mut names[..2]), 0);
        assert_eq!(tree.path_of(ROOT, &mut names), 0);
    }

    #[test]
    fn links_tell_their_targets() {
        let tree = tree(Packer::default().symlink("l", "usr"));
        let world = World { pid: 42, ..World::default() };
        let target = |path: &[u8]| {
            let node = walk(&tree, &world, Node::ROOT, path, false).unwrap();
            tree.link_target(&world, node, &mut [0; 10]).map(|target| target.to_vec())
        };
        assert_eq!(target(b"l").unwrap(), b"usr");
        assert_eq!(target(b"proc/self").unwrap(), b"42");
        assert_eq!(target(b"proc"), None);
    }

    #[test]
    fn inode_numbers_differ() {
        let nodes = [
            Node::ROOT,
            Node::ProcessDir(1),
            Node::ProcessFile(1, ProcessFile::Maps),
            Node::ProcessFile(1, ProcessFile::Status),
            Node::ProcessDir(2),
        ];
        for (i, a) in nodes.iter().enumerate() {
            assert!(nodes[..i].iter().all(|b| inode_number(*a) != inode_number(*b)));
        }
    }
}
