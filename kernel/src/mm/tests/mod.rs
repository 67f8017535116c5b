//! Host tests of memory management as a whole: what processes see, what the tables hold, and that nothing leaks.

mod advise;
mod areas;
mod collapse;
mod decay;
mod exhaustion;
mod exhaustive;
mod fork;
mod frames;
mod holes;
mod khugepaged;
mod mapping;
mod migrate;
mod mlock;
mod mremap;
mod naive;
mod object;
mod peaks;
mod pin;
mod pmd;
mod random;
mod show;
mod soft_dirty;
mod stack;
mod swap;
mod tables;
mod thp_disable;
mod uffd;
mod uffd_blocks;
mod uffd_range;
mod uffd_wp;
mod world;

use super::block_policy::BlockSetting;
use super::policy::{BLOCK_ORDER, Setting};
use super::testing::{HostMachine, Process};
use super::{Mm, frame::MAX_ORDER};
use paging::CONT_PTES;

/// Where tests map: aligned to the largest folio.
const BASE: usize = 0x4000_0000;
const PAGE: usize = paging::PAGE_SIZE as usize;
/// Pages of a contpte block.
const BLOCK: usize = CONT_PTES;
/// The order of a folio of four blocks, or of one where no folio is as large (16 KiB and 64 KiB granules).
const LARGE_ORDER: u8 = if BLOCK_ORDER + 2 < MAX_ORDER { BLOCK_ORDER + 2 } else { MAX_ORDER };
/// Pages of a folio of [`LARGE_ORDER`].
const LARGE: usize = 1 << LARGE_ORDER;
/// Pages of the largest folio: 2 MiB.
const HUGE: usize = 1 << MAX_ORDER;

/// In the end of a sequence every so manieth page is compared: all, but where blocks have very many. Odd, so that all
/// places in a block have their turn.
const STEP: usize = if BLOCK > 32 { 7 } else { 1 };

/// Lets anonymous memory have folios of exactly `order`.
fn only_order(mm: &Mm<HostMachine>, order: u8) {
    (1..=MAX_ORDER).for_each(|size| {
        mm.policy.set(size, if size == order { Setting::Always } else { Setting::Never });
    });
}

/// Sets what write faults do: copy at most 2 to the power `cow` of pages, reuse blocks or pages, fold again or not.
fn blocks(mm: &Mm<HostMachine>, cow: u8, reuse: bool, refold: bool) {
    let bytes = std::format!("{}", paging::PAGE_SIZE << cow);
    mm.blocks.set(BlockSetting::Cow, bytes.as_bytes()).unwrap();
    mm.blocks.set(BlockSetting::Reuse, if reuse { b"block" } else { b"page" }).unwrap();
    mm.blocks.set(BlockSetting::Refold, if refold { b"always" } else { b"never" }).unwrap();
}

/// Runs `f`, which must leave as many frames free as it found.
fn leaks_nothing(mm: &Mm<HostMachine>, f: impl FnOnce()) {
    let (free, tables) = (mm.free_pages(), mm.table_pages());
    f();
    assert_eq!((mm.free_pages(), mm.table_pages()), (free, tables));
}

/// Writes `value + index` (wrapping) to the first byte of `pages` pages from `addr`.
fn fill(process: &mut Process<'_>, addr: usize, pages: usize, value: u8) {
    for index in 0..pages {
        process.write(addr + index * PAGE, value.wrapping_add(index as u8)).unwrap();
    }
}

/// Checks what [`fill`] wrote.
fn check(process: &mut Process<'_>, addr: usize, pages: usize, value: u8) {
    for index in 0..pages {
        assert_eq!(process.read(addr + index * PAGE), Ok(value.wrapping_add(index as u8)), "page {index}");
    }
}

/// How many of `pages` pages from `addr` are mapped by folded blocks.
fn folded(process: &Process<'_>, addr: usize, pages: usize) -> usize {
    (0..pages).filter(|index| process.pte(addr + index * PAGE).is_cont()).count()
}
