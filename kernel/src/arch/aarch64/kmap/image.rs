//! The image's parts, from the symbols of `linker.ld`.

use core::ops::Range;

use super::super::layout::IMAGE_BASE;

unsafe extern "C" {
    static __text_start: [u8; 0];
    static __text_end: [u8; 0];
    static __rodata_start: [u8; 0];
    static __rodata_end: [u8; 0];
    static __data_start: [u8; 0];
    static __boot_stack_guard: [u8; 0];
    static __boot_stack_bottom: [u8; 0];
    static __image_end: [u8; 0];
}

/// The image in memory.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// Its physical address, in bytes.
    pub pa: u64,
    /// Its bytes, the symbol table behind `__image_end` included.
    pub bytes: u64,
}

fn offsets(start: *const [u8; 0], end: *const [u8; 0]) -> Range<u64> {
    (start as usize - IMAGE_BASE) as u64..(end as usize - IMAGE_BASE) as u64
}

impl Image {
    /// Text, as offsets in the image.
    pub(super) fn text() -> Range<u64> {
        offsets(&raw const __text_start, &raw const __text_end)
    }

    /// Constants, as offsets in the image.
    pub(super) fn rodata() -> Range<u64> {
        offsets(&raw const __rodata_start, &raw const __rodata_end)
    }

    /// Data and .bss, up to the guard of the boot stack, as offsets in the image.
    pub(super) fn data() -> Range<u64> {
        offsets(&raw const __data_start, &raw const __boot_stack_guard)
    }

    /// The boot stack, as offsets in the image.
    pub(super) fn boot_stack() -> Range<u64> {
        offsets(&raw const __boot_stack_bottom, &raw const __image_end)
    }

    /// What is behind the linked image, as offsets in it: the symbol table.
    pub(super) fn appendix(&self) -> Range<u64> {
        (&raw const __image_end as usize - IMAGE_BASE) as u64..self.bytes
    }

    /// The symbol table's bytes.
    pub fn symbol_table(&self) -> &'static [u8] {
        let Range { start, end } = self.appendix();
        let bytes = end.saturating_sub(start) as usize;
        // SAFETY: the image and what was loaded behind it are mapped, read-only, for as long as the kernel runs.
        unsafe { core::slice::from_raw_parts((IMAGE_BASE + start as usize) as *const u8, bytes) }
    }

    /// The physical addresses it occupies.
    pub fn physical(&self) -> Range<u64> {
        self.pa..self.pa + self.bytes
    }
}
