//! Signals as far as they need no machine: what they are called and do by default, what a process has them do
//! (`action`), which ones wait (`pending`) with what they tell (`info`), what one thread blocks (`thread`), and what a
//! handler finds on its stack (`frame`).
//!
//! Signal numbers are 1 to 64; in a set, signal n is bit n - 1, as in Linux's `sigset_t`. Numbers from [`FIRST_QUEUED`]
//! on are the real-time ones, of which more than one may wait.

pub mod action;
pub mod frame;
pub mod info;
pub mod pending;
pub mod thread;

use linux_raw_sys::general as raw;

/// The greatest signal number.
pub const MAX: u32 = 64;
/// The first real-time signal.
pub const FIRST_QUEUED: u32 = raw::SIGRTMIN;
/// The session's leader is gone, or an orphaned group was stopped.
pub const SIGHUP: u32 = raw::SIGHUP;
/// Control-C.
pub const SIGINT: u32 = raw::SIGINT;
/// Control-\.
pub const SIGQUIT: u32 = raw::SIGQUIT;
/// Illegal instruction.
pub const SIGILL: u32 = raw::SIGILL;
/// Breakpoint.
pub const SIGTRAP: u32 = raw::SIGTRAP;
/// Bus error: past the end of a mapped file, or misaligned.
pub const SIGBUS: u32 = raw::SIGBUS;
/// Cannot be ignored or blocked.
pub const SIGKILL: u32 = raw::SIGKILL;
/// Segmentation fault.
pub const SIGSEGV: u32 = raw::SIGSEGV;
/// Write to a pipe nobody reads.
pub const SIGPIPE: u32 = raw::SIGPIPE;
/// A timer of time at EL0 has run out.
pub const SIGVTALRM: u32 = raw::SIGVTALRM;
/// A timer of CPU time has run out.
pub const SIGPROF: u32 = raw::SIGPROF;
/// More CPU time used than the soft limit.
pub const SIGXCPU: u32 = raw::SIGXCPU;
/// A timer has run out.
pub const SIGALRM: u32 = raw::SIGALRM;
/// A child has exited, stopped or continued; ignoring it means that there will be no zombies.
pub const SIGCHLD: u32 = raw::SIGCHLD;
/// Continue if stopped.
pub const SIGCONT: u32 = raw::SIGCONT;
/// Stop; cannot be ignored or blocked.
pub const SIGSTOP: u32 = raw::SIGSTOP;
/// Control-Z.
pub const SIGTSTP: u32 = raw::SIGTSTP;
/// The background reads from the terminal.
pub const SIGTTIN: u32 = raw::SIGTTIN;
/// The background changes the terminal.
pub const SIGTTOU: u32 = raw::SIGTTOU;
/// The terminal's size has changed.
pub const SIGWINCH: u32 = raw::SIGWINCH;

/// The set of only `signal` (1 to [`MAX`]).
pub const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// The signals that stop by default.
pub const STOPPING: u64 = bit(SIGSTOP) | bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU);

/// The signals that can be neither blocked nor caught nor ignored.
pub const UNSTOPPABLE: u64 = bit(SIGKILL) | bit(SIGSTOP);

/// The signals that the code under way causes itself; they come first (Linux: `SYNCHRONOUS_MASK`).
const SYNCHRONOUS: u64 =
    bit(SIGSEGV) | bit(SIGBUS) | bit(SIGILL) | bit(SIGTRAP) | bit(raw::SIGFPE) | bit(raw::SIGSYS);

/// What a signal does to a process that has not said otherwise (signal(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Default {
    /// The process ends. No core is ever dumped.
    Kill,
    /// Nothing.
    Ignore,
    /// The process stops.
    Stop,
    /// A stopped process goes on, which happens when the signal is sent; later it does nothing more.
    Continue,
}

/// What `signal` does by default.
pub const fn default_of(signal: u32) -> Default {
    match signal {
        SIGCHLD | SIGWINCH | raw::SIGURG => Default::Ignore,
        SIGSTOP | SIGTSTP | SIGTTIN | SIGTTOU => Default::Stop,
        SIGCONT => Default::Continue,
        _ => Default::Kill,
    }
}

/// The wait status of a process that called `exit(code)`: bits 15:8 are the code's low byte (Linux: wait(2)).
pub const fn status_exited(code: u32) -> u32 {
    (code & 0xff) << 8
}

/// The wait status of a process that `signal` killed; no core is ever dumped.
pub const fn status_killed(signal: u32) -> u32 {
    signal & 0x7f
}

/// The wait status of a process that `signal` stopped.
pub const fn status_stopped(signal: u32) -> u32 {
    signal << 8 | 0x7f
}

/// The wait status of a process that goes on after a stop.
pub const STATUS_CONTINUED: u32 = 0xffff;

/// What a shell makes of a wait status: the exit code, or 128 + signal.
pub const fn shell_status(status: u32) -> u32 {
    match status & 0x7f {
        0 => status >> 8 & 0xff,
        signal => 128 + signal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_status_is_linux_s() {
        assert_eq!(status_exited(0), 0);
        assert_eq!(status_exited(3), 0x300);
        assert_eq!(status_exited(0x1ff), 0xff00);
        assert_eq!(status_killed(SIGSEGV), 11);
        assert_eq!(status_stopped(SIGTSTP), 0x147f);
        assert_eq!(shell_status(status_exited(7)), 7);
        assert_eq!(shell_status(status_killed(SIGKILL)), 137);
    }

    #[test]
    fn default_actions() {
        for (signal, action) in [
            (SIGCHLD, Default::Ignore),
            (SIGWINCH, Default::Ignore),
            (SIGTTIN, Default::Stop),
            (SIGCONT, Default::Continue),
            (SIGKILL, Default::Kill),
            (FIRST_QUEUED, Default::Kill),
            (MAX, Default::Kill),
        ] {
            assert_eq!(default_of(signal), action, "{signal}");
        }
        let stops = (1..=MAX).filter(|signal| default_of(*signal) == Default::Stop);
        assert_eq!(stops.fold(0, |set, signal| set | bit(signal)), STOPPING);
    }
}
