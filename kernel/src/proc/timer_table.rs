//! The timers of processes (timer_create) and when they go off, as far as that needs no machine.
//!
//! A timer has one signal at a time that waits. Times that it goes off meanwhile are its overruns, counted exactly, but
//! looked at rarely, so that many short ones whose signals are blocked leave the CPU to others. Whether a signal waits,
//! the queue says that it is in (`signal::pending`), as it may be discarded there.
//!
//! All clocks show the same time, which is never set: a timer need not know its clock.

use alloc::vec::Vec;

use super::Pid;
use super::run_queue::{SLACK_NS, in_step};
use super::signal::info::Info;
use super::task::TaskRef;
use crate::errno::{Errno, Result};

/// No more than this many timers exist (Linux: RLIMIT_SIGPENDING, a user's, and all processes are one user's).
pub(super) const LIMIT: usize = 256;
/// How long a timer whose signal waits is left alone (nanoseconds).
const WAITING_NS: u64 = 20_000_000;
/// Not set.
const NEVER: u64 = u64::MAX;

/// What happens when a timer goes off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Notify {
    /// The signal that is sent; 0: none.
    pub signal: u32,
    /// What that tells; none: the timer's number.
    pub value: Option<u64>,
    /// The thread of the process that gets it; none: any.
    pub thread: Option<Pid>,
}

/// A timer.
struct Timer {
    /// Whose it is: the first thread of a process.
    owner: TaskRef,
    /// By which the process knows it.
    id: u32,
    /// By which its signals know it; never used again, never 0.
    key: u64,
    notify: Notify,
    /// When it goes off next (nanoseconds), or [`NEVER`].
    at: u64,
    /// And how often from then on; 0: no more.
    interval: u64,
    /// When that is looked at: not before `at`.
    look: u64,
    /// How often it has gone off since its signal was sent.
    overruns: u64,
    /// As the signal said that was taken last.
    told: u32,
}

impl Timer {
    /// How often it has gone off by `now` without having been counted. It is set to its next time.
    fn count(&mut self, now: u64) -> u64 {
        if self.at > now {
            return 0;
        }
        let (next, times) = in_step(self.at, self.interval, now);
        self.at = next;
        times
    }

    /// Looks again when it goes off, but not before `delay` after `now`.
    fn look_after(&mut self, now: u64, delay: u64) {
        self.look = match (self.notify.signal, self.at) {
            (0, _) | (_, NEVER) => NEVER,
            (_, at) => at.max(now.saturating_add(delay)),
        };
    }

    /// The time left (0: not set) and the interval.
    fn left(&self, now: u64) -> [u64; 2] {
        let left = match (self.at, self.interval) {
            (NEVER, _) => 0,
            (at, _) if at > now => at - now,
            // It is about to be told.
            (_, 0) => u64::from(self.notify.signal != 0),
            (at, interval) => in_step(at, interval, now).0 - now,
        };
        [left, self.interval]
    }
}

/// A timer that has gone off.
pub(super) struct Due {
    /// Whose it is.
    pub owner: TaskRef,
    /// The thread that is to be told; none: any.
    pub thread: Option<Pid>,
    /// The signal.
    pub info: Info,
}

/// The timers of all processes, in no order, as there are few.
pub(super) struct Timers {
    all: Vec<Timer>,
    last_key: u64,
}

impl Timers {
    pub const fn new() -> Self {
        Timers { all: Vec::new(), last_key: 0 }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// When one is to be looked at next (nanoseconds); `u64::MAX` if none is set.
    pub fn next(&self) -> u64 {
        self.all.iter().map(|timer| timer.look).min().unwrap_or(NEVER)
    }

    /// Makes a timer of `owner`'s, which takes it away before it ends. Returns its number.
    ///
    /// # Errors
    /// `EAGAIN`: there are too many, or there is no memory.
    pub fn create(&mut self, owner: TaskRef, notify: Notify) -> Result<u32> {
        if self.all.len() >= LIMIT || self.all.try_reserve(1).is_err() {
            return Err(Errno::EAGAIN);
        }
        let own = self.all.iter().filter(|timer| timer.owner == owner);
        let id = own.map(|timer| timer.id + 1).max().unwrap_or(0);
        if id > i32::MAX as u32 {
            return Err(Errno::EAGAIN);
        }
        self.last_key += 1;
        let key = self.last_key;
        self.all.push(Timer {
            owner,
            id,
            key,
            notify,
            at: NEVER,
            interval: 0,
            look: NEVER,
            overruns: 0,
            told: 0,
        });
        Ok(id)
    }

    fn find(&mut self, owner: TaskRef, id: u32) -> Result<&mut Timer> {
        self.all.iter_mut().find(|timer| timer.owner == owner && timer.id == id).ok_or(Errno::EINVAL)
    }

    /// Sets a timer: when it goes off (nanoseconds; `u64::MAX`: never) and how often from then on (0: no more). Returns
    /// what was left of it, as [`Timers::left`], and its key: a signal of its that waits is for what it was before.
    ///
    /// # Errors
    /// `EINVAL`: there is no such timer.
    pub fn set(
        &mut self,
        owner: TaskRef,
        id: u32,
        [at, interval]: [u64; 2],
        now: u64,
    ) -> Result<([u64; 2], u64)> {
        let timer = self.find(owner, id)?;
        let old = timer.left(now);
        timer.at = at;
        timer.interval = if at == NEVER { 0 } else { interval };
        (timer.overruns, timer.told) = (0, 0);
        timer.look_after(now, 0);
        Ok((old, timer.key))
    }

    /// The time left of a timer (nanoseconds; 0: it is not set) and its interval.
    ///
    /// # Errors
    /// `EINVAL`: there is no such timer.
    pub fn left(&mut self, owner: TaskRef, id: u32, now: u64) -> Result<[u64; 2]> {
        Ok(self.find(owner, id)?.left(now))
    }

    /// How many overruns the last signal told of.
    ///
    /// # Errors
    /// `EINVAL`: there is no such timer.
    pub fn overruns(&mut self, owner: TaskRef, id: u32) -> Result<u32> {
        Ok(self.find(owner, id)?.told)
    }

    /// Takes a timer away; returns its key.
    ///
    /// # Errors
    /// `EINVAL`: there is no such timer.
    pub fn delete(&mut self, owner: TaskRef, id: u32) -> Result<u64> {
        let key = self.find(owner, id)?.key;
        self.all.retain(|timer| timer.key != key);
        Ok(key)
    }

    /// Takes all of a process's timers away.
    pub fn delete_all(&mut self, owner: TaskRef) {
        self.all.retain(|timer| timer.owner != owner);
    }

    /// Sends the signals of the timers that have gone off by `now`. `send` returns whether the one before still waits,
    /// and sends none then.
    pub fn ring(&mut self, now: u64, mut send: impl FnMut(Due) -> bool) {
        for timer in self.all.iter_mut().filter(|timer| timer.look <= now) {
            let times = timer.count(now);
            let Notify { signal, value, thread } = timer.notify;
            let value = value.unwrap_or(timer.id.into());
            let info = Info::timer(signal, timer.id, value, timer.key);
            if send(Due { owner: timer.owner, thread, info }) {
                timer.overruns = timer.overruns.saturating_add(times);
                timer.look_after(now, WAITING_NS);
            } else {
                timer.overruns = times - 1;
                timer.look_after(now, SLACK_NS);
            }
        }
    }

    /// The signal of the timer with this key is taken at `now`: returns its overruns.
    pub fn taken(&mut self, key: u64, now: u64) -> u32 {
        let Some(timer) = self.all.iter_mut().find(|timer| timer.key == key) else { return 0 };
        let overruns = timer.overruns.saturating_add(timer.count(now));
        timer.overruns = 0;
        timer.told = overruns.min(i32::MAX as u64) as u32;
        timer.look_after(now, SLACK_NS);
        timer.told
    }
}

#[cfg(test)]
#[path = "timer_table_tests.rs"]
mod tests;
