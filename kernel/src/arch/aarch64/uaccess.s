// Copies between kernel and user memory by LDTR and STTR, which access memory with EL0's permissions: what the user
// may not touch faults, whatever the kernel may, and PAN does not stand in the way.
//
// A user address that stays inaccessible makes the exception handler continue at uaccess_fault, for any PC between
// uaccess_start and uaccess_end. All of it are leaf functions that leave SP and x30 alone, so it returns for them.
.section .text.uaccess, "ax"
.global uaccess_start
uaccess_start:

// uaccess_copy_in(dst: *mut u8, src: user address, bytes) -> 0, or !0 after a fault
.global uaccess_copy_in
uaccess_copy_in:
    subs    x3, x2, #64
    b.lo    2f
1:  ldtr    x4, [x1]
    ldtr    x5, [x1, #8]
    ldtr    x6, [x1, #16]
    ldtr    x7, [x1, #24]
    ldtr    x8, [x1, #32]
    ldtr    x9, [x1, #40]
    ldtr    x10, [x1, #48]
    ldtr    x11, [x1, #56]
    add     x1, x1, #64
    stp     x4, x5, [x0]
    stp     x6, x7, [x0, #16]
    stp     x8, x9, [x0, #32]
    stp     x10, x11, [x0, #48]
    add     x0, x0, #64
    subs    x3, x3, #64
    b.hs    1b
2:  // 0 to 63 bytes are left, and x3 has the same low bits.
    tbz     x3, #5, 3f
    ldtr    x4, [x1]
    ldtr    x5, [x1, #8]
    ldtr    x6, [x1, #16]
    ldtr    x7, [x1, #24]
    add     x1, x1, #32
    stp     x4, x5, [x0], #16
    stp     x6, x7, [x0], #16
3:  tbz     x3, #4, 4f
    ldtr    x4, [x1]
    ldtr    x5, [x1, #8]
    add     x1, x1, #16
    stp     x4, x5, [x0], #16
4:  tbz     x3, #3, 5f
    ldtr    x4, [x1]
    add     x1, x1, #8
    str     x4, [x0], #8
5:  tbz     x3, #2, 6f
    ldtr    w4, [x1]
    add     x1, x1, #4
    str     w4, [x0], #4
6:  tbz     x3, #1, 7f
    ldtrh   w4, [x1]
    add     x1, x1, #2
    strh    w4, [x0], #2
7:  tbz     x3, #0, 8f
    ldtrb   w4, [x1]
    strb    w4, [x0]
8:  mov     x0, xzr
    ret

// uaccess_copy_out(dst: user address, src: *const u8, bytes) -> 0, or !0 after a fault
.global uaccess_copy_out
uaccess_copy_out:
    subs    x3, x2, #64
    b.lo    2f
1:  ldp     x4, x5, [x1]
    ldp     x6, x7, [x1, #16]
    ldp     x8, x9, [x1, #32]
    ldp     x10, x11, [x1, #48]
    add     x1, x1, #64
    sttr    x4, [x0]
    sttr    x5, [x0, #8]
    sttr    x6, [x0, #16]
    sttr    x7, [x0, #24]
    sttr    x8, [x0, #32]
    sttr    x9, [x0, #40]
    sttr    x10, [x0, #48]
    sttr    x11, [x0, #56]
    add     x0, x0, #64
    subs    x3, x3, #64
    b.hs    1b
2:  tbz     x3, #5, 3f
    ldp     x4, x5, [x1], #16
    ldp     x6, x7, [x1], #16
    sttr    x4, [x0]
    sttr    x5, [x0, #8]
    sttr    x6, [x0, #16]
    sttr    x7, [x0, #24]
    add     x0, x0, #32
3:  tbz     x3, #4, 4f
    ldp     x4, x5, [x1], #16
    sttr    x4, [x0]
    sttr    x5, [x0, #8]
    add     x0, x0, #16
4:  tbz     x3, #3, 5f
    ldr     x4, [x1], #8
    sttr    x4, [x0]
    add     x0, x0, #8
5:  tbz     x3, #2, 6f
    ldr     w4, [x1], #4
    sttr    w4, [x0]
    add     x0, x0, #4
6:  tbz     x3, #1, 7f
    ldrh    w4, [x1], #2
    sttrh   w4, [x0]
    add     x0, x0, #2
7:  tbz     x3, #0, 8f
    ldrb    w4, [x1]
    sttrb   w4, [x0]
8:  mov     x0, xzr
    ret

// uaccess_zero(dst: user address, bytes) -> 0, or !0 after a fault
.global uaccess_zero
uaccess_zero:
    subs    x1, x1, #64
    b.lo    2f
1:  sttr    xzr, [x0]
    sttr    xzr, [x0, #8]
    sttr    xzr, [x0, #16]
    sttr    xzr, [x0, #24]
    sttr    xzr, [x0, #32]
    sttr    xzr, [x0, #40]
    sttr    xzr, [x0, #48]
    sttr    xzr, [x0, #56]
    add     x0, x0, #64
    subs    x1, x1, #64
    b.hs    1b
2:  ands    x1, x1, #63
    b.eq    4f
3:  sttrb   wzr, [x0]
    add     x0, x0, #1
    subs    x1, x1, #1
    b.ne    3b
4:  mov     x0, xzr
    ret

// uaccess_string_in(dst: *mut u8, src: user address, bytes) -> bytes before the NUL; `bytes` if there is none; !0
// after a fault
.global uaccess_string_in
uaccess_string_in:
    mov     x3, xzr
1:  cmp     x3, x2
    b.eq    2f
    ldtrb   w4, [x1]
    strb    w4, [x0, x3]
    cbz     w4, 2f
    add     x1, x1, #1
    add     x3, x3, #1
    b       1b
2:  mov     x0, x3
    ret

.global uaccess_end
uaccess_end:

.global uaccess_fault
uaccess_fault:
    mov     x0, #-1
    ret
