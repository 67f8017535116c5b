//! The terminal: the console's keyboard and screen, with line editing, signals by key, and job control.
//!
//! `termios` and `discipline` need no machine and are tested on the host; `terminal` puts them together with the UART,
//! with those who wait for input, and with process groups and sessions.
#![cfg_attr(not(target_os = "none"), allow(dead_code))] // there, only the tests use them

pub mod discipline;
pub mod termios;

#[cfg(target_os = "none")]
mod job;
#[cfg(target_os = "none")]
mod terminal;

#[cfg(target_os = "none")]
pub(crate) use job::{acquire, foreground, foreground_of, give_up, process_ends, session, set_foreground};
#[cfg(target_os = "none")]
pub(crate) use terminal::*;
