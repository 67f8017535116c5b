//! System calls about time.

use super::clock::{check_clock, from_timespec, to_timespec};
use super::user_ptr::UserPtr;
use crate::arch::time::{frequency_hz, now_ns};
use crate::errno::Result;
use crate::proc;

/// The wake-up time given is one of the clock's, not a distance from now.
const TIMER_ABSTIME: u64 = 1;

fn sleep(request: u64, absolute: bool) -> Result<usize> {
    let ns = from_timespec(UserPtr::new(request).read()?)?;
    // Only death interrupts a sleep, so nobody is left to read how much of it remained.
    proc::sleep_until(if absolute { ns } else { now_ns().saturating_add(ns).min(u64::MAX - 1) })?;
    Ok(0)
}

/// nanosleep(request, remaining).
pub fn nanosleep(args: &[u64; 6]) -> Result<usize> {
    sleep(args[0], false)
}

/// clock_nanosleep(clock, flags, request, remaining).
pub fn clock_nanosleep(args: &[u64; 6]) -> Result<usize> {
    check_clock(args[0])?;
    sleep(args[2], args[1] & TIMER_ABSTIME != 0)
}

/// clock_gettime(clock, time).
pub fn clock_gettime(args: &[u64; 6]) -> Result<usize> {
    check_clock(args[0])?;
    UserPtr::new(args[1]).write(to_timespec(now_ns()))?;
    Ok(0)
}

/// clock_getres(clock, resolution): a tick of the system counter, at least a nanosecond.
pub fn clock_getres(args: &[u64; 6]) -> Result<usize> {
    check_clock(args[0])?;
    let tick = (1_000_000_000 / frequency_hz().max(1)).max(1);
    UserPtr::new(args[1]).write_if_wanted(to_timespec(tick))?;
    Ok(0)
}

/// gettimeofday(time, zone): the zone is UTC.
pub fn gettimeofday(args: &[u64; 6]) -> Result<usize> {
    let [seconds, nanoseconds] = to_timespec(now_ns());
    UserPtr::new(args[0]).write_if_wanted([seconds, nanoseconds / 1000])?;
    UserPtr::new(args[1]).write_if_wanted([0u32; 2])?;
    Ok(0)
}
