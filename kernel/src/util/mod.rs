//! Small things the whole kernel uses that no crate gives us in a form that may fail.

mod fallible;

pub use fallible::{Ref, try_box};

/// The number of CPUs that per-CPU data is laid out for; CPU numbers are 0-based and below this.
pub const MAX_CPUS: usize = 8;
