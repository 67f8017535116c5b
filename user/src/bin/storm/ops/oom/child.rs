//! What the children of the waves do.

use core::sync::atomic::Ordering::Relaxed;

use user::probe;
use user::rt::counter::touch;
use user::rt::fork::fork_to;
use user::sys::memory::{self, page_size};
use user::sys::process::{Pid, exit};
use user::sys::{Result, errno, file};

use super::state::State;

/// Frames that the hog takes between two looks at how many are left, once few are.
const STEP: u64 = 16;

/// What a child is there for.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Exit at once.
    Exit,
    /// Hold on to what fork gave it.
    Hold,
    /// Write to every page of the region, then hold on.
    Dirty,
    /// Take memory until few frames are free, then hold on.
    Hog,
}

/// A child's orders.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Task {
    kind: Kind,
    state: *const State,
}

impl Task {
    /// Number of kinds.
    pub const KINDS: usize = 4;

    /// One for each kind, in their order.
    pub fn all(state: *const State) -> [Task; Self::KINDS] {
        [Kind::Exit, Kind::Hold, Kind::Dirty, Kind::Hog].map(|kind| Task { kind, state })
    }
}

/// Forks a child of the given kind, without a write to private memory of the parent.
///
/// # Errors
/// What fork said: `ENOMEM` mostly.
pub fn fork(state: &State, kind: Kind) -> Result<Pid> {
    let task = core::ptr::from_ref(&state.tasks[kind as usize]) as usize;
    // SAFETY: the child's stack is page-aligned private memory of 64 KiB, ample for `run`.
    errno::check(unsafe { fork_to(run, task, state.child_stack_top()) }).map(|pid| pid as Pid)
}

/// The child's beginning, on its own stack.
extern "C" fn run(task: usize) -> ! {
    // SAFETY: the address of a task in the state, which is mapped for good, in this process as well.
    let task = unsafe { &*(task as *const Task) };
    // SAFETY: as above.
    let state = unsafe { &*task.state };
    if task.kind == Kind::Exit {
        exit(0);
    }
    // With all write ends closed, the read below ends.
    state.close_pipe(1);
    match task.kind {
        Kind::Dirty => state.region.write_all(2),
        Kind::Hog => hog(state),
        Kind::Exit | Kind::Hold => {}
    }
    let _ = file::read(state.pipe[0].load(Relaxed) as i32, &mut [0]);
    exit(0)
}

/// Takes frames until only as many are free as the parent wants. If it is killed over that, the parent sees to it.
fn hog(state: &State) {
    let leave = state.leave_free.load(Relaxed);
    while let Some(free) = probe::free_pages().filter(|free| *free > leave) {
        // Half of what is too much at a time, because page tables and large folios take their part as well.
        let frames = ((free - leave) / 2).max(STEP.min(free - leave)) as usize;
        let Ok(base) = memory::map(frames * page_size(), memory::READ_WRITE, memory::PRIVATE) else { break };
        // SAFETY: the fresh mapping.
        unsafe { touch(base, page_size(), frames, 1) };
    }
    state.hog_done.store(1, Relaxed);
}
