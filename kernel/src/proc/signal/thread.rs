//! What one thread blocks, what waits for it alone, and its alternate stack.
//!
//! Only the thread itself changes its mask and its stack. Others add signals under the lock of `pending`, and read the
//! mask to find whom to wake: a thread that unblocks something looks itself at what waits (`deliver::recheck`).

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::*};

use super::UNSTOPPABLE;
use super::pending::Pending;
use crate::errno::{Errno, Result};

/// `ss_flags`: no alternate stack.
pub const SS_DISABLE: u32 = 2;
/// `ss_flags`: the thread is on it.
pub const SS_ONSTACK: u32 = 1;
/// `ss_flags`: it is given up while a handler runs.
pub const SS_AUTODISARM: u32 = 1 << 31;
/// No alternate stack is smaller (Linux: arch/arm64/include/uapi/asm/signal.h).
pub const MINSIGSTKSZ: u64 = 5120;

/// An alternate stack: a `stack_t`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AltStack {
    /// The lowest address (bytes).
    pub base: u64,
    /// `SS_*`; [`SS_ONSTACK`] is never stored.
    pub flags: u32,
    /// Bytes.
    pub bytes: u64,
}

impl AltStack {
    /// None.
    pub const NONE: AltStack = AltStack { base: 0, flags: SS_DISABLE, bytes: 0 };

    /// Checks what sigaltstack asks for.
    ///
    /// # Errors
    /// `EINVAL`: unknown flags. `ENOMEM`: too small.
    pub fn checked(self) -> Result<AltStack> {
        match self.flags & !SS_AUTODISARM {
            SS_DISABLE => Ok(AltStack { flags: self.flags, ..AltStack::NONE }),
            0 | SS_ONSTACK if self.bytes < MINSIGSTKSZ => Err(Errno::ENOMEM),
            0 | SS_ONSTACK => Ok(AltStack { flags: self.flags & SS_AUTODISARM, ..self }),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Whether a stack pointer of `sp` is on it. A stack grows down, so its highest address is an `sp` of it and its
    /// lowest is not. With [`SS_AUTODISARM`] nobody is ever said to be on it.
    pub fn holds(&self, sp: u64) -> bool {
        self.flags & (SS_AUTODISARM | SS_DISABLE) == 0 && sp > self.base && sp - self.base <= self.bytes
    }

    /// Where a handler that wants it starts, for a thread at `sp`.
    pub fn start(&self, sp: u64) -> u64 {
        let usable = self.flags & SS_DISABLE == 0 && self.bytes != 0;
        if usable && !self.holds(sp) { self.base.wrapping_add(self.bytes) } else { sp }
    }

    /// As sigaltstack shows it to a thread at `sp`: with [`SS_ONSTACK`] if that is on it.
    pub fn shown(&self, sp: u64) -> AltStack {
        let on = if self.holds(sp) { SS_ONSTACK } else { 0 };
        AltStack { flags: self.flags | on, ..*self }
    }
}

/// A thread's signals.
pub struct ThreadSignals {
    /// What waits for this thread alone.
    pub pending: spin::Mutex<Pending>,
    blocked: AtomicU64,
    /// The mask to return to when a call that changed it for its own time (sigsuspend) is over. Only the thread itself.
    pub saved_mask: Cell<Option<u64>>,
    /// The alternate stack. Only the thread itself.
    pub alt_stack: Cell<AltStack>,
}

// SAFETY: the cells are used by the thread itself alone, which runs on one CPU at a time; before it runs, by its maker.
unsafe impl Sync for ThreadSignals {}

impl Default for ThreadSignals {
    fn default() -> Self {
        Self::new(0, AltStack::NONE)
    }
}

impl ThreadSignals {
    /// Nothing waits; `blocked` is blocked.
    pub const fn new(blocked: u64, alt_stack: AltStack) -> Self {
        ThreadSignals {
            pending: spin::Mutex::new(Pending::new()),
            blocked: AtomicU64::new(blocked),
            saved_mask: Cell::new(None),
            alt_stack: Cell::new(alt_stack),
        }
    }

    /// The set of blocked signals.
    pub fn blocked(&self) -> u64 {
        self.blocked.load(SeqCst)
    }

    /// Sets the blocked signals; what cannot be blocked is left out.
    pub fn set_blocked(&self, set: u64) {
        self.blocked.store(set & !UNSTOPPABLE, SeqCst);
    }

    /// Blocks `set` until the call under way is over; see [`ThreadSignals::saved_mask`].
    pub fn block_meanwhile(&self, set: u64) {
        self.saved_mask.set(Some(self.blocked()));
        self.set_blocked(set);
    }

    /// Takes back what [`ThreadSignals::block_meanwhile`] did, if it did.
    pub fn restore_mask(&self) {
        if let Some(set) = self.saved_mask.take() {
            self.set_blocked(set);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SIGINT, SIGKILL, bit};
    use super::*;

    #[test]
    fn a_stack_is_used_unless_one_is_on_it() {
        let stack = AltStack { base: 0x1000, flags: 0, bytes: 0x2000 };
        assert_eq!(stack.start(0x9000), 0x3000);
        assert!(stack.holds(0x3000) && !stack.holds(0x1000) && !stack.holds(0x3001));
        assert_eq!(stack.start(0x2000), 0x2000);
        assert_eq!(stack.shown(0x2000).flags, SS_ONSTACK);
        assert_eq!(AltStack::NONE.start(0x9000), 0x9000);
        let disarmed = AltStack { flags: SS_AUTODISARM, ..stack };
        assert_eq!(disarmed.start(0x2000), 0x3000);
    }

    #[test]
    fn what_sigaltstack_refuses() {
        let stack = AltStack { base: 0x1000, flags: 0, bytes: MINSIGSTKSZ };
        assert_eq!(stack.checked(), Ok(stack));
        assert_eq!(AltStack { flags: SS_ONSTACK, ..stack }.checked(), Ok(stack));
        assert_eq!(AltStack { bytes: MINSIGSTKSZ - 1, ..stack }.checked(), Err(Errno::ENOMEM));
        assert_eq!(AltStack { flags: 4, ..stack }.checked(), Err(Errno::EINVAL));
        let none = AltStack { flags: SS_DISABLE, bytes: 7, ..stack };
        assert_eq!(none.checked(), Ok(AltStack::NONE));
    }

    #[test]
    fn the_mask_of_a_call_ends_with_it() {
        let signals = ThreadSignals::new(bit(SIGINT), AltStack::NONE);
        signals.block_meanwhile(u64::MAX);
        assert_eq!(signals.blocked() & bit(SIGKILL), 0);
        signals.restore_mask();
        assert_eq!(signals.blocked(), bit(SIGINT));
        signals.restore_mask();
        assert_eq!(signals.blocked(), bit(SIGINT));
    }
}
