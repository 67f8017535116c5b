//! System calls about limits. That of CPU time is with what measures it, the others are with the process's files
//! ([`crate::fs::file::rlimit`] says which of them bind).

use linux_raw_sys::general as raw;

use super::user_ptr::UserPtr;
use crate::errno::{Errno, Result};
use crate::fs::file::rlimit::Limit;
use crate::proc;

/// prlimit64(pid, resource, new, old).
pub fn prlimit64(args: &[u64; 6]) -> Result<usize> {
    let [pid, resource, new, old, ..] = *args;
    // A `struct rlimit64`, which `struct rlimit` is, too.
    let new = UserPtr::<[u64; 2]>::new(new);
    let new = if new.is_null() { None } else { Some(new.read()?) };
    if resource as u32 >= raw::RLIM_NLIMITS || new.is_some_and(|[soft, hard]| soft > hard) {
        return Err(Errno::EINVAL);
    }
    let pid = if pid as i32 == 0 { proc::current_pid() } else { pid as u32 };
    let process = proc::find(pid).ok_or(Errno::ESRCH)?;
    let resource = resource as u32;
    let limit = if resource == raw::RLIMIT_CPU {
        let before = process.cpu_limit();
        new.map_or(Ok(()), |new| process.set_cpu_limit(new))?;
        before
    } else {
        let mut files = process.files().lock();
        let before = files.limits().get(resource)?;
        new.map_or(Ok(()), |[soft, hard]| files.set_limit(resource, Limit { soft, hard }))?;
        [before.soft, before.hard]
    };
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
