//! Open file descriptions: what a descriptor stands for, shared by `dup` and `fork`.
//!
//! Locks: `position` and `text` are leaves, held for a moment each and never while bytes move to or from user memory.
//! A read first claims its range by advancing the position, and gives back what a fault kept it from copying: two
//! readers of one description never get the same bytes.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use linux_raw_sys::general as linux;
use paging::PAGE_SIZE;
use spin::Mutex;

use super::contents::Contents;
use super::device::Device;
use super::devmem;
use super::environment::{Environment, Processes};
use super::epoll::Epoll;
use super::event::Event;
use super::generated::Generated;
use super::node::Node;
use super::pagemap;
use super::pipe::{Reader, Writer};
use super::place::Place;
use super::readdir::{Position, RECORD_LIMIT};
use super::regular;
use super::socket::Socket;
use super::stat::Attributes;
use super::sysfs;
use super::text::Text;
use super::timer::Timer;
use super::transfer::{Transfer, moved};
use super::tree::{Mount, Tree};
use crate::errno::{Errno, Result};
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
    /// A socket and its inode number.
    Socket(Socket, u64),
    /// A counter to wait for.
    Event(Event),
    /// A timer to wait for.
    Timer(Timer),
    /// A set of descriptors to wait for.
    Epoll(Epoll),
}

impl Target {
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
    /// `EACCES`: not open for reading; `ENODEV`: not a regular file with stored contents; `EPERM`: physical memory that
    /// may not be mapped.
    pub fn backing(&self, offset: u64, bytes: u64) -> Result<Backing> {
        match &self.target {
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
            Target::Device(_, device) => self.read_device(env, *device, io),
            Target::Socket(socket, _) => socket.receive(io, self.nonblocking()),
            Target::Event(event) => event.read(io, self.nonblocking()),
            Target::Timer(timer) => timer.read(env, io, self.nonblocking()),
            Target::Epoll(_) => Err(Errno::EINVAL),
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
            Target::Device(_, device) => self.write_device(env, *device, io),
            Target::Generated(_, what) => self.write_setting(env, *what, io),
            Target::Socket(socket, _) => socket.send(env, io, self.nonblocking(), true),
            Target::Event(event) => event.write(io, self.nonblocking()),
            Target::Timer(_) | Target::Epoll(_) => Err(Errno::EINVAL),
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

    /// Whether it has a position.
    fn seekable(&self) -> Result<()> {
        match &self.target {
            Target::Device(_, Device::Console) => Err(Errno::ESPIPE),
            Target::Place(_) => Err(Errno::EBADF),
            Target::File(..) | Target::Dir(_) | Target::Device(..) | Target::Generated(..) => Ok(()),
            _ => Err(Errno::ESPIPE),
        }
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

    /// What poll finds without waiting, as `POLL` bits. Only a pipe can make one wait; the console says it cannot.
    pub fn readiness(&self) -> u32 {
        match &self.target {
            Target::PipeReader(reader, _) => reader.readiness(),
            Target::PipeWriter(writer, _) => writer.readiness(),
            Target::Socket(socket, _) => socket.readiness(),
            Target::Event(event) => event.readiness(),
            Target::Timer(timer) => timer.readiness(),
            Target::Epoll(_) => 0, // who asks for a set looks at what is in it
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
            Target::Socket(socket, _) => socket.generation(),
            _ => LOOKS.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// How many bytes can be read at once; `None` where that is not told.
    pub fn waiting(&self) -> Option<u64> {
        match &self.target {
            Target::File(_, contents) => Some(contents.len().saturating_sub(self.position.lock().cursor)),
            Target::PipeReader(reader, _) => Some(reader.waiting() as u64),
            Target::Socket(socket, _) => Some(socket.waiting() as u64),
            _ => None,
        }
    }

    /// Moves the position; returns the new one.
    ///
    /// # Errors
    /// `ESPIPE`: pipes and the console; `EBADF`: opened with `O_PATH`; `EINVAL`: an unknown `whence` or a position
    /// that would be negative; `ENXIO`: no data, or no hole, behind there.
    pub fn seek(&self, offset: i64, whence: u32) -> Result<u64> {
        self.seekable()?;
        let size = match &self.target {
            Target::File(_, contents) => Some(contents.len() as i64),
            Target::Device(..) => return Ok(0),
            _ => None,
        };
        if let (Target::File(_, contents), linux::SEEK_DATA | linux::SEEK_HOLE) = (&self.target, whence) {
            let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
            let found = contents.next(from, whence == linux::SEEK_DATA).ok_or(Errno::ENXIO)?;
            self.position.lock().cursor = found;
            return Ok(found);
        }
        let mut position = self.position.lock();
        let base = match (whence, size) {
            (linux::SEEK_SET, _) => 0,
            (linux::SEEK_CUR, _) => position.cursor as i64,
            (linux::SEEK_END, Some(size)) => size,
            _ => return Err(Errno::EINVAL),
        };
        let new = base.checked_add(offset).and_then(|new| u64::try_from(new).ok()).ok_or(Errno::EINVAL)?;
        if new != position.cursor {
            *position = Position { cursor: new, after: None };
        }
        Ok(new)
    }

    /// Fills `records` with as many directory entries as fit; returns how many bytes that are, and where to go on, for
    /// [`set_position`](Self::set_position).
    ///
    /// # Errors
    /// `ENOTDIR`; `EBADF`: opened with `O_PATH`; `EINVAL`: not even one fits; `ENOENT`: a process's directory, and the
    /// process is gone; `ENOMEM`.
    pub fn read_dir(
        &self,
        tree: &Tree,
        processes: &dyn Processes,
        records: &mut [u8],
    ) -> Result<(usize, Option<Position>)> {
        let dir = match &self.target {
            Target::Dir(place) => place.node(),
            Target::Place(_) => return Err(Errno::EBADF),
            _ => return Err(Errno::ENOTDIR),
        };
        if let Node::ProcessDir(pid) | Node::FdDir(pid) | Node::TaskDir(pid) | Node::Task(pid, _) = dir
            && processes.next_pid(pid) != Some(pid)
        {
            return Err(Errno::ENOENT);
        }
        let position = self.position.lock();
        let (mut done, mut new) = (0, None);
        while let Some(found) = tree.next_entry(processes, dir, new.as_ref().unwrap_or(&position)) {
            let mut record = [0; RECORD_LIMIT];
            let len = tree.dirent(&found, &mut record);
            let Some(room) = records.get_mut(done..done + len) else {
                if done == 0 {
                    return Err(Errno::EINVAL);
                }
                break;
            };
            room.copy_from_slice(&record[..len]);
            done += len;
            new = Some(found.position()?);
        }
        Ok((done, new))
    }

    /// Goes on from here in a directory, after entries up to it were handed out.
    pub fn set_position(&self, position: Position) {
        let old = core::mem::replace(&mut *self.position.lock(), position);
        drop(old);
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
            Target::PipeReader(_, ino) | Target::PipeWriter(_, ino) => {
                super::text::written(write!(out, "pipe:[{ino}]"))
            }
            Target::Socket(_, ino) => super::text::written(write!(out, "socket:[{ino}]")),
            Target::Event(_) => out.push(b"anon_inode:[eventfd]"),
            Target::Timer(_) => out.push(b"anon_inode:[timerfd]"),
            Target::Epoll(_) => out.push(b"anon_inode:[eventpoll]"),
            _ => out.push(b"anon_inode:[file]"),
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
    pub(super) fn give_back(&self, end: u64, bytes: u64) {
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
pub(super) const BREATH_BYTES: usize = 64 * 1024;

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
