//! Contpte blocks' places with holes, by vectors: what [`paging::Mmu::survey`] and [`paging::Mmu::copy_sparse`] are here.
//!
//! 16 entries are compared at once with what they should be, and of each comparison four bits are left, in one general
//! register; so what a hole costs is a handful of instructions beside those for its 16 entries. Where four entries follow
//! one another without a hole they are written as [`super::entries`] writes them; the others are written one by one, as
//! nothing is stored where a hole is.
//!
//! Vector registers are used and put back as there.

use core::arch::global_asm;

use paging::{CONT_PTES, CONT_SIZE, PAGE_SHIFT, PAGE_SIZE, Pte, Sparse};

/// The bits of a block's first entry that are not its own frame's: attributes, and those that are 0 in the address of a
/// block.
const SAME: u64 = Pte::ATTRIBUTES | (CONT_SIZE - 1);

global_asm!(
    include_str!("sparse.s"),
    CONT_PTES = const CONT_PTES,
    PAGE = const PAGE_SIZE,
    PAGE_SHIFT = const PAGE_SHIFT,
    SAME = const SAME,
);

unsafe extern "C" {
    /// [`paging::Mmu::survey`] of the `places` (at least 1) at `at`.
    ///
    /// The caller ensures that `at` is in the linear map and as many descriptors from it are in a table, that `found` has
    /// room, and that nothing else uses this CPU until this returns.
    pub fn survey_sparse(at: *mut u8, found: *mut Sparse, places: usize, attributes: u64) -> usize;

    /// [`paging::Mmu::copy_sparse`] of the `places` (at least 1) at `src`, with `flip_src` 0 and all bits to flip of
    /// places without holes in `flip_whole`.
    ///
    /// The caller ensures what it does for [`survey_sparse`], for `dst` as well, and that `found` is what that found.
    pub fn copy_sparse(
        src: *mut u8,
        dst: *mut u8,
        found: *const Sparse,
        places: usize,
        flip_src: u64,
        flip_dst: u64,
        flip_whole: u64,
    );

    /// [`copy_sparse`] with another `flip_src`.
    pub fn copy_sparse_both(
        src: *mut u8,
        dst: *mut u8,
        found: *const Sparse,
        places: usize,
        flip_src: u64,
        flip_dst: u64,
        flip_whole: u64,
    );
}
