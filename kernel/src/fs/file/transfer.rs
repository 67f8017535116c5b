//! Bytes from and to what is open, whatever it is.

use super::{OpenFile, Target};
use crate::errno::{Errno, Result};
use crate::fs::environment::Environment;
use crate::fs::file::device::Device;
use crate::fs::file::regular;
use crate::fs::generated::Generated;
use crate::fs::generated::text::Text;
use crate::fs::generated::{pagemap, sysfs};
use crate::fs::transfer::{Transfer, moved};
use crate::util::Ref;

impl OpenFile {
    /// Reads at the position and advances it.
    ///
    /// # Errors
    /// `EBADF`: not open for reading; `EISDIR`; `EFAULT`: nothing could be copied; `EAGAIN`, `EINTR` from pipes and
    /// the console; `ENOMEM`; `ESRCH`: a file about a process that is gone.
    pub fn read(&self, env: &dyn Environment, io: &mut dyn Transfer) -> Result<usize> {
        if !self.readable() {
            return Err(Errno::EBADF);
        }
        match &self.target {
            Target::File(_, contents) => regular::read(self, env, contents, io),
            Target::Generated(_, what) if pagemap::is_words(*what) => {
                let position = self.position.lock().cursor;
                let count = pagemap::read(env, *what, position, io)?;
                self.position.lock().cursor += count as u64;
                Ok(count)
            }
            Target::Generated(_, what) => {
                let position = self.position.lock().cursor;
                let text = self.text_at(env, *what, position)?;
                self.read_on(text.bytes(), io)
            }
            Target::PipeReader(reader, _) => reader.read(io, self.nonblocking()),
            Target::Fifo(fifo) => fifo.reader().ok_or(Errno::EBADF)?.read(io, self.nonblocking()),
            Target::Device(_, device) => self.read_device(env, *device, io),
            Target::Socket(socket, _) => socket.receive(io, self.nonblocking()),
            Target::Event(event) => event.read(io, self.nonblocking()),
            Target::Timer(timer) => timer.read(env, io, self.nonblocking()),
            Target::Userfault(userfault) => userfault.read(io, self.nonblocking()),
            Target::Signals(signals) => signals.read(env, io, self.nonblocking()),
            Target::Epoll(_) | Target::Pidfd(_) => Err(Errno::EINVAL),
            Target::Dir(_) => Err(Errno::EISDIR),
            Target::Place(_) | Target::PipeWriter(..) => Err(Errno::EBADF),
        }
    }

    /// Reads at `offset` bytes from the start and leaves the position alone.
    ///
    /// # Errors
    /// As [`read`](Self::read), and `ESPIPE` for what cannot seek.
    pub fn read_at(&self, env: &dyn Environment, io: &mut dyn Transfer, offset: u64) -> Result<usize> {
        let copy = |bytes: &[u8], io: &mut dyn Transfer| {
            let start = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
            let count = io.remaining().min(bytes.len() - start);
            moved(io.put(&bytes[start..start + count]), count)
        };
        self.seekable()?;
        match &self.target {
            _ if !self.readable() => Err(Errno::EBADF),
            Target::File(_, contents) => regular::read_at(env, contents, io, offset),
            Target::Generated(_, what) if pagemap::is_words(*what) => pagemap::read(env, *what, offset, io),
            Target::Generated(_, what) => copy(self.text_at(env, *what, offset)?.bytes(), io),
            Target::Device(_, device) => self.read_device(env, *device, io),
            Target::Dir(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EBADF),
        }
    }

    /// Writes at the position and advances it, or to the end with `O_APPEND`.
    ///
    /// # Errors
    /// `EBADF`: not open for writing; `EFAULT`: nothing could be copied; `ENOSPC`, `EFBIG`; `EPERM`: sealed; `EINVAL`: not a
    /// word the setting knows; `EPIPE`, `EAGAIN`, `EINTR`, `ENOMEM` from pipes.
    pub fn write(&self, env: &dyn Environment, io: &mut dyn Transfer) -> Result<usize> {
        if !self.writable() {
            return Err(Errno::EBADF);
        }
        match &self.target {
            Target::File(place, contents) => regular::write(self, env, (place, contents), io, None),
            Target::PipeWriter(writer, _) => writer.write(env, io, self.nonblocking()),
            Target::Fifo(fifo) => fifo.writer().ok_or(Errno::EBADF)?.write(env, io, self.nonblocking()),
            Target::Device(_, device) => self.write_device(env, *device, io),
            Target::Generated(_, what) => self.write_setting(env, *what, io),
            Target::Socket(socket, _) => socket.send(env, io, self.nonblocking(), true),
            Target::Event(event) => event.write(io, self.nonblocking()),
            Target::Timer(_) | Target::Epoll(_) | Target::Pidfd(_) => Err(Errno::EINVAL),
            Target::Signals(_) | Target::Userfault(_) => Err(Errno::EINVAL),
            // Opening one of these for writing fails, so there is none.
            Target::Dir(_) | Target::Place(_) | Target::PipeReader(..) => Err(Errno::EBADF),
        }
    }

    /// Writes at `offset` bytes from the start, or to the end with `O_APPEND`, and leaves the position alone.
    ///
    /// # Errors
    /// As [`write`](Self::write), and `ESPIPE` for what cannot seek.
    pub fn write_at(&self, env: &dyn Environment, io: &mut dyn Transfer, offset: u64) -> Result<usize> {
        self.seekable()?;
        match &self.target {
            Target::File(place, contents) if self.writable() => {
                regular::write(self, env, (place, contents), io, Some(offset))
            }
            _ => self.write(env, io),
        }
    }

    fn read_on(&self, bytes: &[u8], io: &mut dyn Transfer) -> Result<usize> {
        let (start, count) = {
            let position = &mut self.position.lock().cursor;
            let start = usize::try_from(*position).map_or(bytes.len(), |start| start.min(bytes.len()));
            let count = io.remaining().min(bytes.len() - start);
            *position += count as u64;
            (start, count)
        };
        let copied = io.put(&bytes[start..start + count]);
        if copied < count {
            self.give_back((start + count) as u64, (count - copied) as u64);
        }
        moved(copied, count)
    }

    /// Takes the position back by `bytes` from `end`, where it was advanced to. If somebody read on behind the fault
    /// meanwhile, the bytes in between stay lost to the position.
    pub(in crate::fs) fn give_back(&self, end: u64, bytes: u64) {
        let position = &mut self.position.lock().cursor;
        if *position == end {
            *position = end - bytes;
        }
    }

    /// The contents for a read at `offset`: generated anew at the start, then kept, so that a file read in small
    /// pieces is consistent and one that is read again is current (as Linux's seq_file).
    fn text_at(&self, env: &dyn Environment, what: Generated, offset: u64) -> Result<Ref<Text>> {
        if offset > 0
            && let Some(text) = &*self.text.lock()
        {
            return Ok(text.clone());
        }
        let mut text = Text::new();
        env.generate(what, &mut text)?;
        let text = Ref::try_new(text)?;
        let old = self.text.lock().replace(text.clone());
        drop(old);
        Ok(text)
    }

    fn read_device(&self, env: &dyn Environment, device: Device, io: &mut dyn Transfer) -> Result<usize> {
        static ZEROS: [u8; 4096] = [0; 4096];
        let mut buffer = [0; 256];
        match device {
            Device::Null => Ok(0),
            Device::Mem => Err(Errno::EFAULT),
            Device::Userfault => Err(Errno::EINVAL),
            Device::Zero | Device::Full => repeat(env, io, |io| io.put(&ZEROS)),
            Device::Random => repeat(env, io, |io| {
                env.random(&mut buffer);
                io.put(&buffer)
            }),
            Device::Console => {
                let limit = io.remaining().min(buffer.len());
                let read = env.console_read(&mut buffer[..limit], self.nonblocking())?;
                moved(io.put(&buffer[..read]), read)
            }
        }
    }

    fn write_device(&self, env: &dyn Environment, device: Device, io: &mut dyn Transfer) -> Result<usize> {
        match device {
            Device::Console => write_console(env, io),
            Device::Mem => Err(Errno::EFAULT),
            Device::Userfault => Err(Errno::EINVAL),
            Device::Full => Err(Errno::ENOSPC),
            _ => Ok(io.remaining()), // not even looked at, as on Linux
        }
    }

    fn write_setting(&self, env: &dyn Environment, what: Generated, io: &mut dyn Transfer) -> Result<usize> {
        let wanted = io.remaining();
        let mut buffer = [0; 32];
        let taken = moved(io.take(&mut buffer), wanted)?;
        if taken < wanted.min(buffer.len()) {
            return Err(Errno::EFAULT);
        }
        // No word fills the buffer, so one that was cut off is unknown too.
        let text = &buffer[..taken];
        match what {
            Generated::FolioPolicy(memory) => {
                env.set_folio_policy(memory, None, sysfs::parse(text, memory, false)?)?;
            }
            Generated::FolioSizePolicy(memory, order) => {
                env.set_folio_policy(memory, Some(order), sysfs::parse(text, memory, true)?)?;
            }
            Generated::BlockPolicy(setting) => {
                env.set_block_policy(setting, text.strip_suffix(b"\n").unwrap_or(text))?;
            }
            _ => env.set(what, text.strip_suffix(b"\n").unwrap_or(text))?,
        }
        Ok(taken)
    }
}

/// Bytes after which a long transfer lets others run: interrupts are masked, so nobody else stops it.
pub(in crate::fs) const BREATH_BYTES: usize = 64 * 1024;

/// Calls `step`, which moves some bytes, until all are moved, one step moves none, or the process is being killed.
fn repeat(
    env: &dyn Environment,
    io: &mut dyn Transfer,
    mut step: impl FnMut(&mut dyn Transfer) -> usize,
) -> Result<usize> {
    let wanted = io.remaining();
    let (mut done, mut pause) = (0, BREATH_BYTES);
    while done < wanted {
        let count = step(io);
        done += count;
        if count == 0 {
            break;
        }
        if done >= pause {
            pause = done + BREATH_BYTES;
            if env.breathe().is_err() {
                break; // what was moved counts, and there is some
            }
        }
    }
    moved(done, wanted)
}

fn write_console(env: &dyn Environment, io: &mut dyn Transfer) -> Result<usize> {
    let mut buffer = [0; 256];
    repeat(env, io, |io| {
        let taken = io.take(&mut buffer);
        env.console_write(&buffer[..taken]);
        taken
    })
}
