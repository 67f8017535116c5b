//! The register file and deliberate faults, for tests.

use core::arch::{asm, naked_asm};

/// The FP/SIMD state as [`fp_across`] loads and stores it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C, align(16))]
pub struct FpRegisters {
    /// V0 to V31.
    pub v: [u128; 32],
    /// FPCR; only its rounding mode bits are used.
    pub fpcr: u64,
    /// FPSR.
    pub fpsr: u64,
}

/// Loads `input` into the FP/SIMD registers, spins `spins` rounds (at least 1), issues system call `number` without
/// arguments, spins again, and stores the registers to `output`. Returns the call's result.
///
/// The FPCR is back at its default (0) afterwards.
///
/// # Safety
/// The system call must be harmless with zero arguments.
#[unsafe(naked)]
pub unsafe extern "C" fn fp_across(
    input: &FpRegisters,
    output: &mut FpRegisters,
    spins: u64,
    number: u64,
) -> isize {
    naked_asm!(
        // d8 to d15 are the caller's (AAPCS64).
        "stp d8, d9, [sp, #-64]!",
        "stp d10, d11, [sp, #16]",
        "stp d12, d13, [sp, #32]",
        "stp d14, d15, [sp, #48]",
        "mov x9, x0",
        "mov x10, x1",
        "mov x11, x2",
        "mov x8, x3",
        "ldp q0, q1, [x9], #32",
        "ldp q2, q3, [x9], #32",
        "ldp q4, q5, [x9], #32",
        "ldp q6, q7, [x9], #32",
        "ldp q8, q9, [x9], #32",
        "ldp q10, q11, [x9], #32",
        "ldp q12, q13, [x9], #32",
        "ldp q14, q15, [x9], #32",
        "ldp q16, q17, [x9], #32",
        "ldp q18, q19, [x9], #32",
        "ldp q20, q21, [x9], #32",
        "ldp q22, q23, [x9], #32",
        "ldp q24, q25, [x9], #32",
        "ldp q26, q27, [x9], #32",
        "ldp q28, q29, [x9], #32",
        "ldp q30, q31, [x9], #32",
        "ldp x12, x13, [x9]",
        "msr fpcr, x12",
        "msr fpsr, x13",
        "mov x14, x11",
        "2: subs x14, x14, #1",
        "b.ne 2b",
        "mov x0, #0",
        "mov x1, #0",
        "mov x2, #0",
        "mov x3, #0",
        "mov x4, #0",
        "mov x5, #0",
        "svc #0",
        "mov x14, x11",
        "3: subs x14, x14, #1",
        "b.ne 3b",
        "stp q0, q1, [x10], #32",
        "stp q2, q3, [x10], #32",
        "stp q4, q5, [x10], #32",
        "stp q6, q7, [x10], #32",
        "stp q8, q9, [x10], #32",
        "stp q10, q11, [x10], #32",
        "stp q12, q13, [x10], #32",
        "stp q14, q15, [x10], #32",
        "stp q16, q17, [x10], #32",
        "stp q18, q19, [x10], #32",
        "stp q20, q21, [x10], #32",
        "stp q22, q23, [x10], #32",
        "stp q24, q25, [x10], #32",
        "stp q26, q27, [x10], #32",
        "stp q28, q29, [x10], #32",
        "stp q30, q31, [x10], #32",
        "mrs x12, fpcr",
        "mrs x13, fpsr",
        "stp x12, x13, [x10]",
        "msr fpcr, xzr",
        "ldp d10, d11, [sp, #16]",
        "ldp d12, d13, [sp, #32]",
        "ldp d14, d15, [sp, #48]",
        "ldp d8, d9, [sp], #64",
        "ret",
    )
}

/// Loads distinct values into x9 to x28 apart from those the compiler reserves, issues system call `number` without
/// arguments, and returns how many of them changed.
///
/// # Safety
/// The system call must be harmless with zero arguments.
pub unsafe fn changed_across(number: u64) -> u64 {
    let changed;
    // SAFETY: every register written is declared; the caller vouches for the call.
    unsafe {
        asm!(
            "mov x9, #109",
            "mov x10, #110",
            "mov x11, #111",
            "mov x12, #112",
            "mov x13, #113",
            "mov x14, #114",
            "mov x15, #115",
            "mov x16, #116",
            "mov x17, #117",
            "mov x20, #120",
            "mov x21, #121",
            "mov x22, #122",
            "mov x23, #123",
            "mov x24, #124",
            "mov x25, #125",
            "mov x26, #126",
            "mov x27, #127",
            "mov x28, #128",
            "mov x0, #0",
            "mov x1, #0",
            "mov x2, #0",
            "mov x3, #0",
            "mov x4, #0",
            "mov x5, #0",
            "svc #0",
            "mov x7, #0",
            "cmp x9, #109", "cinc x7, x7, ne",
            "cmp x10, #110", "cinc x7, x7, ne",
            "cmp x11, #111", "cinc x7, x7, ne",
            "cmp x12, #112", "cinc x7, x7, ne",
            "cmp x13, #113", "cinc x7, x7, ne",
            "cmp x14, #114", "cinc x7, x7, ne",
            "cmp x15, #115", "cinc x7, x7, ne",
            "cmp x16, #116", "cinc x7, x7, ne",
            "cmp x17, #117", "cinc x7, x7, ne",
            "cmp x20, #120", "cinc x7, x7, ne",
            "cmp x21, #121", "cinc x7, x7, ne",
            "cmp x22, #122", "cinc x7, x7, ne",
            "cmp x23, #123", "cinc x7, x7, ne",
            "cmp x24, #124", "cinc x7, x7, ne",
            "cmp x25, #125", "cinc x7, x7, ne",
            "cmp x26, #126", "cinc x7, x7, ne",
            "cmp x27, #127", "cinc x7, x7, ne",
            "cmp x28, #128", "cinc x7, x7, ne",
            in("x8") number,
            out("x0") _, out("x1") _, out("x2") _, out("x3") _, out("x4") _, out("x5") _, out("x7") changed,
            out("x9") _, out("x10") _, out("x11") _, out("x12") _, out("x13") _, out("x14") _, out("x15") _,
            out("x16") _, out("x17") _, out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _,
            out("x25") _, out("x26") _, out("x27") _, out("x28") _,
            options(nostack),
        );
    }
    changed
}

/// Executes an undefined instruction: SIGILL.
pub fn undefined() {
    // SAFETY: permanently undefined; the process does not survive it.
    unsafe { asm!("udf #0", options(nomem, nostack)) };
}

/// Executes a privileged instruction: SIGILL at EL0.
pub fn privileged() {
    let value: u64;
    // SAFETY: traps at EL0; the process does not survive it.
    unsafe { asm!("mrs {}, ttbr0_el1", out(reg) value, options(nomem, nostack)) };
    core::hint::black_box(value);
}

/// Reads the debug communications channel, which no program may: SIGILL.
pub fn debug_channel() {
    let value: u64;
    // SAFETY: reading the channel's status has no side effect; where it traps, the process does not survive it.
    unsafe { asm!("mrs {}, mdccsr_el0", out(reg) value, options(nomem, nostack)) };
    core::hint::black_box(value);
}

/// WFI. Kernels do not let a program wait that way, so it comes back at once.
pub fn wait_for_interrupt() {
    // SAFETY: a hint.
    unsafe { asm!("wfi", options(nomem, nostack)) };
}

/// Jumps to `address` as to a function without arguments.
///
/// # Safety
/// What is there must return, or end the process.
pub unsafe fn jump(address: usize) {
    // SAFETY: the caller vouches for the code; a function call's clobbers are declared.
    unsafe { asm!("blr {}", in(reg) address, clobber_abi("C")) };
}

/// TPIDR_EL0, the thread pointer.
pub fn thread_pointer() -> u64 {
    let value;
    // SAFETY: EL0 owns the register.
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) value, options(nomem, nostack)) };
    value
}

/// Sets TPIDR_EL0; nothing in this runtime uses it.
pub fn set_thread_pointer(value: u64) {
    // SAFETY: EL0 owns the register, and no thread-local storage exists here.
    unsafe { asm!("msr tpidr_el0, {}", in(reg) value, options(nomem, nostack)) };
}

/// The `ret` instruction, for tests that try to execute data.
pub const RET: u32 = 0xd65f_03c0;
