//! System calls about signals; `proc/signal` has what they are about.

use linux_raw_sys::general as raw;

use super::clock::from_timespec;
use super::user_ptr::UserPtr;
use crate::arch::TrapFrame;
use crate::arch::time::now_ns;
use crate::errno::{Errno, Result};
use crate::proc::kill::{self as send, Target};
use crate::proc::signal::action::{Action, SA_RESTORER};
use crate::proc::signal::info::{Info, SI_TKILL, SI_USER, USED_BYTES};
use crate::proc::signal::thread::AltStack;
use crate::proc::signal::{MAX, UNSTOPPABLE, bit};
use crate::proc::{self, Pid, deliver, sigcalls, trampoline};

/// Bytes of a `sigset_t`.
const SIGSET_BYTES: u64 = 8;

/// `struct sigaction` as the kernel sees it: handler, flags, restorer, mask.
type SigAction = [u64; 4];

/// `stack_t`: address, flags (low half), bytes.
type StackT = [u64; 3];

fn signal_or_0(arg: u64) -> Result<u32> {
    Some(arg as u32).filter(|signal| *signal <= MAX).ok_or(Errno::EINVAL)
}

fn check_size(bytes: u64) -> Result<()> {
    if bytes == SIGSET_BYTES { Ok(()) } else { Err(Errno::EINVAL) }
}

fn pid(arg: u64) -> Result<Pid> {
    let raw = u32::try_from(arg as i32).ok().filter(|pid| *pid != 0).ok_or(Errno::EINVAL)?;
    Pid::new(raw).ok_or(Errno::ESRCH)
}

/// What kill and its kin send: nothing for signal 0, which only asks.
fn sent(signal: u32, code: i32) -> Option<Info> {
    (signal != 0).then(|| Info::sent(signal, code, proc::current_pid()))
}

/// kill(pid, signal).
pub fn kill(args: &[u64; 6]) -> Result<usize> {
    let signal = signal_or_0(args[1])?;
    let target = match args[0] as i32 {
        0 => Target::OwnGroup,
        -1 => Target::Others,
        i32::MIN => Target::Nobody,
        group @ ..-1 => Pid::new(group.unsigned_abs()).map_or(Target::Nobody, Target::Group),
        _ => Target::Process(pid(args[0])?),
    };
    send::kill(target, sent(signal, SI_USER)).map(|()| 0)
}

/// tkill(tid, signal).
pub fn tkill(args: &[u64; 6]) -> Result<usize> {
    let signal = signal_or_0(args[1])?;
    send::kill(Target::Thread(pid(args[0])?, None), sent(signal, SI_TKILL)).map(|()| 0)
}

/// tgkill(tgid, tid, signal).
pub fn tgkill(args: &[u64; 6]) -> Result<usize> {
    let (group, thread, signal) = (pid(args[0])?, pid(args[1])?, signal_or_0(args[2])?);
    send::kill(Target::Thread(thread, Some(group)), sent(signal, SI_TKILL)).map(|()| 0)
}

/// The siginfo at `at`, to be sent by the caller to process `to`. Only to itself may a process pretend that the kernel or
/// kill sent it.
fn queued(signal: u64, at: u64, to: Pid) -> Result<Option<Info>> {
    let words = UserPtr::<[u64; USED_BYTES / 8]>::new(at).read()?;
    let signal = signal_or_0(signal)?;
    let info = Info::from_words(signal, words);
    let pretends = info.code >= 0 || info.code == SI_TKILL;
    if pretends && to.get() != proc::current_pid() {
        return Err(Errno::EPERM);
    }
    Ok((signal != 0).then_some(info))
}

/// rt_sigqueueinfo(pid, signal, info).
pub fn rt_sigqueueinfo(args: &[u64; 6]) -> Result<usize> {
    let to = pid(args[0]).map_err(|_| Errno::ESRCH)?;
    send::kill(Target::Process(to), queued(args[1], args[2], to)?).map(|()| 0)
}

/// rt_tgsigqueueinfo(tgid, tid, signal, info).
pub fn rt_tgsigqueueinfo(args: &[u64; 6]) -> Result<usize> {
    let (group, thread) = (pid(args[0])?, pid(args[1])?);
    send::kill(Target::Thread(thread, Some(group)), queued(args[2], args[3], group)?).map(|()| 0)
}

/// rt_sigaction(signal, act, oldact, sigsetsize).
pub fn rt_sigaction(args: &[u64; 6]) -> Result<usize> {
    check_size(args[3])?;
    let signal = signal_or_0(args[0])?;
    let (act, oldact) = (UserPtr::<SigAction>::new(args[1]), UserPtr::<SigAction>::new(args[2]));
    if signal == 0 || !act.is_null() && bit(signal) & UNSTOPPABLE != 0 {
        return Err(Errno::EINVAL);
    }
    let new = if act.is_null() { None } else { Some(act.read()?) };
    let new = new.map(|[handler, flags, restorer, mask]| Action {
        handler,
        flags: flags & KNOWN_FLAGS,
        restorer,
        mask: mask & !UNSTOPPABLE,
    });
    if let Some(action) = new
        && action.is_handler()
        && action.flags & SA_RESTORER == 0
    {
        trampoline::map()?;
    }
    let old = sigcalls::set_action(signal, new)?;
    oldact.write_if_wanted([old.handler, old.flags, old.restorer, old.mask])?;
    Ok(0)
}

/// The flags that are kept. Unknown ones are cleared, by which programs find out what there is (Linux: UAPI_SA_FLAGS);
/// SA_UNSUPPORTED is the one that never is.
const KNOWN_FLAGS: u64 = (raw::SA_NOCLDSTOP
    | raw::SA_NOCLDWAIT
    | raw::SA_SIGINFO
    | raw::SA_ONSTACK
    | raw::SA_RESTART
    | raw::SA_NODEFER
    | raw::SA_RESETHAND
    | raw::SA_EXPOSE_TAGBITS) as u64
    | SA_RESTORER;

/// rt_sigprocmask(how, set, oldset, sigsetsize).
pub fn rt_sigprocmask(args: &[u64; 6]) -> Result<usize> {
    let [how, set, oldset, bytes, ..] = *args;
    check_size(bytes)?;
    let old = sigcalls::blocked();
    let set = UserPtr::<u64>::new(set);
    if !set.is_null() {
        let set = set.read()?;
        sigcalls::set_blocked(match how as u32 {
            raw::SIG_BLOCK => old | set,
            raw::SIG_UNBLOCK => old & !set,
            raw::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        });
    }
    UserPtr::new(oldset).write_if_wanted(old)?;
    Ok(0)
}

/// rt_sigpending(set, sigsetsize).
pub fn rt_sigpending(args: &[u64; 6]) -> Result<usize> {
    if args[1] > SIGSET_BYTES {
        return Err(Errno::EINVAL);
    }
    let set = sigcalls::pending().to_ne_bytes();
    crate::arch::uaccess::copy_to_user(args[0] as usize, &set[..args[1] as usize])?;
    Ok(0)
}

/// rt_sigsuspend(set, sigsetsize).
pub fn rt_sigsuspend(args: &[u64; 6]) -> Result<usize> {
    check_size(args[1])?;
    sigcalls::suspend(UserPtr::<u64>::new(args[0]).read()?)
}

/// rt_sigtimedwait(set, info, timeout, sigsetsize).
pub fn rt_sigtimedwait(args: &[u64; 6]) -> Result<usize> {
    let [set, info, timeout, bytes, ..] = *args;
    check_size(bytes)?;
    let set = UserPtr::<u64>::new(set).read()? & !UNSTOPPABLE;
    let timeout = UserPtr::<[i64; 2]>::new(timeout);
    let deadline = match timeout.is_null() {
        true => u64::MAX,
        false => now_ns().saturating_add(from_timespec(timeout.read()?)?).min(u64::MAX - 1),
    };
    let taken = sigcalls::wait_for(set, deadline)?;
    UserPtr::new(info).write_if_wanted(taken.to_bytes())?;
    Ok(taken.signal as usize)
}

/// Waits with the signals in the set at `mask` (0: with those that are anyway) blocked, for ppoll and its kin.
///
/// # Errors
/// `EINVAL`: not a set's size. `EFAULT`. Those of `wait`.
pub(super) fn with_mask(mask: u64, bytes: u64, wait: impl FnOnce() -> Result<usize>) -> Result<usize> {
    let mask = UserPtr::<u64>::new(mask);
    if mask.is_null() {
        return wait();
    }
    check_size(bytes)?;
    sigcalls::block_meanwhile(mask.read()?);
    let result = wait();
    // After a signal its handler comes first, and returns to the old mask.
    if result != Err(Errno::EINTR) {
        sigcalls::end_meanwhile();
    }
    result
}

/// sigaltstack(new, old).
pub fn sigaltstack(args: &[u64; 6], frame: &TrapFrame) -> Result<usize> {
    let new = UserPtr::<StackT>::new(args[0]);
    let new = if new.is_null() { None } else { Some(new.read()?) };
    let new = new.map(|[base, flags, bytes]| AltStack { base, flags: flags as u32, bytes });
    let old = sigcalls::set_alt_stack(new, frame.sp)?;
    UserPtr::new(args[1]).write_if_wanted([old.base, old.flags.into(), old.bytes])?;
    Ok(0)
}

/// rt_sigreturn(). The result is what x0 was.
pub fn rt_sigreturn(frame: &mut TrapFrame) -> Result<usize> {
    deliver::sigreturn(frame);
    Ok(frame.x[0] as usize)
}
