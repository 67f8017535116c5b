//! When khugepaged runs, and on which address space it works next (`mm::khugepaged` does the work).
//!
//! There are no kernel threads. So it runs in the thread that the timer finds at EL0, on its way back there, or in the
//! idle loop; it holds no lock then. It goes round all processes, `pages_to_scan` pages at a time, and sleeps between. A
//! run is cut into steps, so that whoever waits for the CPU need not wait for all of it. While no policy permits
//! folios of its size it does not run at all, and its time costs nobody anything but a comparison at each sample.
//!
//! # Locks
//! The place where it goes on has a lock, and an address space's is taken inside it, unless somebody has that one.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use paging::VirtAddr;

use super::sched::NEVER;
use super::{find, next_process};
use crate::arch::time;
use crate::mm::khugepaged::NR;
use crate::mm::khugepaged::settings::KhugepagedFile;
use crate::mm::space::USER_END;

/// Pages looked at in one step: two folios' worth.
const STEP: usize = 2 * NR;

/// Where it goes on.
struct Place {
    /// The process; it may be gone.
    pid: u32,
    /// The address.
    at: VirtAddr,
    /// Pages left until the next sleep; 0: it sleeps.
    left: usize,
}

static PLACE: spin::Mutex<Place> = spin::Mutex::new(Place { pid: 0, at: VirtAddr::new(0), left: 0 });
/// When it runs next (nanoseconds since boot).
static NEXT: AtomicU64 = AtomicU64::new(NEVER);

/// When it runs next (nanoseconds since boot), or [`NEVER`].
pub(super) fn next() -> u64 {
    NEXT.load(Relaxed)
}

/// Whether it is to run at `now` (nanoseconds since boot).
pub(super) fn is_due(now: u64) -> bool {
    next() <= now
}

/// The policy changed: it begins to run, one sleep from now, or stops.
pub fn policy_changed() {
    if !crate::mm().khugepaged_has_work() {
        NEXT.store(NEVER, Relaxed);
    } else if next() == NEVER {
        NEXT.store(after(KhugepagedFile::ScanSleep), Relaxed);
    }
}

/// One of its settings changed: it wakes up if that says how long it sleeps, as on Linux.
pub fn set(file: KhugepagedFile) {
    let is_sleep = matches!(file, KhugepagedFile::ScanSleep | KhugepagedFile::AllocSleep);
    if is_sleep && crate::mm().khugepaged_has_work() {
        NEXT.store(time::now_ns(), Relaxed);
    }
}

/// The time after a sleep that begins now (nanoseconds since boot).
fn after(sleep: KhugepagedFile) -> u64 {
    let ms = crate::mm().khugepaged.get(sleep);
    time::now_ns().saturating_add(ms * 1_000_000)
}

/// Makes one step. Called without any lock held.
#[cold]
pub(super) fn run() {
    let mm = crate::mm();
    if !mm.khugepaged_has_work() {
        NEXT.store(NEVER, Relaxed);
        return;
    }
    let Some(mut place) = PLACE.try_lock() else { return };
    if place.left == 0 {
        place.left = mm.khugepaged.get(KhugepagedFile::PagesToScan) as usize;
    }
    let sleep = match step(&mut place) {
        Step::More => None,
        Step::Through => Some(KhugepagedFile::ScanSleep),
        Step::NoMemory => Some(KhugepagedFile::AllocSleep),
    };
    if sleep.is_some() {
        place.left = 0;
    }
    NEXT.store(sleep.map_or_else(time::now_ns, after), Relaxed);
}

/// How a step ended.
enum Step {
    /// There is more to do before the next sleep.
    More,
    /// As much was looked at as there was to be, or all there is.
    Through,
    /// There is no folio to be had.
    NoMemory,
}

fn step(place: &mut Place) -> Step {
    let mm = crate::mm();
    let mut budget = STEP.min(place.left);
    place.left -= budget;
    while budget > 0 {
        // The next process, if the one it was at is gone.
        let process = match find(place.pid) {
            Some(process) => process,
            None => {
                place.at = VirtAddr::new(0);
                let Some(process) = next_process(place.pid) else {
                    place.pid = 0;
                    mm.khugepaged.add(KhugepagedFile::FullScans, 1);
                    return Step::Through;
                };
                place.pid = process.pid();
                process
            }
        };
        let scanned = process.mm.try_lock().and_then(|mut memory| {
            let space = memory.as_mut()?;
            Some(space.khugepaged_scan(mm, place.at, budget))
        });
        budget = budget.saturating_sub(scanned.map_or(1, |scanned| scanned.pages.max(1)));
        match scanned {
            Some(scanned) => {
                mm.khugepaged.add(KhugepagedFile::PagesCollapsed, scanned.collapsed);
                place.at = scanned.next;
                if scanned.no_memory {
                    return Step::NoMemory;
                }
            }
            // Somebody works on it, or it has ended.
            None => place.at = USER_END,
        }
        if place.at >= USER_END {
            place.at = VirtAddr::new(0);
            let next = next_process(place.pid).map(|process| process.pid());
            place.pid = next.unwrap_or(0);
            if next.is_none() {
                mm.khugepaged.add(KhugepagedFile::FullScans, 1);
                return Step::Through;
            }
        }
    }
    if place.left > 0 { Step::More } else { Step::Through }
}
