//! Small things the whole kernel uses that no crate gives us in a form that may fail.

mod fallible;
mod share;

pub use fallible::{Ref, try_box};
pub use share::{Guard, Share, ShareLock};

/// The number of CPUs that per-CPU data is laid out for; CPU numbers are 0-based and below this.
pub const MAX_CPUS: usize = 8;
