//! The initramfs: a newc cpio (Linux: Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! Deterministic: entries are sorted by path, so a directory comes before what is in it; times and owners are zero;
//! inode numbers count up. Every file and directory has mode 0755: the files are programs, or it does no harm.

use std::collections::BTreeMap;
use std::fmt;

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
const LINK: u32 = 0o120_777;
const TRAILER: &str = "TRAILER!!!";
/// Bytes; what Linux accepts (PATH_MAX), NUL included.
const MAX_PATH: usize = 4096;

/// Why a file cannot go into the archive.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// The name has an empty, `.` or `..` component, a NUL, is too long, or is the archive's end mark.
    BadName,
    /// The name is in the archive already, or a directory on the way to it is a file.
    Exists(String),
    /// The file is 4 GiB or larger; the format has 32 bits for it.
    TooLarge(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::BadName => write!(f, "not a name for an initramfs entry"),
            Error::Exists(name) => write!(f, "/{name} is there already"),
            Error::TooLarge(name) => write!(f, "/{name} is larger than 4 GiB"),
        }
    }
}

/// What is at a path.
enum Entry {
    Directory,
    File(Vec<u8>),
    /// A symbolic link, with its target.
    Link(String),
}

/// Files and directories by path, without the leading `/`.
#[derive(Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

impl Archive {
    /// Adds a file at `/name` (a leading `/` may be given), with the directories that lead to it.
    pub fn add(&mut self, name: &str, data: Vec<u8>) -> Result<(), Error> {
        self.insert(name, Entry::File(data))
    }

    /// Adds a symbolic link, as [`add`](Self::add) does a file.
    pub fn add_link(&mut self, name: &str, target: &str) -> Result<(), Error> {
        if target.is_empty() || target.contains('\0') || target.len() >= MAX_PATH {
            return Err(Error::BadName);
        }
        self.insert(name, Entry::Link(target.to_string()))
    }

    /// Adds a directory, unless it is there.
    pub fn add_directory(&mut self, name: &str) -> Result<(), Error> {
        match self.entries.get(name.strip_prefix('/').unwrap_or(name)) {
            Some(Entry::Directory) => Ok(()),
            _ => self.insert(name, Entry::Directory),
        }
    }

    fn insert(&mut self, name: &str, entry: Entry) -> Result<(), Error> {
        let name = name.strip_prefix('/').unwrap_or(name);
        let bad = |part: &str| matches!(part, "" | "." | "..");
        if name.split('/').any(bad) || name.contains('\0') || name.len() >= MAX_PATH || name == TRAILER {
            return Err(Error::BadName);
        }
        for (at, _) in name.match_indices('/') {
            match self.entries.get(&name[..at]) {
                Some(Entry::Directory) => {}
                Some(_) => return Err(Error::Exists(name[..at].to_string())),
                None => _ = self.entries.insert(name[..at].to_string(), Entry::Directory),
            }
        }
        if self.entries.contains_key(name) {
            return Err(Error::Exists(name.to_string()));
        }
        self.entries.insert(name.to_string(), entry);
        Ok(())
    }

    /// The archive's bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        for (ino, (name, what)) in (1..).zip(&self.entries) {
            let (mode, links, data) = match what {
                Entry::Directory => (DIRECTORY, 2, &[][..]),
                Entry::File(data) => (FILE, 1, &data[..]),
                Entry::Link(target) => (LINK, 1, target.as_bytes()),
            };
            let size = u32::try_from(data.len()).map_err(|_| Error::TooLarge(name.clone()))?;
            entry(&mut out, name, [ino, mode, 0, 0, links, 0, size], data);
        }
        entry(&mut out, TRAILER, [0, 0, 0, 0, 1, 0, 0], &[]);
        Ok(out)
    }
}

/// One entry; `fields` are ino, mode, uid, gid, nlink, mtime, filesize.
fn entry(out: &mut Vec<u8>, name: &str, fields: [u32; 7], data: &[u8]) {
    let name_size = name.len() as u32 + 1;
    // Then devmajor, devminor, rdevmajor, rdevminor, namesize and the checksum, which newc leaves zero.
    let fields = fields.into_iter().chain([0, 0, 0, 0, name_size, 0]);
    out.extend(b"070701");
    out.extend(fields.flat_map(|f| format!("{f:08x}").into_bytes()));
    out.extend(name.bytes().chain([0]));
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(data);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toy() -> Archive {
        let mut archive = Archive::default();
        archive.add("init", b"\x7fELF".to_vec()).unwrap();
        archive.add("/bin/storm", b"storm".to_vec()).unwrap();
        archive.add("bin/echo", b"".to_vec()).unwrap();
        archive
    }

    /// Reads an archive the way a kernel does: (name, mode, data) of each entry.
    fn parse(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let (mut at, mut entries) = (0, Vec::new());
        loop {
            let field = |i: usize| {
                let text = std::str::from_utf8(&bytes[at + 6 + 8 * i..][..8]).unwrap();
                u32::from_str_radix(text, 16).unwrap() as usize
            };
            assert_eq!(&bytes[at..at + 6], b"070701");
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let name = std::str::from_utf8(&bytes[at + 110..][..name_size - 1]).unwrap();
            assert_eq!(bytes[at + 110 + name_size - 1], 0);
            let data_at = (at + 110 + name_size).next_multiple_of(4);
            entries.push((name.to_string(), mode as u32, bytes[data_at..data_at + size].to_vec()));
            if name == TRAILER {
                assert_eq!(bytes.len(), data_at);
                return entries;
            }
            assert_eq!(field(5), 0, "mtime");
            at = (data_at + size).next_multiple_of(4);
        }
    }

    #[test]
    fn directories_come_first_and_the_trailer_last() {
        let entries = parse(&toy().to_bytes().unwrap());
        let names: Vec<_> = entries.iter().map(|(name, mode, _)| (name.as_str(), *mode)).collect();
        assert_eq!(
            names,
            [("bin", DIRECTORY), ("bin/echo", FILE), ("bin/storm", FILE), ("init", FILE), (TRAILER, 0)]
        );
        assert_eq!(entries[2].2, b"storm");
        assert_eq!(entries[3].2, b"\x7fELF");
    }

    #[test]
    fn the_order_of_arguments_does_not_matter() {
        let mut other = Archive::default();
        other.add("bin/echo", b"".to_vec()).unwrap();
        other.add("bin/storm", b"storm".to_vec()).unwrap();
        other.add("init", b"\x7fELF".to_vec()).unwrap();
        assert_eq!(other.to_bytes(), toy().to_bytes());
    }

    #[test]
    fn links_and_empty_directories_are_entries_of_their_own() {
        let mut archive = toy();
        archive.add_link("bin/sh", "echo").unwrap();
        archive.add_directory("tmp").unwrap();
        archive.add_directory("/tmp").unwrap();
        let entries = parse(&archive.to_bytes().unwrap());
        let find = |name: &str| entries.iter().find(|entry| entry.0 == name).unwrap();
        assert_eq!((find("bin/sh").1, &find("bin/sh").2[..]), (LINK, &b"echo"[..]));
        assert_eq!(find("tmp").1, DIRECTORY);
        assert_eq!(archive.add_link("x", ""), Err(Error::BadName));
        assert_eq!(archive.add_directory("init"), Err(Error::Exists("init".into())));
    }

    #[test]
    fn bad_names_are_refused() {
        for name in ["", "/", "a//b", "a/../b", "./a", "a/", "a\0b", TRAILER] {
            assert_eq!(Archive::default().add(name, Vec::new()), Err(Error::BadName), "{name:?}");
        }
        assert_eq!(toy().add("init", Vec::new()), Err(Error::Exists("init".into())));
        assert_eq!(toy().add("bin", Vec::new()), Err(Error::Exists("bin".into())));
        assert_eq!(toy().add("init/x", Vec::new()), Err(Error::Exists("init".into())));
    }
}
