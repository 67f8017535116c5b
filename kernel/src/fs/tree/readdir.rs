//! Enumerating a directory, and `linux_dirent64` records.
//!
//! Where a reader is in a directory is told by a number, which `lseek` knows, and by the name it saw last. Names come and
//! go between two reads; what goes on behind the last name, in the order of names, leaves out nothing that was there all
//! the time and shows nothing twice. Only after a seek the number counts: 0 is `.`, 1 is `..`, then the entries by index,
//! and processes, threads and descriptors from `FIRST_NUMBER` on.

use core::mem::offset_of;

use linux_raw_sys::general::{self as linux, linux_dirent64};

use crate::errno::Result;
use crate::fs::bytes::Bytes;
use crate::fs::environment::Processes;
use crate::fs::generated::{PROCESS, ProcessEntry};
use crate::fs::tree::Tree;
use crate::fs::tree::node::Node;

/// The cursor of number 0 of what is enumerated by number; entries by index stay below it.
const FIRST_NUMBER: u64 = 1 << 32;

/// The most bytes a record can have.
pub const RECORD_LIMIT: usize =
    (offset_of!(linux_dirent64, d_name) + linux::NAME_MAX as usize + 1).next_multiple_of(8);

/// Where a reader is in a directory.
#[derive(Default)]
pub struct Position {
    /// The number of the next entry.
    pub cursor: u64,
    /// The stored entry before it, if it was read and not sought.
    pub after: Option<Bytes>,
}

/// An entry that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// What is called so.
    pub node: Node,
    /// Its name.
    pub name: Name<'a>,
    /// The cursor of the entry behind it.
    pub next: u64,
}

/// A name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// Stored somewhere.
    Stored(&'a [u8]),
    /// A number, in decimal.
    Number(u32),
}

impl Found<'_> {
    /// The position behind it.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn position(&self) -> Result<Position> {
        let after = match self.name {
            Name::Stored(name) if self.next > 2 => Some(Bytes::copy_of(name)?),
            _ => None,
        };
        Ok(Position { cursor: self.next, after })
    }
}

impl Tree {
    /// The first entry of a directory at or behind a position.
    pub fn next_entry(&self, processes: &dyn Processes, dir: Node, from: &Position) -> Option<Found<'_>> {
        let cursor = from.cursor;
        let stored = |node, name| Found { node, name: Name::Stored(name), next: cursor + 1 };
        match cursor {
            0 => return Some(stored(dir, b".")),
            1 => return Some(stored(self.parent(dir), b"..")),
            _ => {}
        }
        let index = usize::try_from(cursor - 2).ok()?;
        let number = cursor.saturating_sub(FIRST_NUMBER);
        let numbered = |number: u32, node| {
            let next = FIRST_NUMBER + u64::from(number) + 1;
            Some(Found { node, name: Name::Number(number), next })
        };
        let in_process = |pid, index| {
            let (name, entry): &(&'static [u8], _) = PROCESS.get(index)?;
            Some(stored(Node::of_process(pid, *entry), *name))
        };
        match dir {
            Node::Inode(id) => {
                let entries = self.entries(id);
                let index = match &from.after {
                    Some(name) => entries.partition_point(|entry| *entry.name <= **name),
                    None => index,
                };
                if let Some(entry) = entries.get(index) {
                    return Some(stored(Node::Inode(entry.inode), &entry.name));
                }
                if self.proc_root != Some(id) {
                    return None;
                }
                let pid = processes.next_pid(u32::try_from(number).ok()?.max(1))?;
                numbered(pid, Node::ProcessDir(pid))
            }
            Node::ProcessDir(pid) => in_process(pid, index),
            Node::Task(_, tid) => match PROCESS.get(index)? {
                // The directory of threads has none of its own.
                (_, ProcessEntry::Tasks) => {
                    in_process(tid, index + 1).map(|found| Found { next: found.next + 1, ..found })
                }
                _ => in_process(tid, index),
            },
            Node::FdDir(pid) => {
                let fd = processes.next_fd(pid, u32::try_from(number).ok()?)?;
                numbered(fd, Node::Fd(pid, fd))
            }
            Node::TaskDir(pid) => {
                let tid = processes.next_thread(pid, u32::try_from(number).ok()?)?;
                numbered(tid, Node::Task(pid, tid))
            }
            Node::ProcessFile(..) | Node::ProcessLink(..) | Node::Fd(..) => None,
        }
    }

    /// Writes an entry's `linux_dirent64` to the start of `record`, zero bytes behind the name; returns its length.
    pub fn dirent(&self, found: &Found<'_>, record: &mut [u8; RECORD_LIMIT]) -> usize {
        let mut digits = [0; 10];
        let name = match found.name {
            Name::Stored(name) => name,
            Name::Number(number) => decimal(number, &mut digits),
        };
        let name_at = offset_of!(linux_dirent64, d_name);
        let len = (name_at + name.len() + 1).next_multiple_of(align_of::<linux_dirent64>());
        record[..len].fill(0);
        let mut put = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
        put(offset_of!(linux_dirent64, d_ino), &self.inode_number(found.node).to_ne_bytes());
        put(offset_of!(linux_dirent64, d_off), &found.next.to_ne_bytes());
        put(offset_of!(linux_dirent64, d_reclen), &(len as u16).to_ne_bytes());
        // Linux: include/linux/fs_types.h; a DT_ number is the file type's bits of the mode.
        let kind = (self.attributes(found.node).mode & linux::S_IFMT) >> 12;
        put(offset_of!(linux_dirent64, d_type), &[kind as u8]);
        put(name_at, name);
        len
    }
}

/// Decimal digits without allocating.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &digits[start..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::{Packer, World, tree};
    use crate::fs::tree::walk::walk;
    use std::vec::Vec;

    fn list(tree: &Tree, world: &World, path: &[u8]) -> Vec<(Vec<u8>, u8)> {
        let dir = walk(tree, world, Node::ROOT, path, true).unwrap();
        let (mut position, mut all) = (Position::default(), Vec::new());
        while let Some(found) = tree.next_entry(world, dir, &position) {
            assert!(found.next > position.cursor);
            position = found.position().unwrap();
            let mut record = [0xee; RECORD_LIMIT];
            let len = tree.dirent(&found, &mut record);
            assert_eq!(len % 8, 0);
            assert_eq!(u16::from_ne_bytes([record[16], record[17]]), len as u16);
            assert_eq!(u64::from_ne_bytes(record[8..16].try_into().unwrap()), position.cursor);
            let name = record[19..len].split(|&b| b == 0).next().unwrap();
            assert!(record[19 + name.len()..len].iter().all(|&b| b == 0));
            all.push((name.to_vec(), record[18]));
        }
        all
    }

    fn names(tree: &Tree, world: &World, path: &[u8]) -> Vec<Vec<u8>> {
        list(tree, world, path).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_directory_lists_itself_its_parent_and_its_entries() {
        let long = "n".repeat(255);
        let tree = tree(Packer::default().file(&long, b"").symlink("a", "b").dir("d"));
        let world = World::default();
        let listed = list(&tree, &world, b"/");
        let expected =
            [".", "..", "a", "d", "dev", &long, "proc", "sys"].map(|name| name.as_bytes().to_vec());
        assert_eq!(listed.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), expected);
        let kinds: Vec<_> = listed.iter().map(|(_, kind)| u32::from(*kind)).collect();
        assert_eq!(kinds[2..6], [linux::DT_LNK, linux::DT_DIR, linux::DT_DIR, linux::DT_REG]);
        assert_eq!(list(&tree, &world, b"/d").len(), 2);
    }

    #[test]
    fn proc_lists_processes_behind_its_files() {
        let tree = tree(Packer::default());
        let world = World { pids: vec![1, 2, 4_294_967_295], ..World::default() };
        let all = names(&tree, &world, b"/proc");
        let tail: Vec<_> = all.iter().rev().take(4).map(|name| name.as_slice()).collect();
        assert_eq!(tail, [&b"4294967295"[..], b"2", b"1", b"vmstat"]);
        let files = names(&tree, &world, b"/proc/2");
        assert_eq!(files[..2], [&b"."[..], b".."]);
        assert_eq!(files[2..], PROCESS.map(|(name, _)| name));
        let tasks = names(&tree, &world, b"/proc/2/task");
        assert_eq!(tasks[2..], [b"2"]);
        let thread = names(&tree, &world, b"/proc/2/task/2");
        assert!(thread.len() == files.len() - 1 && !thread.contains(&b"task".to_vec()));
        assert_eq!(names(&tree, &world, b"/proc/2/fd")[2..], [b"0", b"5"]);
    }

    #[test]
    fn names_that_come_and_go_hide_no_others() {
        let mut tree =
            tree(Packer::default().file("d/a", b"").file("d/b", b"").file("d/c", b"").file("d/e", b""));
        let world = World::default();
        let dir = walk(&tree, &world, Node::ROOT, b"d", true).unwrap();
        let Node::Inode(id) = dir else { panic!() };
        let mut position = Position { cursor: 2, after: None };
        let mut seen = Vec::new();
        while let Some(found) = tree.next_entry(&world, dir, &position) {
            let Name::Stored(name) = found.name else { panic!() };
            let name = name.to_vec();
            position = found.position().unwrap();
            // Each goes as soon as it is seen, as `rm -r` does it.
            tree.unlink(id, &name).unwrap();
            if name == b"b" {
                let new = tree.add(crate::fs::tree::Inode::dir(0o755)).unwrap();
                tree.link(id, Bytes::Static(b"d"), new).unwrap();
            }
            seen.push(name);
        }
        assert_eq!(seen, [b"a", b"b", b"c", b"d", b"e"]);
        // After a seek the number counts.
        assert!(tree.next_entry(&world, dir, &Position { cursor: 2, after: None }).is_none());
    }
}
