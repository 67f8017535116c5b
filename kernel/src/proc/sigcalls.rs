//! What a thread asks about its own signals.

use super::deliver;
use super::sched;
use super::signal::action::Action;
use super::signal::bit;
use super::signal::info::{Info, SI_TIMER};
use super::signal::thread::AltStack;
use super::{TABLE, WaitQueue, timers};
use crate::errno::{Errno, Result};

/// What `signal` does; says what it does from now on, if `new` is something. What is ignored from now on does not wait
/// any more (POSIX).
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn set_action(signal: u32, new: Option<Action>) -> Result<Action> {
    let me = sched::current_task();
    let group = me.group();
    let old = {
        let mut actions = group.actions.lock();
        let old = actions.get(signal);
        if let Some(new) = new {
            actions.set(signal, new)?;
        }
        old
    };
    if new.is_some_and(|new| new.ignores(signal)) {
        let table = TABLE.lock();
        group.pending.lock().discard(bit(signal));
        table.threads(me.leader()).for_each(|thread| thread.signals.pending.lock().discard(bit(signal)));
    }
    Ok(old)
}

/// The set of blocked signals.
pub(crate) fn blocked() -> u64 {
    sched::current().task.signals.blocked()
}

/// Sets it.
pub(crate) fn set_blocked(set: u64) {
    deliver::set_blocked(sched::current(), set);
}

/// Which signals wait for the current thread or its process.
pub(crate) fn waiting() -> u64 {
    let me = &sched::current().task;
    me.signals.pending.lock().set() | me.group().pending.lock().set()
}

/// Which of them are blocked.
pub(crate) fn pending() -> u64 {
    waiting() & blocked()
}

/// Blocks `set` until the call under way is over: when a handler has been chosen, or the call starts again.
pub(crate) fn block_meanwhile(set: u64) {
    let me = sched::current();
    me.task.signals.block_meanwhile(set);
    deliver::recheck(me);
}

/// The call under way is over without a signal: blocks what was blocked before.
pub(crate) fn end_meanwhile() {
    let me = sched::current();
    me.task.signals.restore_mask();
    deliver::recheck(me);
}

/// Waits with `set` blocked until a handler is to be run.
///
/// # Errors
/// `EINTR`, always.
pub(crate) fn suspend(set: u64) -> Result<usize> {
    block_meanwhile(set);
    WaitQueue::new().wait_until(|| None)
}

/// Takes the next of the signals in `set` that wait for the current thread or its process.
pub(crate) fn take(set: u64) -> Option<Info> {
    let me = &sched::current().task;
    let own = me.signals.pending.lock().take(set);
    let mut found = own.or_else(|| me.group().pending.lock().take(set));
    if let Some(info) = &mut found
        && info.code == SI_TIMER
    {
        timers::taken(info);
    }
    found
}

/// Takes the next of the signals in `set`; waits for one until `deadline` (nanoseconds since boot).
///
/// # Errors
/// `EAGAIN`: none came. `EINTR`: another one did.
pub(crate) fn wait_for(set: u64, deadline: u64) -> Result<Info> {
    let me = sched::current();
    let signals = &me.task.signals;
    if let Some(info) = take(set) {
        return Ok(info);
    }
    // Not blocked meanwhile, so that whoever sends one wakes this thread; it takes the signal before any handler can.
    let blocked = signals.blocked();
    signals.set_blocked(blocked & !set);
    let woken = WaitQueue::new().wait_with_deadline(deadline, || None::<()>);
    let found = take(set);
    deliver::set_blocked(me, blocked);
    match (found, woken) {
        (Some(info), _) => Ok(info),
        (None, Err(error)) => Err(error),
        (None, Ok(_)) => Err(Errno::EAGAIN),
    }
}

/// The alternate stack as it was, for a thread whose stack pointer is `sp`; `new` replaces it.
///
/// # Errors
/// `EPERM`: the thread is on it. `EINVAL`, `ENOMEM`: not a stack, or too small.
pub(crate) fn set_alt_stack(new: Option<AltStack>, sp: u64) -> Result<AltStack> {
    let stack = &sched::current().task.signals.alt_stack;
    let old = stack.get();
    if let Some(new) = new {
        if old.holds(sp) {
            return Err(Errno::EPERM);
        }
        stack.set(new.checked()?);
    }
    Ok(old.shown(sp))
}
