//! The alarms of processes (setitimer: `ITIMER_REAL`, alarm).
//!
//! # Locks
//! That of the alarms is taken after the process table's.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::run_queue::Alarms;
use super::sched::{self, NEVER};
use super::task::TaskRef;
use super::{TABLE, kill};

/// The alarms of all processes.
static ALARMS: spin::Mutex<Alarms> = spin::Mutex::new(Alarms::new());
/// When the first goes off (nanoseconds).
static NEXT: AtomicU64 = AtomicU64::new(NEVER);

/// When the first alarm goes off (nanoseconds), or [`NEVER`].
pub(super) fn next() -> u64 {
    NEXT.load(Relaxed)
}

/// Sets a process's alarm: when (nanoseconds since boot, or [`NEVER`]) and how often from then on (0: once). Returns what
/// was set before.
pub(super) fn set(leader: TaskRef, alarm: [u64; 2]) -> [u64; 2] {
    let mut alarms = ALARMS.lock();
    let old = alarms.set(leader, alarm);
    NEXT.store(alarms.next(), Relaxed);
    drop(alarms);
    sched::alarms_changed();
    old
}

/// A process's alarm, as [`set`] sets it.
pub(super) fn get(leader: TaskRef) -> [u64; 2] {
    let _alarms = ALARMS.lock();
    leader.alarm.get()
}

/// Sends SIGALRM to those whose time has come.
pub(super) fn ring(now: u64) {
    if next() > now {
        return;
    }
    let table = TABLE.lock();
    let mut alarms = ALARMS.lock();
    while let Some(leader) = alarms.pop_due(now) {
        kill::alarm(&table, leader);
    }
    NEXT.store(alarms.next(), Relaxed);
}
