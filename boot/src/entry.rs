//! The entry code, with the constants it shares with the kernel.
//!
//! | file | runs | does |
//! |---|---|---|
//! | `header.s` | | what a boot loader reads |
//! | `entry.s` | MMU off, physical addresses | saves what the loader said, calls the rest, MMU on |
//! | `el2.s` | EL2 | leaves everything to EL1, drops to it |
//! | `tables.s` | MMU off | identity map of the first page, the image and the device tree in the upper half |
//! | `high.s` | MMU on, upper half | stack, .bss, calls [`kernel::start::start`] |
//!
//! Register use across the files: x19 exception level of entry (1 or 2), x20 physical address of the device tree,
//! x21 physical address of the image, x22 bytes in the image and its symbol table; x0 to x15 are scratch.

use core::arch::global_asm;

use kernel::arch::layout::{DTB_WINDOW, IMAGE_BASE};
use kernel::arch::translation as tr;
use kernel::start::BootInfo;
use paging::desc::Pte;
use paging::{PAGE_SIZE, Pfn};

/// Attributes of a 2 MiB block of the image while it boots: the kernel's own map tells text from data.
const IMAGE_BLOCK: u64 = Pte::kernel(Pfn::new(0)).mkkernelexec().mkkernelwrite().mkblock().raw();
/// Attributes of the identity-mapped block: code to run, nothing to write.
const IDMAP_BLOCK: u64 = Pte::kernel(Pfn::new(0)).mkkernelexec().mkblock().raw();
/// Attributes of the device tree's blocks: read-only, never executed.
const DTB_BLOCK: u64 = Pte::kernel(Pfn::new(0)).mkblock().raw();
/// What a descriptor has beside the address when it points at a table.
const TABLE: u64 = 0b11;

/// The 0-based index of the level-0 entry (512 GiB each) for `va`.
const fn index0(va: usize) -> usize {
    va >> 39 & 511
}

/// The 0-based index of the level-1 entry (1 GiB each) for `va`.
const fn index1(va: usize) -> usize {
    va >> 30 & 511
}

// One level-1 table serves both windows, and each has a level-2 table to itself.
const _: () = assert!(index0(IMAGE_BASE) == index0(DTB_WINDOW) && index1(IMAGE_BASE) != index1(DTB_WINDOW));
const _: () =
    assert!(PAGE_SIZE == 4096 && IMAGE_BASE.is_multiple_of(1 << 30) && DTB_WINDOW.is_multiple_of(1 << 30));

global_asm!(include_str!("header.s"));
global_asm!(
    include_str!("entry.s"),
    SCTLR_OFF = const tr::SCTLR_OFF,
    SCTLR_ON = const tr::SCTLR_ON,
    SCTLR_SPAN = const tr::SCTLR_SPAN,
    SCTLR_EPAN = const tr::SCTLR_EPAN,
    MAIR = const tr::MAIR,
    TCR = const tr::TCR,
    TCR_HA = const tr::TCR_HA,
    TCR_HD = const tr::TCR_HD,
    TCR_IPS_SHIFT = const tr::TCR_IPS_SHIFT,
    TCR_IPS_MAX = const tr::TCR_IPS_MAX,
);
global_asm!(include_str!("el2.s"));
global_asm!(
    include_str!("tables.s"),
    TABLE = const TABLE,
    IMAGE_BLOCK = const IMAGE_BLOCK,
    IDMAP_BLOCK = const IDMAP_BLOCK,
    DTB_BLOCK = const DTB_BLOCK,
    INDEX0 = const index0(IMAGE_BASE),
    IMAGE_INDEX1 = const index1(IMAGE_BASE),
    DTB_INDEX1 = const index1(DTB_WINDOW),
);
global_asm!(
    include_str!("high.s"),
    BOOT_INFO_BYTES = const size_of::<BootInfo>(),
    DTB_WINDOW = const DTB_WINDOW,
    start = sym kernel::start::start,
);

// `high.s` stores five 8-byte fields in order.
const _: () = assert!(size_of::<BootInfo>() == 48 && core::mem::offset_of!(BootInfo, entry_el) == 32);
