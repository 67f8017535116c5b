//! AArch64 stage-1 translation tables as a library: typed descriptors, walks, batched PTE operations that keep
//! contiguous-PTE blocks folded, and TLB maintenance that says what it issued and when it is complete.
//!
//! The crate knows the architecture's tables and nothing of processes or of where memory comes from. Every effect on
//! hardware goes through the [`Mmu`] trait, so the same code runs on EL1, where it compiles to the bare
//! instructions, and on a host, over a machine made of plain memory (`sim`).
//!
//! Layers, each using only those before it:
//!
//! 1. [`addr`], [`granule`], [`level`]: newtypes for addresses and table geometry.
//! 2. [`desc`]: what one descriptor says ([`Pte`], [`NonPresent`], [`TableDesc`]).
//! 3. [`mmu`], [`tlbi`], [`event`]: the machine, the operands of its TLB instructions, what is counted; [`sparse`]: what
//!    it says of places with holes.
//! 4. [`flush`]: which TLBIs a range needs, issued and completed as separate steps.
//! 5. [`walk`], [`map`], [`relink`]: finding, building and moving tables.
//! 6. [`contpte`], [`batch`], [`pmd`]: operations on entries of user memory, by page, by contpte block and folio, and by
//!    block descriptor.
//!
//! # Locking
//!
//! The crate takes no locks. Whoever calls a function that stores to a table holds the lock of that address space;
//! only the hardware walker (access flag, dirty state) runs concurrently, and each function says how it copes.
#![no_std]

#[cfg(any(test, feature = "sim"))]
extern crate std;

pub mod addr;
pub mod batch;
pub mod contpte;
pub mod desc;
pub mod event;
pub mod flush;
pub mod granule;
pub mod level;
pub mod map;
pub mod mmu;
pub mod pmd;
pub mod relink;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod sparse;
pub mod teardown;
pub mod tlbi;
pub mod walk;

pub use addr::{DescAddr, Pfn, PhysAddr, VirtAddr};
pub use desc::{NonPresent, Pte, TableDesc};
pub use event::Event;
pub use granule::{CONT_PTES, CONT_SIZE, PAGE_SHIFT, PAGE_SIZE, PTES_PER_TABLE};
pub use level::Level;
pub use mmu::{Asid, Barrier, Features, Mmu};
pub use pmd::{PMD_SIZE, PmdRef};
pub use sparse::Sparse;
pub use walk::PteRef;
