//! Registers of this CPU that are set once and for all: what EL0 may do, and how exceptions arrive.

use core::arch::asm;

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{CNTKCTL_EL1, CPACR_EL1, MDSCR_EL1, MIDR_EL1, MPIDR_EL1, Readable, Writeable};

use super::features::features;
use super::{percpu, vectors};

/// MPIDR_EL1.Aff0 to Aff3; the rest are flags.
const AFFINITY_MASK: u64 = 0xff_00ff_ffff;

/// Sets this CPU up, as 0-based number `id`: per-CPU data first, then the vectors, then everything else. SErrors
/// are taken from here on; interrupts stay masked.
pub fn init(id: usize) {
    percpu::init(id);
    vectors::install();
    // FP and SIMD are EL0's (and the context switch's); SVE and SME stay trapped.
    CPACR_EL1.write(CPACR_EL1::FPEN::TrapNothing);
    // EL0 reads CNTVCT_EL0 and CNTFRQ_EL0, and no timer.
    CNTKCTL_EL1.write(CNTKCTL_EL1::EL0VCTEN::TrappedNone);
    // No debugging, and no debug communications channel for EL0: one process could read what another left there.
    MDSCR_EL1.write(MDSCR_EL1::TDCC::SET);
    if features().pmu {
        enable_cycle_counter();
    }
    if features().pan > 0 {
        // SAFETY: forbids EL1 plain access to EL0's pages, which no kernel code makes; the CPU has FEAT_PAN.
        unsafe { asm!(".arch_extension pan", "msr pan, #1", options(nomem, nostack)) };
    }
    // SAFETY: the vectors are installed, so an SError that is pending is reported.
    unsafe { asm!("msr daifclr, #4", options(nostack)) };
    barrier::isb(barrier::SY);
}

/// Starts PMCCNTR_EL0, 64 bits wide, counting at EL0 and EL1, and lets EL0 read it. Arm ARM DDI 0487, D13.
fn enable_cycle_counter() {
    const PMCR_ENABLE: u64 = 1 << 0;
    const PMCR_CYCLES_RESET: u64 = 1 << 2;
    const PMCR_LONG_CYCLES: u64 = 1 << 6;
    const PMCNTEN_CYCLES: u64 = 1 << 31;
    const PMUSEREN_CYCLES_READ: u64 = 1 << 2;
    // SAFETY: the CPU has FEAT_PMUv3; these registers count and do nothing else.
    unsafe {
        asm!(
            "msr pmccfiltr_el0, xzr",
            "msr pmintenclr_el1, {all}",
            "msr pmcntenset_el0, {cycles}",
            "msr pmuserenr_el0, {read}",
            "msr pmcr_el0, {control}",
            all = in(reg) 0xffff_ffffu64,
            cycles = in(reg) PMCNTEN_CYCLES,
            read = in(reg) PMUSEREN_CYCLES_READ,
            control = in(reg) PMCR_ENABLE | PMCR_CYCLES_RESET | PMCR_LONG_CYCLES,
            options(nomem, nostack, preserves_flags)
        );
    }
}

/// This CPU's affinity, as the device tree and the GIC name it.
pub fn affinity() -> u64 {
    MPIDR_EL1.get() & AFFINITY_MASK
}

/// This CPU's MIDR_EL1: who made it and which one it is.
pub fn model() -> u64 {
    MIDR_EL1.get()
}
