//! Sending signals.
//!
//! There are no process groups or sessions: every process belongs to one group, which `kill(0)` reaches. There are no
//! users either, so everybody may signal everybody.

use super::signal::{SIGKILL, SIGPIPE};
use super::task::{TaskRef, WORK_SIGNAL};
use super::{Pid, TABLE, sched};
use crate::errno::{Errno, Result};

/// Whom a signal is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// One process.
    Process(Pid),
    /// Every process but the first.
    All,
    /// Every process but the first and the sender.
    Others,
    /// A process group that does not exist.
    Nobody,
}

/// Sends `signal` (1 to 64; 0 only asks whether there is somebody). The first process cannot be killed this way,
/// as in Linux (signal(7): init receives only signals it has a handler for).
///
/// # Errors
/// `ESRCH`: there is no such process.
pub(crate) fn kill(target: Target, signal: u32) -> Result<()> {
    let table = TABLE.lock();
    let me = sched::current_task();
    match target {
        Target::Process(pid) => {
            send(table.lookup(pid).ok_or(Errno::ESRCH)?, signal);
            Ok(())
        }
        Target::Nobody => Err(Errno::ESRCH),
        Target::All | Target::Others => {
            let mut found = Err(Errno::ESRCH);
            for task in table.iter() {
                if task.pid() != Pid::INIT && (target == Target::All || task != me) {
                    send(task, signal);
                    found = Ok(());
                }
            }
            found
        }
    }
}

fn send(task: TaskRef, signal: u32) {
    if signal != 0 && task.pid() != Pid::INIT && task.signals.post(signal) {
        task.request(WORK_SIGNAL);
        sched::wake(task);
    }
}

/// Sends the current process the signal of a write to a pipe that nobody reads.
pub fn raise_sigpipe() {
    send(sched::current_task(), SIGPIPE);
}

/// Whether the current process is going to die: whoever loops in its behalf stops.
pub fn kill_pending() -> bool {
    sched::current_task().must_die()
}

/// Makes sure that the current process dies on its way to EL0, even if it is the first.
pub(super) fn doom() {
    let me = sched::current_task();
    if me.signals.post(SIGKILL) {
        me.request(WORK_SIGNAL);
    }
}
