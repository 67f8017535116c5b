//! Calls that move bytes from one descriptor to another without the caller's memory: sendfile, copy_file_range, splice
//! and tee. The bytes are copied, by the page.

use alloc::vec::Vec;

use linux_raw_sys::general as linux;

use super::super::user_ptr::UserPtr;
use super::file;
use crate::errno::{Errno, Result};
use crate::fs::environment::Environment;
use crate::fs::file::OpenFile;
use crate::fs::kernel::Kernel;
use crate::fs::transfer::Transfer;
use crate::mm::object_io::SIZE_LIMIT;

/// Bytes that are moved at a time.
const PIECE: usize = 4096;
/// The most bytes one call moves, as on Linux.
const MOST: usize = 0x7fff_f000;

/// Kernel memory as a caller's.
struct Piece<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Transfer for Piece<'_> {
    fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn put(&mut self, from: &[u8]) -> usize {
        let count = from.len().min(self.remaining());
        self.bytes[self.at..self.at + count].copy_from_slice(&from[..count]);
        self.at += count;
        count
    }

    fn take(&mut self, to: &mut [u8]) -> usize {
        let count = to.len().min(self.remaining());
        to[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        count
    }
}

/// The inode number of the pipe that it is an end of.
fn pipe_number(file: &OpenFile) -> Option<u64> {
    file.target().pipe_number()
}

fn is_pipe(file: &OpenFile) -> bool {
    pipe_number(file).is_some()
}

fn appends(file: &OpenFile) -> bool {
    file.flags() & linux::O_APPEND != 0 && !is_pipe(file)
}

/// Where a call reads or writes: an offset that the caller keeps, or the descriptor's own position.
struct Cursor {
    pointer: UserPtr<u64>,
    offset: Option<u64>,
}

impl Cursor {
    fn new(arg: u64, file: &OpenFile) -> Result<Self> {
        let pointer = UserPtr::<u64>::new(arg);
        if pointer.is_null() {
            return Ok(Cursor { pointer, offset: None });
        }
        if is_pipe(file) {
            return Err(Errno::ESPIPE);
        }
        let offset = pointer.read()?;
        if offset > SIZE_LIMIT { Err(Errno::EINVAL) } else { Ok(Cursor { pointer, offset: Some(offset) }) }
    }

    fn finish(&self) -> Result<()> {
        self.offset.map_or(Ok(()), |offset| self.pointer.write(offset))
    }
}

/// Moves up to `count` bytes; fewer if the input ends, or has no more for now after the first.
fn move_bytes(from: (&OpenFile, &mut Cursor), to: (&OpenFile, &mut Cursor), count: usize) -> Result<usize> {
    let ((input, input_at), (output, output_at)) = (from, to);
    if !input.readable() || !output.writable() {
        return Err(Errno::EBADF);
    }
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(PIECE.min(count))?;
    buffer.resize(PIECE.min(count), 0);
    // What was read and could not be written is read again by who comes next, if the input has a position.
    let seekable = input.seek(0, linux::SEEK_CUR).ok().filter(|_| input_at.offset.is_none());
    let mut position = input_at.offset.or(seekable);
    let mut done = 0;
    let mut outcome = Ok(());
    while done < count {
        if done > 0 && position.is_none() && input.readiness() & linux::POLLIN == 0 {
            break;
        }
        let room = (count - done).min(buffer.len());
        let mut piece = Piece { bytes: &mut buffer[..room], at: 0 };
        let read = match position {
            Some(position) => input.read_at(&Kernel, &mut piece, position),
            None => input.read(&Kernel, &mut piece),
        };
        let read = match read {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        };
        let mut piece = Piece { bytes: &mut buffer[..read], at: 0 };
        let written = match output_at.offset {
            Some(offset) => output.write_at(&Kernel, &mut piece, offset),
            None => output.write(&Kernel, &mut piece),
        };
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        };
        done += written;
        position = position.map(|position| position + written as u64);
        output_at.offset = output_at.offset.map(|offset| offset + written as u64);
        if written < read || (done % (64 << 10) < PIECE && Kernel.breathe().is_err()) {
            break;
        }
    }
    if input_at.offset.is_some() {
        input_at.offset = position;
    } else if let Some(position) = position {
        input.seek(position as i64, linux::SEEK_SET)?;
    }
    if done > 0 { Ok(done) } else { outcome.map(|()| 0) }
}

fn transfer(input: u64, input_at: u64, output: u64, output_at: u64, count: u64) -> Result<usize> {
    let (input, output) = (file(input)?, file(output)?);
    let mut from = Cursor::new(input_at, &input)?;
    let mut to = Cursor::new(output_at, &output)?;
    let count = usize::try_from(count).unwrap_or(MOST).min(MOST);
    let done = move_bytes((&input, &mut from), (&output, &mut to), count)?;
    from.finish()?;
    to.finish()?;
    Ok(done)
}

/// `sendfile(out, in, offset, count)`.
///
/// # Errors
/// As sendfile(2): `EBADF`, `EINVAL`: an input that has no positions, as what is read from it and cannot be written would be
/// lost, or an output that is written at its end only; `ESPIPE`, `EFAULT`, and those of reading and writing.
pub fn sendfile(args: &[u64; 6]) -> Result<usize> {
    let (input, output) = (file(args[1])?, file(args[0])?);
    if !input.readable() || !output.writable() {
        return Err(Errno::EBADF);
    }
    match input.seek(0, linux::SEEK_CUR) {
        Err(_) if args[2] != 0 => return Err(Errno::ESPIPE),
        Ok(_) if !appends(&output) => {}
        _ => return Err(Errno::EINVAL),
    }
    transfer(args[1], args[2], args[0], 0, args[3])
}

/// `copy_file_range(in, in_offset, out, out_offset, count, flags)`.
///
/// # Errors
/// As copy_file_range(2): `EINVAL`: flags, no regular files, or ranges of one file that overlap; `EBADF`, `EISDIR`, `ENOSPC`...
pub fn copy_file_range(args: &[u64; 6]) -> Result<usize> {
    if args[5] != 0 {
        return Err(Errno::EINVAL);
    }
    let (input, output) = (file(args[0])?, file(args[2])?);
    input.regular()?;
    output.regular()?;
    if appends(&output) {
        return Err(Errno::EBADF);
    }
    if input.node() == output.node() {
        let start = |at: u64, file: &OpenFile| match Cursor::new(at, file)?.offset {
            Some(offset) => Ok(offset),
            None => file.seek(0, linux::SEEK_CUR),
        };
        let (from, to) = (start(args[1], &input)?, start(args[3], &output)?);
        if from.abs_diff(to) < args[4] {
            return Err(Errno::EINVAL);
        }
    }
    transfer(args[0], args[1], args[2], args[3], args[4])
}

/// `splice(in, in_offset, out, out_offset, count, flags)`: at least one of them is a pipe.
///
/// # Errors
/// As splice(2): `EINVAL`: neither is a pipe, or both are the same, unknown flags, or a file that is written at its end
/// only; `ESPIPE`, `EBADF`, `EAGAIN`...
pub fn splice(args: &[u64; 6]) -> Result<usize> {
    if args[5] as u32 & !super::splice::KNOWN_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    if args[4] == 0 {
        return Ok(0);
    }
    let (input, output) = (file(args[0])?, file(args[2])?);
    if !input.readable() || !output.writable() {
        return Err(Errno::EBADF);
    }
    match (pipe_number(&input), pipe_number(&output)) {
        (None, None) => return Err(Errno::EINVAL),
        (from, to) if from == to => return Err(Errno::EINVAL),
        (Some(_), _) if args[1] != 0 => return Err(Errno::ESPIPE),
        (_, Some(_)) if args[3] != 0 => return Err(Errno::ESPIPE),
        _ if appends(&output) => return Err(Errno::EINVAL),
        _ => {}
    }
    if args[5] as u32 & linux::SPLICE_F_NONBLOCK != 0 {
        let waits = |file: &OpenFile, event| {
            is_pipe(file) && file.readiness() & (event | linux::POLLHUP | linux::POLLERR) == 0
        };
        if waits(&input, linux::POLLIN) || waits(&output, linux::POLLOUT) {
            return Err(Errno::EAGAIN);
        }
    }
    transfer(args[0], args[1], args[2], args[3], args[4])
}

/// `tee(in, out, count, flags)`: copies what is in one pipe to another, and leaves it there; a page of it at most.
///
/// # Errors
/// `EINVAL`: they are not two different pipes, or unknown flags; `EBADF`, `EAGAIN`, `EPIPE`, `EINTR`, `ENOMEM`.
pub fn tee(args: &[u64; 6]) -> Result<usize> {
    let (input, output) = (file(args[0])?, file(args[1])?);
    let flags = args[3] as u32;
    if flags & !super::splice::KNOWN_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let (Some(reader), Some(writer)) = (input.target().pipe_reader(), output.target().pipe_writer()) else {
        return Err(Errno::EINVAL);
    };
    if pipe_number(&input) == pipe_number(&output) {
        return Err(Errno::EINVAL);
    }
    let nonblocking = flags & linux::SPLICE_F_NONBLOCK != 0;
    let count = usize::try_from(args[2]).unwrap_or(PIECE).min(PIECE);
    if count == 0 {
        return Ok(0);
    }
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(count)?;
    buffer.resize(count, 0);
    let seen = reader.peek(&mut buffer, nonblocking)?;
    if seen == 0 {
        return Ok(0);
    }
    writer.write(&Kernel, &mut Piece { bytes: &mut buffer[..seen], at: 0 }, nonblocking)
}
