//! Descriptors themselves: making, copying, closing and controlling them.

use core::mem::{offset_of, size_of};

use linux_raw_sys::general::{self as linux, termios, winsize};

use super::{descriptor_number, file};
use crate::arch::uaccess::copy_to_user;
use crate::errno::{Errno, Result};
use crate::fs::device::Device;
use crate::fs::fd::FD_LIMIT;
use crate::fs::file::{OpenFile, Target};
use crate::fs::pipe;
use crate::proc::current_files;
use crate::util::Ref;

/// Linux: include/uapi/asm-generic/ioctls.h.
const TCGETS: u32 = 0x5401;
/// As above.
const TIOCGWINSZ: u32 = 0x5413;

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
    let replaced = current_files().lock().replace(new, file, flags != 0)?;
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
            let from = usize::try_from(arg).ok().filter(|from| *from < FD_LIMIT).ok_or(Errno::EINVAL)?;
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
        linux::F_GETPIPE_SZ => match file.target() {
            Target::PipeReader(..) | Target::PipeWriter(..) => Ok(pipe::PIPE_BYTES),
            _ => Err(Errno::EBADF),
        },
        _ => Err(Errno::EINVAL),
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

/// `ioctl(fd, request, arg)`: the console says that it is a terminal, and how large.
///
/// # Errors
/// `EBADF`; `EFAULT`; `ENOTTY` for everything else.
pub fn ioctl(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    if file.flags() & linux::O_PATH != 0 {
        return Err(Errno::EBADF);
    }
    let Target::Device(_, Device::Console) = file.target() else { return Err(Errno::ENOTTY) };
    match args[1] as u32 {
        TCGETS => copy_to_user(args[2] as usize, &terminal())?,
        TIOCGWINSZ => copy_to_user(args[2] as usize, &window())?,
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}

fn duplicate(arg: u64, close_on_exec: bool, from: usize) -> Result<usize> {
    let file = file(arg)?;
    current_files().lock().insert(file, close_on_exec, from)
}

/// What the line discipline (`fs::tty`) does, as a `struct termios`.
fn terminal() -> [u8; size_of::<termios>()] {
    let fields = [
        (offset_of!(termios, c_iflag), linux::ICRNL),
        (offset_of!(termios, c_cflag), linux::B115200 | linux::CS8 | linux::CREAD),
        (offset_of!(termios, c_lflag), linux::ICANON | linux::ECHO | linux::ECHOE | linux::ECHOK),
    ];
    let keys = [(linux::VERASE, 0x7f), (linux::VKILL, 0x15), (linux::VEOF, 4), (linux::VMIN, 1)];
    let mut bytes = [0; size_of::<termios>()];
    for (at, value) in fields {
        bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    for (key, value) in keys {
        bytes[offset_of!(termios, c_cc) + key as usize] = value;
    }
    bytes
}

/// A terminal of the customary size, as a `struct winsize`: nobody tells the real one.
fn window() -> [u8; size_of::<winsize>()] {
    let mut bytes = [0; size_of::<winsize>()];
    for (at, value) in [(offset_of!(winsize, ws_row), 24u16), (offset_of!(winsize, ws_col), 80)] {
        bytes[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    }
    bytes
}
