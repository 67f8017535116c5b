//! The report: how the calls ended, and the processes.

use core::sync::atomic::Ordering::Relaxed;

use user::sys::Errno;
use user::{print, println};

use crate::calls::NUMBERS;
use crate::options::Options;
use crate::supervisor::Supervisor;
use crate::tally::{ERRORS, Tally};

/// Prints it.
pub fn print(options: &Options, tally: &Tally, supervisor: &Supervisor) {
    print!("fuzz: {} calls: {} succeeded", tally.calls(), tally.results(0));
    for error in 1..ERRORS {
        let count = tally.results(error);
        if count > 0 {
            print!(", {count} {}", Errno(error as u16));
        }
    }
    println!();
    println!(
        "fuzz: {} touches, {} of them faults; {} signals handled; {} children and threads; {} files explored",
        tally.touches.load(Relaxed),
        tally.faults.load(Relaxed),
        tally.signals.load(Relaxed),
        tally.started.load(Relaxed),
        tally.explored.load(Relaxed)
    );
    print!(
        "fuzz: {} workers: {} stalled, {} exited ({} with a status)",
        generations(tally),
        supervisor.stalled,
        supervisor.deaths[0],
        supervisor.failed
    );
    for (signal, count) in supervisor.deaths.iter().enumerate().skip(1).filter(|(_, count)| **count > 0) {
        print!(", {count} died of signal {signal}");
    }
    println!();
    let late = &supervisor.late;
    println!(
        "fuzz: the supervisor waited {} us for the CPU at most; {} were ready, and calls {:?} begun",
        late.ns / 1000,
        late.ready,
        &late.calls[..options.procs]
    );
    let never = (0..NUMBERS).filter(|number| tally.number(*number)[0] > 0 && tally.number(*number)[1] == 0);
    println!(
        "fuzz: {} of {NUMBERS} numbers called, {} of them never with success",
        called(tally),
        never.count()
    );
    if options.verbose {
        for number in 0..NUMBERS {
            let [all, good] = tally.number(number);
            println!("fuzz: call {number}: {all}, {good} succeeded");
        }
    }
}

fn called(tally: &Tally) -> usize {
    (0..NUMBERS).filter(|number| tally.number(*number)[0] > 0).count()
}

fn generations(tally: &Tally) -> u32 {
    tally.slots.iter().map(|slot| slot.generation.load(Relaxed)).sum()
}
