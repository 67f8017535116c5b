//! eventfd(2): a counter that reads and writes wait for.
//!
//! Locks: the counter's is a leaf, held for a moment and never while a queue is woken.

use linux_raw_sys::general as linux;
use spin::Mutex;

use crate::errno::{Errno, Result};
use crate::fs::file::wait::WaitQueue;
use crate::fs::transfer::Transfer;

/// Bytes of a value that is read or written.
const BYTES: usize = 8;
/// The greatest value of the counter.
const MOST: u64 = u64::MAX - 1;

/// A counter.
pub struct Event {
    count: Mutex<u64>,
    /// A read takes 1 and not all (EFD_SEMAPHORE).
    one_by_one: bool,
    changed: WaitQueue,
}

impl Event {
    /// A counter that stands at `count`.
    pub const fn new(count: u64, one_by_one: bool) -> Self {
        Event { count: Mutex::new(count), one_by_one, changed: WaitQueue::new() }
    }

    /// What poll finds.
    pub fn readiness(&self) -> u32 {
        let count = *self.count.lock();
        let read = if count > 0 { linux::POLLIN | linux::POLLRDNORM } else { 0 };
        let write = if count < MOST { linux::POLLOUT | linux::POLLWRNORM } else { 0 };
        read | write
    }

    /// Takes the count, or 1 of it, and waits while it is 0.
    ///
    /// # Errors
    /// `EINVAL`: no room for 8 bytes; `EAGAIN`: it is 0 and `nonblocking`; `EINTR`; `EFAULT`: what was taken is lost.
    pub fn read(&self, io: &mut dyn Transfer, nonblocking: bool) -> Result<usize> {
        if io.remaining() < BYTES {
            return Err(Errno::EINVAL);
        }
        let taken = self.changed.wait_until(|| {
            let mut count = self.count.lock();
            let taken = if self.one_by_one { 1 } else { *count };
            match *count {
                0 => nonblocking.then_some(Err(Errno::EAGAIN)),
                _ => {
                    *count -= taken;
                    Some(Ok(taken))
                }
            }
        })??;
        self.changed.wake_all();
        if io.put(&taken.to_ne_bytes()) < BYTES { Err(Errno::EFAULT) } else { Ok(BYTES) }
    }

    /// Adds to the count, and waits while there is no room for that.
    ///
    /// # Errors
    /// `EINVAL`: not 8 bytes, or the one value that cannot be added; `EAGAIN`: no room and `nonblocking`; `EINTR`; `EFAULT`.
    pub fn write(&self, io: &mut dyn Transfer, nonblocking: bool) -> Result<usize> {
        if io.remaining() < BYTES {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; BYTES];
        if io.take(&mut bytes) < BYTES {
            return Err(Errno::EFAULT);
        }
        let more = u64::from_ne_bytes(bytes);
        if more == u64::MAX {
            return Err(Errno::EINVAL);
        }
        self.changed.wait_until(|| {
            let mut count = self.count.lock();
            match count.checked_add(more).filter(|sum| *sum <= MOST) {
                Some(sum) => {
                    *count = sum;
                    Some(Ok(()))
                }
                None => nonblocking.then_some(Err(Errno::EAGAIN)),
            }
        })??;
        self.changed.wake_all();
        Ok(BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::Memory;

    fn read(event: &Event) -> Result<u64> {
        let mut to = Memory::sized(8);
        event.read(&mut to, true)?;
        Ok(u64::from_ne_bytes(to.moved().try_into().unwrap()))
    }

    fn write(event: &Event, value: u64) -> Result<usize> {
        event.write(&mut Memory::of(&value.to_ne_bytes()), true)
    }

    #[test]
    fn a_read_takes_all_or_one() {
        let event = Event::new(2, false);
        assert_eq!(write(&event, 5), Ok(8));
        assert_eq!((read(&event), read(&event)), (Ok(7), Err(Errno::EAGAIN)));
        assert_eq!(event.readiness() & (linux::POLLIN | linux::POLLOUT), linux::POLLOUT);
        let semaphore = Event::new(2, true);
        assert_eq!([(); 3].map(|()| read(&semaphore)), [Ok(1), Ok(1), Err(Errno::EAGAIN)]);
    }

    #[test]
    fn the_counter_does_not_overflow() {
        let event = Event::new(0, false);
        assert_eq!(write(&event, u64::MAX), Err(Errno::EINVAL));
        assert_eq!(write(&event, MOST), Ok(8));
        assert_eq!(write(&event, 1), Err(Errno::EAGAIN));
        assert_eq!(event.readiness() & (linux::POLLIN | linux::POLLOUT), linux::POLLIN);
        assert_eq!(event.read(&mut Memory::sized(7), true), Err(Errno::EINVAL));
        assert_eq!(event.write(&mut Memory::of(&[1; 8]).faulting(3), true), Err(Errno::EFAULT));
    }

    #[test]
    fn a_reader_waits_for_a_writer() {
        let event = Event::new(0, false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| event.read(&mut Memory::sized(8), false));
            write(&event, 1).unwrap();
            assert_eq!(reader.join().unwrap(), Ok(8));
        });
    }
}
