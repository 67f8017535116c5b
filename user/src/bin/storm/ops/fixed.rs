//! Fork and exit of this process without a region: what every fork costs, however large.

use super::{Context, Fixed};
use crate::bench::{Measured, Window};
use crate::report::Report;

/// Measures and reports `fork_fixed` and `exit_fixed`.
///
/// # Errors
/// A fork failed.
pub fn measure(context: &Context<'_>, report: &mut Report) -> Measured<Fixed> {
    let (mut fork, mut exit) = (None, None);
    // One more than asked for: the first forks also copy pages of the program that are exclusive from then on.
    for _ in 0..=context.options.reps {
        let child = context.bench.fork(|| 0)?;
        fork = Window::min(fork, child.fork);
        exit = Window::min(exit, context.bench.finish(&child)?);
    }
    context.report(report, "fork_fixed", 0, fork, 0);
    context.report(report, "exit_fixed", 0, exit, 0);
    let cost = |window: Option<Window>| window.map_or(0, |w| w.cost);
    Ok(Fixed { fork: cost(fork), exit: cost(exit) })
}
