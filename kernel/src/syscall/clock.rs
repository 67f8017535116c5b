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

/// Whether there is a clock number `clock`; all of them show the same time.
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
}
