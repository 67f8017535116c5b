//! Pleat's kernel: processes at EL0 that speak Linux's ABI, over `mm` (folios, VMAs, fork, faults) and `paging`
//! (translation tables, contiguous PTEs, TLB maintenance).
//!
//! What a line may touch can be told from its path: [`arch`] touches the machine, [`mod@mm`] touches memory through
//! `paging`, the rest touches neither. Whatever is not an instruction also compiles, and is tested, on the host.
//!
//! Locking: the kernel runs with interrupts masked at EL1, so a spin lock is never taken from an interrupt handler
//! that interrupted its holder. No lock is held across a context switch or an access to user memory.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

#[cfg(any(test, target_os = "none"))]
mod bbm;
pub mod cmdline;
pub mod devicetree;
pub mod errno;
pub mod fs;
pub mod mm;
pub mod proc;
#[cfg(any(test, target_os = "none"))]
mod size_classes;
pub mod symbols;
pub mod syscall;
pub mod tty;
pub mod userfault;
pub mod util;

#[cfg(target_os = "none")]
#[path = "arch/aarch64/mod.rs"]
pub mod arch;
#[cfg(not(target_os = "none"))]
#[path = "arch/aarch64/host.rs"]
pub mod arch;
#[cfg(target_os = "none")]
pub mod console;
#[cfg(target_os = "none")]
pub mod drivers;
#[cfg(target_os = "none")]
pub mod global;
#[cfg(target_os = "none")]
pub mod heap;
#[cfg(target_os = "none")]
pub mod panic;
#[cfg(target_os = "none")]
pub mod run;
#[cfg(target_os = "none")]
pub mod selftest;
#[cfg(target_os = "none")]
pub mod start;

#[cfg(target_os = "none")]
pub use global::mm;
#[cfg(target_os = "none")]
pub use run::{command_line, main};
