//! The initramfs: a newc cpio (Linux: Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! Deterministic: entries are sorted by path, so a directory comes before what is in it; times and owners are zero;
//! inode numbers count up. Every entry has mode 0755: the files are programs, or read-only to all of them anyway.

use std::collections::BTreeMap;
use std::fmt;

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_755;
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

/// Files and directories by path, without the leading `/`.
#[derive(Default)]
pub struct Archive {
    /// `None`: a directory.
    entries: BTreeMap<String, Option<Vec<u8>>>,
}

impl Archive {
    /// Adds a file at `/name` (a leading `/` may be given), with the directories that lead to it.
    pub fn add(&mut self, name: &str, data: Vec<u8>) -> Result<(), Error> {
        let name = name.strip_prefix('/').unwrap_or(name);
        let bad = |part: &str| matches!(part, "" | "." | "..");
        if name.split('/').any(bad) || name.contains('\0') || name.len() >= MAX_PATH || name == TRAILER {
            return Err(Error::BadName);
        }
        for (at, _) in name.match_indices('/') {
            match self.entries.get(&name[..at]) {
                Some(Some(_)) => return Err(Error::Exists(name[..at].to_string())),
                Some(None) => {}
                None => _ = self.entries.insert(name[..at].to_string(), None),
            }
        }
        if self.entries.contains_key(name) {
            return Err(Error::Exists(name.to_string()));
        }
        self.entries.insert(name.to_string(), Some(data));
        Ok(())
    }

    /// The archive's bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        for (ino, (name, data)) in (1..).zip(&self.entries) {
            let (mode, links) = if data.is_some() { (FILE, 1) } else { (DIRECTORY, 2) };
            let data = data.as_deref().unwrap_or_default();
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
    fn bad_names_are_refused() {
        for name in ["", "/", "a//b", "a/../b", "./a", "a/", "a\0b", TRAILER] {
            assert_eq!(Archive::default().add(name, Vec::new()), Err(Error::BadName), "{name:?}");
        }
        assert_eq!(toy().add("init", Vec::new()), Err(Error::Exists("init".into())));
        assert_eq!(toy().add("bin", Vec::new()), Err(Error::Exists("bin".into())));
        assert_eq!(toy().add("init/x", Vec::new()), Err(Error::Exists("init".into())));
    }
}
