//! The generic timer: time since power-on, and one deadline per CPU.
//!
//! The virtual timer serves, unless the device tree gives only the physical one an interrupt. Started at EL2, the entry
//! code makes both show the same time.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use aarch64_cpu::registers::{
    CNTFRQ_EL0, CNTP_CTL_EL0, CNTP_CVAL_EL0, CNTPCT_EL0, CNTV_CTL_EL0, CNTV_CVAL_EL0, CNTVCT_EL0, Readable,
    Writeable,
};
use spin::Once;

use crate::devicetree::{Interrupt, Timer};

const NS_PER_S: u64 = 1_000_000_000;
/// Fractional bits of the conversion factors.
const SHIFT: u32 = 32;

#[derive(Clone, Copy)]
struct Clock {
    hz: u64,
    /// Nanoseconds per tick and ticks per nanosecond, as fixed-point numbers with `SHIFT` fractional bits.
    ns_per_tick: u64,
    ticks_per_ns: u64,
    physical: bool,
    interrupt: Interrupt,
}

static CLOCK: Once<Clock> = Once::new();

/// Whether that is the physical timer: every switch asks, so it stands apart.
static PHYSICAL: AtomicBool = AtomicBool::new(false);

/// Why there is no time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimerError {
    /// The device tree gives no timer interrupt that EL1 may use.
    NoInterrupt,
    /// Firmware did not set CNTFRQ_EL0.
    NoFrequency,
}

/// Chooses the timer. Returns its interrupt, which the caller enables.
///
/// # Errors
/// See [`TimerError`].
pub fn init(timer: &Timer) -> Result<Interrupt, TimerError> {
    let (physical, interrupt) = match (timer.virt, timer.phys) {
        (Some(interrupt), _) => (false, interrupt),
        (None, Some(interrupt)) => (true, interrupt),
        (None, None) => return Err(TimerError::NoInterrupt),
    };
    let hz = CNTFRQ_EL0.get();
    if hz == 0 || hz > 1 << 32 {
        return Err(TimerError::NoFrequency);
    }
    let (ns_per_tick, ticks_per_ns) = ((NS_PER_S << SHIFT) / hz, (hz << (SHIFT - 1)) / (NS_PER_S >> 1));
    PHYSICAL.store(physical, Relaxed);
    CLOCK.call_once(|| Clock { hz, ns_per_tick, ticks_per_ns, physical, interrupt });
    Ok(interrupt)
}

fn clock() -> Clock {
    // Without a timer (before `init`, or on a board without) time runs as if a tick were a nanosecond.
    const NONE: Clock = Clock {
        hz: NS_PER_S,
        ns_per_tick: 1 << SHIFT,
        ticks_per_ns: 1 << SHIFT,
        physical: false,
        interrupt: Interrupt { id: u32::MAX, edge: false },
    };
    CLOCK.get().copied().unwrap_or(NONE)
}

fn scale(value: u64, factor: u64) -> u64 {
    ((u128::from(value) * u128::from(factor)) >> SHIFT) as u64
}

/// The INTID of the timer's interrupt; `u32::MAX` without a timer.
pub(super) fn interrupt_id() -> u32 {
    clock().interrupt.id
}

/// Nanoseconds since power-on. Not ordered against memory accesses around it.
#[inline]
pub fn now_ns() -> u64 {
    count_to_ns(count())
}

/// The system counter. Not ordered, as [`now_ns`].
#[inline(always)]
pub fn count() -> u64 {
    if PHYSICAL.load(Relaxed) { CNTPCT_EL0.get() } else { CNTVCT_EL0.get() }
}

/// Nanoseconds in `count` ticks of the system counter.
pub fn count_to_ns(count: u64) -> u64 {
    scale(count, clock().ns_per_tick)
}

/// Ticks of the system counter in `ns` nanoseconds.
pub fn ns_to_count(ns: u64) -> u64 {
    scale(ns, clock().ticks_per_ns)
}

/// Ticks of the timer per second.
pub fn frequency_hz() -> u64 {
    clock().hz
}

/// Makes this CPU's timer interrupt at `deadline_ns` on the scale of [`now_ns`], or at once if that is past.
pub fn set_timer(deadline_ns: u64) {
    let clock = clock();
    // Rounded up: an interrupt must not come before its deadline.
    let ticks = scale(deadline_ns, clock.ticks_per_ns).saturating_add(1);
    if clock.physical {
        CNTP_CVAL_EL0.set(ticks);
        CNTP_CTL_EL0.write(CNTP_CTL_EL0::ENABLE::SET);
    } else {
        CNTV_CVAL_EL0.set(ticks);
        CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::SET);
    }
}

/// Stops this CPU's timer; an interrupt that it raised goes away.
pub fn stop_timer() {
    if clock().physical {
        CNTP_CTL_EL0.set(0);
    } else {
        CNTV_CTL_EL0.set(0);
    }
}
