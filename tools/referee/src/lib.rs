//! A QEMU plugin that watches an unmodified kernel and holds what it does to its translation tables against the rules
//! of the architecture (the crate `model`), or counts what its mappings cost in TLB misses.
//!
//! ```text
//!   qemu       what QEMU calls: translated blocks, accesses, instructions
//!   insn       which instructions matter                    site       where one is
//!   access     the words a store changes                    shadow     the guest's memory, made of its stores
//!   tables     translation by a CPU's registers             watch      all that, into the model's events
//!   symbols    names for PCs                                report     violations and summaries in words
//!   reach      simulated TLBs                               options    `-plugin FILE,name=value`
//!   claim      what programs are told of their memory
//! ```
//!
//! # What it sees, and what not
//!
//! The kernel's stores with their physical addresses and values, barriers, TLBIs and their operands, writes to TTBRs,
//! TCR and SCTLR, returns to EL0. From the TTBRs and the stores the model learns the trees of tables by itself; symbols
//! serve only for names. Not seen: what the table walker writes (access flag, dirty state), except where a
//! read-modify-write by the kernel shows it; stores by EL0, by devices and by the debugger; memory that QEMU fills
//! before the start. No table comes from there, as long as the kernel clears tables before use.
//!
//! DMB is not watched: it orders nothing towards the table walker (Arm ARM DDI 0487, B2.3).
//!
//! # Locks
//!
//! One around [`watch::Watch`]; the instrumented sites and the symbols have their own, taken after it or without it.

pub mod access;
pub mod claim;
pub mod counts;
pub mod insn;
pub mod options;
// QEMU's functions exist only inside QEMU, so a test program could not be linked with them.
#[cfg(not(test))]
mod qemu;
pub mod reach;
pub mod report;
pub mod shadow;
pub mod site;
pub mod symbols;
pub mod tables;
pub mod watch;
