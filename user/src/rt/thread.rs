//! Clones that start on a stack of their own.

use core::arch::naked_asm;

use linux_raw_sys::general as raw;

/// clone(flags, stack_top, parent_tid, tls, child_tid); the child calls `entry(arg)` and then ends its thread. Returns the
/// child's number or `-errno`.
///
/// # Safety
/// `stack_top` must be 16-byte aligned, with enough memory below it for `entry`, which nothing else uses; the addresses
/// must be good for what `flags` says, and `entry` sound to call with what it shares.
#[unsafe(naked)]
pub unsafe extern "C" fn clone_to(
    flags: usize,
    stack_top: usize,
    parent_tid: usize,
    tls: usize,
    child_tid: usize,
    entry: extern "C" fn(usize),
    arg: usize,
) -> isize {
    naked_asm!(
        "mov x8, {clone}",
        "svc #0",
        "cbnz x0, 2f",
        "mov x29, xzr",
        "mov x30, xzr",
        "mov x0, x6",
        "blr x5",
        "mov x0, #0",
        "mov x8, {exit}",
        "svc #0",
        "2: ret",
        clone = const raw::__NR_clone,
        exit = const raw::__NR_exit,
    )
}
