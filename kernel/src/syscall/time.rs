//! System calls about time.

use linux_raw_sys::general as raw;

use super::clock::{CpuClock, check_clock, from_timespec, to_timespec};
use super::user_ptr::UserPtr;
use crate::arch::time::{frequency_hz, now_ns};
use crate::errno::{Errno, Result};
use crate::proc::cpu_timer::Kind;
use crate::proc::{self, Restart, cpu_time};

/// The wake-up time given is one of the clock's, not a distance from now.
const TIMER_ABSTIME: u64 = 1;

/// Sleeps until `deadline`; after an interruption without a handler restart_syscall goes on. `remaining` is where the
/// rest of the time is written then (0: nowhere).
fn sleep_until(deadline: u64, remaining: u64) -> Result<usize> {
    proc::sleep_until(deadline).inspect_err(|_| {
        proc::set_restart(Restart::Sleep { deadline, remaining });
        // That the time cannot be written is no reason to sleep less or more.
        let _ = UserPtr::new(remaining).write_if_wanted(to_timespec(deadline.saturating_sub(now_ns())));
    })?;
    Ok(0)
}

fn sleep(request: u64, absolute: bool, remaining: u64) -> Result<usize> {
    let ns = from_timespec(UserPtr::new(request).read()?)?;
    match absolute {
        true => sleep_until(ns, 0),
        false => sleep_until(now_ns().saturating_add(ns).min(u64::MAX - 1), remaining),
    }
}

/// nanosleep(request, remaining).
pub fn nanosleep(args: &[u64; 6]) -> Result<usize> {
    sleep(args[0], false, args[1])
}

/// clock_nanosleep(clock, flags, request, remaining). Nobody sleeps by the clock of a process's CPU time.
pub fn clock_nanosleep(args: &[u64; 6]) -> Result<usize> {
    if CpuClock::decode(args[0]).is_some() {
        return Err(Errno::EOPNOTSUPP);
    }
    check_clock(args[0])?;
    sleep(args[2], args[1] & TIMER_ABSTIME != 0, args[3])
}

/// restart_syscall(): goes on with the wait that a signal without a handler has interrupted.
pub fn restart_syscall(_: &[u64; 6]) -> Result<usize> {
    match proc::take_restart() {
        Restart::Nothing => Err(Errno::EINTR),
        Restart::Sleep { deadline, remaining } => sleep_until(deadline, remaining),
        Restart::Futex(wait) => super::futex::sleep(wait),
    }
}

/// An interval timer: interval, then time left, each in seconds and microseconds.
type Itimerval = [i64; 4];

fn from_timeval([seconds, micros]: [i64; 2]) -> Result<u64> {
    if !(0..1_000_000).contains(&micros) {
        return Err(Errno::EINVAL);
    }
    from_timespec([seconds, micros * 1000])
}

/// What is left of an alarm, and its interval.
fn left_of([at, interval]: [u64; 2]) -> [u64; 2] {
    match at {
        u64::MAX => [0, interval],
        // One that is just going off has time left, as otherwise it would not be set.
        at => [at.saturating_sub(now_ns()).max(1000), interval],
    }
}

fn to_itimerval([left, interval]: [u64; 2]) -> Itimerval {
    let ([interval_s, interval_ns], [left_s, left_ns]) = (to_timespec(interval), to_timespec(left));
    [interval_s, interval_ns / 1000, left_s, left_ns / 1000]
}

/// Which timer setitimer and getitimer are about; none: the one of the time that passes.
fn which(arg: u64) -> Result<Option<Kind>> {
    match arg as u32 {
        raw::ITIMER_REAL => Ok(None),
        raw::ITIMER_VIRTUAL => Ok(Some(Kind::Virtual)),
        raw::ITIMER_PROF => Ok(Some(Kind::Prof)),
        _ => Err(Errno::EINVAL),
    }
}

/// setitimer(which, new, old).
pub fn setitimer(args: &[u64; 6]) -> Result<usize> {
    let which = which(args[0])?;
    let new = UserPtr::<Itimerval>::new(args[1]);
    let [interval_s, interval_us, left_s, left_us] = if new.is_null() { [0; 4] } else { new.read()? };
    let (interval, left) = (from_timeval([interval_s, interval_us])?, from_timeval([left_s, left_us])?);
    let old = match which {
        Some(kind) => cpu_time::set_timer(kind, left, interval)?,
        None => {
            let at = if left == 0 { u64::MAX } else { now_ns().saturating_add(left).min(u64::MAX - 1) };
            left_of(proc::set_alarm([at, interval]))
        }
    };
    UserPtr::new(args[2]).write_if_wanted(to_itimerval(old))?;
    Ok(0)
}

/// getitimer(which, value).
pub fn getitimer(args: &[u64; 6]) -> Result<usize> {
    let timer = match which(args[0])? {
        Some(kind) => cpu_time::timer(kind),
        None => left_of(proc::alarm()),
    };
    UserPtr::new(args[1]).write(to_itimerval(timer))?;
    Ok(0)
}

/// clock_gettime(clock, time).
pub fn clock_gettime(args: &[u64; 6]) -> Result<usize> {
    let ns = match CpuClock::decode(args[0]) {
        Some(clock) => cpu_time::clock(clock)?,
        None => {
            check_clock(args[0])?;
            now_ns()
        }
    };
    UserPtr::new(args[1]).write(to_timespec(ns))?;
    Ok(0)
}

/// clock_getres(clock, resolution): a tick of the system counter, at least a nanosecond.
pub fn clock_getres(args: &[u64; 6]) -> Result<usize> {
    match CpuClock::decode(args[0]) {
        Some(clock) => cpu_time::clock(clock).map(drop)?,
        None => check_clock(args[0])?,
    }
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
