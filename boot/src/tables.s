// The first translation tables. TTBR0: the 2 MiB that hold the image's first page, at their physical address.
// TTBR1: the image and the device tree, by 2 MiB blocks, where `layout.rs` puts them.
.section .boot_tables, "aw", %nobits
.balign 4096
boot_idmap_l0:   .space 4096
boot_idmap_l1:   .space 4096
boot_idmap_l2:   .space 4096
boot_kernel_l0:  .space 4096
boot_kernel_l1:  .space 4096
boot_image_l2:   .space 4096
boot_dtb_l2:     .space 4096

.section .head.text, "ax"
// In: x20, x21, x22. Clobbers x0 to x7.
build_tables:
    adrp    x0, __boot_tables_start
    adrp    x1, __boot_tables_end
    mov     x2, x0
1:  stp     xzr, xzr, [x2], #16
    cmp     x2, x1
    b.lo    1b

    // Identity: one entry at each level, by the bits of the image's physical address.
    adrp    x2, boot_idmap_l0
    adrp    x3, boot_idmap_l1
    adrp    x4, boot_idmap_l2
    orr     x5, x3, #{TABLE}
    ubfx    x6, x21, #39, #9
    str     x5, [x2, x6, lsl #3]
    orr     x5, x4, #{TABLE}
    ubfx    x6, x21, #30, #9
    str     x5, [x3, x6, lsl #3]
    ldr     x5, ={IDMAP_BLOCK}
    orr     x5, x5, x21
    ubfx    x6, x21, #21, #9
    str     x5, [x4, x6, lsl #3]

    adrp    x2, boot_kernel_l0
    adrp    x3, boot_kernel_l1
    adrp    x4, boot_image_l2
    adrp    x5, boot_dtb_l2
    orr     x6, x3, #{TABLE}
    str     x6, [x2, #{INDEX0} * 8]
    orr     x6, x4, #{TABLE}
    str     x6, [x3, #{IMAGE_INDEX1} * 8]
    orr     x6, x5, #{TABLE}
    str     x6, [x3, #{DTB_INDEX1} * 8]

    // The image: as many blocks as hold x22 bytes.
    ldr     x6, ={IMAGE_BLOCK}
    orr     x6, x6, x21
    add     x7, x22, #1 << 21
    sub     x7, x7, #1
    lsr     x7, x7, #21
2:  str     x6, [x4], #8
    add     x6, x6, #1 << 21
    subs    x7, x7, #1
    b.ne    2b

    // The device tree: at most 2 MiB (booting.rst), which two blocks cover wherever it starts.
    cbz     x20, 3f
    ldr     x6, ={DTB_BLOCK}
    lsr     x7, x20, #21
    orr     x6, x6, x7, lsl #21
    str     x6, [x5]
    add     x6, x6, #1 << 21
    str     x6, [x5, #8]
3:
    // These stores went past the caches: drop any older line of the tables, or walks would read it.
    mrs     x2, ctr_el0
    ubfx    x2, x2, #16, #4             // DminLine: log2 of the words in a line
    mov     x3, #4
    lsl     x2, x3, x2
    dsb     sy
4:  dc      ivac, x0
    add     x0, x0, x2
    cmp     x0, x1
    b.lo    4b
    dsb     sy
    ret
.pool
