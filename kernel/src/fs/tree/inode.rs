//! One file of any type: what it is, and what `stat` tells of it.

use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use crate::errno::{Errno, Result};
use crate::fs::bytes::Bytes;
use crate::fs::channel::fifo::Named;
use crate::fs::generated::Generated;
use crate::fs::tree::contents::Contents;
use crate::fs::tree::{InodeId, ROOT};
use crate::mm::Object;
use crate::util::Ref;

/// A name in a directory.
pub struct Dirent {
    /// The name: no slash, no NUL, not empty.
    pub name: Bytes,
    /// What it names.
    pub inode: InodeId,
}

/// What an inode is, with its contents.
pub enum Kind {
    /// A directory: its entries, sorted by name, without `.` and `..`, and its parent (the root's is itself).
    Dir(Vec<Dirent>, InodeId),
    /// A regular file with its contents.
    File(Contents),
    /// A symbolic link with its target.
    Symlink(Bytes),
    /// A device node or socket with its device number (major, minor).
    Special(u32, u32),
    /// A FIFO.
    Fifo(Named),
    /// A file whose contents the kernel writes.
    Generated(Generated),
    /// `/proc/self`: a symbolic link to the calling process's directory.
    ProcSelf,
    /// `/proc/thread-self`: a symbolic link to the calling thread's directory.
    ProcThreadSelf,
}

/// Which file system an inode seems to be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    /// The root's: everything can be changed.
    Root = 1,
    /// `/proc`: its files are the kernel's.
    Proc = 2,
    /// `/sys`, as above.
    Sys = 3,
}

/// One file of any type.
pub struct Inode {
    /// Its number, as `stat` tells it: never used again.
    pub ino: u64,
    /// File type and permissions, as in `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When it was last read, in nanoseconds since the epoch. Set by request only, as if mounted with `noatime`.
    pub atime: u64,
    /// When its contents last changed, in nanoseconds since the epoch.
    pub mtime: u64,
    /// When it last changed in any way, in nanoseconds since the epoch.
    pub ctime: u64,
    /// Number of names; for a directory, as is custom, 2 plus the number of its subdirectories, or 0 without a name.
    pub nlink: u32,
    /// What may not be done to it any more (`F_SEAL_*`).
    pub seals: u32,
    /// The name that memfd_create was given for it, if that made it.
    pub memfd: Option<Bytes>,
    /// Which file system it is on.
    pub mount: Mount,
    /// Type and contents.
    pub kind: Kind,
    /// How many places keep it alive.
    pub(in crate::fs) pins: u32,
}

impl Inode {
    /// An inode without a name yet, owned by root; the file type in `mode` must agree with `kind`.
    pub fn new(mode: u32, kind: Kind) -> Self {
        Inode {
            ino: 0,
            mode,
            uid: 0,
            gid: 0,
            atime: 0,
            mtime: 0,
            ctime: 0,
            nlink: 0,
            seals: linux::F_SEAL_SEAL,
            memfd: None,
            mount: Mount::Root,
            kind,
            pins: 0,
        }
    }

    /// An empty directory; its parent is set when it is linked.
    pub fn dir(permissions: u32) -> Self {
        Inode::new(linux::S_IFDIR | permissions, Kind::Dir(Vec::new(), ROOT))
    }

    /// Made at `now`, in nanoseconds.
    pub fn at(self, now: u64) -> Self {
        Inode { atime: now, mtime: now, ctime: now, ..self }
    }

    /// On this file system.
    pub fn on(self, mount: Mount) -> Self {
        Inode { mount, ..self }
    }

    /// Adds seals. What is executable and stays so must not change any more either.
    pub fn seal(&mut self, more: u32) {
        const CONTENTS: u32 =
            linux::F_SEAL_SHRINK | linux::F_SEAL_GROW | linux::F_SEAL_WRITE | linux::F_SEAL_FUTURE_WRITE;
        let implied = more & linux::F_SEAL_EXEC != 0 && self.mode & 0o111 != 0;
        self.seals |= more | if implied { CONTENTS } else { 0 };
    }

    /// Changes the permissions.
    ///
    /// # Errors
    /// `EPERM`: sealed against a change of whether it is executable.
    pub fn set_permissions(&mut self, mode: u32) -> Result<()> {
        if self.seals & linux::F_SEAL_EXEC != 0 && (self.mode ^ mode) & 0o111 != 0 {
            return Err(Errno::EPERM);
        }
        self.mode = self.mode & linux::S_IFMT | mode & 0o7777;
        Ok(())
    }

    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir(..))
    }

    /// Its contents changed at `now`.
    pub fn changed(&mut self, now: u64) {
        (self.mtime, self.ctime) = (now, now);
    }

    /// A regular file's contents.
    ///
    /// # Errors
    /// `EISDIR` for a directory, `EINVAL` for anything else that is not a regular file with stored bytes.
    pub fn contents(&self) -> Result<&Contents> {
        match &self.kind {
            Kind::File(contents) => Ok(contents),
            Kind::Dir(..) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Whether its bytes are `object`.
    pub fn is_of(&self, object: &Ref<Object>) -> bool {
        matches!(&self.kind, Kind::File(contents) if Ref::ptr_eq(contents.object(), object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_on_being_executable_holds_and_takes_the_contents_along() {
        let file = |mode| {
            let mut file = Inode::new(linux::S_IFREG | mode, Kind::Symlink(Bytes::Static(b"")));
            file.seals = 0;
            file
        };
        let mut data = file(0o666);
        data.seal(linux::F_SEAL_EXEC);
        assert_eq!(data.seals, linux::F_SEAL_EXEC);
        assert_eq!(data.set_permissions(0o777), Err(Errno::EPERM));
        assert_eq!(data.set_permissions(0o600), Ok(()));
        assert_eq!(data.mode, linux::S_IFREG | 0o600);
        let mut program = file(0o755);
        program.seal(linux::F_SEAL_EXEC);
        assert_eq!(program.seals & linux::F_SEAL_WRITE, linux::F_SEAL_WRITE);
        assert_eq!(program.set_permissions(0o644), Err(Errno::EPERM));
        let mut free = file(0o644);
        assert_eq!(free.set_permissions(0o7755), Ok(()));
        assert_eq!(free.mode, linux::S_IFREG | 0o7755);
    }
}
