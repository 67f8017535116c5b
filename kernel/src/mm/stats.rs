//! Counting events per CPU, without atomics: a counter is written by its CPU only and read by anyone.

use core::sync::atomic::{AtomicU64, Ordering};

use paging::Event;

use crate::util::MAX_CPUS;

/// All events' counts, for each CPU apart.
pub struct Counters {
    cpus: [PerCpuCounts; MAX_CPUS],
}

#[repr(align(128))]
struct PerCpuCounts([AtomicU64; Event::COUNT]);

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Counters {
    /// Everything zero.
    pub const fn new() -> Self {
        Counters { cpus: [const { PerCpuCounts([const { AtomicU64::new(0) }; Event::COUNT]) }; MAX_CPUS] }
    }

    /// Adds `n` to the count of `event` on CPU `cpu` (0-based), which is the one this runs on.
    #[inline]
    pub fn add(&self, cpu: usize, event: Event, n: u64) {
        let counter = &self.cpus[cpu].0[event as usize];
        // One writer, so a plain load and store lose nothing and cost no exclusive access.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The count of `event` over all CPUs.
    pub fn total(&self, event: Event) -> u64 {
        self.cpus.iter().map(|cpu| cpu.0[event as usize].load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_over_all_cpus() {
        let counters = Counters::new();
        counters.add(0, Event::Fold, 2);
        counters.add(3, Event::Fold, 5);
        assert_eq!((counters.total(Event::Fold), counters.total(Event::Unfold)), (7, 0));
    }
}
