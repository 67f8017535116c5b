//! Processes: creation, scheduling, signals, the loading of programs, and their end.
//!
//! ```text
//!   spawn_init, fork ──> ready <──────── woken ──── asleep
//!                          │ ▲                        ▲
//!                 schedule ▼ │ slice over, yield      │ wait queue, sleep
//!                         running ────────────────────┘
//!                          │ exit, killed
//!                          ▼
//!                        zombie ──> reaped by the parent: gone
//! ```
//! That is the life of a thread. A process is its first thread, the leader, with what all of them share (`group.rs`).
//!
//! What needs no machine (the first group of modules below) also runs on the host, where its tests are. The others
//! put it together with `arch`, `mm` and `fs`.
//!
//! # Locks
//! The process table first, then a wait queue or a CPU's sleepers, then a run queue. A process's own locks (address
//! space, files) are leaves but for the wait queues of the files. None is held across a switch or an access to user
//! memory. `task.rs` says what keeps a process alive.
#![cfg_attr(not(target_os = "none"), allow(dead_code, unused_imports))] // there, only the tests use them

pub mod args;
mod comm;
pub(crate) mod cpu_timer;
pub mod elf_plan;
pub(crate) mod futex;
mod group;
mod jobs;
pub mod layout;
mod list;
mod pid;
pub(crate) mod request;
pub(crate) mod restart;
mod run_queue;
mod sampler;
mod script;
pub mod signal;
pub mod stack_image;
mod table;
mod task;
mod timer_table;
pub(crate) mod usage;
mod wait_queue;

#[cfg(target_os = "none")]
mod alarm;
#[cfg(target_os = "none")]
pub(crate) mod cpu_time;
#[cfg(target_os = "none")]
pub(crate) mod deliver;
#[cfg(target_os = "none")]
pub(crate) mod exec;
#[cfg(target_os = "none")]
pub(crate) mod exit;
#[cfg(target_os = "none")]
mod fault;
#[cfg(target_os = "none")]
pub(crate) mod fork;
#[cfg(target_os = "none")]
mod init;
#[cfg(target_os = "none")]
mod inspect;
#[cfg(target_os = "none")]
pub(crate) mod khugepaged;
#[cfg(target_os = "none")]
pub(crate) mod kill;
#[cfg(target_os = "none")]
mod load;
#[cfg(target_os = "none")]
mod oom;
#[cfg(any(test, target_os = "none"))]
mod oom_report;
#[cfg(target_os = "none")]
mod pidfd;
#[cfg(target_os = "none")]
mod process;
#[cfg(target_os = "none")]
mod room;
#[cfg(target_os = "none")]
mod sched;
#[cfg(target_os = "none")]
pub(crate) mod session;
#[cfg(target_os = "none")]
pub(crate) mod sigcalls;
#[cfg(target_os = "none")]
pub(crate) mod timers;
#[cfg(target_os = "none")]
pub(crate) mod trampoline;
#[cfg(target_os = "none")]
pub(crate) mod userfault;
#[cfg(target_os = "none")]
mod vfork;

pub use comm::Comm;
pub use pid::{PID_MAX, Pid};
#[cfg(target_os = "none")]
pub(crate) use process::Restart;
pub use sampler::CpuTimes;
pub(crate) use table::{Changes, MAX_PROCESSES, Which};
pub use task::Task;
#[cfg(target_os = "none")]
pub(crate) use timer_table::Notify;
pub use wait_queue::WaitQueue;

#[cfg(target_os = "none")]
pub use current::*;
#[cfg(target_os = "none")]
pub use {
    fault::{access_failed, page_fault, uaccess_fault, user_fault},
    init::spawn_init,
    inspect::{Pinned, committed_pages, find, has_ended, next_pid, next_process, next_thread, with_space_of},
    kill::{kill_pending, raise_sigpipe},
    oom::oom_kills,
    process::Process,
    sched::{before_user_return, run, timer_tick, yield_now},
};

/// All processes. See `table.rs`.
#[cfg(target_os = "none")]
static TABLE: spin::Mutex<table::Table> = spin::Mutex::new(table::Table::new());

/// What the rest of the kernel asks of the current process.
#[cfg(target_os = "none")]
mod current {
    use super::comm::{COMM_LEN, Comm};
    use super::process::Restart;
    use super::sched;
    use crate::errno::Result;
    use crate::fs::FdTable;
    use crate::mm::AddressSpace;

    /// The open files of the process that makes this system call.
    pub fn current_files() -> &'static spin::Mutex<FdTable> {
        &sched::current().leader().files
    }

    /// Calls `f` with the address space of the process that makes this system call, locked: `f` must not access user
    /// memory. None before the first process has executed its program.
    #[inline]
    pub fn with_current_mm<T>(f: impl FnOnce(&mut AddressSpace) -> T) -> Option<T> {
        sched::current().space().lock().as_mut().map(f)
    }

    /// The number of the process that makes this system call; 0 outside of any.
    pub fn current_pid() -> u32 {
        sched::try_current().map_or(0, |me| me.task.leader().pid().get())
    }

    /// The number of the thread that makes this system call; 0 outside of any.
    pub fn current_thread() -> u32 {
        sched::try_current().map_or(0, |me| me.task.pid().get())
    }

    /// The number of the process whose memory the thread that makes this system call uses.
    pub(crate) fn memory_pid() -> u32 {
        sched::current().home().leader().task.pid().get()
    }

    /// Whether the thread that makes this system call is to end, and need not go on with it.
    pub(crate) fn is_to_end() -> bool {
        super::kill::is_to_end(&super::TABLE.lock(), &sched::current_task())
    }

    /// How many threads there are.
    pub(crate) fn count() -> u32 {
        super::TABLE.lock().count()
    }

    /// The number of the thread that makes this system call.
    pub fn current_tid() -> u32 {
        sched::current().task.pid().get()
    }

    /// The number of its parent; 0 for the first process.
    pub fn parent_pid() -> u32 {
        sched::current().leader().parent_pid()
    }

    /// Sleeps until `wake_at` (nanoseconds since boot, as `arch::time::now_ns`).
    ///
    /// # Errors
    /// `EINTR`: there is a signal to deal with.
    pub fn sleep_until(wake_at: u64) -> Result<()> {
        sched::sleep_until(wake_at)
    }

    /// Where the current thread's end is told; 0: nowhere.
    pub(crate) fn set_clear_child_tid(addr: usize) {
        sched::current().clear_child_tid.set(addr);
    }

    /// The current thread's list of locks to give up when it ends; 0: none.
    pub(crate) fn set_robust_list(head: usize) {
        sched::current().robust_list.set(head);
    }

    /// Names the current thread.
    pub(crate) fn set_name(name: &[u8; COMM_LEN]) {
        *sched::current().comm.lock() = Comm::named(name);
    }

    /// The current thread's name, padded with NULs.
    pub(crate) fn name() -> [u8; COMM_LEN] {
        let mut name = [0; COMM_LEN];
        sched::current().name(&mut name);
        name
    }

    /// Whether the current process's large folios are switched off.
    pub(crate) fn large_folios_disabled() -> bool {
        with_current_mm(|mm| mm.large_folios_disabled()).unwrap_or(false)
    }

    /// Takes what restart_syscall is to continue.
    pub(crate) fn take_restart() -> Restart {
        sched::current().restart.take()
    }

    /// Says what restart_syscall is to continue, should the current call start again.
    pub(crate) fn set_restart(restart: Restart) {
        sched::current().restart.set(restart);
    }

    /// Sets the current process's alarm, and returns the old one: when (nanoseconds since boot; `u64::MAX`: never), and
    /// how often after that (0: once).
    pub(crate) fn set_alarm(alarm: [u64; 2]) -> [u64; 2] {
        super::alarm::set(sched::current_task().leader(), alarm)
    }

    /// The current process's alarm, as above.
    pub(crate) fn alarm() -> [u64; 2] {
        super::alarm::get(sched::current_task().leader())
    }
}
