//! Which handler serves which number.

use linux_raw_sys::general::*;

use super::{
    capability, event, exec, file, futex, limit, mem, mlock, pidfd, poll, proc, remote, signal, socket,
    system, time, timer, unknown, usage, userfault,
};
use crate::arch::TrapFrame;
use crate::errno::{Errno, Result};
use crate::proc::deliver;

/// Executes the system call that the EL0 registers in `frame` ask for.
pub fn dispatch(frame: &mut TrapFrame) {
    let [a0, a1, a2, a3, a4, a5, ..] = frame.x;
    let number = frame.x[8] as u32;
    frame.x[0] = match call(number, &[a0, a1, a2, a3, a4, a5], frame) {
        Ok(value) => value as u64,
        Err(error) => {
            if error == Errno::EINTR {
                deliver::interrupted(number, a0);
            }
            error.to_ret()
        }
    };
}

#[inline(always)] // one caller
#[allow(non_upper_case_globals)] // `__NR_clone` is what Linux calls it
fn call(number: u32, args: &[u64; 6], frame: &mut TrapFrame) -> Result<usize> {
    match number {
        // Processes and threads.
        __NR_clone => proc::clone(args, frame),
        __NR_clone3 => proc::clone3(args, frame),
        __NR_execve => exec::execve(args, frame),
        __NR_exit => proc::exit(args),
        __NR_exit_group => proc::exit_group(args),
        __NR_wait4 => proc::wait4(args),
        __NR_waitid => proc::waitid(args),
        __NR_getpid => proc::getpid(args),
        __NR_gettid => proc::gettid(args),
        __NR_getppid => proc::getppid(args),
        __NR_set_tid_address => proc::set_tid_address(args),
        __NR_set_robust_list => proc::set_robust_list(args),
        __NR_futex => futex::futex(args),
        __NR_setpgid => proc::setpgid(args),
        __NR_getpgid => proc::getpgid(args),
        __NR_getsid => proc::getsid(args),
        __NR_setsid => proc::setsid(args),
        __NR_prctl => proc::prctl(args),
        __NR_getrusage => usage::getrusage(args),
        __NR_times => usage::times(args),
        __NR_getuid | __NR_geteuid | __NR_getgid | __NR_getegid => system::root(args),
        __NR_getresuid | __NR_getresgid => system::all_root(args),
        __NR_setuid | __NR_setgid | __NR_setreuid | __NR_setregid => system::stay_root(args),
        __NR_setresuid | __NR_setresgid => system::stay_root(args),
        __NR_capget => capability::capget(args),
        __NR_capset => capability::capset(args),
        __NR_getgroups => system::getgroups(args),
        __NR_setgroups => system::accepted(args),

        // Scheduling.
        __NR_sched_yield => proc::sched_yield(args),
        __NR_sched_setscheduler => system::accepted(args),
        __NR_sched_getscheduler => system::sched_getscheduler(args),
        __NR_sched_getparam => system::sched_getparam(args),
        __NR_sched_get_priority_max => system::sched_priority(args, 99),
        __NR_sched_get_priority_min => system::sched_priority(args, 1),
        __NR_sched_setaffinity => system::accepted(args),
        __NR_sched_getaffinity => system::sched_getaffinity(args),
        __NR_getpriority => system::getpriority(args),
        __NR_setpriority => system::accepted(args),
        __NR_getcpu => system::getcpu(args),

        // Signals.
        __NR_kill => signal::kill(args),
        __NR_tkill => signal::tkill(args),
        __NR_tgkill => signal::tgkill(args),
        __NR_pidfd_getfd => pidfd::pidfd_getfd(args),
        __NR_pidfd_open => pidfd::pidfd_open(args),
        __NR_pidfd_send_signal => pidfd::pidfd_send_signal(args),
        __NR_rt_sigqueueinfo => signal::rt_sigqueueinfo(args),
        __NR_rt_tgsigqueueinfo => signal::rt_tgsigqueueinfo(args),
        __NR_rt_sigaction => signal::rt_sigaction(args),
        __NR_rt_sigprocmask => signal::rt_sigprocmask(args),
        __NR_rt_sigpending => signal::rt_sigpending(args),
        __NR_rt_sigsuspend => signal::rt_sigsuspend(args),
        __NR_rt_sigtimedwait => signal::rt_sigtimedwait(args),
        __NR_rt_sigreturn => signal::rt_sigreturn(frame),
        __NR_sigaltstack => signal::sigaltstack(args, frame),
        __NR_setitimer => time::setitimer(args),
        __NR_getitimer => time::getitimer(args),
        __NR_timer_create => timer::timer_create(args),
        __NR_timer_settime => timer::timer_settime(args),
        __NR_timer_gettime => timer::timer_gettime(args),
        __NR_timer_getoverrun => timer::timer_getoverrun(args),
        __NR_timer_delete => timer::timer_delete(args),

        // Memory.
        __NR_mmap => mem::mmap(args),
        __NR_munmap => mem::munmap(args),
        __NR_mremap => mem::mremap(args),
        __NR_mprotect => mem::mprotect(args),
        __NR_madvise => mem::madvise(args),
        __NR_brk => mem::brk(args),
        __NR_mlock => mlock::mlock(args),
        __NR_mlock2 => mlock::mlock2(args),
        __NR_munlock => mlock::munlock(args),
        __NR_mlockall => mlock::mlockall(args),
        __NR_munlockall => mlock::munlockall(args),
        __NR_mincore => mlock::mincore(args),
        __NR_msync => mlock::msync(args),
        __NR_userfaultfd => userfault::userfaultfd(args),
        __NR_process_madvise => pidfd::process_madvise(args),
        __NR_process_vm_readv => remote::process_vm_readv(args),
        __NR_process_vm_writev => remote::process_vm_writev(args),

        // Time.
        __NR_restart_syscall => time::restart_syscall(args),
        __NR_nanosleep => time::nanosleep(args),
        __NR_clock_nanosleep => time::clock_nanosleep(args),
        __NR_clock_gettime => time::clock_gettime(args),
        __NR_clock_getres => time::clock_getres(args),
        __NR_gettimeofday => time::gettimeofday(args),

        // Files.
        __NR_ppoll => poll::ppoll(args),
        __NR_openat => file::openat(args),
        __NR_close => file::close(args),
        __NR_close_range => file::close_range(args),
        __NR_read => file::read(args),
        __NR_write => file::write(args),
        __NR_readv => file::readv(args),
        __NR_writev => file::writev(args),
        __NR_pread64 => file::pread64(args),
        __NR_pwrite64 => file::pwrite64(args),
        __NR_preadv => file::preadv(args),
        __NR_pwritev => file::pwritev(args),
        __NR_preadv2 => file::preadv2(args),
        __NR_pwritev2 => file::pwritev2(args),
        __NR_lseek => file::lseek(args),
        __NR_fstat => file::fstat(args),
        __NR_newfstatat => file::newfstatat(args),
        __NR_statx => file::statx(args),
        __NR_statfs => file::statfs(args),
        __NR_fstatfs => file::fstatfs(args),
        __NR_readlinkat => file::readlinkat(args),
        __NR_faccessat => file::faccessat(args),
        __NR_faccessat2 => file::faccessat2(args),
        __NR_getcwd => file::getcwd(args),
        __NR_chdir => file::chdir(args),
        __NR_fchdir => file::fchdir(args),
        __NR_chroot => file::chroot(args),
        __NR_umask => file::umask(args),
        __NR_mount => file::mount(args),
        __NR_umount2 => file::umount2(args),
        __NR_getdents64 => file::getdents64(args),
        __NR_mkdirat => file::mkdirat(args),
        __NR_mknodat => file::mknodat(args),
        __NR_symlinkat => file::symlinkat(args),
        __NR_linkat => file::linkat(args),
        __NR_unlinkat => file::unlinkat(args),
        __NR_renameat => file::renameat(args),
        __NR_renameat2 => file::renameat2(args),
        __NR_fchmod => file::fchmod(args),
        __NR_fchmodat => file::fchmodat(args, 0),
        __NR_fchmodat2 => file::fchmodat(args, args[3]),
        __NR_fchown => file::fchown(args),
        __NR_fchownat => file::fchownat(args),
        __NR_utimensat => file::utimensat(args),
        __NR_truncate => file::truncate(args),
        __NR_ftruncate => file::ftruncate(args),
        __NR_fallocate => file::fallocate(args),
        __NR_fadvise64 => file::fadvise64(args),
        __NR_readahead => file::readahead(args),
        __NR_fsync | __NR_fdatasync | __NR_sync_file_range => file::fsync(args),
        __NR_sync => file::sync(args),
        __NR_syncfs => file::syncfs(args),
        __NR_sendfile => file::sendfile(args),
        __NR_copy_file_range => file::copy_file_range(args),
        __NR_pipe2 => file::pipe2(args),
        __NR_splice => file::splice(args),
        __NR_tee => file::tee(args),
        __NR_vmsplice => file::vmsplice(args),
        __NR_memfd_create => file::memfd_create(args),
        __NR_dup => file::dup(args),
        __NR_dup3 => file::dup3(args),
        __NR_fcntl => file::fcntl(args),
        __NR_flock => file::flock(args),
        __NR_ioctl => file::ioctl(args),

        // Events.
        __NR_eventfd2 => event::eventfd2(args),
        __NR_signalfd4 => event::signalfd4(args),
        __NR_timerfd_create => event::timerfd_create(args),
        __NR_timerfd_settime => event::timerfd_settime(args),
        __NR_timerfd_gettime => event::timerfd_gettime(args),
        __NR_epoll_create1 => event::epoll_create1(args),
        __NR_epoll_ctl => event::epoll_ctl(args),
        __NR_epoll_pwait => event::epoll_pwait(args),
        __NR_epoll_pwait2 => event::epoll_pwait2(args),
        __NR_pselect6 => event::pselect6(args),

        // Sockets.
        __NR_socket => socket::socket(args),
        __NR_socketpair => socket::socketpair(args),
        __NR_bind => socket::bind(args),
        __NR_listen => socket::listen(args),
        __NR_accept => socket::accept(args),
        __NR_accept4 => socket::accept4(args),
        __NR_connect => socket::connect(args),
        __NR_getsockname => socket::getsockname(args),
        __NR_getpeername => socket::getpeername(args),
        __NR_sendto => socket::sendto(args),
        __NR_recvfrom => socket::recvfrom(args),
        __NR_sendmsg => socket::sendmsg(args),
        __NR_recvmsg => socket::recvmsg(args),
        __NR_shutdown => socket::shutdown(args),
        __NR_setsockopt => socket::setsockopt(args),
        __NR_getsockopt => socket::getsockopt(args),

        // The system.
        __NR_uname => system::uname(args),
        __NR_sysinfo => system::sysinfo(args),
        __NR_personality => system::personality(args),
        __NR_getrandom => system::getrandom(args),
        __NR_prlimit64 => limit::prlimit64(args),
        __NR_getrlimit => limit::getrlimit(args),
        __NR_setrlimit => limit::setrlimit(args),
        __NR_reboot => system::reboot(args),

        unknown => unknown::report(unknown),
    }
}
