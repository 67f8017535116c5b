//! System calls about processes and threads.

use core::cell::Cell;

use linux_raw_sys::general as raw;

use super::clone_args::{self, Clone3};
use super::user_ptr::UserPtr;
use super::{commit, usage};
use crate::arch::TrapFrame;
use crate::errno::{Errno, Result};
use crate::proc::exit::{self as end, How, Waited};
use crate::proc::request::Request;
use crate::proc::{self, Changes, Pid, Which, fork, session};

/// clone(flags, stack, parent_tid, tls, child_tid); see `clone_args.rs`.
pub fn clone(args: &[u64; 6], frame: &mut TrapFrame) -> Result<usize> {
    let mut request = Request::default();
    clone_args::check(args, &mut request)?;
    make(frame, &request)
}

fn make(frame: &TrapFrame, request: &Request) -> Result<usize> {
    if !request.thread && !request.vfork && !request.memory {
        commit::promise_fork()?;
    }
    Ok(fork::clone(frame, request)?.get() as usize)
}

/// clone3(args, size). What a larger structure holds behind the known part must be 0.
pub fn clone3(args: &[u64; 6], frame: &mut TrapFrame) -> Result<usize> {
    const LIMIT: u64 = 4096;
    let known = size_of::<Clone3>() as u64;
    if args[1] < known {
        return Err(Errno::EINVAL);
    }
    if args[1] > LIMIT {
        return Err(Errno::E2BIG);
    }
    for at in (known..args[1]).step_by(8).filter(|at| at + 8 <= args[1]) {
        if UserPtr::<u64>::new(args[0].wrapping_add(at)).read()? != 0 {
            return Err(Errno::E2BIG);
        }
    }
    make(frame, &clone_args::check3(&UserPtr::new(args[0]).read()?)?)
}

/// exit(code): the thread.
pub fn exit(args: &[u64; 6]) -> Result<usize> {
    end::exit(args[0] as u32)
}

/// exit_group(code): the process.
pub fn exit_group(args: &[u64; 6]) -> Result<usize> {
    end::exit_group(args[0] as u32)
}

/// wait4(pid, status, options, rusage).
pub fn wait4(args: &[u64; 6]) -> Result<usize> {
    let [pid, status, options, rusage, ..] = *args;
    let options = options as u32;
    let known =
        raw::WNOHANG | raw::WUNTRACED | raw::WCONTINUED | raw::__WNOTHREAD | raw::__WCLONE | raw::__WALL;
    if options & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let which = match pid as i32 {
        -1 => Which::Any,
        0 => Which::Group(session::own_group()),
        i32::MIN => return Err(Errno::ESRCH),
        group @ ..-1 => Which::Group(child_number(-group)?),
        pid => Which::Pid(child_number(pid)?),
    };
    let changes = Changes {
        ended: true,
        stopped: options & raw::WUNTRACED != 0,
        continued: options & raw::WCONTINUED != 0,
    };
    let how = How { changes, nohang: options & raw::WNOHANG != 0, keep: false };
    let Some(child) = wait_and_tell(which, how, rusage)? else { return Ok(0) };
    UserPtr::new(status).write_if_wanted(child.status)?;
    Ok(child.pid.get() as usize)
}

/// Waits for a child, and writes what it has used to the user address `rusage` (0: nowhere).
#[inline(always)] // two callers
fn wait_and_tell(which: Which, how: How, rusage: u64) -> Result<Option<Waited>> {
    if rusage == 0 {
        return end::wait(which, how, None);
    }
    let used = Cell::default();
    let child = end::wait(which, how, Some(&used))?;
    if child.is_some() {
        UserPtr::new(rusage).write(usage::rusage(&used.get()))?;
    }
    Ok(child)
}

fn child_number(pid: i32) -> Result<Pid> {
    u32::try_from(pid).ok().and_then(Pid::new).ok_or(Errno::ECHILD)
}

/// What waitid says of a process that is not there any more: that it is no child.
fn no_child(error: Errno) -> Errno {
    if error == Errno::ESRCH { Errno::ECHILD } else { error }
}

/// waitid(idtype, id, info, options, rusage).
pub fn waitid(args: &[u64; 6]) -> Result<usize> {
    let [kind, id, info, options, rusage, _] = *args;
    let options = options as u32;
    let wanted = raw::WEXITED | raw::WSTOPPED | raw::WCONTINUED;
    let known = wanted | raw::WNOHANG | raw::WNOWAIT | raw::__WNOTHREAD | raw::__WCLONE | raw::__WALL;
    if options & !known != 0 || options & wanted == 0 {
        return Err(Errno::EINVAL);
    }
    let mut impatient = false;
    let which = match (kind as u32, id as i32) {
        (raw::P_ALL, _) => Which::Any,
        (raw::P_PID, 1..) => Which::Pid(child_number(id as i32)?),
        (raw::P_PIDFD, 0..) => {
            let (pid, flags) = super::pidfd::process_and_flags(id).map_err(no_child)?;
            impatient = flags & raw::O_NONBLOCK != 0; // PIDFD_NONBLOCK
            Which::Pid(child_number(pid as i32)?)
        }
        (raw::P_PGID, 0) => Which::Group(session::own_group()),
        (raw::P_PGID, 1..) => Which::Group(child_number(id as i32)?),
        _ => return Err(Errno::EINVAL),
    };
    let changes = Changes {
        ended: options & raw::WEXITED != 0,
        stopped: options & raw::WSTOPPED != 0,
        continued: options & raw::WCONTINUED != 0,
    };
    let nohang = options & raw::WNOHANG != 0;
    let how = How { changes, nohang: nohang || impatient, keep: options & raw::WNOWAIT != 0 };
    let found = wait_and_tell(which, how, rusage)?;
    if found.is_none() && !nohang {
        return Err(Errno::EAGAIN);
    }
    let [signal, code, pid, value] = match &found {
        Some(child) => {
            let told = child.info();
            [told.signal, told.code as u32, child.pid.get(), told.rest[1] as u32]
        }
        None => [0; 4],
    };
    // Linux writes just these, too (kernel/exit.c, waitid).
    let info = UserPtr::<u32>::new(info);
    if !info.is_null() {
        for (index, word) in [signal, 0, code, 0, pid, 0, value].into_iter().enumerate() {
            info.at(index).write(word)?;
        }
    }
    Ok(0)
}

/// getpid().
pub fn getpid(_: &[u64; 6]) -> Result<usize> {
    Ok(proc::current_pid() as usize)
}

/// gettid().
pub fn gettid(_: &[u64; 6]) -> Result<usize> {
    Ok(proc::current_tid() as usize)
}

/// getppid().
pub fn getppid(_: &[u64; 6]) -> Result<usize> {
    Ok(proc::parent_pid() as usize)
}

/// set_tid_address(address): where the end of the thread is told. Returns the thread's number.
pub fn set_tid_address(args: &[u64; 6]) -> Result<usize> {
    proc::set_clear_child_tid(args[0] as usize);
    gettid(args)
}

/// set_robust_list(head, len).
pub fn set_robust_list(args: &[u64; 6]) -> Result<usize> {
    if args[1] as usize != size_of::<raw::robust_list_head>() {
        return Err(Errno::EINVAL);
    }
    proc::set_robust_list(args[0] as usize);
    Ok(0)
}

/// sched_yield().
pub fn sched_yield(_: &[u64; 6]) -> Result<usize> {
    proc::yield_now();
    Ok(0)
}

/// A process number that may be 0, for the caller.
fn number_or_own(arg: u64) -> Result<Option<Pid>> {
    match arg as i32 {
        0 => Ok(None),
        number => u32::try_from(number).ok().and_then(Pid::new).map(Some).ok_or(Errno::ESRCH),
    }
}

/// setpgid(pid, pgid).
pub fn setpgid(args: &[u64; 6]) -> Result<usize> {
    if (args[1] as i32) < 0 {
        return Err(Errno::EINVAL);
    }
    let pgid = number_or_own(args[1]).map_err(|_| Errno::EPERM)?;
    session::set_group(number_or_own(args[0])?, pgid).map(|()| 0)
}

/// getpgid(pid).
pub fn getpgid(args: &[u64; 6]) -> Result<usize> {
    Ok(session::group_and_session(number_or_own(args[0])?)?.0 as usize)
}

/// getsid(pid).
pub fn getsid(args: &[u64; 6]) -> Result<usize> {
    Ok(session::group_and_session(number_or_own(args[0])?)?.1 as usize)
}

/// setsid().
pub fn setsid(_: &[u64; 6]) -> Result<usize> {
    Ok(session::create()?.get() as usize)
}

/// Options of prctl (Linux: include/uapi/linux/prctl.h).
const PR_GET_DUMPABLE: u32 = 3;
const PR_SET_DUMPABLE: u32 = 4;
const PR_GET_KEEPCAPS: u32 = 7;
const PR_SET_NAME: u32 = 15;
const PR_GET_NAME: u32 = 16;
const PR_SET_TIMERSLACK: u32 = 29;
const PR_GET_TIMERSLACK: u32 = 30;
const PR_SET_NO_NEW_PRIVS: u32 = 38;
const PR_GET_NO_NEW_PRIVS: u32 = 39;
const PR_SET_THP_DISABLE: u32 = 41;
const PR_GET_THP_DISABLE: u32 = 42;

/// prctl(option, ...): the name, and what is as it is.
pub fn prctl(args: &[u64; 6]) -> Result<usize> {
    match args[0] as u32 {
        PR_SET_NAME => {
            let name = read_name(args[1])?;
            proc::set_name(&name);
            Ok(0)
        }
        PR_GET_NAME => {
            UserPtr::new(args[1]).write(proc::name())?;
            Ok(0)
        }
        PR_GET_DUMPABLE => Ok(1),
        PR_SET_DUMPABLE if args[1] <= 1 => Ok(0),
        PR_GET_NO_NEW_PRIVS | PR_GET_KEEPCAPS | PR_GET_TIMERSLACK => Ok(0),
        PR_SET_NO_NEW_PRIVS if args[1] == 1 => Ok(0),
        PR_SET_TIMERSLACK => Ok(0),
        PR_SET_THP_DISABLE if args[2..5] == [0; 3] => {
            proc::with_current_mm(|mm| mm.disable_large_folios(args[1] != 0));
            Ok(0)
        }
        PR_GET_THP_DISABLE if args[1..5] == [0; 4] => Ok(proc::large_folios_disabled().into()),
        _ => Err(Errno::EINVAL),
    }
}

/// Up to 15 bytes of a name, and a NUL.
fn read_name(at: u64) -> Result<[u8; 16]> {
    let mut name = [0; 16];
    match crate::arch::uaccess::strncpy_from_user(&mut name, at as usize) {
        Ok(_) | Err(Errno::ENAMETOOLONG) => {}
        Err(error) => return Err(error),
    }
    name[15] = 0;
    Ok(name)
}
