//! Pinned pages on the machine: the frame, the parent's view and the child's, through the real tables and TLB.

use paging::{CONT_PTES, Event, Pfn};

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, PAGE, Sandbox};
use crate::arch::machine::counted;

pub(super) const TESTS: &[Test] = &[
    test("pin.fork_copies_and_the_parent_s_page_stays", fork_copies_and_the_parent_s_page_stays),
    test("pin.unshares_what_a_child_sees", unshares_what_a_child_sees),
    test("pin.outlives_the_mapping", outlives_the_mapping),
];

/// A pinned page's frame; unpinned when dropped.
struct Pinned(Pfn);

impl Pinned {
    fn new(sandbox: &mut Sandbox, addr: usize) -> core::result::Result<Self, crate::mm::FaultError> {
        let mut frames = [Pfn::new(0)];
        sandbox.space().pin_pages(crate::mm(), addr, false, &mut frames)?;
        Ok(Pinned(frames[0]))
    }

    /// The page's first word.
    fn word(&self) -> u64 {
        let mut bytes = [0; 8];
        crate::mm().read_pinned(self.0, 0, &mut bytes);
        u64::from_ne_bytes(bytes)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        crate::mm().unpin(self.0);
    }
}

fn fork_copies_and_the_parent_s_page_stays() -> TestResult {
    let pages = 3 * CONT_PTES;
    let mut parent = Sandbox::filled(pages, 1000)?;
    let page = CONT_PTES + 5;
    let pinned = Pinned::new(&mut parent, BASE + page * PAGE)?;
    let copies = counted(Event::ForkPinnedCopies);
    let mut child = parent.fork()?;
    check!(counted(Event::ForkPinnedCopies) > copies);
    let faults = counted(Event::PageFaults);
    parent.write(BASE + page * PAGE, 7)?;
    check!(counted(Event::PageFaults) == faults);
    check!(pinned.word() == 7);
    check!(child.holds(pages, 1000));
    child.write(BASE + page * PAGE, 8)?;
    check!(parent.read(BASE + page * PAGE)? == 7 && pinned.word() == 7);
    Ok(())
}

fn unshares_what_a_child_sees() -> TestResult {
    let mut parent = Sandbox::filled(CONT_PTES, 50)?;
    let mut child = parent.fork()?;
    // Cached read-only, and to be replaced for a pin that only reads.
    check!(parent.read(BASE + 2 * PAGE)? == 52);
    let pinned = Pinned::new(&mut parent, BASE + 2 * PAGE)?;
    check!(pinned.word() == 52);
    parent.write(BASE + 2 * PAGE, 99)?;
    check!(parent.read(BASE + 2 * PAGE)? == 99 && pinned.word() == 99);
    check!(child.holds(CONT_PTES, 50));
    Ok(())
}

fn outlives_the_mapping() -> TestResult {
    let mut parent = Sandbox::filled(CONT_PTES, 30)?;
    let pinned = Pinned::new(&mut parent, BASE + PAGE)?;
    parent.space().munmap(crate::mm(), BASE, CONT_PTES * PAGE)?;
    drop(parent);
    check!(pinned.word() == 31);
    Ok(())
}
