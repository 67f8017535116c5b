//! System calls that Pleat does not have: counted, and each named once in the log.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::errno::{Errno, Result};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Which numbers have been seen, a bit each; all numbers of this architecture are below 512.
static SEEN: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

/// How many system calls have ended with ENOSYS because Pleat does not have them.
pub fn unknown_calls() -> u64 {
    COUNT.load(Relaxed)
}

/// The handler of all numbers without one.
#[cold]
pub(super) fn report(number: u32) -> Result<usize> {
    COUNT.fetch_add(1, Relaxed);
    if let Some(seen) = SEEN.get(number as usize / 64)
        && seen.fetch_or(1 << (number % 64), Relaxed) & 1 << (number % 64) == 0
    {
        log::debug!("system call {number} is not implemented");
    }
    Err(Errno::ENOSYS)
}
