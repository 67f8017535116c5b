//! The order in which tasks run: first come, first served. A task that is preempted or yields goes to the end, and so
//! does a new child, so that its parent runs on after fork.
//!
//! Sleepers wait beside it, sorted by the time they wake up at. Both are linked through the tasks: neither enqueueing
//! nor going to sleep can fail. Going to sleep takes time in proportion to the sleepers, as few processes sleep.

use super::list::List;
use super::task::{ALARM, RUN, SLEEP, TaskRef};

/// The tasks of one CPU that are ready to run.
pub(super) struct RunQueue(List<super::task::Task, RUN>);

impl RunQueue {
    pub const fn new() -> Self {
        RunQueue(List::new())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends a task. Its state is `READY`, and whoever set that calls this, once: so it is on no queue yet, and
    /// cannot exit before it is taken off.
    pub fn push(&mut self, task: TaskRef) {
        // SAFETY: see above.
        unsafe { self.0.push_back(task.as_ptr()) }
    }

    /// The task that runs next.
    pub fn pop(&mut self) -> Option<TaskRef> {
        // SAFETY: a task on the run queue is alive, and the caller makes it the current one.
        self.0.pop_front().map(|task| unsafe { TaskRef::new(task) })
    }
}

/// The tasks of one CPU that sleep until a point in time.
pub(super) struct Sleepers(List<super::task::Task, SLEEP>);

impl Sleepers {
    pub const fn new() -> Self {
        Sleepers(List::new())
    }

    /// Enters `task`, the current one, to be woken at `wake_at` (nanoseconds). It removes itself when it runs again.
    pub fn insert(&mut self, task: TaskRef, wake_at: u64) {
        task.wake_at.set(wake_at);
        // SAFETY: members have not been removed, so they are asleep or about to run, in any case alive.
        let later = self.0.iter().find(|other| unsafe { TaskRef::new(*other) }.wake_at.get() > wake_at);
        // SAFETY: the current task is in no such list, and stays alive at least until it removes itself.
        unsafe { self.0.insert_before(later, task.as_ptr()) }
    }

    /// Takes `task` out, if it still is in.
    pub fn remove(&mut self, task: TaskRef) {
        // SAFETY: a task is among the sleepers of one CPU at most.
        unsafe { self.0.remove(task.as_ptr()) }
    }

    /// When the next one wakes up (nanoseconds); `u64::MAX` if nobody sleeps.
    pub fn next_wake(&self) -> u64 {
        // SAFETY: as in `insert`.
        self.0.front().map_or(u64::MAX, |task| unsafe { TaskRef::new(task) }.wake_at.get())
    }

    /// Takes the first one out if its time has come.
    pub fn pop_due(&mut self, now: u64) -> Option<TaskRef> {
        if self.next_wake() > now {
            return None;
        }
        // SAFETY: as in `insert`; the caller wakes it with the sleepers still locked.
        self.0.pop_front().map(|task| unsafe { TaskRef::new(task) })
    }
}

/// When something that goes off at `at` and then every `interval` (0: no more) does so next after `reached`, which is not
/// before `at` (`u64::MAX`: never), and how often it has by then.
pub(super) fn in_step(at: u64, interval: u64, reached: u64) -> (u64, u64) {
    match (reached - at).checked_div(interval) {
        None => (u64::MAX, 1),
        Some(passed) => {
            let times = passed.saturating_add(1);
            (at.saturating_add(times.saturating_mul(interval)), times)
        }
    }
}

/// An alarm that goes off again and again does so no sooner than after this many nanoseconds: if it could be due by the time
/// that its interrupt has been dealt with, nobody would ever get to run. Linux: the default timer slack.
pub(super) const SLACK_NS: u64 = 50_000;

/// The processes that get SIGALRM at a point in time, in no order, as there are few. Their leaders are in it.
pub(super) struct Alarms(List<super::task::Task, ALARM>);

impl Alarms {
    pub const fn new() -> Self {
        Alarms(List::new())
    }

    /// Sets the alarm of `task`, which takes it out before it ends: `at` (nanoseconds; `u64::MAX`: never) and then every
    /// `interval` (0: no more). Returns what was set before.
    pub fn set(&mut self, task: TaskRef, alarm: [u64; 2]) -> [u64; 2] {
        // SAFETY: a task is in no other list of this kind, and takes itself out before it ends.
        unsafe {
            self.0.remove(task.as_ptr());
            if alarm[0] != u64::MAX {
                self.0.push_back(task.as_ptr());
            }
        }
        task.alarm.replace(alarm)
    }

    /// When the next one goes off (nanoseconds); `u64::MAX` if there is none.
    pub fn next(&self) -> u64 {
        // SAFETY: members are alive, as above.
        self.0.iter().map(|task| unsafe { TaskRef::new(task) }.alarm.get()[0]).min().unwrap_or(u64::MAX)
    }

    /// A task whose alarm has gone off at `now`; the alarm is set to its next time, which is [`SLACK_NS`] after `now` at
    /// least, or is off.
    pub fn pop_due(&mut self, now: u64) -> Option<TaskRef> {
        // SAFETY: as above.
        let mut tasks = self.0.iter().map(|task| unsafe { TaskRef::new(task) });
        let task = tasks.find(|task| task.alarm.get()[0] <= now)?;
        let [at, interval] = task.alarm.get();
        self.set(task, [in_step(at, interval, now.saturating_add(SLACK_NS)).0, interval]);
        Some(task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks<const N: usize>() -> [TaskRef; N] {
        core::array::from_fn(|_| TaskRef::leaked())
    }

    #[test]
    fn round_robin() {
        let mut queue = RunQueue::new();
        let tasks = tasks::<3>();
        tasks.into_iter().for_each(|task| queue.push(task));
        for round in 0..7 {
            let task = queue.pop().unwrap();
            assert!(task == tasks[round % 3]);
            queue.push(task);
        }
        (0..3).for_each(|_| assert!(queue.pop().is_some()));
        assert!(queue.is_empty() && queue.pop().is_none());
    }

    #[test]
    fn alarms_go_off_once_or_again_and_again() {
        let mut alarms = Alarms::new();
        let [once, often] = tasks();
        const MS: u64 = 1_000_000;
        assert_eq!(alarms.set(once, [50 * MS, 0]), [u64::MAX, 0]);
        alarms.set(often, [40 * MS, 10 * MS]);
        assert_eq!(alarms.next(), 40 * MS);
        assert!(alarms.pop_due(39 * MS).is_none());
        assert!(alarms.pop_due(75 * MS) == Some(once) && alarms.pop_due(75 * MS) == Some(often));
        assert!(alarms.pop_due(75 * MS).is_none());
        assert_eq!(alarms.next(), 80 * MS, "the times in between are gone");
        assert_eq!(alarms.set(often, [u64::MAX, 0]), [80 * MS, 10 * MS]);
        assert_eq!((alarms.next(), once.alarm.get()), (u64::MAX, [u64::MAX, 0]));
    }

    #[test]
    fn an_alarm_that_is_always_due_lets_others_run() {
        let mut alarms = Alarms::new();
        let [task] = tasks();
        for interval in [1, 1000, SLACK_NS - 1] {
            alarms.set(task, [7, interval]);
            assert!(alarms.pop_due(1_000_000) == Some(task));
            let next = alarms.next();
            assert!(next > 1_000_000 + SLACK_NS && next <= 1_000_000 + SLACK_NS + interval, "{next}");
            assert_eq!((next - 7) % interval, 0, "still in step");
        }
    }

    #[test]
    fn sleepers_wake_in_order_of_time_and_of_arrival() {
        let mut sleepers = Sleepers::new();
        let [a, b, c, d] = tasks();
        assert_eq!(sleepers.next_wake(), u64::MAX);
        for (task, at) in [(a, 30), (b, 10), (c, 30), (d, 20)] {
            sleepers.insert(task, at);
        }
        assert_eq!(sleepers.next_wake(), 10);
        assert!(sleepers.pop_due(9).is_none());
        assert!(sleepers.pop_due(10) == Some(b));
        sleepers.remove(d);
        assert!(sleepers.pop_due(29).is_none());
        assert!(sleepers.pop_due(30) == Some(a));
        assert!(sleepers.pop_due(31) == Some(c));
        assert!(sleepers.pop_due(u64::MAX - 1).is_none());
    }
}
