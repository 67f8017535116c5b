//! Faults of the current thread that a monitor resolves: the thread waits for that, and repeats the access.

use paging::VirtAddr;

use super::process::Process;
use super::sched;
use crate::mm::{Access, FaultError};
use crate::userfault::{Fault, Missed, Monitor, feature};
use crate::util::Ref;

/// Why the fault is a monitor's; `None`: it is not.
pub(super) fn is_for_monitor(error: FaultError) -> Option<Missed> {
    match error {
        FaultError::UffdMissing => Some(Missed::Missing),
        FaultError::UffdMinor => Some(Missed::Minor),
        FaultError::UffdWp => Some(Missed::Protected),
        _ => None,
    }
}

/// What becomes of a fault.
enum Outcome {
    /// The access is to be repeated at once: what it lacked is there now, or is nobody's to be asked for.
    Repeat,
    /// The monitor was told of it, and the thread waits for the ticket.
    Wait(Ref<Monitor>, u64),
    /// Nobody hears of it: a bus error, or `EFAULT`.
    Fail,
}

/// Tells the monitor of the range of the access at `addr`, which failed for want of it, and waits until it has dealt with
/// it. Returns whether the access is to be repeated. `user`: EL0 did it, not a system call.
#[cold]
pub(super) fn tell(addr: usize, access: Access, user: bool) -> bool {
    match enter(sched::current(), addr, access, user) {
        Outcome::Repeat => true,
        Outcome::Fail => false,
        // After a signal EL0 repeats the access, if it comes back to it.
        Outcome::Wait(monitor, ticket) => monitor.wait(ticket, user).is_ok() || user,
    }
}

/// Enters the fault at the monitor.
fn enter(me: &Process, addr: usize, access: Access, user: bool) -> Outcome {
    let mut memory = me.space().lock();
    let Some(space) = memory.as_mut() else { return Outcome::Fail };
    // Once more, now that nobody fills the page unseen: who does so has this lock, and wakes whom it finds entered.
    let Err(error) = space.fault(crate::mm(), addr, access) else { return Outcome::Repeat };
    let Some(why) = is_for_monitor(error) else { return Outcome::Repeat };
    let va = VirtAddr::new(addr as u64);
    if !space.is_registered(va) {
        return Outcome::Fail;
    }
    let Some(monitor) = space.monitor_at(crate::mm(), va) else {
        // Closed meanwhile: then it is registered no more, and the access one like any other.
        return if space.is_registered(va) { Outcome::Fail } else { Outcome::Repeat };
    };
    // An ending thread waits for nobody.
    if monitor.has(feature::SIGBUS) || !user && monitor.is_user_only() || me.task.is_ending() {
        return Outcome::Fail;
    }
    let fault = Fault { addr: addr as u64, why, write: access == Access::Write, thread: me.task.pid().get() };
    match monitor.enter(fault) {
        Ok(ticket) => Outcome::Wait(monitor, ticket),
        Err(_) => Outcome::Fail,
    }
}
