//! signalfd(2): signals read as records instead of handled. What is read is the reader's own pending signals and those of
//! its process, whoever made the descriptor; the signals are there whether or not anybody reads them.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::errno::{Errno, Result};
use crate::fs::environment::Environment;
use crate::fs::transfer::Transfer;

/// Bytes of a record, a `struct signalfd_siginfo`.
pub const RECORD_BYTES: usize = 128;

/// The signals that a descriptor is for.
pub struct Signals(AtomicU64);

impl Signals {
    /// A descriptor for the signals in `set`.
    pub const fn new(set: u64) -> Self {
        Signals(AtomicU64::new(set))
    }

    /// The set.
    pub fn set(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Changes the set.
    pub fn change(&self, set: u64) {
        self.0.store(set, Relaxed);
    }

    /// Takes signals, as many as there are and as there is room for; waits for the first unless `nonblocking`.
    ///
    /// # Errors
    /// `EINVAL`: no room for one; `EAGAIN`, `EINTR`; `EFAULT`: what was taken is lost.
    pub fn read(&self, env: &dyn Environment, io: &mut dyn Transfer, nonblocking: bool) -> Result<usize> {
        let mut done = 0;
        while io.remaining() >= RECORD_BYTES {
            match env.take_signal(self.set(), nonblocking || done > 0) {
                Ok(record) if io.put(&record) == RECORD_BYTES => done += RECORD_BYTES,
                Ok(_) if done == 0 => return Err(Errno::EFAULT),
                Err(error) if done == 0 => return Err(error),
                Ok(_) | Err(_) => return Ok(done),
            }
        }
        if done == 0 { Err(Errno::EINVAL) } else { Ok(done) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::{Memory, World};

    #[test]
    fn whole_records_are_read_of_the_signals_it_is_for() {
        let world = World::default();
        let signals = Signals::new(0b110);
        let read =
            |bytes, fault: usize| signals.read(&world, &mut Memory::sized(bytes).faulting(fault), true);
        assert_eq!((read(127, 999), read(128, 999)), (Err(Errno::EINVAL), Err(Errno::EAGAIN)));
        world.signals.lock().extend([1, 2, 3, 2]);
        assert_eq!(read(300, 999), Ok(256), "two fit");
        assert_eq!((read(999, 9999), read(128, 999)), (Ok(128), Err(Errno::EAGAIN)));
        signals.change(0b1);
        assert_eq!(read(128, 40), Err(Errno::EFAULT));
        assert!(world.signals.lock().is_empty());
    }
}
