//! Faults of the current thread that a monitor resolves: the thread waits for that, and repeats the access.

use paging::VirtAddr;

use super::process::{Process, Space};
use super::{find, sched, with_current_mm};
use crate::mm::{Access, AddressSpace, FaultError};
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
    let me = sched::current();
    enter(me, me.space(), addr, access, user).wait(user)
}

impl Outcome {
    /// Waits if that is what it takes. Returns whether the access is to be repeated.
    fn wait(self, user: bool) -> bool {
        match self {
            Outcome::Repeat => true,
            Outcome::Fail => false,
            // After a signal EL0 repeats the access, if it comes back to it.
            Outcome::Wait(monitor, ticket) => monitor.wait(ticket, user).is_ok() || user,
        }
    }
}

/// Calls `f` with the current address space, as [`with_current_mm`], and again after each wait for a monitor that it takes to
/// fault in all that `f` asks for.
pub(crate) fn with_current_mm_filled<T>(mut f: impl FnMut(&mut AddressSpace) -> T) -> Option<T> {
    loop {
        let (outcome, held_up) = with_current_mm(|space| {
            space.take_held_up(); // of somebody who did not wait
            (f(space), space.take_held_up())
        })?;
        match held_up {
            Some((addr, access)) if tell(addr, access, false) => {}
            _ => return Some(outcome),
        }
    }
}

/// As [`tell`], of an access to the memory of process `pid` that the current thread makes.
pub(crate) fn tell_of(pid: u32, addr: usize, access: Access) -> bool {
    let Some(outcome) = find(pid).map(|process| enter(sched::current(), &process.mm, addr, access, false))
    else {
        return false;
    };
    outcome.wait(false)
}

/// Enters the fault of thread `me`, in the memory `memory`, at the monitor.
fn enter(me: &Process, memory: &Space, addr: usize, access: Access, user: bool) -> Outcome {
    let mut memory = memory.lock();
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
