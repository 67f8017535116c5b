//! timer_create and what else is about the timers of a process (`proc/timers.rs`). There are none by clocks of CPU time.

use linux_raw_sys::general as raw;

use super::clock::{CpuClock, check_clock, from_timespec, to_timespec};
use super::user_ptr::UserPtr;
use crate::arch::time::now_ns;
use crate::errno::{Errno, Result};
use crate::proc::signal::{MAX, SIGALRM};
use crate::proc::{Notify, Pid, timers};

/// A `struct sigevent`: value; signal (low half) and kind; thread (low half); nothing.
type Sigevent = [u64; 8];

/// A `struct itimerspec`: interval, then time left, each in seconds and nanoseconds.
type Itimerspec = [i64; 4];

/// Whether a timer can go by this clock.
fn check(clock: u64) -> Result<()> {
    match clock as u32 {
        raw::CLOCK_REALTIME | raw::CLOCK_MONOTONIC | raw::CLOCK_BOOTTIME => Ok(()),
        _ if CpuClock::decode(clock).is_some() => Err(Errno::EOPNOTSUPP),
        // No timer goes by the raw clock and the coarse ones.
        _ => check_clock(clock).and(Err(Errno::EOPNOTSUPP)),
    }
}

fn notify([value, signal_and_kind, thread, ..]: Sigevent) -> Result<Notify> {
    let (signal, kind) = (signal_and_kind as u32, (signal_and_kind >> 32) as u32);
    let value = Some(value);
    let thread = match kind {
        raw::SIGEV_NONE => return Ok(Notify { signal: 0, value, thread: None }),
        raw::SIGEV_THREAD_ID => Some(Pid::new(thread as u32).ok_or(Errno::EINVAL)?),
        // A C library has a thread that takes the signal.
        raw::SIGEV_SIGNAL | raw::SIGEV_THREAD => None,
        _ => return Err(Errno::EINVAL),
    };
    if !(1..=MAX).contains(&signal) {
        return Err(Errno::EINVAL);
    }
    Ok(Notify { signal, value, thread })
}

/// timer_create(clock, event, id).
pub fn timer_create(args: &[u64; 6]) -> Result<usize> {
    check(args[0])?;
    let event = UserPtr::<Sigevent>::new(args[1]);
    let notify = match event.is_null() {
        true => Notify { signal: SIGALRM, value: None, thread: None },
        false => notify(event.read()?)?,
    };
    let id = timers::create(notify)?;
    UserPtr::new(args[2]).write(id).inspect_err(|_| {
        let _ = timers::delete(id); // another thread may have guessed its number
    })?;
    Ok(0)
}

fn to_itimerspec([left, interval]: [u64; 2]) -> Itimerspec {
    let ([interval_s, interval_ns], [left_s, left_ns]) = (to_timespec(interval), to_timespec(left));
    [interval_s, interval_ns, left_s, left_ns]
}

/// timer_settime(id, flags, new, old).
pub fn timer_settime(args: &[u64; 6]) -> Result<usize> {
    let new = UserPtr::<Itimerspec>::new(args[2]);
    if new.is_null() {
        return Err(Errno::EINVAL);
    }
    let [interval_s, interval_ns, next_s, next_ns] = new.read()?;
    let interval = from_timespec([interval_s, interval_ns])?;
    let at = match from_timespec([next_s, next_ns])? {
        0 => u64::MAX,
        at if args[1] as u32 & raw::TIMER_ABSTIME != 0 => at,
        left => now_ns().saturating_add(left).min(u64::MAX - 1),
    };
    let old = timers::set(args[0] as u32, [at, interval])?;
    UserPtr::new(args[3]).write_if_wanted(to_itimerspec(old))?;
    Ok(0)
}

/// timer_gettime(id, value).
pub fn timer_gettime(args: &[u64; 6]) -> Result<usize> {
    UserPtr::new(args[1]).write(to_itimerspec(timers::left(args[0] as u32)?))?;
    Ok(0)
}

/// timer_getoverrun(id).
pub fn timer_getoverrun(args: &[u64; 6]) -> Result<usize> {
    Ok(timers::overruns(args[0] as u32)? as usize)
}

/// timer_delete(id).
pub fn timer_delete(args: &[u64; 6]) -> Result<usize> {
    timers::delete(args[0] as u32).map(|()| 0)
}
