// The first translation tables. TTBR0: the image's first page or block, at its physical address. TTBR1: the image and
// the device tree, where `layout.rs` puts them. Leaves are of {UNIT} bytes: blocks of 2 MiB with a 4 KiB granule, and
// pages with the others, whose blocks are larger than the 2 MiB that an Image is aligned to.
//
//   top ------> [mid ->] upper ------> last of the image
//                                 \--> last of the device tree
// "mid" is there with a 16 KiB granule only, whose top table has 2 entries.
.section .boot_tables, "aw", %nobits
.balign {PAGE}
boot_idmap_top:    .space {PAGE}
boot_idmap_upper:  .space {PAGE}
boot_idmap_last:   .space {PAGE}
boot_kernel_top:   .space {PAGE}
boot_kernel_upper: .space {PAGE}
boot_image_last:   .space {PAGE}
boot_dtb_last:     .space {PAGE}
.if {HAS_MID}
boot_idmap_mid:    .space {PAGE}
boot_kernel_mid:   .space {PAGE}
.endif

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
    adrp    x2, boot_idmap_top
    adrp    x3, boot_idmap_upper
    adrp    x4, boot_idmap_last
.if {HAS_MID}
    adrp    x7, boot_idmap_mid
    orr     x5, x7, #{TABLE}
    ubfx    x6, x21, #{TOP_SHIFT}, #{INDEX_BITS}
    str     x5, [x2, x6, lsl #3]
    orr     x5, x3, #{TABLE}
    ubfx    x6, x21, #{MID_SHIFT}, #{INDEX_BITS}
    str     x5, [x7, x6, lsl #3]
.else
    orr     x5, x3, #{TABLE}
    ubfx    x6, x21, #{TOP_SHIFT}, #{INDEX_BITS}
    str     x5, [x2, x6, lsl #3]
.endif
    orr     x5, x4, #{TABLE}
    ubfx    x6, x21, #{UPPER_SHIFT}, #{INDEX_BITS}
    str     x5, [x3, x6, lsl #3]
    ldr     x5, ={IDMAP_LEAF}
    orr     x5, x5, x21
    ubfx    x6, x21, #{UNIT_SHIFT}, #{INDEX_BITS}
    str     x5, [x4, x6, lsl #3]

    adrp    x2, boot_kernel_top
    adrp    x3, boot_kernel_upper
    adrp    x4, boot_image_last
    adrp    x5, boot_dtb_last
.if {HAS_MID}
    adrp    x7, boot_kernel_mid
    orr     x6, x7, #{TABLE}
    str     x6, [x2, #{TOP_INDEX} * 8]
    orr     x6, x3, #{TABLE}
    str     x6, [x7, #{MID_INDEX} * 8]
.else
    orr     x6, x3, #{TABLE}
    str     x6, [x2, #{TOP_INDEX} * 8]
.endif
    orr     x6, x4, #{TABLE}
    str     x6, [x3, #{IMAGE_INDEX} * 8]
    orr     x6, x5, #{TABLE}
    str     x6, [x3, #{DTB_INDEX} * 8]

    // The image: as many leaves as hold x22 bytes.
    ldr     x6, ={IMAGE_LEAF}
    orr     x6, x6, x21
    ldr     x1, ={UNIT}
    add     x7, x22, x1
    sub     x7, x7, #1
    lsr     x7, x7, #{UNIT_SHIFT}
2:  str     x6, [x4], #8
    add     x6, x6, x1
    subs    x7, x7, #1
    b.ne    2b

    // The device tree: at most 2 MiB (booting.rst), which 4 MiB from a multiple of 2 MiB cover wherever it starts.
    cbz     x20, 3f
    ldr     x6, ={DTB_LEAF}
    lsr     x7, x20, #21
    orr     x6, x6, x7, lsl #21
    mov     x7, #((4 << 20) >> {UNIT_SHIFT})
5:  str     x6, [x5], #8
    add     x6, x6, x1
    subs    x7, x7, #1
    b.ne    5b
3:
    // These stores went past the caches: drop any older line of the tables, or walks would read it.
    adrp    x1, __boot_tables_end
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
