//! munmap of the populated region, which nobody shares.

use super::Context;
use crate::bench::{Measured, Window};
use crate::report::Report;

/// Measures and reports `munmap`.
///
/// # Errors
/// No memory.
pub fn measure(context: &Context<'_>, report: &mut Report) -> Measured<()> {
    let mut best = None;
    for _ in 0..context.options.reps {
        let region = context.populated()?;
        context.bench.settle();
        best = Window::min(best, context.bench.window(|| region.unmap()));
    }
    context.report(report, "munmap", context.pages(), best, 0);
    Ok(())
}
