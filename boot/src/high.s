// MMU on, at the address the image is linked at: what Rust needs, then Rust.
.section .text.boot, "ax"
high_entry:
    msr     spsel, #1
    adrp    x0, __boot_stack_top
    add     sp, x0, :lo12:__boot_stack_top

    adrp    x0, __bss_start
    adrp    x1, __bss_end
    add     x1, x1, :lo12:__bss_end
1:  cmp     x0, x1
    b.hs    2f
    stp     xzr, xzr, [x0], #16
    b       1b
2:
    // BootInfo: dtb_pa, dtb_va, image_pa, image_bytes, entry_el.
    ldr     x1, ={DTB_WINDOW}
    and     x2, x20, #0x1fffff
    add     x1, x1, x2
    cmp     x20, #0
    csel    x1, x1, xzr, ne
    sub     sp, sp, #{BOOT_INFO_BYTES}
    stp     x20, x1, [sp]
    stp     x21, x22, [sp, #16]
    str     x19, [sp, #32]
    mov     x0, sp
    mov     x29, xzr                    // the end of every backtrace
    mov     x30, xzr
    b       {start}
.pool
