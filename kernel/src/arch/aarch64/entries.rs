//! Reading and writing descriptors of consecutive pages by pairs.
//!
//! Each half of an LDP or STP of two general registers, and each 64-bit half of a vector register, is a single-copy atomic
//! access of its own where it is aligned (Arm ARM, B2.2.1 "Requirements for single-copy atomicity"), so a walker sees
//! of each entry the old value or the new.
//!
//! The kernel is compiled without vector registers and they hold the user's state; what is used here is saved around
//! the loop, which costs less than one block of entries written from general registers.

use core::arch::{asm, global_asm};

use paging::{CONT_PTES, PAGE_SIZE};

global_asm!(
    include_str!("entries.s"),
    GROUPS = const CONT_PTES / 4,
    PAGE = const PAGE_SIZE,
);

unsafe extern "C" {
    /// How many of the `nr` entries from `at` are 0 before the first that is not.
    ///
    /// The caller ensures that `at` is in the linear map and as many descriptors from there are in a table.
    pub fn empty_run(at: *const u8, nr: usize) -> usize;

    /// How many of the `nr` entries from `at` are those of consecutive pages, the first of them `first`, before one that is
    /// not, as far as the bits of `mask` are concerned. The caller ensures what [`empty_run`]'s does.
    pub fn like_run(at: *const u8, nr: usize, first: u64, mask: u64) -> usize;

    /// Writes the `nr` entries from `src` to `dst`, with the bits of `flip` changed.
    ///
    /// The caller ensures that `src` and `dst` are in the linear map and as many descriptors from either are in a table.
    pub fn copy_entries(src: *mut u8, dst: *mut u8, nr: usize, flip: u64);

    /// As [`copy_entries`], and in place as well, with the bits of `flip_src` changed.
    pub fn copy_entries_both(src: *mut u8, dst: *mut u8, nr: usize, flip_src: u64, flip_dst: u64);

    /// Writes, for each of `blocks` (at least 1) contpte blocks from `src` on, a block at the same distance from `dst`:
    /// its entries are those for the consecutive pages that begin with the first entry at `src`, with the bits of
    /// `flip` changed.
    ///
    /// The caller ensures that `src` and `dst` are in the linear map and as many descriptors from either are in a
    /// table, and that nothing else uses this CPU until this returns.
    pub fn copy_blocks(src: *mut u8, dst: *mut u8, blocks: usize, flip: u64);

    /// As [`copy_blocks`], and in place as well, with the bits of `flip_src` changed.
    pub fn copy_blocks_both(src: *mut u8, dst: *mut u8, blocks: usize, flip_src: u64, flip_dst: u64);
}

/// Writes 4 descriptors from `at` for consecutive pages, the first of them `first`.
///
/// # Safety
/// `at` is the address of the first of as many descriptors, in the linear map.
#[inline(always)]
pub unsafe fn store_4(at: *mut u8, first: u64) {
    // SAFETY: the caller vouches for what is written.
    unsafe {
        asm!(
            "stp {even}, {odd}, [{at}]",
            "add {even}, {even}, #{step}",
            "add {odd}, {odd}, #{step}",
            "stp {even}, {odd}, [{at}, #16]",
            at = in(reg) at,
            even = inout(reg) first => _,
            odd = inout(reg) first + PAGE_SIZE => _,
            step = const 2 * PAGE_SIZE,
            options(nostack, preserves_flags),
        );
    }
}

/// The bits that any of the 8 descriptors from `at` has.
///
/// # Safety
/// `at` is the address of the first of as many descriptors, in the linear map.
#[inline(always)]
pub unsafe fn any_of_8(at: *const u8) -> u64 {
    let any;
    // SAFETY: the caller vouches for what is read.
    unsafe {
        asm!(
            "ldp {any}, {a}, [{at}]",
            "ldp {b}, {c}, [{at}, #16]",
            "ldp {d}, {e}, [{at}, #32]",
            "ldp {f}, {g}, [{at}, #48]",
            "orr {any}, {any}, {a}",
            "orr {b}, {b}, {c}",
            "orr {d}, {d}, {e}",
            "orr {f}, {f}, {g}",
            "orr {any}, {any}, {b}",
            "orr {d}, {d}, {f}",
            "orr {any}, {any}, {d}",
            at = in(reg) at,
            any = out(reg) any,
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
            e = out(reg) _, f = out(reg) _, g = out(reg) _,
            options(nostack, preserves_flags, readonly),
        );
    }
    any
}
