//! What the vectors call. Interrupts are masked in all of it.

use super::esr::{Esr, FaultStatus};
use super::fault::UserFault;
use super::frame::TrapFrame;
use super::layout::USER_END;
use super::{power, probe, report, time, uaccess};
use crate::drivers::gic;

/// SVC from EL0.
pub(super) extern "C" fn el0_svc(frame: &mut TrapFrame) {
    crate::syscall::dispatch(frame);
    crate::proc::before_user_return(frame);
}

/// Any other synchronous exception from EL0. Nearly all of them are faults that the address space resolves; only of the
/// others the details matter.
pub(super) extern "C" fn el0_sync(frame: &mut TrapFrame, esr: u64, far: u64) {
    match UserFault::page_access(esr) {
        Some(access) => {
            if let Err(error) = crate::proc::page_fault(far as usize, access) {
                crate::proc::access_failed(frame, far as usize, access, error);
            }
        }
        None => other_sync(frame, esr, far),
    }
    crate::proc::before_user_return(frame);
}

#[cold]
#[inline(never)]
fn other_sync(frame: &mut TrapFrame, esr: u64, far: u64) {
    if Esr(esr).class() == Esr::TRAPPED_WAIT {
        // A wait may end for any reason, so ending it at once is right (Linux: arch/arm64/kernel/traps.c, wfi_handler).
        frame.pc += 4;
        crate::proc::yield_now();
    } else {
        let fault = UserFault::decode(esr, far, frame.pc, frame.sp);
        crate::proc::user_fault(frame, fault);
    }
}

/// IRQ at EL0. `returned_to` is where the kernel was left for last, unless that was from an interrupt, too.
pub(super) extern "C" fn el0_irq(frame: &mut TrapFrame, returned_to: u64) {
    interrupt(frame.pc == returned_to);
    crate::proc::before_user_return(frame);
}

/// IRQ at EL1: in the idle loop's window.
pub(super) extern "C" fn el1_irq() {
    interrupt(true);
}

/// Acknowledges and handles the interrupt that is signalled. It is ended before its handler runs, because the timer's
/// may switch to another thread; stopping the timer has withdrawn the request by then. `at_return`: as
/// [`crate::proc::timer_tick`] has it.
fn interrupt(at_return: bool) {
    let Some(id) = gic::acknowledge() else { return };
    if id == time::interrupt_id() {
        time::stop_timer();
        super::mmu::isb();
        gic::end(id);
        crate::proc::timer_tick(at_return);
    } else if crate::tty::is_interrupt(id) {
        // A level as well: it goes away when all is read.
        crate::tty::receive();
        gic::end(id);
    } else {
        gic::end(id);
        gic::disable(id);
        log::warn!("interrupt {id} came unasked; disabled");
    }
}

/// Synchronous exception at EL1: an access to user memory that needs repair, a probe, or a kernel bug.
pub(super) extern "C" fn el1_sync(frame: &mut TrapFrame, esr: u64, far: u64) {
    let syndrome = Esr(esr);
    if syndrome.class() == Esr::DATA_ABORT_SAME
        && (far as usize) < USER_END
        && let Some(fixup) = uaccess::fixup(frame.pc)
    {
        let repairable = matches!(
            syndrome.fault_status(),
            FaultStatus::Translation(_) | FaultStatus::AccessFlag(_) | FaultStatus::Permission(_)
        );
        if !(repairable && crate::proc::uaccess_fault(far as usize, syndrome.is_write())) {
            frame.pc = fixup;
        }
        return;
    }
    if probe::fixup(frame, syndrome) {
        return;
    }
    if power::is_exiting() {
        // Nobody listens to semihosting, and its instruction is undefined: try the next way out.
        power::exit(crate::panic::EXIT_STATUS);
    }
    report::kernel_fault("kernel fault", frame, syndrome, far)
}

/// The kernel ran out of its stack; this runs on the CPU's emergency stack.
pub(super) extern "C" fn stack_overflow(frame: &mut TrapFrame, esr: u64, far: u64) -> ! {
    report::kernel_fault("kernel stack overflow", frame, Esr(esr), far)
}

/// An exception that nothing here provides for: `slot` is its 0-based number in the vector table.
pub(super) extern "C" fn unexpected(frame: &mut TrapFrame, slot: u64, esr: u64, far: u64) -> ! {
    const KINDS: [&str; 4] = ["synchronous exception", "IRQ", "FIQ", "SError"];
    const ORIGINS: [&str; 4] = ["EL1 on SP_EL0", "EL1", "EL0", "AArch32 EL0"];
    let (origin, kind) = (ORIGINS[slot as usize / 4 % 4], KINDS[slot as usize % 4]);
    crate::println!("\nunexpected {kind} from {origin}");
    report::kernel_fault("unexpected exception", frame, Esr(esr), far)
}
