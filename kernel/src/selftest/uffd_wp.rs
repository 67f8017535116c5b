//! Write-protection for userfaultfd on the machine: faults, forks and flushes for real, as there is no file for
//! monitors yet.

use linux_raw_sys::general::MADV_PAGEOUT;

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, BLOCK, OnlyOrder, PAGE, Sandbox};
use crate::mm::FaultError;
use crate::mm::policy::BLOCK_ORDER;

/// Pages write-protected, in whole blocks; half of them are then let go.
const PAGES: usize = 4 * BLOCK;
const HALF: usize = 2 * BLOCK;

pub(super) const TESTS: &[Test] = &[
    test("uffd_wp.reports_writes_and_keeps_blocks", reports_writes_and_keeps_blocks),
    test("uffd_wp.fork_drops_it", || fork(false)),
    test("uffd_wp.fork_keeps_it_for_a_monitor_that_hears_of_it", || fork(true)),
];

fn reports_writes_and_keeps_blocks() -> TestResult {
    let _order = OnlyOrder::new(BLOCK_ORDER);
    // The TLB holds writable entries for all of it.
    let mut parent = Sandbox::filled(PAGES, 0)?;
    let mm = crate::mm();
    parent.space().uffd_register_wp(mm, BASE, PAGES * PAGE, false)?;
    parent.space().uffd_writeprotect(mm, BASE, PAGES * PAGE, true)?;
    check!(parent.folded(PAGES) == PAGES);
    check!((0..PAGES).all(|page| parent.write(BASE + page * PAGE, 1) == Err(FaultError::UffdWp)));
    check!(parent.holds(PAGES, 0));
    parent.space().uffd_writeprotect(mm, BASE, HALF * PAGE, false)?;
    parent.fill(HALF, 9)?;
    check!(parent.folded(PAGES) == PAGES && parent.holds(HALF, 9));
    check!(parent.write(BASE + HALF * PAGE, 1) == Err(FaultError::UffdWp));
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
