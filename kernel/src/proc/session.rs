//! Process groups and sessions of the current process: `jobs` has the rules.

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
