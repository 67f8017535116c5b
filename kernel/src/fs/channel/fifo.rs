//! FIFOs (fifo(7)): a pipe with a name. Its inode has the pipe while somebody has it open; what nobody has read by then
//! goes with it.
//!
//! An open for reading waits until somebody opens it for writing, and the other way round. That somebody may have gone
//! again by the time the waiter looks, so opens are counted.
//!
//! Locks: the ends are made, and the pipe is taken away, under the tree's lock. Nobody waits under it.

use linux_raw_sys::general as linux;

use crate::errno::{Errno, Result};
use crate::fs::channel::pipe::{self, Pipe, Reader, Writer};
use crate::fs::tree::Kind;
use crate::fs::tree::place::Place;
use crate::util::Ref;

/// A FIFO's pipe, if somebody has it open. Part of its inode.
#[derive(Default)]
pub struct Named(Option<Ref<Pipe>>);

/// What an open file has of a FIFO's pipe.
pub struct Ends {
    reader: Option<Reader>,
    writer: Option<Writer>,
    /// How often the other end had been opened when this one was; one less if somebody had it open.
    seen: u64,
}

/// An open FIFO.
pub struct Fifo {
    ends: Ends,
    ino: u64,
    place: Place,
}

impl Named {
    /// Opens an end, or both, as `flags` say.
    ///
    /// # Errors
    /// `ENXIO`: for writing alone and without waiting, and nobody reads; `EINVAL`: an unknown access mode; `ENOMEM`.
    pub fn open(&mut self, flags: u32) -> Result<Ends> {
        let mode = flags & linux::O_ACCMODE;
        if mode > linux::O_RDWR {
            return Err(Errno::EINVAL);
        }
        let pipe = match &self.0 {
            Some(pipe) => pipe,
            None => self.0.insert(pipe::unopened()?),
        };
        let nonblocking = flags & linux::O_NONBLOCK != 0;
        match mode {
            linux::O_RDONLY => {
                let seen = pipe.seen_by_reader();
                Ok(Ends { reader: Some(pipe::reader(pipe)), writer: None, seen })
            }
            linux::O_WRONLY if nonblocking && !pipe.has_readers() => {
                self.release();
                Err(Errno::ENXIO)
            }
            linux::O_WRONLY => {
                let seen = pipe.seen_by_writer();
                Ok(Ends { reader: None, writer: Some(pipe::writer(pipe)), seen })
            }
            _ => {
                let (reader, writer) = (Some(pipe::reader(pipe)), Some(pipe::writer(pipe)));
                Ok(Ends { reader, writer, seen: u64::MAX })
            }
        }
    }

    /// The pipe, if nobody has it open any more; it is to be dropped without the tree's lock.
    fn release(&mut self) -> Option<Ref<Pipe>> {
        self.0.take_if(|pipe| pipe.is_unused())
    }
}

impl Fifo {
    /// An open file of the FIFO at `place`, whose inode has the number `ino`.
    pub fn new(ends: Ends, ino: u64, place: Place) -> Self {
        Fifo { ends, ino, place }
    }

    /// Waits until somebody has the other end, unless that is not to be waited for.
    ///
    /// # Errors
    /// `EINTR`.
    pub fn meet(&self, nonblocking: bool) -> Result<()> {
        match (&self.ends.reader, &self.ends.writer) {
            (Some(reader), None) => reader.await_writer((!nonblocking).then_some(self.ends.seen)),
            (None, Some(writer)) => writer.await_reader((!nonblocking).then_some(self.ends.seen)),
            (Some(reader), Some(writer)) => reader.await_writer(None).and(writer.await_reader(None)),
            (None, None) => Ok(()),
        }
    }

    /// The reading end, if it is open for that.
    pub fn reader(&self) -> Option<&Reader> {
        self.ends.reader.as_ref()
    }

    /// The writing end, if it is open for that.
    pub fn writer(&self) -> Option<&Writer> {
        self.ends.writer.as_ref()
    }

    /// The inode's number.
    pub fn ino(&self) -> u64 {
        self.ino
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What poll finds. That there is no writer is the end only if there was one since this was opened.
    pub fn readiness(&self) -> u32 {
        let read = self.reader().map_or(0, |reader| match reader.had_writer(self.ends.seen) {
            true => reader.readiness(),
            false => reader.readiness() & !linux::POLLHUP,
        });
        read | self.writer().map_or(0, Writer::readiness)
    }

    /// How often its readiness may have changed.
    pub fn generation(&self) -> u64 {
        let reader = self.reader().map(Reader::generation);
        reader.or(self.writer().map(Writer::generation)).unwrap_or(0)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        self.ends.reader = None;
        self.ends.writer = None;
        let unused = self.place.with(|inode| match &mut inode.kind {
            Kind::Fifo(named) => named.release(),
            _ => None,
        });
        drop(unused); // without the lock
    }
}

#[cfg(test)]
#[path = "fifo_tests.rs"]
mod tests;
