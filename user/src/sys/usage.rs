//! CPU time: clocks of it, what was used, timers and the limit.

use linux_raw_sys::general as linux;

use super::process::{Pid, Status};
use super::{Result, raw};

/// Of this process.
pub const SELF: i32 = 0;
/// Of this thread.
pub const THREAD: i32 = 1;
/// Of the children that were waited for.
pub const CHILDREN: i32 = -1;

/// A timer of the time at EL0: SIGVTALRM.
pub const VIRTUAL: u32 = linux::ITIMER_VIRTUAL;
/// A timer of all CPU time: SIGPROF.
pub const PROF: u32 = linux::ITIMER_PROF;

/// What was used.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Usage {
    /// CPU time at EL0, in microseconds.
    pub user_us: u64,
    /// CPU time in the kernel, in microseconds.
    pub system_us: u64,
    /// The most memory that was resident, in KiB.
    pub max_rss: u64,
    /// Page faults that read nothing.
    pub minor: u64,
    /// Page faults that read something.
    pub major: u64,
    /// Switches because of a wait.
    pub voluntary: u64,
    /// Switches because others were to run.
    pub involuntary: u64,
}

impl Usage {
    /// All CPU time, in microseconds.
    pub fn total_us(&self) -> u64 {
        self.user_us + self.system_us
    }
}

type Words = [u64; size_of::<linux::rusage>() / 8];

fn usage(words: &Words) -> Usage {
    let us = |at: usize| words[at] * 1_000_000 + words[at + 1];
    Usage {
        user_us: us(0),
        system_us: us(2),
        max_rss: words[4],
        minor: words[8],
        major: words[9],
        voluntary: words[16],
        involuntary: words[17],
    }
}

/// What `who` has used.
///
/// # Errors
/// `EINVAL`: nobody.
pub fn used(who: i32) -> Result<Usage> {
    let mut words = Words::default();
    // SAFETY: the kernel writes one `struct rusage`.
    unsafe { raw(linux::__NR_getrusage, [who as usize, words.as_mut_ptr() as usize]) }?;
    Ok(usage(&words))
}

/// Waits for the end of child `pid`, and what it has used with its own children.
///
/// # Errors
/// `ECHILD`.
pub fn wait(pid: Pid) -> Result<(Status, Usage)> {
    let (mut status, mut words) = (0u32, Words::default());
    let args = [pid as usize, &raw mut status as usize, 0, words.as_mut_ptr() as usize];
    // SAFETY: the kernel writes the status and one `struct rusage`.
    unsafe { raw(linux::__NR_wait4, args) }?;
    Ok((Status(status), usage(&words)))
}

/// times(2): at EL0, in the kernel, and both of children, in hundredths of a second.
///
/// # Errors
/// None.
pub fn times() -> Result<[u64; 4]> {
    let mut times = [0; 4];
    // SAFETY: the kernel writes four words.
    unsafe { raw(linux::__NR_times, [times.as_mut_ptr() as usize]) }?;
    Ok(times)
}

/// What clock `clock` says, in nanoseconds.
///
/// # Errors
/// `EINVAL`: there is no such clock.
pub fn clock_ns(clock: i32) -> Result<u64> {
    let mut time = [0u64; 2];
    // SAFETY: the kernel writes one `timespec`.
    unsafe { raw(linux::__NR_clock_gettime, [clock as usize, time.as_mut_ptr() as usize]) }?;
    Ok(time[0] * 1_000_000_000 + time[1])
}

/// Sets timer `which` to go off after `first_us` microseconds (0: not) and every `interval_us` from then on. Returns what
/// was left of it, and its interval.
///
/// # Errors
/// `EINVAL`: no such timer, or no such time.
pub fn set_timer(which: u32, first_us: u64, interval_us: u64) -> Result<[u64; 2]> {
    let split = |us: u64| [us / 1_000_000, us % 1_000_000];
    let ([first, first_rest], [interval, interval_rest]) = (split(first_us), split(interval_us));
    let new = [interval, interval_rest, first, first_rest];
    let mut old = [0u64; 4];
    let args = [which as usize, new.as_ptr() as usize, old.as_mut_ptr() as usize];
    // SAFETY: the kernel reads and writes one `struct itimerval` each.
    unsafe { raw(linux::__NR_setitimer, args) }?;
    Ok([old[2] * 1_000_000 + old[3], old[0] * 1_000_000 + old[1]])
}

/// Limits this process's CPU time to these seconds: soft and hard.
///
/// # Errors
/// `EINVAL`: soft is more than hard.
pub fn limit_cpu(soft: u64, hard: u64) -> Result<()> {
    let new = [soft, hard];
    let args = [0, linux::RLIMIT_CPU as usize, new.as_ptr() as usize, 0];
    // SAFETY: the kernel reads one `struct rlimit64`.
    unsafe { raw(linux::__NR_prlimit64, args) }.map(drop)
}

/// The limit of this process's CPU time in seconds: soft and hard.
///
/// # Errors
/// None.
pub fn cpu_limit() -> Result<[u64; 2]> {
    let mut old = [0; 2];
    let args = [0, linux::RLIMIT_CPU as usize, 0, old.as_mut_ptr() as usize];
    // SAFETY: the kernel writes one `struct rlimit64`.
    unsafe { raw(linux::__NR_prlimit64, args) }?;
    Ok(old)
}
