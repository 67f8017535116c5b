//! The system call instruction.

use core::arch::asm;

/// Issues system call `number` (Linux/aarch64) and returns x0 as the kernel left it: a result or `-errno`.
///
/// # Safety
/// The call must be sound with these arguments: memory that the kernel writes must be writable and not otherwise
/// borrowed, and memory it unmaps or protects must not be in use.
#[inline(always)]
pub unsafe fn syscall(number: u32, args: [usize; 6]) -> isize {
    let result;
    // SAFETY: the caller vouches for the call's effect; the kernel preserves every register but x0.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number as usize,
            inlateout("x0") args[0] => result,
            in("x1") args[1],
            in("x2") args[2],
            in("x3") args[3],
            in("x4") args[4],
            in("x5") args[5],
            options(nostack),
        );
    }
    result
}
