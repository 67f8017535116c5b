//! `fuzz`: calls all system calls with hostile arguments, from many processes and threads, and tells whether the kernel
//! survived: no panic, no process that cannot be killed, no memory lost, and all still works. Exit status 0 if so.
//!
//! `fuzz [--seed=N] [--calls=N | --seconds=N] [--procs=N] [--verbose]`. The seed determines what each worker does; under icount,
//! where the clock counts instructions, also in which order, so that a run repeats exactly.
//!
//! Layers: [`random`], [`calls`], [`kind`], [`values`] with [`bits`] and [`structs`], and [`recipes`] decide on a call,
//! [`filter`] and [`words`] on what is left out; [`worker`] makes the calls in what [`arena`], [`scratch`], [`descriptors`],
//! [`held`] and [`handlers`] prepare, and now and then does what takes several calls ([`threads`], [`explore`], [`forge`],
//! [`pressure`]); [`supervisor`] is a process of its own which none of that reaches, and [`tally`] what the two sides share;
//! [`audit`] and [`alive`] judge.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(not(target_os = "none"), allow(dead_code))] // there, only the tests use it

mod calls;
mod filter;
mod held;
mod kind;
mod options;
mod random;
mod records;
mod tally;
mod words;

#[cfg(target_os = "none")]
mod alive;
#[cfg(target_os = "none")]
mod arena;
#[cfg(target_os = "none")]
mod audit;
#[cfg(target_os = "none")]
mod bits;
#[cfg(target_os = "none")]
mod descriptors;
#[cfg(target_os = "none")]
mod explore;
#[cfg(target_os = "none")]
mod forge;
#[cfg(target_os = "none")]
mod handlers;
#[cfg(target_os = "none")]
mod place;
#[cfg(target_os = "none")]
mod population;
#[cfg(target_os = "none")]
mod pressure;
#[cfg(target_os = "none")]
mod recipes;
#[cfg(target_os = "none")]
mod report;
#[cfg(target_os = "none")]
mod scratch;
#[cfg(target_os = "none")]
mod settings;
#[cfg(target_os = "none")]
mod structs;
#[cfg(target_os = "none")]
mod supervisor;
#[cfg(target_os = "none")]
mod threads;
#[cfg(target_os = "none")]
mod values;
#[cfg(target_os = "none")]
mod worker;

#[cfg(target_os = "none")]
mod program {
    use user::rt::start::Args;
    use user::sys::file;
    use user::sys::memory::{self, READ_WRITE, SHARED};
    use user::{entry, println, probe};

    use crate::audit::Usage;
    use crate::options::Options;
    use crate::supervisor::Supervisor;
    use crate::tally::Tally;
    use crate::{alive, place, report};

    entry!(main);

    /// Where the tally is wished to be: far from all mappings that calls are made for, whatever lengths they get.
    const FAR: usize = 0x1000_0000_0000;

    fn main(args: Args) -> i32 {
        let options = match Options::parse(args.from(1)) {
            Ok(options) => options,
            Err(word) => {
                println!(
                    "fuzz: what is {word}? fuzz [--seed=N] [--calls=N | --seconds=N] [--procs=N] [--verbose]"
                );
                return 2;
            }
        };
        if !probe::is_pleat() {
            println!("fuzz: as root on another kernel than Pleat this could destroy something");
            return 2;
        }
        i32::from(!run(options))
    }

    fn run(options: Options) -> bool {
        println!("fuzz: seed {}, {} workers", options.seed, options.procs);
        // SAFETY: replaces nothing.
        let Ok(tally) = (unsafe { memory::map_at(FAR, size_of::<Tally>(), READ_WRITE, SHARED, -1, 0) })
        else {
            return false;
        };
        // SAFETY: fresh memory, zero, as large as a tally and better aligned, and never unmapped here.
        let tally = unsafe { &*(tally as *const Tally) };
        // Workers exhaust memory; who watches them is not the one to end.
        let _ = file::write_file(place::ADJUSTMENT, b"-1000");
        let mut supervisor = Supervisor::new(options, tally);
        let mut before: Option<Usage> = None;
        let mut sound = true;
        let mut grown = false;
        // The last round is for memory that has grown in the one before: what leaks does so again.
        let timed = options.seconds > 0;
        for (round, part) in
            [options.calls / 4, options.calls, options.calls.saturating_mul(2)].into_iter().enumerate()
        {
            if round == 2 && (timed || !grown) {
                break;
            }
            sound &= supervisor.round(part);
            supervisor.settings.restore();
            if let Err(errno) = place::clean() {
                println!("fuzz: cannot remove what workers have made: {errno}");
                sound = false;
            }
            if let Err(errno) = alive::check() {
                println!("fuzz: the system does not work any more: {errno}");
                sound = false;
            }
            let Some(now) = Usage::now() else {
                sound = false;
                break;
            };
            let again = grown;
            grown = before.is_some_and(|before| !now.report(&before));
            sound &= !(grown && again);
            before = Some(now);
            if !sound {
                break;
            }
        }
        sound &= !(timed && grown);
        report::print(&options, tally, &supervisor);
        println!("fuzz: seed {}: {}", options.seed, if sound { "passed" } else { "FAILED" });
        sound
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("fuzz: built for the host; it runs on aarch64 only");
}
