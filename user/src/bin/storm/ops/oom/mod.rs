//! Forks while memory runs out, on purpose and again and again; then: does every frame come back?
//!
//! Waves of forks follow one another. In an ordinary wave the children exit at once. In a *dry* wave a first child (the
//! hog) takes memory until hardly a frame is left; then more children are forked, which hold on to what they have or
//! write to the whole region, until fork fails with ENOMEM in its middle or children are killed for lack of memory.
//! Then all are let go.
//!
//! The parent must get through that without a frame to spare. A fork makes its private memory copy-on-write, and
//! already its next push would take a page. So it runs the waves on a stack in *shared* memory, which is never copied, has
//! faulted in its whole program before, and writes nowhere else ([`state`]). Children leave that stack at once, for one
//! of their own ([`child`]).
//!
//! The balance: `nr_free_pages` before and after, with the same dry waves run once before the first reading, so that the
//! kernel's caches have grown to what they need.

mod child;
mod state;
mod waves;

use user::probe;
use user::rt::fork::call_on_stack;
use user::rt::image;
use user::sys::file;

use crate::bench::{Bench, Failure, Measured, Trying};
use crate::folio::Folio;
use crate::options::Options;
use crate::region::Region;
use crate::report::Report;
use crate::row::Row;
use state::{State, Tally};

/// Folio size that reports name for this operation, in KiB: the policy is left as it is, and this is Pleat's default.
const FOLIO: Folio = Folio::pages(64);

/// Runs the waves, reports the row `oom`, and compares the free frames.
///
/// # Errors
/// A frame is missing, a child ended in a way it should not, or nothing ever failed for lack of memory.
pub fn measure(bench: &Bench, options: &Options, report: &mut Report) -> Measured<()> {
    // On Linux the machine's own processes would be among the victims, and the count of free pages never rests.
    let exhaust = probe::is_pleat();
    if exhaust {
        // Neither this process nor, as they inherit it, one of its children is chosen to end for another's sake: whoever
        // of them finds no memory ends itself. Else it would be this one, which has most.
        file::write_file(c"/proc/self/oom_score_adj", b"-1000").trying("be spared by the OOM killer")?;
    }
    let region = Region::map((options.mib as usize) << 20).trying("map the region")?;
    region.write_all(1);
    let state = State::map(region, exhaust).trying("map memory for the waves")?;
    image::fault_in();

    report.progress(FOLIO, "out of memory: warming up");
    // One of each kind of wave.
    run(state, 1, waves::KINDS)?;
    bench.settle();
    let before = probe::free_pages();
    report.progress(FOLIO, "out of memory");
    let mut result = Ok(Tally::default());
    let window = bench.window(|| result = run(state, options.oom_forks(), waves::KINDS));
    let tally = result?;
    let after = probe::free_pages();

    let (cost, events) = (window.cost, window.events);
    let (op, folio, region_mib) = ("oom", FOLIO, options.mib);
    report.row(&Row { op, folio, region_mib, pages: 0, cost, fixed: 0, events, count: None, contpte: None });
    let Tally { forks, failed, killed, .. } = tally;
    report.note(format_args!(
        "  oom: {forks} forks, {failed} more failed for lack of memory, {killed} children killed for it"
    ));
    if !exhaust {
        report.note(format_args!("  oom: not Pleat: memory was not exhausted, free frames are not compared"));
        return Ok(());
    }
    let (Some(before), Some(after)) = (before, after) else {
        return Err(Failure { what: "read nr_free_pages", errno: None });
    };
    let missing = before.saturating_sub(after);
    report.note(format_args!("  oom: free frames {before} before, {after} after: {missing} missing"));
    match (missing > options.slack, failed, killed) {
        (true, ..) => Err(Failure { what: "frames leaked", errno: None }),
        (false, 0, _) => Err(Failure { what: "memory was to run out in a fork, and never did", errno: None }),
        (false, _, 0) => {
            Err(Failure { what: "memory was to run out in a child, and never did", errno: None })
        }
        _ => Ok(()),
    }
}

/// Runs waves on the shared stack, until there were `forks` forks and `waves` waves at least.
fn run(state: &'static State, forks: u64, waves: u64) -> Measured<Tally> {
    state.begin(forks, waves);
    // SAFETY: the stack in `state` is 16-byte aligned, larger than the waves need, and used by nobody else.
    unsafe { call_on_stack(waves::run, core::ptr::from_ref(state) as usize, state.parent_stack_top()) };
    match state.tally() {
        tally if tally.wrong == 0 => Ok(tally),
        _ => Err(Failure { what: "a child ended otherwise than by exit or SIGKILL", errno: None }),
    }
}
