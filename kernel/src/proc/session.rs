//! Process groups and sessions of the current process: `jobs` has the rules.

use super::signal::action::SIG_IGN;
use super::signal::bit;
use super::task::TaskRef;
use super::{Pid, TABLE, sched};
use crate::errno::{Errno, Result};

/// The current process's group; [`Pid::NONE`] before there are any.
pub(crate) fn own_group() -> Pid {
    let _table = TABLE.lock();
    sched::current().task.group().pgid.get()
}

/// Puts process `pid` (none: the current one) into group `pgid` (none: its own number).
///
/// # Errors
/// As [`super::table::Table::set_group`].
pub(crate) fn set_group(pid: Option<Pid>, pgid: Option<Pid>) -> Result<()> {
    TABLE.lock().set_group(sched::current_task().leader(), pid, pgid)
}

/// The numbers of process `pid`'s (none: the current one's) group and session; 0: none.
///
/// # Errors
/// `ESRCH`.
pub(crate) fn group_and_session(pid: Option<Pid>) -> Result<(u32, u32)> {
    let table = TABLE.lock();
    let leader = match pid {
        None => sched::current_task().leader(),
        Some(pid) => table.lookup(pid).ok_or(Errno::ESRCH)?.leader(),
    };
    Ok((leader.group.pgid.get().get(), leader.group.sid.get().get()))
}

/// Makes the current process the leader of a new session, without a terminal.
///
/// # Errors
/// As [`super::table::Table::new_session`].
pub(crate) fn create() -> Result<Pid> {
    TABLE.lock().new_session(sched::current_task().leader())
}

/// Where the current process stands.
pub(crate) struct Place {
    /// Its number.
    pub process: Pid,
    /// Its group's; [`Pid::NONE`]: none.
    pub group: Pid,
    /// Its session's; [`Pid::NONE`]: none.
    pub session: Pid,
    thread: TaskRef,
}

impl Place {
    /// Whether the current thread blocks `signal`, or the process ignores it.
    pub fn holds_off(&self, signal: u32) -> bool {
        let ignored = self.thread.group().actions.lock().get(signal).handler == SIG_IGN;
        ignored || self.thread.signals.blocked() & bit(signal) != 0
    }
}

/// Where the current process stands.
pub(crate) fn place() -> Place {
    let _table = TABLE.lock();
    let thread = sched::current_task();
    let group = thread.group();
    Place { process: thread.leader().pid(), group: group.pgid.get(), session: group.sid.get(), thread }
}

/// Whether nobody would let the group go on if it stopped.
pub(crate) fn is_orphaned(pgid: Pid) -> bool {
    TABLE.lock().is_orphaned(pgid, None)
}

/// Looks whether group `pgid` is in `session`.
///
/// # Errors
/// `ESRCH`: there is no such group. `EPERM`: it is in another session.
pub(crate) fn check_member(pgid: Pid, session: Pid) -> Result<()> {
    let table = TABLE.lock();
    let member = table.members(pgid).next().ok_or(Errno::ESRCH)?;
    if member.group.sid.get() == session { Ok(()) } else { Err(Errno::EPERM) }
}
