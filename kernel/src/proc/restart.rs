//! What becomes of a system call that a signal interrupts, by its number (signal(7), "Interruption of system calls").
//!
//! A call ends with EINTR inside the kernel in any case. If no handler is run after all (the signal stopped the process,
//! or another thread took it), it starts again as if nothing had been; if one is run, that depends.

use linux_raw_sys::general::*;

/// What becomes of an interrupted call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// It starts again, with a handler too if that was installed with SA_RESTART.
    Restart,
    /// It starts again only without a handler.
    WithoutHandler,
    /// As that, but goes on by restart_syscall, as time has passed.
    Continue,
    /// It fails with EINTR in any case.
    Never,
}

/// The class of system call `number`. Those that cannot be interrupted are in any.
#[allow(non_upper_case_globals)] // `__NR_futex` is what Linux calls it
pub(crate) fn class(number: u32) -> Class {
    match number {
        __NR_nanosleep | __NR_clock_nanosleep | __NR_futex | __NR_restart_syscall => Class::Continue,
        __NR_rt_sigsuspend | __NR_ppoll | __NR_pselect6 => Class::WithoutHandler,
        __NR_rt_sigtimedwait | __NR_epoll_pwait | __NR_epoll_pwait2 | __NR_execve => Class::Never,
        _ => Class::Restart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_in_signal_7() {
        for number in [__NR_read, __NR_write, __NR_wait4, __NR_waitid, __NR_openat, __NR_ioctl] {
            assert_eq!(class(number), Class::Restart);
        }
        assert_eq!(class(__NR_ppoll), Class::WithoutHandler);
        assert_eq!(class(__NR_nanosleep), Class::Continue);
        assert_eq!(class(__NR_epoll_pwait), Class::Never);
    }
}
