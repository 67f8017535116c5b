//! Write-protection for userfaultfd on the machine: faults, forks and flushes for real, as there is no file for
//! monitors yet.

use linux_raw_sys::general::MADV_PAGEOUT;

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, PAGE, Sandbox};
use crate::mm::FaultError;

pub(super) const TESTS: &[Test] = &[
    test("uffd_wp.reports_writes_and_keeps_blocks", reports_writes_and_keeps_blocks),
    test("uffd_wp.fork_drops_it", || fork(false)),
    test("uffd_wp.fork_keeps_it_for_a_monitor_that_hears_of_it", || fork(true)),
];

fn reports_writes_and_keeps_blocks() -> TestResult {
    // The TLB holds writable entries for all of it.
    let mut parent = Sandbox::filled(64, 0)?;
    let mm = crate::mm();
    parent.space().uffd_register_wp(mm, BASE, 64 * PAGE, false)?;
    parent.space().uffd_writeprotect(mm, BASE, 64 * PAGE, true)?;
    check!(parent.folded(64) == 64);
    check!((0..64).all(|page| parent.write(BASE + page * PAGE, 1) == Err(FaultError::UffdWp)));
    check!(parent.holds(64, 0));
    parent.space().uffd_writeprotect(mm, BASE, 32 * PAGE, false)?;
    parent.fill(32, 9)?;
    check!(parent.folded(64) == 64 && parent.holds(32, 9));
    check!(parent.write(BASE + 32 * PAGE, 1) == Err(FaultError::UffdWp));
    Ok(())
}

/// One page that is present, one in swap, one that is not there yet.
fn fork(events: bool) -> TestResult {
    let mm = crate::mm();
    let ours = mm.swap_on(64).is_ok();
    let outcome = (|| {
        let mut parent = Sandbox::filled(32, 0)?;
        parent.map(BASE + 64 * PAGE, 1)?;
        let space = parent.space();
        space.madvise(mm, BASE + 4 * PAGE, PAGE, MADV_PAGEOUT)?;
        let pages = [BASE + 3 * PAGE, BASE + 4 * PAGE, BASE + 64 * PAGE];
        for addr in pages {
            space.uffd_register_wp(mm, addr, PAGE, events)?;
            space.uffd_writeprotect(mm, addr, PAGE, true)?;
        }
        let mut child = parent.fork()?;
        for addr in pages {
            check!(parent.write(addr, 1) == Err(FaultError::UffdWp));
            check!(child.write(addr, 1) == if events { Err(FaultError::UffdWp) } else { Ok(()) });
        }
        check!(parent.holds(32, 0) && parent.read(BASE + 64 * PAGE)? == 0);
        Ok(())
    })();
    if ours {
        mm.swap_off()?;
    }
    outcome
}
