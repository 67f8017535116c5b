//! What is told of what is open: whether it is ready, how much there is to read, its attributes, and what it is.

use core::sync::atomic::{AtomicU64, Ordering};

use linux_raw_sys::general as linux;

use super::{OpenFile, Target};
use crate::errno::Result;
use crate::fs::generated::text::{Text, written};
use crate::fs::tree::stat::Attributes;
use crate::fs::tree::{Mount, Tree};

impl OpenFile {
    /// What poll finds without waiting, as `POLL` bits. Only a pipe can make one wait; the console says it cannot.
    pub fn readiness(&self) -> u32 {
        match &self.target {
            Target::PipeReader(reader, _) => reader.readiness(),
            Target::PipeWriter(writer, _) => writer.readiness(),
            Target::Fifo(fifo) => fifo.readiness(),
            Target::Socket(socket, _) => socket.readiness(),
            Target::Event(event) => event.readiness(),
            Target::Timer(timer) => timer.readiness(),
            Target::Pidfd(pidfd) => pidfd.readiness(),
            Target::Userfault(userfault) => userfault.monitor().readiness(self.nonblocking()),
            // Who asks for a set looks at what is in it, and who asks for signals at the thread's.
            Target::Epoll(_) | Target::Signals(_) => 0,
            _ => linux::POLLIN | linux::POLLOUT | linux::POLLRDNORM | linux::POLLWRNORM,
        }
    }

    /// How often its readiness may have changed, so that something new can be told from what was there before. What only a
    /// program's own reads and writes change counts as new each time.
    pub fn generation(&self) -> u64 {
        static LOOKS: AtomicU64 = AtomicU64::new(0);
        match &self.target {
            Target::PipeReader(reader, _) => reader.generation(),
            Target::PipeWriter(writer, _) => writer.generation(),
            Target::Fifo(fifo) => fifo.generation(),
            Target::Socket(socket, _) => socket.generation(),
            _ => LOOKS.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// How many bytes can be read at once; `None` where that is not told.
    pub fn waiting(&self) -> Option<u64> {
        match &self.target {
            Target::File(_, contents) => Some(contents.len().saturating_sub(self.position.lock().cursor)),
            Target::PipeReader(reader, _) => Some(reader.waiting() as u64),
            Target::Fifo(fifo) => fifo.reader().map(|reader| reader.waiting() as u64),
            Target::Socket(socket, _) => Some(socket.waiting() as u64),
            _ => None,
        }
    }

    /// What `fstat` tells.
    pub fn attributes(&self, tree: &Tree) -> Attributes {
        match (&self.target, self.node()) {
            (_, Some(node)) => tree.attributes(node),
            (Target::PipeReader(_, ino) | Target::PipeWriter(_, ino), _) => Attributes {
                ino: *ino,
                mode: linux::S_IFIFO | 0o600,
                nlink: 1,
                mount: Mount::Root as u32,
                ..Attributes::default()
            },
            (Target::Socket(_, ino), _) => Attributes {
                ino: *ino,
                mode: linux::S_IFSOCK | 0o777,
                nlink: 1,
                mount: Mount::Root as u32,
                ..Attributes::default()
            },
            _ => Attributes { ino: self.id, mode: 0o600, nlink: 1, ..Attributes::default() },
        }
    }

    /// What it is, as `/proc/<pid>/fd` tells it of what has no path.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn describe(&self, out: &mut Text) -> Result<()> {
        use core::fmt::Write;
        match &self.target {
            Target::PipeReader(_, ino) | Target::PipeWriter(_, ino) => written(write!(out, "pipe:[{ino}]")),
            Target::Socket(_, ino) => written(write!(out, "socket:[{ino}]")),
            Target::Event(_) => out.push(b"anon_inode:[eventfd]"),
            Target::Timer(_) => out.push(b"anon_inode:[timerfd]"),
            Target::Epoll(_) => out.push(b"anon_inode:[eventpoll]"),
            Target::Pidfd(_) => out.push(b"anon_inode:[pidfd]"),
            Target::Signals(_) => out.push(b"anon_inode:[signalfd]"),
            Target::Userfault(_) => out.push(b"anon_inode:[userfaultfd]"),
            _ => out.push(b"anon_inode:[file]"),
        }
    }
}
