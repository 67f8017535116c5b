//! The program's course: options, each folio size in turn, out-of-memory, summary.

use user::policy::{BlockPolicy, Policy};
use user::rt::start::Args;
use user::sys::memory::page_size;
use user::sys::{Errno, time};
use user::{print, println, probe};

use crate::bench::{Bench, Failure, Measured};
use crate::folio::Folio;
use crate::ops::{self, Context};
use crate::options::{Op, Options};
use crate::report::Report;

/// The exit status for a command line that is not understood.
const BAD_USAGE: i32 = 2;

/// Printed after a complaint.
const USAGE: &str = "\
usage: storm [OPTION]...
  --mib=N       size of the region in MiB, even (64)
  --sizes=LIST  folio sizes in KiB, powers of two from 4 to 2048, mapped by PTEs; `block`: 2 MiB mapped
                by one block descriptor (4,16,64,512,2048,block)
  --ops=LIST    of fork,exit,wait,cow,munmap,populate,fork2,mprotect,holes,vmas,small,live,storm,decay,oom,scale
                (all but the last three)
  --reps=N      repetitions, of which the cheapest counts (3)
  --live=N      children alive at once (32)
  --forks=N     forks in the storm (200) and with oom (10000)
  --rounds=N    rounds of forks and random writes with decay (100)
  --vmas=N      mappings with vmas (1000)
                scale: fork and exit with regions up to --mib, children up to --live, mappings up to --vmas
  --cow=WORD    what a copy-on-write fault copies meanwhile: page, block, or up to so many bytes (as it is)
  --reuse=WORD  what a write takes over when the child is gone: page or block (as it is)
  --refold=WORD whether blocks are folded again: always or never (as it is)
  --slack=N     frames that may be missing after oom (0)
  --settle=N    seconds to sleep first, for what a kernel still does after it has booted (0)
  --json        also print a JSON line for each measurement, prefixed by `@json `
  --quiet       no table
  --progress    say what is being measured, on a terminal
";

/// Runs the benchmark; the exit status is 1 if a check failed.
pub fn main(args: Args) -> i32 {
    let options = match Options::parse(args.from(1)) {
        Ok(options) => options,
        Err(complaint) => {
            println!("storm: {}: {}", complaint.word, complaint.why);
            print!("{USAGE}");
            return BAD_USAGE;
        }
    };
    // Without the privilege, children may run inside the fork windows; the minimum then hides most of it.
    if !probe::is_pleat()
        && let Err(errno) = time::run_before_children()
    {
        println!("storm: cannot run before its children: {errno}; fork may look dearer than it is");
    }
    if let Err(errno) = time::sleep_ns(options.settle * 1_000_000_000) {
        println!("storm: cannot settle: {errno}");
        return 1;
    }
    let bench = match Bench::new() {
        Ok(bench) => bench,
        Err(failure) => {
            println!("storm: cannot {}", failure.what);
            return 1;
        }
    };
    let mut report = Report::new(&options, &bench.clock);
    let blocks = BlockPolicy::save();
    if let Err(errno) = blocks.set(options.block_policy()) {
        report.failure(Folio::BLOCK, &Failure { what: "set what keeps blocks folded", errno: Some(errno) });
        blocks.restore();
        return report.finish();
    }
    let page = Folio::pages((page_size() >> 10) as u32);
    if let Err(failure) =
        ops::small::measure(&Context { bench: &bench, options: &options, folio: page }, &mut report)
    {
        report.failure(page, &failure);
    }
    if options.wants(Op::Scale)
        && let Err(failure) =
            ops::scale::measure(&Context { bench: &bench, options: &options, folio: page }, &mut report)
    {
        report.failure(page, &failure);
    }
    if options.wants_sizes() {
        let policy = Policy::save();
        for &folio in options.sizes() {
            let context = Context { bench: &bench, options: &options, folio };
            if let Err(failure) = measure(&context, &policy, &mut report) {
                report.failure(folio, &failure);
            }
        }
        policy.restore();
    }
    if options.wants(Op::Oom)
        && let Err(failure) = ops::oom::measure(&bench, &options, &mut report)
    {
        report.failure(Folio::pages(64), &failure);
    }
    blocks.restore();
    report.finish()
}

/// Everything for one folio size.
fn measure(context: &Context<'_>, policy: &Policy, report: &mut Report) -> Measured<()> {
    let options = context.options;
    let why = if (context.folio.kib as usize) << 10 < page_size() {
        "is less than a page here"
    } else if context.folio.block && page_size() != 4096 {
        "is no block descriptor's size here"
    } else {
        ""
    };
    if !why.is_empty() {
        let size = context.folio;
        report.note(format_args!("{size:>5} {why}: skipped"));
        return Ok(());
    }
    match policy.only(context.folio.kib) {
        Ok(()) => {}
        Err(Errno::ENOENT | Errno::EACCES | Errno::EROFS) if !probe::is_pleat() => {
            let size = context.folio;
            report.note(format_args!("{size:>5} not to be set on this kernel: skipped"));
            return Ok(());
        }
        Err(errno) => return Err(Failure { what: "set the folio size", errno: Some(errno) }),
    }
    report.progress(context.folio, "fixed costs");
    let fixed = ops::fixed::measure(context, report)?;
    if options.wants(Op::Scale) {
        report.progress(context.folio, "regions of all sizes");
        ops::scale::regions(context, &fixed, report)?;
        return Ok(()); // the check needs a region as large again
    }
    let mut fork = None;
    if options.wants_any(&[Op::Populate, Op::Fork, Op::Exit, Op::Fork2, Op::Wait, Op::Cow]) {
        report.progress(context.folio, "fork and exit");
        fork = ops::cycle::measure(context, &fixed, report)?;
    }
    if options.wants(Op::Cow) {
        ops::cow::measure(context, report)?;
    }
    if options.wants(Op::Munmap) {
        report.progress(context.folio, "munmap");
        ops::unmap::measure(context, report)?;
    }
    if options.wants(Op::Mprotect) {
        report.progress(context.folio, "mprotect");
        ops::protect::measure(context, report)?;
    }
    if options.wants(Op::Holes) {
        report.progress(context.folio, "holes");
        ops::holes::measure(context, &fixed, report)?;
    }
    if options.wants(Op::Live) {
        report.progress(context.folio, "many children alive");
        ops::live::measure(context, &fixed, report)?;
    }
    let mut per_fork = None;
    if options.wants(Op::Storm) {
        report.progress(context.folio, "storm");
        per_fork = Some(ops::live::storm(context, &fixed, report)?);
    }
    if options.wants(Op::Decay) {
        ops::decay::measure(context, report)?;
    }
    report.progress(context.folio, "check");
    if let Some(folios) = ops::sizes::check(context)? {
        let size = context.folio;
        report.note(format_args!("{size:>5} the region took {folios} folios, as many as it should"));
    }
    match ops::check::check(context)? {
        Some(folded) => report.folded(context.folio, context.blocks(), &folded, fork.as_ref()),
        None => {
            let size = context.folio;
            report
                .note(format_args!("{size:>5} data intact; this kernel does not say how blocks are mapped"));
        }
    }
    if let Some(cost) = per_fork {
        let (size, forks, unit) = (context.folio, options.storm_forks(), context.bench.clock.unit());
        report.note(format_args!(
            "{size:>5} storm of {forks} forks: {cost} {unit} for each fork + exit + wait"
        ));
    }
    Ok(())
}
