// Clearing and copying whole frames: the hottest loops of fork and fault.
.section .text.mem, "ax"

// mem_zero_zva(start, end): DC ZVA by blocks of 64 bytes, four an iteration; both are multiples of 256.
.global mem_zero_zva
mem_zero_zva:
    add     x2, x0, #64
    add     x3, x0, #128
    add     x4, x0, #192
1:  dc      zva, x0
    dc      zva, x2
    dc      zva, x3
    dc      zva, x4
    add     x0, x0, #256
    add     x2, x2, #256
    add     x3, x3, #256
    add     x4, x4, #256
    cmp     x0, x1
    b.lo    1b
    ret

// mem_zero_stp(start, end): both are multiples of 64.
.global mem_zero_stp
mem_zero_stp:
1:  stp     xzr, xzr, [x0]
    stp     xzr, xzr, [x0, #16]
    stp     xzr, xzr, [x0, #32]
    stp     xzr, xzr, [x0, #48]
    add     x0, x0, #64
    cmp     x0, x1
    b.lo    1b
    ret

// mem_copy(dst, src, end of src): bytes are a multiple of 128.
.global mem_copy
mem_copy:
1:  ldp     x3, x4, [x1]
    ldp     x5, x6, [x1, #16]
    ldp     x7, x8, [x1, #32]
    ldp     x9, x10, [x1, #48]
    ldp     x11, x12, [x1, #64]
    ldp     x13, x14, [x1, #80]
    ldp     x15, x16, [x1, #96]
    stp     x3, x4, [x0]
    ldp     x3, x4, [x1, #112]
    stp     x5, x6, [x0, #16]
    stp     x7, x8, [x0, #32]
    stp     x9, x10, [x0, #48]
    stp     x11, x12, [x0, #64]
    stp     x13, x14, [x0, #80]
    stp     x15, x16, [x0, #96]
    stp     x3, x4, [x0, #112]
    add     x1, x1, #128
    add     x0, x0, #128
    cmp     x1, x2
    b.lo    1b
    ret
