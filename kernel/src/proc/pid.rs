//! Process numbers.

/// A process number, 1 to [`PID_MAX`] - 1, as programs see it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Pid(u32);

/// One more than the greatest process number: Linux's default `kernel.pid_max`.
pub const PID_MAX: u32 = 32768;

impl Pid {
    /// What a process that is not in the process table has, or one without group or session; never looked up.
    pub(crate) const NONE: Pid = Pid(0);
    /// The first process, which adopts orphans and whose end is the kernel's.
    pub const INIT: Pid = Pid(1);

    /// The process number `raw`, if it can be one.
    pub fn new(raw: u32) -> Option<Pid> {
        (1..PID_MAX).contains(&raw).then_some(Pid(raw))
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number to try after this one: they go round, so that a number is free as long as possible before it
    /// comes again.
    pub(super) fn successor(self) -> Pid {
        Pid(if self.0 + 1 < PID_MAX { self.0 + 1 } else { 2 })
    }
}

impl core::fmt::Display for Pid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}
