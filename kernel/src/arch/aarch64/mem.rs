//! Clearing and copying memory by whole frames, 64 bytes an instruction: LD1 and ST1 of four vector registers.
//!
//! A line of 64 bytes takes one ST1, which also moves its address on. DC ZVA needs an addition beside it, as each needs
//! an address of its own, and so twice the instructions; what it saves, reading the line first, a CPU saves as well when
//! it sees whole lines written one after the other ("write streaming" in Arm's manuals of its cores). Copying takes a
//! quarter of the instructions of LDP and STP of general registers.
//!
//! The vector registers hold the user's state, as the rest of the kernel is compiled without them. What is used here is
//! saved on the stack and put back, at most eight of them: next to nothing for a page. Nobody sees the registers in
//! between: interrupts are masked at EL1, and no exception taken here returns. What SVE adds to them nobody has: it is
//! trapped at EL0.

use core::arch::global_asm;

global_asm!(include_str!("mem.s"));

/// What is cleared or copied is a multiple of this, in bytes.
const UNIT: usize = 4096;

unsafe extern "C" {
    fn mem_zero(start: *mut u8, end: *mut u8);
    fn mem_copy(dst: *mut u8, src: *const u8, src_end: *const u8);
}

/// Zeroes `bytes` at `ptr`.
///
/// # Safety
/// The memory is writable, normal (not device) and nobody else's; `ptr` and `bytes` are multiples of 4096, and
/// `bytes` is not 0. The CPU's vector registers are on.
pub unsafe fn zero(ptr: *mut u8, bytes: usize) {
    debug_assert!(bytes > 0 && (ptr as usize | bytes).is_multiple_of(UNIT));
    // SAFETY: the caller vouches for the range; the loop ends exactly at its end, by the alignment.
    unsafe { mem_zero(ptr, ptr.add(bytes)) }
}

/// Copies `bytes` from `src` to `dst`.
///
/// # Safety
/// `src` is readable, `dst` is writable and nobody else's, and they do not overlap; both and `bytes` are multiples of
/// 4096, and `bytes` is not 0. The CPU's vector registers are on.
pub unsafe fn copy_page(dst: *mut u8, src: *const u8, bytes: usize) {
    debug_assert!(bytes > 0 && (dst as usize | src as usize | bytes).is_multiple_of(UNIT));
    // SAFETY: the caller vouches for both ranges; the loop ends exactly at their ends, by the alignment.
    unsafe { mem_copy(dst, src, src.add(bytes)) }
}
