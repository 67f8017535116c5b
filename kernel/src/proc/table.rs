//! The process table: every thread by its number, who is whose child, and which threads, groups and sessions there are.
//!
//! One lock protects the table, all family links and the way from alive to zombie to gone. Every operation is
//! O(1), except that an exiting process hands over its own children one by one, and what is done with process groups
//! looks at everybody. Members bring their links along, so nothing here allocates.
//!
//! ```text
//!   parent.children  <->  child <-> child            alive
//!   parent.zombies   <->  child <-> child            exited, not waited for: still in the table, so its number
//!                                                    is not used again
//!   leader.group.threads  <->  thread <-> thread     the other threads of a process; they are nobody's children
//! ```
//! A number is in use as long as a thread, a process group or a session has it: `used` counts them, so that finding a
//! free one does not take a look at everybody's groups.

use core::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::group::Report;
use super::list::List;
use super::pid::{PID_MAX, Pid};
use super::signal::SIGCHLD;
use super::task::{DETACHED, EXITING, FAMILY, HASH, Task, TaskRef};
use crate::errno::{Errno, Result};

const BUCKETS: usize = 1024;

/// No more threads than this, so that a free number is found after few tries.
pub(crate) const MAX_PROCESSES: u32 = PID_MAX / 2;

/// The processes by number; see the module's text.
pub(super) struct Table {
    buckets: [List<Task, HASH>; BUCKETS],
    /// By number: how many have it as their own, their group's or their session's.
    used: [u16; PID_MAX as usize],
    last: Pid,
    count: u32,
}

/// Which children a wait is for.
#[derive(Clone, Copy)]
pub(crate) enum Which {
    /// Any child.
    Any,
    /// The child with this number.
    Pid(Pid),
    /// Any child in this process group.
    Group(Pid),
}

/// What of a child a wait is for.
#[derive(Clone, Copy)]
pub(crate) struct Changes {
    /// Its end.
    pub ended: bool,
    /// That it was stopped.
    pub stopped: bool,
    /// That it goes on.
    pub continued: bool,
}

impl Changes {
    /// The end alone.
    #[cfg(test)]
    pub const END: Changes = Changes { ended: true, stopped: false, continued: false };

    fn include(self, report: Report) -> bool {
        match report {
            Report::Nothing => false,
            Report::Stopped(_) => self.stopped,
            Report::Continued => self.continued,
        }
    }
}

/// What a look at the children found.
pub(super) enum Found {
    /// This one has exited.
    Zombie(TaskRef),
    /// This one has stopped or goes on: there is a report.
    Changed(TaskRef),
    /// There are some, all alive.
    Alive,
    /// There is none.
    Nobody,
}

impl Table {
    pub const fn new() -> Self {
        let used = [0; PID_MAX as usize];
        Table { buckets: [const { List::new() }; BUCKETS], used, last: Pid::NONE, count: 0 }
    }

    fn bucket(&mut self, pid: Pid) -> &mut List<Task, HASH> {
        &mut self.buckets[pid.get() as usize % BUCKETS]
    }

    fn count_use(&mut self, pid: Pid, by: i16) {
        let count = &mut self.used[pid.get() as usize % PID_MAX as usize];
        *count = count.wrapping_add_signed(by);
    }

    /// The thread with this number; a process's leader, alive or zombie, has the process's.
    pub fn lookup(&self, pid: Pid) -> Option<TaskRef> {
        self.buckets[pid.get() as usize % BUCKETS].iter().map(wrap).find(|task| task.pid() == pid)
    }

    /// The process with this number, alive or zombie: its leader.
    pub fn process(&self, pid: Pid) -> Option<TaskRef> {
        self.lookup(pid).filter(|task| task.is_leader())
    }

    /// The children of `parent` that have not ended.
    pub fn children(&self, parent: TaskRef) -> impl Iterator<Item = TaskRef> {
        // SAFETY: the list changes only with the table borrowed mutably.
        unsafe { &*parent.as_ptr().as_ref().children.get() }.iter().map(wrap)
    }

    /// Gives `task` a free number and enters it as a child of `parent` (none: the first process).
    ///
    /// # Errors
    /// `EAGAIN`: too many processes.
    ///
    /// # Safety
    /// The task is new, a leader, and stays alive until [`Table::remove`].
    pub unsafe fn insert(&mut self, task: TaskRef, parent: Option<TaskRef>) -> Result<Pid> {
        // SAFETY: as the caller promises.
        let pid = unsafe { self.number(task) }?;
        self.count_use(task.group.pgid.get(), 1);
        self.count_use(task.group.sid.get(), 1);
        task.parent.set(parent);
        if let Some(parent) = parent {
            // SAFETY: a new task is on no list; a parent's lists are reached only through the table, borrowed mutably.
            unsafe { (*parent.children.get()).push_back(task.as_ptr()) };
        }
        Ok(pid)
    }

    /// Gives `task` a free number and enters it as a thread of its leader's process.
    ///
    /// # Errors
    /// `EAGAIN`: too many threads.
    ///
    /// # Safety
    /// The task is new, not a leader, and stays alive until [`Table::remove_thread`]; its leader has not ended.
    pub unsafe fn insert_thread(&mut self, task: TaskRef) -> Result<Pid> {
        let leader = task.leader();
        // SAFETY: as the caller promises.
        let pid = unsafe { self.number(task) }?;
        // SAFETY: a new task is on no list, and the caller keeps it alive; the list is reached through the table alone.
        unsafe { (*leader.group.threads.get()).push_back(task.as_ptr()) };
        leader.group.live.fetch_add(1, SeqCst);
        Ok(pid)
    }

    /// # Safety
    /// The task is new, and stays alive until it is taken out of its bucket.
    #[inline(always)] // two callers
    unsafe fn number(&mut self, task: TaskRef) -> Result<Pid> {
        if self.count >= MAX_PROCESSES {
            return Err(Errno::EAGAIN);
        }
        let mut pid = self.last.successor();
        while self.used[pid.get() as usize % PID_MAX as usize] != 0 {
            pid = pid.successor();
        }
        self.last = pid;
        self.count += 1;
        self.count_use(pid, 1);
        task.pid.set(pid);
        // SAFETY: a new task is on no list, and the caller keeps it alive until it is removed.
        unsafe { self.bucket(pid).push_back(task.as_ptr()) };
        Ok(pid)
    }

    /// Ends `task`, the current one and not a leader. The caller switches away from it.
    pub fn remove_thread(&mut self, task: TaskRef) {
        let leader = task.leader();
        // SAFETY: the task is in the table and in its leader's list, both borrowed with the table.
        unsafe {
            self.bucket(task.pid()).remove(task.as_ptr());
            (*leader.group.threads.get()).remove(task.as_ptr());
        }
        self.count_use(task.pid(), -1);
        self.count -= 1;
        task.state.store(DETACHED, Relaxed);
        leader.group.live.fetch_sub(1, SeqCst);
    }

    /// The threads of the process whose leader is `leader`, that one first.
    pub fn threads(&self, leader: TaskRef) -> impl Iterator<Item = TaskRef> {
        // SAFETY: the list changes only with the table borrowed mutably.
        let others = unsafe { &*leader.group.threads.get() };
        core::iter::once(leader).chain(others.iter().map(wrap))
    }

    /// Ends `task`, the current one: hands its children to `init`, and makes it a zombie of its parent, or strikes
    /// it off at once if the parent ignores SIGCHLD. Returns whether `init` got a zombie.
    pub fn exit(&mut self, task: TaskRef, init: TaskRef) -> bool {
        // SAFETY: all these lists belong to the table, which is borrowed mutably; their members are in it.
        unsafe {
            adopt(&mut *task.children.get(), &mut *init.children.get(), init);
            let orphaned_zombies = !(*task.zombies.get()).is_empty();
            adopt(&mut *task.zombies.get(), &mut *init.zombies.get(), init);
            let Some(parent) = task.parent.get() else { return orphaned_zombies };
            (*parent.children.get()).remove(task.as_ptr());
            (*parent.zombies.get()).push_back(task.as_ptr());
            if parent.group.reaps_itself(&task.group) {
                self.remove(task);
                task.state.store(DETACHED, Relaxed);
            } else {
                task.state.store(EXITING, Relaxed);
            }
            orphaned_zombies
        }
    }

    /// Looks for a child of `parent`, a leader, that a wait may return.
    pub fn find_child(&self, parent: TaskRef, which: Which, changes: Changes) -> Found {
        // SAFETY: the lists are changed only with the table borrowed mutably.
        let (children, zombies) = unsafe { (&*parent.children.get(), &*parent.zombies.get()) };
        match which {
            Which::Any if changes.ended && !zombies.is_empty() => {
                zombies.front().map_or(Found::Nobody, |zombie| Found::Zombie(wrap(zombie)))
            }
            Which::Any if children.is_empty() && zombies.is_empty() => Found::Nobody,
            Which::Any if !changes.stopped && !changes.continued => Found::Alive,
            Which::Pid(pid) => match self.process(pid).filter(|child| child.parent.get() == Some(parent)) {
                Some(child) => look(child, changes),
                None => Found::Nobody,
            },
            Which::Any | Which::Group(_) => {
                let wanted = |child: &TaskRef| match which {
                    Which::Group(group) => child.group.pgid.get() == group,
                    _ => true,
                };
                let mut found = Found::Nobody;
                for child in zombies.iter().chain(children.iter()).map(wrap).filter(wanted) {
                    match look(child, changes) {
                        Found::Alive => found = Found::Alive,
                        other => return other,
                    }
                }
                found
            }
        }
    }

    /// Strikes a zombie off: its number is free. The caller frees the task once it is dead.
    pub fn remove(&mut self, task: TaskRef) {
        // SAFETY: the task is in the table and in its parent's list of zombies, both borrowed with the table.
        unsafe {
            self.bucket(task.pid()).remove(task.as_ptr());
            if let Some(parent) = task.parent.take() {
                (*parent.zombies.get()).remove(task.as_ptr());
            }
        }
        for pid in [task.pid(), task.group.pgid.get(), task.group.sid.get()] {
            self.count_use(pid, -1);
        }
        self.count -= 1;
    }

    /// Moves a process to the process group `pgid` of its session, or of session `sid`.
    pub(super) fn move_to(&mut self, task: TaskRef, pgid: Pid, sid: Pid) {
        for pid in [task.group.pgid.replace(pgid), task.group.sid.replace(sid)] {
            self.count_use(pid, -1);
        }
        self.count_use(pgid, 1);
        self.count_use(sid, 1);
    }

    /// How many threads there are, zombies included.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// All processes, by their leaders, in no particular order.
    pub fn processes(&self) -> impl Iterator<Item = TaskRef> {
        self.iter().filter(|task| task.is_leader())
    }

    /// The process that comes after number `after` (0: the first of all) in an order in which each has its turn: that of
    /// buckets, and of numbers within one. A walk through all thus costs about one look at each, however many there are,
    /// and it does not matter if `after` has been struck off meanwhile.
    pub fn following(&self, after: u32, wanted: impl Fn(TaskRef) -> bool) -> Option<TaskRef> {
        let own = after as usize % BUCKETS;
        (own..BUCKETS).find_map(|index| {
            let least = if index == own { after } else { 0 };
            let tasks = self.buckets[index].iter().map(wrap);
            let tasks = tasks.filter(|task| task.is_leader() && task.pid().get() > least && wanted(*task));
            tasks.min_by_key(|task| task.pid().get())
        })
    }

    /// All threads, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = TaskRef> {
        self.buckets.iter().flat_map(List::iter).map(wrap)
    }
}

/// What a wait for `child` finds.
fn look(child: TaskRef, changes: Changes) -> Found {
    match child.is_zombie() {
        true if changes.ended => Found::Zombie(child),
        false if changes.include(child.group.report.get()) => Found::Changed(child),
        _ => Found::Alive,
    }
}

/// Moves all members of `from` to `to`, as children of `parent`, which gets no other signal from them than SIGCHLD: what
/// their own parent asked for need not be to its liking (Linux: kernel/exit.c, reparent_leader).
fn adopt(from: &mut List<Task, FAMILY>, to: &mut List<Task, FAMILY>, parent: TaskRef) {
    while let Some(child) = from.pop_front() {
        wrap(child).parent.set(Some(parent));
        wrap(child).group.exit_signal.set(SIGCHLD);
        // SAFETY: just taken off its list, and alive because it is in the table.
        unsafe { to.push_back(child) };
    }
}

fn wrap(task: core::ptr::NonNull<Task>) -> TaskRef {
    // SAFETY: a member of one of the table's lists, hence in the table, which is borrowed (that is, locked).
    unsafe { TaskRef::new(task) }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
