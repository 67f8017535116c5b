//! What a process is to be told about the CPU time it uses: its timers (setitimer: `ITIMER_VIRTUAL`, `ITIMER_PROF`) and
//! its limit (`RLIMIT_CPU`). Looked at with every sample of one of its threads, so to the millisecond no more than Linux.

use alloc::boxed::Box;

use super::signal::{SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU, bit};
use super::usage::Times;
use crate::errno::Result;
use crate::util::try_box;

/// No limit.
pub const NO_LIMIT: [u64; 2] = [u64::MAX; 2];

const NS_PER_SECOND: u64 = 1_000_000_000;

/// A timer of a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Time at EL0.
    Virtual,
    /// All CPU time.
    Prof,
}

/// When a timer goes off, in nanoseconds of the time it is about (0: never), and how often from then on (0: once).
pub type Timer = [u64; 2];

/// A process's timers and limit; nothing that is not set need exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watch {
    timers: [Timer; 2],
    /// `RLIMIT_CPU`, in seconds: soft and hard.
    pub limit: [u64; 2],
}

impl Watch {
    /// Nothing set.
    pub const NONE: Watch = Watch { timers: [[0; 2]; 2], limit: NO_LIMIT };

    /// What a process has for a child of its: its limit, but no timers.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn for_child(watch: &Option<Box<Watch>>) -> Result<Option<Box<Watch>>> {
        match watch {
            Some(watch) if watch.limit != NO_LIMIT => {
                try_box(Watch { limit: watch.limit, ..Watch::NONE }).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// A timer of this kind; `used` is how much of its time has been used.
    pub fn timer(&mut self, kind: Kind) -> &mut Timer {
        &mut self.timers[kind as usize]
    }

    /// The set of signals that are due to a process which has used `times` (nanoseconds).
    pub fn due(&mut self, times: Times) -> u64 {
        let mut due = 0;
        let kinds = [(Kind::Virtual, times.user, SIGVTALRM), (Kind::Prof, times.total(), SIGPROF)];
        for (kind, used, signal) in kinds {
            if expire(self.timer(kind), used) {
                due |= bit(signal);
            }
        }
        let seconds = times.total() / NS_PER_SECOND;
        let [soft, hard] = self.limit;
        if seconds >= hard {
            due |= bit(SIGKILL);
        } else if seconds >= soft {
            // It is told once a second (Linux: kernel/time/posix-cpu-timers.c, check_process_timers).
            self.limit[0] = seconds + 1;
            due |= bit(SIGXCPU);
        }
        due
    }
}

/// Whether the timer has gone off when `used` is reached: it is set to its next time then.
fn expire(timer: &mut Timer, used: u64) -> bool {
    let [at, interval] = *timer;
    if at == 0 || used < at {
        return false;
    }
    timer[0] = match interval {
        0 => 0,
        interval => at.saturating_add(((used - at) / interval + 1).saturating_mul(interval)),
    };
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(user: u64, system: u64) -> Times {
        Times { user, system }
    }

    #[test]
    fn timers_count_their_own_time() {
        let mut watch = Watch::NONE;
        *watch.timer(Kind::Virtual) = [100, 0];
        *watch.timer(Kind::Prof) = [100, 30];
        assert_eq!(watch.due(used(50, 49)), 0);
        assert_eq!(watch.due(used(50, 50)), bit(SIGPROF));
        assert_eq!(watch.due(used(50, 79)), 0);
        assert_eq!(watch.due(used(100, 95)), bit(SIGVTALRM) | bit(SIGPROF), "several at once are one");
        assert_eq!(*watch.timer(Kind::Prof), [220, 30], "in step");
        assert_eq!(*watch.timer(Kind::Virtual), [0, 0], "goes off once");
        assert_eq!(watch.due(used(200, 0)), 0);
    }

    #[test]
    fn a_limit_is_told_once_a_second_and_then_kills() {
        const S: u64 = NS_PER_SECOND;
        let mut watch = Watch { limit: [2, 5], ..Watch::NONE };
        assert_eq!(watch.due(used(S, S - 1)), 0);
        assert_eq!(watch.due(used(S, S)), bit(SIGXCPU));
        assert_eq!(watch.due(used(S, S + 1)), 0);
        assert_eq!(watch.limit, [3, 5]);
        assert_eq!(watch.due(used(4 * S, S / 2)), bit(SIGXCPU));
        assert_eq!(watch.due(used(4 * S, S)), bit(SIGKILL));
        assert_eq!(Watch { limit: [0, u64::MAX], ..Watch::NONE }.due(used(1, 0)), bit(SIGXCPU));
    }

    #[test]
    fn children_inherit_the_limit_alone() {
        let mut watch = Watch { limit: [7, 8], ..Watch::NONE };
        *watch.timer(Kind::Prof) = [1, 1];
        let child = Watch::for_child(&Some(Box::new(watch))).unwrap().unwrap();
        assert_eq!(*child, Watch { limit: [7, 8], ..Watch::NONE });
        watch.limit = NO_LIMIT;
        assert_eq!(Watch::for_child(&Some(Box::new(watch))), Ok(None));
        assert_eq!(Watch::for_child(&None), Ok(None));
    }
}
