//! memfd_create: a file that has no name but its descriptor.

use linux_raw_sys::general as linux;

use super::user;
use crate::errno::{Errno, Result};
use crate::fs::bytes::Bytes;
use crate::fs::environment::Environment;
use crate::fs::file::{OpenFile, Target};
use crate::fs::kernel::Kernel;
use crate::fs::tree::open::new_file;
use crate::fs::{self, Node};
use crate::proc::current_files;
use crate::util::Ref;

/// Bytes of a name at most.
const NAME_BYTES: usize = 249;

/// `memfd_create(name, flags)`. The name is for people who look at `/proc`.
///
/// # Errors
/// `EINVAL`: an unknown flag, two that contradict each other, or a name too long; `ENOSYS`: pages of the kind that has to
/// be set aside, which this kernel has not (as Linux without CONFIG_HUGETLBFS); `EMFILE`, `ENOMEM`, `EFAULT`.
pub fn memfd_create(args: &[u64; 6]) -> Result<usize> {
    let flags = args[1] as u32;
    let exec = linux::MFD_NOEXEC_SEAL | linux::MFD_EXEC;
    let huge = linux::MFD_HUGETLB | linux::MFD_HUGE_MASK << linux::MFD_HUGE_SHIFT;
    let known = linux::MFD_CLOEXEC | linux::MFD_ALLOW_SEALING | exec;
    let known = if flags & linux::MFD_HUGETLB != 0 { known | huge } else { known };
    if flags & !known != 0 || flags & exec == exec {
        return Err(Errno::EINVAL);
    }
    let name = match user::path(args[0]) {
        Err(Errno::ENAMETOOLONG) => return Err(Errno::EINVAL),
        name => name?,
    };
    if name.len() > NAME_BYTES {
        return Err(Errno::EINVAL);
    }
    if flags & linux::MFD_HUGETLB != 0 {
        return Err(Errno::ENOSYS);
    }
    let name = Bytes::copy_of(&name)?;
    let executable = flags & linux::MFD_NOEXEC_SEAL == 0;
    let sealing = flags & (linux::MFD_ALLOW_SEALING | linux::MFD_NOEXEC_SEAL) != 0;
    let (root, now) = (fs::root()?, Kernel.now());
    let mut tree = root.lock();
    let mut inode = new_file(&tree, if executable { 0o777 } else { 0o666 })?.at(now);
    inode.memfd = Some(name);
    if sealing {
        inode.seals = if executable { 0 } else { linux::F_SEAL_EXEC };
    }
    let contents = inode.contents()?.clone();
    let id = tree.add(inode)?;
    let target = Target::File(root.place(&mut tree, Node::Inode(id)), contents);
    drop(tree);
    let file = Ref::try_new(OpenFile::new(target, linux::O_RDWR))?;
    current_files().lock().insert(file.clone(), flags & linux::MFD_CLOEXEC != 0, 0)
}

/// `fcntl(fd, F_GET_SEALS)`.
///
/// # Errors
/// `EINVAL`: no regular file.
pub(super) fn seals(file: &OpenFile) -> Result<usize> {
    let (place, _) = file.regular().map_err(|_| Errno::EINVAL)?;
    place.with(|inode| inode.seals as usize).ok_or(Errno::EINVAL)
}

/// `fcntl(fd, F_ADD_SEALS, seals)`.
///
/// # Errors
/// `EINVAL`: an unknown seal, or no regular file; `EPERM`: not open for writing, or sealed against seals; `EBUSY`: sealed
/// against writing while it is mapped so that it can be written.
pub(super) fn add_seals(file: &OpenFile, more: u64) -> Result<usize> {
    let known = linux::F_SEAL_SEAL
        | linux::F_SEAL_SHRINK
        | linux::F_SEAL_GROW
        | linux::F_SEAL_WRITE
        | linux::F_SEAL_FUTURE_WRITE
        | linux::F_SEAL_EXEC;
    let (place, contents) = file.regular().map_err(|_| Errno::EINVAL)?;
    if !file.writable() {
        return Err(Errno::EPERM);
    }
    let more = u32::try_from(more).ok().filter(|more| more & !known == 0).ok_or(Errno::EINVAL)?;
    if place.with(|inode| inode.seals & linux::F_SEAL_SEAL != 0) != Some(false) {
        return Err(Errno::EPERM);
    }
    if more & linux::F_SEAL_WRITE != 0 && Kernel.may_be_written(contents.object()) {
        return Err(Errno::EBUSY);
    }
    place.with(|inode| inode.seal(more));
    Ok(0)
}
