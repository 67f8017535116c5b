//! Memory exhausted in the middle: errors instead of crashes, nothing leaked, contents intact.

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, PAGE, Sandbox};
use crate::errno::Errno;
use crate::mm::FaultError;

pub(super) const TESTS: &[Test] = &[
    test("exhaustion.fork_fails_cleanly_at_every_point", fork_fails_cleanly_at_every_point),
    test("exhaustion.faults_report_it_and_unmapping_works", faults_report_it_and_unmapping_works),
];

fn fork_fails_cleanly_at_every_point() -> TestResult {
    let mut parent = Sandbox::filled(32, 3)?;
    for stretch in 1..4 {
        parent.map(BASE + (stretch << 30), 1)?;
        parent.write(BASE + (stretch << 30), 1)?;
    }
    let mut failures = 0;
    let mut held = crate::mm().hold_all();
    for left in 0..64 {
        let result = parent.fork().map(drop);
        check!(crate::mm().free_pages() == left);
        check!(parent.holds(32, 3));
        match result {
            Ok(()) => break,
            Err(error) => {
                check!(error == Errno::ENOMEM);
                failures += 1;
            }
        }
        check!(held.release(1));
    }
    drop(held);
    // A top table, and one more for each stretch at least; less would mean that memory did not run out.
    check!((5..64).contains(&failures));
    parent.fill(32, 9)?;
    check!(parent.holds(32, 9));
    Ok(())
}

fn faults_report_it_and_unmapping_works() -> TestResult {
    let mut parent = Sandbox::filled(64, 3)?;
    let mut child = parent.fork()?;
    let held = crate::mm().hold_all();
    check!(child.write(BASE, 1) == Err(FaultError::Oom));
    check!(child.holds(64, 3));
    child.space().munmap(crate::mm(), BASE, 20 * PAGE)?;
    check!(child.read(BASE + 20 * PAGE)? == 23);
    drop(held);
    child.write(BASE + 20 * PAGE, 1)?;
    check!(parent.holds(64, 3));
    Ok(())
}
