//! What a path leads to: an inode of the tree, or something of a process's directory in `/proc`, which comes and
//! goes with the process and is never stored.

use alloc::vec::Vec;
use core::fmt::Write;

use linux_raw_sys::general as linux;

use crate::errno::{Errno, Result};
use crate::fs::bytes::Bytes;
use crate::fs::environment::Processes;
use crate::fs::generated::text::{Text, written};
use crate::fs::generated::{Generated, PROCESS, ProcessEntry, ProcessFile, ProcessLink};
use crate::fs::tree::stat::Attributes;
use crate::fs::tree::{InodeId, Kind, Mount, ROOT, Tree};

/// A file of any type, named by where it is; cheap to copy, and it keeps nothing alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// An inode of the tree.
    Inode(InodeId),
    /// `/proc/<pid>`.
    ProcessDir(u32),
    /// A file in `/proc/<pid>`.
    ProcessFile(u32, ProcessFile),
    /// A link in `/proc/<pid>`.
    ProcessLink(u32, ProcessLink),
    /// `/proc/<pid>/fd`.
    FdDir(u32),
    /// `/proc/<pid>/fd/<number>`: a link to what is open there.
    Fd(u32, u32),
    /// `/proc/<pid>/task`.
    TaskDir(u32),
    /// `/proc/<pid>/task/<tid>`.
    Task(u32, u32),
}

impl Node {
    /// The root directory.
    pub const ROOT: Node = Node::Inode(ROOT);

    /// What the entry `entry` of the directory of process `pid` is.
    pub(in crate::fs) fn of_process(pid: u32, entry: ProcessEntry) -> Node {
        match entry {
            ProcessEntry::File(file) => Node::ProcessFile(pid, file),
            ProcessEntry::Link(link) => Node::ProcessLink(pid, link),
            ProcessEntry::Fds => Node::FdDir(pid),
            ProcessEntry::Tasks => Node::TaskDir(pid),
        }
    }
}

/// Where a symbolic link leads.
pub enum Link<'a> {
    /// Along a path.
    Path(&'a [u8]),
    /// Straight to a file, which need not have a name.
    Node(Node),
}

impl Tree {
    /// Whether a node is a directory.
    pub fn is_dir(&self, node: Node) -> bool {
        match node {
            Node::Inode(id) => self.inode(id).is_dir(),
            Node::ProcessDir(_) | Node::FdDir(_) | Node::TaskDir(_) | Node::Task(..) => true,
            Node::ProcessFile(..) | Node::ProcessLink(..) | Node::Fd(..) => false,
        }
    }

    /// The directory that a directory is in; the root is in itself.
    pub fn parent(&self, dir: Node) -> Node {
        match dir {
            Node::Inode(id) => match self.inode(id).kind {
                // A directory that was removed has none any more.
                Kind::Dir(_, parent) if self.inode(id).nlink > 0 => Node::Inode(parent),
                _ => Node::ROOT,
            },
            Node::ProcessDir(_) => Node::Inode(self.proc_root.unwrap_or(ROOT)),
            Node::Task(pid, _) => Node::TaskDir(pid),
            Node::ProcessFile(pid, _) | Node::ProcessLink(pid, _) => Node::ProcessDir(pid),
            Node::FdDir(pid) | Node::TaskDir(pid) => Node::ProcessDir(pid),
            Node::Fd(pid, _) => Node::FdDir(pid),
        }
    }

    /// What `name` names in a directory, not following links; `.` and `..` are not names here.
    pub fn entry(&self, processes: &dyn Processes, dir: Node, name: &[u8]) -> Option<Node> {
        let in_process =
            |name: &[u8]| PROCESS.iter().find(|(known, _)| *known == name).map(|(_, entry)| *entry);
        match dir {
            Node::Inode(id) => {
                let process = || {
                    let pid = (self.proc_root == Some(id)).then(|| parse_number(name))??;
                    (processes.next_pid(pid) == Some(pid)).then_some(Node::ProcessDir(pid))
                };
                self.child(id, name).map(Node::Inode).or_else(process)
            }
            Node::ProcessDir(pid) => Some(Node::of_process(pid, in_process(name)?)),
            Node::Task(_, tid) => {
                let entry = in_process(name).filter(|entry| *entry != ProcessEntry::Tasks)?;
                Some(Node::of_process(tid, entry))
            }
            Node::FdDir(pid) => {
                let fd = parse_number(name)?;
                (processes.next_fd(pid, fd) == Some(fd)).then_some(Node::Fd(pid, fd))
            }
            Node::TaskDir(pid) => {
                let tid = parse_number(name)?;
                (processes.next_thread(pid, tid) == Some(tid)).then_some(Node::Task(pid, tid))
            }
            Node::ProcessFile(..) | Node::ProcessLink(..) | Node::Fd(..) => None,
        }
    }

    /// Which generated file a node is, if it is one.
    pub fn generated(&self, node: Node) -> Option<Generated> {
        match node {
            Node::Inode(id) => match self.inode(id).kind {
                Kind::Generated(what) => Some(what),
                _ => None,
            },
            Node::ProcessFile(pid, file) => Some(Generated::Process(pid, file)),
            _ => None,
        }
    }

    /// Whether a node is a symbolic link.
    pub fn is_link(&self, node: Node) -> bool {
        match node {
            Node::Inode(id) => {
                matches!(self.inode(id).kind, Kind::Symlink(_) | Kind::ProcSelf | Kind::ProcThreadSelf)
            }
            Node::ProcessLink(..) | Node::Fd(..) => true,
            _ => false,
        }
    }

    /// Where a symbolic link leads; `None` for anything else. A descriptor that is no file of the tree leads to itself.
    ///
    /// # Errors
    /// `ENOENT`: nothing is there any more.
    pub fn link_at(&self, processes: &dyn Processes, node: Node) -> Result<Option<Link<'_>>> {
        let there = |node: Option<Node>| node.map(|node| Some(Link::Node(node))).ok_or(Errno::ENOENT);
        match node {
            Node::Inode(id) => match &self.inode(id).kind {
                Kind::Symlink(target) => Ok(Some(Link::Path(target))),
                Kind::ProcSelf => there(self.own_dir(processes)),
                Kind::ProcThreadSelf => {
                    there(Some(Node::Task(processes.current_pid(), processes.current_thread())))
                }
                _ => Ok(None),
            },
            Node::ProcessLink(pid, link) => there(processes.link(pid, link)),
            Node::Fd(pid, fd) => there(processes.descriptor(pid, fd).map(|its| its.unwrap_or(node))),
            _ => Ok(None),
        }
    }

    fn own_dir(&self, processes: &dyn Processes) -> Option<Node> {
        let pid = processes.current_pid();
        (processes.next_pid(pid) == Some(pid)).then_some(Node::ProcessDir(pid))
    }

    /// What `readlink` tells of a symbolic link; `None` for anything else.
    ///
    /// # Errors
    /// `ENOENT`: a link to what is gone; `ENOMEM`.
    pub fn link_text(&self, processes: &dyn Processes, node: Node) -> Result<Option<Bytes>> {
        let mut text = Text::new();
        match node {
            Node::Inode(id) => match &self.inode(id).kind {
                Kind::Symlink(target) => return Ok(Some(Bytes::copy_of(target)?)),
                Kind::ProcSelf => written(write!(text, "{}", processes.current_pid()))?,
                Kind::ProcThreadSelf => {
                    let (pid, tid) = (processes.current_pid(), processes.current_thread());
                    written(write!(text, "{pid}/task/{tid}"))?;
                }
                _ => return Ok(None),
            },
            Node::ProcessLink(pid, link) => {
                self.path_of(processes.link(pid, link).ok_or(Errno::ENOENT)?, &mut text)?;
            }
            Node::Fd(pid, fd) => match processes.descriptor(pid, fd).ok_or(Errno::ENOENT)? {
                Some(node) => self.path_of(node, &mut text)?,
                None => processes.describe(pid, fd, &mut text)?,
            },
            _ => return Ok(None),
        }
        Ok(Some(Bytes::Heap(text.into_bytes())))
    }

    /// Writes the path of a node from the root, one of them if it has several; what has no name any more is said to be
    /// deleted.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn path_of(&self, node: Node, out: &mut Text) -> Result<()> {
        match node {
            Node::Inode(id) => match self.inode_path(id)? {
                Some(path) => out.push(&path),
                None if self.inode(id).memfd.is_some() => {
                    out.push(b"/memfd:")?;
                    out.push(self.inode(id).memfd.as_deref().unwrap_or(b""))?;
                    out.push(b" (deleted)")
                }
                None => out.push(b"/ (deleted)"),
            },
            Node::ProcessDir(pid) => written(write!(out, "/proc/{pid}")),
            Node::FdDir(pid) => written(write!(out, "/proc/{pid}/fd")),
            Node::Fd(pid, fd) => written(write!(out, "/proc/{pid}/fd/{fd}")),
            Node::TaskDir(pid) => written(write!(out, "/proc/{pid}/task")),
            Node::Task(pid, tid) => written(write!(out, "/proc/{pid}/task/{tid}")),
            Node::ProcessFile(pid, _) | Node::ProcessLink(pid, _) => {
                let name = PROCESS.iter().find(|(_, entry)| Node::of_process(pid, *entry) == node);
                written(write!(out, "/proc/{pid}/"))?;
                out.push(name.map_or(b"?", |(name, _)| name))
            }
        }
    }

    /// The path of an inode from the root; `None` if it, or a directory on the way, has no name.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn inode_path(&self, id: InodeId) -> Result<Option<Vec<u8>>> {
        let mut path = Vec::new();
        if id == ROOT {
            path.try_reserve(1)?;
            path.push(b'/');
            return Ok(Some(path));
        }
        let mut id = id;
        while id != ROOT {
            let name_in = |dir| self.entries(dir).iter().find(|entry| entry.inode == id);
            let found = match self.inode(id).kind {
                _ if self.inode(id).nlink == 0 => None,
                Kind::Dir(_, parent) => name_in(parent).map(|entry| (parent, entry)),
                _ => self.inodes().find_map(|(dir, _)| Some((dir, name_in(dir)?))),
            };
            let Some((dir, entry)) = found else { return Ok(None) };
            path.try_reserve(1 + entry.name.len())?;
            path.extend_from_slice(&entry.name);
            path.push(b'/');
            path.rotate_right(1 + entry.name.len());
            // The slash belongs before the name.
            path[..=entry.name.len()].rotate_right(1);
            id = dir;
        }
        Ok(Some(path))
    }

    /// What `stat` tells about a node.
    pub fn attributes(&self, node: Node) -> Attributes {
        let ino = self.inode_number(node);
        let of_process =
            |mode, nlink| Attributes { ino, mode, nlink, mount: Mount::Proc as u32, ..Attributes::default() };
        let id = match node {
            Node::Inode(id) => id,
            Node::ProcessFile(pid, file) => {
                return of_process(linux::S_IFREG | Generated::Process(pid, file).permissions(), 1);
            }
            Node::ProcessLink(..) => return of_process(linux::S_IFLNK | 0o777, 1),
            Node::Fd(..) => return of_process(linux::S_IFLNK | 0o700, 1),
            Node::FdDir(_) => return of_process(linux::S_IFDIR | 0o500, 2),
            Node::ProcessDir(_) | Node::TaskDir(_) | Node::Task(..) => {
                return of_process(linux::S_IFDIR | 0o555, 2);
            }
        };
        let inode = self.inode(id);
        let (size, blocks, rdev) = match &inode.kind {
            Kind::File(file) => (file.len(), file.object().occupied() * (paging::PAGE_SIZE / 512), (0, 0)),
            Kind::Symlink(target) => (target.len() as u64, 0, (0, 0)),
            Kind::Special(major, minor) => (0, 0, (*major, *minor)),
            _ => (0, 0, (0, 0)),
        };
        Attributes {
            ino,
            mode: inode.mode,
            nlink: inode.nlink,
            uid: inode.uid,
            gid: inode.gid,
            rdev,
            size,
            blocks,
            mount: inode.mount as u32,
            times: [inode.atime, inode.mtime, inode.ctime],
        }
    }

    /// A number that is the node's alone, never 0.
    pub(in crate::fs) fn inode_number(&self, node: Node) -> u64 {
        let of_process = |pid: u32, what: u64| 1 << 62 | u64::from(pid) << 32 | what;
        match node {
            Node::Inode(id) => self.inode(id).ino,
            Node::ProcessDir(pid) => of_process(pid, 0),
            Node::ProcessFile(pid, file) => of_process(pid, 1 << 24 | file as u64),
            Node::ProcessLink(pid, link) => of_process(pid, 2 << 24 | link as u64),
            Node::FdDir(pid) => of_process(pid, 3 << 24),
            Node::Fd(pid, fd) => of_process(pid, 4 << 24 | u64::from(fd)),
            Node::TaskDir(pid) => of_process(pid, 5 << 24),
            Node::Task(pid, tid) => of_process(pid, 6 << 24 | u64::from(tid)),
        }
    }
}

/// A number as `/proc` prints it: decimal, no sign, no leading zero.
fn parse_number(name: &[u8]) -> Option<u32> {
    match name {
        b"0" => Some(0),
        [b'1'..=b'9', ..] => core::str::from_utf8(name).ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::{Packer, World, tree};
    use crate::fs::tree::walk::walk;

    #[test]
    fn process_numbers_are_plain_decimal() {
        assert_eq!(parse_number(b"17"), Some(17));
        for bad in [&b""[..], b"00", b"017", b"+1", b"1a", b"99999999999", b"\xff"] {
            assert_eq!(parse_number(bad), None);
        }
    }

    #[test]
    fn paths_are_found_backwards() {
        let tree = tree(Packer::default().file("usr/bin/sh", b"sh").symlink("l", "usr"));
        let world = World { pid: 4, pids: vec![4], ..World::default() };
        let path = |path: &[u8]| {
            let mut out = Text::new();
            tree.path_of(walk(&tree, &world, Node::ROOT, path, true).unwrap(), &mut out).unwrap();
            std::string::String::from_utf8(out.bytes().to_vec()).unwrap()
        };
        assert_eq!(path(b"/l/bin/sh"), "/usr/bin/sh");
        assert_eq!(path(b"l"), "/usr");
        assert_eq!(path(b"/"), "/");
        assert_eq!(path(b"/proc/self/maps"), "/proc/4/maps");
    }

    #[test]
    fn links_tell_their_targets() {
        let tree = tree(Packer::default().symlink("l", "usr"));
        let world = World { pid: 42, pids: vec![42], ..World::default() };
        let target = |path: &[u8]| {
            let node = walk(&tree, &world, Node::ROOT, path, false).unwrap();
            tree.link_text(&world, node).unwrap().map(|target| target.to_vec())
        };
        assert_eq!(target(b"l").unwrap(), b"usr");
        assert_eq!(target(b"proc/self").unwrap(), b"42");
        assert_eq!(target(b"proc/thread-self").unwrap(), b"42/task/42");
        assert_eq!(target(b"proc/self/cwd").unwrap(), b"/");
        assert_eq!(target(b"proc"), None);
    }

    #[test]
    fn inode_numbers_differ() {
        let tree = tree(Packer::default());
        let nodes = [
            Node::ROOT,
            Node::ProcessDir(1),
            Node::ProcessFile(1, ProcessFile::Maps),
            Node::ProcessFile(1, ProcessFile::Status),
            Node::ProcessLink(1, ProcessLink::Cwd),
            Node::FdDir(1),
            Node::Fd(1, 0),
            Node::Fd(1, 1),
            Node::TaskDir(1),
            Node::Task(1, 1),
            Node::ProcessDir(2),
        ];
        let number = |node: &Node| tree.inode_number(*node);
        for (i, a) in nodes.iter().enumerate() {
            assert!(nodes[..i].iter().all(|b| number(a) != number(b)));
        }
    }
}
