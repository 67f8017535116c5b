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
mod tests {
    use super::super::group::{Group, Start};
    use super::super::signal::SIGTSTP;
    use super::super::signal::action::{Action, SIG_IGN};
    use super::*;

    fn spawn(table: &mut Table, parent: Option<TaskRef>) -> TaskRef {
        let group = parent.map_or(Start::FIRST, |parent| parent.group.for_child(SIGCHLD));
        let task = TaskRef::leaked_with(Group::begin(group), None);
        // SAFETY: new, and alive for ever.
        unsafe { table.insert(task, parent) }.unwrap();
        task
    }

    fn reap(table: &mut Table, parent: TaskRef, which: Which) -> Option<u32> {
        let Found::Zombie(zombie) = table.find_child(parent, which, Changes::END) else { return None };
        table.remove(zombie);
        Some(zombie.pid().get())
    }

    #[test]
    fn a_number_is_not_used_again_while_it_is_visible() {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        let stays = spawn(&mut table, Some(init));
        let zombie = spawn(&mut table, Some(init));
        assert_eq!((init.pid().get(), stays.pid().get(), zombie.pid().get()), (1, 2, 3));
        table.exit(zombie, init);
        for round in 0..2 * PID_MAX {
            let child = spawn(&mut table, Some(init));
            assert!(child.pid().get() > 3 && child.pid().get() < PID_MAX, "round {round}");
            table.exit(child, init);
            assert_eq!(reap(&mut table, init, Which::Pid(child.pid())), Some(child.pid().get()));
        }
        assert!(table.lookup(zombie.pid()) == Some(zombie) && table.count == 3);
    }

    #[test]
    fn a_walk_meets_everybody_once_whoever_is_struck_off_meanwhile() {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        let children: Vec<_> = (0..3 * BUCKETS).map(|_| spawn(&mut table, Some(init))).collect();
        let even = |task: TaskRef| task.pid().get().is_multiple_of(2);
        let (mut after, mut met) = (0, Vec::new());
        while let Some(task) = table.following(after, even) {
            after = task.pid().get();
            met.push(after);
            // Every other one that it meets is gone before it goes on.
            if met.len().is_multiple_of(2) {
                table.exit(task, init);
                reap(&mut table, init, Which::Pid(task.pid())).unwrap();
            }
        }
        met.sort_unstable();
        let expected = children.iter().filter(|task| even(**task)).map(|task| task.pid().get());
        assert!(met.into_iter().eq(expected));
        assert!(Table::new().following(0, |_| true).is_none());
    }

    #[test]
    fn thousands_of_children_then_eagain() {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        for _ in 1..MAX_PROCESSES {
            spawn(&mut table, Some(init));
        }
        // SAFETY: new, and alive for ever.
        assert_eq!(unsafe { table.insert(TaskRef::leaked(), Some(init)) }, Err(Errno::EAGAIN));
        assert_eq!(table.iter().count(), MAX_PROCESSES as usize);
        table.exit(table.lookup(Pid::new(77).unwrap()).unwrap(), init);
        assert_eq!(reap(&mut table, init, Which::Any), Some(77));
        spawn(&mut table, Some(init));
    }

    #[test]
    fn only_the_parent_s_zombies_are_found_oldest_first() {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        let shell = spawn(&mut table, Some(init));
        let (a, b) = (spawn(&mut table, Some(shell)), spawn(&mut table, Some(shell)));
        assert!(matches!(table.find_child(shell, Which::Any, Changes::END), Found::Alive));
        assert!(matches!(table.find_child(init, Which::Pid(a.pid()), Changes::END), Found::Nobody));
        table.exit(b, init);
        assert!(matches!(table.find_child(shell, Which::Pid(a.pid()), Changes::END), Found::Alive));
        table.exit(a, init);
        assert_eq!(reap(&mut table, shell, Which::Any), Some(b.pid().get()));
        assert_eq!(reap(&mut table, shell, Which::Any), Some(a.pid().get()));
        assert!(matches!(table.find_child(shell, Which::Any, Changes::END), Found::Nobody));
        assert!(matches!(table.find_child(shell, Which::Pid(a.pid()), Changes::END), Found::Nobody));
    }

    #[test]
    fn orphans_go_to_init_dead_or_alive() {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        let parent = spawn(&mut table, Some(init));
        let (alive, dead) = (spawn(&mut table, Some(parent)), spawn(&mut table, Some(parent)));
        alive.group.exit_signal.set(9);
        assert!(!table.exit(dead, init));
        assert!(table.exit(parent, init), "init must be told of the zombie it inherits");
        assert_eq!(alive.group.exit_signal.get(), SIGCHLD, "init gets no signal that it does not expect");
        assert!(alive.parent.get() == Some(init) && dead.parent.get() == Some(init));
        assert_eq!(reap(&mut table, init, Which::Pid(dead.pid())), Some(dead.pid().get()));
        assert_eq!(reap(&mut table, init, Which::Any), Some(parent.pid().get()));
        assert!(matches!(table.find_child(init, Which::Any, Changes::END), Found::Alive));
    }

    #[test]
    fn no_zombie_for_a_parent_that_ignores_sigchld() {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        let parent = spawn(&mut table, Some(init));
        let child = spawn(&mut table, Some(parent));
        let ignore = Action { handler: SIG_IGN, ..Action::default() };
        parent.group.actions.lock().set(SIGCHLD, ignore).unwrap();
        table.exit(child, init);
        assert!(table.lookup(child.pid()).is_none());
        assert!(matches!(table.find_child(parent, Which::Any, Changes::END), Found::Nobody));
        assert_eq!(child.state.load(Relaxed), DETACHED);
    }

    #[test]
    fn threads_have_numbers_but_are_nobody_s_children() {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        let process = spawn(&mut table, Some(init));
        let thread = TaskRef::leaked_with(Group::new(), Some(process));
        // SAFETY: new, and alive for ever.
        let number = unsafe { table.insert_thread(thread) }.unwrap();
        assert!(table.lookup(number) == Some(thread) && table.process(number).is_none());
        assert!(table.threads(process).eq([process, thread]));
        assert!(matches!(table.find_child(init, Which::Pid(number), Changes::END), Found::Nobody));
        assert_eq!((table.processes().count(), table.iter().count()), (2, 3));
        table.remove_thread(thread);
        assert!(table.lookup(number).is_none() && table.threads(process).eq([process]));
        assert_eq!(process.group.live.load(SeqCst), 1);
    }

    #[test]
    fn stops_are_found_by_those_who_ask() {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        let (other, child) = (spawn(&mut table, Some(init)), spawn(&mut table, Some(init)));
        table.move_to(child, child.pid(), Pid::NONE);
        child.group.report.set(Report::Stopped(SIGTSTP));
        let stops = Changes { stopped: true, ..Changes::END };
        let find = |which, changes| table.find_child(init, which, changes);
        assert!(matches!(find(Which::Any, Changes::END), Found::Alive));
        assert!(matches!(find(Which::Any, stops), Found::Changed(found) if found == child));
        assert!(matches!(find(Which::Group(child.pid()), stops), Found::Changed(found) if found == child));
        assert!(matches!(find(Which::Group(other.pid()), stops), Found::Nobody));
        assert!(matches!(find(Which::Pid(other.pid()), stops), Found::Alive));
    }

    #[test]
    fn a_number_is_not_used_again_while_a_group_has_it() {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        let (leader, member) = (spawn(&mut table, Some(init)), spawn(&mut table, Some(init)));
        let number = leader.pid();
        table.move_to(leader, number, number);
        table.move_to(member, number, number);
        table.exit(leader, init);
        reap(&mut table, init, Which::Pid(number)).unwrap();
        for _ in 0..PID_MAX {
            let child = spawn(&mut table, Some(init));
            assert!(child.pid() != number);
            table.exit(child, init);
            reap(&mut table, init, Which::Any).unwrap();
        }
        table.exit(member, init);
        reap(&mut table, init, Which::Any).unwrap();
        let all = (0..PID_MAX).map(|_| {
            let child = spawn(&mut table, Some(init));
            table.exit(child, init);
            reap(&mut table, init, Which::Any).unwrap()
        });
        assert!(all.into_iter().any(|pid| pid == number.get()));
    }
}
