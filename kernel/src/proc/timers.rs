//! The timers of processes (timer_create): the table of them all, and the signals they send. Those by clocks of CPU time do
//! not exist (`EOPNOTSUPP`).
//!
//! # Locks
//! That of the table is taken after the process table's, and before those of signals that wait.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::sched::{self, NEVER};
use super::signal::info::Info;
use super::task::TaskRef;
use super::timer_table::{Due, Notify, Timers};
use super::{TABLE, kill};
use crate::arch::time::now_ns;
use crate::errno::{Errno, Result};

/// The timers of all processes.
static TIMERS: spin::Mutex<Timers> = spin::Mutex::new(Timers::new());
/// When the first is looked at (nanoseconds).
static NEXT: AtomicU64 = AtomicU64::new(NEVER);
/// How many there are, so that who ends need not look for its own.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// When the first goes off (nanoseconds), or [`NEVER`].
pub(super) fn next() -> u64 {
    NEXT.load(Relaxed)
}

/// Does something with the timers, and takes note of what that changes.
fn with<T>(act: impl FnOnce(&mut Timers) -> T) -> T {
    let mut timers = TIMERS.lock();
    let result = act(&mut timers);
    NEXT.store(timers.next(), Relaxed);
    COUNT.store(timers.count(), Relaxed);
    result
}

fn owner() -> TaskRef {
    sched::current_task().leader()
}

/// Makes a timer of the current process's; returns its number.
///
/// # Errors
/// `EINVAL`: the thread that is to be told is not one of the process. `EAGAIN`: there are too many timers.
pub(crate) fn create(notify: Notify) -> Result<u32> {
    let (table, owner) = (TABLE.lock(), owner());
    if let Some(thread) = notify.thread
        && table.lookup(thread).is_none_or(|thread| thread.leader() != owner)
    {
        return Err(Errno::EINVAL);
    }
    with(|timers| timers.create(owner, notify))
}

/// Sets a timer to go off at that time (nanoseconds since boot; `u64::MAX`: never) and then at intervals (0: not again).
/// Returns what was left, as [`left`].
///
/// # Errors
/// `EINVAL`: there is no such timer.
pub(crate) fn set(id: u32, setting: [u64; 2]) -> Result<[u64; 2]> {
    let old = {
        let (table, owner) = (TABLE.lock(), owner());
        let (old, key) = with(|timers| timers.set(owner, id, setting, now_ns()))?;
        forget(&table, owner, |info| info.timer_key() == key);
        old
    };
    sched::alarms_changed();
    Ok(old)
}

/// The time left (nanoseconds; 0: it is not set) and the interval.
///
/// # Errors
/// `EINVAL`: there is no such timer.
pub(crate) fn left(id: u32) -> Result<[u64; 2]> {
    TIMERS.lock().left(owner(), id, now_ns())
}

/// The overruns that the last signal told of.
///
/// # Errors
/// `EINVAL`: there is no such timer.
pub(crate) fn overruns(id: u32) -> Result<u32> {
    TIMERS.lock().overruns(owner(), id)
}

/// Takes a timer away, and its signal if that waits.
///
/// # Errors
/// `EINVAL`: there is no such timer.
pub(crate) fn delete(id: u32) -> Result<()> {
    let (table, owner) = (TABLE.lock(), owner());
    let key = with(|timers| timers.delete(owner, id))?;
    forget(&table, owner, |info| info.timer_key() == key);
    Ok(())
}

/// Takes the timers of a process away that ends or executes a program.
#[inline]
pub(super) fn delete_all(owner: TaskRef) {
    if COUNT.load(Relaxed) != 0 {
        delete_all_slowly(owner);
    }
}

#[cold]
fn delete_all_slowly(owner: TaskRef) {
    let table = TABLE.lock();
    with(|timers| timers.delete_all(owner));
    forget(&table, owner, |info| info.timer_key() != 0);
}

fn forget(table: &super::table::Table, owner: TaskRef, which: impl Fn(&Info) -> bool) {
    owner.group.pending.lock().forget(&which);
    table.threads(owner).for_each(|thread| thread.signals.pending.lock().forget(&which));
}

/// Sends the signals of those whose time has come.
pub(super) fn ring(now: u64) {
    if next() > now {
        return;
    }
    let table = TABLE.lock();
    let send = |Due { owner, thread, info }: Due| {
        let to = match thread {
            None => None,
            Some(thread) => match table.lookup(thread) {
                Some(thread) if thread.leader() == owner => Some(thread),
                _ => return false, // it has ended, and nobody is told
            },
        };
        let pending = to.as_ref().map_or(&owner.group.pending, |thread| &thread.signals.pending);
        let waits = pending.lock().has_timer(info.timer_key());
        if !waits {
            let _ = kill::post(&table, owner, to, info); // without room for it, it is lost, and the next one is tried
        }
        waits
    };
    with(|timers| timers.ring(now, send));
}

/// A signal of a timer is taken: completes what it tells.
#[cold]
pub(super) fn taken(info: &mut Info) {
    let key = info.timer_key();
    if key != 0 {
        info.set_overruns(with(|timers| timers.taken(key, now_ns())));
        sched::alarms_changed();
    }
}
