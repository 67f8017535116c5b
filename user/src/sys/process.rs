//! Processes: fork, exec, exit, wait, kill.

use core::ffi::{CStr, c_char};

use linux_raw_sys::general as linux;

use super::{Result, raw};
use crate::rt::syscall::syscall;

/// A process ID.
pub type Pid = i32;

/// Signal numbers that programs here send or expect.
pub mod signal {
    use linux_raw_sys::general as linux;

    /// Illegal instruction.
    pub const SIGILL: u32 = linux::SIGILL;
    /// Access to a file mapping behind the file's end.
    pub const SIGBUS: u32 = linux::SIGBUS;
    /// Kill, not to be caught.
    pub const SIGKILL: u32 = linux::SIGKILL;
    /// Bad memory access.
    pub const SIGSEGV: u32 = linux::SIGSEGV;
    /// Write to a pipe that nobody reads.
    pub const SIGPIPE: u32 = linux::SIGPIPE;
    /// Polite request to end.
    pub const SIGTERM: u32 = linux::SIGTERM;
    /// For the program's own use.
    pub const SIGUSR1: u32 = linux::SIGUSR1;
    /// For the program's own use.
    pub const SIGUSR2: u32 = linux::SIGUSR2;
    /// A timer has run out.
    pub const SIGALRM: u32 = linux::SIGALRM;
    /// A child has ended, stopped or goes on.
    pub const SIGCHLD: u32 = linux::SIGCHLD;
    /// Go on.
    pub const SIGCONT: u32 = linux::SIGCONT;
    /// Stop, not to be caught.
    pub const SIGSTOP: u32 = linux::SIGSTOP;
    /// Stop, from the terminal.
    pub const SIGTSTP: u32 = linux::SIGTSTP;
    /// The session's leader is gone.
    pub const SIGHUP: u32 = linux::SIGHUP;
}

/// [`wait_for`]: return at once if no child has ended yet.
pub const WNOHANG: u32 = linux::WNOHANG;

/// [`wait_for`]: a stop counts.
pub const WUNTRACED: u32 = linux::WUNTRACED;
/// [`wait_for`]: that a child goes on counts.
pub const WCONTINUED: u32 = linux::WCONTINUED;

/// How a child ended, as wait4 reports it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status(pub u32);

/// The status of a child that goes on.
pub const CONTINUED: u32 = 0xffff;

impl Status {
    /// The exit status (0 to 255), if the child exited.
    pub fn exited(self) -> Option<i32> {
        (self.0 & 0x7f == 0).then_some((self.0 >> 8 & 0xff) as i32)
    }

    /// The signal that killed the child, if one did.
    pub fn signalled(self) -> Option<u32> {
        let signal = self.0 & 0x7f;
        (signal != 0 && signal != 0x7f && self.0 != CONTINUED).then_some(signal)
    }

    /// The signal that stopped the child, if one did.
    pub fn stopped(self) -> Option<u32> {
        (self.0 & 0xff == 0x7f).then_some(self.0 >> 8)
    }

    /// The status a shell would show: the exit status, or 128 plus the signal.
    pub fn as_code(self) -> i32 {
        match self.signalled() {
            Some(signal) => 128 + signal as i32,
            None => self.exited().unwrap_or(128),
        }
    }
}

/// Forks. `Ok(0)` in the child, the child's PID in the parent.
///
/// # Errors
/// `ENOMEM` out of memory, `EAGAIN` out of processes; no child exists then.
pub fn fork() -> Result<Pid> {
    // SAFETY: without CLONE_VM the child has its own copy of all memory, and programs have one thread.
    unsafe { raw(linux::__NR_clone, [linux::SIGCHLD as usize]) }.map(|pid| pid as Pid)
}

/// Forks a child that runs `body` and exits with its result. Returns the child's PID.
///
/// # Errors
/// As [`fork`].
pub fn spawn(body: impl FnOnce() -> i32) -> Result<Pid> {
    match fork()? {
        0 => exit(body()),
        pid => Ok(pid),
    }
}

/// Ends the process with `status` (the low 8 bits reach the parent).
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: ends the process; nothing is left that could be unsound.
        unsafe { syscall(linux::__NR_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

/// Waits for child `pid` (-1: any) and returns who ended how; `None` with [`WNOHANG`] if nobody has yet.
///
/// # Errors
/// `ECHILD`: there is no such child.
pub fn wait_for(pid: Pid, options: u32) -> Result<Option<(Pid, Status)>> {
    let mut status = 0u32;
    let args = [pid as usize, &raw mut status as usize, options as usize, 0];
    // SAFETY: the kernel writes four bytes to `status`.
    let who = unsafe { raw(linux::__NR_wait4, args) }? as Pid;
    Ok((who != 0).then_some((who, Status(status))))
}

/// Waits until child `pid` has ended.
///
/// # Errors
/// `ECHILD`: not a child of this process.
pub fn wait(pid: Pid) -> Result<Status> {
    loop {
        if let Some((_, status)) = wait_for(pid, 0)? {
            return Ok(status);
        }
    }
}

/// Sends `signal` to process `pid`; signal 0 only asks whether it exists.
///
/// # Errors
/// `ESRCH`: no such process. `EINVAL`: no such signal.
pub fn kill(pid: Pid, signal: u32) -> Result<()> {
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_kill, [pid as usize, signal as usize]) }.map(drop)
}

/// Puts process `pid` (0: this one) into process group `pgid` (0: of its own number).
///
/// # Errors
/// `EPERM`, `ESRCH`, `EACCES`: see setpgid(2).
pub fn set_group(pid: Pid, pgid: Pid) -> Result<()> {
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_setpgid, [pid as usize, pgid as usize]) }.map(drop)
}

/// The process group of `pid` (0: this one).
///
/// # Errors
/// `ESRCH`.
pub fn group_of(pid: Pid) -> Result<Pid> {
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_getpgid, [pid as usize]) }.map(|pid| pid as Pid)
}

/// The session of `pid` (0: this one).
///
/// # Errors
/// `ESRCH`.
pub fn session_of(pid: Pid) -> Result<Pid> {
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_getsid, [pid as usize]) }.map(|pid| pid as Pid)
}

/// Makes this process the leader of a new session.
///
/// # Errors
/// `EPERM`: it leads a process group.
pub fn new_session() -> Result<Pid> {
    // SAFETY: no arguments.
    unsafe { raw(linux::__NR_setsid, []) }.map(|pid| pid as Pid)
}

/// Gives the CPU to another process if one is ready.
pub fn yield_now() {
    // SAFETY: no arguments. It cannot fail.
    let _ = unsafe { raw(linux::__NR_sched_yield, []) };
}

/// This process.
pub fn getpid() -> Pid {
    // SAFETY: no arguments.
    unsafe { syscall(linux::__NR_getpid, [0; 6]) as Pid }
}

/// The parent process.
pub fn getppid() -> Pid {
    // SAFETY: no arguments.
    unsafe { syscall(linux::__NR_getppid, [0; 6]) as Pid }
}

/// Replaces the program by the file at `path`. `argv` and `envp` must end with a null pointer.
///
/// Returns only to report an error: `ENOENT`, `EACCES`, `ENOEXEC` (not a program), `ENOMEM`, `E2BIG`.
///
/// # Panics
/// If `argv` or `envp` does not end with a null pointer.
pub fn execve(path: &CStr, argv: &[*const c_char], envp: &[*const c_char]) -> super::Errno {
    assert!(argv.last().is_some_and(|p| p.is_null()) && envp.last().is_some_and(|p| p.is_null()));
    let args = [path.as_ptr() as usize, argv.as_ptr() as usize, envp.as_ptr() as usize];
    // SAFETY: the kernel only reads, and a bad pointer among the strings is its EFAULT.
    match unsafe { raw(linux::__NR_execve, args) } {
        Err(errno) => errno,
        // Only if a kernel returned without an error, which would be its bug.
        Ok(_) => super::Errno::EIO,
    }
}
