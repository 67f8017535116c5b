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
pub mod elf_plan;
pub mod layout;
mod list;
mod pid;
mod run_queue;
pub mod signal;
pub mod stack_image;
mod table;
mod task;
mod wait_queue;

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
pub(crate) mod kill;
#[cfg(target_os = "none")]
mod process;
#[cfg(target_os = "none")]
mod room;
#[cfg(target_os = "none")]
mod sched;

pub use comm::Comm;
pub use pid::{PID_MAX, Pid};
pub(crate) use table::{MAX_PROCESSES, Which};
pub use task::Task;
pub use wait_queue::WaitQueue;

#[cfg(target_os = "none")]
pub use current::*;
#[cfg(target_os = "none")]
pub use {
    fault::{page_fault, uaccess_fault, user_fault},
    init::spawn_init,
    inspect::{Pinned, find, next_pid, next_process},
    kill::{kill_pending, raise_sigpipe},
    process::Process,
    sched::{before_user_return, idle_ns, run, timer_tick, yield_now},
};

/// All processes. See `table.rs`.
#[cfg(target_os = "none")]
static TABLE: spin::Mutex<table::Table> = spin::Mutex::new(table::Table::new());

/// What the rest of the kernel asks of the current process.
#[cfg(target_os = "none")]
mod current {
    use super::sched;
    use crate::errno::Result;
    use crate::fs::FdTable;
    use crate::mm::AddressSpace;

    /// The open files of the process that makes this system call.
    pub fn current_files() -> &'static spin::Mutex<FdTable> {
        &sched::current().files
    }

    /// Calls `f` with the address space of the process that makes this system call, locked: `f` must not access user
    /// memory. None before the first process has executed its program.
    #[inline]
    pub fn with_current_mm<T>(f: impl FnOnce(&mut AddressSpace) -> T) -> Option<T> {
        sched::current().mm.lock().as_mut().map(f)
    }

    /// The number of the process that makes this system call; 0 outside of any.
    pub fn current_pid() -> u32 {
        sched::try_current().map_or(0, super::Process::pid)
    }

    /// The number of its parent; 0 for the first process.
    pub fn parent_pid() -> u32 {
        sched::current().parent_pid()
    }

    /// Sleeps until `wake_at` (nanoseconds since boot, as `arch::time::now_ns`).
    ///
    /// # Errors
    /// `EINTR`: a fatal signal is pending.
    pub fn sleep_until(wake_at: u64) -> Result<()> {
        sched::sleep_until(wake_at)
    }

    /// The signals of the process that makes this system call.
    pub(crate) fn current_signals() -> &'static super::signal::Signals {
        &sched::current().task.signals
    }

    /// After a change to the blocked signals: dies on the way to EL0 if one that was pending is let through.
    pub(crate) fn recheck_signals() {
        let task = sched::current_task();
        if task.signals.fatal().is_some() {
            task.request(super::task::WORK_SIGNAL);
        }
    }
}
