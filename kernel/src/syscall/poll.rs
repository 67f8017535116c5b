//! ppoll, as far as programs need it that ask before they read.
//!
//! Every open file is said to be ready for what it is asked for, as Linux says of regular files. A pipe or the console
//! may then block all the same, or, opened with O_NONBLOCK, give EAGAIN: a program that polls those in a loop gets on,
//! but does not sleep. Time limits are not looked at, as nothing is ever waited for.

use linux_raw_sys::general::{POLLIN, POLLNVAL, POLLOUT, POLLRDNORM, POLLWRNORM};

use super::user_ptr::UserPtr;
use crate::errno::{Errno, Result};
use crate::fs::fd::FD_LIMIT;
use crate::proc::current_files;

/// `struct pollfd` as two words: the descriptor; what is asked for (low half) and what is there (high half).
type PollFd = [u32; 2];

const READY: u32 = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

/// ppoll(fds, count, timeout, sigmask, sigsetsize).
pub fn ppoll(args: &[u64; 6]) -> Result<usize> {
    let count = usize::try_from(args[1]).ok().filter(|count| *count <= FD_LIMIT).ok_or(Errno::EINVAL)?;
    let array = UserPtr::<PollFd>::new(args[0]);
    let mut ready = 0;
    for entry in (0..count).map(|index| array.at(index)) {
        let [fd, asked] = entry.read()?;
        let there = match fd as i32 {
            ..0 => 0, // to be skipped
            fd if current_files().lock().get(fd as usize).is_err() => POLLNVAL,
            _ => asked & READY,
        };
        entry.write([fd, asked & 0xffff | there << 16])?;
        ready += usize::from(there != 0);
    }
    Ok(ready)
}
