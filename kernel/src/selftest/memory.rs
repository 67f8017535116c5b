//! Faults, zero pages, protection and advice, with the MMU on.

use linux_raw_sys::general::MADV_DONTNEED;

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, PAGE, Sandbox};
use crate::arch::probe;
use crate::mm::{FaultError, Prot};

pub(super) const TESTS: &[Test] = &[
    test("memory.untouched_memory_reads_zero_and_costs_nothing", untouched_memory_reads_zero),
    test("memory.unmapped_and_forbidden_accesses_are_refused", unmapped_and_forbidden_accesses_are_refused),
    test("memory.protection_changes_reach_the_tlb", protection_changes_reach_the_tlb),
    test("memory.dontneed_gives_zeroes", dontneed_gives_zeroes),
];

const RW: Prot = Prot::READ.union(Prot::WRITE);

fn untouched_memory_reads_zero() -> TestResult {
    let mut sandbox = Sandbox::new()?;
    sandbox.map(BASE, 32)?;
    check!(sandbox.read(BASE + 3 * PAGE)? == 0 && sandbox.read(BASE + 31 * PAGE)? == 0);
    check!(sandbox.space().usage(crate::mm()).rss_pages == 0);
    sandbox.write(BASE + 3 * PAGE, 4)?;
    check!(sandbox.read(BASE + 3 * PAGE)? == 4 && sandbox.read(BASE + 31 * PAGE)? == 0);
    Ok(())
}

fn unmapped_and_forbidden_accesses_are_refused() -> TestResult {
    let mut sandbox = Sandbox::filled(2, 0)?;
    check!(sandbox.read(BASE + 2 * PAGE) == Err(FaultError::MapErr));
    check!(sandbox.read(0) == Err(FaultError::MapErr));
    // An address of the kernel's half, as EL0.
    check!(sandbox.read(crate::arch::layout::LINEAR_BASE + 0x4000_0000) == Err(FaultError::MapErr));
    sandbox.space().mprotect(crate::mm(), BASE, PAGE, Prot::READ)?;
    check!(sandbox.write(BASE, 1) == Err(FaultError::AccErr));
    check!(sandbox.read(BASE)? == 0);
    Ok(())
}

fn protection_changes_reach_the_tlb() -> TestResult {
    let mut sandbox = Sandbox::filled(64, 0)?;
    // Written just now, so the TLB lets writes through.
    sandbox.space().mprotect(crate::mm(), BASE + 4 * PAGE, 40 * PAGE, Prot::READ)?;
    for page in 0..64 {
        let forbidden = (4..44).contains(&page);
        check!(probe::store_user(BASE + page * PAGE, page as u64).is_err() == forbidden);
    }
    sandbox.space().mprotect(crate::mm(), BASE, 64 * PAGE, Prot::empty())?;
    check!((0..64).all(|page| probe::load_user(BASE + page * PAGE).is_err()));
    sandbox.space().mprotect(crate::mm(), BASE, 64 * PAGE, RW)?;
    check!(sandbox.holds(64, 0));
    sandbox.fill(64, 9)?;
    check!(sandbox.holds(64, 9));
    Ok(())
}

fn dontneed_gives_zeroes() -> TestResult {
    let mut sandbox = Sandbox::filled(48, 1)?;
    sandbox.space().madvise(crate::mm(), BASE + 8 * PAGE, 32 * PAGE, MADV_DONTNEED)?;
    for page in 0..48 {
        let gone = (8..40).contains(&page);
        check!(sandbox.read(BASE + page * PAGE)? == if gone { 0 } else { 1 + page as u64 });
    }
    Ok(())
}
