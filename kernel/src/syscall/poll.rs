//! ppoll.
//!
//! Pipes, sockets, events and the terminal say whether they are ready; every other file is said to be, as Linux says of
//! regular files.
//!
//! Waiting is looking again from time to time: simple, and right for any mixture of files. The time left is not written
//! back.

use linux_raw_sys::general::{POLLERR, POLLHUP, POLLNVAL};

use super::clock::from_timespec;
use super::event;
use super::signal::with_mask;
use super::user_ptr::UserPtr;
use crate::arch::time::now_ns;
use crate::errno::{Errno, Result};
use crate::fs::file::fd::FD_LIMIT;
use crate::proc::{current_files, sleep_until};

/// `struct pollfd` as two words: the descriptor; what is asked for (low half) and what is there (high half).
type PollFd = [u32; 2];

/// How often a waiting call looks, in nanoseconds.
const LOOK_NS: u64 = 1_000_000;

/// ppoll(fds, count, timeout, sigmask, sigsetsize).
pub fn ppoll(args: &[u64; 6]) -> Result<usize> {
    let count = usize::try_from(args[1]).ok().filter(|count| *count <= FD_LIMIT).ok_or(Errno::EINVAL)?;
    let timeout = UserPtr::<[i64; 2]>::new(args[2]);
    let deadline = match timeout.is_null() {
        true => u64::MAX,
        false => now_ns().saturating_add(from_timespec(timeout.read()?)?),
    };
    with_mask(args[3], args[4], || wait(args[0], count, deadline))
}

/// Looks at the `count` entries at `fds` until one is ready or the time has come.
fn wait(fds: u64, count: usize, deadline: u64) -> Result<usize> {
    loop {
        let ready = look(&UserPtr::new(fds), count)?;
        let now = now_ns();
        if ready > 0 || now >= deadline {
            return Ok(ready);
        }
        sleep_until(deadline.min(now + LOOK_NS))?;
    }
}

/// Writes down what is there now; returns for how many descriptors that is anything.
fn look(array: &UserPtr<PollFd>, count: usize) -> Result<usize> {
    let mut ready = 0;
    for entry in (0..count).map(|index| array.at(index)) {
        let [fd, asked] = entry.read()?;
        let there = match fd as i32 {
            ..0 => 0, // to be skipped
            fd => {
                let file = current_files().lock().get(fd as usize);
                file.map_or(POLLNVAL, |file| event::readiness(&file) & (asked | POLLERR | POLLHUP))
            }
        };
        let there = there & 0xffff;
        entry.write([fd, asked & 0xffff | there << 16])?;
        ready += usize::from(there != 0);
    }
    Ok(ready)
}
