//! How a CPU's time is spent: what its threads run, when the next sample is due, and what the samples say of the CPU as a
//! whole. Pure: the clocks come in as arguments, in ticks of the system counter.
//!
//! Samples are due at multiples of a period, and not a period after a CPU has become busy: who runs for less than
//! that at a time, again and again, would never be seen. An idle CPU takes none.
//!
//! Whoever is in the kernel when a sample is due may be switched away from before the interrupt can be taken. So a
//! switch looks as well.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::usage::Account;

/// One CPU's; used by that CPU alone but for what is atomic, which anybody may read.
pub(super) struct Sampler {
    /// Up to here time has been charged to threads.
    since: Cell<u64>,
    /// The CPU's counts of page faults and of those that read from swap, at that time.
    faults: Cell<[u64; 2]>,
    /// When the next sample is due.
    due: Cell<u64>,
    /// Ticks between two samples; 0: none are taken yet.
    period: Cell<u64>,
    /// How long the CPU was busy up to the last sample.
    sampled: Cell<u64>,
    switches: AtomicU64,
    idle: AtomicU64,
    user: AtomicU64,
    system: AtomicU64,
}

/// What a CPU has done since boot, in ticks.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct CpuTimes {
    /// At EL0.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// Nothing.
    pub idle: u64,
    /// Switches from one thread to another, or to none.
    pub switches: u64,
}

impl CpuTimes {
    /// Both together.
    pub fn plus(self, other: CpuTimes) -> CpuTimes {
        CpuTimes {
            user: self.user + other.user,
            system: self.system + other.system,
            idle: self.idle + other.idle,
            switches: self.switches + other.switches,
        }
    }
}

impl Sampler {
    /// Before the first thread.
    pub const fn new() -> Self {
        Sampler {
            since: Cell::new(0),
            faults: Cell::new([0; 2]),
            due: Cell::new(u64::MAX),
            period: Cell::new(0),
            sampled: Cell::new(0),
            switches: AtomicU64::new(0),
            idle: AtomicU64::new(0),
            user: AtomicU64::new(0),
            system: AtomicU64::new(0),
        }
    }

    /// From now on samples are taken; until now all was the kernel's.
    pub fn start(&self, now: u64, period: u64) {
        self.period.set(period.max(1));
        self.since.set(now);
        self.sampled.set(now);
        self.system.store(now, Relaxed);
        self.advance(now);
    }

    /// When the next sample is due.
    pub fn due(&self) -> u64 {
        self.due.get()
    }

    fn advance(&self, now: u64) {
        let period = self.period.get();
        self.due.set((now / period + 1) * period);
    }

    /// Charges what the current thread has used since the last time.
    #[inline(always)]
    pub fn charge(&self, account: &Account, now: u64, faults: [u64; 2]) {
        let before = self.faults.replace(faults);
        account.ran(
            now.wrapping_sub(self.since.replace(now)),
            faults[0].wrapping_sub(before[0]),
            faults[1].wrapping_sub(before[1]),
        );
    }

    /// The CPU goes from one thread, which `waits` or could go on, to another or to none. True: a sample has been due
    /// since, and is to be taken by [`Sampler::sample`].
    #[inline(always)]
    #[must_use]
    pub fn switch(&self, from: &Account, waits: bool, now: u64, faults: [u64; 2]) -> bool {
        self.charge(from, now, faults);
        from.switched(waits);
        self.switched(now)
    }

    /// The CPU goes from having nothing to do to a thread. As [`Sampler::switch`].
    #[must_use]
    pub fn resume(&self, now: u64, faults: [u64; 2]) -> bool {
        self.since.set(now);
        self.faults.set(faults);
        self.switched(now)
    }

    #[inline(always)]
    fn switched(&self, now: u64) -> bool {
        self.switches.store(self.switches.load(Relaxed) + 1, Relaxed);
        now >= self.due.get()
    }

    /// Takes the samples that are due at `now`: the current thread is at EL0, or in the kernel; none: nobody ran. Returns
    /// whether any were due.
    pub fn sample(&self, current: Option<&Account>, now: u64, in_kernel: bool) -> bool {
        if now < self.due.get() {
            return false;
        }
        let missed = (now - self.due.get()) / self.period.get();
        if let Some(account) = current {
            account.sampled(1 + missed, in_kernel);
            let busy = now.wrapping_sub(self.idle.load(Relaxed));
            let kind = if in_kernel { &self.system } else { &self.user };
            kind.fetch_add(busy.wrapping_sub(self.sampled.replace(busy)), Relaxed);
        }
        self.advance(now);
        true
    }

    /// The CPU had nothing to do for `ticks`.
    pub fn idled(&self, ticks: u64) {
        self.idle.fetch_add(ticks, Relaxed);
    }

    /// What the CPU has done.
    pub fn times(&self) -> CpuTimes {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        CpuTimes {
            user: get(&self.user),
            system: get(&self.system),
            idle: get(&self.idle),
            switches: get(&self.switches),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(now: u64) -> Sampler {
        let sampler = Sampler::new();
        sampler.start(now, 100);
        sampler
    }

    #[test]
    fn a_thread_is_charged_what_it_ran_and_how_often_it_was_switched() {
        let sampler = started(10);
        let (a, b) = (Account::new(), Account::new());
        assert!(!sampler.resume(20, [5, 1]));
        assert!(!sampler.switch(&a, true, 50, [9, 2]));
        assert!(!sampler.switch(&b, false, 57, [9, 2]));
        sampler.charge(&a, 60, [10, 2]);
        let (a, b) = (a.usage(), b.usage());
        assert_eq!((a.run, a.counts.faults, a.counts.major), (33, 5, 1));
        assert_eq!((a.counts.voluntary, a.counts.involuntary), (1, 0));
        assert_eq!((b.run, b.counts.faults, b.counts.voluntary, b.counts.involuntary), (7, 0, 0, 1));
        assert_eq!(sampler.times().switches, 3);
    }

    #[test]
    fn samples_are_due_at_multiples_of_the_period() {
        let sampler = started(130);
        let account = Account::new();
        assert_eq!(sampler.due(), 200);
        assert!(!sampler.sample(Some(&account), 199, false));
        assert!(sampler.sample(Some(&account), 205, false));
        assert_eq!(sampler.due(), 300);
        assert!(sampler.sample(Some(&account), 501, true), "a long stay in the kernel is several");
        assert_eq!((account.usage().user, account.usage().system, sampler.due()), (1, 3, 600));
        assert!(sampler.switch(&account, true, 640, [0; 2]), "due while in the kernel");
        assert!(sampler.sample(None, 777, false), "nobody ran");
        assert_eq!((account.usage().user, account.usage().system, sampler.due()), (1, 3, 800));
    }

    #[test]
    fn the_cpu_s_time_is_somebody_s_or_idle() {
        let sampler = started(130);
        let account = Account::new();
        sampler.sample(Some(&account), 200, false);
        assert!(sampler.switch(&account, true, 350, [0; 2]));
        sampler.sample(Some(&account), 350, true);
        sampler.idled(1000);
        assert!(sampler.resume(1400, [0; 2]));
        sampler.sample(None, 1400, true);
        assert!(sampler.sample(Some(&account), 1500, false));
        let times = sampler.times();
        assert_eq!(times.idle, 1000);
        assert_eq!((times.user, times.system), (70 + 150, 130 + 150));
        assert_eq!(times.user + times.system + times.idle, 1500);
    }
}
