//! Clones that share memory: threads, children of vfork and what is between, each with a stack of its own.

use core::sync::atomic::Ordering::Relaxed;

use linux_raw_sys::general::*;
use user::rt::thread::clone_to;
use user::sys::memory::{self, PRIVATE, READ_WRITE};

use crate::bits::CLONE_BITS;
use crate::random::Random;
use crate::scratch::Scratch;
use crate::worker::{Task, Worker};

/// Bytes of a stack.
const STACK: usize = 64 << 10;

const THREAD: u32 = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

/// What the new thread begins with, at the lowest address of its stack.
struct Plan {
    random: Random,
    task: Task,
}

/// Starts one that works for the same slot as `worker`, with flags that may make sense; returns its number. Its memory goes
/// with the process.
pub fn start(worker: &mut Worker) -> Option<i32> {
    let mut flags =
        worker.random.pick(&[THREAD, THREAD, CLONE_VM | CLONE_VFORK | SIGCHLD, CLONE_VM | SIGCHLD]);
    for (bit, times) in CLONE_BITS {
        if worker.random.one_in(times * 6) {
            flags ^= bit;
        }
    }
    let stack = memory::map(STACK, READ_WRITE, PRIVATE).ok()?;
    let task = Task { depth: worker.task.depth + 1, ..worker.task };
    let plan = Plan { random: worker.random.split(), task };
    // SAFETY: fresh memory, larger and better aligned than a plan.
    unsafe { (stack as *mut Plan).write(plan) };
    let word = task.arena.shared[0];
    // SAFETY: the thread has the mapping for its stack, and `main` shares nothing but the tally's atomics.
    let result = unsafe { clone_to(flags as usize, stack + STACK, word, word, word + 4, main, stack) };
    (result > 0).then_some(result as i32)
}

extern "C" fn main(plan: usize) {
    // SAFETY: what `start` wrote for this thread, whose stack it is.
    let Plan { random, task } = unsafe { (plan as *const Plan).read() };
    task.tally.started.fetch_add(1, Relaxed);
    if let Ok(scratch) = Scratch::new() {
        Worker::new(random, task, scratch).work();
    }
}
