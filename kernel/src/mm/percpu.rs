//! Data of which every CPU has its own, reached without a lock.

use core::cell::UnsafeCell;

use crate::util::MAX_CPUS;

/// One `T` per CPU.
pub struct PerCpu<T> {
    // Each on cache lines of its own: CPUs writing neighbouring slots would otherwise fight over them.
    slots: [Slot<T>; MAX_CPUS],
}

/// One CPU's `T`.
#[repr(align(128))]
pub struct Slot<T>(UnsafeCell<T>);

impl<T> Slot<T> {
    /// A slot that holds `value` at first.
    pub const fn new(value: T) -> Self {
        Slot(UnsafeCell::new(value))
    }
}

// SAFETY: `with` demands that a slot is used by its CPU only, so no two threads of execution share a `T`; it moves
// between contexts on that CPU, hence `Send`.
unsafe impl<T: Send> Sync for PerCpu<T> {}

impl<T> PerCpu<T> {
    /// Data with these first values.
    pub const fn new(slots: [Slot<T>; MAX_CPUS]) -> Self {
        PerCpu { slots }
    }

    /// Calls `f` with the slot of CPU number `cpu` (0-based).
    ///
    /// # Safety
    /// `cpu` is the CPU this runs on, it cannot be interrupted by anything that uses the slot until `f` returns, and
    /// `f` does not call `with` on the same data again.
    #[inline]
    pub unsafe fn with<R>(&self, cpu: usize, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: by this function's contract nobody else refers to the slot while `f` runs.
        f(unsafe { &mut *self.slots[cpu].0.get() })
    }
}
