//! Descriptors themselves: making, copying, closing and controlling them.

use linux_raw_sys::general as linux;

use super::super::user_ptr::UserPtr;
use super::{descriptor_number, file, memfd};
use crate::arch::uaccess::copy_to_user;
use crate::errno::{Errno, Result};
use crate::fs::channel::pipe;
use crate::fs::file::device::Device;
use crate::fs::file::{OpenFile, Target};
use crate::proc::current_files;
use crate::syscall::{terminal, userfault};
use crate::util::Ref;

/// Linux: include/uapi/linux/close_range.h.
const CLOSE_RANGE_UNSHARE: u32 = 2;
/// As above.
const CLOSE_RANGE_CLOEXEC: u32 = 4;
/// Linux: include/uapi/asm-generic/ioctls.h.
const FIONREAD: u32 = 0x541b;
/// As above.
const FIONBIO: u32 = 0x5421;
/// As above.
const FIONCLEX: u32 = 0x5450;
/// As above.
const FIOCLEX: u32 = 0x5451;

/// `close(fd)`.
///
/// # Errors
/// `EBADF`.
pub fn close(args: &[u64; 6]) -> Result<usize> {
    let closed = current_files().lock().close(descriptor_number(args[0]))?;
    drop(closed); // after the lock: the last reference to a pipe's end wakes waiters
    Ok(0)
}

/// `dup(fd)`.
///
/// # Errors
/// `EBADF`, `EMFILE`, `ENOMEM`.
pub fn dup(args: &[u64; 6]) -> Result<usize> {
    duplicate(args[0], false, 0)
}

/// `dup3(old, new, flags)`.
///
/// # Errors
/// `EINVAL`: equal descriptors or an unknown flag; `EBADF`; `ENOMEM`.
pub fn dup3(args: &[u64; 6]) -> Result<usize> {
    let (new, flags) = (descriptor_number(args[1]), args[2] as u32);
    if flags & !linux::O_CLOEXEC != 0 || descriptor_number(args[0]) == new {
        return Err(Errno::EINVAL);
    }
    let file = file(args[0])?;
    let replaced = {
        let mut files = current_files().lock();
        if new >= files.limit() {
            return Err(Errno::EBADF);
        }
        files.replace(new, file, flags != 0)?
    };
    drop(replaced); // after the lock, as in close
    Ok(new)
}

/// `fcntl(fd, command, arg)`: the commands on descriptors and status flags.
///
/// # Errors
/// `EBADF`; `EINVAL`: an unknown command, or a descriptor out of range; `EMFILE`; `ENOMEM`.
pub fn fcntl(args: &[u64; 6]) -> Result<usize> {
    let (fd, command, arg) = (descriptor_number(args[0]), args[1] as u32, args[2]);
    let file = file(args[0])?;
    match command {
        linux::F_DUPFD | linux::F_DUPFD_CLOEXEC => {
            let limit = current_files().lock().limit();
            let from = usize::try_from(arg).ok().filter(|from| *from < limit).ok_or(Errno::EINVAL)?;
            duplicate(args[0], command == linux::F_DUPFD_CLOEXEC, from)
        }
        linux::F_GETFD => Ok(usize::from(current_files().lock().is_close_on_exec(fd)?)),
        linux::F_SETFD => {
            let close_on_exec = arg & u64::from(linux::FD_CLOEXEC) != 0;
            current_files().lock().set_close_on_exec(fd, close_on_exec)?;
            Ok(0)
        }
        linux::F_GETFL => Ok(file.flags() as usize),
        linux::F_SETFL => {
            file.set_flags(arg as u32);
            Ok(0)
        }
        linux::F_GETPIPE_SZ => file.target().pipe_number().map(|_| pipe::PIPE_BYTES).ok_or(Errno::EBADF),
        linux::F_GET_SEALS => memfd::seals(&file),
        linux::F_ADD_SEALS => memfd::add_seals(&file, arg),
        // Nobody ever holds a lock against another: each is granted, and none is found.
        linux::F_SETLK | linux::F_SETLKW | linux::F_OFD_SETLK | linux::F_OFD_SETLKW => Ok(0),
        linux::F_GETLK | linux::F_OFD_GETLK => {
            // `l_type`, the first field of `struct flock`.
            copy_to_user(arg as usize, &(linux::F_UNLCK as u16).to_ne_bytes())?;
            Ok(0)
        }
        linux::F_SETPIPE_SZ if file.target().pipe_number().is_some() => {
            // What it has is what it gets.
            if arg > pipe::PIPE_BYTES as u64 { Err(Errno::EPERM) } else { Ok(pipe::PIPE_BYTES) }
        }
        _ => Err(Errno::EINVAL),
    }
}

/// `flock(fd, operation)`: granted, as nobody holds one against another.
///
/// # Errors
/// `EBADF`; `EINVAL`: no such operation.
pub fn flock(args: &[u64; 6]) -> Result<usize> {
    file(args[0])?;
    match args[1] as u32 & !linux::LOCK_NB {
        linux::LOCK_SH | linux::LOCK_EX | linux::LOCK_UN => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// `close_range(first, last, flags)`: closes all descriptors in between, or marks them to be closed by exec.
///
/// # Errors
/// `EINVAL`: an unknown flag, or none in between.
pub fn close_range(args: &[u64; 6]) -> Result<usize> {
    let (first, last, flags) = (descriptor_number(args[0]), descriptor_number(args[1]), args[2] as u32);
    if flags & !(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    let mut from = first;
    loop {
        let mut files = current_files().lock();
        let Some(fd) = files.next(from).filter(|fd| *fd <= last) else { return Ok(0) };
        from = fd + 1;
        if flags & CLOSE_RANGE_CLOEXEC != 0 {
            files.set_close_on_exec(fd, true)?;
            continue;
        }
        let closed = files.close(fd);
        drop(files);
        drop(closed); // after the lock, as in close
    }
}

/// `pipe2(descriptors, flags)`: writes the reading and the writing descriptor.
///
/// # Errors
/// `EINVAL`: an unknown flag; `EMFILE`; `ENOMEM`; `EFAULT`, and then no descriptor is left behind.
pub fn pipe2(args: &[u64; 6]) -> Result<usize> {
    let flags = args[1] as u32;
    if flags & !(linux::O_CLOEXEC | linux::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let close_on_exec = flags & linux::O_CLOEXEC != 0;
    let (reader, writer) = pipe::pipe()?;
    let ino = pipe::next_inode_number();
    let reader = OpenFile::new(Target::PipeReader(reader, ino), flags | linux::O_RDONLY);
    let writer = OpenFile::new(Target::PipeWriter(writer, ino), flags | linux::O_WRONLY);
    let (reader, writer) = (Ref::try_new(reader)?, Ref::try_new(writer)?);

    let files = current_files();
    // The clones outlive the lock, so that undoing drops nothing under it.
    let inserted = {
        let mut files = files.lock();
        let read_fd = files.insert(reader.clone(), close_on_exec, 0)?;
        match files.insert(writer.clone(), close_on_exec, 0) {
            Ok(write_fd) => Ok((read_fd, write_fd)),
            Err(error) => files.close(read_fd).and(Err(error)),
        }
    };
    let (read_fd, write_fd) = inserted?;
    let mut pair = [0; 8];
    pair[..4].copy_from_slice(&(read_fd as u32).to_ne_bytes());
    pair[4..].copy_from_slice(&(write_fd as u32).to_ne_bytes());
    copy_to_user(args[0] as usize, &pair).inspect_err(|_| {
        let mut files = files.lock();
        let closed = (files.close(read_fd), files.close(write_fd));
        drop(files);
        drop(closed);
    })?;
    Ok(0)
}

/// `ioctl(fd, request, arg)`: the console is a terminal (`terminal.rs`).
///
/// # Errors
/// `EBADF`; `EFAULT`; `ENOTTY` for everything else.
pub fn ioctl(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    if file.flags() & linux::O_PATH != 0 {
        return Err(Errno::EBADF);
    }
    let is_terminal = matches!(file.target(), Target::Device(_, Device::Console));
    match args[1] as u32 {
        FIOCLEX | FIONCLEX => {
            let close_on_exec = args[1] as u32 == FIOCLEX;
            current_files().lock().set_close_on_exec(descriptor_number(args[0]), close_on_exec)?;
            return Ok(0);
        }
        FIONBIO => {
            let wanted = UserPtr::<u32>::new(args[2]).read()?;
            let others = file.flags() & !linux::O_NONBLOCK;
            file.set_flags(if wanted != 0 { others | linux::O_NONBLOCK } else { others });
            return Ok(0);
        }
        FIONREAD if !is_terminal => {
            let waiting = file.waiting().ok_or(Errno::ENOTTY)?;
            UserPtr::new(args[2]).write(u32::try_from(waiting).unwrap_or(i32::MAX as u32))?;
            return Ok(0);
        }
        _ => {}
    }
    match file.target() {
        Target::Device(_, Device::Console) => terminal::ioctl(args[1] as u32, args[2]),
        Target::Device(_, Device::Userfault) => userfault::device_ioctl(args[1] as u32, args[2]),
        Target::Userfault(descriptor) => userfault::ioctl(descriptor, args[1] as u32, args[2]),
        _ => Err(Errno::ENOTTY),
    }
}

fn duplicate(arg: u64, close_on_exec: bool, from: usize) -> Result<usize> {
    let file = file(arg)?;
    // The clone outlives the lock, should there be no descriptor for it.
    current_files().lock().insert(file.clone(), close_on_exec, from)
}
