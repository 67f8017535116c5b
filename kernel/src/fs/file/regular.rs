//! Reading and writing regular files through their descriptions.
//!
//! Bytes go through a page of the kernel's on the way, so that no lock is held while user memory is touched.

use linux_raw_sys::general as linux;
use paging::PAGE_SIZE;

use crate::errno::{Errno, Result};
use crate::fs::environment::Environment;
use crate::fs::file::{BREATH_BYTES, OpenFile};
use crate::fs::transfer::{Bounce, Transfer, moved};
use crate::fs::tree::contents::Contents;
use crate::fs::tree::place::Place;
use crate::mm::object_io::{SIZE_LIMIT, WriteAt};

/// Reads at the description's position.
pub(in crate::fs) fn read(
    file: &OpenFile,
    env: &dyn Environment,
    contents: &Contents,
    io: &mut dyn Transfer,
) -> Result<usize> {
    let (start, count) = {
        let position = &mut file.position.lock().cursor;
        let left = contents.len().saturating_sub(*position);
        let count = (io.remaining() as u64).min(left);
        *position += count;
        (*position - count, count)
    };
    let outcome = copy_out(env, contents, io, start, count as usize);
    let copied = outcome.unwrap_or(0);
    if (copied as u64) < count {
        file.give_back(start + count, count - copied as u64);
    }
    outcome
}

/// Reads at `offset`.
pub(in crate::fs) fn read_at(
    env: &dyn Environment,
    contents: &Contents,
    io: &mut dyn Transfer,
    offset: u64,
) -> Result<usize> {
    let count = (io.remaining() as u64).min(contents.len().saturating_sub(offset));
    copy_out(env, contents, io, offset, count as usize)
}

/// Copies up to `count` bytes from `start` on to the caller; fewer if the file ends before or memory cannot be written.
fn copy_out(
    env: &dyn Environment,
    contents: &Contents,
    io: &mut dyn Transfer,
    start: u64,
    count: usize,
) -> Result<usize> {
    let mut bounce = Bounce::new(count)?;
    let (mut done, mut pause) = (0, BREATH_BYTES);
    while done < count {
        let buffer = bounce.buffer(count - done);
        let there = contents.read(start + done as u64, buffer);
        let put = io.put(&buffer[..there]);
        done += put;
        if put < there {
            return moved(done, count);
        }
        if there == 0 {
            break; // cut off meanwhile
        }
        if done >= pause {
            pause = done + BREATH_BYTES;
            if env.breathe().is_err() {
                break; // what was moved counts, and there is some
            }
        }
    }
    Ok(done)
}

/// Writes at `at`, or (`None`) at the description's position, or with `O_APPEND` to the end in any case.
pub(in crate::fs) fn write(
    file: &OpenFile,
    env: &dyn Environment,
    (place, contents): (&Place, &Contents),
    io: &mut dyn Transfer,
    at: Option<u64>,
) -> Result<usize> {
    let wanted = io.remaining();
    if wanted == 0 {
        return Ok(0);
    }
    let mut to = match at {
        _ if file.appends() => WriteAt::End,
        Some(at) => WriteAt::Offset(at),
        None => WriteAt::Offset(file.position.lock().cursor),
    };
    check_seals(place, contents, to, wanted)?;
    let mut bounce = Bounce::new(wanted)?;
    let (mut done, mut pause, mut end) = (0, BREATH_BYTES, None);
    let outcome = loop {
        if done == wanted {
            break Ok(());
        }
        let buffer = bounce.buffer(wanted - done);
        let taken = io.take(buffer);
        if taken == 0 {
            break Err(Errno::EFAULT);
        }
        match contents.write(to, &buffer[..taken], wanted - done) {
            Ok((offset, count)) => {
                done += count;
                end = Some(offset + count as u64);
                if count < taken {
                    break Ok(());
                }
                if let WriteAt::Offset(_) = to {
                    to = WriteAt::Offset(offset + count as u64);
                }
            }
            Err(error) => break Err(error),
        }
        if done >= pause {
            pause = done + BREATH_BYTES;
            if env.breathe().is_err() {
                break Ok(());
            }
        }
    };
    if let Some(end) = end {
        if at.is_none() {
            file.position.lock().cursor = end;
        }
        let now = env.now();
        place.with(|inode| inode.changed(now));
    }
    if done > 0 { Ok(done) } else { outcome.map(|()| 0) }
}

fn check_seals(place: &Place, contents: &Contents, to: WriteAt, bytes: usize) -> Result<()> {
    let seals = place.with(|inode| inode.seals).unwrap_or(0);
    let size = contents.len();
    let end = match to {
        WriteAt::Offset(at) => at.saturating_add(bytes as u64),
        WriteAt::End => u64::MAX,
    };
    let fixed = seals & (linux::F_SEAL_WRITE | linux::F_SEAL_FUTURE_WRITE) != 0;
    if fixed || seals & linux::F_SEAL_GROW != 0 && end > size { Err(Errno::EPERM) } else { Ok(()) }
}

/// Makes a file `bytes` long.
///
/// # Errors
/// `EPERM`: sealed; `EFBIG`.
pub fn resize(env: &dyn Environment, place: &Place, contents: &Contents, bytes: u64) -> Result<()> {
    let seals = place.with(|inode| inode.seals).unwrap_or(0);
    let old = contents.len();
    let sealed = if bytes < old { linux::F_SEAL_SHRINK } else { linux::F_SEAL_GROW };
    if bytes != old && seals & sealed != 0 {
        return Err(Errno::EPERM);
    }
    contents.resize(bytes)?;
    if bytes < old && contents.object().was_mapped() {
        env.unmap(contents.object(), bytes.div_ceil(PAGE_SIZE)..u64::MAX);
    }
    let now = env.now();
    place.with(|inode| inode.changed(now));
    Ok(())
}

/// `fallocate`: makes memory for `len` bytes from `offset` on, or takes it away.
///
/// # Errors
/// `EINVAL`: an empty range; `EOPNOTSUPP`: a mode that is neither; `EFBIG`; `ENOSPC`; `EPERM`: sealed.
pub fn allocate(
    env: &dyn Environment,
    place: &Place,
    contents: &Contents,
    mode: u32,
    (offset, len): (u64, u64),
) -> Result<()> {
    const KEEP: u32 = linux::FALLOC_FL_KEEP_SIZE;
    const PUNCH: u32 = linux::FALLOC_FL_PUNCH_HOLE | KEEP;
    const ZERO: u32 = linux::FALLOC_FL_ZERO_RANGE;
    let end = offset.checked_add(len).filter(|end| *end <= SIZE_LIMIT);
    if offset > SIZE_LIMIT || len == 0 || len > SIZE_LIMIT {
        return Err(Errno::EINVAL);
    }
    let end = end.ok_or(Errno::EFBIG)?;
    let seals = place.with(|inode| inode.seals).unwrap_or(0);
    let grows = mode & KEEP == 0 && end > contents.len();
    if grows && seals & linux::F_SEAL_GROW != 0 {
        return Err(Errno::EPERM);
    }
    if !matches!(mode, 0 | KEEP | PUNCH | ZERO) && mode != ZERO | KEEP {
        return Err(Errno::EOPNOTSUPP);
    }
    if mode == PUNCH || mode & ZERO != 0 {
        if seals & linux::F_SEAL_WRITE != 0 {
            return Err(Errno::EPERM);
        }
        contents.punch(offset..end)?;
        if contents.object().was_mapped() {
            env.unmap(contents.object(), offset.div_ceil(PAGE_SIZE)..end / PAGE_SIZE);
        }
    }
    if mode != PUNCH {
        contents.allocate(offset..end)?;
    }
    if grows {
        contents.resize(end)?;
    }
    let now = env.now();
    place.with(|inode| inode.changed(now));
    Ok(())
}
