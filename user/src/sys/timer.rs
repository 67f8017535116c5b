//! Timers of a process that send a signal (timer_create).

use linux_raw_sys::general as linux;

use super::{Result, raw};

/// A signal to the process.
pub const SIGNAL: u32 = linux::SIGEV_SIGNAL;
/// No signal.
pub const NONE: u32 = linux::SIGEV_NONE;
/// A signal to one thread.
pub const THREAD: u32 = linux::SIGEV_THREAD_ID;
/// `si_code` of a timer's signal.
pub const SI_TIMER: i32 = -2;

/// What happens when a timer goes off: a `struct sigevent`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Event {
    /// What the signal tells.
    pub value: u64,
    /// The signal.
    pub signal: u32,
    /// What happens: [`SIGNAL`] or one of the others.
    pub kind: u32,
    /// The thread that gets the signal.
    pub thread: i32,
    /// Nothing.
    pub unused: [u32; 11],
}

const _: () = assert!(size_of::<Event>() == 64);

impl Event {
    /// The process gets `signal`, which tells `value`.
    pub const fn signal(signal: u32, value: u64) -> Event {
        Event { value, signal, kind: SIGNAL, thread: 0, unused: [0; 11] }
    }
}

/// Makes a timer that goes by `clock`; without `event` it sends SIGALRM with its number, which is returned.
///
/// # Errors
/// `EINVAL`: no such clock, signal, kind or thread. `EOPNOTSUPP`: no timer goes by that clock. `EAGAIN`: too many.
pub fn create(clock: u32, event: Option<&Event>) -> Result<u32> {
    let mut id = u32::MAX;
    create_at(clock, event.map_or(0, |event| &raw const *event as usize), &raw mut id as usize)?;
    Ok(id)
}

/// As [`create`], with the addresses of the event and of the number.
///
/// # Errors
/// As [`create`]; `EFAULT`.
pub fn create_at(clock: u32, event: usize, id: usize) -> Result<()> {
    // SAFETY: the kernel reads one `sigevent` and writes one number, which the callers have; or bad addresses are tested.
    unsafe { raw(linux::__NR_timer_create, [clock as usize, event, id]) }.map(drop)
}

/// Sets a timer to go off in `first_ns` nanoseconds (0: not at all), or at that time of its clock if `absolute`, and every
/// `interval_ns` from then on (0: not again). Returns how it stood: time left, and interval.
///
/// # Errors
/// `EINVAL`: no such timer.
pub fn set(id: u32, absolute: bool, first_ns: u64, interval_ns: u64) -> Result<[u64; 2]> {
    const SECOND: u64 = 1_000_000_000;
    let parts = |ns: u64| [(ns / SECOND) as i64, (ns % SECOND) as i64];
    let [[interval_s, interval_ns], [first_s, first_ns]] = [parts(interval_ns), parts(first_ns)];
    set_raw(id, absolute, [interval_s, interval_ns, first_s, first_ns])
}

/// As [`set`], with the four numbers of an `itimerspec` as they are.
///
/// # Errors
/// `EINVAL`: as above, or they are not times.
pub fn set_raw(id: u32, absolute: bool, new: [i64; 4]) -> Result<[u64; 2]> {
    let mut old = [0i64; 4];
    let flags = if absolute { linux::TIMER_ABSTIME as usize } else { 0 };
    let args = [id as usize, flags, new.as_ptr() as usize, old.as_mut_ptr() as usize];
    // SAFETY: the kernel reads and writes one `itimerspec` each.
    unsafe { raw(linux::__NR_timer_settime, args) }?;
    Ok(left_and_interval(old))
}

fn left_and_interval([interval_s, interval_ns, left_s, left_ns]: [i64; 4]) -> [u64; 2] {
    [(left_s, left_ns), (interval_s, interval_ns)].map(|(s, ns)| s as u64 * 1_000_000_000 + ns as u64)
}

/// The time left of a timer (0: it is not set), and its interval.
///
/// # Errors
/// `EINVAL`: no such timer.
pub fn get(id: u32) -> Result<[u64; 2]> {
    let mut now = [0i64; 4];
    // SAFETY: the kernel writes one `itimerspec`.
    unsafe { raw(linux::__NR_timer_gettime, [id as usize, now.as_mut_ptr() as usize]) }?;
    Ok(left_and_interval(now))
}

/// How often the timer had gone off besides, when its signal was taken last.
///
/// # Errors
/// `EINVAL`: no such timer.
pub fn overruns(id: u32) -> Result<usize> {
    // SAFETY: touches no memory.
    unsafe { raw(linux::__NR_timer_getoverrun, [id as usize]) }
}

/// Takes a timer away.
///
/// # Errors
/// `EINVAL`: no such timer.
pub fn delete(id: u32) -> Result<()> {
    // SAFETY: touches no memory.
    unsafe { raw(linux::__NR_timer_delete, [id as usize]) }.map(drop)
}
