//! Where reading and writing go on, in files and in directories.

use linux_raw_sys::general as linux;

use super::{OpenFile, Target};
use crate::errno::{Errno, Result};
use crate::fs::environment::Processes;
use crate::fs::file::device::Device;
use crate::fs::tree::Tree;
use crate::fs::tree::node::Node;
use crate::fs::tree::readdir::{Position, RECORD_LIMIT};

impl OpenFile {
    /// Whether it has a position.
    pub(super) fn seekable(&self) -> Result<()> {
        match &self.target {
            Target::Device(_, Device::Console) => Err(Errno::ESPIPE),
            Target::Place(_) => Err(Errno::EBADF),
            Target::File(..) | Target::Dir(_) | Target::Device(..) | Target::Generated(..) => Ok(()),
            _ => Err(Errno::ESPIPE),
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
}
