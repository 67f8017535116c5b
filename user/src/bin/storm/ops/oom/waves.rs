//! The waves, from the parent's side. Everything here runs on the stack in shared memory.

use core::sync::atomic::Ordering::Relaxed;

use user::sys::process::{self, Pid, Status, WNOHANG, signal::SIGKILL};
use user::sys::{Errno, time};

use super::child::{self, Kind};
use super::state::State;

/// Waves after which all kinds have occurred: an ordinary and a dry one in turn, four amounts of memory left, two kinds
/// of children.
pub const KINDS: u64 = 16;

/// Frames that the hog leaves: from several children's worth to less than one fork takes.
const LEAVE_FREE: [u64; 4] = [4096, 1024, 256, 64];
/// Children of an ordinary wave, and of a dry one at most.
const CHILDREN: u64 = 200;
/// Failed forks of a dry wave; between them the other children run.
const FAILURES: u64 = 8;
/// Longest wait for the hog, in looks of 1 ms each.
const HOG_PATIENCE: u32 = 60_000;

/// Runs waves until the state has enough of them. `state` is the address of a [`State`].
pub extern "C" fn run(state: usize) {
    // SAFETY: the caller passes a state, which is mapped for good.
    let state = unsafe { &*(state as *const State) };
    let mut waves = 0;
    while state.wants_more(waves) {
        let turn = (waves / 2) as usize;
        let leave_free = LEAVE_FREE[turn % LEAVE_FREE.len()];
        let kind = [Kind::Hold, Kind::Dirty][turn / LEAVE_FREE.len() % 2];
        match waves % 2 == 1 && state.exhaust {
            false => ordinary(state),
            true => dry(state, leave_free, kind),
        }
        waves += 1;
    }
}

/// Children that exit at once, all forked before any is waited for.
fn ordinary(state: &State) {
    for _ in 0..CHILDREN {
        // A small machine may not hold so many: what is there is reaped first.
        if fork_one(state, Kind::Exit).is_none() {
            break;
        }
    }
    reap(state);
}

/// Children that hold on to memory, forked until that fails because `leave_free` frames were all there was.
fn dry(state: &State, leave_free: u64, kind: Kind) {
    if state.open_pipe().is_err() {
        return state.count_wrong();
    }
    state.leave_free.store(leave_free, Relaxed);
    state.hog_done.store(0, Relaxed);
    if let Some(hog) = fork_one(state, Kind::Hog) {
        wait_for_hog(state, hog);
    }
    let mut failures = 0;
    for _ in 0..CHILDREN {
        failures += u64::from(fork_one(state, kind).is_none());
        if failures == FAILURES {
            break;
        }
        // Children that write must get to it, or fork alone would use up the memory.
        process::yield_now();
    }
    state.close_pipe(1);
    reap(state);
    state.close_pipe(0);
}

/// Waits until the hog has done its work, or was killed over it.
fn wait_for_hog(state: &State, hog: Pid) {
    for _ in 0..HOG_PATIENCE {
        if state.hog_done.load(Relaxed) == 1 {
            return;
        }
        if let Ok(Some((_, status))) = process::wait_for(hog, WNOHANG) {
            return count_end(state, status);
        }
        let _ = time::sleep_ns(1_000_000);
    }
    state.count_wrong();
}

/// Forks and counts.
fn fork_one(state: &State, kind: Kind) -> Option<Pid> {
    let forked = child::fork(state, kind);
    match forked {
        Ok(_) => state.count_fork(),
        Err(Errno::ENOMEM | Errno::EAGAIN) => state.count_failed(),
        Err(_) => state.count_wrong(),
    }
    forked.ok()
}

/// Waits for all children.
fn reap(state: &State) {
    // An error is ECHILD: none left.
    while let Ok(ended) = process::wait_for(-1, 0) {
        if let Some((_, status)) = ended {
            count_end(state, status);
        }
    }
}

fn count_end(state: &State, status: Status) {
    match (status.exited(), status.signalled()) {
        (Some(0), _) => {}
        (_, Some(SIGKILL)) => state.count_killed(),
        _ => state.count_wrong(),
    }
}
