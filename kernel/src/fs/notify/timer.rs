//! timerfd_create(2): a timer that is read.
//!
//! Nothing runs when it goes off: who asks compares its time with the clock. Locks: the setting's is a leaf.

use linux_raw_sys::general as linux;
use spin::Mutex;

use crate::errno::{Errno, Result};
use crate::fs::environment::Environment;
use crate::fs::transfer::Transfer;

/// How long a read sleeps at most before it looks again, in nanoseconds: somebody may have set the timer anew.
const LOOK_NS: u64 = 10_000_000;
/// Bytes that are read.
const BYTES: usize = 8;

/// When a timer goes off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// For the next time, in nanoseconds; 0: never.
    pub next: u64,
    /// And from then on every so many nanoseconds; 0: not again.
    pub interval: u64,
}

/// A timer.
pub struct Timer {
    setting: Mutex<Setting>,
    /// The time now, in nanoseconds.
    clock: fn() -> u64,
}

impl Timer {
    /// A timer that never goes off, by this clock.
    pub fn new(clock: fn() -> u64) -> Self {
        Timer { setting: Mutex::new(Setting::default()), clock }
    }

    /// Sets it; returns how it stood.
    pub fn set(&self, setting: Setting) -> Setting {
        core::mem::replace(&mut *self.setting.lock(), setting)
    }

    /// How it stands.
    pub fn setting(&self) -> Setting {
        *self.setting.lock()
    }

    /// What poll finds.
    pub fn readiness(&self) -> u32 {
        let next = self.setting.lock().next;
        if next != 0 && next <= (self.clock)() { linux::POLLIN | linux::POLLRDNORM } else { 0 }
    }

    /// How often it has gone off by `now` and nobody has been told.
    fn take(&self, now: u64) -> u64 {
        let mut setting = self.setting.lock();
        let Setting { next, interval } = *setting;
        match now.checked_sub(next) {
            Some(late) if next != 0 => {
                let times = 1 + late.checked_div(interval).unwrap_or(0);
                setting.next =
                    if interval == 0 { 0 } else { next.saturating_add(times.saturating_mul(interval)) };
                times
            }
            _ => 0,
        }
    }

    /// Reads how often it has gone off, and waits until it has.
    ///
    /// # Errors
    /// `EINVAL`: no room for 8 bytes; `EAGAIN`: not yet, and `nonblocking`; `EINTR`; `EFAULT`.
    pub fn read(&self, env: &dyn Environment, io: &mut dyn Transfer, nonblocking: bool) -> Result<usize> {
        if io.remaining() < BYTES {
            return Err(Errno::EINVAL);
        }
        loop {
            let now = (self.clock)();
            match self.take(now) {
                0 if nonblocking => return Err(Errno::EAGAIN),
                0 => {
                    let next = self.setting().next;
                    let wake = if next == 0 { u64::MAX } else { next };
                    env.sleep_until(wake.min(now.saturating_add(LOOK_NS)))?;
                }
                times => {
                    let put = io.put(&times.to_ne_bytes());
                    return if put < BYTES { Err(Errno::EFAULT) } else { Ok(BYTES) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::{Memory, World};

    std::thread_local! {
        static NOW: core::cell::Cell<u64> = const { core::cell::Cell::new(0) };
    }

    /// Each look takes a nanosecond.
    fn clock() -> u64 {
        NOW.replace(NOW.get() + 1)
    }

    #[test]
    fn it_goes_off_once_or_again_and_again() {
        let timer = Timer::new(clock);
        assert_eq!((timer.readiness(), timer.take(9)), (0, 0));
        timer.set(Setting { next: 10, interval: 0 });
        assert_eq!((timer.readiness(), timer.take(9)), (0, 0));
        NOW.set(10);
        assert_ne!(timer.readiness(), 0);
        assert_eq!((timer.take(25), timer.take(99)), (1, 0));
        timer.set(Setting { next: 10, interval: 5 });
        assert_eq!((timer.take(25), timer.take(29), timer.take(30)), (4, 0, 1));
        assert_eq!(timer.set(Setting::default()), Setting { next: 35, interval: 5 });
    }

    #[test]
    fn a_read_waits_for_it() {
        let (timer, world) = (Timer::new(clock), World::default());
        assert_eq!(timer.read(&world, &mut Memory::sized(8), true), Err(Errno::EAGAIN));
        timer.set(Setting { next: 50, interval: 0 });
        let mut to = Memory::sized(8);
        assert_eq!(timer.read(&world, &mut to, false), Ok(8));
        assert_eq!(to.moved(), 1u64.to_ne_bytes());
        assert_eq!(timer.read(&world, &mut Memory::sized(7), true), Err(Errno::EINVAL));
    }
}
