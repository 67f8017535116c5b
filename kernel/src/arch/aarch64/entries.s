// Runs of entries copied by pairs, and contpte blocks written from vector registers; entries.rs says what for.

    .section .text.empty_run, "ax"
    .global empty_run
    .type   empty_run, %function
    // x0: the first entry, x1: entries. Four at a time, then those that are left.
empty_run:
    add     x3, x0, x1, lsl #3
    sub     x4, x3, #32                 // where the last four begin
    mov     x2, x0
    cmp     x2, x4
    b.hi    3f
1:  ldp     x5, x6, [x2], #32
    ldp     x7, x8, [x2, #-16]
    orr     x5, x5, x6
    orr     x7, x7, x8
    orr     x5, x5, x7
    cbnz    x5, 2f
    cmp     x2, x4
    b.ls    1b
    b       3f
2:  sub     x2, x2, #32
3:  cmp     x2, x3
    b.hs    4f
    ldr     x5, [x2]
    cbnz    x5, 4f
    add     x2, x2, #8
    b       3b
4:  sub     x0, x2, x0
    lsr     x0, x0, #3
    ret
    .size   empty_run, . - empty_run

    .section .text.like_run, "ax"
    .global like_run
    .type   like_run, %function
    // x0: the first entry, x1: entries, x2: what the first should be, x3: the bits to look at
like_run:
    mov     x4, x1
    cbz     x1, 2f
1:  ldr     x5, [x0], #8
    eor     x5, x5, x2
    tst     x5, x3
    b.ne    2f
    add     x2, x2, #{PAGE}
    subs    x4, x4, #1
    b.ne    1b
2:  sub     x0, x1, x4
    ret
    .size   like_run, . - like_run

    // One pair, from x0 to x1, with the bits of x3 changed.
    .macro  copy_pair
    ldp     x9, x10, [x0], #16
    eor     x9, x9, x3
    eor     x10, x10, x3
    stp     x9, x10, [x1], #16
    .endm

    // The same, in place with the bits of x3 changed, at x1 with those of x4.
    .macro  copy_pair_both
    ldp     x9, x10, [x0]
    eor     x11, x9, x3
    eor     x12, x10, x3
    eor     x9, x9, x4
    eor     x10, x10, x4
    stp     x11, x12, [x0], #16
    stp     x9, x10, [x1], #16
    .endm

    .section .text.copy_entries, "ax"
    .global copy_entries
    .type   copy_entries, %function
    // x0: source, x1: destination, x2: entries, x3: bits to flip
copy_entries:
    subs    x2, x2, #4
    b.lo    2f
1:  copy_pair
    copy_pair
    subs    x2, x2, #4
    b.hs    1b
2:  tbz     x2, #1, 3f
    copy_pair
3:  tbz     x2, #0, 4f
    ldr     x9, [x0]
    eor     x9, x9, x3
    str     x9, [x1]
4:  ret
    .size   copy_entries, . - copy_entries

    .section .text.copy_entries_both, "ax"
    .global copy_entries_both
    .type   copy_entries_both, %function
    // x0: source, x1: destination, x2: entries, x3: bits to flip at the source, x4: at the destination
copy_entries_both:
    subs    x2, x2, #4
    b.lo    2f
1:  copy_pair_both
    copy_pair_both
    subs    x2, x2, #4
    b.hs    1b
2:  tbz     x2, #1, 3f
    copy_pair_both
3:  tbz     x2, #0, 4f
    ldr     x9, [x0]
    eor     x10, x9, x3
    eor     x9, x9, x4
    str     x10, [x0]
    str     x9, [x1]
4:  ret
    .size   copy_entries_both, . - copy_entries_both

// Below, V4 and V5 hold what the first two pairs of a group are ahead of its first entry, V6 how far a group is from the next.

    .arch_extension fp
    .arch_extension simd

    .macro entries_begin
    stp     q0, q1, [sp, #-112]!
    stp     q2, q3, [sp, #32]
    stp     q4, q5, [sp, #64]
    str     q6, [sp, #96]
    mov     x9, #{PAGE}
    movi    v4.2d, #0
    mov     v4.d[1], x9
    lsl     x9, x9, #1
    dup     v5.2d, x9
    add     v6.2d, v5.2d, v5.2d
    add     v5.2d, v5.2d, v4.2d
    .endm

    .macro entries_end
    ldr     q6, [sp, #96]
    ldp     q4, q5, [sp, #64]
    ldp     q2, q3, [sp, #32]
    ldp     q0, q1, [sp], #112
    .endm

    .section .text.copy_blocks, "ax"
    .global copy_blocks
    .type   copy_blocks, %function
    // x0: source, x1: destination, x2: blocks, x3: bits to flip
copy_blocks:
    entries_begin
1:  ldr     x9, [x0]
    add     x0, x0, #{GROUPS} * 32
    eor     x9, x9, x3
    dup     v1.2d, x9
    add     v0.2d, v1.2d, v4.2d
    add     v1.2d, v1.2d, v5.2d
    stp     q0, q1, [x1], #32
    .rept   {GROUPS} - 1
    add     v0.2d, v0.2d, v6.2d
    add     v1.2d, v1.2d, v6.2d
    stp     q0, q1, [x1], #32
    .endr
    subs    x2, x2, #1
    b.ne    1b
    entries_end
    ret
    .size   copy_blocks, . - copy_blocks

    .section .text.copy_blocks_both, "ax"
    .global copy_blocks_both
    .type   copy_blocks_both, %function
    // x0: source, x1: destination, x2: blocks, x3: bits to flip at the source, x4: at the destination
copy_blocks_both:
    entries_begin
1:  ldr     x9, [x0]
    eor     x10, x9, x3
    eor     x9, x9, x4
    dup     v1.2d, x10
    dup     v3.2d, x9
    add     v0.2d, v1.2d, v4.2d
    add     v1.2d, v1.2d, v5.2d
    add     v2.2d, v3.2d, v4.2d
    add     v3.2d, v3.2d, v5.2d
    stp     q0, q1, [x0], #32
    stp     q2, q3, [x1], #32
    .rept   {GROUPS} - 1
    add     v0.2d, v0.2d, v6.2d
    add     v1.2d, v1.2d, v6.2d
    add     v2.2d, v2.2d, v6.2d
    add     v3.2d, v3.2d, v6.2d
    stp     q0, q1, [x0], #32
    stp     q2, q3, [x1], #32
    .endr
    subs    x2, x2, #1
    b.ne    1b
    entries_end
    ret
    .size   copy_blocks_both, . - copy_blocks_both
    .text
