//! System calls about processes.

use linux_raw_sys::general as raw;

use super::clone_args;
use super::user_ptr::UserPtr;
use crate::arch::TrapFrame;
use crate::errno::{Errno, Result};
use crate::proc::fork::{self, Differences};
use crate::proc::{self, Pid, Which, exit as end};

/// clone(flags, stack, parent_tid, tls, child_tid), as far as it is fork; see `clone_args.rs`.
pub fn clone(args: &[u64; 6], frame: &mut TrapFrame) -> Result<usize> {
    let [flags, stack, parent_tid, tls, child_tid, _] = *args;
    let flags = clone_args::check(flags)?;
    let child = fork::fork(
        frame,
        Differences {
            stack: (stack != 0).then_some(stack),
            tls: flags.set_tls.then_some(tls),
            set_child_tid: if flags.child_set_tid { child_tid as usize } else { 0 },
        },
    )?;
    if flags.parent_set_tid {
        // The child exists, so there is no way to fail: Linux ignores a bad address too (kernel/fork.c).
        let _ = UserPtr::new(parent_tid).write(child.get());
    }
    Ok(child.get() as usize)
}

/// exit(code) and exit_group(code), which are the same without threads.
pub fn exit(args: &[u64; 6]) -> Result<usize> {
    end::exit(args[0] as u32)
}

/// wait4(pid, status, options, rusage). There are no process groups: pid 0 is any child, and less than -1 is none.
/// Nothing stops or continues, so WUNTRACED and WCONTINUED are accepted without effect.
pub fn wait4(args: &[u64; 6]) -> Result<usize> {
    let [pid, status, options, rusage, ..] = *args;
    let options = options as u32;
    let known =
        raw::WNOHANG | raw::WUNTRACED | raw::WCONTINUED | raw::__WNOTHREAD | raw::__WCLONE | raw::__WALL;
    if options & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let which = match pid as i32 {
        -1 | 0 => Which::Any,
        i32::MIN => return Err(Errno::ESRCH),
        pid => Which::Pid(u32::try_from(pid).ok().and_then(Pid::new).ok_or(Errno::ECHILD)?),
    };
    let Some(child) = end::wait(which, options & raw::WNOHANG != 0)? else { return Ok(0) };
    UserPtr::new(status).write_if_wanted(child.status)?;
    UserPtr::new(rusage).write_if_wanted([0u64; size_of::<raw::rusage>() / 8])?; // nothing is accounted
    Ok(child.pid.get() as usize)
}

/// getpid, gettid and set_tid_address: without threads the number is the same, and nobody waits for the address to be
/// cleared (see `clone_args.rs`).
pub fn getpid(_: &[u64; 6]) -> Result<usize> {
    Ok(proc::current_pid() as usize)
}

/// getppid().
pub fn getppid(_: &[u64; 6]) -> Result<usize> {
    Ok(proc::parent_pid() as usize)
}

/// set_robust_list(head, len): without shared memory locks of threads there is nothing to clean up.
pub fn set_robust_list(args: &[u64; 6]) -> Result<usize> {
    if args[1] as usize == size_of::<raw::robust_list_head>() { Ok(0) } else { Err(Errno::EINVAL) }
}

/// sched_yield().
pub fn sched_yield(_: &[u64; 6]) -> Result<usize> {
    proc::yield_now();
    Ok(0)
}
