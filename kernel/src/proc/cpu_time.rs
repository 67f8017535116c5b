//! What is told and asked about CPU time: by programs of themselves and of others, and by the timer of those that want to
//! hear of it (`cpu_timer.rs`).

use core::sync::atomic::Ordering::Relaxed;

use super::cpu_timer::{Kind, Timer, Watch};
use super::process::Process;
use super::sampler::CpuTimes;
use super::signal::info::Info;
use super::signal::{MAX, bit};
use super::task::TaskRef;
use super::usage::{Counts, Spent, Times};
use super::{Pid, TABLE, kill, sched};
use crate::arch::time::count_to_ns;
use crate::errno::{Errno, Result};
use crate::syscall::clock::CpuClock;
use crate::util::try_box;

/// What somebody has used, in nanoseconds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Used {
    /// At EL0.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// Faults and switches.
    pub counts: Counts,
}

impl From<Spent> for Used {
    fn from(Spent { times: Times { user, system }, counts }: Spent) -> Self {
        Used { user: count_to_ns(user), system: count_to_ns(system), counts }
    }
}

/// Of whom to tell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The current process.
    Process,
    /// The current thread.
    Thread,
    /// The children that the current process has waited for.
    Children,
}

/// What the current process, or a part of it, has used.
pub(crate) fn used(whose: Whose) -> Used {
    sched::settle();
    let (table, me) = (TABLE.lock(), sched::current_task());
    match whose {
        Whose::Process => table.spent(me.leader()),
        Whose::Thread => table.spent_by_thread(me),
        Whose::Children => table.spent_by_children(me.leader()),
    }
    .into()
}

/// What a clock of CPU time says, in nanoseconds: that of process `pid` (0: the current one), or of its `thread` alone,
/// which is one of the current process then; the time at EL0 only, or all.
///
/// # Errors
/// `EINVAL`: there is no such process or thread.
pub(crate) fn clock(CpuClock { number, thread, user_only }: CpuClock) -> Result<u64> {
    sched::settle();
    let (table, me) = (TABLE.lock(), sched::current_task());
    let number = match number {
        0 => me.pid(),
        number => Pid::new(number).ok_or(Errno::EINVAL)?,
    };
    let task = table.lookup(number).ok_or(Errno::EINVAL)?;
    let spent = match thread {
        true if task.leader() == me.leader() => table.spent_by_thread(task),
        false if task.is_leader() || task == me => table.spent(task.leader()),
        _ => return Err(Errno::EINVAL),
    };
    let Times { user, system } = spent.times;
    Ok(count_to_ns(if user_only { user } else { user + system }))
}

/// What all CPUs have done, in nanoseconds.
pub(crate) fn cpus() -> CpuTimes {
    let CpuTimes { user, system, idle, switches } = sched::cpu_times();
    let [user, system, idle] = [user, system, idle].map(count_to_ns);
    CpuTimes { user, system, idle, switches }
}

/// How long all CPUs had nothing to do since boot, in nanoseconds.
pub fn idle_ns() -> u64 {
    cpus().idle
}

impl Process {
    /// What it has used, and its children that it has waited for.
    pub(crate) fn used(&self) -> [Used; 2] {
        sched::settle();
        let (table, me) = (TABLE.lock(), self.task_ref());
        [table.spent(me), table.spent_by_children(me)].map(Used::from)
    }

    /// When it was created, in nanoseconds since boot.
    pub(crate) fn started_ns(&self) -> u64 {
        count_to_ns(self.task.started.get())
    }

    /// Its limit of CPU time in seconds, soft and hard; `u64::MAX`: none.
    pub(crate) fn cpu_limit(&self) -> [u64; 2] {
        self.task.group.watch.lock().as_ref().map_or(super::cpu_timer::NO_LIMIT, |watch| watch.limit)
    }

    /// Changes that.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn set_cpu_limit(&self, limit: [u64; 2]) -> Result<()> {
        with_watch(self.task_ref(), |watch| watch.limit = limit)
    }
}

fn with_watch<T>(leader: TaskRef, f: impl FnOnce(&mut Watch) -> T) -> Result<T> {
    let mut watch = leader.group.watch.lock();
    if watch.is_none() {
        *watch = Some(try_box(Watch::NONE)?);
        leader.group.watched.store(true, Relaxed);
    }
    watch.as_mut().map(|watch| f(watch)).ok_or(Errno::ENOMEM)
}

/// Sets a timer of the current process to go off after `left` (nanoseconds; 0: never) and then every `interval` (0: no
/// more). Returns what was left of it, and its interval.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn set_timer(kind: Kind, left: u64, interval: u64) -> Result<Timer> {
    let now = used_of(kind);
    let at = if left == 0 { 0 } else { now.saturating_add(left) };
    let old = with_watch(sched::current_task().leader(), |watch| {
        core::mem::replace(watch.timer(kind), [at, interval])
    })?;
    Ok(left_of(old, now))
}

/// What is left of a timer of the current process, and its interval.
pub(crate) fn timer(kind: Kind) -> Timer {
    let now = used_of(kind);
    let leader = sched::current_task().leader();
    let timer = leader.group.watch.lock().as_mut().map_or([0; 2], |watch| *watch.timer(kind));
    left_of(timer, now)
}

/// A timer that has just run out has time left, as otherwise it would not be set.
fn left_of([at, interval]: Timer, now: u64) -> Timer {
    [if at == 0 { 0 } else { at.saturating_sub(now).max(1000) }, interval]
}

fn used_of(kind: Kind) -> u64 {
    let used = used(Whose::Process);
    match kind {
        Kind::Virtual => used.user,
        Kind::Prof => used.user + used.system,
    }
}

/// A sample of `me` was taken, and its account is settled: if its process is to be told something, it is.
pub(super) fn check(me: &Process) {
    let leader = me.task.leader();
    if !leader.group.watched.load(Relaxed) {
        return;
    }
    let table = TABLE.lock();
    let Times { user, system } = table.spent(leader).times;
    let times = Times { user: count_to_ns(user), system: count_to_ns(system) };
    let due = leader.group.watch.lock().as_mut().map_or(0, |watch| watch.due(times));
    for signal in (1..=MAX).filter(|signal| due & bit(*signal) != 0) {
        let _ = kill::post(&table, leader, None, Info::kernel(signal)); // a signal from the kernel is not refused
    }
}
