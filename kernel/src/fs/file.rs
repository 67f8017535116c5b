//! Open file descriptions: what a descriptor stands for, shared by `dup` and `fork`.
//!
//! Here is what it is and how it was opened; `transfer` moves its bytes, `position` says where, `tell` what it is like.
//! `regular` and `device` are two kinds of what can be behind it, `fd` the descriptors of a process.
//!
//! Locks: `position` and `text` are leaves, held for a moment each and never while bytes move to or from user memory.
//! A read first claims its range by advancing the position, and gives back what a fault kept it from copying: two
//! readers of one description never get the same bytes.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use linux_raw_sys::general as linux;
use paging::PAGE_SIZE;
use spin::Mutex;

pub mod device;
pub mod fd;
mod position;
pub mod regular;
pub mod rlimit;
mod tell;
mod transfer;
pub(crate) mod wait;

pub(super) use transfer::BREATH_BYTES;

use super::environment::Environment;
use super::generated::Generated;
use crate::errno::{Errno, Result};
use crate::fs::channel::fifo::Fifo;
use crate::fs::channel::pipe::{Reader, Writer};
use crate::fs::channel::socket::Socket;
use crate::fs::file::device::Device;
use crate::fs::generated::devmem;
use crate::fs::generated::text::Text;
use crate::fs::notify::epoll::Epoll;
use crate::fs::notify::event::Event;
use crate::fs::notify::pidfd::Pidfd;
use crate::fs::notify::signals::Signals;
use crate::fs::notify::timer::Timer;
use crate::fs::notify::userfault::Userfault;
use crate::fs::tree::contents::Contents;
use crate::fs::tree::node::Node;
use crate::fs::tree::place::Place;
use crate::fs::tree::readdir::Position;
use crate::mm::Backing;
use crate::util::Ref;

/// The flags that F_SETFL can change.
const CHANGEABLE: u32 = linux::O_APPEND | linux::O_NONBLOCK | linux::O_DIRECT | linux::O_NOATIME;

/// What is behind an open file.
pub enum Target {
    /// A regular file and its contents.
    File(Place, Contents),
    /// A directory.
    Dir(Place),
    /// A character device.
    Device(Place, Device),
    /// Contents that the kernel generates.
    Generated(Place, Generated),
    /// A file of any type opened with `O_PATH`: it has a place and attributes, nothing else.
    Place(Place),
    /// A pipe's reading end and its inode number.
    PipeReader(Reader, u64),
    /// A pipe's writing end and its inode number.
    PipeWriter(Writer, u64),
    /// A FIFO: a pipe that has a place.
    Fifo(Fifo),
    /// A socket and its inode number.
    Socket(Socket, u64),
    /// A counter to wait for.
    Event(Event),
    /// A timer to wait for.
    Timer(Timer),
    /// A set of descriptors to wait for.
    Epoll(Epoll),
    /// A process, to wait for its end.
    Pidfd(Pidfd),
    /// Signals to be read.
    Signals(Signals),
    /// Faults to be resolved.
    Userfault(Userfault),
}

impl Target {
    /// The reading end of a pipe or FIFO.
    pub fn pipe_reader(&self) -> Option<&Reader> {
        match self {
            Target::PipeReader(reader, _) => Some(reader),
            Target::Fifo(fifo) => fifo.reader(),
            _ => None,
        }
    }

    /// The writing end of a pipe or FIFO.
    pub fn pipe_writer(&self) -> Option<&Writer> {
        match self {
            Target::PipeWriter(writer, _) => Some(writer),
            Target::Fifo(fifo) => fifo.writer(),
            _ => None,
        }
    }

    /// The inode number of the pipe or FIFO that it has an end of.
    pub fn pipe_number(&self) -> Option<u64> {
        match self {
            Target::PipeReader(_, ino) | Target::PipeWriter(_, ino) => Some(*ino),
            Target::Fifo(fifo) => Some(fifo.ino()),
            _ => None,
        }
    }

    /// What is behind a further description of the same thing, opened by its name in `/proc/<pid>/fd`.
    ///
    /// # Errors
    /// `ENXIO`: it cannot be opened a second time, or not like that.
    pub fn reopen(&self, flags: u32) -> Result<Target> {
        let mode = flags & linux::O_ACCMODE;
        match self {
            Target::PipeReader(end, ino) if mode == linux::O_RDONLY => {
                Ok(Target::PipeReader(end.again(), *ino))
            }
            Target::PipeReader(end, ino) if mode == linux::O_WRONLY => {
                Ok(Target::PipeWriter(end.other(), *ino))
            }
            Target::PipeWriter(end, ino) if mode == linux::O_WRONLY => {
                Ok(Target::PipeWriter(end.again(), *ino))
            }
            Target::PipeWriter(end, ino) if mode == linux::O_RDONLY => {
                Ok(Target::PipeReader(end.other(), *ino))
            }
            _ => Err(Errno::ENXIO),
        }
    }
}

/// An open file description.
pub struct OpenFile {
    target: Target,
    /// Its own for good, to tell it from what comes after it.
    id: u64,
    /// As `F_GETFL` shows them: the access mode and the status flags.
    flags: AtomicU32,
    /// Where reading and writing go on: bytes from the start, or a place in a directory.
    pub(super) position: Mutex<Position>,
    /// The generated contents that reads at an offset above 0 continue in.
    text: Mutex<Option<Ref<Text>>>,
}

impl OpenFile {
    /// Opens `target` with these `O_` flags, of which access mode and status flags are kept.
    pub fn new(target: Target, flags: u32) -> Self {
        let kept = linux::O_ACCMODE | CHANGEABLE | linux::O_DIRECTORY | linux::O_NOFOLLOW | linux::O_PATH;
        let flags = AtomicU32::new(flags & kept | linux::O_LARGEFILE);
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        OpenFile { target, id, flags, position: Mutex::new(Position::default()), text: Mutex::new(None) }
    }

    /// A number that no other description ever has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What is behind it.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Where it was opened; a pipe has no place.
    pub fn place(&self) -> Option<&Place> {
        match &self.target {
            Target::File(place, _) | Target::Dir(place) | Target::Device(place, _) => Some(place),
            Target::Generated(place, _) | Target::Place(place) => Some(place),
            Target::Fifo(fifo) => Some(fifo.place()),
            _ => None,
        }
    }

    /// The node it was opened at; a pipe has none.
    pub fn node(&self) -> Option<Node> {
        self.place().map(Place::node)
    }

    /// The regular file behind it.
    ///
    /// # Errors
    /// `EISDIR`, `EINVAL`: it is something else.
    pub fn regular(&self) -> Result<(&Place, &Contents)> {
        match &self.target {
            Target::File(place, contents) => Ok((place, contents)),
            Target::Dir(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// What a mapping of `bytes` bytes from `offset` on shows, both of whole pages.
    ///
    /// # Errors
    /// `EBADF`: only a place (`O_PATH`); `EACCES`: not open for reading; `ENODEV`: not a regular file with stored contents; `EPERM`: physical memory that
    /// may not be mapped.
    pub fn backing(&self, offset: u64, bytes: u64) -> Result<Backing> {
        match &self.target {
            Target::Place(_) => Err(Errno::EBADF),
            _ if !self.readable() => Err(Errno::EACCES),
            Target::Device(_, Device::Mem) => Ok(Backing::Frames { first: devmem::frames(offset, bytes)? }),
            Target::Device(_, Device::Zero) => Ok(Backing::Anon),
            Target::File(_, contents) => {
                Ok(Backing::Object { object: contents.to_map(), page: offset / PAGE_SIZE })
            }
            _ => Err(Errno::ENODEV),
        }
    }

    /// Whether it is a file that must not be written any more.
    pub fn is_sealed(&self) -> bool {
        let sealed = linux::F_SEAL_WRITE | linux::F_SEAL_FUTURE_WRITE;
        self.regular().is_ok_and(|(place, _)| place.with(|inode| inode.seals & sealed != 0) == Some(true))
    }

    /// Access mode and status flags, as `F_GETFL` returns them.
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Changes the status flags that can be changed and ignores the rest, as `F_SETFL` does.
    pub fn set_flags(&self, flags: u32) {
        let new = self.flags() & !CHANGEABLE | flags & CHANGEABLE;
        self.flags.store(new, Ordering::Relaxed);
    }

    /// Whether it may be read.
    pub fn readable(&self) -> bool {
        let place = self.flags() & linux::O_PATH != 0;
        !place && matches!(self.flags() & linux::O_ACCMODE, linux::O_RDONLY | linux::O_RDWR)
    }

    /// Whether it may be written.
    pub fn writable(&self) -> bool {
        let place = self.flags() & linux::O_PATH != 0;
        !place && matches!(self.flags() & linux::O_ACCMODE, linux::O_WRONLY | linux::O_RDWR)
    }

    pub(super) fn appends(&self) -> bool {
        self.flags() & linux::O_APPEND != 0
    }

    fn nonblocking(&self) -> bool {
        self.flags() & linux::O_NONBLOCK != 0
    }

    /// Empties a file that was opened with `O_TRUNC`; for anything else that means nothing.
    ///
    /// # Errors
    /// `EPERM`: sealed.
    pub(super) fn truncate_opened(&self, env: &dyn Environment) -> Result<()> {
        match &self.target {
            Target::File(place, contents) => regular::resize(env, place, contents, 0),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "file/tests.rs"]
mod tests;
