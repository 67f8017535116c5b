// memcpy, memmove, memset, memcmp and bcmp: what compiled code calls for moving values and slices. Those that come with
// the compiler for this target move a byte or a word at a time. General registers only: FP/SIMD ones are the user's.
//
// Accesses may be misaligned: all memory that Rust values live in is normal memory, and SCTLR_EL1.A is clear.
// Up to 64 bytes everything is loaded before anything is stored, so overlap does not matter there.
.section .text.string, "ax"

// memcpy(dst, src, bytes) -> dst and memmove, which are the same here. x0 stays as it is.
.balign 64
.global memcpy
.type memcpy, %function
.global memmove
.type memmove, %function
memcpy:
memmove:
    mov     x3, x0
    cmp     x2, #64
    b.hi    5f
// x2 bytes, at most 64, from x1 to x3. The last load of each size reaches back over bytes that the first one has, too.
1:  add     x4, x1, x2
    add     x5, x3, x2
    cmp     x2, #16
    b.lo    2f
    ldp     x6, x7, [x1]
    ldp     x8, x9, [x4, #-16]
    cmp     x2, #32
    b.hi    4f
    stp     x6, x7, [x3]
    stp     x8, x9, [x5, #-16]
    ret
2:  tbz     x2, #3, 3f
    ldr     x6, [x1]
    ldr     x7, [x4, #-8]
    str     x6, [x3]
    str     x7, [x5, #-8]
    ret
3:  tbz     x2, #2, 9f
    ldr     w6, [x1]
    ldr     w7, [x4, #-4]
    str     w6, [x3]
    str     w7, [x5, #-4]
    ret
4:  ldp     x10, x11, [x1, #16]
    ldp     x12, x13, [x4, #-32]
    stp     x6, x7, [x3]
    stp     x10, x11, [x3, #16]
    stp     x12, x13, [x5, #-32]
    stp     x8, x9, [x5, #-16]
    ret
9:  cbz     x2, 8f
    lsr     x8, x2, #1                  // 1 to 3 bytes: the first, the middle one, the last
    ldrb    w6, [x1]
    ldrb    w7, [x4, #-1]
    ldrb    w9, [x1, x8]
    strb    w6, [x3]
    strb    w9, [x3, x8]
    strb    w7, [x5, #-1]
8:  ret
// More than 64 bytes: upwards, unless the destination starts within the source.
5:  sub     x4, x3, x1
    cmp     x4, x2
    b.lo    7f
6:  ldp     x6, x7, [x1]
    ldp     x8, x9, [x1, #16]
    ldp     x10, x11, [x1, #32]
    ldp     x12, x13, [x1, #48]
    add     x1, x1, #64
    sub     x2, x2, #64
    stp     x6, x7, [x3]
    stp     x8, x9, [x3, #16]
    stp     x10, x11, [x3, #32]
    stp     x12, x13, [x3, #48]
    add     x3, x3, #64
    cmp     x2, #64
    b.hi    6b
    b       1b
// Downwards: x4 and x5 are the ends of what is left.
7:  add     x4, x1, x2
    add     x5, x3, x2
10: ldp     x6, x7, [x4, #-16]
    ldp     x8, x9, [x4, #-32]
    ldp     x10, x11, [x4, #-48]
    ldp     x12, x13, [x4, #-64]
    sub     x4, x4, #64
    sub     x2, x2, #64
    stp     x6, x7, [x5, #-16]
    stp     x8, x9, [x5, #-32]
    stp     x10, x11, [x5, #-48]
    stp     x12, x13, [x5, #-64]
    sub     x5, x5, #64
    cmp     x2, #64
    b.hi    10b
    b       1b
.size memcpy, . - memcpy
.size memmove, . - memmove

// memset(dst, byte, bytes) -> dst. x0 stays as it is.
.balign 64
.global memset
.type memset, %function
memset:
    mov     x5, #0x0101010101010101
    and     x1, x1, #0xff
    mul     x1, x1, x5
    add     x4, x0, x2
    cmp     x2, #16
    b.lo    3f
    mov     x3, x0
    cmp     x2, #64
    b.ls    2f
1:  stp     x1, x1, [x3]
    stp     x1, x1, [x3, #16]
    stp     x1, x1, [x3, #32]
    stp     x1, x1, [x3, #48]
    add     x3, x3, #64
    sub     x2, x2, #64
    cmp     x2, #64
    b.hi    1b
    // 1 to 64 bytes are left, and 64 before them are ours: the last ones cover them.
    stp     x1, x1, [x4, #-64]
    stp     x1, x1, [x4, #-48]
    stp     x1, x1, [x4, #-32]
    stp     x1, x1, [x4, #-16]
    ret
2:  stp     x1, x1, [x3]                // 16 to 64
    stp     x1, x1, [x4, #-16]
    cmp     x2, #32
    b.ls    6f
    stp     x1, x1, [x3, #16]
    stp     x1, x1, [x4, #-32]
    ret
3:  tbz     x2, #3, 4f
    str     x1, [x0]
    str     x1, [x4, #-8]
    ret
4:  tbz     x2, #2, 5f
    str     w1, [x0]
    str     w1, [x4, #-4]
    ret
5:  cbz     x2, 6f
    lsr     x3, x2, #1                  // 1 to 3
    strb    w1, [x0]
    strb    w1, [x0, x3]
    strb    w1, [x4, #-1]
6:  ret
.size memset, . - memset

// memcmp(a, b, bytes) -> less than, equal to or greater than 0, as the first byte that differs; bcmp asks for less.
.balign 64
.global memcmp
.type memcmp, %function
.global bcmp
.type bcmp, %function
memcmp:
bcmp:
    subs    x2, x2, #8
    b.lo    3f
1:  ldr     x3, [x0], #8
    ldr     x4, [x1], #8
    cmp     x3, x4
    b.ne    2f
    subs    x2, x2, #8
    b.hs    1b
    cmn     x2, #8
    b.eq    5f
    ldr     x3, [x0, x2]                // 1 to 7 are left, -x2 before them are equal: compare the last 8
    ldr     x4, [x1, x2]
    cmp     x3, x4
    b.eq    5f
2:  rev     x3, x3                      // the first byte becomes the most significant
    rev     x4, x4
    cmp     x3, x4
    mov     w0, #1
    cneg    w0, w0, lo
    ret
3:  adds    x2, x2, #8
    b.eq    5f
4:  ldrb    w3, [x0], #1
    ldrb    w4, [x1], #1
    subs    w3, w3, w4
    b.ne    6f
    subs    x2, x2, #1
    b.ne    4b
5:  mov     w0, wzr
    ret
6:  mov     w0, w3
    ret
.size memcmp, . - memcmp
.size bcmp, . - bcmp
