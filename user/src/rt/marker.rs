//! Marks in the instruction stream that somebody who watches the machine from outside can see.
//!
//! They are HINT instructions that the architecture has not given a meaning, and so no-operations on every CPU and
//! under every kernel (Arm ARM DDI 0487, C6.2 "HINT"). The QEMU plugin in `tools/referee` counts between them.

use core::arch::asm;

/// What is of interest begins here.
#[inline(always)]
pub fn begin() {
    // SAFETY: does nothing. Accesses to memory stay on their side of it, because it may touch memory for all that the
    // compiler knows.
    unsafe { asm!("hint #112", options(nostack, preserves_flags)) };
}

/// What a program was told of a range of its addresses. All counts are of pages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim {
    /// The first address.
    pub start: usize,
    /// The first address behind it.
    pub end: usize,
    /// Mapped, however.
    pub mapped: u64,
    /// Of these, those mapped by contpte blocks.
    pub contpte: u64,
    /// Of these, those mapped by block descriptors.
    pub blocks: u64,
    /// The number of a frame whose mappings are left out: the zero page's; 0 for none.
    pub omitted: u64,
    /// log2 of the pages of a folio.
    pub order: u32,
    /// Folios of that size: aligned groups of pages in consecutive frames.
    pub folios: u64,
}

/// Whoever watches is to hold `claim` against the page tables, and to end it all if they say something else
/// (`tools/referee/src/claim.rs`).
#[inline(never)]
pub fn claim(claim: &Claim) {
    // SAFETY: does nothing, as `begin`; the operands are in the registers where they are looked for.
    unsafe {
        asm!(
            "hint #114",
            in("x0") claim.start,
            in("x1") claim.end,
            in("x2") claim.mapped,
            in("x3") claim.contpte,
            in("x4") claim.blocks,
            in("x5") claim.omitted,
            in("x6") u64::from(claim.order),
            in("x7") claim.folios,
            options(nostack, preserves_flags),
        );
    }
}

/// What is of interest ends here.
#[inline(always)]
pub fn end() {
    // SAFETY: as for `begin`.
    unsafe { asm!("hint #113", options(nostack, preserves_flags)) };
}
