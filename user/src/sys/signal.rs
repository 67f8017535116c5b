//! Signals: handlers, masks, waiting.

use linux_raw_sys::general as linux;

use super::process::Pid;
use super::{Result, raw};

/// The handler wants to know more than the number.
pub const SA_SIGINFO: u64 = linux::SA_SIGINFO as u64;
/// On the alternate stack.
pub const SA_ONSTACK: u64 = linux::SA_ONSTACK as u64;
/// Interrupted calls start again.
pub const SA_RESTART: u64 = linux::SA_RESTART as u64;
/// The handler's signal is not blocked meanwhile.
pub const SA_NODEFER: u64 = linux::SA_NODEFER as u64;
/// Only once.
pub const SA_RESETHAND: u64 = linux::SA_RESETHAND as u64;

/// Default action.
pub const SIG_DFL: usize = 0;
/// Ignored.
pub const SIG_IGN: usize = 1;

/// What a handler gets: the signal, what it tells, and the interrupted state.
pub type Handler = extern "C" fn(u32, *const Info, *mut Context);

/// The start of a `siginfo_t`.
#[repr(C)]
pub struct Info {
    /// The signal.
    pub signal: u32,
    /// Unused.
    pub errno: i32,
    /// Where it comes from.
    pub code: i32,
    padding: i32,
    /// The sender or child, or the lower half of the address of a fault.
    pub pid: u32,
    /// The sender's user, or the upper half of that.
    pub uid: u32,
    /// A child's exit status or signal, or the lower half of a value.
    pub status: i32,
    padding2: i32,
    rest: [u64; 12],
}

impl Info {
    /// All zero, for the kernel to fill.
    pub const EMPTY: Info = Info {
        signal: 0,
        errno: 0,
        code: 0,
        padding: 0,
        pid: 0,
        uid: 0,
        status: 0,
        padding2: 0,
        rest: [0; 12],
    };

    /// The address of a fault.
    pub fn addr(&self) -> usize {
        self.pid as usize | (self.uid as usize) << 32
    }
}

/// A `ucontext_t`, up to the registers.
#[repr(C)]
pub struct Context {
    flags: u64,
    link: u64,
    stack: [u64; 3],
    /// What is blocked after the handler.
    pub mask: u64,
    unused: [u64; 16],
    /// The address of a fault.
    pub fault_address: u64,
    /// x0 to x30.
    pub x: [u64; 31],
    /// The stack pointer.
    pub sp: u64,
    /// Where it goes on.
    pub pc: u64,
    /// PSTATE.
    pub pstate: u64,
}

const _: () = assert!(size_of::<Info>() == 128 && core::mem::offset_of!(Context, fault_address) == 176);

/// The set of only `signal`.
pub const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// Sets what `signal` does: a handler's address, [`SIG_DFL`] or [`SIG_IGN`]. Returns what it did.
///
/// # Errors
/// `EINVAL`: no such signal, or one that cannot be caught.
pub fn action(signal: u32, handler: usize, flags: u64, mask: u64) -> Result<usize> {
    let new = [handler as u64, flags, 0, mask];
    let mut old = [0u64; 4];
    let args = [signal as usize, new.as_ptr() as usize, old.as_mut_ptr() as usize, 8];
    // SAFETY: the kernel reads and writes one `struct sigaction` each; handlers are functions that may run at any time.
    unsafe { raw(linux::__NR_rt_sigaction, args) }?;
    Ok(old[0] as usize)
}

/// Installs a handler that gets all three arguments.
///
/// # Errors
/// As [`action`].
pub fn handle(signal: u32, handler: Handler, flags: u64, mask: u64) -> Result<()> {
    action(signal, handler as *const () as usize, flags | SA_SIGINFO, mask).map(drop)
}

/// Sets the blocked signals; returns the old set.
///
/// # Errors
/// None.
pub fn set_mask(set: u64) -> Result<u64> {
    let mut old = 0u64;
    let args = [linux::SIG_SETMASK as usize, &raw const set as usize, &raw mut old as usize, 8];
    // SAFETY: the kernel reads and writes one set each.
    unsafe { raw(linux::__NR_rt_sigprocmask, args) }?;
    Ok(old)
}

/// The signals that wait and are blocked.
///
/// # Errors
/// None.
pub fn pending() -> Result<u64> {
    let mut set = 0u64;
    // SAFETY: the kernel writes one set.
    unsafe { raw(linux::__NR_rt_sigpending, [&raw mut set as usize, 8]) }?;
    Ok(set)
}

/// Waits with `set` blocked until a handler has run.
///
/// # Errors
/// `EINTR`, always.
pub fn suspend(set: u64) -> Result<()> {
    // SAFETY: the kernel reads one set.
    unsafe { raw(linux::__NR_rt_sigsuspend, [&raw const set as usize, 8]) }.map(drop)
}

/// Takes one of the signals in `set`, waiting up to `timeout_ns` nanoseconds for it.
///
/// # Errors
/// `EAGAIN`: none came.
pub fn take(set: u64, timeout_ns: u64) -> Result<Info> {
    let mut info = Info::EMPTY;
    let timeout = [timeout_ns / 1_000_000_000, timeout_ns % 1_000_000_000];
    let args = [&raw const set as usize, &raw mut info as usize, timeout.as_ptr() as usize, 8];
    // SAFETY: the kernel writes one siginfo.
    unsafe { raw(linux::__NR_rt_sigtimedwait, args) }?;
    Ok(info)
}

/// Sets the alternate stack: address, flags, bytes; returns the old one.
///
/// # Errors
/// `ENOMEM`: too small. `EPERM`: in use.
pub fn set_alt_stack(new: Option<[usize; 3]>) -> Result<[usize; 3]> {
    let mut old = [0usize; 3];
    let new = new.as_ref().map_or(0, |new| new.as_ptr() as usize);
    // SAFETY: the kernel reads and writes one `stack_t` each.
    unsafe { raw(linux::__NR_sigaltstack, [new, old.as_mut_ptr() as usize]) }?;
    old[1] &= 0xffff_ffff;
    Ok(old)
}

/// Sends `signal` to thread `tid` of process `pid`.
///
/// # Errors
/// `ESRCH`: no such thread.
pub fn kill_thread(pid: Pid, tid: Pid, signal: u32) -> Result<()> {
    // SAFETY: touches no memory.
    unsafe { raw(linux::__NR_tgkill, [pid as usize, tid as usize, signal as usize]) }.map(drop)
}

/// Sends `signal` with a value to process `pid`.
///
/// # Errors
/// `ESRCH`; `EAGAIN`: too many wait.
pub fn queue(pid: Pid, signal: u32, value: i32) -> Result<()> {
    const SI_QUEUE: i32 = -1;
    let info =
        Info { signal, code: SI_QUEUE, pid: super::process::getpid() as u32, status: value, ..Info::EMPTY };
    let args = [pid as usize, signal as usize, &raw const info as usize];
    // SAFETY: the kernel reads one siginfo.
    unsafe { raw(linux::__NR_rt_sigqueueinfo, args) }.map(drop)
}

/// Has SIGALRM sent in `first_us` microseconds (0: not) and every `interval_us` from then on (0: not again).
///
/// # Errors
/// None.
pub fn set_alarm(first_us: u64, interval_us: u64) -> Result<()> {
    let value =
        [interval_us / 1_000_000, interval_us % 1_000_000, first_us / 1_000_000, first_us % 1_000_000];
    // SAFETY: the kernel reads one `itimerval`.
    unsafe { raw(linux::__NR_setitimer, [0, value.as_ptr() as usize, 0]) }.map(drop)
}
