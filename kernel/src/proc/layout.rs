//! Where things are in a user address space. All addresses in bytes.
//!
//! ```text
//!   0000_0000_0000  never mapped: a null pointer faults
//!   0000_0001_0000  fixed executables, from EXEC_MIN on
//!   5555_5555_0000  position-independent executables, the heap behind them
//!   6666_6666_0000  the dynamic loader
//!        ...        mmap
//!   ffff_ff7f_0000  as far as the stack may grow (`mm::stack`), down from
//!   ffff_ffff_0000  STACK_TOP
//! ```
//! Nothing is randomised: two runs of a benchmark must see the same addresses.

use crate::mm::stack;

/// Bytes of a page.
pub const PAGE: usize = paging::PAGE_SIZE as usize;

/// The lowest address of a segment of an executable (Linux: `mmap_min_addr`).
pub const EXEC_MIN: usize = 0x1_0000;

/// Where position-independent executables are loaded, aligned to 64 KiB.
pub const PIE_BASE: usize = 0x5555_5555_0000;

/// Where the dynamic loader goes, aligned to 64 KiB.
pub const LOADER_BASE: usize = 0x6666_6666_0000;

/// The end of the stack, aligned to 64 KiB so that its folios can be. The last 64 KiB below 2^48 stay unmapped.
pub const STACK_TOP: usize = 0xffff_ffff_0000;

/// Bytes of address space for the stack (Linux: the default RLIMIT_STACK).
pub const STACK_BYTES: usize = stack::STACK_BYTES as usize;

/// Where the stack's part of the address space begins.
pub const STACK_BOTTOM: usize = STACK_TOP - STACK_BYTES;

/// The end of what an executable's segments may occupy: the gap stays below the stack.
pub const EXEC_MAX: usize = STACK_BOTTOM - stack::STACK_GAP as usize;
