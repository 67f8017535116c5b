//! Pipes (pipe(7)): a ring of 16 buffers between a reading and a writing end, each of 4 KiB of bytes that were written,
//! or of bytes of a user's page that was handed over by vmsplice and is pinned until they are read.
//!
//! Writes of up to `PIPE_BUF` bytes are atomic: they wait until all of their bytes fit. Bytes that a reader is
//! copying to user memory stay in the ring until the copy is done, so that a fault loses none; meanwhile other readers wait.
//!
//! Locks: `state` is held for a copy within the kernel at most, never while bytes move to or from user memory, never
//! while user memory is pinned and never while a queue is woken. It is a leaf but for the locks of the frame allocator,
//! when the last pin of a page goes.

use core::sync::atomic::{AtomicU64, Ordering};

use linux_raw_sys::general::{self as linux, PIPE_BUF};
use spin::Mutex;

use crate::errno::{Errno, Result};
use crate::fs::channel::pinned::{Fragment, Handover};
use crate::fs::channel::ring::{Ring, SLOT_BYTES, SLOTS};
use crate::fs::environment::Environment;
use crate::fs::file::wait::WaitQueue;
use crate::fs::transfer::{Bounce, Transfer, moved};
use crate::util::Ref;

/// Bytes that can be written to an empty pipe before somebody reads, Linux's default.
pub const PIPE_BYTES: usize = SLOTS * SLOT_BYTES;

struct State {
    ring: Ring,
    /// Open descriptions of the reading end.
    readers: usize,
    /// Open descriptions of the writing end.
    writers: usize,
    /// A reader is copying the oldest bytes to user memory.
    reading: bool,
    /// How often something changed that somebody may wait for.
    changes: u64,
    /// How often the reading end was opened, and the writing end.
    opened: [u64; 2],
}

/// What is between the two ends.
pub(super) struct Pipe {
    state: Mutex<State>,
    /// Readers wait here for bytes, for the last writer to go, and for each other.
    readable: WaitQueue,
    /// Writers wait here for room, and for the last reader to go.
    writable: WaitQueue,
}

/// The reading end; dropping it tells the writers.
pub struct Reader(Ref<Pipe>);

/// The writing end; dropping it tells the readers.
pub struct Writer(Ref<Pipe>);

/// Makes an empty pipe.
///
/// # Errors
/// `ENOMEM`.
pub fn pipe() -> Result<(Reader, Writer)> {
    let pipe = unopened()?;
    Ok((reader(&pipe), writer(&pipe)))
}

/// Makes an empty pipe of which nobody has an end yet.
///
/// # Errors
/// `ENOMEM`.
pub(super) fn unopened() -> Result<Ref<Pipe>> {
    let state =
        State { ring: Ring::new()?, readers: 0, writers: 0, reading: false, changes: 0, opened: [0; 2] };
    Ref::try_new(Pipe { state: Mutex::new(state), readable: WaitQueue::new(), writable: WaitQueue::new() })
}

/// A number that no file of the tree has, for `fstat` on the two ends of one pipe.
pub fn next_inode_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 48);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A further reading end of a pipe.
pub(super) fn reader(pipe: &Ref<Pipe>) -> Reader {
    let mut state = pipe.state.lock();
    state.readers += 1;
    state.opened[0] += 1;
    drop(state);
    Reader(pipe.clone())
}

/// A further writing end of a pipe.
pub(super) fn writer(pipe: &Ref<Pipe>) -> Writer {
    let mut state = pipe.state.lock();
    state.writers += 1;
    state.opened[1] += 1;
    drop(state);
    Writer(pipe.clone())
}

impl Reader {
    /// A further reading end.
    pub fn again(&self) -> Reader {
        reader(&self.0)
    }

    /// Wakes who waits for a reader, and waits for a writer that was opened since there were `seen`; none: not at all.
    ///
    /// # Errors
    /// `EINTR`.
    pub(super) fn await_writer(&self, seen: Option<u64>) -> Result<()> {
        self.0.writable.wake_all();
        let Some(seen) = seen else { return Ok(()) };
        self.0.readable.wait_until(|| self.had_writer(seen).then_some(()))
    }

    /// Whether a writing end has been opened since there were `seen`.
    pub(super) fn had_writer(&self, seen: u64) -> bool {
        self.0.state.lock().opened[1] != seen
    }

    /// A further writing end.
    pub fn other(&self) -> Writer {
        writer(&self.0)
    }

    /// How often its readiness may have changed.
    pub fn generation(&self) -> u64 {
        self.0.state.lock().changes
    }

    /// How many bytes there are.
    pub fn waiting(&self) -> usize {
        self.0.state.lock().ring.bytes()
    }

    /// Copies the oldest bytes and leaves them there; waits for some unless `nonblocking`. 0: nobody can write any more.
    ///
    /// # Errors
    /// `EAGAIN`: nothing is there and `nonblocking`; `EINTR`.
    pub fn peek(&self, to: &mut [u8], nonblocking: bool) -> Result<usize> {
        let seen = self.0.begin_read(to, nonblocking)?;
        if seen > 0 {
            self.0.finish_read(0);
        }
        Ok(seen)
    }

    /// What poll finds: bytes, or that nobody will write any more.
    pub fn readiness(&self) -> u32 {
        let state = self.0.state.lock();
        let bytes = if state.ring.is_empty() { 0 } else { linux::POLLIN | linux::POLLRDNORM };
        if state.writers == 0 { bytes | linux::POLLHUP } else { bytes }
    }

    /// Reads what is there, and waits only while there is nothing. 0 means that nobody can write any more.
    ///
    /// # Errors
    /// `EAGAIN`: nothing is there and `nonblocking`; `EFAULT`: nothing could be copied, and nothing is lost; `EINTR`:
    /// killed; `ENOMEM`.
    pub fn read(&self, io: &mut dyn Transfer, nonblocking: bool) -> Result<usize> {
        let wanted = io.remaining();
        let mut bounce = Bounce::new(wanted)?;
        let mut done = 0;
        while done < wanted {
            let buffer = bounce.buffer(wanted - done);
            let seen = match self.0.begin_read(buffer, nonblocking || done > 0) {
                Ok(0) => break,
                Ok(seen) => seen,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            let copied = io.put(&buffer[..seen]);
            self.0.finish_read(copied);
            done += copied;
            if copied < seen {
                return moved(done, wanted);
            }
        }
        Ok(done)
    }
}

impl Writer {
    /// Wakes who waits for a writer, and waits for a reader that was opened since there were `seen`; none: not at all.
    ///
    /// # Errors
    /// `EINTR`.
    pub(super) fn await_reader(&self, seen: Option<u64>) -> Result<()> {
        self.0.readable.wake_all();
        let Some(seen) = seen else { return Ok(()) };
        self.0.writable.wait_until(|| (self.0.state.lock().opened[0] != seen).then_some(()))
    }

    /// A further writing end.
    pub fn again(&self) -> Writer {
        writer(&self.0)
    }

    /// How often its readiness may have changed.
    pub fn generation(&self) -> u64 {
        self.0.state.lock().changes
    }

    /// A further reading end.
    pub fn other(&self) -> Reader {
        reader(&self.0)
    }

    /// What poll finds: room for a buffer, or that nobody reads.
    pub fn readiness(&self) -> u32 {
        let state = self.0.state.lock();
        let room = if state.ring.free_slots() > 0 { linux::POLLOUT | linux::POLLWRNORM } else { 0 };
        if state.readers == 0 { room | linux::POLLERR } else { room }
    }

    /// Writes everything, waiting for room unless `nonblocking`.
    ///
    /// # Errors
    /// If not a byte was written: `EPIPE`, with SIGPIPE, when nobody can read any more; `EAGAIN`: no room and
    /// `nonblocking`; `EFAULT`; `EINTR`: killed; `ENOMEM`.
    pub fn write(&self, env: &dyn Environment, io: &mut dyn Transfer, nonblocking: bool) -> Result<usize> {
        let (done, outcome) = self.write_all(io, nonblocking);
        if outcome == Err(Errno::EPIPE) {
            env.raise_sigpipe();
        }
        if done > 0 { Ok(done) } else { outcome.map(|()| 0) }
    }

    /// As [`write`](Self::write), without SIGPIPE.
    ///
    /// # Errors
    /// As there.
    pub fn write_quietly(&self, io: &mut dyn Transfer, nonblocking: bool) -> Result<usize> {
        let (done, outcome) = self.write_all(io, nonblocking);
        if done > 0 { Ok(done) } else { outcome.map(|()| 0) }
    }

    /// Writes until all is written or something stops it; returns how much was, and what did.
    fn write_all(&self, io: &mut dyn Transfer, nonblocking: bool) -> (usize, Result<()>) {
        let wanted = io.remaining();
        let mut bounce = match Bounce::new(wanted) {
            Ok(bounce) => bounce,
            Err(error) => return (0, Err(error)),
        };
        let mut done = 0;
        while done < wanted {
            let buffer = bounce.buffer(wanted - done);
            let taken = io.take(buffer);
            if taken == 0 {
                return (done, Err(Errno::EFAULT));
            }
            let atomic = wanted <= PIPE_BUF as usize;
            let mut written = 0;
            while written < taken {
                match self.0.push(&buffer[written..taken], atomic, nonblocking) {
                    Ok(count) => written += count,
                    Err(error) => return (done + written, Err(error)),
                }
            }
            done += written;
        }
        (done, Ok(()))
    }
}

impl Writer {
    /// Hands over memory page by page; waits for the first free buffer, unless `nonblocking`, and then takes what fits.
    ///
    /// # Errors
    /// If not a byte was handed over: as [`write`](Self::write).
    pub fn splice(&self, env: &dyn Environment, from: &mut dyn Handover, nonblocking: bool) -> Result<usize> {
        let mut done = 0;
        while from.remaining() > 0 {
            match self.splice_some(from, nonblocking || done > 0) {
                // None: others filled the pipe while the pages were pinned.
                Ok(count) => done += count,
                Err(_) if done > 0 => break,
                Err(error) => {
                    if error == Errno::EPIPE {
                        env.raise_sigpipe();
                    }
                    return Err(error);
                }
            }
        }
        Ok(done)
    }

    fn splice_some(&self, from: &mut dyn Handover, nonblocking: bool) -> Result<usize> {
        let free = self.0.wait_for_slot(nonblocking)?;
        let mut pages = [const { None }; SLOTS];
        let pinned = from.pin(&mut pages[..free])?;
        // What finds no room is unpinned at the end of this.
        let bytes = self.0.push_pages(&mut pages[..pinned])?;
        from.advance(bytes);
        Ok(bytes)
    }
}

impl Pipe {
    /// How many writers a reader that is opened now has not to wait for; one less than there were if one is there.
    pub(super) fn seen_by_reader(&self) -> u64 {
        let state = self.state.lock();
        state.opened[1].wrapping_sub(u64::from(state.writers > 0))
    }

    /// As above, of readers, for a writer.
    pub(super) fn seen_by_writer(&self) -> u64 {
        let state = self.state.lock();
        state.opened[0].wrapping_sub(u64::from(state.readers > 0))
    }

    /// Whether somebody has the reading end.
    pub(super) fn has_readers(&self) -> bool {
        self.state.lock().readers > 0
    }

    /// Whether nobody has an end.
    pub(super) fn is_unused(&self) -> bool {
        let state = self.state.lock();
        state.readers == 0 && state.writers == 0
    }

    /// Copies the oldest bytes and claims them until `finish_read`; 0 at the end of the stream.
    fn begin_read(&self, buffer: &mut [u8], nonblocking: bool) -> Result<usize> {
        self.readable.wait_until(|| {
            let mut state = self.state.lock();
            if state.reading {
                return None; // never for long: a copy to user memory ends
            }
            match state.ring.peek(buffer) {
                0 if state.writers == 0 => Some(Ok(0)),
                0 if nonblocking => Some(Err(Errno::EAGAIN)),
                0 => None,
                seen => {
                    state.reading = true;
                    Some(Ok(seen))
                }
            }
        })?
    }

    /// Takes away as many of the claimed bytes as reached the reader.
    fn finish_read(&self, copied: usize) {
        let mut state = self.state.lock();
        state.ring.consume(copied);
        state.reading = false;
        state.changes += 1;
        drop(state);
        self.writable.wake_all();
        self.readable.wake_all();
    }

    /// Waits until a buffer is free; returns how many are.
    fn wait_for_slot(&self, nonblocking: bool) -> Result<usize> {
        self.writable.wait_until(|| {
            let state = self.state.lock();
            match state.ring.free_slots() {
                _ if state.readers == 0 => Some(Err(Errno::EPIPE)),
                0 => nonblocking.then_some(Err(Errno::EAGAIN)),
                free => Some(Ok(free)),
            }
        })?
    }

    /// Queues pages as far as there are free buffers; returns how many bytes of them.
    fn push_pages(&self, pages: &mut [Option<Fragment>]) -> Result<usize> {
        let mut state = self.state.lock();
        if state.readers == 0 {
            return Err(Errno::EPIPE);
        }
        let mut bytes = 0;
        for place in pages.iter_mut().take(state.ring.free_slots()) {
            let Some(page) = place.take() else { continue };
            let count = page.bytes();
            match state.ring.push_page(page) {
                Ok(()) => bytes += count,
                Err(page) => *place = Some(page),
            }
        }
        state.changes += 1;
        drop(state);
        self.readable.wake_all();
        Ok(bytes)
    }

    /// Queues some bytes, or all of them if `atomic`.
    fn push(&self, bytes: &[u8], atomic: bool, nonblocking: bool) -> Result<usize> {
        let needed = if atomic { bytes.len() } else { 1 };
        let pushed = self.writable.wait_until(|| {
            let mut state = self.state.lock();
            if state.readers == 0 {
                return Some(Err(Errno::EPIPE));
            }
            if state.ring.room() < needed {
                return nonblocking.then_some(Err(Errno::EAGAIN));
            }
            state.changes += 1;
            Some(Ok(state.ring.push(bytes)))
        })?;
        self.readable.wake_all();
        pushed
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.readers -= 1;
        state.changes += 1;
        drop(state);
        self.0.writable.wake_all();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.writers -= 1;
        state.changes += 1;
        drop(state);
        self.0.readable.wake_all();
    }
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
