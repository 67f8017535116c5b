//! COW writes: the first in each block with the child gone, copies by the parent, copies by the child.

use super::Context;
use crate::bench::{Measured, Window};
use crate::region::Region;
use crate::report::Report;

/// Measures and reports `cow_reuse_first`, `cow_copy`, `cow_copy_first` and `cow_child`.
///
/// # Errors
/// No memory, or a child failed.
pub fn measure(context: &Context<'_>, report: &mut Report) -> Measured<()> {
    let pages = context.pages();
    let blocks = context.blocks();
    let rows: [(&'static str, u64, Measurement); 4] = [
        ("cow_reuse_first", blocks, |context| after_child(context, |region| region.write_first(2))),
        ("cow_copy", pages, |context| beside_child(context, |region| region.write_all(2))),
        ("cow_copy_first", blocks, |context| beside_child(context, |region| region.write_first(2))),
        ("cow_child", pages, in_child),
    ];
    for (op, pages, measurement) in rows {
        report.progress(context.folio, op);
        let mut best = None;
        for _ in 0..context.options.reps {
            best = Window::min(best, measurement(context)?);
        }
        context.report(report, op, pages, best, 0);
    }
    Ok(())
}

/// One repetition from a fresh region to its window.
type Measurement = fn(&Context<'_>) -> Measured<Window>;

/// The parent writes; the child has exited, so the pages are the parent's alone.
fn after_child(context: &Context<'_>, write: fn(&Region)) -> Measured<Window> {
    let region = context.populated()?;
    let child = context.bench.fork(|| 0)?;
    context.bench.finish(&child)?;
    context.bench.settle();
    Ok(context.bench.window(|| write(&region)))
}

/// The parent writes while the child holds the pages.
fn beside_child(context: &Context<'_>, write: fn(&Region)) -> Measured<Window> {
    let region = context.populated()?;
    let child = context.bench.fork(|| 0)?;
    let window = context.bench.window(|| write(&region));
    context.bench.finish(&child)?;
    Ok(window)
}

/// The child writes while the parent holds the pages.
fn in_child(context: &Context<'_>) -> Measured<Window> {
    let bench = context.bench;
    let region = context.populated()?;
    let child = bench.fork(|| {
        bench.settle();
        bench.window_in_child(|| region.write_all(2));
        0
    })?;
    bench.finish(&child)?;
    Ok(bench.child_window())
}
