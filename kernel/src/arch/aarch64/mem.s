// Clearing and copying whole frames: the hottest loops of fork and fault. mem.rs says why by vector registers, and why
// that is allowed.

    .arch_extension fp
    .arch_extension simd
    .section .text.mem, "ax"

// mem_zero(start, end): both are multiples of 4096.
    .global mem_zero
mem_zero:
    stp     q0, q1, [sp, #-64]!
    stp     q2, q3, [sp, #32]
    movi    v0.2d, #0
    movi    v1.2d, #0
    movi    v2.2d, #0
    movi    v3.2d, #0
1:  .rept 64
    st1     {{v0.2d, v1.2d, v2.2d, v3.2d}}, [x0], #64
    .endr
    cmp     x0, x1
    b.lo    1b
    ldp     q2, q3, [sp, #32]
    ldp     q0, q1, [sp], #64
    ret

// mem_copy(dst, src, end of src): bytes are a multiple of 4096.
    .global mem_copy
mem_copy:
    stp     q0, q1, [sp, #-128]!
    stp     q2, q3, [sp, #32]
    stp     q4, q5, [sp, #64]
    stp     q6, q7, [sp, #96]
1:  .rept 32
    ld1     {{v0.2d, v1.2d, v2.2d, v3.2d}}, [x1], #64
    ld1     {{v4.2d, v5.2d, v6.2d, v7.2d}}, [x1], #64
    st1     {{v0.2d, v1.2d, v2.2d, v3.2d}}, [x0], #64
    st1     {{v4.2d, v5.2d, v6.2d, v7.2d}}, [x0], #64
    .endr
    cmp     x1, x2
    b.lo    1b
    ldp     q6, q7, [sp, #96]
    ldp     q4, q5, [sp, #64]
    ldp     q2, q3, [sp, #32]
    ldp     q0, q1, [sp], #128
    ret

    .arch_extension nosimd
    .arch_extension nofp
    .text
