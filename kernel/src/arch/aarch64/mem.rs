//! Clearing and copying memory by whole frames.

use core::arch::global_asm;

use super::features::features;

global_asm!(include_str!("mem.s"));

unsafe extern "C" {
    fn mem_zero_zva(start: *mut u8, end: *mut u8);
    fn mem_zero_stp(start: *mut u8, end: *mut u8);
    fn mem_copy(dst: *mut u8, src: *const u8, src_end: *const u8);
}

/// Zeroes `bytes` at `ptr`: with DC ZVA where its block is 64 bytes (all CPUs we know), else by stores.
///
/// # Safety
/// The memory is writable, normal (not device) and nobody else's; `ptr` and `bytes` are multiples of 256, and
/// `bytes` is not 0.
pub unsafe fn zero(ptr: *mut u8, bytes: usize) {
    debug_assert!(bytes > 0 && (ptr as usize | bytes).is_multiple_of(256));
    // SAFETY: the caller vouches for the range; the loops end exactly at its end, by the alignment.
    unsafe {
        let end = ptr.add(bytes);
        if features().dc_zva_bytes == 64 { mem_zero_zva(ptr, end) } else { mem_zero_stp(ptr, end) }
    }
}

/// Copies `bytes` from `src` to `dst`.
///
/// # Safety
/// `src` is readable, `dst` is writable and nobody else's, and they do not overlap; both and `bytes` are multiples of
/// 128, and `bytes` is not 0.
pub unsafe fn copy_page(dst: *mut u8, src: *const u8, bytes: usize) {
    debug_assert!(bytes > 0 && (dst as usize | src as usize | bytes).is_multiple_of(128));
    // SAFETY: the caller vouches for both ranges; the loop ends exactly at their ends, by the alignment.
    unsafe { mem_copy(dst, src, src.add(bytes)) }
}
