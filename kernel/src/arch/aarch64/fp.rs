//! A thread's floating-point and SIMD state. The kernel is compiled without these registers, and the few loops that
//! use some of them put them back ([`mem`](super::mem)), so they change hands only at a context switch.

use core::arch::global_asm;

global_asm!(include_str!("fp.s"));

/// V0 to V31, FPCR and FPSR.
#[derive(Clone)]
#[repr(C, align(16))]
pub struct FpState {
    v: [u128; 32],
    fpcr: u64,
    fpsr: u64,
}

// `fp.s` stores 16 pairs of 32 bytes and the two control registers.
const _: () = assert!(size_of::<FpState>() == 16 * 32 + 16);

unsafe extern "C" {
    fn fp_save(state: *mut FpState);
    fn fp_restore(state: *const FpState);
}

impl FpState {
    /// What a program starts with.
    pub const ZERO: FpState = FpState { v: [0; 32], fpcr: 0, fpsr: 0 };

    /// The state with these registers.
    pub fn new(v: [u128; 32], fpcr: u32, fpsr: u32) -> FpState {
        FpState { v, fpcr: fpcr.into(), fpsr: fpsr.into() }
    }

    /// V0 to V31.
    pub fn registers(&self) -> &[u128; 32] {
        &self.v
    }

    /// FPCR.
    pub fn control(&self) -> u32 {
        self.fpcr as u32
    }

    /// FPSR.
    pub fn status(&self) -> u32 {
        self.fpsr as u32
    }

    /// Stores the CPU's registers here.
    pub fn save(&mut self) {
        // SAFETY: writes exactly this value, which is exclusively borrowed.
        unsafe { fp_save(self) }
    }

    /// Loads the CPU's registers from here.
    pub fn restore(&self) {
        // SAFETY: reads exactly this value; no compiled kernel code keeps anything in the registers it loads.
        unsafe { fp_restore(self) }
    }
}
