//! The machine's side of the runtime: everything that is assembly.
//!
//! - [`start`]: from the kernel's initial stack to the program's `main`, and the panic handler;
//! - [`syscall`]: the `svc` instruction;
//! - [`counter`]: the counters EL0 may read, and the calibration loop;
//! - [`image`]: where the program's own segments are (no assembly, but the linker script's symbols);
//! - [`fork`]: the timed fork and the fork that leaves the parent's stack alone;
//! - [`marker`]: marks for whoever watches the machine from outside;
//! - [`thread`]: clones that start on a stack of their own;
//! - [`registers`]: what tests need to see of the register file and to provoke of faults;
//! - [`touch`]: loads and stores that may fault without ending the program.

pub mod counter;
pub mod fork;
pub mod image;
pub mod marker;
pub mod registers;
pub mod start;
pub mod syscall;
pub mod thread;
pub mod touch;
