//! Where a path argument leads.

use linux_raw_sys::general as linux;

use super::{file, user};
use crate::errno::{Errno, Result};
use crate::fs::environment::Processes;
use crate::fs::file::OpenFile;
use crate::fs::kernel::Kernel;
use crate::fs::tree::change::Spot;
use crate::fs::tree::walk::{Follow, resolve, walk};
use crate::fs::{self, Node, Place};
use crate::proc::current_files;
use crate::util::Ref;

/// The directory that a path is relative to, kept alive.
pub(crate) struct Start(Keep);

enum Keep {
    Root,
    Cwd(Ref<Place>),
    /// It has a node.
    File(Ref<OpenFile>),
}

impl Start {
    /// The directory that `dirfd` means for `path`; an absolute path does not need it.
    ///
    /// # Errors
    /// `EBADF`; `ENOTDIR`: open, but nothing that has a place; `ENOENT`: a process's directory, and the process is gone.
    pub fn new(dirfd: u64, path: &[u8]) -> Result<Self> {
        if path.first() == Some(&b'/') {
            return Ok(Start(Keep::Root));
        }
        if dirfd as i32 == linux::AT_FDCWD {
            return Ok(Start(current_files().lock().cwd().map_or(Keep::Root, Keep::Cwd)));
        }
        let file = file(dirfd)?;
        let node = file.node().ok_or(Errno::ENOTDIR)?;
        match node {
            Node::ProcessDir(pid) if Kernel.next_pid(pid) != Some(pid) => Err(Errno::ENOENT),
            _ => Ok(Start(Keep::File(file))),
        }
    }

    /// Which directory it is.
    pub fn node(&self) -> Node {
        match &self.0 {
            Keep::Root => Node::ROOT,
            Keep::Cwd(cwd) => cwd.node(),
            Keep::File(file) => file.node().unwrap_or(Node::ROOT),
        }
    }
}

/// What a path argument names. With `AT_EMPTY_PATH` an empty path is the descriptor's own file, or the working directory.
///
/// # Errors
/// Those of the walk; `EBADF`, `EFAULT`; `EINVAL`: the descriptor's file has no place, such as a pipe.
pub(super) fn place(dirfd: u64, path: u64, flags: u32) -> Result<Place> {
    place_of(dirfd, &user::path(path)?, flags)
}

/// As [`place`], of a path that was read.
///
/// # Errors
/// The same.
pub(crate) fn place_of(dirfd: u64, path: &[u8], flags: u32) -> Result<Place> {
    let root = fs::root()?;
    if path.is_empty() && flags & linux::AT_EMPTY_PATH != 0 {
        let start = match dirfd as i32 {
            linux::AT_FDCWD => Start::new(dirfd, path)?,
            _ => {
                let file = file(dirfd)?;
                file.node().ok_or(Errno::EINVAL)?;
                Start(Keep::File(file))
            }
        };
        return Ok(root.place(&mut root.lock(), start.node()));
    }
    let start = Start::new(dirfd, path)?;
    let mut tree = root.lock();
    let node = walk(&tree, &Kernel, start.node(), path, flags & linux::AT_SYMLINK_NOFOLLOW == 0)?;
    let place = root.place(&mut tree, node);
    drop(tree); // before `start`, which may be the last that keeps its file
    Ok(place)
}

/// The spot that a path argument names, for a change of names.
///
/// # Errors
/// Those of the walk, but the last component may be missing; `EBADF`, `EFAULT`; `ENOMEM`.
pub(crate) fn spot(start: &Start, path: &[u8]) -> Result<Spot> {
    let tree = fs::root()?.lock();
    Spot::of(&resolve(&tree, &Kernel, start.node(), path, Follow::Never)?)
}
