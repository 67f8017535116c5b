//! TPIDR_EL0: the register in which a user thread keeps its thread-local storage pointer. The kernel only carries it
//! from thread to thread.

use aarch64_cpu::registers::{Readable, TPIDR_EL0, Writeable};

/// The running thread's value.
#[inline]
pub fn get_tls() -> u64 {
    TPIDR_EL0.get()
}

/// Sets the running thread's value.
#[inline]
pub fn set_tls(value: u64) {
    TPIDR_EL0.set(value);
}
