//! What workers do about signals: accesses that fault are skipped, the alarm interrupts what waits, and now and then a
//! handler returns to something else than what was interrupted.

use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

use user::rt::touch;
use user::sys::process::signal::{SIGALRM, SIGBUS, SIGCHLD, SIGSEGV, SIGUSR1, SIGUSR2};
use user::sys::signal::{self, Context, Info, SA_NODEFER, SA_ONSTACK, SA_RESTART, SIG_DFL};

use crate::random::Random;
use crate::tally::Tally;

static TALLY: AtomicPtr<Tally> = AtomicPtr::new(core::ptr::null_mut());
static STREAM: AtomicU64 = AtomicU64::new(0);

/// How often an alarm goes off, in microseconds of what may be virtual time.
const ALARM_US: u64 = 700;

/// Installs the handlers. What fails is not there, which is as good.
pub fn install(tally: &'static Tally, random: &mut Random) {
    TALLY.store(core::ptr::from_ref(tally).cast_mut(), Relaxed);
    STREAM.store(random.next(), Relaxed);
    for number in [SIGSEGV, SIGBUS] {
        let _ = signal::handle(number, fault, SA_NODEFER | random.pick(&[0, SA_ONSTACK]), 0);
    }
    for number in [SIGALRM, SIGUSR1, SIGUSR2, SIGCHLD] {
        let flags = random.pick(&[0, SA_RESTART, SA_ONSTACK, SA_NODEFER]);
        let _ = signal::handle(number, wild_return, flags, 0);
    }
    let _ = signal::set_alarm(ALARM_US, ALARM_US);
}

/// A handler's address.
pub fn address() -> u64 {
    wild_return as *const () as u64
}

fn tally() -> Option<&'static Tally> {
    // SAFETY: null, or what `install` stored, which is mapped for as long as anything is.
    unsafe { TALLY.load(Relaxed).as_ref() }
}

/// A fault: goes on behind the access if it was to be expected; else the next one ends the process.
extern "C" fn fault(number: u32, _: *const Info, context: *mut Context) {
    // SAFETY: the kernel passes the interrupted state, which lies on the stack that this runs on.
    let context = unsafe { &mut *context };
    match touch::skip(context.pc as usize) {
        Some(pc) => {
            context.pc = pc as u64;
            if let Some(tally) = tally() {
                tally.faults.fetch_add(1, Relaxed);
            }
        }
        None => drop(signal::action(number, SIG_DFL, 0, 0)),
    }
}

/// Any other signal: counted, and once in a while it returns to a state that never was.
extern "C" fn wild_return(_: u32, _: *const Info, context: *mut Context) {
    if let Some(tally) = tally() {
        tally.signals.fetch_add(1, Relaxed);
    }
    let mut random = Random::new(STREAM.fetch_add(1, Relaxed), 0);
    if !random.one_in(24) {
        return;
    }
    // SAFETY: as above. What it returns to is the kernel's to check, and this process's to bear.
    let context = unsafe { &mut *context };
    match random.below(6) {
        0 => context.pstate ^= 1 << random.below(64),
        1 => context.pstate = random.next(),
        2 => context.sp ^= 1 << random.below(64),
        3 => context.pc ^= 1 << random.below(64),
        4 => context.mask = random.next(),
        _ => {
            // The records behind the registers: vector registers and what else there is, each with its length.
            let records = (&raw mut context.pstate).wrapping_add(2);
            let at = records.wrapping_add(random.below(80) as usize);
            // SAFETY: the 4,096 bytes that are reserved for records follow the registers, in the same frame.
            unsafe { at.write(random.next() >> random.below(64)) };
        }
    }
}
