// The arm64 Image header. Linux: Documentation/arch/arm64/booting.rst.
.section .head.text, "ax"
.global _start
_start:
    b       entry
    .long   0
    .quad   0                   // text_offset: right at a multiple of 2 MiB
    .quad   __image_bytes       // image_size, .bss included; scripts/pack adds the symbol table
    .quad   0b1000 | ({PAGES} << 1)    // flags: little endian, this page size, at any physical address
    .quad   0
    .quad   0
    .quad   0
    .ascii  "ARM\x64"           // magic, at byte 56
    .long   0
