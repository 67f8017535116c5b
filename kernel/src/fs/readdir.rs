//! Enumerating a directory, and `linux_dirent64` records.
//!
//! A position in a directory is a cursor: 0 is `.`, 1 is `..`, then the entries by index, and in `/proc` process
//! numbers from `FIRST_PID` on. The tree never changes, so a cursor stays good; a process that comes or goes between
//! two reads is seen or not.

use core::mem::offset_of;

use linux_raw_sys::general::{self as linux, linux_dirent64};

use super::environment::Processes;
use super::generated::PROCESS;
use super::node::{Node, inode_number};
use super::tree::Tree;

/// The cursor of process number 0; entries by index stay below it.
const FIRST_PID: u64 = 1 << 32;

/// The most bytes a record can have.
pub const RECORD_LIMIT: usize =
    (offset_of!(linux_dirent64, d_name) + linux::NAME_MAX as usize + 1).next_multiple_of(8);

/// An entry that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is called so.
    pub node: Node,
    /// Its name.
    pub name: Name,
    /// The cursor of the entry behind it.
    pub next: u64,
}

/// A name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Stored somewhere.
    Stored(&'static [u8]),
    /// A process number, in decimal.
    Number(u32),
}

impl Tree {
    /// The first entry of a directory at or behind a cursor.
    pub fn next_entry(&self, processes: &dyn Processes, dir: Node, cursor: u64) -> Option<Found> {
        let stored = |node, name| Found { node, name: Name::Stored(name), next: cursor + 1 };
        match cursor {
            0 => return Some(stored(dir, b".")),
            1 => return Some(stored(self.parent(dir), b"..")),
            _ => {}
        }
        let index = usize::try_from(cursor - 2).ok()?;
        match dir {
            Node::Inode(id) => {
                if let Some(entry) = self.entries(id).get(index) {
                    return Some(stored(Node::Inode(entry.inode), entry.name));
                }
                if self.proc_root != Some(id) {
                    return None;
                }
                let from = u32::try_from(cursor.saturating_sub(FIRST_PID)).ok()?;
                let pid = processes.next_pid(from.max(1))?;
                let next = FIRST_PID + u64::from(pid) + 1;
                Some(Found { node: Node::ProcessDir(pid), name: Name::Number(pid), next })
            }
            Node::ProcessDir(pid) => {
                let (name, file) = PROCESS.get(index)?;
                Some(stored(Node::ProcessFile(pid, *file), name))
            }
            Node::ProcessFile(..) => None,
        }
    }

    /// Writes an entry's `linux_dirent64` to the start of `record`, zero bytes behind the name; returns its length.
    pub fn dirent(&self, found: &Found, record: &mut [u8; RECORD_LIMIT]) -> usize {
        let mut digits = [0; 10];
        let name = match found.name {
            Name::Stored(name) => name,
            Name::Number(number) => decimal(number, &mut digits),
        };
        let name_at = offset_of!(linux_dirent64, d_name);
        let len = (name_at + name.len() + 1).next_multiple_of(align_of::<linux_dirent64>());
        record[..len].fill(0);
        let mut put = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
        put(offset_of!(linux_dirent64, d_ino), &inode_number(found.node).to_ne_bytes());
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
pub(super) fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
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
    use crate::fs::walk::walk;
    use std::vec::Vec;

    fn list(tree: &Tree, world: &World, path: &[u8]) -> Vec<(Vec<u8>, u8)> {
        let dir = walk(tree, world, Node::ROOT, path, true).unwrap();
        let (mut cursor, mut all) = (0, Vec::new());
        while let Some(found) = tree.next_entry(world, dir, cursor) {
            assert!(found.next > cursor);
            cursor = found.next;
            let mut record = [0xee; RECORD_LIMIT];
            let len = tree.dirent(&found, &mut record);
            assert_eq!(len % 8, 0);
            assert_eq!(u16::from_ne_bytes([record[16], record[17]]), len as u16);
            assert_eq!(u64::from_ne_bytes(record[8..16].try_into().unwrap()), cursor);
            let name = record[19..len].split(|&b| b == 0).next().unwrap();
            assert!(record[19 + name.len()..len].iter().all(|&b| b == 0));
            all.push((name.to_vec(), record[18]));
        }
        all
    }

    #[test]
    fn a_directory_lists_itself_its_parent_and_its_entries() {
        let long = "n".repeat(255);
        let tree = tree(Packer::default().file(&long, b"").symlink("a", "b").dir("d"));
        let world = World::default();
        let names = list(&tree, &world, b"/");
        let expected =
            [".", "..", "a", "d", "dev", &long, "proc", "sys"].map(|name| name.as_bytes().to_vec());
        assert_eq!(names.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), expected);
        let kinds: Vec<_> = names.iter().map(|(_, kind)| u32::from(*kind)).collect();
        assert_eq!(kinds[2..6], [linux::DT_LNK, linux::DT_DIR, linux::DT_DIR, linux::DT_REG]);
        assert_eq!(list(&tree, &world, b"/d").len(), 2);
    }

    #[test]
    fn proc_lists_processes_behind_its_files() {
        let tree = tree(Packer::default());
        let world = World { pids: vec![1, 2, 4_294_967_295], ..World::default() };
        let names = list(&tree, &world, b"/proc");
        let tail: Vec<_> = names.iter().rev().take(4).map(|(name, _)| name.as_slice()).collect();
        assert_eq!(tail, [&b"4294967295"[..], b"2", b"1", b"vmstat"]);
        let files: Vec<_> = list(&tree, &world, b"/proc/2").into_iter().map(|(name, _)| name).collect();
        assert_eq!(files[..2], [&b"."[..], b".."]);
        assert_eq!(files[2..], PROCESS.map(|(name, _)| name));
    }
}
