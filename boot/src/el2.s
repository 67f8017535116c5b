// At EL2: hand everything to EL1 untrapped and drop to it. Linux: arch/arm64/include/asm/el2_setup.h.
.section .head.text, "ax"
// In: x30. Out: at EL1, at x30, all exceptions masked. Clobbers x0, x1.
leave_el2:
    // HCR_EL2: EL1 is AArch64 (RW, 31), pointer authentication is not trapped (APK 40, API 41), no VHE, no stage 2.
    mov     x0, #1 << 31
    orr     x0, x0, #1 << 40
    orr     x0, x0, #1 << 41
    msr     hcr_el2, x0
    msr     vttbr_el2, xzr
    msr     hstr_el2, xzr
    isb

    // Timers: EL1 may use the physical one (EL1PCTEN, EL1PCEN), the virtual one shows the same time.
    mov     x0, #0b11
    msr     cnthctl_el2, x0
    msr     cntvoff_el2, xzr

    // No traps of FP/SIMD. The RES1 bits trap SVE and SME, which CPACR_EL1 does first.
    mov     x0, #0x33ff
    msr     cptr_el2, x0

    // Debug and counters: no traps, all event counters (PMCR_EL0.N) for EL1 where there is a PMU.
    mrs     x0, id_aa64dfr0_el1
    ubfx    x0, x0, #8, #4              // PMUVer: 0 none, 15 not the architected one
    mov     x1, xzr
    cbz     x0, 1f
    cmp     x0, #15
    b.eq    1f
    mrs     x1, pmcr_el0
    ubfx    x1, x1, #11, #5
1:  msr     mdcr_el2, x1

    // Fine-grained traps, where there are (ID_AA64MMFR0_EL1.FGT): none.
    mrs     x0, id_aa64mmfr0_el1
    ubfx    x0, x0, #56, #4
    cbz     x0, 2f
    msr     s3_4_c1_c1_4, xzr           // HFGRTR_EL2
    msr     s3_4_c1_c1_5, xzr           // HFGWTR_EL2
    msr     s3_4_c1_c1_6, xzr           // HFGITR_EL2
    msr     s3_4_c3_c1_4, xzr           // HDFGRTR_EL2
    msr     s3_4_c3_c1_5, xzr           // HDFGWTR_EL2
2:
    // Traps of later extensions (ID_AA64MMFR1_EL1.HCX), likewise.
    mrs     x0, id_aa64mmfr1_el1
    ubfx    x0, x0, #40, #4
    cbz     x0, 4f
    msr     s3_4_c1_c2_2, xzr           // HCRX_EL2
4:
    // GICv3 system registers, where there are (ID_AA64PFR0_EL1.GIC) and firmware left them to us (SRE sticks).
    mrs     x0, id_aa64pfr0_el1
    ubfx    x0, x0, #24, #4
    cbz     x0, 3f
    mrs     x0, s3_4_c12_c9_5           // ICC_SRE_EL2
    orr     x0, x0, #1 << 0             // SRE
    orr     x0, x0, #1 << 3             // Enable: EL1 may use ICC_SRE_EL1
    msr     s3_4_c12_c9_5, x0
    isb
    mrs     x0, s3_4_c12_c9_5
    tbz     x0, #0, 3f
    msr     s3_4_c12_c11_0, xzr         // ICH_HCR_EL2: no virtual interrupts
3:
    mrs     x0, midr_el1
    msr     vpidr_el2, x0
    mrs     x0, mpidr_el1
    msr     vmpidr_el2, x0

    mov     x0, #0b1111000101           // SPSR: EL1h, D, A, I and F masked
    msr     spsr_el2, x0
    msr     elr_el2, x30
    eret
