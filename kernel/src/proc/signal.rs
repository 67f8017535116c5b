//! Signals without handlers: what is pending, blocked and ignored, and what a wait status says.
//!
//! A process can ignore, block and default signals but cannot install a handler (`rt_sigaction` says ENOSYS), so a
//! signal either kills or does nothing, and no process ever stops: SIGSTOP and its kin do nothing either.
//! Signal numbers are 1 to 64; in a mask, signal n is bit n - 1, as in Linux's `sigset_t`.
//!
//! The masks are atomics because another process sends; only the owner changes what it blocks and ignores.

use core::sync::atomic::{AtomicU64, Ordering::*};

use linux_raw_sys::general as raw;

/// The greatest signal number.
pub const MAX: u32 = 64;
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
/// A child has exited; ignoring it means that there will be no zombies.
pub const SIGCHLD: u32 = raw::SIGCHLD;

const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// The signals whose default action is not to kill: "ignore", "continue" and "stop" in Linux (signal(7)).
const HARMLESS: u64 = bit(SIGCHLD)
    | bit(raw::SIGCONT)
    | bit(raw::SIGSTOP)
    | bit(raw::SIGTSTP)
    | bit(raw::SIGTTIN)
    | bit(raw::SIGTTOU)
    | bit(raw::SIGURG)
    | bit(raw::SIGWINCH);

/// The signals that can be neither blocked nor ignored.
const UNSTOPPABLE: u64 = bit(SIGKILL) | bit(raw::SIGSTOP);

/// A process's signals.
#[derive(Default)]
pub struct Signals {
    pending: AtomicU64,
    blocked: AtomicU64,
    ignored: AtomicU64,
}

impl Signals {
    /// Nothing pending, blocked or ignored.
    pub const fn new() -> Self {
        Signals { pending: AtomicU64::new(0), blocked: AtomicU64::new(0), ignored: AtomicU64::new(0) }
    }

    /// What a child starts with: the parent's masks, nothing pending.
    pub fn for_child(&self) -> Self {
        Signals {
            pending: AtomicU64::new(0),
            blocked: AtomicU64::new(self.blocked.load(Relaxed)),
            ignored: AtomicU64::new(self.ignored.load(Relaxed)),
        }
    }

    /// Makes `signal` (1 to [`MAX`]) pending unless it does nothing. True if the process has to die of it now.
    #[must_use]
    pub fn post(&self, signal: u32) -> bool {
        if bit(signal) & (HARMLESS | self.ignored.load(Relaxed)) != 0 {
            return false;
        }
        self.pending.fetch_or(bit(signal), SeqCst);
        self.fatal().is_some()
    }

    /// The signal that the process has to die of: SIGKILL before others, then the smallest number.
    pub fn fatal(&self) -> Option<u32> {
        let deliverable = self.pending.load(SeqCst) & !self.blocked.load(Relaxed);
        match deliverable {
            0 => None,
            set if set & bit(SIGKILL) != 0 => Some(SIGKILL),
            set => Some(set.trailing_zeros() + 1),
        }
    }

    /// Whether the process has asked to ignore `signal`.
    pub fn ignores(&self, signal: u32) -> bool {
        self.ignored.load(Relaxed) & bit(signal) != 0
    }

    /// Whether `signal` can be ignored at all.
    pub fn can_ignore(signal: u32) -> bool {
        bit(signal) & UNSTOPPABLE == 0
    }

    /// Ignores `signal` or returns it to its default. A pending one that is ignored now is forgotten (POSIX).
    pub fn set_ignored(&self, signal: u32, ignored: bool) {
        if ignored {
            self.ignored.fetch_or(bit(signal), Relaxed);
            self.pending.fetch_and(!bit(signal), SeqCst);
        } else {
            self.ignored.fetch_and(!bit(signal), Relaxed);
        }
    }

    /// The mask of blocked signals.
    pub fn blocked(&self) -> u64 {
        self.blocked.load(Relaxed)
    }

    /// Sets the mask of blocked signals; what cannot be blocked is left out.
    pub fn set_blocked(&self, mask: u64) {
        self.blocked.store(mask & !UNSTOPPABLE, SeqCst);
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
        assert_eq!(shell_status(status_exited(7)), 7);
        assert_eq!(shell_status(status_killed(SIGKILL)), 137);
    }

    #[test]
    fn default_actions() {
        let signals = Signals::new();
        for harmless in [SIGCHLD, raw::SIGCONT, raw::SIGSTOP, raw::SIGWINCH] {
            assert!(!signals.post(harmless));
        }
        assert_eq!(signals.fatal(), None);
        assert!(signals.post(raw::SIGTERM));
        assert!(signals.post(SIGKILL));
        assert_eq!(signals.fatal(), Some(SIGKILL));
    }

    #[test]
    fn blocked_signals_wait_and_ignored_ones_vanish() {
        let signals = Signals::new();
        signals.set_blocked(u64::MAX);
        assert!(!signals.post(raw::SIGTERM));
        assert!(signals.post(SIGKILL), "SIGKILL cannot be blocked");
        let signals = signals.for_child();
        assert!(!signals.post(raw::SIGTERM), "a child inherits the mask");
        signals.set_blocked(0);
        assert_eq!(signals.fatal(), Some(raw::SIGTERM));
        signals.set_ignored(raw::SIGTERM, true);
        assert_eq!(signals.fatal(), None);
        assert!(!signals.post(raw::SIGTERM));
        assert!(!Signals::can_ignore(SIGKILL) && Signals::can_ignore(SIGCHLD));
    }
}
