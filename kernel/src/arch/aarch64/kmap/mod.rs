//! The kernel's own translation tables (TTBR1): what is mapped where, and with which permissions.
//!
//! | what | where | permissions |
//! |---|---|---|
//! | text | `IMAGE_BASE` | read, execute |
//! | rodata, symbol table | behind it | read |
//! | data, .bss, boot stack | behind it | read, write |
//! | all RAM (linear map) | `LINEAR_BASE` + PA | read, write; read where it is text or rodata |
//! | device registers | device window, on request | read, write; Device-nGnRE |
//! | stacks, heap | their windows, on request | read, write |
//!
//! Nothing is both writable and executable, by whatever address, and nothing is accessible to EL0. The lower half of
//! the boot stack's slot and of every other stack's is not mapped.
//!
//! # Locking
//! Entries only ever go from invalid to valid, under `MAP`'s lock, so no TLB maintenance is needed. The lock is a
//! leaf but for the frame source's own ([`frames`]).

mod build;
pub mod frames;
mod image;
mod switch;
mod tables;

use core::sync::atomic::{AtomicU64, Ordering};

use paging::desc::Pte;
use paging::map::map_range;
use paging::walk::TableError;
use paging::{Level, PAGE_SIZE, Pfn, PhysAddr, VirtAddr};
use spin::Mutex;

pub use super::layout::LINEAR_BASE;
use super::layout::{DEVICE_BASE, IMAGE_BASE, LINEAR_BYTES, WINDOW_BYTES};
use super::mmu;
use crate::errno::{Errno, Result};
pub use build::init;
pub use image::Image;
use tables::KernelTables;

/// Physical address of the image; set once, first of all.
static IMAGE_PA: AtomicU64 = AtomicU64::new(0);

/// What a mapping is for, and so what may be done through it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Read and write.
    Data,
    /// Read.
    ReadOnly,
    /// Read and execute: the image's text only.
    Text,
    /// Registers: read and write, Device-nGnRE.
    Device,
}

impl Kind {
    fn template(self) -> Pte {
        let page = Pte::kernel(Pfn::new(0));
        match self {
            Kind::Data => page.mkkernelwrite(),
            Kind::ReadOnly => page,
            Kind::Text => page.mkkernelexec(),
            Kind::Device => page.mkkernelwrite().mkdevice(),
        }
    }
}

struct Map {
    root: PhysAddr,
    /// The next free address of the device window.
    device_next: usize,
}

static MAP: Mutex<Map> = Mutex::new(Map { root: PhysAddr::new(0), device_next: DEVICE_BASE });

/// The kernel's address of physical address `pa`, in the linear map. Valid for RAM of the device tree.
#[inline(always)]
pub const fn phys_to_ptr(pa: u64) -> *mut u8 {
    (LINEAR_BASE + pa as usize) as *mut u8
}

/// The physical address behind a pointer into the linear map or the image.
#[inline]
pub fn ptr_to_phys<T: ?Sized>(ptr: *const T) -> u64 {
    let va = ptr.cast::<u8>() as usize;
    if va >= IMAGE_BASE {
        (va - IMAGE_BASE) as u64 + IMAGE_PA.load(Ordering::Relaxed)
    } else {
        (va - LINEAR_BASE) as u64
    }
}

/// Physical address of a table without entries, which TTBR0 holds when no user's is loaded.
#[inline]
pub fn empty_table() -> u64 {
    tables::empty_table().get()
}

/// Maps `bytes` at `va` to physical address `pa`; all three are multiples of the page size. Tables that are missing
/// come from `table`, which returns the physical address of a frame; the frame is used for good.
///
/// # Errors
/// `ENOMEM` when `table` returned `None`, `EEXIST` where something is mapped already. What was mapped before the
/// error stays: map single pages where that matters.
pub fn vmap(
    va: usize,
    pa: u64,
    bytes: usize,
    kind: Kind,
    mut table: impl FnMut() -> Option<u64>,
) -> Result<()> {
    let map = MAP.lock();
    map.map(va, pa, bytes as u64, kind, &mut table)
}

impl Map {
    fn map(
        &self,
        va: usize,
        pa: u64,
        bytes: u64,
        kind: Kind,
        table: &mut impl FnMut() -> Option<u64>,
    ) -> Result<()> {
        let gib_blocks = Level::TOP.next().unwrap_or(Level::PMD);
        let mapped = map_range(
            &KernelTables,
            self.root,
            VirtAddr::new(va as u64),
            PhysAddr::new(pa),
            bytes,
            kind.template(),
            gib_blocks,
            &mut || tables::allocate(table),
        );
        // From invalid to valid: walkers on all CPUs see the stores, this CPU's next instruction the mapping.
        mmu::dsb_ishst();
        mmu::isb();
        mapped.map_err(|error| match error {
            TableError::NoMemory => Errno::ENOMEM,
            _ => Errno::EEXIST,
        })
    }
}

/// Maps the registers at physical addresses `pa` to `pa + bytes` and returns the address of the first, for good.
///
/// # Errors
/// `ENOMEM` when the window or the frames for tables run out, `EINVAL` for an empty range or one whose end
/// overflows.
pub fn map_device(pa: u64, bytes: u64) -> Result<*mut u8> {
    let start = pa & !(PAGE_SIZE - 1);
    let end = pa.checked_add(bytes).and_then(|end| end.checked_next_multiple_of(PAGE_SIZE));
    let length = end.map_or(0, |end| end - start);
    if bytes == 0 || length == 0 || pa >= LINEAR_BYTES {
        return Err(Errno::EINVAL);
    }
    let mut map = MAP.lock();
    // The same offset in 2 MiB on both sides, so that large ranges can be mapped by blocks where those are as large.
    let block = Level::PMD.entry_size().min(2 << 20);
    let va = map.device_next.next_multiple_of(block as usize) + (start % block) as usize;
    let next = va as u64 + length;
    if length > WINDOW_BYTES as u64 || next > (DEVICE_BASE + WINDOW_BYTES) as u64 {
        return Err(Errno::ENOMEM);
    }
    map.map(va, start, length, Kind::Device, &mut frames::allocate)?;
    map.device_next = next as usize;
    Ok((va + (pa - start) as usize) as *mut u8)
}
