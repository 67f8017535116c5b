//! System calls about signals. What there is of signals: see `proc/signal.rs`.

use linux_raw_sys::general as raw;

use super::user_ptr::UserPtr;
use crate::errno::{Errno, Result};
use crate::proc::kill::{self as send, Target};
use crate::proc::signal::{MAX, Signals};
use crate::proc::{self, Pid};

/// Bytes of a `sigset_t`.
const SIGSET_BYTES: u64 = 8;
const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;

/// `struct sigaction` as the kernel sees it: handler, flags, restorer, mask.
type SigAction = [u64; 4];

fn signal_or_0(arg: u64) -> Result<u32> {
    Some(arg as u32).filter(|signal| *signal <= MAX).ok_or(Errno::EINVAL)
}

fn pid(arg: u64) -> Result<Pid> {
    let raw = u32::try_from(arg as i32).ok().filter(|pid| *pid != 0).ok_or(Errno::EINVAL)?;
    Pid::new(raw).ok_or(Errno::ESRCH)
}

/// kill(pid, signal).
pub fn kill(args: &[u64; 6]) -> Result<usize> {
    let target = match args[0] as i32 {
        0 => Target::All,
        -1 => Target::Others,
        ..-1 => Target::Nobody,
        _ => Target::Process(pid(args[0])?),
    };
    send::kill(target, signal_or_0(args[1])?).map(|()| 0)
}

/// tkill(tid, signal).
pub fn tkill(args: &[u64; 6]) -> Result<usize> {
    send::kill(Target::Process(pid(args[0])?), signal_or_0(args[1])?).map(|()| 0)
}

/// tgkill(tgid, tid, signal): the only thread of a process has its number.
pub fn tgkill(args: &[u64; 6]) -> Result<usize> {
    let (group, thread) = (pid(args[0])?, pid(args[1])?);
    if group != thread {
        return Err(Errno::ESRCH);
    }
    send::kill(Target::Process(thread), signal_or_0(args[2])?).map(|()| 0)
}

/// rt_sigaction(signal, act, oldact, sigsetsize). SIG_DFL and SIG_IGN are respected. A handler is refused with ENOSYS:
/// most programs that install one as a precaution do not look at the result, and one that depends on it had better
/// know than wait for ever.
pub fn rt_sigaction(args: &[u64; 6]) -> Result<usize> {
    let signal = signal_or_0(args[0])?;
    let (act, oldact) = (UserPtr::<SigAction>::new(args[1]), UserPtr::<SigAction>::new(args[2]));
    if signal == 0 || args[3] != SIGSET_BYTES || (!act.is_null() && !Signals::can_ignore(signal)) {
        return Err(Errno::EINVAL);
    }
    let signals = proc::current_signals();
    let old = if signals.ignores(signal) { SIG_IGN } else { SIG_DFL };
    if !act.is_null() {
        match act.read()?[0] {
            SIG_DFL => signals.set_ignored(signal, false),
            SIG_IGN => signals.set_ignored(signal, true),
            _ => return Err(Errno::ENOSYS),
        }
    }
    oldact.write_if_wanted([old, 0, 0, 0])?;
    Ok(0)
}

/// rt_sigprocmask(how, set, oldset, sigsetsize).
pub fn rt_sigprocmask(args: &[u64; 6]) -> Result<usize> {
    let [how, set, oldset, bytes, ..] = *args;
    if bytes != SIGSET_BYTES {
        return Err(Errno::EINVAL);
    }
    let signals = proc::current_signals();
    let old = signals.blocked();
    let set = UserPtr::<u64>::new(set);
    if !set.is_null() {
        let set = set.read()?;
        signals.set_blocked(match how as u32 {
            raw::SIG_BLOCK => old | set,
            raw::SIG_UNBLOCK => old & !set,
            raw::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        });
        proc::recheck_signals();
    }
    UserPtr::new(oldset).write_if_wanted(old)?;
    Ok(0)
}
