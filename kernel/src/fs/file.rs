//! Open file descriptions: what a descriptor stands for, shared by `dup` and `fork`.
//!
//! Locks: `position` and `text` are leaves, held for a moment each and never while bytes move to or from user memory.
//! A read first claims its range by advancing the position, and gives back what a fault kept it from copying: two
//! readers of one description never get the same bytes.

use core::sync::atomic::{AtomicU32, Ordering};

use linux_raw_sys::general as linux;
use paging::PAGE_SIZE;
use spin::Mutex;

use super::device::Device;
use super::devmem;
use super::environment::Environment;
use super::generated::{Generated, ProcessFile};
use super::node::Node;
use super::pagemap;
use super::pipe::{Reader, Writer};
use super::stat::Attributes;
use super::sysfs;
use super::text::Text;
use super::transfer::{Transfer, moved};
use super::tree::Tree;
use crate::errno::{Errno, Result};
use crate::mm::{Backing, Object};
use crate::util::Ref;

/// The flags that F_SETFL can change.
const CHANGEABLE: u32 = linux::O_APPEND | linux::O_NONBLOCK | linux::O_DIRECT | linux::O_NOATIME;

/// What is behind an open file.
pub enum Target {
    /// A regular file's contents.
    File(Node, &'static [u8]),
    /// A directory.
    Dir(Node),
    /// A character device.
    Device(Node, Device),
    /// Contents that the kernel generates.
    Generated(Node, Generated),
    /// A file of any type opened with `O_PATH`: it has a place and attributes, nothing else.
    Place(Node),
    /// A pipe's reading end and its inode number.
    PipeReader(Reader, u64),
    /// A pipe's writing end and its inode number.
    PipeWriter(Writer, u64),
}

/// An open file description.
pub struct OpenFile {
    target: Target,
    /// As `F_GETFL` shows them: the access mode and the status flags.
    flags: AtomicU32,
    /// Bytes from the start, or for a directory a cursor.
    position: Mutex<u64>,
    /// The generated contents that reads at an offset above 0 continue in.
    text: Mutex<Option<Ref<Text>>>,
}

impl OpenFile {
    /// Opens `target` with these `O_` flags, of which access mode and status flags are kept.
    pub fn new(target: Target, flags: u32) -> Self {
        let kept = linux::O_ACCMODE | CHANGEABLE | linux::O_DIRECTORY | linux::O_NOFOLLOW | linux::O_PATH;
        let flags = AtomicU32::new(flags & kept | linux::O_LARGEFILE);
        OpenFile { target, flags, position: Mutex::new(0), text: Mutex::new(None) }
    }

    /// What is behind it.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The node it was opened at; a pipe has none.
    pub fn node(&self) -> Option<Node> {
        match self.target {
            Target::File(node, _) | Target::Dir(node) | Target::Device(node, _) => Some(node),
            Target::Generated(node, _) | Target::Place(node) => Some(node),
            Target::PipeReader(..) | Target::PipeWriter(..) => None,
        }
    }

    /// The page cache to map.
    ///
    /// # Errors
    /// `EACCES`: not open for reading; `ENODEV`: not a regular file with stored contents; `ENOMEM`.
    pub fn object(&self, tree: &Tree) -> Result<Ref<Object>> {
        match self.target {
            _ if !self.readable() => Err(Errno::EACCES),
            Target::File(Node::Inode(id), _) => tree.inode(id).object(),
            _ => Err(Errno::ENODEV),
        }
    }

    /// What a mapping of `bytes` bytes from `offset` on shows, both of whole pages.
    ///
    /// # Errors
    /// As [`object`](Self::object); `EPERM`: physical memory that may not be mapped.
    pub fn backing(&self, tree: &Tree, offset: u64, bytes: u64) -> Result<Backing> {
        match self.target {
            Target::Device(_, Device::Mem) if self.readable() => {
                Ok(Backing::Frames { first: devmem::frames(offset, bytes)? })
            }
            _ => Ok(Backing::Object { object: self.object(tree)?, page: offset / PAGE_SIZE }),
        }
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

    fn nonblocking(&self) -> bool {
        self.flags() & linux::O_NONBLOCK != 0
    }

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
            Target::File(_, bytes) => self.read_on(bytes, io),
            Target::Generated(_, Generated::Process(pid, ProcessFile::Pagemap)) => {
                let position = *self.position.lock();
                let count = pagemap::read(env, *pid, position, io)?;
                *self.position.lock() += count as u64;
                Ok(count)
            }
            Target::Generated(_, what) => {
                let position = *self.position.lock();
                let text = self.text_at(env, *what, position)?;
                self.read_on(text.bytes(), io)
            }
            Target::PipeReader(reader, _) => reader.read(io, self.nonblocking()),
            Target::Device(_, device) => self.read_device(env, *device, io),
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
        match &self.target {
            Target::PipeReader(..) | Target::PipeWriter(..) | Target::Device(_, Device::Console) => {
                Err(Errno::ESPIPE)
            }
            _ if !self.readable() => Err(Errno::EBADF),
            Target::File(_, bytes) => copy(bytes, io),
            Target::Generated(_, Generated::Process(pid, ProcessFile::Pagemap)) => {
                pagemap::read(env, *pid, offset, io)
            }
            Target::Generated(_, what) => copy(self.text_at(env, *what, offset)?.bytes(), io),
            Target::Device(_, device) => self.read_device(env, *device, io),
            Target::Dir(_) => Err(Errno::EISDIR),
            Target::Place(_) => Err(Errno::EBADF),
        }
    }

    /// Writes; only devices, pipes and settings take anything.
    ///
    /// # Errors
    /// `EBADF`: not open for writing; `EFAULT`: nothing could be copied; `EINVAL`: not a word the setting knows;
    /// `EPIPE`, `EAGAIN`, `EINTR`, `ENOMEM` from pipes.
    pub fn write(&self, env: &dyn Environment, io: &mut dyn Transfer) -> Result<usize> {
        if !self.writable() {
            return Err(Errno::EBADF);
        }
        match &self.target {
            Target::PipeWriter(writer, _) => writer.write(env, io, self.nonblocking()),
            Target::Device(_, Device::Console) => write_console(env, io),
            Target::Device(_, Device::Mem) => Err(Errno::EFAULT),
            Target::Device(..) => Ok(io.remaining()), // not even looked at, as on Linux
            Target::Generated(_, what) => self.write_setting(env, *what, io),
            // Opening one of these for writing fails, so there is none.
            Target::File(..) | Target::Dir(_) | Target::Place(_) | Target::PipeReader(..) => {
                Err(Errno::EBADF)
            }
        }
    }

    /// What poll finds without waiting, as `POLL` bits. Only a pipe can make one wait; the console says it cannot.
    pub fn readiness(&self) -> u32 {
        match &self.target {
            Target::PipeReader(reader, _) => reader.readiness(),
            Target::PipeWriter(writer, _) => writer.readiness(),
            _ => linux::POLLIN | linux::POLLOUT | linux::POLLRDNORM | linux::POLLWRNORM,
        }
    }

    /// Moves the position; returns the new one.
    ///
    /// # Errors
    /// `ESPIPE`: pipes and the console; `EBADF`: opened with `O_PATH`; `EINVAL`: an unknown `whence` or a position
    /// that would be negative.
    pub fn seek(&self, offset: i64, whence: u32) -> Result<u64> {
        let size = match &self.target {
            Target::File(_, bytes) => Some(bytes.len() as i64),
            Target::Generated(..) | Target::Dir(_) => None,
            Target::Device(_, Device::Console) | Target::PipeReader(..) | Target::PipeWriter(..) => {
                return Err(Errno::ESPIPE);
            }
            Target::Device(..) => return Ok(0),
            Target::Place(_) => return Err(Errno::EBADF),
        };
        let mut position = self.position.lock();
        let base = match (whence, size) {
            (linux::SEEK_SET, _) => 0,
            (linux::SEEK_CUR, _) => *position as i64,
            (linux::SEEK_END, Some(size)) => size,
            _ => return Err(Errno::EINVAL),
        };
        let new = base.checked_add(offset).and_then(|new| u64::try_from(new).ok()).ok_or(Errno::EINVAL)?;
        *position = new;
        Ok(new)
    }

    /// The directory behind it and the cursor to go on from.
    ///
    /// # Errors
    /// `ENOTDIR`; `EBADF`: opened with `O_PATH`.
    pub fn dir(&self) -> Result<(Node, u64)> {
        match self.target {
            Target::Dir(node) => Ok((node, *self.position.lock())),
            Target::Place(_) => Err(Errno::EBADF),
            _ => Err(Errno::ENOTDIR),
        }
    }

    /// Sets a directory's cursor, after entries up to it were handed out.
    pub fn set_cursor(&self, cursor: u64) {
        *self.position.lock() = cursor;
    }

    /// What `fstat` tells.
    pub fn attributes(&self, tree: &Tree) -> Attributes {
        match (&self.target, self.node()) {
            (_, Some(node)) => tree.attributes(node),
            (Target::PipeReader(_, ino) | Target::PipeWriter(_, ino), _) => {
                Attributes { ino: *ino, mode: linux::S_IFIFO | 0o600, nlink: 1, ..Attributes::default() }
            }
            _ => Attributes::default(),
        }
    }

    fn read_on(&self, bytes: &[u8], io: &mut dyn Transfer) -> Result<usize> {
        let (start, count) = {
            let mut position = self.position.lock();
            let start = usize::try_from(*position).map_or(bytes.len(), |start| start.min(bytes.len()));
            let count = io.remaining().min(bytes.len() - start);
            *position += count as u64;
            (start, count)
        };
        let copied = io.put(&bytes[start..start + count]);
        if copied < count {
            let mut position = self.position.lock();
            // If somebody read on behind the fault meanwhile, the bytes in between stay lost to the position.
            if *position == (start + count) as u64 {
                *position = (start + copied) as u64;
            }
        }
        moved(copied, count)
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
            Device::Zero => repeat(env, io, |io| io.put(&ZEROS)),
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
                env.set_folio_policy(memory, None, sysfs::parse(text, memory, false)?);
            }
            Generated::FolioSizePolicy(memory, order) => {
                env.set_folio_policy(memory, Some(order), sysfs::parse(text, memory, true)?);
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
const BREATH_BYTES: usize = 64 * 1024;

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

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
