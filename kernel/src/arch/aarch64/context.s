// Switching between kernel threads: AAPCS64 says what a call preserves, and that is all a switch needs to.
.section .text.context, "ax"

// context_switch(prev: *mut Context, next: *const Context)
.global context_switch
context_switch:
    mov     x9, sp
    stp     x19, x20, [x0, #16 * 0]
    stp     x21, x22, [x0, #16 * 1]
    stp     x23, x24, [x0, #16 * 2]
    stp     x25, x26, [x0, #16 * 3]
    stp     x27, x28, [x0, #16 * 4]
    stp     x29, x30, [x0, #16 * 5]
    str     x9, [x0, #16 * 6]
    ldp     x19, x20, [x1, #16 * 0]
    ldp     x21, x22, [x1, #16 * 1]
    ldp     x23, x24, [x1, #16 * 2]
    ldp     x25, x26, [x1, #16 * 3]
    ldp     x27, x28, [x1, #16 * 4]
    ldp     x29, x30, [x1, #16 * 5]
    ldr     x9, [x1, #16 * 6]
    mov     sp, x9
    ret

// Where a new context starts: x19 is its entry function, x20 the argument.
.global context_start
context_start:
    mov     x0, x20
    mov     x30, xzr                    // the end of every backtrace
    br      x19
