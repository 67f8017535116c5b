//! What has nothing to do with the size of folios: fork with many small mappings, and the life of a small process.

use core::ptr;

use user::rt::counter::touch;
use user::sys::memory::{self, page_size};
use user::sys::process;

use super::Context;
use crate::bench::{Failure, Measured, Trying, Window};
use crate::options::Op;
use crate::report::Report;

/// A program that does nothing.
const NOTHING: &core::ffi::CStr = c"/bin/true";
/// Its exit status if it could not be started.
const NOT_STARTED: i32 = 127;

/// Measures and reports `fork_vmas`, `exit_vmas`, `fork_exit` and `fork_exec_exit`, as far as wanted, each the cost of the
/// whole.
///
/// # Errors
/// No memory, or a child failed.
pub fn measure(context: &Context<'_>, report: &mut Report) -> Measured<()> {
    if context.options.wants(Op::Vmas) {
        report.progress(context.folio, "many mappings");
        vmas(context, report)?;
    }
    if context.options.wants(Op::Small) {
        report.progress(context.folio, "small processes");
        let exit = || 0;
        for (op, body) in [("fork_exit", exit as fn() -> i32), ("fork_exec_exit", exec)] {
            context.report(report, op, 0, life(context, body)?, 0);
        }
    }
    Ok(())
}

fn vmas(context: &Context<'_>, report: &mut Report) -> Measured<()> {
    let (fork, exit) = fork_with_mappings(context, context.options.vmas as usize)?;
    context.report(report, "fork_vmas", 0, fork, 0);
    context.report(report, "exit_vmas", 0, exit, 0);
    Ok(())
}

/// Fork and exit with `count` mappings more. Every second page of a mapping is unmapped again, so that each of the others is
/// a mapping of its own.
///
/// # Errors
/// No memory, or a child failed.
pub fn fork_with_mappings(context: &Context<'_>, count: usize) -> Measured<(Option<Window>, Option<Window>)> {
    let Context { bench, options, .. } = context;
    let page = page_size();
    let len = 2 * count * page;
    let base = memory::map(len, memory::READ_WRITE, memory::PRIVATE).trying("map memory")?;
    for hole in (base + page..base + len).step_by(2 * page) {
        // SAFETY: a page of this function's own mapping.
        unsafe { memory::unmap(hole, page) }.trying("unmap a page")?;
    }
    // SAFETY: what is left of the mapping is writable, and nothing borrows from it.
    unsafe { touch(base, 2 * page, count, 1) };
    let [mut fork, mut exit] = [None; 2];
    for _ in 0..options.reps {
        let child = bench.fork(|| 0)?;
        fork = Window::min(fork, child.fork);
        exit = Window::min(exit, bench.finish(&child)?);
    }
    // SAFETY: as above; holes in the range are nothing to munmap.
    unsafe { memory::unmap(base, len) }.trying("unmap memory")?;
    Ok((fork, exit))
}

/// From before fork until the child, which runs `body`, has been waited for.
fn life(context: &Context<'_>, body: fn() -> i32) -> Measured<Option<Window>> {
    let mut best = None;
    // The first one also faults in what it needs of the programs.
    for _ in 0..=context.options.reps {
        context.bench.settle();
        let mut status = None;
        let window = context.bench.window(|| status = process::spawn(body).and_then(process::wait).ok());
        match status.and_then(|status| status.exited()) {
            Some(0) => best = Window::min(best, window),
            Some(NOT_STARTED) => return Err(Failure { what: "start /bin/true", errno: None }),
            _ => return Err(Failure { what: "a child was killed", errno: None }),
        }
    }
    Ok(best)
}

fn exec() -> i32 {
    process::execve(NOTHING, &[NOTHING.as_ptr(), ptr::null()], &[ptr::null()]);
    NOT_STARTED
}
