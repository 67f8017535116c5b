//! The instruments in one place: windows, timed forks, children on a leash.

use core::sync::atomic::Ordering::Relaxed;

use user::counters::Counters;
use user::rt::fork::timed_fork;
use user::sys::file::{self, CLOSE_ON_EXEC, Pipe};
use user::sys::process::{self, Pid};
use user::sys::{Errno, Result};

use crate::clock::Clock;
use crate::shared::{Shared, Slot};

/// What one measurement could not get past.
#[derive(Clone, Copy)]
pub struct Failure {
    /// What was tried.
    pub what: &'static str,
    /// What the kernel said; `None` if it said nothing and the result was wrong.
    pub errno: Option<Errno>,
}

/// Turns an error number into a [`Failure`] that says what was tried.
pub trait Trying<T> {
    /// Names what was tried.
    fn trying(self, what: &'static str) -> core::result::Result<T, Failure>;
}

impl<T> Trying<T> for Result<T> {
    fn trying(self, what: &'static str) -> core::result::Result<T, Failure> {
        self.map_err(|errno| Failure { what, errno: Some(errno) })
    }
}

/// The result of a measurement.
pub type Measured<T> = core::result::Result<T, Failure>;

/// What happened between two readings of the counter.
#[derive(Clone, Copy)]
pub struct Window {
    /// Instructions or ticks.
    pub cost: u64,
    /// Events.
    pub events: Counters,
}

impl Window {
    /// The cheaper of two; the earlier one if they are equal.
    pub fn min(best: Option<Window>, new: Window) -> Option<Window> {
        best.filter(|best| best.cost <= new.cost).or(Some(new))
    }

    /// Both together.
    pub fn plus(mut self, other: &Window) -> Window {
        self.cost += other.cost;
        self.events.add(&other.events);
        self
    }
}

/// A child that waits to be released.
pub struct Child {
    /// Its process ID.
    pub pid: Pid,
    /// The fork that made it.
    pub fork: Window,
}

/// The instruments.
pub struct Bench {
    /// What windows are measured with.
    pub clock: Clock,
    /// What children report through.
    pub shared: &'static Shared,
    /// A child writes a byte when it has settled.
    ready: Pipe,
    /// A child waits for a byte before it goes on.
    go: Pipe,
}

impl Bench {
    /// Sets everything up.
    ///
    /// # Errors
    /// No memory, or no file descriptors.
    pub fn new() -> Measured<Self> {
        let clock = Clock::choose();
        let shared = Shared::map().trying("map shared memory")?;
        let ready = file::pipe(CLOSE_ON_EXEC).trying("make a pipe")?;
        let go = file::pipe(CLOSE_ON_EXEC).trying("make a pipe")?;
        Ok(Bench { clock, shared, ready, go })
    }

    /// Measures `body`.
    pub fn window(&self, body: impl FnOnce()) -> Window {
        self.shared.read(Slot::Before);
        let start = self.clock.source.read();
        body();
        let end = self.clock.source.read();
        self.shared.read(Slot::After);
        Window { cost: end - start, events: self.shared.events(Slot::Before, Slot::After) }
    }

    /// Takes the COW faults on this process's stack that measuring would otherwise take later.
    pub fn settle(&self) {
        for _ in 0..2 {
            core::hint::black_box(self.window(|| {}));
        }
    }

    /// Forks, timed, and returns when the child has settled and waits for [`Bench::release`]. It then runs `body` and
    /// exits with its result; the exit begins the window that [`Bench::finish`] ends.
    ///
    /// The first thing the child does is to settle and to block, so that, if it does run inside the parent's window, it
    /// is only that far. The repetition with the smallest cost is one where it did not.
    ///
    /// # Errors
    /// What fork or a pipe said.
    pub fn fork(&self, body: impl FnOnce() -> i32) -> Measured<Child> {
        let (mut before, mut after) = (self.shared.reading(Slot::Before), self.shared.reading(Slot::After));
        let timed = timed_fork(self.clock.source, &mut before, &mut after);
        if timed.pid == 0 {
            self.child(body);
        }
        self.shared.finish(Slot::Before, &before);
        self.shared.finish(Slot::After, &after);
        let pid = user::sys::errno::check(timed.pid).trying("fork")? as Pid;
        let cost = timed.end - timed.start;
        let fork = Window { cost, events: self.shared.events(Slot::Before, Slot::After) };
        file::read(self.ready.read, &mut [0]).trying("wait for a child to be ready")?;
        self.settle();
        Ok(Child { pid, fork })
    }

    fn child(&self, body: impl FnOnce() -> i32) -> ! {
        self.stamp_exit();
        let leash = file::write_all(self.ready.write, &[1]).and_then(|()| file::read(self.go.read, &mut [0]));
        let status = if leash.is_ok() { body() } else { 1 };
        self.stamp_exit();
        process::exit(status)
    }

    /// Starts the exit window. Also called once before it counts, to take the faults.
    fn stamp_exit(&self) {
        self.shared.read(Slot::ChildBefore);
        self.shared.start.store(self.clock.source.read(), Relaxed);
    }

    /// Lets `count` children go on.
    ///
    /// # Errors
    /// What the pipe said.
    pub fn release(&self, count: u64) -> Measured<()> {
        (0..count).try_for_each(|_| file::write_all(self.go.write, &[1])).trying("release a child")
    }

    /// Releases the child and waits for it: the window from right before its exit to the return of wait4.
    ///
    /// # Errors
    /// The child did not end with status 0.
    pub fn finish(&self, child: &Child) -> Measured<Window> {
        self.release(1)?;
        let status = process::wait(child.pid);
        let end = self.clock.source.read();
        self.shared.read(Slot::After);
        if status.trying("wait for a child")?.exited() != Some(0) {
            return Err(Failure { what: "a child saw wrong data, or was killed", errno: None });
        }
        let cost = end.saturating_sub(self.shared.start.load(Relaxed));
        Ok(Window { cost, events: self.shared.events(Slot::ChildBefore, Slot::After) })
    }

    /// Measures `body` inside a child: the child leaves the window where [`Bench::child_window`] finds it.
    pub fn window_in_child(&self, body: impl FnOnce()) {
        self.shared.read(Slot::Before);
        let start = self.clock.source.read();
        body();
        let end = self.clock.source.read();
        self.shared.read(Slot::ChildAfter);
        self.shared.end.store(end - start, Relaxed);
    }

    /// The window that the last child's [`Bench::window_in_child`] measured. To be asked before the next window, whose
    /// reading takes the slot.
    pub fn child_window(&self) -> Window {
        let cost = self.shared.end.load(Relaxed);
        Window { cost, events: self.shared.events(Slot::Before, Slot::ChildAfter) }
    }
}
