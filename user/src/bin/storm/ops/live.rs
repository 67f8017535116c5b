//! Many children: all alive at once, and one after another.

use user::sys::process;

use super::{Context, Fixed};
use crate::bench::{Failure, Measured, Trying, Window};
use crate::report::Report;

/// Measures and reports `live_fork` (the sum over all the forks, each with the earlier children alive) and `live_exit`
/// (from the release of all to the last one's wait4). Pages are the region's times the number of children.
///
/// # Errors
/// No memory for so many children, or one failed.
pub fn measure(context: &Context<'_>, fixed: &Fixed, report: &mut Report) -> Measured<()> {
    let bench = context.bench;
    let count = context.options.live;
    let _region = context.populated()?;
    let mut forks: Option<Window> = None;
    for i in 0..count {
        match bench.fork(|| 0) {
            Ok(child) => forks = Some(forks.map_or(child.fork, |sum| sum.plus(&child.fork))),
            Err(failure) => {
                bench.release(i)?;
                let _ = reap(i);
                return Err(failure);
            }
        }
    }
    let mut reaped = Ok(());
    let exits = bench.window(|| reaped = bench.release(count).and_then(|()| reap(count)));
    reaped?;
    context.report(report, "live_fork", count * context.pages(), forks, count * fixed.fork);
    context.report(report, "live_exit", count * context.pages(), Some(exits), count * fixed.exit);
    Ok(())
}

/// Waits for `count` children, whichever end.
///
/// # Errors
/// One did not end with status 0.
pub fn reap(count: u64) -> Measured<()> {
    for _ in 0..count {
        let ended = process::wait_for(-1, 0).trying("wait for a child")?;
        if ended.and_then(|(_, status)| status.exited()) != Some(0) {
            return Err(Failure { what: "a child was killed", errno: None });
        }
    }
    Ok(())
}

/// Measures and reports `storm`: forks whose children exit at once, each waited for before the next. Returns the cost
/// of one fork with its exit and wait.
///
/// # Errors
/// A fork or a child failed.
pub fn storm(context: &Context<'_>, fixed: &Fixed, report: &mut Report) -> Measured<u64> {
    let count = context.options.storm_forks();
    let _region = context.populated()?;
    context.bench.settle();
    let mut result = Ok(());
    let window = context.bench.window(|| {
        result = (0..count).try_for_each(|_| {
            process::spawn(|| 0).trying("fork")?;
            reap(1)
        });
    });
    result?;
    context.report(report, "storm", count * context.pages(), Some(window), count * (fixed.fork + fixed.exit));
    Ok(window.cost / count)
}
