//! A region's ordinary life: populate, fork, exit, fork again, wait, write.

use user::sys::process;
use user::sys::time::sleep_ns;

use super::{Context, Fixed};
use crate::bench::{Failure, Measured, Trying, Window};
use crate::options::Op;
use crate::report::Report;

/// Virtual time for a released child to die while the parent sleeps, in nanoseconds.
const TIME_TO_DIE: u64 = 50_000_000;

/// Measures and reports `populate`, `fork`, `exit`, `fork2`, `wait` and `cow_reuse`, as far as wanted. Returns fork's
/// window.
///
/// # Errors
/// No memory, or a child failed.
pub fn measure(context: &Context<'_>, fixed: &Fixed, report: &mut Report) -> Measured<Option<Window>> {
    let Context { bench, options, .. } = context;
    let [mut populate, mut fork, mut exit, mut fork2, mut wait, mut reuse] = [None; 6];
    for _ in 0..options.reps {
        let region = context.region()?;
        bench.settle();
        populate = Window::min(populate, bench.window(|| region.write_all(1)));
        context.split_if_wanted(&region)?;
        if !options.wants_any(&[Op::Fork, Op::Exit, Op::Fork2, Op::Wait, Op::Cow]) {
            continue;
        }

        let child = bench.fork(|| 0)?;
        fork = Window::min(fork, child.fork);
        exit = Window::min(exit, bench.finish(&child)?);

        if options.wants_any(&[Op::Fork2, Op::Wait]) {
            let child = bench.fork(|| 0)?;
            fork2 = Window::min(fork2, child.fork);
            bench.release(1)?;
            sleep_ns(TIME_TO_DIE).trying("sleep")?;
            let mut status = None;
            wait = Window::min(wait, bench.window(|| status = process::wait(child.pid).ok()));
            if status.and_then(|status| status.exited()) != Some(0) {
                return Err(Failure { what: "a child was killed", errno: None });
            }
        }
        if options.wants(Op::Cow) {
            bench.settle();
            reuse = Window::min(reuse, bench.window(|| region.write_all(2)));
        }
    }
    let rows = [
        (Op::Populate, "populate", populate, 0),
        (Op::Fork, "fork", fork, fixed.fork),
        (Op::Fork2, "fork2", fork2, fixed.fork),
        (Op::Exit, "exit", exit, fixed.exit),
        (Op::Wait, "wait", wait, 0),
        (Op::Cow, "cow_reuse", reuse, 0),
    ];
    for (op, name, window, fixed) in rows {
        if options.wants(op) {
            context.report(report, name, context.pages(), window, fixed);
        }
    }
    Ok(fork)
}
