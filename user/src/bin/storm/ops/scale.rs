//! Does it stay as cheap? Fork and exit by the size of the region, by the number of children alive, and by the number of
//! mappings, each from little to as much as the options say.

use user::sys::file::{self, CLOSE_ON_EXEC, Pipe};
use user::sys::memory::page_size;
use user::sys::process;

use super::{Context, Fixed, live, small};
use crate::bench::{Measured, Trying, Window};
use crate::region::Region;
use crate::report::Report;
use crate::row::Row;

/// Measures and reports `scale_fork` and `scale_exit`, once for each size of the region: powers of two in MiB.
///
/// # Errors
/// No memory, or a child failed.
pub fn regions(context: &Context<'_>, fixed: &Fixed, report: &mut Report) -> Measured<()> {
    let Context { bench, options, folio } = context;
    let smallest = u64::from(folio.kib).div_ceil(1024);
    for mib in steps(smallest, options.mib, 2) {
        let region = Region::map((mib as usize) << 20).trying("map the region")?;
        region.write_all(1);
        let region_context = Context { bench, options, folio: *folio };
        region_context.split_if_wanted(&region)?;
        let [mut fork, mut exit] = [None; 2];
        for rep in 0..options.reps {
            let child = bench.fork(|| 0)?;
            fork = Window::min(fork, child.fork);
            exit = Window::min(exit, bench.finish(&child)?);
            if rep + 1 < options.reps {
                region.write_all(rep as u8);
            }
        }
        let pages = (mib << 20) / page_size() as u64;
        for (op, window, fixed) in [("scale_fork", fork, fixed.fork), ("scale_exit", exit, fixed.exit)] {
            row(context, report, Place { op, mib, pages, count: None }, window, fixed);
        }
    }
    Ok(())
}

/// Measures and reports what does not depend on folios.
///
/// # Errors
/// As [`children`] and [`mappings`].
pub fn measure(context: &Context<'_>, report: &mut Report) -> Measured<()> {
    report.progress(context.folio, "ever more children");
    children(context, report)?;
    report.progress(context.folio, "ever more mappings");
    mappings(context, report)
}

/// Measures and reports `scale_child_fork` and `scale_child_exit`: of one more child, with so many alive.
///
/// # Errors
/// No memory for so many children, or one failed.
fn children(context: &Context<'_>, report: &mut Report) -> Measured<()> {
    let Context { bench, options, .. } = context;
    let mut crowd = Crowd::new()?;
    let mut measured = Ok(());
    for count in steps(1, options.live, 10) {
        measured = crowd.grow(count);
        if measured.is_err() {
            break;
        }
        let [mut fork, mut exit] = [None; 2];
        for _ in 0..=options.reps {
            let child = bench.fork(|| 0)?;
            fork = Window::min(fork, child.fork);
            exit = Window::min(exit, bench.finish(&child)?);
        }
        for (op, window) in [("scale_child_fork", fork), ("scale_child_exit", exit)] {
            row(context, report, Place { op, mib: 0, pages: 0, count: Some(count) }, window, 0);
        }
    }
    crowd.end()?;
    measured
}

/// Children that are alive and do nothing. They wait on a leash of their own, or they would be woken with the one that is
/// measured, and read no counters: among those is one that is found by a look at every process.
struct Crowd {
    ready: Pipe,
    leash: Pipe,
    alive: u64,
}

impl Crowd {
    fn new() -> Measured<Self> {
        let pipe = || file::pipe(CLOSE_ON_EXEC).trying("make a pipe");
        Ok(Crowd { ready: pipe()?, leash: pipe()?, alive: 0 })
    }

    /// Adds children until there are `count`, each of them asleep.
    fn grow(&mut self, count: u64) -> Measured<()> {
        while self.alive < count {
            let wait = || {
                let ended = file::write_all(self.ready.write, &[1])
                    .and_then(|()| file::read(self.leash.read, &mut [0]));
                i32::from(ended.is_err())
            };
            process::spawn(wait).trying("fork")?;
            self.alive += 1;
            file::read(self.ready.read, &mut [0]).trying("wait for a child to be ready")?;
        }
        Ok(())
    }

    fn end(self) -> Measured<()> {
        let release = |_| file::write_all(self.leash.write, &[1]).trying("release a child");
        (0..self.alive).try_for_each(release)?;
        live::reap(self.alive)?;
        for end in [self.ready.read, self.ready.write, self.leash.read, self.leash.write] {
            file::close(end).trying("close a pipe")?;
        }
        Ok(())
    }
}

/// Measures and reports `scale_vma_fork` and `scale_vma_exit`, with so many mappings of a page each.
///
/// # Errors
/// No memory, or a child failed.
fn mappings(context: &Context<'_>, report: &mut Report) -> Measured<()> {
    for count in steps(1, context.options.vmas, 10) {
        let (fork, exit) = small::fork_with_mappings(context, count as usize)?;
        for (op, window) in [("scale_vma_fork", fork), ("scale_vma_exit", exit)] {
            row(context, report, Place { op, mib: 0, pages: 0, count: Some(count) }, window, 0);
        }
    }
    Ok(())
}

/// `first` and each `factor` times the one before, up to `last`, which always is among them.
fn steps(first: u64, last: u64, factor: u64) -> impl Iterator<Item = u64> {
    let next = move |step: &u64| (*step < last).then(|| (step * factor).min(last));
    core::iter::successors(Some(first.min(last)), next)
}

/// What a row is of.
struct Place {
    op: &'static str,
    mib: u64,
    pages: u64,
    count: Option<u64>,
}

fn row(context: &Context<'_>, report: &mut Report, place: Place, window: Option<Window>, fixed: u64) {
    let (Some(window), Place { op, mib: region_mib, pages, count }) = (window, place) else { return };
    let Window { cost, events } = window;
    report.row(&Row {
        op,
        folio: context.folio,
        region_mib,
        pages,
        cost,
        fixed,
        events,
        contpte: None,
        count,
    });
}
