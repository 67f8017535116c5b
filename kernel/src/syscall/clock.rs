//! Times as programs write them, and the clocks there are.
//!
//! There is one time: nanoseconds since boot. CLOCK_REALTIME shows it too, as Pleat reads no calendar clock: the epoch
//! is the boot.

use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};

const NS_PER_SECOND: u64 = 1_000_000_000;

/// The nanoseconds of a `struct timespec` (seconds, nanoseconds), at most `u64::MAX - 1`.
///
/// # Errors
/// `EINVAL`: negative, or a full second or more in the nanoseconds.
pub fn from_timespec([seconds, nanoseconds]: [i64; 2]) -> Result<u64> {
    let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
    let nanoseconds = u64::try_from(nanoseconds).map_err(|_| Errno::EINVAL)?;
    if nanoseconds >= NS_PER_SECOND {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(NS_PER_SECOND).saturating_add(nanoseconds).min(u64::MAX - 1))
}

/// The `struct timespec` of `ns` nanoseconds.
pub fn to_timespec(ns: u64) -> [i64; 2] {
    [(ns / NS_PER_SECOND) as i64, (ns % NS_PER_SECOND) as i64]
}

/// A clock of the CPU time that somebody has used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuClock {
    /// Of the process or thread with this number; 0: the current one.
    pub number: u32,
    /// Of a thread.
    pub thread: bool,
    /// Of its time at EL0.
    pub user_only: bool,
}

impl CpuClock {
    /// The clock of this number; none if that is no clock of CPU time. Besides the two that have a name, these are negative
    /// numbers: the complement of whose it is, and 3 bits (Linux: include/linux/posix-timers_types.h).
    pub fn decode(clock: u64) -> Option<CpuClock> {
        const THREAD: i32 = 4;
        let own = |thread| Some(CpuClock { number: 0, thread, user_only: false });
        match clock as i32 {
            raw if raw == raw::CLOCK_PROCESS_CPUTIME_ID as i32 => own(false),
            raw if raw == raw::CLOCK_THREAD_CPUTIME_ID as i32 => own(true),
            // The last two bits: all CPU time (0), that at EL0 (1), all to the nanosecond (2); a file (3).
            encoded @ ..0 if encoded & 3 != 3 => Some(CpuClock {
                number: !(encoded >> 3) as u32,
                thread: encoded & THREAD != 0,
                user_only: encoded & 3 == 1,
            }),
            _ => None,
        }
    }
}

/// Whether there is a clock number `clock` of the time that passes; all of them show the same.
///
/// # Errors
/// `EINVAL`: there is none, which goes for those of CPU time too.
pub fn check_clock(clock: u64) -> Result<()> {
    match clock as u32 {
        raw::CLOCK_REALTIME
        | raw::CLOCK_MONOTONIC
        | raw::CLOCK_MONOTONIC_RAW
        | raw::CLOCK_REALTIME_COARSE
        | raw::CLOCK_MONOTONIC_COARSE
        | raw::CLOCK_BOOTTIME => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timespecs() {
        assert_eq!(from_timespec([1, 5]), Ok(1_000_000_005));
        assert_eq!(to_timespec(1_000_000_005), [1, 5]);
        assert_eq!(from_timespec([i64::MAX, 999_999_999]), Ok(u64::MAX - 1));
        for bad in [[-1, 0], [0, -1], [0, 1_000_000_000]] {
            assert_eq!(from_timespec(bad), Err(Errno::EINVAL));
        }
    }

    #[test]
    fn clocks() {
        assert!([0, 1, 4, 5, 6, 7].iter().all(|clock| check_clock(*clock).is_ok()));
        assert!([2, 3, 8, 99].iter().all(|clock| check_clock(*clock).is_err()));
    }

    #[test]
    fn cpu_clocks() {
        let clock = |number, thread, user_only| Some(CpuClock { number, thread, user_only });
        assert_eq!(CpuClock::decode(2), clock(0, false, false));
        assert_eq!(CpuClock::decode(3), clock(0, true, false));
        // What clock_getcpuclockid and pthread_getcpuclockid of libcs make of 77.
        assert_eq!(CpuClock::decode((!77i32 << 3 | 2) as u64), clock(77, false, false));
        assert_eq!(CpuClock::decode((!77i32 << 3 | 6) as u32 as u64), clock(77, true, false));
        assert_eq!(CpuClock::decode((!77i32 << 3 | 1) as u64), clock(77, false, true));
        assert!(
            [0, 1, 4, 99, (!77i32 << 3 | 3) as u64].iter().all(|clock| CpuClock::decode(*clock).is_none())
        );
    }
}
