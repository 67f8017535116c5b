//! Exceptions from EL0, and the kernel's own faults on user addresses.
//!
//! A page fault goes to the address space. What that cannot resolve, and every other exception, is a signal to the thread,
//! the one that Linux would send; without a handler it kills the process, and no other notices.

use super::signal::info::{BUS_ADRALN, BUS_ADRERR, ILL_ILLOPC, Info, SEGV_ACCERR, SEGV_MAPERR, TRAP_BRKPT};
use super::signal::{SIGBUS, SIGILL, SIGSEGV, SIGTRAP};
use super::{deliver, kill, sched};
use crate::arch::{TrapFrame, UserFault, report};
use crate::mm::{Access, FaultError};

/// An exception from EL0 that is neither a system call nor an interrupt. On return EL0 repeats the instruction, unless
/// there is a signal now.
pub fn user_fault(frame: &mut TrapFrame, fault: UserFault) {
    let pc = frame.pc as usize;
    let (signal, code, addr) = match fault {
        UserFault::Page { addr, access, .. } => match resolve(addr, access) {
            Ok(()) => return,
            Err(FaultError::MapErr) => (SIGSEGV, SEGV_MAPERR, addr),
            Err(FaultError::AccErr) => (SIGSEGV, SEGV_ACCERR, addr),
            Err(FaultError::Bus | FaultError::UffdWp) => (SIGBUS, BUS_ADRERR, addr),
            Err(FaultError::Oom) => {
                report_oom();
                return kill::doom(sched::current());
            }
        },
        UserFault::Alignment { addr } => (SIGBUS, BUS_ADRALN, addr),
        UserFault::Undefined => (SIGILL, ILL_ILLOPC, pc),
        UserFault::Breakpoint => (SIGTRAP, TRAP_BRKPT, pc),
        UserFault::Other { esr } => {
            log::debug!("exception from EL0 that Pleat does not know: ESR {esr:#x}");
            (SIGILL, ILL_ILLOPC, pc)
        }
    };
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

/// A memory access of EL0 that the tables do not allow as they stand. Returns whether it can be repeated; if not,
/// [`user_fault`] tries once more and does what is to be done.
#[inline(always)]
pub fn page_fault(addr: usize, access: Access) -> bool {
    resolve(addr, access).is_ok()
}

/// The kernel touched a user address that is not mapped (or not for writing). True: it is now, try again. The caller
/// holds no address space's lock.
pub fn uaccess_fault(addr: usize, write: bool) -> bool {
    if sched::try_current().is_none() {
        return false;
    }
    match resolve(addr, if write { Access::Write } else { Access::Read }) {
        Ok(()) => true,
        Err(FaultError::Oom) => {
            report_oom();
            kill::doom(sched::current());
            false
        }
        Err(_) => false,
    }
}

#[inline(always)]
fn resolve(addr: usize, access: Access) -> core::result::Result<(), FaultError> {
    match &mut *sched::current().space().lock() {
        Some(mm) => mm.fault(crate::mm(), addr, access),
        None => Err(FaultError::MapErr),
    }
}

#[cold]
fn report_oom() {
    let me = sched::current();
    let comm = *me.comm.lock();
    log::warn!("out of memory: killing {comm}[{}]", me.task.pid());
}
