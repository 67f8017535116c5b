//! Time, randomness and the system's name.

use linux_raw_sys::general as linux;

use super::{Result, raw};
use crate::text::Text;

/// Nanoseconds on CLOCK_MONOTONIC.
pub fn now_ns() -> u64 {
    let mut time = linux::timespec { tv_sec: 0, tv_nsec: 0 };
    let args = [linux::CLOCK_MONOTONIC as usize, &raw mut time as usize];
    // SAFETY: the kernel writes one `timespec`. It cannot fail for this clock.
    let _ = unsafe { raw(linux::__NR_clock_gettime, args) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Sleeps for `ns` nanoseconds at least.
///
/// # Errors
/// `EINTR`: interrupted by a signal.
pub fn sleep_ns(ns: u64) -> Result<()> {
    sleep_raw((ns / 1_000_000_000) as i64, (ns % 1_000_000_000) as i64)
}

/// nanosleep with the two fields as they are.
///
/// # Errors
/// `EINVAL`: a field is out of range.
pub fn sleep_raw(seconds: i64, nanoseconds: i64) -> Result<()> {
    let time = linux::timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    // SAFETY: the kernel reads one `timespec`; nothing is written with a null second pointer.
    unsafe { raw(linux::__NR_nanosleep, [&raw const time as usize, 0]) }.map(drop)
}

/// Fills `buffer` with random bytes.
///
/// # Errors
/// None that a small buffer can cause.
pub fn random(buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes into the buffer.
    unsafe { raw(linux::__NR_getrandom, [buffer.as_mut_ptr() as usize, buffer.len()]) }
}

/// The kernel's name and release, as `uname -sr` shows them.
pub fn kernel_name() -> Text<132> {
    let mut name = [[0u8; 65]; 6];
    // SAFETY: the kernel writes one `new_utsname`: six fields of 65 bytes.
    if unsafe { raw(linux::__NR_uname, [&raw mut name as usize]) }.is_err() {
        return Text::format(format_args!("unknown"));
    }
    let field = |i: usize| {
        let bytes: &[u8] = &name[i];
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        core::str::from_utf8(&bytes[..end]).unwrap_or("?")
    };
    Text::format(format_args!("{} {}", field(0), field(2)))
}

/// Runs this process before all ordinary ones, its children as ordinary ones (SCHED_FIFO with reset-on-fork): Linux
/// then lets a forked child wait until the parent blocks.
///
/// # Errors
/// `EPERM`: not privileged. `ENOSYS`: no such scheduling.
pub fn run_before_children() -> Result<()> {
    const SCHED_FIFO: usize = 1;
    const SCHED_RESET_ON_FORK: usize = 0x4000_0000;
    let priority = 1i32;
    let args = [0, SCHED_FIFO | SCHED_RESET_ON_FORK, &raw const priority as usize];
    // SAFETY: the kernel reads one `sched_param`, which is an int.
    unsafe { raw(linux::__NR_sched_setscheduler, args) }.map(drop)
}
