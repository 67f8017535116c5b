//! Counting events per CPU, without atomics: a counter is written by its CPU only and read by anyone.

use core::sync::atomic::{AtomicU64, Ordering};

use paging::Event;

/// All events' counts on one CPU.
pub struct Counters([AtomicU64; Event::COUNT]);

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Counters {
    /// Everything zero.
    pub const fn new() -> Self {
        Counters([const { AtomicU64::new(0) }; Event::COUNT])
    }

    /// Adds `n` to the count of `event`. Only on the CPU whose counts these are.
    #[inline(always)]
    pub fn add(&self, event: Event, n: u64) {
        let counter = &self.0[event as usize];
        // One writer, so a plain load and store lose nothing and cost no exclusive access.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The count of `event`.
    pub fn get(&self, event: Event) -> u64 {
        self.0[event as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_has_a_count_of_its_own() {
        let counters = Counters::new();
        counters.add(Event::Fold, 2);
        counters.add(Event::Fold, 5);
        assert_eq!((counters.get(Event::Fold), counters.get(Event::Unfold)), (7, 0));
    }
}
