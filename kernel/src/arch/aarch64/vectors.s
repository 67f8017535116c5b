// Exception vectors of EL1, entry and return. Arm ARM DDI 0487, D1.4.2 "Exception vectors".
//
// At EL0, SP_EL1 is the top of the thread's kernel stack, so entry from EL0 needs neither a look-up nor a check. The
// way EL0 -> system call -> EL0 is straight-line code: every instruction on it is measured.

// Stores all registers of the interrupted code in a TrapFrame at SP, x30's pair excepted.
.macro save_x0_to_x29
    stp     x0, x1, [sp, #16 * 0]
    stp     x2, x3, [sp, #16 * 1]
    save_x4_to_x29
.endm

.macro save_x4_to_x29
    stp     x4, x5, [sp, #16 * 2]
    stp     x6, x7, [sp, #16 * 3]
    stp     x8, x9, [sp, #16 * 4]
    stp     x10, x11, [sp, #16 * 5]
    stp     x12, x13, [sp, #16 * 6]
    stp     x14, x15, [sp, #16 * 7]
    stp     x16, x17, [sp, #16 * 8]
    stp     x18, x19, [sp, #16 * 9]
    stp     x20, x21, [sp, #16 * 10]
    stp     x22, x23, [sp, #16 * 11]
    stp     x24, x25, [sp, #16 * 12]
    stp     x26, x27, [sp, #16 * 13]
    stp     x28, x29, [sp, #16 * 14]
.endm

.macro load_x0_to_x29
    ldp     x0, x1, [sp, #16 * 0]
    ldp     x2, x3, [sp, #16 * 1]
    ldp     x4, x5, [sp, #16 * 2]
    ldp     x6, x7, [sp, #16 * 3]
    ldp     x8, x9, [sp, #16 * 4]
    ldp     x10, x11, [sp, #16 * 5]
    ldp     x12, x13, [sp, #16 * 6]
    ldp     x14, x15, [sp, #16 * 7]
    ldp     x16, x17, [sp, #16 * 8]
    ldp     x18, x19, [sp, #16 * 9]
    ldp     x20, x21, [sp, #16 * 10]
    ldp     x22, x23, [sp, #16 * 11]
    ldp     x24, x25, [sp, #16 * 12]
    ldp     x26, x27, [sp, #16 * 13]
    ldp     x28, x29, [sp, #16 * 14]
.endm

// The rest of the frame: x30 and the stack pointer in x21, ELR and SPSR.
.macro save_state
    mrs     x22, elr_el1
    mrs     x23, spsr_el1
    stp     x30, x21, [sp, #16 * 15]
    stp     x22, x23, [sp, #16 * 16]
.endm

.macro save_user
    sub     sp, sp, #{FRAME}
    save_x0_to_x29
    mrs     x21, sp_el0
    save_state
.endm

// The 0-based entry `number` of the table: 128 bytes each; the assembler refuses one that does not fit.
.macro slot number
.org exception_vectors + \number * 128
.endm

// A slot whose exception the kernel neither causes nor expects. x1 says which.
.macro unexpected number
    slot    \number
    sub     sp, sp, #{FRAME}
    stp     x0, x1, [sp, #16 * 0]
    stp     x2, x3, [sp, #16 * 1]
    mov     x1, #\number
    b       unexpected_entry
.endm

.section .text.vectors, "ax"
.balign 2048
.global exception_vectors
exception_vectors:
    // From EL1 with SP_EL0: the kernel always uses SP_EL1.
    unexpected 0
    unexpected 1
    unexpected 2
    unexpected 3

    // From EL1 with SP_EL1: synchronous. A stack pointer that has run out of its stack has bit STACK_BIT clear; test
    // it without a free register: x0 and SP trade places through their sum.
    slot    4
    sub     sp, sp, #{FRAME}
    add     sp, sp, x0
    sub     x0, sp, x0
    tbz     x0, #{STACK_BIT}, stack_overflow
    sub     x0, sp, x0
    sub     sp, sp, x0
    b       el1_sync
    // IRQ: only from the idle loop's window.
    slot    5
    sub     sp, sp, #{FRAME}
    b       el1_irq
    unexpected 6
    unexpected 7

    // From EL0, AArch64: synchronous.
    slot    8
    save_user
    mrs     x1, esr_el1
    mov     x0, sp
    lsr     x2, x1, #26
    cmp     x2, #{EC_SVC64}
    b.ne    el0_sync
    bl      {el0_svc}
    b       return_to_user
    // IRQ. The last return's PC is still where it was loaded from: if it is where EL0 is now, the interrupt has waited for
    // that return. A return from an interrupt leaves 0 there, since a loop may well be found at one place twice.
    slot    9
    sub     sp, sp, #{FRAME}
    save_x0_to_x29
    ldr     x1, [sp, #16 * 16]
    mrs     x21, sp_el0
    save_state
    mov     x0, sp
    bl      {el0_irq}
    b       return_from_irq
    unexpected 10
    unexpected 11

    // From EL0, AArch32, which no frame asks for.
    unexpected 12
    unexpected 13
    unexpected 14
    unexpected 15

el0_sync:
    mrs     x2, far_el1
    bl      {el0_sync}
    // Falls through.

// Returns to EL0 with the TrapFrame at SP, leaving SP at the top of the stack.
return_to_user:
    ldp     x30, x21, [sp, #16 * 15]
    ldp     x22, x23, [sp, #16 * 16]
restore_user:
    msr     sp_el0, x21
    msr     elr_el1, x22
    msr     spsr_el1, x23
    load_x0_to_x29
    add     sp, sp, #{FRAME}
    eret
    // No speculation past the return. Arm, "Straight-line Speculation" white paper.
    dsb     nsh
    isb

return_from_irq:
    ldp     x30, x21, [sp, #16 * 15]
    ldp     x22, x23, [sp, #16 * 16]
    str     xzr, [sp, #16 * 16]
    b       restore_user

// enter_user(frame: *const TrapFrame) -> !
.global enter_user
enter_user:
    mov     sp, x0
    b       return_to_user

el1_sync:
    save_x0_to_x29
    add     x21, sp, #{FRAME}
    save_state
    mov     x0, sp
    mrs     x1, esr_el1
    mrs     x2, far_el1
    bl      {el1_sync}
    b       return_to_kernel
el1_irq:
    save_x0_to_x29
    add     x21, sp, #{FRAME}
    save_state
    bl      {el1_irq}
    // Falls through.

return_to_kernel:
    ldr     x30, [sp, #16 * 15]
    ldp     x22, x23, [sp, #16 * 16]
    msr     elr_el1, x22
    msr     spsr_el1, x23
    load_x0_to_x29
    add     sp, sp, #{FRAME}
    eret
    dsb     nsh
    isb

unexpected_entry:
    save_x4_to_x29
    add     x21, sp, #{FRAME}
    save_state
    mov     x0, sp
    mrs     x2, esr_el1
    mrs     x3, far_el1
    bl      {unexpected}

// SP is not usable: go on with the CPU's emergency stack. x0 is what SP was (less a frame), SP is that plus the
// interrupted x0. The thread's TLS registers are free to use: there is no way back.
stack_overflow:
    sub     sp, sp, x0
    msr     tpidrro_el0, x0
    mov     x0, sp
    msr     tpidr_el0, x1
    mrs     x1, tpidr_el1
    ldr     x1, [x1, #{EMERGENCY_TOP}]
    mov     sp, x1
    mrs     x1, tpidr_el0
    sub     sp, sp, #{FRAME}
    save_x0_to_x29
    mrs     x21, tpidrro_el0
    add     x21, x21, #{FRAME}
    save_state
    mov     x0, sp
    mrs     x1, esr_el1
    mrs     x2, far_el1
    bl      {overflow}
