//! Semihosting: calls to the emulator or debugger that runs us. "Semihosting for AArch32 and AArch64", Arm
//! IHI 0100.
//!
//! Nothing tells whether anyone answers: without `-semihosting` QEMU takes the HLT as an undefined instruction.
//! So only the way out uses it, and it has a plan for that exception (see [`super::power`]).

use core::arch::asm;

/// SYS_WRITE0: writes a NUL-terminated string.
const SYS_WRITE0: u64 = 0x04;
/// SYS_EXIT_EXTENDED: ends the program with a reason and a status.
const SYS_EXIT_EXTENDED: u64 = 0x20;
/// The reason "the program exited", beside which the status counts.
const APPLICATION_EXIT: u64 = 0x20026;

/// # Safety
/// `argument` is what operation `op` expects: for those used here, the address of a readable parameter block or
/// string.
unsafe fn call(op: u64, argument: u64) {
    // SAFETY: the caller vouches for the argument; the operations used here write no memory, and clobber only x0.
    unsafe {
        asm!("hlt #0xf000", inout("x0") op => _, in("x1") argument, options(nostack));
    }
}

/// Ends the emulator with exit status `code`. Returns only if it does not.
pub fn exit(code: i32) {
    let block = [APPLICATION_EXIT, code as u32 as u64];
    // SAFETY: the block is two words, as SYS_EXIT_EXTENDED reads on AArch64, and lives across the call.
    unsafe { call(SYS_EXIT_EXTENDED, block.as_ptr() as u64) }
}

/// Writes text to the emulator's own console: the last resort while there is no UART.
pub fn write(text: &str) {
    for chunk in text.as_bytes().chunks(63) {
        let mut line = [0u8; 64];
        line[..chunk.len()].copy_from_slice(chunk);
        // SAFETY: `line` is NUL-terminated, its last byte being zero always.
        unsafe { call(SYS_WRITE0, line.as_ptr() as u64) }
    }
}
