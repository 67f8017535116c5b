//! The system calls, how often each is made, and what its arguments are meant to be. Numbers that are not here are called
//! too, with arbitrary arguments, but less often.

use linux_raw_sys::general::*;

use crate::held::Sort;
use crate::kind::Kind::{self, *};
use crate::random::Random;

/// A system call: its number, its share among all, and its arguments. Those not named are arbitrary.
pub type Call = (u32, u16, &'static [Kind]);

const ZERO: Kind = Is(0);
const SET_SIZE: Kind = Is(8);
const FILE: Kind = Held(Sort::File);
const DIRECTORY: Kind = Held(Sort::Directory);
const PIPE: Kind = Held(Sort::Pipe);
const SOCKET: Kind = Held(Sort::Socket);
const LISTENER: Kind = Held(Sort::Listener);
const EVENT_SET: Kind = Held(Sort::Set);
const TIMER: Kind = Held(Sort::Timer);
const PIDFD: Kind = Held(Sort::Process);
const MONITOR: Kind = Held(Sort::Monitor);

/// All those with a shape.
pub const CALLS: &[Call] = &[
    // Memory.
    (__NR_mmap, 40, &[Page, Span, Prot, MapFlags, FILE, Offset]),
    (__NR_munmap, 16, &[Page, Span]),
    (__NR_mremap, 16, &[Page, Span, Span, RemapFlags, Page]),
    (__NR_mprotect, 24, &[Page, Span, Prot]),
    (__NR_madvise, 40, &[Page, Span, Advice]),
    (__NR_brk, 8, &[Break]),
    (__NR_mincore, 8, &[Page, Span, Buffer]),
    (__NR_msync, 8, &[Page, Span, Small]),
    (__NR_mlock, 8, &[Page, Span]),
    (__NR_mlock2, 4, &[Page, Span, Small]),
    (__NR_munlock, 8, &[Page, Span]),
    (__NR_mlockall, 1, &[Small]),
    (__NR_munlockall, 2, &[]),
    (__NR_process_madvise, 6, &[PIDFD, Vector, Count, Advice, ZERO]),
    (__NR_process_vm_readv, 6, &[Pid, Vector, Count, Vector, Count, ZERO]),
    (__NR_process_vm_writev, 6, &[Pid, Vector, Count, Vector, Count, ZERO]),
    (__NR_process_mrelease, 1, &[PIDFD, ZERO]),
    (__NR_userfaultfd, 4, &[Flags]),
    (__NR_memfd_create, 8, &[Path, Small]),
    (__NR_memfd_secret, 1, &[Flags]),
    (__NR_membarrier, 2, &[Small, ZERO, Small]),
    (__NR_mseal, 2, &[Page, Span, ZERO]),
    // Processes, threads, signals.
    (__NR_clone, 10, &[CloneFlags, ZERO, Buffer, Buffer, Any]),
    (__NR_clone3, 4, &[CloneArgs, ArgsSize]),
    (__NR_execve, 2, &[Program, Strings, Strings]),
    (__NR_execveat, 1, &[Dir, Program, Strings, Strings, Flags]),
    (__NR_exit, 1, &[Small]),
    (__NR_exit_group, 1, &[Small]),
    (__NR_wait4, 10, &[Pid, Buffer, WaitFlags, Buffer]),
    (__NR_waitid, 6, &[IdType, Pid, Buffer, WaitFlags, Buffer]),
    (__NR_getpid, 1, &[]),
    (__NR_gettid, 1, &[]),
    (__NR_getppid, 1, &[]),
    (__NR_set_tid_address, 4, &[Buffer]),
    (__NR_set_robust_list, 4, &[Robust, Is(24)]),
    (__NR_get_robust_list, 2, &[Pid, Buffer, Buffer]),
    (__NR_rseq, 2, &[Buffer, Is(32), Flags, Any]),
    (__NR_futex, 24, &[Word, FutexOp, Few, Time, Word, Few]),
    (__NR_setpgid, 2, &[Pid, Pid]),
    (__NR_getpgid, 2, &[Pid]),
    (__NR_getsid, 2, &[Pid]),
    (__NR_setsid, 1, &[]),
    (__NR_prctl, 6, &[Process, Any, Any, Any, Any]),
    (__NR_getrusage, 3, &[Small, Buffer]),
    (__NR_times, 3, &[Buffer]),
    (__NR_capget, 3, &[Buffer, Buffer]),
    (__NR_capset, 3, &[Buffer, Buffer]),
    (__NR_setuid, 1, &[Small]),
    (__NR_setresuid, 1, &[Small, Small, Small]),
    (__NR_getresuid, 2, &[Buffer, Buffer, Buffer]),
    (__NR_getgroups, 2, &[Length, Buffer]),
    (__NR_setgroups, 1, &[Length, Buffer]),
    (__NR_sched_yield, 4, &[]),
    (__NR_sched_setscheduler, 1, &[Pid, Small, Buffer]),
    (__NR_sched_getscheduler, 1, &[Pid]),
    (__NR_sched_getparam, 2, &[Pid, Buffer]),
    (__NR_sched_setaffinity, 2, &[Pid, Length, Buffer]),
    (__NR_sched_getaffinity, 3, &[Pid, Is(8), Buffer]),
    (__NR_getpriority, 1, &[Few, Pid]),
    (__NR_setpriority, 1, &[Few, Pid, Small]),
    (__NR_getcpu, 2, &[Buffer, Buffer]),
    (__NR_kill, 8, &[Pid, Signal]),
    (__NR_tkill, 6, &[Pid, Signal]),
    (__NR_tgkill, 6, &[Pid, Pid, Signal]),
    (__NR_rt_sigqueueinfo, 6, &[Pid, Signal, Buffer]),
    (__NR_rt_tgsigqueueinfo, 4, &[Pid, Pid, Signal, Buffer]),
    (__NR_rt_sigaction, 12, &[Signal, Action, Buffer, SET_SIZE]),
    (__NR_rt_sigprocmask, 8, &[Few, Set, Buffer, SET_SIZE]),
    (__NR_rt_sigpending, 3, &[Buffer, SET_SIZE]),
    (__NR_rt_sigsuspend, 2, &[Set, SET_SIZE]),
    (__NR_rt_sigtimedwait, 6, &[Set, Buffer, Time, SET_SIZE]),
    (__NR_rt_sigreturn, 1, &[]),
    (__NR_sigaltstack, 2, &[Stack, Buffer]),
    (__NR_setitimer, 3, &[Few, Interval, Buffer]),
    (__NR_getitimer, 2, &[Few, Buffer]),
    (__NR_timer_create, 2, &[Clock, Buffer, Buffer]),
    (__NR_timer_settime, 4, &[Small, Small, Interval, Buffer]),
    (__NR_timer_gettime, 2, &[Small, Buffer]),
    (__NR_timer_getoverrun, 2, &[Small]),
    (__NR_timer_delete, 2, &[Small]),
    (__NR_pidfd_open, 4, &[Pid, Few]),
    (__NR_pidfd_send_signal, 4, &[PIDFD, Signal, ZERO, ZERO]),
    (__NR_pidfd_getfd, 2, &[PIDFD, Fd, ZERO]),
    (__NR_futex_waitv, 1, &[Buffer, Few, ZERO, Time, Is(1)]),
    (__NR_signalfd4, 6, &[NewOrFd, Set, SET_SIZE, FdFlags]),
    // Time and the system.
    (__NR_restart_syscall, 1, &[]),
    (__NR_nanosleep, 4, &[Time, Buffer]),
    (__NR_clock_nanosleep, 4, &[Clock, Small, Time, Buffer]),
    (__NR_clock_gettime, 6, &[Clock, Buffer]),
    (__NR_clock_getres, 3, &[Clock, Buffer]),
    (__NR_gettimeofday, 2, &[Buffer, Buffer]),
    (__NR_uname, 2, &[Buffer]),
    (__NR_sysinfo, 2, &[Buffer]),
    (__NR_personality, 1, &[Any]),
    (__NR_getrandom, 8, &[Buffer, Length, Small]),
    (__NR_prlimit64, 6, &[Pid, Small, Buffer, Buffer]),
    (__NR_getrlimit, 2, &[Small, Buffer]),
    (__NR_setrlimit, 2, &[Small, Buffer]),
    (__NR_reboot, 1, &[Any, Any, Any]),
    // Files.
    (__NR_openat, 40, &[Dir, Path, OpenFlags, Mode]),
    (__NR_openat2, 4, &[Dir, Path, How, Is(24)]),
    (__NR_close, 16, &[Fd]),
    (__NR_close_range, 2, &[Fd, Fd, Small]),
    (__NR_read, 40, &[Fd, Buffer, Length]),
    (__NR_write, 40, &[Fd, Buffer, Length]),
    (__NR_readv, 10, &[Fd, Vector, Count]),
    (__NR_writev, 10, &[Fd, Vector, Count]),
    (__NR_pread64, 8, &[Fd, Buffer, Length, Offset]),
    (__NR_pwrite64, 8, &[Fd, Buffer, Length, Offset]),
    (__NR_preadv, 4, &[Fd, Vector, Count, Offset, ZERO]),
    (__NR_pwritev, 4, &[Fd, Vector, Count, Offset, ZERO]),
    (__NR_preadv2, 4, &[Fd, Vector, Count, Offset, ZERO, Small]),
    (__NR_pwritev2, 4, &[Fd, Vector, Count, Offset, ZERO, Small]),
    (__NR_lseek, 8, &[Fd, Offset, Few]),
    (__NR_fstat, 6, &[Fd, Buffer]),
    (__NR_newfstatat, 6, &[Dir, Path, Buffer, Flags]),
    (__NR_statx, 6, &[Dir, Path, Flags, Flags, Buffer]),
    (__NR_statfs, 3, &[Path, Buffer]),
    (__NR_fstatfs, 3, &[Fd, Buffer]),
    (__NR_readlinkat, 6, &[Dir, Path, Buffer, Length]),
    (__NR_faccessat, 3, &[Dir, Path, Small]),
    (__NR_faccessat2, 3, &[Dir, Path, Small, Flags]),
    (__NR_getcwd, 4, &[Buffer, Length]),
    (__NR_chdir, 3, &[OwnPath]),
    (__NR_fchdir, 2, &[DIRECTORY]),
    (__NR_chroot, 1, &[OwnPath]),
    (__NR_umask, 2, &[Mode]),
    (__NR_mount, 2, &[Path, Path, Path, Flags, Buffer]),
    (__NR_umount2, 2, &[Path, Flags]),
    (__NR_getdents64, 12, &[DIRECTORY, Buffer, Length]),
    (__NR_mkdirat, 8, &[Dir, OwnPath, Mode]),
    (__NR_mknodat, 6, &[Dir, OwnPath, Mode, Device]),
    (__NR_symlinkat, 6, &[Path, Dir, OwnPath]),
    (__NR_linkat, 6, &[Dir, OwnPath, Dir, OwnPath, ZERO]),
    (__NR_unlinkat, 8, &[Dir, OwnPath, Flags]),
    (__NR_renameat, 4, &[Dir, OwnPath, Dir, OwnPath]),
    (__NR_renameat2, 6, &[Dir, OwnPath, Dir, OwnPath, Few]),
    (__NR_fchmod, 3, &[Fd, Mode]),
    (__NR_fchmodat, 3, &[Dir, OwnPath, Mode]),
    (__NR_fchmodat2, 3, &[Dir, OwnPath, Mode, Flags]),
    (__NR_fchown, 3, &[Fd, Any, Any]),
    (__NR_fchownat, 3, &[Dir, OwnPath, Any, Any, Flags]),
    (__NR_utimensat, 4, &[Dir, OwnPath, Buffer, Flags]),
    (__NR_truncate, 4, &[OwnPath, Offset]),
    (__NR_ftruncate, 8, &[FILE, Offset]),
    (__NR_fallocate, 8, &[FILE, Few, Offset, Offset]),
    (__NR_fadvise64, 3, &[Fd, Offset, Offset, Small]),
    (__NR_readahead, 2, &[Fd, Offset, Length]),
    (__NR_fsync, 2, &[Fd]),
    (__NR_sync_file_range, 2, &[Fd, Offset, Offset, Small]),
    (__NR_syncfs, 1, &[Fd]),
    (__NR_sendfile, 8, &[Fd, Fd, Where, Length]),
    (__NR_copy_file_range, 8, &[FILE, Where, FILE, Where, Length, ZERO]),
    (__NR_pipe2, 6, &[Buffer, Flags]),
    (__NR_splice, 12, &[End, Where, End, Where, Length, Few]),
    (__NR_tee, 6, &[PIPE, PIPE, Length, Few]),
    (__NR_vmsplice, 10, &[PIPE, Vector, Count, Few]),
    (__NR_dup, 6, &[Fd]),
    (__NR_dup3, 6, &[Fd, Fd, Flags]),
    (__NR_fcntl, 12, &[Fd, Command, Any]),
    (__NR_flock, 3, &[Fd, Small]),
    (__NR_ioctl, 12, &[Fd, Request, Buffer]),
    (__NR_ioctl, 24, &[MONITOR, MonitorRequest, MonitorRange]),
    (__NR_read, 2, &[MONITOR, Buffer, Length]),
    (__NR_inotify_init1, 1, &[Flags]),
    (__NR_sendmmsg, 2, &[SOCKET, Message, Few, ZERO]),
    (__NR_recvmmsg, 2, &[SOCKET, Message, Few, ZERO, Time]),
    (__NR_fgetxattr, 1, &[Fd, Path, Buffer, Length]),
    // Events and sockets.
    (__NR_ppoll, 6, &[Polls, Few, Time, Set, SET_SIZE]),
    (__NR_pselect6, 6, &[Is(64), Bits, Bits, Bits, Time, ZERO]),
    (__NR_eventfd2, 4, &[Small, Flags]),
    (__NR_timerfd_create, 4, &[Clock, Flags]),
    (__NR_timerfd_settime, 6, &[TIMER, Small, Time, Buffer]),
    (__NR_timerfd_gettime, 3, &[TIMER, Buffer]),
    (__NR_epoll_create1, 4, &[Flags]),
    (__NR_epoll_ctl, 16, &[EVENT_SET, SetOp, Fd, Event]),
    (__NR_epoll_pwait, 8, &[EVENT_SET, Buffer, Small, Small, ZERO, SET_SIZE]),
    (__NR_epoll_pwait2, 4, &[EVENT_SET, Buffer, Small, Time, Set, SET_SIZE]),
    (__NR_socket, 8, &[Family, SocketType, ZERO]),
    (__NR_socketpair, 8, &[Family, SocketType, ZERO, Buffer]),
    (__NR_bind, 8, &[SOCKET, Address, AddressSize]),
    (__NR_listen, 3, &[SOCKET, Small]),
    (__NR_accept, 6, &[LISTENER, ZERO, ZERO]),
    (__NR_accept4, 6, &[LISTENER, Buffer, Room, ZERO]),
    (__NR_connect, 8, &[SOCKET, Address, AddressSize]),
    (__NR_getsockname, 4, &[SOCKET, Buffer, Room]),
    (__NR_getpeername, 4, &[SOCKET, Buffer, Room]),
    (__NR_sendto, 8, &[SOCKET, Buffer, Length, Flags, ZERO, ZERO]),
    (__NR_recvfrom, 8, &[SOCKET, Buffer, Length, Flags, Buffer, Room]),
    (__NR_sendmsg, 8, &[SOCKET, Message, Flags]),
    (__NR_recvmsg, 8, &[SOCKET, Message, Flags]),
    (__NR_shutdown, 1, &[SOCKET, Few]),
    (__NR_setsockopt, 6, &[SOCKET, Is(1), Small, Buffer, Length]),
    (__NR_getsockopt, 6, &[SOCKET, Is(1), Small, Buffer, Room]),
];

/// Numbers below this one are all called; those of Linux 6.12 end well before.
pub const NUMBERS: u32 = 512;

const TOTAL: u64 = {
    let (mut index, mut sum) = (0, 0);
    while index < CALLS.len() {
        sum += CALLS[index].1 as u64;
        index += 1;
    }
    sum
};

/// The next call: as a rule one of [`CALLS`] by its share, else any number.
pub fn choose(random: &mut Random) -> Call {
    match random.below(32) {
        0 if random.one_in(4) => (random.next() as u32, 0, &[]),
        0 => (random.below(NUMBERS.into()) as u32, 0, &[]),
        _ => {
            let mut at = random.below(TOTAL);
            for call in CALLS {
                match at.checked_sub(call.1.into()) {
                    Some(rest) => at = rest,
                    None => return *call,
                }
            }
            CALLS[0]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_listed_once_and_has_six_arguments_at_most() {
        for (index, call) in CALLS.iter().enumerate() {
            assert!(call.1 > 0 && call.2.len() <= 6, "{}", call.0);
            let same = |other: &Call| (other.0, other.2) == (call.0, call.2);
            assert!(!CALLS[..index].iter().any(same), "{}", call.0);
        }
    }

    #[test]
    fn all_numbers_are_called_and_the_shares_are_kept() {
        let mut random = Random::new(3, 0);
        let mut counts = [0u32; NUMBERS as usize];
        let mut beyond = 0;
        for _ in 0..400_000 {
            match counts.get_mut(choose(&mut random).0 as usize) {
                Some(count) => *count += 1,
                None => beyond += 1,
            }
        }
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        assert!(beyond > 1000);
        let ratio = counts[__NR_mmap as usize] / counts[__NR_msync as usize];
        assert!((4..=6).contains(&ratio), "{ratio}");
    }
}
