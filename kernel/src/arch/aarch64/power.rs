//! The way out, and waiting.

use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

use aarch64_cpu::asm::wfi;

use super::semihosting;
use crate::drivers::psci;

/// How many ways out were tried.
static ATTEMPTS: AtomicU32 = AtomicU32::new(0);

/// Ends the machine with `code` as QEMU's exit status.
///
/// Semihosting carries the status. Where nobody listens to it, its instruction is undefined: the exception handler
/// sees `is_exiting` and comes back here, to power off by PSCI (status 0 under QEMU), and if that fails to stop.
pub fn exit(code: i32) -> ! {
    let attempt = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
    if attempt == 0 {
        semihosting::exit(code);
    }
    if attempt <= 1 {
        psci::system_off();
    }
    loop {
        wfi();
    }
}

/// Whether [`exit`] was called: an exception then means that one way out is closed.
pub(super) fn is_exiting() -> bool {
    ATTEMPTS.load(Ordering::Relaxed) > 0
}

/// Waits for an interrupt and takes it: the one place where the kernel at EL1 has interrupts unmasked. The caller
/// holds no lock, and what the interrupt changed is there on return.
pub fn idle_wait() {
    // WFI wakes for a pending interrupt even while it is masked, so none is lost between a check and the wait.
    wfi();
    // SAFETY: the vectors are installed; the handler runs on this stack and returns here. It writes memory, so the
    // compiler must not keep values across (no `nomem`).
    unsafe { asm!("msr daifclr, #2", "isb", "msr daifset, #2", options(nostack)) };
}
