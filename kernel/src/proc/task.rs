//! What the scheduler, the process table and the wait queues know of a process: its number, its scheduling state,
//! its place in their lists and its pending work. Nothing here needs the machine, so all of it runs on the host;
//! `process.rs` adds the address space, files and registers around it.
//!
//! # Lifetime
//! A `Task` is the first member of a `Process`. It is alive from its insertion into the process table until it is
//! freed by the parent that reaps it (or, if nobody waits for it, by the thread that runs after it). Only a task in
//! state [`DEAD`] without pins is freed, and such a task is on no run queue or wait queue and is nobody's current task.
//! Hence a [`TaskRef`] is valid while any of these holds: the task is current, the process table is locked and the task
//! is in it, the lock of a queue that the task is on is held, or the task is pinned.
//!
//! # Locks
//! The `Cell`s are protected as their comments say. Lock order: process table, then a wait queue, then a run queue.

use core::cell::{Cell, UnsafeCell};
use core::ops::Deref;
use core::ptr::{NonNull, addr_of_mut};
use core::sync::atomic::{AtomicU32, Ordering::*};

use super::futex::Slot;
use super::group::Group;
use super::list::{Link, Linked, List};
use super::pid::Pid;
use super::signal::thread::ThreadSignals;
use super::usage::{Account, Times};
use super::wait_queue::WaitQueue;

/// List kind: the run queue of a CPU.
pub(super) const RUN: usize = 0;
/// List kind: a wait queue.
pub(super) const WAIT: usize = 1;
/// List kind: a bucket of the process table.
pub(super) const HASH: usize = 2;
/// List kind: the children, or the zombies, of a parent; for a thread, the threads of its process.
pub(super) const FAMILY: usize = 3;
/// List kind: a CPU's sleepers.
pub(super) const SLEEP: usize = 4;
/// List kind: the alarms.
pub(super) const ALARM: usize = 5;
/// How many kinds of lists there are.
const LISTS: usize = 6;

/// On a CPU, or just switched off one and about to be queued.
pub(super) const RUNNING: u32 = 0;
/// On a run queue.
pub(super) const READY: u32 = 1;
/// Still on a CPU, but will sleep at the next switch unless woken before.
pub(super) const BLOCKING: u32 = 2;
/// Asleep: on no CPU and no run queue.
pub(super) const BLOCKED: u32 = 3;
/// Has exited and is about to be switched away from for the last time; its parent will reap it.
pub(super) const EXITING: u32 = 4;
/// As `EXITING`, but nobody will wait for it.
pub(super) const DETACHED: u32 = 5;
/// Never runs again; its memory may go.
pub(super) const DEAD: u32 = 6;

/// Work on return to EL0: give up the CPU.
pub(super) const WORK_RESCHED: u32 = 1 << 0;
/// Work on return to EL0: a signal is to be dealt with, or the process stops or ends.
pub(super) const WORK_SIGNAL: u32 = 1 << 1;
/// Work on return to EL0: the timer may have to be set or stopped.
pub(super) const WORK_RETIME: u32 = 1 << 2;
/// Work on return to EL0: khugepaged's time has come.
pub(super) const WORK_COLLAPSE: u32 = 1 << 4;
/// No work: the thread is ending, and no fault of its is left to a monitor (Linux: PF_EXITING).
pub(super) const WORK_ENDING: u32 = 1 << 3;

/// What the scheduler knows of a process; see the module's text.
#[repr(C)]
pub struct Task {
    /// What must be done before the next return to EL0 (`WORK_*`). First, because every return looks at it.
    pub(super) work: AtomicU32,
    pub(super) state: AtomicU32,
    pub(super) pid: Cell<Pid>, // written once, by `Table::insert`, before anybody else sees the task
    links: [Link<Task>; LISTS],
    pub(super) parent: Cell<Option<TaskRef>>, // process table lock
    pub(super) children: UnsafeCell<List<Task, FAMILY>>, // process table lock
    pub(super) zombies: UnsafeCell<List<Task, FAMILY>>, // process table lock
    pub(super) wait_status: Cell<u32>,        // written by the task itself before it becomes a zombie
    /// How many others look at this process without the table's lock (`inspect.rs`).
    pub(super) pins: AtomicU32,
    pub(super) wake_at: Cell<u64>, // nanoseconds; lock of the sleepers it is on
    /// The process's first thread; none: this is it. Written once, before anybody else sees the task.
    pub(super) leader: Cell<Option<TaskRef>>,
    /// The thread that waits until this process has its own memory (vfork). Process table lock.
    pub(super) vfork_parent: Cell<Option<TaskRef>>,
    /// Whether this thread waits for the child of its vfork. Process table lock.
    pub(super) in_vfork: Cell<bool>,
    /// When the alarm goes off (nanoseconds; never: `u64::MAX`) and how often after that (0: once); lock of the alarms.
    pub(super) alarm: Cell<[u64; 2]>,
    /// What this thread waits for at a futex; lock of the futexes.
    pub(super) futex: Cell<Slot>,
    pub(super) signals: ThreadSignals,
    /// What this thread has used.
    pub(super) account: Account,
    /// Its CPU times as they were told last. Process table lock.
    pub(super) shown: Cell<Times>,
    /// When it was created, in ticks of the system counter. Written once, before it runs.
    pub(super) started: Cell<u64>,
    /// What the threads of the process share; used in the leader alone.
    pub(super) group: Group,
    /// Where this process's threads wait for its children.
    pub(super) child_exit: WaitQueue,
}

// SAFETY: every `Cell` and `UnsafeCell` is accessed only under the lock, or in the phase of life, named beside it.
unsafe impl Sync for Task {}
// SAFETY: nothing in a task belongs to the CPU that created it.
unsafe impl Send for Task {}

// SAFETY: one link per list kind, selected by the index.
unsafe impl<const SLOT: usize> Linked<SLOT> for Task {
    fn link(&self) -> &Link<Task> {
        &self.links[SLOT]
    }
}

/// What becomes of a task that a CPU has just switched away from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SwitchedOut {
    /// It wants to run on: put it on a run queue.
    Requeue,
    /// It sleeps; whoever wakes it queues it.
    Sleeps,
    /// It is a zombie; its parent frees it.
    Zombie,
    /// It is gone; free it now.
    Free,
}

impl Task {
    /// Makes a task at `at` that has no number, no parent and does not run yet. Field by field and in place: built
    /// elsewhere and copied, it would be a good part of what fork costs.
    ///
    /// # Safety
    /// `at` is writable, aligned, and has no live task.
    #[inline(always)]
    pub(super) unsafe fn init(at: *mut Task, signals: ThreadSignals, group: Group, leader: Option<TaskRef>) {
        // SAFETY: in the memory that the caller vouches for; all fields are written.
        unsafe {
            addr_of_mut!((*at).work).write(AtomicU32::new(0));
            addr_of_mut!((*at).state).write(AtomicU32::new(READY));
            addr_of_mut!((*at).pid).write(Cell::new(Pid::NONE));
            addr_of_mut!((*at).links).write([const { Link::new() }; LISTS]);
            addr_of_mut!((*at).parent).write(Cell::new(None));
            addr_of_mut!((*at).children).write(UnsafeCell::new(List::new()));
            addr_of_mut!((*at).zombies).write(UnsafeCell::new(List::new()));
            addr_of_mut!((*at).wait_status).write(Cell::new(0));
            addr_of_mut!((*at).pins).write(AtomicU32::new(0));
            addr_of_mut!((*at).wake_at).write(Cell::new(0));
            addr_of_mut!((*at).leader).write(Cell::new(leader));
            addr_of_mut!((*at).vfork_parent).write(Cell::new(None));
            addr_of_mut!((*at).in_vfork).write(Cell::new(false));
            addr_of_mut!((*at).alarm).write(Cell::new([u64::MAX, 0]));
            addr_of_mut!((*at).futex).write(Cell::new(Slot::default()));
            addr_of_mut!((*at).signals).write(signals);
            addr_of_mut!((*at).account).write(Account::new());
            addr_of_mut!((*at).shown).write(Cell::new(Times { user: 0, system: 0 }));
            addr_of_mut!((*at).started).write(Cell::new(0));
            addr_of_mut!((*at).group).write(group);
            addr_of_mut!((*at).child_exit).write(WaitQueue::new());
        }
    }

    /// This process's number.
    pub fn pid(&self) -> Pid {
        self.pid.get()
    }

    /// Whether there is a signal to deal with, or the process stops or ends: a sleep must end so that this can be done
    /// on the return to EL0.
    pub(super) fn is_interrupted(&self) -> bool {
        self.work.load(SeqCst) & WORK_SIGNAL != 0
    }

    /// Whether it is ending by itself.
    pub(super) fn is_ending(&self) -> bool {
        self.work.load(SeqCst) & WORK_ENDING != 0
    }

    /// This task itself, in the form that lists hold.
    pub(super) fn as_ref(&self) -> TaskRef {
        // SAFETY: `self` is borrowed, so it is alive now; the rules in the module's text say for how long.
        unsafe { TaskRef::new(NonNull::from(self)) }
    }

    /// The first thread of this task's process, perhaps itself.
    #[inline]
    pub(super) fn leader(&self) -> TaskRef {
        self.leader.get().unwrap_or(self.as_ref())
    }

    /// Whether this is the first thread of its process.
    #[inline]
    pub(super) fn is_leader(&self) -> bool {
        self.leader.get().is_none()
    }

    /// What this task shares with the other threads of its process. The leader outlives its threads.
    #[inline]
    pub(super) fn group(&self) -> &Group {
        match self.leader.get() {
            None => &self.group,
            // SAFETY: see above; the result is not used for longer than `self`.
            Some(leader) => unsafe { &leader.as_ptr().as_ref().group },
        }
    }

    /// Whether it has exited; under the process table's lock.
    pub(super) fn is_zombie(&self) -> bool {
        matches!(self.state.load(Relaxed), EXITING | DEAD)
    }

    /// Requests work on the next return to EL0.
    pub(super) fn request(&self, work: u32) {
        // SeqCst: a waker sets this and then looks at the state; a sleeper does it the other way round.
        self.work.fetch_or(work, SeqCst);
    }

    /// Announces that the current task will sleep at its next switch. From here on a wake-up is not lost.
    pub(super) fn prepare_to_block(&self) {
        self.state.store(BLOCKING, SeqCst);
    }

    /// Takes [`Task::prepare_to_block`] back.
    pub(super) fn keep_running(&self) {
        self.state.store(RUNNING, Relaxed);
    }

    /// Ends the task's sleep. True if the caller has to put it on a run queue; otherwise it runs anyway.
    #[must_use]
    pub(super) fn try_wake(&self) -> bool {
        if self.state.compare_exchange(BLOCKED, READY, SeqCst, SeqCst).is_ok() {
            return true;
        }
        // Not switched out yet: it will find itself running when it is, and be queued by the thread after it.
        if self.state.compare_exchange(BLOCKING, RUNNING, SeqCst, SeqCst).is_ok() {
            return false;
        }
        // Between the two attempts it may have gone from BLOCKING to BLOCKED, but never back without a wake-up.
        self.state.compare_exchange(BLOCKED, READY, SeqCst, SeqCst).is_ok()
    }

    /// Settles the state after the CPU has left this task's kernel stack.
    pub(super) fn switched_out(&self) -> SwitchedOut {
        match self.state.compare_exchange(BLOCKING, BLOCKED, SeqCst, SeqCst) {
            Ok(_) => SwitchedOut::Sleeps,
            Err(EXITING) => {
                // Release: everything done on this stack happens before the parent frees it.
                self.state.store(DEAD, Release);
                SwitchedOut::Zombie
            }
            Err(DETACHED) => SwitchedOut::Free,
            Err(_) => {
                self.state.store(READY, Release);
                SwitchedOut::Requeue
            }
        }
    }
}

/// A pointer to a task that is alive for one of the reasons in the module's text. Holding one does *not* keep the
/// task alive, and says nothing about its state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct TaskRef(NonNull<Task>);

impl TaskRef {
    /// # Safety
    /// `task` points to a task, and the result is used only while that is alive (see the module's text).
    pub unsafe fn new(task: NonNull<Task>) -> Self {
        TaskRef(task)
    }

    /// The task's address.
    pub fn as_ptr(self) -> NonNull<Task> {
        self.0
    }
}

impl Deref for TaskRef {
    type Target = Task;

    fn deref(&self) -> &Task {
        // SAFETY: alive, as whoever made the `TaskRef` promised.
        unsafe { self.0.as_ref() }
    }
}

// SAFETY: a pointer to something that is Sync.
unsafe impl Send for TaskRef {}

#[cfg(test)]
impl TaskRef {
    /// A task for a test, alive for ever.
    pub fn leaked() -> TaskRef {
        Self::leaked_with(Group::new(), None)
    }

    /// As above, with this group and leader.
    pub fn leaked_with(group: Group, leader: Option<TaskRef>) -> TaskRef {
        let memory = Box::leak(Box::new(core::mem::MaybeUninit::<Task>::uninit()));
        // SAFETY: fresh memory of the right size, never freed.
        unsafe {
            Task::init(memory.as_mut_ptr(), ThreadSignals::default(), group, leader);
            TaskRef::new(NonNull::from(memory).cast())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_before_the_switch_cancels_the_sleep() {
        let task = TaskRef::leaked();
        task.keep_running();
        task.prepare_to_block();
        assert!(!task.try_wake(), "still on its CPU, so nobody may queue it yet");
        assert_eq!(task.switched_out(), SwitchedOut::Requeue);
    }

    #[test]
    fn a_sleeper_is_queued_by_exactly_one_waker() {
        let task = TaskRef::leaked();
        task.prepare_to_block();
        assert_eq!(task.switched_out(), SwitchedOut::Sleeps);
        assert!(task.try_wake());
        assert!(!task.try_wake());
        assert_eq!(task.state.load(Relaxed), READY);
    }

    #[test]
    fn nobody_wakes_the_dead() {
        for (state, after) in [(EXITING, SwitchedOut::Zombie), (DETACHED, SwitchedOut::Free)] {
            let task = TaskRef::leaked();
            task.state.store(state, Relaxed);
            assert!(!task.try_wake());
            assert_eq!(task.switched_out(), after);
        }
    }
}
