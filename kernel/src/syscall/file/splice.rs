//! vmsplice(2): pages of user memory become a pipe's without being copied.

use linux_raw_sys::general as linux;
use paging::{PAGE_SIZE, Pfn};

use super::file;
use super::user::{UserBuffers, vector};
use crate::errno::{Errno, Result};
use crate::fs::channel::pinned::{Fragment, Handover};
use crate::fs::channel::ring::SLOTS;
use crate::fs::kernel::Kernel;
use crate::fs::span::Cursor;
use crate::mm::FaultError;
use crate::proc::with_current_mm;

const PAGE: usize = PAGE_SIZE as usize;
pub(super) const KNOWN_FLAGS: u32 =
    linux::SPLICE_F_MOVE | linux::SPLICE_F_NONBLOCK | linux::SPLICE_F_MORE | linux::SPLICE_F_GIFT;

/// `vmsplice(fd, iovecs, count, flags)`: hands pages to a pipe's writing end, where they show what the caller writes
/// to them until they are read; from a reading end, copies to memory as [`readv`](super::readv) does. That the pages
/// are a gift (SPLICE_F_GIFT) changes nothing, nor does it on Linux unless they go on to a file.
///
/// # Errors
/// `EINVAL`: an unknown flag, or a bad vector; `EBADF`: no pipe; `EFAULT`; `EPIPE`, with SIGPIPE: nobody reads;
/// `EAGAIN`: no room, or nothing to read, and SPLICE_F_NONBLOCK; `EINTR`; `ENOMEM`.
pub fn vmsplice(args: &[u64; 6]) -> Result<usize> {
    let flags = args[3] as u32;
    if flags & !KNOWN_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    // Unlike for read and write, the description's O_NONBLOCK does not count, as on Linux.
    let nonblocking = flags & linux::SPLICE_F_NONBLOCK != 0;
    let file = file(args[0])?;
    let target = file.target();
    if let Some(writer) = target.pipe_writer() {
        let spans = vector(args[1], args[2])?;
        return writer.splice(&Kernel, &mut UserPages(Cursor::new(&spans)), nonblocking);
    }
    let reader = target.pipe_reader().ok_or(Errno::EBADF)?;
    let spans = vector(args[1], args[2])?;
    reader.read(&mut UserBuffers::new(&spans), nonblocking)
}

/// Buffers of the calling process, page by page.
struct UserPages<'a>(Cursor<'a>);

impl Handover for UserPages<'_> {
    fn remaining(&self) -> usize {
        self.0.remaining()
    }

    fn pin(&mut self, to: &mut [Option<Fragment>]) -> Result<usize> {
        let Some((mut at, mut left)) = self.0.current() else { return Ok(0) };
        let pages = (at % PAGE + left).div_ceil(PAGE).min(to.len()).min(SLOTS);
        let mut frames = [Pfn::new(0); SLOTS];
        let pin = |space: &mut crate::mm::AddressSpace| {
            space.pin_pages(crate::mm(), at, false, &mut frames[..pages])
        };
        let pinned = match with_current_mm(pin).ok_or(Errno::EFAULT)? {
            Ok(pinned) => pinned,
            Err(FaultError::Oom) => return Err(Errno::ENOMEM),
            Err(_) => return Err(Errno::EFAULT),
        };
        for (place, frame) in to.iter_mut().zip(&frames[..pinned]) {
            let bytes = left.min(PAGE - at % PAGE);
            *place = Some(Fragment::new(*frame, &Kernel, at % PAGE, bytes));
            (at, left) = (at + bytes, left - bytes);
        }
        Ok(pinned)
    }

    fn advance(&mut self, bytes: usize) {
        self.0.advance(bytes, |_, _| Ok(()));
    }
}
