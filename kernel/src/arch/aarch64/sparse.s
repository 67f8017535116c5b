// Contpte blocks' places with holes, looked at and copied by 16 entries; sparse.rs says what for.
//
// A `Sparse` is: the first entry, the number of pages, and for each 16 entries a word of holes, four bits an entry.

    .arch_extension fp
    .arch_extension simd

    .set    GROUPS, {CONT_PTES} / 16
    .set    STRIDE, 16 + 8 * GROUPS

    // A pair of entries: ones instead of each that is as V10 says. V10 goes on to the next.
    .macro  sparse_compare pair
    cmeq    \pair\().2d, \pair\().2d, v10.2d
    add     v10.2d, v10.2d, v9.2d
    .endm

    .section .text.survey_sparse, "ax"
    .global survey_sparse
    .type   survey_sparse, %function
    // x0: entries, x1: what is found, x2: places, x3: attributes. Returns of how many it is found.
    // V8 holds what the second entry of a pair is ahead of the first, V9 how far a pair is from the next, V10 what the
    // next pair should be.
survey_sparse:
    stp     q0, q1, [sp, #-176]!
    stp     q2, q3, [sp, #32]
    stp     q4, q5, [sp, #64]
    stp     q6, q7, [sp, #96]
    stp     q8, q9, [sp, #128]
    str     q10, [sp, #160]
    mov     x9, #{PAGE}
    movi    v8.2d, #0
    mov     v8.d[1], x9
    lsl     x9, x9, #1
    dup     v9.2d, x9
    mov     x4, x2
    mov     x5, #15
1:  ldr     x9, [x0]
    cbz     x9, 6f
    // x9: the first entry, as it is or would be
2:  eor     x10, x9, x3
    tst     x10, #{SAME}
    b.ne    5f
    dup     v10.2d, x9
    add     v10.2d, v10.2d, v8.2d
    mov     x6, #{CONT_PTES}
    .set    group, 0
    .rept   GROUPS
    ld1     {{v0.2d, v1.2d, v2.2d, v3.2d}}, [x0], #64
    ld1     {{v4.2d, v5.2d, v6.2d, v7.2d}}, [x0], #64
    .irp    pair, v0, v1, v2, v3, v4, v5, v6, v7
    sparse_compare \pair
    .endr
    // Four bits of each are left.
    uzp1    v0.4s, v0.4s, v1.4s
    uzp1    v2.4s, v2.4s, v3.4s
    uzp1    v4.4s, v4.4s, v5.4s
    uzp1    v6.4s, v6.4s, v7.4s
    uzp1    v0.8h, v0.8h, v2.8h
    uzp1    v4.8h, v4.8h, v6.8h
    uzp1    v0.16b, v0.16b, v4.16b
    shrn    v0.8b, v0.8h, #4
    fmov    x10, d0
    mvn     x10, x10
    str     x10, [x1, #16 + 8 * group]
    cbz     x10, 4f
    // The others have to be empty.
    sub     x13, x0, #128
3:  rbit    x11, x10
    clz     x11, x11
    lsr     x12, x11, #2
    ldr     x12, [x13, x12, lsl #3]
    cbnz    x12, 5f
    lsl     x11, x5, x11
    sub     x6, x6, #1
    bics    x10, x10, x11
    b.ne    3b
4:
    .set    group, group + 1
    .endr
    stp     x9, x6, [x1], #STRIDE
    subs    x2, x2, #1
    b.ne    1b
5:  sub     x0, x4, x2
    ldp     q2, q3, [sp, #32]
    ldp     q4, q5, [sp, #64]
    ldp     q6, q7, [sp, #96]
    ldp     q8, q9, [sp, #128]
    ldr     q10, [sp, #160]
    ldp     q0, q1, [sp], #176
    ret
    // What the first would be, by the next that is not empty.
6:  mov     x10, #1
7:  ldr     x9, [x0, x10, lsl #3]
    cbnz    x9, 8f
    add     x10, x10, #1
    cmp     x10, #{CONT_PTES}
    b.ne    7b
    mov     x6, #0
    mov     x10, #-1
    .set    group, 0
    .rept   GROUPS
    str     x10, [x1, #16 + 8 * group]
    .set    group, group + 1
    .endr
    add     x0, x0, #8 * {CONT_PTES}
    stp     x9, x6, [x1], #STRIDE
    subs    x2, x2, #1
    b.ne    1b
    b       5b
8:  sub     x9, x9, x10, lsl #{PAGE_SHIFT}
    b       2b
    .size   survey_sparse, . - survey_sparse

    // Entries number \at and the next from x0 to x1, \vector being two registers for them, V4 to V6 the bits to flip at the
    // source and at the destination.
    .macro  sparse_four at, both, flip
    ldp     q0, q1, [x0, #8 * (\at)]
    .if     \both
    eor     v2.16b, v0.16b, v4.16b
    eor     v3.16b, v1.16b, v4.16b
    .endif
    eor     v0.16b, v0.16b, \flip\().16b
    eor     v1.16b, v1.16b, \flip\().16b
    .if     \both
    stp     q2, q3, [x0, #8 * (\at)]
    .endif
    stp     q0, q1, [x1, #8 * (\at)]
    .endm

    // One entry, if x9 does not say that it is a hole.
    .macro  sparse_one at, both
    tbnz    x9, #4 * (\at), 8f
    ldr     x10, [x0, #8 * (\at)]
    .if     \both
    eor     x11, x10, x4
    str     x11, [x0, #8 * (\at)]
    .endif
    eor     x10, x10, x5
    str     x10, [x1, #8 * (\at)]
8:
    .endm

    // A pair of entries.
    .macro  sparse_pair at, both
    tst     x9, #0xff << (4 * (\at))
    b.ne    7f
    ldr     q0, [x0, #8 * (\at)]
    .if     \both
    eor     v2.16b, v0.16b, v4.16b
    str     q2, [x0, #8 * (\at)]
    .endif
    eor     v0.16b, v0.16b, v5.16b
    str     q0, [x1, #8 * (\at)]
    b       9f
7:  sparse_one \at, \both
    sparse_one \at + 1, \both
9:
    .endm

    // x0: source, x1: destination, x2: what was found, x3: places, x4: bits to flip at the source (if \both), x5: at the
    // destination, x6: there where a place is whole
    .macro  sparse_copy both
    stp     q0, q1, [sp, #-112]!
    stp     q2, q3, [sp, #32]
    stp     q4, q5, [sp, #64]
    str     q6, [sp, #96]
    dup     v4.2d, x4
    dup     v5.2d, x5
    dup     v6.2d, x6
    add     x2, x2, #16
    // Whole: no word of it tells of a hole.
1:  ldr     x9, [x2]
    .if     GROUPS > 1
    ldur    x10, [x2, #-8]
    cmp     x10, #{CONT_PTES}
    b.eq    6f
    .else
    cbz     x9, 6f
    .endif
    .set    group, 0
    .rept   GROUPS
    .if     group > 0
    ldr     x9, [x2, #8 * group]
    .endif
    .irp    at, 0, 4, 8, 12
    tst     x9, #0xffff << (4 * \at)
    b.ne    3f
    sparse_four \at, \both, v5
4:
    .subsection 1
3:  sparse_pair \at, \both
    sparse_pair \at + 2, \both
    b       4b
    .previous
    .endr
    add     x0, x0, #128
    add     x1, x1, #128
    .set    group, group + 1
    .endr
5:  add     x2, x2, #STRIDE
    subs    x3, x3, #1
    b.ne    1b
    ldr     q6, [sp, #96]
    ldp     q4, q5, [sp, #64]
    ldp     q2, q3, [sp, #32]
    ldp     q0, q1, [sp], #112
    ret
6:  .rept   GROUPS
    .irp    at, 0, 4, 8, 12
    sparse_four \at, \both, v6
    .endr
    add     x0, x0, #128
    add     x1, x1, #128
    .endr
    b       5b
    .endm

    .section .text.copy_sparse, "ax"
    .global copy_sparse
    .type   copy_sparse, %function
copy_sparse:
    sparse_copy 0
    .size   copy_sparse, . - copy_sparse

    .section .text.copy_sparse_both, "ax"
    .global copy_sparse_both
    .type   copy_sparse_both, %function
copy_sparse_both:
    sparse_copy 1
    .size   copy_sparse_both, . - copy_sparse_both
    .text
