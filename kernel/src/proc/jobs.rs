//! Process groups and sessions: who may put whom where (setpgid(2), setsid(2)), and which groups are orphaned.
//!
//! Everything here is under the process table's lock, which the borrowed table stands for.

use super::pid::Pid;
use super::table::Table;
use super::task::TaskRef;
use crate::errno::{Errno, Result};

impl Table {
    /// Puts process `pid` (0: `me`, a leader) into the process group `pgid` (0: its own number).
    ///
    /// # Errors
    /// `ESRCH`: neither `me` nor a child of it. `EACCES`: a child that has executed another program. `EPERM`: another
    /// session, a session's leader, or a group that is not in this session.
    pub fn set_group(&mut self, me: TaskRef, pid: Option<Pid>, pgid: Option<Pid>) -> Result<()> {
        let task = match pid {
            None => me,
            Some(pid) => self.process(pid).filter(|task| !task.is_zombie()).ok_or(Errno::ESRCH)?,
        };
        let session = me.group.sid.get();
        if task != me {
            if task.parent.get() != Some(me) {
                return Err(Errno::ESRCH);
            }
            if task.group.sid.get() != session {
                return Err(Errno::EPERM);
            }
            if task.group.has_executed.get() {
                return Err(Errno::EACCES);
            }
        }
        if task.group.sid.get() == task.pid() {
            return Err(Errno::EPERM);
        }
        let pgid = pgid.unwrap_or(task.pid());
        let here = |other: TaskRef| other.group.pgid.get() == pgid && other.group.sid.get() == session;
        if pgid != task.pid() && !self.processes().any(here) {
            return Err(Errno::EPERM);
        }
        self.move_to(task, pgid, session);
        Ok(())
    }

    /// Makes `me`, a leader, the leader of a new session and its only group.
    ///
    /// # Errors
    /// `EPERM`: it leads a group already, or there is one with its number.
    pub fn new_session(&mut self, me: TaskRef) -> Result<Pid> {
        if self.group_exists(me.pid()) {
            return Err(Errno::EPERM);
        }
        self.move_to(me, me.pid(), me.pid());
        Ok(me.pid())
    }

    /// The processes of a group.
    pub fn members(&self, pgid: Pid) -> impl Iterator<Item = TaskRef> {
        self.processes().filter(move |task| task.group.pgid.get() == pgid)
    }

    /// Whether some process is in the group `pgid`.
    pub fn group_exists(&self, pgid: Pid) -> bool {
        self.members(pgid).next().is_some()
    }

    /// Whether nobody is left who would let the group `pgid` go on once it has stopped: no member's parent is in another
    /// group of the same session. `leaving`, which is about to end, counts neither as a member nor as a parent.
    pub fn is_orphaned(&self, pgid: Pid, leaving: Option<TaskRef>) -> bool {
        let cares = |task: TaskRef| match task.parent.get() {
            Some(parent) => {
                !task.is_zombie()
                    && Some(task) != leaving
                    && Some(parent) != leaving
                    && parent.pid() != Pid::INIT
                    && parent.group.pgid.get() != pgid
                    && parent.group.sid.get() == task.group.sid.get()
            }
            None => false,
        };
        !self.members(pgid).any(cares)
    }
}

#[cfg(test)]
mod tests {
    use super::super::group::{Group, Start};
    use super::super::signal::SIGCHLD;
    use super::*;

    fn spawn(table: &mut Table, parent: Option<TaskRef>) -> TaskRef {
        let group = parent.map_or(Start::FIRST, |parent| parent.group.for_child(SIGCHLD));
        let task = TaskRef::leaked_with(Group::begin(group), None);
        // SAFETY: new, and alive for ever.
        unsafe { table.insert(task, parent) }.unwrap();
        task
    }

    /// A shell that leads a session, with two children.
    fn session() -> (Table, TaskRef, [TaskRef; 2]) {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        let shell = spawn(&mut table, Some(init));
        assert_eq!(table.new_session(shell), Ok(shell.pid()));
        let jobs = [spawn(&mut table, Some(shell)), spawn(&mut table, Some(shell))];
        (table, shell, jobs)
    }

    #[test]
    fn a_shell_makes_jobs_of_its_children() {
        let (mut table, shell, [a, b]) = session();
        assert_eq!(a.group.pgid.get(), shell.pid(), "at first in the shell's group");
        assert_eq!(table.set_group(shell, Some(a.pid()), None), Ok(()));
        assert_eq!(table.set_group(shell, Some(b.pid()), Some(a.pid())), Ok(()));
        assert_eq!(table.members(a.pid()).count(), 2);
        assert!(!table.is_orphaned(a.pid(), None) && table.is_orphaned(shell.pid(), None));
        assert!(table.is_orphaned(b.pid(), None), "a group without members");
        assert_eq!(table.set_group(b, None, None), Ok(()), "on its own behalf");
    }

    #[test]
    fn what_setpgid_refuses() {
        let (mut table, shell, [a, b]) = session();
        assert_eq!(table.set_group(a, Some(b.pid()), None), Err(Errno::ESRCH));
        assert_eq!(table.set_group(shell, Pid::new(999), None), Err(Errno::ESRCH));
        assert_eq!(table.set_group(shell, None, None), Err(Errno::EPERM), "leads a session");
        assert_eq!(table.set_group(a, None, Pid::new(999)), Err(Errno::EPERM), "no such group");
        b.group.has_executed.set(true);
        assert_eq!(table.set_group(shell, Some(b.pid()), None), Err(Errno::EACCES));
        assert_eq!(table.new_session(a), Ok(a.pid()));
        assert_eq!(table.set_group(shell, Some(a.pid()), None), Err(Errno::EPERM), "another session");
        assert_eq!(table.new_session(a), Err(Errno::EPERM), "twice");
    }

    #[test]
    fn a_group_is_orphaned_when_its_last_link_to_the_session_goes() {
        let (mut table, shell, [a, _]) = session();
        table.set_group(a, None, None).unwrap();
        let grandchild = spawn(&mut table, Some(a));
        assert!(!table.is_orphaned(a.pid(), None));
        assert!(table.is_orphaned(a.pid(), Some(a)), "the grandchild's parent is in the group");
        let init = table.lookup(Pid::INIT).unwrap();
        table.exit(shell, init);
        assert!(table.is_orphaned(a.pid(), None), "init does not care");
        let _ = grandchild;
    }
}
