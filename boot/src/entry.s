// Entry: MMU off, D-cache off, interrupts masked, x0 = physical address of the device tree (booting.rst).
// Only PC-relative addresses are right here: this code runs at its physical address.
.section .head.text, "ax"
entry:
    mov     x20, x0
    adr     x21, _start
    ldr     x22, [x21, #16]             // image_size of the header
    mrs     x19, CurrentEL
    ubfx    x19, x19, #2, #2
    cmp     x19, #2
    b.ne    1f
    bl      leave_el2
1:
    ldr     x0, ={SCTLR_OFF}
    msr     sctlr_el1, x0
    isb
    bl      check_granule
    bl      build_tables
    bl      mmu_on
    ldr     x0, =high_entry
    br      x0

// Returns if the CPU translates with the granule this image was built for. If not, nothing can be mapped, so the message
// goes to the emulator or debugger, if there is one, and that is all.
check_granule:
    mrs     x1, id_aa64mmfr0_el1
    ubfx    x1, x1, #{TGRAN_SHIFT}, #4
    cmp     x1, #{TGRAN_MIN}
    b.lo    1f
    cmp     x1, #{TGRAN_MAX}
    b.hi    1f
    ret
1:  mov     x0, #0x04                   // SYS_WRITE0
    adr     x1, no_granule
    hlt     #0xf000
    mov     x0, #0x20                   // SYS_EXIT_EXTENDED
    adr     x1, no_granule_exit
    hlt     #0xf000
2:  wfe
    b       2b
no_granule:
    .ascii  "pleat: this CPU has no {GRANULE_KIB} KiB translation granule\n\0"
    .balign 8
no_granule_exit:
    .quad   0x20026, {NO_GRANULE_STATUS}

// Turns translation and caches on. Out: nothing; the next instruction fetch goes through the identity map.
mmu_on:
    ldr     x0, ={MAIR}
    msr     mair_el1, x0
    // TCR_EL1: physical address size, at most 48 bits, and hardware access flag and dirty state where there are.
    ldr     x0, ={TCR}
    mrs     x1, id_aa64mmfr0_el1
    ubfx    x1, x1, #0, #4              // PARange
    mov     x2, #{TCR_IPS_MAX}
    cmp     x1, x2
    csel    x1, x1, x2, lo
    lsl     x1, x1, #{TCR_IPS_SHIFT}
    orr     x0, x0, x1
    mrs     x1, id_aa64mmfr1_el1
    ubfx    x2, x1, #0, #4              // HAFDBS: 1 access flag, 2 and more also dirty state
    cbz     x2, 1f
    orr     x0, x0, #{TCR_HA}
    cmp     x2, #2
    b.lo    1f
    orr     x0, x0, #{TCR_HD}
1:
    msr     tcr_el1, x0
    adrp    x2, boot_idmap_top
    msr     ttbr0_el1, x2
    adrp    x2, boot_kernel_top
    msr     ttbr1_el1, x2
    // Nothing that was cached before counts.
    tlbi    vmalle1
    ic      iallu
    dsb     nsh
    isb
    // SCTLR_EL1: SPAN clear where there is PAN, EPAN set where there is PAN3.
    ldr     x0, ={SCTLR_ON}
    ubfx    x1, x1, #20, #4             // PAN
    cbnz    x1, 2f
    orr     x0, x0, #{SCTLR_SPAN}
2:
    cmp     x1, #3
    b.lo    3f
    orr     x0, x0, #{SCTLR_EPAN}
3:
    msr     sctlr_el1, x0
    isb
    ret
.pool
