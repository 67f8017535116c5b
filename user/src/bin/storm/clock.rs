//! The time source, and whether it counts instructions.

use core::fmt::{self, Display, Formatter};

use user::rt::counter::{Source, loop_instructions, virtual_hz};
use user::sys::process;

/// The counter that all windows are measured with.
#[derive(Clone, Copy)]
pub struct Clock {
    /// Where time stamps come from.
    pub source: Source,
    /// Whether one tick was one instruction, exactly, when tried: QEMU with `-icount shift=0`.
    pub exact: bool,
}

impl Clock {
    /// Picks the counter and calibrates it.
    ///
    /// CNTVCT_EL0 if it runs at 1 GHz, because it then advances with every instruction under icount; otherwise
    /// PMCCNTR_EL0 if this kernel lets EL0 read it; otherwise CNTVCT_EL0, coarse as it may be.
    pub fn choose() -> Self {
        let source = match virtual_hz() {
            1_000_000_000 => Source::Virtual,
            _ if cycles_readable() => Source::Cycles,
            _ => Source::Virtual,
        };
        Clock { source, exact: counts_instructions(source) }
    }

    /// The unit of all figures: `instructions` or `ticks`.
    pub fn unit(&self) -> &'static str {
        if self.exact { "instructions" } else { "ticks" }
    }
}

impl Display for Clock {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.exact {
            true => "instructions (icount)",
            false => "ticks (no icount: host time, NOT cycles)",
        })?;
        f.write_str(match self.source {
            Source::Virtual => ", by CNTVCT_EL0",
            Source::Cycles => ", by PMCCNTR_EL0",
        })
    }
}

/// Whether PMCCNTR_EL0 can be read and runs. Tried in a child, because the answer may be SIGILL.
fn cycles_readable() -> bool {
    let child = process::spawn(|| i32::from(Source::Cycles.time_loop(1000) == 0));
    child.and_then(process::wait).is_ok_and(|status| status.exited() == Some(0))
}

/// Whether two loops of different length take as many ticks as they have instructions. A timer interrupt may hit one,
/// so each may be tried a few times; with host time as the source, even one hit is next to impossible.
fn counts_instructions(source: Source) -> bool {
    [1000, 4321].iter().all(|&rounds| (0..4).any(|_| source.time_loop(rounds) == loop_instructions(rounds)))
}
