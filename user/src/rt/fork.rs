//! Forks whose surroundings matter: one timed to the instruction, one that needs no memory in the parent.
//!
//! After a fork the parent's first write to its own stack is a COW fault. [`timed_fork`] therefore reads the counters
//! on both sides of the call with everything in registers and its buffers in shared memory, so that the window holds
//! the fork and nothing else. [`fork_to`] does not write the stack at all.

use core::arch::{asm, naked_asm};

use linux_raw_sys::general as raw;

use super::counter::Source;

/// Where a reading of `/proc/vmstat` goes, and what became of it.
#[derive(Clone, Copy)]
pub struct Reading {
    /// Address of the buffer; in shared memory, so that writing to it is never a COW fault.
    pub buffer: usize,
    /// The buffer's size in bytes.
    pub size: usize,
    /// The file descriptor that was opened, for the caller to close, or `-errno`.
    pub fd: isize,
    /// Bytes read, or `-errno`.
    pub len: isize,
}

impl Reading {
    /// A reading still to be made into `size` bytes at address `buffer`.
    pub const fn into(buffer: usize, size: usize) -> Self {
        Reading { buffer, size, fd: -1, len: -1 }
    }
}

/// What [`timed_fork`] saw. In the child only `pid` (0) means anything.
pub struct Timed {
    /// clone's result: 0 in the child, the child's PID in the parent, or `-errno`.
    pub pid: isize,
    /// The counter right before the call and right after it.
    pub start: u64,
    /// See `start`.
    pub end: u64,
}

macro_rules! timed_fork_with {
    ($counter:literal, $path:expr, $before:expr, $after:expr) => {{
        let (pid, start, end): (isize, u64, u64);
        // SAFETY: `clone` without CLONE_VM leaves the parent as it is and gives the child a copy of everything. The
        // two reads write into the caller's buffers, which it handed over by `&mut Reading`.
        unsafe {
            asm!(
                "mov x0, #-100", // AT_FDCWD
                "mov x1, {path}",
                "mov x2, #0",
                "mov x3, #0",
                "mov x8, {openat}",
                "svc #0",
                "mov {fd0}, x0",
                "mov x1, {buf0}",
                "mov x2, {size0}",
                "mov x8, {read}",
                "svc #0",
                "mov {len0}, x0",
                "mov x0, {sigchld}",
                "mov x1, #0",
                "mov x2, #0",
                "mov x3, #0",
                "mov x4, #0",
                "mov x8, {clone}",
                "isb",
                concat!("mrs {start}, ", $counter),
                "svc #0",
                "isb",
                concat!("mrs {end}, ", $counter),
                "mov {pid}, x0",
                "cbz x0, 2f",
                "mov x0, #-100",
                "mov x1, {path}",
                "mov x2, #0",
                "mov x3, #0",
                "mov x8, {openat}",
                "svc #0",
                "mov {fd1}, x0",
                "mov x1, {buf1}",
                "mov x2, {size1}",
                "mov x8, {read}",
                "svc #0",
                "mov {len1}, x0",
                "2:",
                path = in(reg) $path,
                openat = const raw::__NR_openat,
                read = const raw::__NR_read,
                clone = const raw::__NR_clone,
                sigchld = const raw::SIGCHLD,
                buf0 = in(reg) $before.buffer,
                size0 = in(reg) $before.size,
                fd0 = out(reg) $before.fd,
                len0 = out(reg) $before.len,
                buf1 = in(reg) $after.buffer,
                size1 = in(reg) $after.size,
                fd1 = out(reg) $after.fd,
                len1 = out(reg) $after.len,
                start = out(reg) start,
                end = out(reg) end,
                pid = out(reg) pid,
                out("x0") _, out("x1") _, out("x2") _, out("x3") _, out("x4") _, out("x8") _,
                options(nostack),
            );
        }
        Timed { pid, start, end }
    }};
}

/// Forks; reads the counter around the call and `/proc/vmstat` around that, the second only in the parent.
///
/// Whether the child runs inside the window is the kernel's choice: Pleat returns to the parent first.
#[inline(never)]
pub fn timed_fork(source: Source, before: &mut Reading, after: &mut Reading) -> Timed {
    let path = c"/proc/vmstat".as_ptr();
    match source {
        Source::Virtual => timed_fork_with!("cntvct_el0", path, before, after),
        Source::Cycles => timed_fork_with!("pmccntr_el0", path, before, after),
    }
}

/// Forks without touching the parent's stack; the child starts at `entry(arg)` on the stack that ends at `stack_top`.
/// Returns the child's PID or `-errno`.
///
/// # Safety
/// `stack_top` must be 16-byte aligned, with enough private memory below it for `entry`.
#[unsafe(naked)]
pub unsafe extern "C" fn fork_to(entry: extern "C" fn(usize) -> !, arg: usize, stack_top: usize) -> isize {
    naked_asm!(
        "mov x9, x0",
        "mov x10, x1",
        "mov x11, x2",
        "mov x0, {sigchld}",
        "mov x1, #0",
        "mov x2, #0",
        "mov x3, #0",
        "mov x4, #0",
        "mov x8, {clone}",
        "svc #0",
        "cbnz x0, 2f",
        "mov sp, x11",
        "mov x29, xzr",
        "mov x30, xzr",
        "mov x0, x10",
        "br x9",
        "2: ret",
        sigchld = const raw::SIGCHLD,
        clone = const raw::__NR_clone,
    )
}

/// Calls `function(arg)` on the stack that ends at `stack_top` and comes back to this one.
///
/// # Safety
/// `stack_top` must be 16-byte aligned, with enough memory below it for `function`, which nothing else may use meanwhile.
#[unsafe(naked)]
pub unsafe extern "C" fn call_on_stack(function: extern "C" fn(usize), arg: usize, stack_top: usize) {
    naked_asm!(
        "stp x29, x30, [sp, #-32]!",
        "str x19, [sp, #16]",
        "mov x29, sp",
        "mov x19, sp",
        "mov sp, x2",
        "mov x9, x0",
        "mov x0, x1",
        "blr x9",
        "mov sp, x19",
        "ldr x19, [sp, #16]",
        "ldp x29, x30, [sp], #32",
        "ret",
    )
}
