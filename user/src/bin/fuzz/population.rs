//! The machine's processes: those that were there before, and strangers, which are the workers and whatever they started.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use user::sys::file::{self, DIRECTORY, READ_ONLY};
use user::sys::process::signal::SIGKILL;
use user::sys::process::{self, Pid, getpid};
use user::text::{leading_number, number};

use crate::records::names;

/// Processes that may be there before. Those beyond are killed with the workers.
const KNOWN: usize = 64;

/// The signal that the supervisor ends others with.
static LETHAL: AtomicU32 = AtomicU32::new(SIGKILL);

/// A worker has the supervisor's code in its memory, and sooner or later jumps to somewhere in it: there it kills nobody.
pub fn disarm() {
    LETHAL.store(0, Relaxed);
}

/// Kills a process. It may have ended before.
pub fn end(pid: Pid) {
    let _ = process::kill(pid, LETHAL.load(Relaxed));
}

/// Who was there before.
pub struct Population {
    known: [Pid; KNOWN],
    count: usize,
}

impl Population {
    /// Those who are there now.
    pub fn now() -> Self {
        let mut population = Population { known: [0; KNOWN], count: 0 };
        each(|pid| {
            if population.count < KNOWN {
                population.known[population.count] = pid;
                population.count += 1;
            }
        });
        population
    }

    fn is_stranger(&self, pid: Pid) -> bool {
        pid != getpid() && !self.known[..self.count].contains(&pid)
    }

    /// How many were not there before, and one of them.
    pub fn strangers(&self) -> (usize, Pid) {
        let (mut count, mut last) = (0, 0);
        each(|pid| {
            if self.is_stranger(pid) {
                (count, last) = (count + 1, pid);
            }
        });
        (count, last)
    }

    /// Kills all who were not there before.
    pub fn kill_strangers(&self) {
        each(|pid| {
            if self.is_stranger(pid) {
                end(pid);
            }
        });
    }
}

/// How many want to run.
pub fn ready() -> u64 {
    let mut buffer = [0; 64];
    file::read_file(c"/proc/loadavg", &mut buffer).ok().and_then(leading_number).unwrap_or(0)
}

/// Calls `body` with each process's number.
fn each(mut body: impl FnMut(Pid)) {
    let Ok(fd) = file::open(c"/proc", READ_ONLY | DIRECTORY) else { return };
    let mut buffer = [0; 1024];
    while let Ok(bytes @ 1..) = file::directory_entries(fd, &mut buffer) {
        let pids = names(&buffer[..bytes]).filter_map(|name| number(core::str::from_utf8(name).ok()?));
        pids.for_each(|pid| body(pid as Pid));
    }
    let _ = file::close(fd);
}
