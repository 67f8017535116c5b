//! System calls on the memory of other processes: process_vm_readv and process_vm_writev.
//!
//! Bytes go by a buffer of the kernel's, a page at most at a time: the other process's memory is reached under its lock,
//! the caller's only without one. The other process may go meanwhile; what was copied until then counts.

use alloc::vec::Vec;

use super::file::user::{UserBuffers, vector};
use crate::errno::{Errno, Result};
use crate::fs::span::Span;
use crate::fs::transfer::Transfer;
use crate::mm::{Access, AddressSpace, FaultError};
use crate::proc::layout::PAGE;
use crate::proc::userfault::tell_of;
use crate::proc::{self, kill_pending, yield_now};

/// Which way the bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    FromThere,
    ToThere,
}

/// process_vm_readv(pid, local, local count, remote, remote count, flags).
pub fn process_vm_readv(args: &[u64; 6]) -> Result<usize> {
    transfer(args, Way::FromThere)
}

/// process_vm_writev(pid, local, local count, remote, remote count, flags).
pub fn process_vm_writev(args: &[u64; 6]) -> Result<usize> {
    transfer(args, Way::ToThere)
}

fn transfer(args: &[u64; 6], way: Way) -> Result<usize> {
    let [pid, local, local_count, remote, remote_count, flags] = *args;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let local = vector(local, local_count)?;
    let mut local = UserBuffers::new(&local);
    if local.remaining() == 0 {
        return Ok(0);
    }
    let remote = vector(remote, remote_count)?;
    if remote.iter().all(|span| span.bytes() == 0) {
        return Ok(0);
    }
    let pid = pid as u32;
    // No process is found by number 0, which says "the caller" elsewhere.
    proc::find(pid).ok_or(Errno::ESRCH)?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(PAGE)?;
    buffer.resize(PAGE, 0);
    let mut done = 0;
    for span in remote {
        match copy_span(pid, span, &mut local, way, &mut buffer) {
            (count, Ok(())) => done += count,
            // As for a read: what was copied before counts.
            (count, Err(error)) => {
                return if done + count > 0 { Ok(done + count) } else { Err(error) };
            }
        }
    }
    Ok(done)
}

/// Copies between `span` of the process and what is left of `local`. Returns how many bytes, and what ended it.
fn copy_span(
    pid: u32,
    span: Span,
    local: &mut UserBuffers<'_>,
    way: Way,
    buffer: &mut [u8],
) -> (usize, Result<()>) {
    let mut done = 0;
    while done < span.bytes() && local.remaining() > 0 {
        let there = span.addr().wrapping_add(done);
        // Up to the end of the page there, which is all that one look finds.
        let wanted = (span.bytes() - done).min(local.remaining()).min(PAGE - there % PAGE);
        let moved = match way {
            Way::FromThere => {
                let read =
                    |space: &mut AddressSpace| space.read_remote(crate::mm(), there, &mut buffer[..wanted]);
                with_memory(pid, (there, Access::Read), read).map(|count| local.put(&buffer[..count]))
            }
            Way::ToThere => match local.take(&mut buffer[..wanted]) {
                0 => Ok(0),
                taken => with_memory(pid, (there, Access::Write), |space| {
                    space.write_remote(crate::mm(), there, &buffer[..taken])
                }),
            },
        };
        match moved {
            Ok(count) => {
                done += count;
                if count < wanted {
                    return (done, Err(Errno::EFAULT));
                }
            }
            Err(error) => return (done, Err(error)),
        }
        if kill_pending() {
            return (done, Err(Errno::EINTR));
        }
        if done.is_multiple_of(16 * PAGE) {
            yield_now(); // interrupts are masked, so nobody else ends this
        }
    }
    (done, Ok(()))
}

/// Calls `f`, which makes the access `what`, with the process's address space, locked; again once a monitor has made the
/// access possible, if one hears of it.
///
/// # Errors
/// `ESRCH`: the process has gone, or has no memory any more. `EFAULT`, `ENOMEM`: what `f` wanted is not to be had.
fn with_memory(
    pid: u32,
    what: (usize, Access),
    mut f: impl FnMut(&mut AddressSpace) -> core::result::Result<usize, FaultError>,
) -> Result<usize> {
    loop {
        let outcome = {
            let process = proc::find(pid).ok_or(Errno::ESRCH)?;
            let mut memory = process.mm.lock();
            f(memory.as_mut().ok_or(Errno::ESRCH)?)
        };
        match outcome {
            Ok(count) => return Ok(count),
            Err(FaultError::Oom) => return Err(Errno::ENOMEM),
            Err(error) if error.is_monitors() && tell_of(pid, what.0, what.1) => {}
            Err(_) => return Err(Errno::EFAULT),
        }
    }
}
