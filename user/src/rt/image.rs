//! The program's own segments, as `link.ld` laid them out.

use crate::sys::memory::page_size;

unsafe extern "C" {
    static __rodata_start: u8;
    static __rodata_end: u8;
    static __text_start: u8;
    static __text_end: u8;
    static __data_start: u8;
    static __data_end: u8;
}

/// Reads a byte of every page of the program, so that no page of it is left to be faulted in, which takes memory.
pub fn fault_in() {
    let segments = [
        (&raw const __rodata_start, &raw const __rodata_end),
        (&raw const __text_start, &raw const __text_end),
        (&raw const __data_start, &raw const __data_end),
    ];
    for (start, end) in segments.map(|(start, end)| (start as usize, end as usize)) {
        let mut at = start;
        while at < end {
            // SAFETY: within a segment, and all segments are readable.
            core::hint::black_box(unsafe { (at as *const u8).read_volatile() });
            at = (at + page_size()) & !(page_size() - 1);
        }
    }
}
