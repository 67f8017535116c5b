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
use paging::granule::{GRANULE, Granule};
use paging::{Level, PAGE_SIZE, Pfn, VirtAddr};

/// The level whose entries the first tables end with.
const LAST: Level = if matches!(GRANULE, Granule::K4) { Level::PMD } else { Level::PTE };

/// A leaf of [`LAST`] like `page`.
const fn leaf(page: Pte) -> u64 {
    if LAST.number() == Level::PTE.number() { page.raw() } else { page.mkblock().raw() }
}

/// Attributes of the image while it boots: the kernel's own map tells text from data.
const IMAGE_LEAF: u64 = leaf(Pte::kernel(Pfn::new(0)).mkkernelexec().mkkernelwrite());
/// Attributes of the identity-mapped page or block: code to run, nothing to write.
const IDMAP_LEAF: u64 = leaf(Pte::kernel(Pfn::new(0)).mkkernelexec());
/// Attributes of the device tree: read-only, never executed.
const DTB_LEAF: u64 = leaf(Pte::kernel(Pfn::new(0)));
/// What a descriptor has beside the address when it points at a table.
const TABLE: u64 = 0b11;

/// The level `up` levels above [`LAST`].
const fn above(up: u8) -> Level {
    let mut level = Level::TOP;
    while level.number() + up < LAST.number() {
        level = match level.next() {
            Some(next) => next,
            None => unreachable!(),
        };
    }
    level
}

const UPPER: Level = above(1);
const MID: Level = above(2);
/// Whether there is a level between the top and [`UPPER`].
const HAS_MID: bool = MID.number() > Level::TOP.number();

/// The 0-based index of the entry of `level` for `va`.
const fn index(level: Level, va: usize) -> usize {
    level.index(VirtAddr::new(va as u64))
}

// One upper table serves both windows, and each has a last table to itself, which begins where the window does.
const _: () = assert!(
    index(Level::TOP, IMAGE_BASE) == index(Level::TOP, DTB_WINDOW)
        && index(MID, IMAGE_BASE) == index(MID, DTB_WINDOW)
        && index(UPPER, IMAGE_BASE) != index(UPPER, DTB_WINDOW)
        && (IMAGE_BASE as u64).is_multiple_of(UPPER.entry_size())
        && (DTB_WINDOW as u64).is_multiple_of(UPPER.entry_size())
        && UPPER.number() > Level::TOP.number()
);
// The tables end as the level above them asks: three or four levels.
const _: () = assert!(LAST.number() - Level::TOP.number() == 2 + HAS_MID as u8);
// `linker.ld` keeps the image below what one last table maps with the smallest of these, 16 KiB: 32 MiB.
const _: () = assert!(UPPER.entry_size() >= 32 << 20);

/// The size of pages in the header's flags: 1 for 4 KiB, 2 for 16 KiB, 3 for 64 KiB. It is the number in TLBIs, too.
const PAGES: u64 = GRANULE.tlbi_tg();

/// The exit status of a CPU without the granule: that of a kernel panic.
const NO_GRANULE_STATUS: i32 = kernel::panic::EXIT_STATUS;

global_asm!(include_str!("header.s"), PAGES = const PAGES);
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
    TGRAN_SHIFT = const tr::TGRAN_SHIFT,
    TGRAN_MIN = const tr::TGRAN_SUPPORTED.0,
    TGRAN_MAX = const tr::TGRAN_SUPPORTED.1,
    GRANULE_KIB = const PAGE_SIZE / 1024,
    NO_GRANULE_STATUS = const NO_GRANULE_STATUS,
);
global_asm!(include_str!("el2.s"));
global_asm!(
    include_str!("tables.s"),
    PAGE = const PAGE_SIZE,
    TABLE = const TABLE,
    HAS_MID = const HAS_MID as u8,
    INDEX_BITS = const GRANULE.index_bits(),
    TOP_SHIFT = const Level::TOP.shift(),
    MID_SHIFT = const MID.shift(),
    UPPER_SHIFT = const UPPER.shift(),
    UNIT_SHIFT = const LAST.shift(),
    UNIT = const LAST.entry_size(),
    IMAGE_LEAF = const IMAGE_LEAF,
    IDMAP_LEAF = const IDMAP_LEAF,
    DTB_LEAF = const DTB_LEAF,
    TOP_INDEX = const index(Level::TOP, IMAGE_BASE),
    MID_INDEX = const index(MID, IMAGE_BASE),
    IMAGE_INDEX = const index(UPPER, IMAGE_BASE),
    DTB_INDEX = const index(UPPER, DTB_WINDOW),
);
global_asm!(
    include_str!("high.s"),
    BOOT_INFO_BYTES = const size_of::<BootInfo>(),
    DTB_WINDOW = const DTB_WINDOW,
    start = sym kernel::start::start,
);

// `high.s` stores five 8-byte fields in order.
const _: () = assert!(size_of::<BootInfo>() == 48 && core::mem::offset_of!(BootInfo, entry_el) == 32);
