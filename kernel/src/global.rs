//! The kernel's one instance of memory management. `mm` itself knows no globals, so that host tests have many.

use core::cell::UnsafeCell;

use crate::arch::machine::Cpu;
use crate::mm::{InitError, Mm, PhysRange};

struct Global(UnsafeCell<Mm<Cpu>>);

// SAFETY: `Mm` is `Sync`; it is changed through the cell only in `init`, before anybody else refers to it.
unsafe impl Sync for Global {}

static MM: Global = Global(UnsafeCell::new(Mm::new(Cpu)));

/// Memory management.
#[inline(always)]
pub fn mm() -> &'static Mm<Cpu> {
    // SAFETY: shared references only, but in `init`, which happens before.
    unsafe { &*MM.0.get() }
}

/// Hands RAM to memory management.
///
/// # Errors
/// As [`Mm::take_over`].
///
/// # Safety
/// Called once, on the boot CPU, before anything calls [`mm`]. The ranges are RAM that the linear map reaches and
/// that nothing else uses.
pub unsafe fn init(usable: &[PhysRange], asid_bits: u32) -> Result<(), InitError> {
    // SAFETY: by the contract no reference exists yet.
    unsafe { (*MM.0.get()).take_over(usable, asid_bits) }
}
