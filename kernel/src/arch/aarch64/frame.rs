//! The registers of interrupted code, as the exception vectors store them.

/// General registers and state of the code that an exception interrupted. For EL0 it lies at the top of the thread's
/// kernel stack, and returning to EL0 loads what is here: fork copies it, exec writes it.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct TrapFrame {
    /// x0 to x30.
    pub x: [u64; 31],
    /// The stack pointer: SP_EL0 for EL0; for the kernel, SP_EL1 before the exception (informative only).
    pub sp: u64,
    /// ELR_EL1: where to continue.
    pub pc: u64,
    /// SPSR_EL1: PSTATE to continue with. A frame for EL0 always says EL0, AArch64, nothing masked
    /// ([`TrapFrame::user`]); only flags vary.
    pub pstate: u64,
}

/// Bytes in a [`TrapFrame`], for assembly.
pub const FRAME_BYTES: usize = size_of::<TrapFrame>();

// `vectors.s` stores pairs: (x0, x1) to (x28, x29), (x30, sp), (pc, pstate). SP must stay a multiple of 16.
const _: () = assert!(FRAME_BYTES == 17 * 16);

impl TrapFrame {
    /// A thread about to start at EL0: all registers zero but the two given.
    pub const fn user(pc: u64, sp: u64) -> Self {
        // PSTATE: EL0t (M = 0), AArch64, D, A, I and F clear.
        TrapFrame { x: [0; 31], sp, pc, pstate: 0 }
    }
}
