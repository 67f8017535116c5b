//! The process table: every process by its number, and who is whose child.
//!
//! One lock protects the table, all family links and the way from alive to zombie to gone. Every operation is
//! O(1), except that an exiting process hands over its own children one by one. Members bring their links along,
//! so nothing here allocates.
//!
//! ```text
//!   parent.children  <->  child <-> child            alive
//!   parent.zombies   <->  child <-> child            exited, not waited for: still in the table, so its number
//!                                                    is not used again
//! ```

use core::sync::atomic::Ordering::Relaxed;

use super::list::List;
use super::pid::{PID_MAX, Pid};
use super::signal;
use super::task::{DETACHED, EXITING, FAMILY, HASH, Task, TaskRef};
use crate::errno::{Errno, Result};

const BUCKETS: usize = 1024;

/// No more processes than this, so that a free number is found after few tries.
pub(crate) const MAX_PROCESSES: u32 = PID_MAX / 2;

/// The processes by number; see the module's text.
pub(super) struct Table {
    buckets: [List<Task, HASH>; BUCKETS],
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
}

/// What a look at the children found.
pub(super) enum Found {
    /// This one has exited.
    Zombie(TaskRef),
    /// There are some, all alive.
    Alive,
    /// There is none.
    Nobody,
}

impl Table {
    pub const fn new() -> Self {
        Table { buckets: [const { List::new() }; BUCKETS], last: Pid::NONE, count: 0 }
    }

    fn bucket(&mut self, pid: Pid) -> &mut List<Task, HASH> {
        &mut self.buckets[pid.get() as usize % BUCKETS]
    }

    /// The process with this number, alive or zombie.
    pub fn lookup(&self, pid: Pid) -> Option<TaskRef> {
        self.buckets[pid.get() as usize % BUCKETS].iter().map(wrap).find(|task| task.pid() == pid)
    }

    /// Gives `task` a free number and enters it as a child of `parent` (none: the first process).
    ///
    /// # Errors
    /// `EAGAIN`: too many processes.
    ///
    /// # Safety
    /// The task is new, and stays alive until [`Table::remove`].
    pub unsafe fn insert(&mut self, task: TaskRef, parent: Option<TaskRef>) -> Result<Pid> {
        if self.count >= MAX_PROCESSES {
            return Err(Errno::EAGAIN);
        }
        let mut pid = self.last.successor();
        while self.lookup(pid).is_some() {
            pid = pid.successor();
        }
        self.last = pid;
        self.count += 1;
        task.pid.set(pid);
        // SAFETY: a new task is on no list, and the caller keeps it alive until it is removed.
        unsafe { self.bucket(pid).push_back(task.as_ptr()) };
        task.parent.set(parent);
        if let Some(parent) = parent {
            // SAFETY: as above; a parent's lists are reached only through the table, which is borrowed mutably.
            unsafe { (*parent.children.get()).push_back(task.as_ptr()) };
        }
        Ok(pid)
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
            // POSIX, _exit(): no zombie if the parent has set SIGCHLD to SIG_IGN.
            if parent.signals.ignores(signal::SIGCHLD) {
                self.remove(task);
                task.state.store(DETACHED, Relaxed);
            } else {
                task.state.store(EXITING, Relaxed);
            }
            orphaned_zombies
        }
    }

    /// Looks for a zombie among the children of `parent`.
    pub fn find_zombie(&self, parent: TaskRef, which: Which) -> Found {
        // SAFETY: the lists are changed only with the table borrowed mutably.
        let (children, zombies) = unsafe { (&*parent.children.get(), &*parent.zombies.get()) };
        match which {
            Which::Any => match zombies.front() {
                Some(zombie) => Found::Zombie(wrap(zombie)),
                None if children.is_empty() => Found::Nobody,
                None => Found::Alive,
            },
            Which::Pid(pid) => match self.lookup(pid) {
                Some(child) if child.parent.get() != Some(parent) => Found::Nobody,
                Some(child) if child.is_zombie() => Found::Zombie(child),
                Some(_) => Found::Alive,
                None => Found::Nobody,
            },
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
        self.count -= 1;
    }

    /// All processes, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = TaskRef> {
        self.buckets.iter().flat_map(List::iter).map(wrap)
    }
}

/// Moves all members of `from` to `to`, as children of `parent`.
fn adopt(from: &mut List<Task, FAMILY>, to: &mut List<Task, FAMILY>, parent: TaskRef) {
    while let Some(child) = from.pop_front() {
        wrap(child).parent.set(Some(parent));
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
    use super::super::signal::SIGCHLD;
    use super::*;

    fn spawn(table: &mut Table, parent: Option<TaskRef>) -> TaskRef {
        let task = TaskRef::leaked();
        // SAFETY: new, and alive for ever.
        unsafe { table.insert(task, parent) }.unwrap();
        task
    }

    fn reap(table: &mut Table, parent: TaskRef, which: Which) -> Option<u32> {
        let Found::Zombie(zombie) = table.find_zombie(parent, which) else { return None };
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
        assert!(matches!(table.find_zombie(shell, Which::Any), Found::Alive));
        assert!(matches!(table.find_zombie(init, Which::Pid(a.pid())), Found::Nobody));
        table.exit(b, init);
        assert!(matches!(table.find_zombie(shell, Which::Pid(a.pid())), Found::Alive));
        table.exit(a, init);
        assert_eq!(reap(&mut table, shell, Which::Any), Some(b.pid().get()));
        assert_eq!(reap(&mut table, shell, Which::Any), Some(a.pid().get()));
        assert!(matches!(table.find_zombie(shell, Which::Any), Found::Nobody));
        assert!(matches!(table.find_zombie(shell, Which::Pid(a.pid())), Found::Nobody));
    }

    #[test]
    fn orphans_go_to_init_dead_or_alive() {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        let parent = spawn(&mut table, Some(init));
        let (alive, dead) = (spawn(&mut table, Some(parent)), spawn(&mut table, Some(parent)));
        assert!(!table.exit(dead, init));
        assert!(table.exit(parent, init), "init must be told of the zombie it inherits");
        assert!(alive.parent.get() == Some(init) && dead.parent.get() == Some(init));
        assert_eq!(reap(&mut table, init, Which::Pid(dead.pid())), Some(dead.pid().get()));
        assert_eq!(reap(&mut table, init, Which::Any), Some(parent.pid().get()));
        assert!(matches!(table.find_zombie(init, Which::Any), Found::Alive));
    }

    #[test]
    fn no_zombie_for_a_parent_that_ignores_sigchld() {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        let parent = spawn(&mut table, Some(init));
        let child = spawn(&mut table, Some(parent));
        parent.signals.set_ignored(SIGCHLD, true);
        table.exit(child, init);
        assert!(table.lookup(child.pid()).is_none());
        assert!(matches!(table.find_zombie(parent, Which::Any), Found::Nobody));
        assert_eq!(child.state.load(Relaxed), DETACHED);
    }
}
