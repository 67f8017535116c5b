//! A page of every block forgotten by MADV_DONTNEED, and a fork of what is left.

use super::{Context, Fixed};
use crate::bench::{Measured, Trying, Window};
use crate::report::Report;

/// Measures and reports `dontneed` (by the call) and `fork_holes` (by the page that is left).
///
/// # Errors
/// No memory, or a child failed.
pub fn measure(context: &Context<'_>, fixed: &Fixed, report: &mut Report) -> Measured<()> {
    let [mut dontneed, mut fork] = [None; 2];
    for _ in 0..context.options.reps {
        let region = context.populated()?;
        context.bench.settle();
        let mut result = Ok(());
        dontneed = Window::min(dontneed, context.bench.window(|| result = region.punch_holes()));
        result.trying("forget pages")?;
        let child = context.bench.fork(|| 0)?;
        fork = Window::min(fork, child.fork);
        context.bench.finish(&child)?;
    }
    context.report(report, "dontneed", context.blocks(), dontneed, 0);
    context.report(report, "fork_holes", context.pages() - context.blocks(), fork, fixed.fork);
    Ok(())
}
