//! Directories: reading one, the working directory, and what is mounted where.

use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use super::{file, start, user};
use crate::arch::uaccess::copy_to_user;
use crate::errno::{Errno, Result};
use crate::fs::file::Target;
use crate::fs::generated::text::Text;
use crate::fs::kernel::Kernel;
use crate::fs::mount::tmpfs_limit;
use crate::fs::{self, Node, Place};
use crate::proc::current_files;
use crate::util::Ref;

/// The most bytes of entries that one call hands out.
const ENTRIES_BYTES: usize = 8 << 10;

/// `getdents64(fd, buffer, count)`: as many whole records as fit.
///
/// # Errors
/// `EBADF`; `ENOTDIR`; `EINVAL`: not even one record fits; `EFAULT`; `ENOENT`: a process's directory, and the process is
/// gone; `ENOMEM`.
pub fn getdents64(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    let size = (args[2] as u32 as usize).min(ENTRIES_BYTES);
    let mut records = Vec::new();
    records.try_reserve_exact(size)?;
    records.resize(size, 0);
    let (len, position) = file.read_dir(&fs::root()?.lock(), &Kernel, &mut records)?;
    copy_to_user(args[1] as usize, &records[..len])?;
    if let Some(position) = position {
        file.set_position(position);
    }
    Ok(len)
}

/// `chdir(path)`.
///
/// # Errors
/// Those of the path walk; `ENOTDIR`; `EFAULT`; `ENOMEM`.
pub fn chdir(args: &[u64; 6]) -> Result<usize> {
    go_to(start::place(linux::AT_FDCWD as u64, args[0], 0)?)
}

/// `fchdir(fd)`.
///
/// # Errors
/// `EBADF`; `ENOTDIR`; `ENOMEM`.
pub fn fchdir(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    let node = match file.target() {
        Target::Dir(place) | Target::Place(place) => place.node(),
        _ => return Err(Errno::ENOTDIR),
    };
    let root = fs::root()?;
    let place = root.place(&mut root.lock(), node);
    go_to(place)
}

fn go_to(place: Place) -> Result<usize> {
    if !fs::root()?.lock().is_dir(place.node()) {
        return Err(Errno::ENOTDIR);
    }
    let place = Ref::try_new(place)?;
    let before = current_files().lock().set_cwd(place);
    drop(before); // not under the lock
    Ok(0)
}

/// `getcwd(buffer, size)`. Returns the length with the NUL.
///
/// # Errors
/// `ERANGE`: does not fit; `ENOENT`: it was removed; `EFAULT`; `ENOMEM`.
pub fn getcwd(args: &[u64; 6]) -> Result<usize> {
    let cwd = current_files().lock().cwd();
    let node = cwd.as_ref().map_or(Node::ROOT, |place| place.node());
    let mut path = Text::new();
    {
        let tree = fs::root()?.lock();
        match node {
            Node::Inode(id) => path.push(&tree.inode_path(id)?.ok_or(Errno::ENOENT)?)?,
            _ => tree.path_of(node, &mut path)?,
        }
    }
    path.push(b"\0")?;
    let path = path.bytes();
    if args[1] < path.len() as u64 {
        return Err(Errno::ERANGE);
    }
    copy_to_user(args[0] as usize, path)?;
    Ok(path.len())
}

/// `umask(mask)`. Returns the one before.
///
/// # Errors
/// None.
pub fn umask(args: &[u64; 6]) -> Result<usize> {
    Ok(current_files().lock().set_umask(args[0] as u32) as usize)
}

/// `chroot(path)`: to the root, where everybody is already.
///
/// # Errors
/// Those of the path walk; `EPERM`: anywhere else.
pub fn chroot(args: &[u64; 6]) -> Result<usize> {
    let place = start::place(linux::AT_FDCWD as u64, args[0], 0)?;
    if place.node() == Node::ROOT { Ok(0) } else { Err(Errno::EPERM) }
}

/// `mount(source, target, type, flags, data)`: what is there already can be mounted where it is. A remount of the root may
/// say how much memory files have (`size=`).
///
/// # Errors
/// Those of the path walk; `ENODEV`: another file system, or another place; `EINVAL`: options that cannot be; `EFAULT`.
pub fn mount(args: &[u64; 6]) -> Result<usize> {
    let place = start::place(linux::AT_FDCWD as u64, args[1], 0)?;
    if args[3] as u32 & linux::MS_REMOUNT != 0 {
        if place.node() == Node::ROOT && args[4] != 0 {
            let limit = tmpfs_limit(&user::path(args[4])?, crate::mm().total_pages())?;
            limit.map_or(Ok(()), |limit| crate::mm().set_object_limit(limit))?;
        }
        return Ok(0);
    }
    let kind = user::path(args[2])?;
    let mut path = Text::new();
    fs::root()?.lock().path_of(place.node(), &mut path)?;
    match (&kind[..], path.bytes()) {
        (b"proc", b"/proc") | (b"sysfs", b"/sys") | (b"devtmpfs", b"/dev") => Ok(0),
        // All of the root's file system is memory, so a directory of it will do.
        (b"tmpfs" | b"ramfs", _) if place.id().is_some() => Ok(0),
        _ => Err(Errno::ENODEV),
    }
}

/// `umount2(target, flags)`: nothing that is mounted can be taken away.
///
/// # Errors
/// Those of the path walk; `EBUSY`: /proc, /sys and the root; `EINVAL`: no file system begins there.
pub fn umount2(args: &[u64; 6]) -> Result<usize> {
    let place = start::place(linux::AT_FDCWD as u64, args[0], 0)?;
    let mut path = Text::new();
    fs::root()?.lock().path_of(place.node(), &mut path)?;
    match path.bytes() {
        b"/" | b"/proc" | b"/sys" => Err(Errno::EBUSY),
        _ => Err(Errno::EINVAL),
    }
}
