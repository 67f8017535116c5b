//! futex, but for priority inheritance and FUTEX_WAKE_OP.

use linux_raw_sys::general as raw;

use super::clock::from_timespec;
use super::user_ptr::UserPtr;
use crate::arch::time::now_ns;
use crate::errno::{Errno, Result};
use crate::proc::futex::{self, Sharing, Wait};
use crate::proc::{self, Restart};

/// futex(word, operation, value, timeout or second value, second word, third value).
#[allow(clippy::similar_names)]
pub fn futex(args: &[u64; 6]) -> Result<usize> {
    let [addr, operation, value, extra, second, third] = *args;
    let (addr, operation, value) = (addr as usize, operation as u32, value as u32);
    let sharing = if operation & raw::FUTEX_PRIVATE_FLAG != 0 { Sharing::Private } else { Sharing::Any };
    let command = operation & !(raw::FUTEX_PRIVATE_FLAG | raw::FUTEX_CLOCK_REALTIME);
    let on_realtime = operation & raw::FUTEX_CLOCK_REALTIME != 0;
    if on_realtime && ![raw::FUTEX_WAIT, raw::FUTEX_WAIT_BITSET].contains(&command) {
        return Err(Errno::ENOSYS);
    }
    match command {
        raw::FUTEX_WAIT => {
            let deadline = deadline(extra, false)?;
            sleep(Wait { addr, value, bits: u32::MAX, deadline, sharing })
        }
        raw::FUTEX_WAIT_BITSET => {
            let wait = Wait { addr, value, bits: third as u32, deadline: deadline(extra, true)?, sharing };
            if wait.bits == 0 { Err(Errno::EINVAL) } else { sleep(wait) }
        }
        raw::FUTEX_WAKE => futex::wake(addr, sharing, count(value)?, u32::MAX),
        raw::FUTEX_WAKE_BITSET => match third as u32 {
            0 => Err(Errno::EINVAL),
            bits => futex::wake(addr, sharing, count(value)?, bits),
        },
        raw::FUTEX_REQUEUE | raw::FUTEX_CMP_REQUEUE => {
            let counts = [value, extra as u32];
            if counts.iter().any(|count| *count > i32::MAX as u32) {
                return Err(Errno::EINVAL);
            }
            let expected = (command == raw::FUTEX_CMP_REQUEUE).then_some(third as u32);
            let [woken, moved] = futex::requeue([addr, second as usize], sharing, counts, expected)?;
            Ok(if expected.is_some() { woken + moved } else { woken })
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// As in Linux, whoever wakes nobody wakes one all the same (kernel/futex/waitwake.c, futex_wake: the count is looked at
/// after the first).
fn count(value: u32) -> Result<u32> {
    Ok((value as i32).max(1) as u32)
}

/// When a wait ends: `u64::MAX` without a timeout.
fn deadline(timeout: u64, absolute: bool) -> Result<u64> {
    let timeout = UserPtr::<[i64; 2]>::new(timeout);
    if timeout.is_null() {
        return Ok(u64::MAX);
    }
    let ns = from_timespec(timeout.read()?)?;
    Ok(if absolute { ns } else { now_ns().saturating_add(ns).min(u64::MAX - 1) })
}

/// Waits; goes on with the same deadline if it is interrupted without a handler.
pub(super) fn sleep(wait: Wait) -> Result<usize> {
    proc::set_restart(Restart::Futex(wait));
    futex::wait(&wait).map(|()| 0)
}
