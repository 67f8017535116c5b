//! The exception vectors (`vectors.s`) and the way back to EL0.

use core::arch::global_asm;

use aarch64_cpu::registers::{ESR_EL1, VBAR_EL1, Writeable};

use super::exception;
use super::frame::{FRAME_BYTES, TrapFrame};
use super::layout::STACK_BYTES;
use super::percpu::EMERGENCY_TOP_OFFSET;

global_asm!(
    include_str!("vectors.s"),
    FRAME = const FRAME_BYTES,
    STACK_BIT = const STACK_BYTES.trailing_zeros(),
    EMERGENCY_TOP = const EMERGENCY_TOP_OFFSET,
    EC_SVC64 = const ESR_EL1::EC::SVC64.value >> ESR_EL1::EC.shift,
    el0_svc = sym exception::el0_svc,
    el0_sync = sym exception::el0_sync,
    el0_irq = sym exception::el0_irq,
    el1_sync = sym exception::el1_sync,
    el1_irq = sym exception::el1_irq,
    unexpected = sym exception::unexpected,
    overflow = sym exception::stack_overflow,
);

unsafe extern "C" {
    static exception_vectors: [u8; 2048];

    /// Leaves for EL0 with the registers in `frame`; SP_EL1 becomes the first address behind it.
    ///
    /// # Safety
    /// `frame` is the current thread's trap frame, at the top of its kernel stack ([`super::KernelStack::trap_frame`]),
    /// with a PSTATE of EL0. The caller's own stack frames, which may be on the same stack, are given up: nothing in
    /// them needs dropping and no lock is held.
    pub fn enter_user(frame: *const TrapFrame) -> !;
}

/// Makes this CPU take exceptions through our vectors. The caller's next ISB or exception return makes it so.
pub fn install() {
    VBAR_EL1.set((&raw const exception_vectors) as u64);
}
