//! The end of threads and processes: exit, death by signal, and reaping.
//!
//! A thread other than the leader goes without a trace. The leader, if it is done first, waits for the others, and then
//! gives back the process's files and memory. Its number, exit status and kernel stack stay until its parent waits for
//! it. The last thing it does is to switch away, so the stack must not go before that: a reaper waits for state `DEAD`,
//! which the next thread on that CPU sets (it has set it long ago unless that is another CPU).

use core::cell::Cell;
use core::sync::atomic::Ordering::{Acquire, SeqCst};

use super::cpu_time::Used;
use super::process::Process;
use super::signal::info::{CLD_CONTINUED, CLD_STOPPED, Info};
use super::signal::{self, status_exited};
use super::table::{Changes, Found, Which};
use super::task::{DEAD, TaskRef, WORK_ENDING};
use super::usage::{Spent, Usage};
use super::{Pid, TABLE, alarm, fork, futex, kill, process, sched, timers};
use crate::arch;
use crate::errno::{Errno, Result};
use crate::mm::AddressSpace;

/// Ends the current thread as `exit(code)` does: the process too if it is the last.
pub(crate) fn exit(code: u32) -> ! {
    thread_exit(status_exited(code))
}

/// Ends the current process as `exit_group(code)` does.
pub(crate) fn exit_group(code: u32) -> ! {
    group_exit(status_exited(code))
}

/// Ends all threads of the current process, with the wait status `status`.
pub(super) fn group_exit(status: u32) -> ! {
    let me = sched::current();
    let group = me.task.group();
    group.end_with(status);
    if group.live.load(SeqCst) > 1 {
        let table = TABLE.lock();
        let others = table.threads(me.task.leader()).filter(|thread| *thread != me.task_ref());
        others.for_each(kill::interrupt);
    }
    thread_exit(status)
}

/// Ends the current thread. `status` is the process's wait status if this is the leader and no other is said.
pub(super) fn thread_exit(status: u32) -> ! {
    let me = sched::current();
    let group = me.task.group();
    if me.task.leader().pid() == Pid::INIT && (group.ending().is_some() || group.live.load(SeqCst) == 1) {
        shut_down(group.ending().unwrap_or(status));
    }
    futex::release_robust_locks(me);
    clear_tid(me);
    if !me.task.is_leader() {
        leave(me);
    }
    if group.live.load(SeqCst) > 1 {
        wait_for_threads(me);
    }
    end(me, group.ending().unwrap_or(status))
}

/// Tells whoever waits at the thread's address for its end. Without anybody who shares the memory there is no need.
pub(super) fn clear_tid(me: &Process) {
    let addr = me.clear_child_tid.take();
    if addr != 0 && (me.task.group().live.load(SeqCst) > 1 || me.shares_space()) {
        me.task.request(WORK_ENDING);
        // Linux ignores a bad address as well (kernel/fork.c, mm_release).
        let _ = crate::arch::uaccess::copy_to_user(addr, &0u32.to_ne_bytes());
        let _ = futex::wake(addr, futex::Sharing::Any, 1, u32::MAX);
    }
}

/// A thread that is not the leader goes.
pub(super) fn leave(me: &Process) -> ! {
    let leader = me.task.leader();
    arch::mmu::set_empty_user_table();
    sched::settle();
    let mut table = TABLE.lock();
    table.keep_usage(me.task_ref());
    table.remove_thread(me.task_ref());
    // What it was to take, others take; and who waits for it to go finds it gone.
    let waiting = leader.group.pending.lock().set();
    if waiting != 0 {
        kill::offer(&table, leader, waiting);
    }
    leader.group.alone.wake_all();
    drop(table);
    sched::schedule();
    unreachable!("an exited thread runs");
}

/// The leader is done before the other threads: it waits until they are.
fn wait_for_threads(me: &'static Process) {
    let group = me.task.group();
    {
        let table = TABLE.lock();
        group.leader_left.set(true);
        group.alone.wake_all();
        kill::offer(&table, me.task_ref(), group.pending.lock().set());
    }
    let again = group.alone.wait_undisturbed(|| match group.live.load(SeqCst) {
        1 => Some(group.executing.get().is_some()),
        _ => None,
    });
    if again {
        resume(me);
    }
}

/// Another thread executes a program: the current one ends, or, if it is the leader, waits until it can go on with that
/// program, or until nothing comes of it.
pub(super) fn make_way(me: &'static Process) {
    if !me.task.is_leader() {
        futex::release_robust_locks(me);
        clear_tid(me);
        leave(me);
    }
    let group = me.task.group();
    {
        let _table = TABLE.lock();
        group.leader_left.set(true);
        group.alone.wake_all();
    }
    let program_changed = group.alone.wait_undisturbed(|| {
        let alone = group.live.load(SeqCst) == 1;
        (alone || group.executing.get().is_none()).then_some(alone && group.executing.get().is_some())
    });
    if program_changed {
        resume(me);
    }
    let _table = TABLE.lock();
    group.leader_left.set(false);
}

/// The leader goes on in the program that a thread, now gone, has executed: its registers are set.
fn resume(me: &'static Process) -> ! {
    {
        let _table = TABLE.lock();
        me.task.group().executing.set(None);
        me.task.group().leader_left.set(false);
    }
    me.activate();
    fork::enter_user(me)
}

/// Ends the current process, which has no other threads any more.
fn end(me: &'static Process, status: u32) -> ! {
    if me.task.alarm.get()[0] != sched::NEVER {
        alarm::set(me.task_ref(), [sched::NEVER, 0]);
    }
    timers::delete_all(me.task_ref());
    if me.task.group.sid.get() == me.task.pid() {
        crate::tty::process_ends(me.task.pid());
    }
    let files = core::mem::take(&mut *me.files.lock());
    drop(files); // not under the lock: the end of a pipe's last descriptor wakes others
    // Out of the table walker's reach before it is torn down, so that the teardown has no user of the tables to fear.
    arch::mmu::set_empty_user_table();
    let max_rss = me.max_rss();
    me.mm.leave(|space| AddressSpace::destroy_in(space, crate::mm()));
    me.task.wait_status.set(status);
    let mut table = TABLE.lock();
    table.note_max_rss(me.task_ref(), max_rss);
    release_vfork(me);
    let parent = me.task.parent.get();
    tell_orphans(&table, me.task_ref());
    if let Some(init) = table.lookup(Pid::INIT)
        && table.exit(me.task_ref(), init)
    {
        init.child_exit.wake_all();
    }
    if let Some(parent) = parent {
        let signal = me.task.group.exit_signal.get();
        if signal != 0 {
            let info = Info { signal, ..Info::ended(me.task.pid().get(), status) };
            let _ = kill::post(&table, parent, None, info); // `EAGAIN` for a real-time signal: it is lost, as in Linux
        }
        parent.child_exit.wake_all();
    }
    drop(table);
    sched::schedule();
    unreachable!("an exited process runs");
}

/// Groups that the end of `me` orphans, its own or its children's, are not left stopped.
fn tell_orphans(table: &super::table::Table, me: TaskRef) {
    let own = me.group.pgid.get();
    if me.group.sid.get() == Pid::NONE {
        return; // there are no jobs outside of a session
    }
    let linked = me
        .parent
        .get()
        .is_some_and(|parent| parent.group.pgid.get() != own && parent.group.sid.get() == me.group.sid.get());
    if linked && table.is_orphaned(own, Some(me)) {
        kill::release_orphans(table, own);
    }
    // SAFETY: the list changes only with the table borrowed mutably.
    for child in unsafe { &*me.children.get() }.iter() {
        // SAFETY: a child is in the table, which is locked.
        let child = unsafe { TaskRef::new(child) };
        let group = child.group.pgid.get();
        let linked = group != own && child.group.sid.get() == me.group.sid.get();
        if linked && table.is_orphaned(group, Some(me)) {
            kill::release_orphans(table, group);
        }
    }
}

/// The parent that waits for the end of a vfork goes on: its child does not use its memory any more. The process table
/// is locked.
pub(super) fn release_vfork(me: &Process) {
    me.memory.set(core::ptr::null());
    if let Some(parent) = me.task.vfork_parent.take() {
        parent.in_vfork.set(false);
        sched::wake(parent);
    }
}

/// The first process has ended, and so does the machine. Its exit status becomes QEMU's.
fn shut_down(status: u32) -> ! {
    let code = signal::shell_status(status);
    match status & 0x7f {
        0 => log::info!("init exited with status {code}"),
        number => log::error!("init was killed by signal {number}"),
    }
    arch::exit(code as i32)
}

/// What has become of a child that was waited for.
pub(crate) struct Waited {
    pub pid: Pid,
    /// As wait4 reports it.
    pub status: u32,
}

impl Waited {
    /// As SIGCHLD tells it.
    pub fn info(&self) -> Info {
        let pid = self.pid.get();
        match self.status {
            signal::STATUS_CONTINUED => Info::child(CLD_CONTINUED, pid, signal::SIGCONT),
            stopped if stopped & 0xff == 0x7f => Info::child(CLD_STOPPED, pid, stopped >> 8),
            ended => Info::ended(pid, ended),
        }
    }
}

/// How to wait.
#[derive(Clone, Copy)]
pub(crate) struct How {
    /// For what.
    pub changes: Changes,
    /// Not at all, if it has not happened yet.
    pub nohang: bool,
    /// What has happened may be waited for again.
    pub keep: bool,
}

/// Waits for a child of the current process. A zombie is buried. None if `nohang` and nothing has happened. What the child
/// has used, with the children it has waited for, goes to `used` if that is wanted: it is too large to be handed up
/// each time.
///
/// # Errors
/// `ECHILD`: there is no such child. `EINTR`: there is a signal to deal with.
pub(crate) fn wait(which: Which, how: How, used: Option<&Cell<Used>>) -> Result<Option<Waited>> {
    let me = sched::current_task().leader();
    let tell = |usage: Usage| {
        if let Some(used) = used {
            used.set(Spent::of(&usage, None).into());
        }
    };
    me.child_exit.wait_until(|| {
        let mut table = TABLE.lock();
        match table.find_child(me, which, how.changes) {
            Found::Zombie(zombie) if how.keep => {
                tell(table.usage_in_all(zombie));
                Some(Ok(Some(Waited { pid: zombie.pid(), status: zombie.wait_status.get() })))
            }
            Found::Zombie(zombie) => {
                // Switched away from for good: nothing is added to its account any more.
                while zombie.state.load(Acquire) != DEAD {
                    core::hint::spin_loop();
                }
                tell(table.inherit(me, zombie));
                table.remove(zombie);
                drop(table);
                let waited = Waited { pid: zombie.pid(), status: zombie.wait_status.get() };
                // SAFETY: not in the table, on nobody's list, and switched away from for good.
                unsafe { process::free(zombie) };
                Some(Ok(Some(waited)))
            }
            Found::Changed(child) => {
                let report = &child.group.report;
                let status = report.get().status().unwrap_or(0);
                if !how.keep {
                    report.set(super::group::Report::Nothing);
                }
                tell(table.usage_in_all(child));
                Some(Ok(Some(Waited { pid: child.pid(), status })))
            }
            Found::Nobody => Some(Err(Errno::ECHILD)),
            Found::Alive if how.nohang => Some(Ok(None)),
            Found::Alive => None,
        }
    })?
}
