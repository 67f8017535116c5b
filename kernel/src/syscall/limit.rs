//! System calls about limits. Those of CPU time can be changed; the others are as they are, and the wish for others is
//! accepted and ignored.

use linux_raw_sys::general as raw;

use super::user_ptr::UserPtr;
use crate::errno::{Errno, Result};
use crate::fs::file::fd::FD_LIMIT;
use crate::proc;

/// A `struct rlimit64`, which `struct rlimit` is, too: soft and hard.
type Limit = [u64; 2];

/// prlimit64(pid, resource, new, old).
pub fn prlimit64(args: &[u64; 6]) -> Result<usize> {
    let [pid, resource, new, old, ..] = *args;
    let new = UserPtr::<Limit>::new(new);
    let new = if new.is_null() { None } else { Some(new.read()?) };
    if resource as u32 >= raw::RLIM_NLIMITS || new.is_some_and(|[soft, hard]| soft > hard) {
        return Err(Errno::EINVAL);
    }
    let pid = if pid as i32 == 0 { proc::current_pid() } else { pid as u32 };
    let process = proc::find(pid).ok_or(Errno::ESRCH)?;
    let limit = match resource as u32 {
        raw::RLIMIT_CPU => process.cpu_limit(),
        raw::RLIMIT_STACK => [proc::layout::STACK_BYTES as u64; 2],
        raw::RLIMIT_NPROC => [proc::MAX_PROCESSES.into(); 2],
        raw::RLIMIT_NOFILE => [FD_LIMIT as u64; 2],
        raw::RLIMIT_CORE => [0; 2],
        _ => [u64::MAX; 2],
    };
    if let Some(new) = new
        && resource as u32 == raw::RLIMIT_CPU
    {
        process.set_cpu_limit(new)?;
    }
    drop(process); // nobody may wait for it to go while user memory is read from swap
    UserPtr::new(old).write_if_wanted(limit)?;
    Ok(0)
}

/// getrlimit(resource, limit).
pub fn getrlimit(args: &[u64; 6]) -> Result<usize> {
    let [resource, limit, ..] = *args;
    if limit == 0 {
        return Err(Errno::EFAULT);
    }
    prlimit64(&[0, resource, 0, limit, 0, 0])
}

/// setrlimit(resource, limit).
pub fn setrlimit(args: &[u64; 6]) -> Result<usize> {
    let [resource, limit, ..] = *args;
    if limit == 0 {
        return Err(Errno::EFAULT);
    }
    prlimit64(&[0, resource, limit, 0, 0, 0])
}
