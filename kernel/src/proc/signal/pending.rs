//! Signals that have been sent and not taken yet, to one thread or to a process.
//!
//! Of the signals below the real-time ones at most one of each waits, and a second is forgotten, unless it is a timer's;
//! the others wait in order. What a signal tells needs memory: without any, an ordinary signal waits all the same and
//! tells nothing, while one that a program queued is refused (Linux: `__send_signal_locked`).

use alloc::vec::Vec;

use super::info::Info;
use super::{FIRST_QUEUED, SYNCHRONOUS, bit};
use crate::errno::{Errno, Result};

/// No more than this many real-time signals wait in one place (Linux: RLIMIT_SIGPENDING, which is a user's).
const LIMIT: usize = 1024;

/// Signals that wait.
#[derive(Default)]
pub struct Pending {
    set: u64,
    /// In the order of their coming.
    queue: Vec<Info>,
}

impl Pending {
    /// None; allocates nothing.
    pub const fn new() -> Self {
        Pending { set: 0, queue: Vec::new() }
    }

    /// The set of those that wait.
    pub fn set(&self) -> u64 {
        self.set
    }

    /// Adds a signal.
    ///
    /// # Errors
    /// `EAGAIN`: a real-time signal that a program queued finds no room. Nothing has changed then.
    pub fn add(&mut self, info: Info) -> Result<()> {
        let queued = info.signal >= FIRST_QUEUED;
        if !queued && self.set & bit(info.signal) != 0 && info.timer_key() == 0 {
            return Ok(());
        }
        if self.queue.len() < LIMIT && self.queue.try_reserve(1).is_ok() {
            self.queue.push(info);
        } else if queued && info.code != super::info::SI_USER && !info.is_from_kernel() {
            return Err(Errno::EAGAIN);
        }
        self.set |= bit(info.signal);
        Ok(())
    }

    /// Takes the next of those in `allowed`: what the code under way caused first, then the smallest number.
    pub fn take(&mut self, allowed: u64) -> Option<Info> {
        let signal = next(self.set & allowed)?;
        let Some(at) = self.queue.iter().position(|info| info.signal == signal) else {
            self.set &= !bit(signal);
            return Some(Info::sent(signal, super::info::SI_USER, 0));
        };
        let info = self.queue.remove(at);
        if self.queue.iter().all(|other| other.signal != signal) {
            self.set &= !bit(signal);
        }
        Some(info)
    }

    /// Whether one of the timer with this key waits.
    pub fn has_timer(&self, key: u64) -> bool {
        self.queue.iter().any(|info| info.timer_key() == key)
    }

    /// Forgets those that `which` names. One that has nothing to tell stays.
    pub fn forget(&mut self, which: impl Fn(&Info) -> bool) {
        while let Some(at) = self.queue.iter().position(&which) {
            let signal = self.queue.remove(at).signal;
            if self.queue.iter().all(|other| other.signal != signal) {
                self.set &= !bit(signal);
            }
        }
    }

    /// Forgets those in `set`.
    pub fn discard(&mut self, set: u64) {
        if self.set & set != 0 {
            self.set &= !set;
            self.queue.retain(|info| bit(info.signal) & set == 0);
        }
    }
}

/// Which signal of `set` comes first.
fn next(set: u64) -> Option<u32> {
    let first = match set & SYNCHRONOUS {
        0 => set,
        urgent => urgent,
    };
    (first != 0).then(|| first.trailing_zeros() + 1)
}

#[cfg(test)]
mod tests {
    use super::super::info::SI_TKILL;
    use super::super::{SIGINT, SIGSEGV, SIGTRAP};
    use super::*;

    fn add(pending: &mut Pending, signal: u32, pid: u32) {
        pending.add(Info::sent(signal, SI_TKILL, pid)).unwrap();
    }

    fn take(pending: &mut Pending) -> Option<(u32, u64)> {
        pending.take(u64::MAX).map(|info| (info.signal, info.rest[0]))
    }

    #[test]
    fn one_of_each_but_real_time_signals_queue() {
        let mut pending = Pending::new();
        for (signal, pid) in [(SIGINT, 1), (SIGINT, 2), (40, 3), (35, 4), (40, 5)] {
            add(&mut pending, signal, pid);
        }
        assert_eq!(pending.set(), bit(SIGINT) | bit(35) | bit(40));
        let order: Vec<_> = core::iter::from_fn(|| take(&mut pending)).collect();
        assert_eq!(order, [(SIGINT, 1), (35, 4), (40, 3), (40, 5)]);
        assert_eq!(pending.set(), 0);
    }

    #[test]
    fn what_the_code_caused_comes_first_and_what_is_blocked_stays() {
        let mut pending = Pending::new();
        for signal in [SIGINT, SIGSEGV, SIGTRAP] {
            add(&mut pending, signal, 0);
        }
        assert_eq!(pending.take(!bit(SIGTRAP)).unwrap().signal, SIGSEGV);
        assert_eq!(pending.take(!bit(SIGTRAP)).unwrap().signal, SIGINT);
        assert_eq!(pending.take(!bit(SIGTRAP)), None);
        assert_eq!(take(&mut pending), Some((SIGTRAP, 0)));
    }

    #[test]
    fn discarded_signals_are_gone_with_what_they_told() {
        let mut pending = Pending::new();
        for signal in [SIGINT, 40, 40] {
            add(&mut pending, signal, 0);
        }
        pending.discard(bit(40));
        assert_eq!((pending.set(), pending.queue.len()), (bit(SIGINT), 1));
    }

    #[test]
    fn each_timer_has_one_that_waits_until_it_is_forgotten() {
        let mut pending = Pending::new();
        for key in [5, 6, 7] {
            pending.add(Info::timer(SIGINT, key as u32, 0, key)).unwrap();
        }
        add(&mut pending, SIGINT, 9);
        assert!(pending.has_timer(5) && pending.has_timer(7) && !pending.has_timer(8));
        pending.forget(|info| info.timer_key() == 5);
        assert_eq!((take(&mut pending), pending.set()), (Some((SIGINT, 6)), bit(SIGINT)));
        pending.forget(|info| info.timer_key() != 0);
        assert_eq!((pending.set(), pending.queue.len()), (0, 0));
    }

    #[test]
    fn a_full_queue_refuses_what_is_queued_and_keeps_the_rest() {
        let mut pending = Pending::new();
        for _ in 0..LIMIT {
            add(&mut pending, 40, 0);
        }
        assert_eq!(pending.add(Info::sent(41, SI_TKILL, 0)), Err(Errno::EAGAIN));
        assert_eq!(pending.set(), bit(40));
        pending.add(Info::sent(SIGINT, SI_TKILL, 9)).unwrap();
        assert_eq!(take(&mut pending), Some((SIGINT, 0)), "it comes, but says nothing");
    }
}
