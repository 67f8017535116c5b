//! mprotect of the populated region, which nobody shares: read-only, and writable again.

use user::sys::memory::{READ, READ_WRITE};

use super::Context;
use crate::bench::{Measured, Trying, Window};
use crate::report::Report;

/// Measures and reports `mprotect_ro` and `mprotect_rw`.
///
/// # Errors
/// No memory.
pub fn measure(context: &Context<'_>, report: &mut Report) -> Measured<()> {
    let mut best = [None; 2];
    for _ in 0..context.options.reps {
        let region = context.populated()?;
        context.bench.settle();
        for (best, prot) in best.iter_mut().zip([READ, READ_WRITE]) {
            let mut result = Ok(());
            *best = Window::min(*best, context.bench.window(|| result = region.protect(prot)));
            result.trying("change permissions")?;
        }
    }
    for (op, best) in ["mprotect_ro", "mprotect_rw"].into_iter().zip(best) {
        context.report(report, op, context.pages(), best, 0);
    }
    Ok(())
}
