//! Marks in the instruction stream that somebody who watches the machine from outside can see.
//!
//! They are HINT instructions that the architecture has not given a meaning, and so no-operations on every CPU and
//! under every kernel (Arm ARM DDI 0487, C6.2 "HINT"). The QEMU plugin in `tools/referee` counts between them.

use core::arch::asm;

/// What is of interest begins here.
#[inline(always)]
pub fn begin() {
    // SAFETY: does nothing. Accesses to memory stay on their side of it, because it may touch memory for all that the
    // compiler knows.
    unsafe { asm!("hint #112", options(nostack, preserves_flags)) };
}

/// What is of interest ends here.
#[inline(always)]
pub fn end() {
    // SAFETY: as for `begin`.
    unsafe { asm!("hint #113", options(nostack, preserves_flags)) };
}
