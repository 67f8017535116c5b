//! The runtime of Pleat's EL0 programs.
//!
//! The programs are ordinary static Linux/aarch64 ELF files: the same file runs on Pleat and on Linux, which is how the
//! two are compared. Nothing here knows which kernel it is on, except [`counters`], which finds Pleat's own counters
//! in `/proc/vmstat` or does not, and [`duties`], which does for process 1 what a kernel has left to it.
//!
//! Layers: [`rt`] holds all assembly (entry, system calls, counters, the timed fork), [`sys`] wraps system calls into
//! functions that return [`Errno`](sys::Errno), [`io`] prints. There is no heap: text lives in fixed buffers. Programs
//! have one thread, so the library has no locks.
//!
//! On the host only the pure parts compile ([`counters`], [`smaps`], [`text`], [`words`]), for their unit tests.
#![cfg_attr(not(test), no_std)]

pub mod counters;
pub mod smaps;
pub mod text;
pub mod words;

#[cfg(target_os = "none")]
pub mod duties;
#[cfg(target_os = "none")]
pub mod io;
#[cfg(target_os = "none")]
pub mod policy;
#[cfg(target_os = "none")]
pub mod probe;
#[cfg(target_os = "none")]
pub mod rt;
#[cfg(target_os = "none")]
pub mod sys;
