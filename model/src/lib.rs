//! The referee: a model of what the Arm architecture permits of stage-1 translation.
//!
//! Emulators forgive: they ignore the contiguous bit, break-before-make, barriers and level hints. This crate
//! does not. It has two uses, over one set of events ([`event`]):
//!
//! - **checking**: [`Model`] follows what CPUs do (stores to tables, barriers, TLBIs, TTBR writes), learns the
//!   trees of tables by itself, and reports each broken [`Rule`] as a [`Violation`] with the events that led
//!   there. It runs under a QEMU plugin over an unmodified kernel, and under host tests;
//! - **adversarial**: `machine::Machine` (feature `std`) simulates CPUs and memory, implements `paging::Mmu`,
//!   and translates user accesses by any translation that is still permitted, the oldest for choice, so that a
//!   bug shows as wrong data too. It finds what is permitted by its own means, not by the checker's.
//!
//! [`tlb`] is about speed instead: how far a TLB reaches, with and without contiguous entries.
//!
//! # How the checker thinks
//!
//! For every descriptor that was changed while some TLB may hold what it said there is a *stale record*:
//! address, level, old value, the CPU that changed it, the CPUs that may hold it, and how far its clean-up
//! got:
//!
//! ```text
//!   store ──DSB of the CPU that stored──> published ──matching TLBI──> covered ──DSB of the TLBI's CPU──> clean
//! ```
//!
//! A step out of order has no effect. A CPU may hold a translation if the tree was loaded in its TTBR since
//! the ASID was last flushed there, and the entry was valid and accessed. Trees are learnt when a TTBR is
//! loaded with their root, and forgotten when no CPU has them loaded or cached, so address spaces may be
//! built and taken apart in any order that hardware cannot see.
//!
//! A contiguous block is *settled* when a TLBI of one of its entries completes, or a CPU that changed it
//! returns to EL0. Before that its entries may differ in permissions (RJQQTC) and some may be invalid
//! (IPGVGZ); afterwards they may not: the walker would pick one for all. The contiguous bit itself may never
//! be mixed among valid entries below BBM level 2.
//!
//! Kernel mappings are those of TTBR1; all of them count as global. Tables begin on a page, and `TCR_EL1.A1`
//! is 0.
#![no_std]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod config;
pub mod event;
pub mod geometry;
#[cfg(feature = "std")]
pub mod machine;
pub mod operand;
pub mod rule;
pub mod tlb;
pub mod violation;

mod bbm;
mod block;
mod desc;
mod flush;
mod frames;
mod history;
mod report;
mod space;
mod stale;
mod state;
mod store;
mod table;
mod ttbr;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use event::{Action, Event, Memory};
pub use geometry::Granule;
pub use rule::{Cause, Change, Rule};
pub use state::Model;
pub use violation::{Place, Step, Violation};

/// The most CPUs a model follows; sets of CPUs are bytes.
pub const MAX_CPUS: usize = 8;
