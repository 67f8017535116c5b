//! Sending signals.
//!
//! There are no users, so everybody may signal everybody. Whoever sends has the process table locked, so that the threads
//! of the process stay what they are; the locks of its signals are leaves.

use super::group::Report;
use super::process::Process;
use super::signal::info::{CLD_CONTINUED, CLD_STOPPED, Info, KILL};
use super::signal::{SIGALRM, SIGCONT, SIGHUP, SIGKILL, SIGPIPE, STOPPING, bit};
use super::table::Table;
use super::task::{Task, TaskRef, WORK_SIGNAL};
use super::{Pid, TABLE, sched};
use crate::errno::{Errno, Result};
use core::sync::atomic::Ordering::SeqCst;

/// Whom a signal is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// One process.
    Process(Pid),
    /// One thread; of the process with this number, if one is given.
    Thread(Pid, Option<Pid>),
    /// A process group.
    Group(Pid),
    /// The sender's process group.
    OwnGroup,
    /// Every process but the first and the sender's.
    Others,
    /// Nobody.
    Nobody,
}

/// Sends `info`, or without it only looks whether there is somebody. The first process gets only what it has a handler
/// for, as in Linux (signal(7)).
///
/// # Errors
/// `ESRCH`: there is nobody. `EAGAIN`: too many signals wait there.
pub(crate) fn kill(target: Target, info: Option<Info>) -> Result<()> {
    let table = TABLE.lock();
    let me = sched::current_task();
    let to_process = |leader: TaskRef| info.map_or(Ok(()), |info| post(&table, leader, None, info));
    let to_group =
        |pgid: Pid| table.members(pgid).map(to_process).reduce(Result::or).unwrap_or(Err(Errno::ESRCH));
    match target {
        Target::Process(pid) => {
            // As in Linux, any thread's number stands for its process.
            to_process(table.lookup(pid).ok_or(Errno::ESRCH)?.leader())
        }
        Target::Thread(tid, process) => {
            let thread = table.lookup(tid).ok_or(Errno::ESRCH)?;
            if process.is_some_and(|pid| pid != thread.leader().pid()) {
                return Err(Errno::ESRCH);
            }
            info.map_or(Ok(()), |info| post(&table, thread.leader(), Some(thread), info))
        }
        Target::Group(pgid) => to_group(pgid),
        Target::OwnGroup => to_group(me.group().pgid.get()),
        Target::Nobody => Err(Errno::ESRCH),
        Target::Others => {
            let others = table.processes().filter(|task| task.pid() != Pid::INIT && *task != me.leader());
            others.map(to_process).reduce(Result::or).unwrap_or(Err(Errno::ESRCH))
        }
    }
}

/// Sends `info` to the process with the leader `leader`, or to its thread `thread` alone.
///
/// # Errors
/// `EAGAIN`: too many signals wait there.
pub(super) fn post(table: &Table, leader: TaskRef, thread: Option<TaskRef>, info: Info) -> Result<()> {
    let (group, signal) = (&leader.group, info.signal);
    if leader.is_zombie() {
        return Ok(());
    }
    // Stopping and going on undo each other, whatever they do else.
    if bit(signal) & STOPPING != 0 {
        forget(table, leader, bit(SIGCONT));
    } else if signal == SIGCONT {
        forget(table, leader, STOPPING);
        go_on(table, leader);
    }
    let blocked = thread.unwrap_or(leader).signals.blocked();
    if blocked & bit(signal) == 0 {
        let action = group.actions.lock().get(signal);
        if action.ignores(signal) || leader.pid() == Pid::INIT && !action.is_handler() {
            return Ok(());
        }
    }
    match thread {
        Some(thread) => thread.signals.pending.lock().add(info)?,
        None => group.pending.lock().add(info)?,
    }
    match thread {
        _ if signal == SIGKILL => table.threads(leader).for_each(interrupt),
        Some(thread) if blocked & bit(signal) == 0 => interrupt(thread),
        Some(_) => {}
        None => offer(table, leader, bit(signal)),
    }
    Ok(())
}

/// Has a thread that does not block one of the signals in `set` look at them.
pub(super) fn offer(table: &Table, leader: TaskRef, set: u64) {
    let gone = |thread: TaskRef| thread == leader && leader.group.leader_left.get();
    let taker = table.threads(leader).find(|thread| set & !thread.signals.blocked() != 0 && !gone(*thread));
    taker.into_iter().for_each(interrupt);
}

/// Makes a thread look at its signals before it returns to EL0, and soon.
pub(super) fn interrupt(thread: TaskRef) {
    thread.request(WORK_SIGNAL);
    sched::wake(thread);
}

fn forget(table: &Table, leader: TaskRef, set: u64) {
    leader.group.pending.lock().discard(set);
    table.threads(leader).for_each(|thread| thread.signals.pending.lock().discard(set));
}

/// Ends a stop.
fn go_on(table: &Table, leader: TaskRef) {
    let group = &leader.group;
    if group.stopping.swap(0, SeqCst) == 0 {
        return;
    }
    table.threads(leader).for_each(sched::wake);
    if group.stopped.replace(0) != 0 {
        group.report.set(Report::Continued);
        tell_parent(table, leader, CLD_CONTINUED, SIGCONT);
    }
}

/// A thread of the process has stopped: if it was the last, the parent hears of it.
pub(super) fn stopped_one(table: &Table, leader: TaskRef, signal: u32) {
    let group = &leader.group;
    group.stopped.set(group.stopped.get() + 1);
    if group.stopped.get() == group.can_stop() {
        group.report.set(Report::Stopped(signal));
        tell_parent(table, leader, CLD_STOPPED, signal);
    }
}

fn tell_parent(table: &Table, leader: TaskRef, code: i32, signal: u32) {
    let Some(parent) = leader.parent.get() else { return };
    if !parent.group.actions.lock().only_ends() {
        // Only a real-time signal can be refused.
        let _ = post(table, parent, None, Info::child(code, leader.pid().get(), signal));
    }
    parent.child_exit.wake_all();
}

/// Sends to all processes of a group.
pub(super) fn post_to_group(table: &Table, pgid: Pid, info: Info) {
    for leader in table.members(pgid) {
        // A signal from the kernel is not refused.
        let _ = post(table, leader, None, info);
    }
}

/// Sends `signal` from the kernel to all processes of group `pgid`, if there is one.
pub(crate) fn signal_group(pgid: Pid, signal: u32) {
    if pgid != Pid::NONE {
        post_to_group(&TABLE.lock(), pgid, Info::kernel(signal));
    }
}

/// The members of a group that has just been orphaned would never go on if one has stopped: they get SIGHUP and SIGCONT
/// (POSIX, _exit()).
pub(super) fn release_orphans(table: &Table, pgid: Pid) {
    if table.members(pgid).any(|leader| leader.group.stopping.load(SeqCst) != 0) {
        post_to_group(table, pgid, Info::kernel(SIGHUP));
        post_to_group(table, pgid, Info::kernel(SIGCONT));
    }
}

/// The alarm of a process has gone off.
pub(super) fn alarm(table: &Table, leader: TaskRef) {
    let _ = post(table, leader, None, Info::kernel(SIGALRM)); // not refused, as above
}

/// Sends the current thread the signal of a write to a pipe that nobody reads.
pub fn raise_sigpipe() {
    let me = sched::current_task();
    let _ = post(&TABLE.lock(), me.leader(), Some(me), Info::kernel(SIGPIPE)); // not refused, as above
}

/// Whether the current thread has a signal to deal with: whoever loops in its behalf stops.
pub fn kill_pending() -> bool {
    sched::current_task().is_interrupted()
}

/// Whether the thread's process is to end, whatever its threads do meanwhile.
pub(super) fn is_killed(task: &Task) -> bool {
    let group = task.group();
    let pending = task.signals.pending.lock().set() | group.pending.lock().set();
    pending & bit(SIGKILL) != 0 || group.ending().is_some()
}

/// Whether the thread ends as soon as it stops waiting: it is killed, or others of its process end it. The process table is
/// locked.
pub(super) fn is_to_end(_: &Table, task: &Task) -> bool {
    let executing = task.group().executing.get();
    is_killed(task) || executing.is_some_and(|thread| thread != task.as_ref())
}

/// Makes sure that the current process dies on its way to EL0, even if it is the first.
pub(super) fn doom(me: &Process) {
    me.task.group().end_with(super::signal::status_killed(KILL.signal));
    me.task.request(WORK_SIGNAL);
}
