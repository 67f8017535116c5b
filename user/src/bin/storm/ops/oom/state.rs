//! What the waves work with: in one shared mapping, so that writing to it never takes a frame.
//!
//! The parent alone writes the tally, between forks. Children only read.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use user::sys::memory::{self, page_size};
use user::sys::{Result, file};

use super::child::Task;
use crate::region::Region;

/// Bytes of the stack that the parent runs on during the waves.
const PARENT_STACK: usize = 64 << 10;
/// Bytes of the stack that each child runs on.
const CHILD_STACK: usize = 64 << 10;

/// What happened in the waves.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    /// Forks that succeeded.
    pub forks: u64,
    /// Forks that failed with ENOMEM or EAGAIN.
    pub failed: u64,
    /// Children killed by SIGKILL: the kernel had no frame for them.
    pub killed: u64,
    /// Children that ended in any other way but exit status 0, and forks that failed otherwise.
    pub wrong: u64,
}

/// One shared mapping; see the module.
#[repr(C)]
pub struct State {
    stack: UnsafeCell<[u128; PARENT_STACK / 16]>,
    /// What children do, by kind: here rather than on a stack, for a child reads it after it has left its parent's.
    pub tasks: [Task; Task::KINDS],
    /// The pipe that held children read from: read end, write end.
    pub pipe: [AtomicU64; 2],
    /// Frames that the hog leaves free.
    pub leave_free: AtomicU64,
    /// 1 when the hog has done its work.
    pub hog_done: AtomicU64,
    /// Whether to run dry at all.
    pub exhaust: bool,
    /// The region that children write to.
    pub region: Region,
    child_stack: usize,
    forks_wanted: AtomicU64,
    waves_wanted: AtomicU64,
    forks: AtomicU64,
    failed: AtomicU64,
    killed: AtomicU64,
    wrong: AtomicU64,
}

impl State {
    /// Maps it, touches every page of it, and maps a stack for children.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn map(region: Region, exhaust: bool) -> Result<&'static Self> {
        let len = size_of::<State>().next_multiple_of(page_size());
        let base = memory::map(len, memory::READ_WRITE, memory::SHARED)?;
        for offset in (0..len).step_by(page_size()) {
            // SAFETY: within the fresh mapping.
            unsafe { ((base + offset) as *mut u8).write_volatile(0) };
        }
        // Never touched by the parent: each child gets its own pages here.
        let child_stack = memory::map(CHILD_STACK, memory::READ_WRITE, memory::PRIVATE)?;
        let state = base as *mut State;
        // SAFETY: mapped for good, page-aligned, zeroed, which is a valid value for every field that is not written
        // here; nothing else refers to it yet.
        unsafe {
            (&raw mut (*state).region).write(region);
            (&raw mut (*state).exhaust).write(exhaust);
            (&raw mut (*state).child_stack).write(child_stack);
            (&raw mut (*state).tasks).write(Task::all(&*state));
            Ok(&*state)
        }
    }

    /// Resets the tally, for a run of at least `forks` forks and `waves` waves.
    pub fn begin(&self, forks: u64, waves: u64) {
        self.forks_wanted.store(forks, Relaxed);
        self.waves_wanted.store(waves, Relaxed);
        for count in [&self.forks, &self.failed, &self.killed, &self.wrong] {
            count.store(0, Relaxed);
        }
    }

    /// Whether another wave is wanted after `waves`.
    pub fn wants_more(&self, waves: u64) -> bool {
        self.forks.load(Relaxed) < self.forks_wanted.load(Relaxed) || waves < self.waves_wanted.load(Relaxed)
    }

    /// What happened since [`State::begin`].
    pub fn tally(&self) -> Tally {
        let [forks, failed, killed, wrong] =
            [&self.forks, &self.failed, &self.killed, &self.wrong].map(|count| count.load(Relaxed));
        Tally { forks, failed, killed, wrong }
    }

    /// Counts a fork that succeeded.
    pub fn count_fork(&self) {
        self.forks.fetch_add(1, Relaxed);
    }

    /// Counts a fork that failed for lack of memory.
    pub fn count_failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    /// Counts a child killed for lack of memory.
    pub fn count_killed(&self) {
        self.killed.fetch_add(1, Relaxed);
    }

    /// Counts what should not have happened.
    pub fn count_wrong(&self) {
        self.wrong.fetch_add(1, Relaxed);
    }

    /// Makes the pipe that this wave's children wait on.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn open_pipe(&self) -> Result<()> {
        let pipe = file::pipe(0)?;
        self.pipe[0].store(pipe.read as u64, Relaxed);
        self.pipe[1].store(pipe.write as u64, Relaxed);
        Ok(())
    }

    /// Closes one end of the pipe (0 to read from, 1 to write to) in the calling process.
    pub fn close_pipe(&self, end: usize) {
        let _ = file::close(self.pipe[end].load(Relaxed) as i32);
    }

    /// Where the parent's stack begins.
    pub fn parent_stack_top(&self) -> usize {
        self.stack.get() as usize + PARENT_STACK
    }

    /// Where a child's stack begins, in its own memory.
    pub fn child_stack_top(&self) -> usize {
        self.child_stack + CHILD_STACK
    }
}
