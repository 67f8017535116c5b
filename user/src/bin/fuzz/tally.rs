//! What the workers count, in memory that they share with the supervisor. A worker that goes wild can destroy the
//! figures, but nothing else.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::calls::NUMBERS;
use crate::options::MAX_PROCS;

/// Error numbers that are told apart; larger ones are counted as this one.
pub const ERRORS: usize = 134;

/// A worker and its successors.
#[derive(Default)]
pub struct Slot {
    /// Calls begun.
    pub calls: AtomicU64,
    /// The number called last.
    pub last: AtomicU32,
    /// How many processes have been this worker.
    pub generation: AtomicU32,
}

/// All that is counted. All bytes zero is a value of it.
pub struct Tally {
    /// The workers.
    pub slots: [Slot; MAX_PROCS],
    /// Calls by result: 0 for success, or the error.
    results: [AtomicU64; ERRORS],
    /// Calls by number, all and successful.
    numbers: [[AtomicU64; 2]; NUMBERS as usize],
    /// Calls of numbers beyond those.
    pub beyond: AtomicU64,
    /// Loads and stores of the workers themselves.
    pub touches: AtomicU64,
    /// Those that could not be made.
    pub faults: AtomicU64,
    /// Signals that arrived at a handler.
    pub signals: AtomicU64,
    /// Threads and children that were started.
    pub started: AtomicU64,
    /// Files that the kernel generates, opened.
    pub explored: AtomicU64,
}

impl Tally {
    /// Counts a call's result (`-errno` or a value).
    pub fn count(&self, number: u32, result: isize) {
        let error = if (-4095..0).contains(&result) { -result as usize } else { 0 };
        self.results[error.min(ERRORS - 1)].fetch_add(1, Relaxed);
        match self.numbers.get(number as usize) {
            Some([all, good]) => {
                all.fetch_add(1, Relaxed);
                good.fetch_add(u64::from(error == 0), Relaxed);
            }
            None => drop(self.beyond.fetch_add(1, Relaxed)),
        }
    }

    /// Calls begun by all workers.
    pub fn calls(&self) -> u64 {
        self.slots.iter().map(|slot| slot.calls.load(Relaxed)).sum()
    }

    /// Calls that have ended with this result.
    pub fn results(&self, error: usize) -> u64 {
        self.results[error].load(Relaxed)
    }

    /// Calls of a number that have ended, and those that succeeded.
    pub fn number(&self, number: u32) -> [u64; 2] {
        self.numbers[number as usize].each_ref().map(|count| count.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_told_apart() {
        // SAFETY: atomics of value zero.
        let tally: Tally = unsafe { core::mem::zeroed() };
        for (number, result) in [(1, 0), (1, -22), (2, isize::MAX), (600, -38), (3, -4095), (3, -4096)] {
            tally.count(number, result);
        }
        assert_eq!((tally.results(0), tally.results(22), tally.results(38)), (3, 1, 1));
        assert_eq!(tally.results(ERRORS - 1), 1);
        assert_eq!((tally.number(1), tally.number(3)), ([2, 1], [2, 1]));
        assert_eq!(tally.beyond.load(Relaxed), 1);
    }
}
