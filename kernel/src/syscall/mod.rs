//! System calls: Linux's numbers, arguments and errors on aarch64 (Linux: arch/arm64/kernel/syscall.c).
//!
//! The number is in w8, arguments in x0 to x5, and the result or `-errno` goes to x0. The handlers check what they
//! are given as Linux does; in what they leave out, they say so. A number without a handler gets ENOSYS and is counted.
//!
//! Checks of arguments that need no machine (the first group of modules below) also run on the host.
#![cfg_attr(not(target_os = "none"), allow(dead_code))] // there, only the tests use them

pub(crate) mod capability;
pub(crate) mod clock;
pub(crate) mod clone_args;
pub(crate) mod map_args;

#[cfg(target_os = "none")]
mod commit;
#[cfg(target_os = "none")]
mod event;
#[cfg(target_os = "none")]
mod exec;
#[cfg(target_os = "none")]
pub mod file;
#[cfg(target_os = "none")]
mod futex;
#[cfg(target_os = "none")]
mod limit;
#[cfg(target_os = "none")]
mod mem;
#[cfg(target_os = "none")]
mod mlock;
#[cfg(target_os = "none")]
mod pidfd;
#[cfg(target_os = "none")]
mod poll;
#[cfg(target_os = "none")]
mod proc;
#[cfg(target_os = "none")]
mod remote;
#[cfg(target_os = "none")]
mod signal;
#[cfg(target_os = "none")]
mod socket;
#[cfg(target_os = "none")]
mod system;
#[cfg(target_os = "none")]
mod table;
#[cfg(target_os = "none")]
mod terminal;
#[cfg(target_os = "none")]
mod time;
#[cfg(target_os = "none")]
mod timer;
#[cfg(target_os = "none")]
mod unknown;
#[cfg(target_os = "none")]
mod usage;
#[cfg(target_os = "none")]
pub mod user_ptr;
#[cfg(target_os = "none")]
mod userfault;

#[cfg(target_os = "none")]
pub use {table::dispatch, unknown::unknown_calls};
