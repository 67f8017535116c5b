//! Exceptions from EL0, and the kernel's own faults on user addresses.
//!
//! A page fault goes to the address space. What that cannot resolve, and every other exception, is a signal to the thread,
//! the one that Linux would send; without a handler it kills the process, and no other notices. If it is memory that is
//! missing, somebody has to end: [`oom`].

use super::signal::info::{BUS_ADRALN, BUS_ADRERR, ILL_ILLOPC, Info, SEGV_ACCERR, SEGV_MAPERR, TRAP_BRKPT};
use super::signal::{SIGBUS, SIGILL, SIGSEGV, SIGTRAP};
use super::{deliver, oom, sched, userfault};
use crate::arch::{TrapFrame, UserFault, report};
use crate::mm::{Access, FaultError};

/// An exception from EL0 that is neither a system call nor an interrupt. On return EL0 repeats the instruction, unless
/// there is a signal now.
pub fn user_fault(frame: &mut TrapFrame, fault: UserFault) {
    let pc = frame.pc as usize;
    let (signal, code, addr) = match fault {
        UserFault::Page { addr, access, .. } => {
            return match page_fault(addr, access) {
                Ok(()) => {}
                Err(error) => access_failed(frame, addr, access, error),
            };
        }
        UserFault::Alignment { addr } => (SIGBUS, BUS_ADRALN, addr),
        UserFault::Undefined => (SIGILL, ILL_ILLOPC, pc),
        UserFault::Breakpoint => (SIGTRAP, TRAP_BRKPT, pc),
        UserFault::Other { esr } => {
            log::debug!("exception from EL0 that Pleat does not know: ESR {esr:#x}");
            (SIGILL, ILL_ILLOPC, pc)
        }
    };
    signal_fault(frame, signal, code, addr);
}

/// A memory access of EL0 to `addr` that is not possible, and why. On return EL0 repeats it, unless there is a signal now.
#[cold]
pub fn access_failed(frame: &mut TrapFrame, addr: usize, access: Access, error: FaultError) {
    let (signal, code) = match error {
        FaultError::MapErr => (SIGSEGV, SEGV_MAPERR),
        FaultError::AccErr => (SIGSEGV, SEGV_ACCERR),
        FaultError::Bus => (SIGBUS, BUS_ADRERR),
        FaultError::Poison => {
            deliver::force(sched::current(), Info::lost(addr), false);
            return;
        }
        FaultError::UffdWp | FaultError::UffdMissing | FaultError::UffdMinor => {
            if userfault::tell(addr, access, true) {
                return;
            }
            (SIGBUS, BUS_ADRERR)
        }
        FaultError::Oom => {
            oom::out_of_memory(); // it is repeated, or the process ends, whichever that says
            return;
        }
    };
    signal_fault(frame, signal, code, addr);
}

fn signal_fault(frame: &TrapFrame, signal: u32, code: i32, addr: usize) {
    let me = sched::current();
    log::debug!(
        "{}[{}]: signal {signal}: pc {:#x}, sp {:#x}, address {}",
        *me.comm.lock(),
        me.task.pid(),
        frame.pc,
        frame.sp,
        report::user_entry(addr)
    );
    deliver::force(me, Info::fault(signal, code, addr), false);
}

/// A memory access of EL0 that the tables do not allow as they stand. If it can be repeated now, that is all; an error is
/// for [`access_failed`].
///
/// # Errors
/// Why it is not possible.
#[inline(always)]
pub fn page_fault(addr: usize, access: Access) -> core::result::Result<(), FaultError> {
    match &mut *sched::current().space().lock() {
        Some(mm) => mm.fault(crate::mm(), addr, access),
        None => Err(FaultError::MapErr),
    }
}

/// The kernel touched a user address that is not mapped (or not for writing). True: it is now, try again. The caller
/// holds no address space's lock.
pub fn uaccess_fault(addr: usize, write: bool) -> bool {
    if sched::try_current().is_none() {
        return false;
    }
    let access = if write { Access::Write } else { Access::Read };
    match page_fault(addr, access) {
        Ok(()) => true,
        Err(error) if error.is_monitors() => userfault::tell(addr, access, false),
        Err(FaultError::Oom) => oom::out_of_memory(),
        Err(_) => false,
    }
}
