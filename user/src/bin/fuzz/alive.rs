//! Whether the system still works: a program runs, a pipe carries bytes, a file keeps them, memory is zero at first and
//! copied on write.

use core::ptr;

use user::sys::file::{self, SEEK_SET};
use user::sys::memory::{self, PRIVATE, READ_WRITE, page_size};
use user::sys::{Errno, Result, process, tree};

/// Does all of that.
///
/// # Errors
/// `EIO` for a wrong result, or the error that a call returned.
pub fn check() -> Result<()> {
    program()?;
    pipe()?;
    file_keeps()?;
    copy_on_write()
}

fn holds(true_: bool) -> Result<()> {
    if true_ { Ok(()) } else { Err(Errno::EIO) }
}

fn program() -> Result<()> {
    let child = process::spawn(|| {
        let argv = [c"/bin/true".as_ptr(), ptr::null()];
        process::execve(c"/bin/true", &argv, &[ptr::null()]);
        1
    })?;
    holds(process::wait(child)?.exited() == Some(0))
}

fn pipe() -> Result<()> {
    let pipe = file::pipe(0)?;
    let child = process::spawn(|| i32::from(file::write(pipe.write, b"still here") != Ok(10)))?;
    let mut buffer = [0; 16];
    let read = file::read(pipe.read, &mut buffer)?;
    let status = process::wait(child)?;
    file::close(pipe.read)?;
    file::close(pipe.write)?;
    holds(&buffer[..read] == b"still here" && status.exited() == Some(0))
}

fn file_keeps() -> Result<()> {
    let fd = tree::create(c"/tmp/fz-alive", tree::TRUNCATE)?;
    let bytes: [u8; 5000] = core::array::from_fn(|at| at as u8);
    file::write_all(fd, &bytes)?;
    file::seek(fd, 0, SEEK_SET)?;
    let mut read = [0; 5000];
    let count = file::read_all(fd, &mut read)?;
    file::close(fd)?;
    tree::unlink(c"/tmp/fz-alive")?;
    holds(count == 5000 && read == bytes)
}

fn copy_on_write() -> Result<()> {
    let (bytes, page) = (4 << 20, page_size());
    let base = memory::map(bytes, READ_WRITE, PRIVATE)?;
    let at = |index: usize| (base + index * page) as *mut usize;
    let all = |value: fn(usize) -> usize| {
        (0..bytes / page).all(|index| {
            // SAFETY: in the mapping that was just made, and aligned.
            unsafe { at(index).read() == value(index) }
        })
    };
    holds(all(|_| 0))?;
    // SAFETY: as above.
    (0..bytes / page).for_each(|index| unsafe { at(index).write(index) });
    let child = process::spawn(|| {
        let seen = all(|index| index);
        // SAFETY: as above.
        (0..bytes / page).for_each(|index| unsafe { at(index).write(!index) });
        i32::from(!(seen && all(|index| !index)))
    })?;
    let status = process::wait(child)?;
    holds(status.exited() == Some(0) && all(|index| index))?;
    // SAFETY: nothing uses it any more.
    unsafe { memory::unmap(base, bytes) }
}
