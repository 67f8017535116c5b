//! Memory exhausted in the middle: errors instead of crashes, nothing leaked, contents intact.

use paging::Pfn;

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, PAGE, Sandbox};
use crate::errno::Errno;
use crate::mm::FaultError;
use crate::mm::frame::{Kind, MAX_ORDER};

pub(super) const TESTS: &[Test] = &[
    test("exhaustion.fork_fails_cleanly_at_every_point", fork_fails_cleanly_at_every_point),
    test("exhaustion.faults_report_it_and_unmapping_works", faults_report_it_and_unmapping_works),
];

/// All memory but a little, held until this is dropped. The folios are chained through their own first word.
struct Hog {
    head: Option<Pfn>,
}

impl Hog {
    /// Takes all but `left` frames.
    fn new(left: u64) -> Hog {
        let mm = crate::mm();
        let mut hog = Hog { head: None };
        for order in (0..=MAX_ORDER).rev() {
            while mm.free_pages() >= left + (1 << order) {
                match mm.alloc_frames(order, Kind::Kernel, 0) {
                    Some(pfn) => hog.push(pfn),
                    None => break,
                }
            }
        }
        hog
    }

    fn link(pfn: Pfn) -> *mut u64 {
        use crate::mm::Machine;
        crate::mm().machine.ptr(pfn.addr()).cast()
    }

    fn push(&mut self, pfn: Pfn) {
        // SAFETY: the folio was just allocated for this list; frame 0 is never RAM that `mm` hands out as kernel
        // memory, so 0 can mean the end.
        unsafe { Self::link(pfn).write(self.head.map_or(0, Pfn::get)) };
        self.head = Some(pfn);
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        while let Some(pfn) = self.head {
            // SAFETY: `push` wrote it, and the folio is still ours.
            let next = unsafe { Self::link(pfn).read() };
            self.head = (next != 0).then_some(Pfn::new(next));
            crate::mm().folio_put(pfn);
        }
    }
}

fn fork_fails_cleanly_at_every_point() -> TestResult {
    let mut parent = Sandbox::filled(32, 3)?;
    for stretch in 1..4 {
        parent.map(BASE + (stretch << 30), 1)?;
        parent.write(BASE + (stretch << 30), 1)?;
    }
    let mut failures = 0;
    for left in 0..64 {
        let hog = Hog::new(left);
        let result = parent.fork().map(drop);
        let free = crate::mm().free_pages();
        drop(hog);
        check!(free == left);
        check!(parent.holds(32, 3));
        match result {
            Ok(()) => break,
            Err(error) => {
                check!(error == Errno::ENOMEM);
                failures += 1;
            }
        }
    }
    // A top table, and two more for each stretch; less would mean that memory did not run out.
    check!((9..64).contains(&failures));
    parent.fill(32, 9)?;
    check!(parent.holds(32, 9));
    Ok(())
}

fn faults_report_it_and_unmapping_works() -> TestResult {
    let mut parent = Sandbox::filled(64, 3)?;
    let mut child = parent.fork()?;
    let hog = Hog::new(0);
    check!(child.write(BASE, 1) == Err(FaultError::Oom));
    check!(child.holds(64, 3));
    child.space().munmap(crate::mm(), BASE, 20 * PAGE)?;
    check!(child.read(BASE + 20 * PAGE)? == 23);
    drop(hog);
    child.write(BASE + 20 * PAGE, 1)?;
    check!(parent.holds(64, 3));
    Ok(())
}
