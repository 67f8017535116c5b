//! Counters that EL0 may read, and a loop of known length to find out what one of them counts.
//!
//! CNTVCT_EL0 is readable on every kernel. PMCCNTR_EL0 is readable where the kernel sets PMUSERENR_EL0.EN (Pleat does,
//! Linux does not): elsewhere reading it is SIGILL, so whoever wants it tries in a child first.

use core::arch::asm;

/// A counter to take time stamps from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// CNTVCT_EL0, the generic timer's virtual count.
    Virtual,
    /// PMCCNTR_EL0, the PMU's cycle count.
    Cycles,
}

/// CNTFRQ_EL0: the virtual counter's frequency in Hz, as firmware or kernel set it.
pub fn virtual_hz() -> u64 {
    let hz;
    // SAFETY: reading CNTFRQ_EL0 has no effect and is always permitted where CNTVCT_EL0 is.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) hz, options(nomem, nostack)) };
    hz
}

impl Source {
    /// The counter's value now, after everything before it in program order (the ISB).
    #[inline(always)]
    pub fn read(self) -> u64 {
        let value;
        match self {
            // SAFETY: reads a counter, nothing else.
            Source::Virtual => unsafe { asm!("isb", "mrs {}, cntvct_el0", out(reg) value, options(nostack)) },
            // SAFETY: reads a counter, nothing else; where it is not permitted, the process dies by SIGILL.
            Source::Cycles => unsafe { asm!("isb", "mrs {}, pmccntr_el0", out(reg) value, options(nostack)) },
        }
        value
    }

    /// Runs a loop of exactly [`loop_instructions`]`(rounds)` instructions between two reads and returns the difference.
    pub fn time_loop(self, rounds: u64) -> u64 {
        let (start, end): (u64, u64);
        match self {
            // SAFETY: counts a scratch register down to zero between two counter reads.
            Source::Virtual => unsafe {
                asm!("isb", "mrs {start}, cntvct_el0", "2:", "subs {n}, {n}, #1", "b.ne 2b", "isb",
                     "mrs {end}, cntvct_el0",
                     n = inout(reg) rounds => _, start = out(reg) start, end = out(reg) end, options(nostack));
            },
            // SAFETY: as above.
            Source::Cycles => unsafe {
                asm!("isb", "mrs {start}, pmccntr_el0", "2:", "subs {n}, {n}, #1", "b.ne 2b", "isb",
                     "mrs {end}, pmccntr_el0",
                     n = inout(reg) rounds => _, start = out(reg) start, end = out(reg) end, options(nostack));
            },
        }
        end.wrapping_sub(start)
    }
}

/// Instructions that [`Source::time_loop`] executes from its first counter read up to its second: that read itself,
/// two per round, the ISB. `rounds` must not be 0.
pub const fn loop_instructions(rounds: u64) -> u64 {
    1 + 2 * rounds + 1
}

/// Writes the low byte of `value` to `count` addresses from `base` on, `stride` bytes apart: four instructions each, the
/// same in every build, so that a loop's own share of a figure is known.
///
/// # Safety
/// All the addresses must be mapped writable and not be borrowed.
#[inline(never)]
pub unsafe fn touch(base: usize, stride: usize, count: usize, value: u8) {
    // SAFETY: writes only where the caller says it may.
    unsafe {
        asm!(
            "cbz {n}, 3f",
            "2:",
            "strb {v:w}, [{p}]",
            "add {p}, {p}, {s}",
            "subs {n}, {n}, #1",
            "b.ne 2b",
            "3:",
            n = inout(reg) count => _,
            p = inout(reg) base => _,
            s = in(reg) stride,
            v = in(reg) u32::from(value),
            options(nostack),
        );
    }
}
