//! What the threads of a process have in common besides memory and files: what signals do, the signals for whichever
//! thread comes first, process group and session, and how far the end or a stop of the process has got.
//!
//! It is part of the task of the process's first thread, its *leader*, and is not used in those of the others. The leader
//! is the last to end, whoever calls exit first, so the others reach it as long as they exist.
//!
//! # Locks
//! `actions`, `pending` and `watch` have their own, which are leaves. Cells are protected by the process table's. The atomics are
//! written under that lock too, and read by the process's threads without it.

use alloc::boxed::Box;
use core::cell::{Cell, UnsafeCell};
use core::sync::atomic::{AtomicBool, AtomicI16, AtomicU32, Ordering::*};

use super::cpu_timer::Watch;
use super::list::List;
use super::pid::Pid;
use super::signal::action::Actions;
use super::signal::pending::Pending;
use super::signal::{SIGCHLD, STATUS_CONTINUED, status_stopped};
use super::task::{FAMILY, Task, TaskRef};
use super::usage::Sums;
use super::wait_queue::WaitQueue;
use crate::errno::Result;

/// What a parent has not been told yet of a child that has not ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Report {
    /// It knows all.
    Nothing,
    /// This signal stopped it.
    Stopped(u32),
    /// It goes on.
    Continued,
}

impl Report {
    /// As a wait status.
    pub fn status(self) -> Option<u32> {
        match self {
            Report::Nothing => None,
            Report::Stopped(signal) => Some(status_stopped(signal)),
            Report::Continued => Some(STATUS_CONTINUED),
        }
    }
}

/// The value of `ending` of a process that is not about to end; no wait status.
const NOT_ENDING: u32 = u32::MAX;

/// What the threads of a process share; see the module's text.
pub(super) struct Group {
    /// What signals do.
    pub actions: spin::Mutex<Actions>,
    /// Signals that any thread may take.
    pub pending: spin::Mutex<Pending>,
    /// All threads but the leader.
    pub threads: UnsafeCell<List<Task, FAMILY>>,
    /// How many threads have not ended, the leader included.
    pub live: AtomicU32,
    /// The process group.
    pub pgid: Cell<Pid>,
    /// The session.
    pub sid: Cell<Pid>,
    /// The wait status with which all threads are to end, or `NOT_ENDING`.
    ending: AtomicU32,
    /// The signal that stops the process; 0: it runs.
    pub stopping: AtomicU32,
    /// How many threads have stopped.
    pub stopped: Cell<u32>,
    /// What the parent may wait for.
    pub report: Cell<Report>,
    /// The signal that the parent gets when the process ends; 0: none.
    pub exit_signal: Cell<u32>,
    /// It runs another program than its parent did when it was forked.
    pub has_executed: Cell<bool>,
    /// The thread that executes another program, for which all others end.
    pub executing: Cell<Option<TaskRef>>,
    /// The leader has called exit and waits for the others.
    pub leader_left: Cell<bool>,
    /// What is added to its badness when memory is exhausted, in thousandths of all memory.
    pub oom_score_adj: AtomicI16,
    /// Where a thread waits until it is alone: the leader to end, another to execute a program.
    pub alone: WaitQueue,
    /// What it has used besides what its threads' accounts say.
    pub sums: Sums,
    /// Whether there is a `watch`.
    pub watched: AtomicBool,
    /// Its timers of CPU time, and the limit of that.
    pub watch: spin::Mutex<Option<Box<Watch>>>,
}

// SAFETY: the cells are used under the process table's lock; `threads` too.
unsafe impl Sync for Group {}
// SAFETY: nothing in it belongs to a CPU.
unsafe impl Send for Group {}

/// What a process begins with of all that. A [`Group`] is large, and so made where it stays; this is what that takes.
pub(super) struct Start {
    /// The process group.
    pub pgid: Pid,
    /// The session.
    pub sid: Pid,
    /// The signal that the parent gets when the process ends; 0: none.
    pub exit_signal: u32,
    /// As [`Group::oom_score_adj`].
    pub oom_score_adj: i16,
}

impl Start {
    /// The first process's: no group, no session. Nobody hears of its end.
    pub const FIRST: Start = Start { pgid: Pid::NONE, sid: Pid::NONE, exit_signal: 0, oom_score_adj: 0 };
}

impl Group {
    /// The first process's, and what a thread has that is not a leader.
    #[cfg(test)]
    pub fn new() -> Self {
        Group::begin(Start::FIRST)
    }

    /// What the child of a process starts with; what signals do is said later.
    #[inline]
    pub fn for_child(&self, exit_signal: u32) -> Start {
        let oom_score_adj = self.oom_score_adj.load(Relaxed);
        Start { pgid: self.pgid.get(), sid: self.sid.get(), exit_signal, oom_score_adj }
    }

    /// Has a new process's group watched as this one is, as far as that is inherited. Nobody else knows of it yet.
    ///
    /// # Errors
    /// `ENOMEM`.
    #[cold]
    pub fn watch_child(&self, child: &Group) -> Result<()> {
        let watch = Watch::for_child(&self.watch.lock())?;
        child.watched.store(watch.is_some(), Relaxed);
        *child.watch.lock() = watch;
        Ok(())
    }

    /// A process's that begins like this, with one thread.
    #[inline(always)]
    pub fn begin(start: Start) -> Self {
        let Start { pgid, sid, exit_signal, oom_score_adj } = start;
        Group {
            actions: spin::Mutex::new(Actions::new()),
            pending: spin::Mutex::new(Pending::new()),
            threads: UnsafeCell::new(List::new()),
            live: AtomicU32::new(1),
            pgid: Cell::new(pgid),
            sid: Cell::new(sid),
            ending: AtomicU32::new(NOT_ENDING),
            stopping: AtomicU32::new(0),
            stopped: Cell::new(0),
            report: Cell::new(Report::Nothing),
            exit_signal: Cell::new(exit_signal),
            has_executed: Cell::new(false),
            executing: Cell::new(None),
            leader_left: Cell::new(false),
            oom_score_adj: AtomicI16::new(oom_score_adj),
            alone: WaitQueue::new(),
            sums: Sums::new(),
            watched: AtomicBool::new(false),
            watch: spin::Mutex::new(None),
        }
    }

    /// The wait status with which all threads are to end.
    pub fn ending(&self) -> Option<u32> {
        Some(self.ending.load(SeqCst)).filter(|status| *status != NOT_ENDING)
    }

    /// Has all threads end with `status`, unless they already are to end with another.
    pub fn end_with(&self, status: u32) {
        let _ = self.ending.compare_exchange(NOT_ENDING, status, SeqCst, SeqCst);
    }

    /// How many threads can stop: a leader that has left does not run any more.
    pub fn can_stop(&self) -> u32 {
        self.live.load(SeqCst) - u32::from(self.leader_left.get())
    }

    /// Whether a child that ends becomes no zombie of this process.
    #[inline]
    pub fn reaps_itself(&self, child: &Group) -> bool {
        child.exit_signal.get() == SIGCHLD && self.actions.lock().no_zombies()
    }
}

#[cfg(test)]
mod tests {
    use super::super::signal::SIGTSTP;
    use super::*;

    #[test]
    fn the_first_reason_to_end_counts() {
        let group = Group::new();
        assert_eq!(group.ending(), None);
        group.end_with(9);
        group.end_with(0x100);
        assert_eq!(group.ending(), Some(9));
        assert_eq!(Group::begin(group.for_child(SIGCHLD)).ending(), None);
    }

    #[test]
    fn children_are_as_likely_to_be_chosen_as_their_parent() {
        let group = Group::new();
        group.oom_score_adj.store(-1000, Relaxed);
        assert_eq!(group.for_child(SIGCHLD).oom_score_adj, -1000);
    }

    #[test]
    fn what_a_parent_is_told() {
        assert_eq!(Report::Stopped(SIGTSTP).status(), Some(0x147f));
        assert_eq!(Report::Continued.status(), Some(0xffff));
        assert_eq!(Report::Nothing.status(), None);
    }
}
