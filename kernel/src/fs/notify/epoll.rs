//! epoll(7): a set of descriptors, and what of them is wanted.
//!
//! A set does not keep its files open: it knows them by number and by the identity of what was open there, and whoever
//! waits looks the number up again. What was closed, or is something else by now, falls out of the set. (On Linux the file
//! stays as long as any copy of the descriptor is open, whatever its number.)
//!
//! Edges: a file counts how often it became ready ([`OpenFile::generation`]), and one that was watched for edges is told of
//! once per count.
//!
//! Locks: the set's is a leaf but for those of the files whose readiness is asked for.

use alloc::vec::Vec;

use linux_raw_sys::general as linux;
use spin::Mutex;

use crate::errno::{Errno, Result};
use crate::fs::file::OpenFile;

/// Bits of what is wanted that are not events but say how it is.
const MODES: u32 = linux::EPOLLET | linux::EPOLLONESHOT | linux::EPOLLWAKEUP | linux::EPOLLEXCLUSIVE;
/// What is told of whether or not it is wanted.
const ALWAYS: u32 = linux::EPOLLERR | linux::EPOLLHUP;

/// A descriptor that is watched.
struct Watch {
    fd: u32,
    /// Which description it was.
    file: u64,
    /// What is wanted; 0 after the one time of EPOLLONESHOT.
    events: u32,
    data: u64,
    /// The file's count when it was last told of, for EPOLLET.
    told: Option<u64>,
}

/// A set.
#[derive(Default)]
pub struct Epoll(Mutex<Vec<Watch>>);

/// Something that is ready: which events, and the data that belongs to the descriptor.
pub type Ready = (u32, u64);

impl Epoll {
    /// Adds a descriptor, which is `file`.
    ///
    /// # Errors
    /// `EEXIST`: it is in the set; `ENOMEM`.
    pub fn add(&self, fd: u32, file: &OpenFile, events: u32, data: u64) -> Result<()> {
        let mut set = self.0.lock();
        if set.iter().any(|watch| watch.fd == fd && watch.file == file.id()) {
            return Err(Errno::EEXIST);
        }
        set.retain(|watch| watch.fd != fd); // what was closed meanwhile
        set.try_reserve(1)?;
        set.push(Watch { fd, file: file.id(), events, data, told: None });
        Ok(())
    }

    /// Changes what is wanted of a descriptor.
    ///
    /// # Errors
    /// `ENOENT`: it is not in the set.
    pub fn change(&self, fd: u32, file: &OpenFile, events: u32, data: u64) -> Result<()> {
        let mut set = self.0.lock();
        let watch = set.iter_mut().find(|watch| watch.fd == fd && watch.file == file.id());
        *watch.ok_or(Errno::ENOENT)? = Watch { fd, file: file.id(), events, data, told: None };
        Ok(())
    }

    /// Takes a descriptor out.
    ///
    /// # Errors
    /// `ENOENT`: it is not in the set.
    pub fn remove(&self, fd: u32, file: &OpenFile) -> Result<()> {
        let mut set = self.0.lock();
        let index = set.iter().position(|watch| watch.fd == fd && watch.file == file.id());
        set.swap_remove(index.ok_or(Errno::ENOENT)?);
        Ok(())
    }

    /// Fills `out` with what is ready; returns how much that is. `look` tells of a descriptor which description it is, its
    /// readiness and its count, or that it is closed.
    pub fn collect(&self, out: &mut [Ready], mut look: impl FnMut(u32) -> Option<(u64, u32, u64)>) -> usize {
        let mut set = self.0.lock();
        let mut count = 0;
        set.retain_mut(|watch| {
            if count == out.len() {
                return true;
            }
            let Some((_, there, generation)) = look(watch.fd).filter(|(file, ..)| *file == watch.file) else {
                return false;
            };
            let wanted = if watch.events & !MODES == 0 { 0 } else { watch.events & !MODES | ALWAYS };
            let ready = there & wanted;
            let edge = watch.events & linux::EPOLLET != 0;
            if ready == 0 || edge && watch.told == Some(generation) {
                return true;
            }
            watch.told = Some(generation);
            out[count] = (ready, watch.data);
            count += 1;
            if watch.events & linux::EPOLLONESHOT != 0 {
                watch.events &= MODES;
            }
            true
        });
        // Whoever was not looked at for lack of room comes first next time.
        let len = set.len();
        if count == out.len() && len > 0 {
            set.rotate_left(count.min(len));
        }
        count
    }

    /// Whether there is anything to tell, for who watches the set itself.
    pub fn is_ready(&self, mut look: impl FnMut(u32) -> Option<(u64, u32, u64)>) -> bool {
        self.0.lock().iter().any(|watch| {
            let there = look(watch.fd).filter(|(file, ..)| *file == watch.file);
            there.is_some_and(|(_, there, _)| there & (watch.events & !MODES | ALWAYS) != 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::channel::pipe::pipe;
    use crate::fs::file::Target;
    use crate::fs::testing::{Memory, World};
    use linux::{EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT};

    fn ends() -> (OpenFile, OpenFile) {
        let (reader, writer) = pipe().unwrap();
        let reader = OpenFile::new(Target::PipeReader(reader, 1), linux::O_RDONLY);
        (reader, OpenFile::new(Target::PipeWriter(writer, 1), linux::O_WRONLY))
    }

    fn collect(epoll: &Epoll, files: &[&OpenFile]) -> Vec<Ready> {
        let mut out = [(0, 0); 4];
        let count = epoll.collect(&mut out, |fd| {
            let file = files.get(fd as usize)?;
            Some((file.id(), file.readiness(), file.generation()))
        });
        out[..count].to_vec()
    }

    #[test]
    fn what_is_ready_is_told_until_it_is_not() {
        let ((reader, writer), world, epoll) = (ends(), World::default(), Epoll::default());
        let files = [&reader, &writer];
        epoll.add(0, &reader, EPOLLIN, 7).unwrap();
        assert_eq!(epoll.add(0, &reader, EPOLLIN, 7), Err(Errno::EEXIST));
        epoll.add(1, &writer, EPOLLOUT, 8).unwrap();
        assert_eq!(collect(&epoll, &files), [(EPOLLOUT, 8)]);
        writer.write(&world, &mut Memory::of(b"x")).unwrap();
        epoll.change(1, &writer, 0, 8).unwrap();
        assert_eq!(collect(&epoll, &files), [(EPOLLIN, 7)]);
        assert_eq!(collect(&epoll, &files), [(EPOLLIN, 7)]);
        reader.read(&world, &mut Memory::sized(1)).unwrap();
        assert_eq!(collect(&epoll, &files), []);
        assert_eq!(epoll.remove(0, &writer), Err(Errno::ENOENT));
        epoll.remove(0, &reader).unwrap();
        assert_eq!(epoll.change(0, &reader, 0, 0), Err(Errno::ENOENT));
    }

    #[test]
    fn edges_are_told_once_and_one_shots_once_for_good() {
        let ((reader, writer), world, epoll) = (ends(), World::default(), Epoll::default());
        let files = [&reader];
        epoll.add(0, &reader, EPOLLIN | EPOLLET, 7).unwrap();
        writer.write(&world, &mut Memory::of(b"x")).unwrap();
        assert_eq!(collect(&epoll, &files), [(EPOLLIN, 7)]);
        assert_eq!(collect(&epoll, &files), []);
        writer.write(&world, &mut Memory::of(b"y")).unwrap();
        assert_eq!(collect(&epoll, &files), [(EPOLLIN, 7)], "something new, though the old is still there");
        epoll.change(0, &reader, EPOLLIN | EPOLLONESHOT, 9).unwrap();
        assert_eq!(collect(&epoll, &files), [(EPOLLIN, 9)]);
        writer.write(&world, &mut Memory::of(b"z")).unwrap();
        assert_eq!(collect(&epoll, &files), []);
        epoll.change(0, &reader, EPOLLIN, 9).unwrap();
        assert!(epoll.is_ready(|_| Some((reader.id(), reader.readiness(), 0))));
    }

    #[test]
    fn what_was_closed_falls_out_of_the_set() {
        let ((reader, _writer), (other, writer), world, epoll) =
            (ends(), ends(), World::default(), Epoll::default());
        epoll.add(0, &reader, EPOLLIN, 7).unwrap();
        writer.write(&world, &mut Memory::of(b"x")).unwrap();
        // Another file has its number.
        assert_eq!(collect(&epoll, &[&other]), []);
        assert_eq!(epoll.remove(0, &reader), Err(Errno::ENOENT));
        epoll.add(0, &other, EPOLLIN, 8).unwrap();
        assert_eq!(collect(&epoll, &[&other]), [(EPOLLIN, 8)]);
        assert_eq!(collect(&epoll, &[]), []);
    }
}
