//! The supervisor: starts workers, starts them anew when they die, kills those that make no progress, and tells if one cannot
//! be killed.

use core::sync::atomic::Ordering::Relaxed;

use user::println;
use user::sys::process::{self, Pid, Status, WNOHANG};
use user::sys::time;

use crate::options::{MAX_PROCS, Options};
use crate::population::{self, Population};
use crate::random::Random;
use crate::settings::Settings;
use crate::tally::Tally;
use crate::{place, worker};

/// How often the supervisor looks, in nanoseconds.
const LOOK_NS: u64 = 2_000_000;
/// Looks without a call in between after which a worker is killed.
const PATIENCE: u32 = 8;
/// Looks after which a killed process has to be gone: ten seconds.
const GRACE: u32 = 5000;
/// Workers of a slot, one after the other, that may exit with an error before their first call. It happens while others
/// hold the memory, but they are ended, too.
const FALSE_STARTS: u32 = 2000;
/// Processes for each worker, itself included, above which all of them are killed.
const CROWD: usize = 24;
/// Signals there are.
const SIGNALS: usize = 65;

/// A worker as the supervisor sees it.
#[derive(Clone, Copy, Default)]
struct Ward {
    /// The process; 0: none.
    pid: Pid,
    /// Calls at the last look, and looks since they have changed.
    calls: u64,
    still: u32,
    /// Workers that have exited with an error since then.
    failed: u32,
}

/// How long the supervisor had to wait for the CPU.
pub struct Late {
    /// Nanoseconds.
    pub ns: u64,
    /// How many wanted to run: each may have a slice.
    pub ready: u64,
    /// What the workers had called last.
    pub calls: [u32; MAX_PROCS],
}

/// What became of the processes.
pub struct Supervisor {
    options: Options,
    tally: &'static Tally,
    /// As they were before.
    pub settings: Settings,
    population: Population,
    wards: [Ward; MAX_PROCS],
    /// Deaths by signal; 0: those that exited.
    pub deaths: [u64; SIGNALS],
    /// Of those that exited, those with an error.
    pub failed: u64,
    /// The last such error.
    error: i32,
    /// Workers that were killed because they made no progress.
    pub stalled: u64,
    /// The longest that it had to wait for the CPU, in nanoseconds.
    pub late: Late,
    /// When it is over, whatever was called; nanoseconds.
    end: u64,
}

impl Supervisor {
    /// One that knows who was there before.
    pub fn new(options: Options, tally: &'static Tally) -> Self {
        let end = match options.seconds {
            0 => u64::MAX,
            seconds => time::now_ns() + seconds * 1_000_000_000,
        };
        let (wards, deaths) = ([Ward::default(); MAX_PROCS], [0; SIGNALS]);
        Supervisor {
            options,
            tally,
            settings: Settings::save(),
            population: Population::now(),
            wards,
            deaths,
            failed: 0,
            error: 0,
            stalled: 0,
            late: Late { ns: 0, ready: 0, calls: [0; MAX_PROCS] },
            end,
        }
    }

    /// Has the workers make `calls` calls, together with those made before, and all they started ended. False, and a
    /// line that says why, if that cannot be done.
    pub fn round(&mut self, calls: u64) -> bool {
        let limit = calls / self.options.procs as u64;
        let mut looks = 0u32;
        loop {
            let time_left = time::now_ns() < self.end;
            let mut busy = false;
            for slot in 0..self.options.procs {
                let more = time_left && self.tally.slots[slot].calls.load(Relaxed) < limit;
                if more && self.wards[slot].pid == 0 {
                    self.start(slot, limit);
                }
                busy |= more;
            }
            if !busy {
                return self.finish();
            }
            self.rest();
            self.reap();
            if !self.look() {
                return false;
            }
            looks += 1;
            // Too many; or what is left of those who have ended leaves no memory for new ones.
            let none = self.wards.iter().all(|ward| ward.pid == 0);
            if looks.is_multiple_of(32)
                && (none || self.population.strangers().0 > CROWD * self.options.procs)
            {
                self.population.kill_strangers();
            }
        }
    }

    /// Waits until the next look, and notes how late it comes: all others together may not have the CPU for long.
    fn rest(&mut self) {
        let due = time::now_ns() + LOOK_NS;
        let _ = time::sleep_ns(LOOK_NS);
        let ns = time::now_ns().saturating_sub(due);
        if ns > self.late.ns {
            let calls = core::array::from_fn(|slot| self.tally.slots[slot].last.load(Relaxed));
            self.late = Late { ns, ready: population::ready(), calls };
        }
    }

    fn start(&mut self, slot: usize, limit: u64) {
        let shared = &self.tally.slots[slot];
        let generation = u64::from(shared.generation.fetch_add(1, Relaxed));
        let random = Random::new(self.options.seed, (slot as u64) << 32 | generation);
        let tally = self.tally;
        let child = process::spawn(|| match place::enter(slot) {
            Ok(()) => worker::run(random, tally, slot, limit),
            Err(errno) => errno.number(),
        });
        // Without memory there is none, or workers have made the kernel promise none: the next look tries again.
        let pid = child.unwrap_or_else(|_| {
            self.settings.restore();
            0
        });
        let ward = &mut self.wards[slot];
        *ward = Ward { pid, calls: shared.calls.load(Relaxed), still: 0, failed: ward.failed };
    }

    /// Takes note of those who have ended.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = process::wait_for(-1, WNOHANG) {
            self.count(status);
            let error = status.exited().unwrap_or(0);
            for ward in self.wards.iter_mut().filter(|ward| ward.pid == pid) {
                ward.pid = 0;
                if error != 0 {
                    (ward.failed, self.error) = (ward.failed + 1, error);
                }
            }
        }
    }

    fn count(&mut self, status: Status) {
        let signal = status.signalled().unwrap_or(0) as usize;
        self.deaths[signal.min(SIGNALS - 1)] += 1;
        self.failed += u64::from(status.exited().is_some_and(|code| code != 0));
    }

    /// Kills those who make no progress.
    fn look(&mut self) -> bool {
        for slot in 0..self.options.procs {
            let (ward, shared) = (&mut self.wards[slot], &self.tally.slots[slot]);
            let calls = shared.calls.load(Relaxed);
            let moved = core::mem::replace(&mut ward.calls, calls) != calls;
            ward.still = if moved || ward.pid == 0 { 0 } else { ward.still + 1 };
            ward.failed = if moved { 0 } else { ward.failed };
            if ward.failed == FALSE_STARTS {
                println!("fuzz: no worker gets to a call any more; error {}", self.error);
                return false;
            }
            if ward.still == PATIENCE {
                self.stalled += 1;
                population::end(ward.pid);
            }
            if ward.still > PATIENCE + GRACE {
                let (pid, last) = (ward.pid, shared.last.load(Relaxed));
                println!("fuzz: process {pid} does not end when it is killed; last call {last}");
                return false;
            }
        }
        true
    }

    /// Ends all that workers have started.
    fn finish(&mut self) -> bool {
        for _ in 0..GRACE {
            self.population.kill_strangers();
            let _ = time::sleep_ns(LOOK_NS);
            self.reap();
            let (left, _) = self.population.strangers();
            if left == 0 {
                self.wards = [Ward::default(); MAX_PROCS];
                return true;
            }
        }
        let (left, one) = self.population.strangers();
        println!("fuzz: {left} processes do not end when they are killed, one of them {one}");
        false
    }
}
