//! Exceptions from EL0, and the kernel's own faults on user addresses.
//!
//! A page fault goes to the address space. What that cannot resolve, and every other exception, kills the process
//! with the signal that Linux would send; no other process notices.

use super::signal::{SIGBUS, SIGILL, SIGKILL, SIGSEGV, SIGTRAP};
use super::{exit, kill, sched};
use crate::arch::{TrapFrame, UserFault};
use crate::mm::{Access, FaultError};

/// An exception from EL0 that is neither a system call nor an interrupt. Returns if the instruction can be repeated.
pub fn user_fault(frame: &mut TrapFrame, fault: UserFault) {
    let (signal, addr) = match fault {
        UserFault::Page { addr, access, .. } => match resolve(addr, access) {
            Ok(()) => return,
            Err(FaultError::MapErr | FaultError::AccErr) => (SIGSEGV, addr),
            Err(FaultError::Bus | FaultError::UffdWp) => (SIGBUS, addr),
            Err(FaultError::Oom) => {
                report_oom();
                (SIGKILL, addr)
            }
        },
        UserFault::Alignment { addr } => (SIGBUS, addr),
        UserFault::Undefined => (SIGILL, frame.pc as usize),
        UserFault::Breakpoint => (SIGTRAP, frame.pc as usize),
        UserFault::Other { esr } => {
            log::debug!("exception from EL0 that Pleat does not know: ESR {esr:#x}");
            (SIGILL, frame.pc as usize)
        }
    };
    let me = sched::current();
    let comm = *me.comm.lock();
    log::debug!(
        "{comm}[{}]: killed by signal {signal}: address {addr:#x}, pc {:#x}, sp {:#x}",
        me.task.pid(),
        frame.pc,
        frame.sp
    );
    exit::killed(signal)
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
            kill::doom();
            false
        }
        Err(_) => false,
    }
}

#[inline(always)]
fn resolve(addr: usize, access: Access) -> core::result::Result<(), FaultError> {
    match &mut *sched::current().mm.lock() {
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
