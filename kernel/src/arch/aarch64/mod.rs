//! The machine: everything that is an instruction, a register or an address of AArch64.
//!
//! Calls up into the rest of the kernel are few: `syscall::dispatch`, `proc::{user_fault, uaccess_fault, timer_tick,
//! before_user_return}`, all from `exception.rs`. All of them run on the current thread's kernel stack with interrupts
//! masked.

mod context;
pub mod cpu;
mod entries;
pub mod esr;
mod exception;
mod fault;
mod features;
mod fp;
mod frame;
pub mod kmap;
pub mod layout;
pub mod machine;
pub mod mem;
pub mod mmu;
pub mod percpu;
mod power;
pub mod probe;
pub mod random;
pub mod report;
mod semihosting;
mod sparse;
mod stack;
mod string;
pub mod time;
pub mod tls;
pub mod translation;
pub mod uaccess;
mod vectors;

pub use context::{Context, context_switch};
pub use fault::{FaultKind, UserFault};
pub use features::{Features, bbm_level, features, rely_on_bbm_level};
pub use fp::FpState;
pub use frame::TrapFrame;
pub use kmap::map_device;
pub use power::{exit, idle_wait};
pub use stack::{KernelStack, mapped_bytes as stack_bytes};
pub use vectors::enter_user;

/// Writes to the emulator's console, for messages that come before there is a UART.
pub(crate) fn emergency_write(text: &str) {
    semihosting::write(text);
}
