//! Address space identifiers: two address spaces do not see each other's translations, not even over a rollover.

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, Sandbox};
use crate::arch::machine::{Cpu, counted};
use crate::mm::asid::Context;

pub(super) const TESTS: &[Test] =
    &[test("asid.switching_needs_no_flush", switching_needs_no_flush), test("asid.rollover", rollover)];

fn switching_needs_no_flush() -> TestResult {
    let (mut a, mut b) = (Sandbox::filled(8, 1)?, Sandbox::filled(8, 100)?);
    let flushes = || counted(paging::Event::TlbiAsid) + counted(paging::Event::TlbiAll);
    let before = flushes();
    for _ in 0..10 {
        check!(a.holds(8, 1) && b.holds(8, 100));
    }
    check!(flushes() == before);
    check!(a.space().asid() != b.space().asid());
    Ok(())
}

fn rollover() -> TestResult {
    let mut sandbox = Sandbox::filled(1, 42)?;
    let before = counted(paging::Event::TlbiAll);
    let numbers = if crate::arch::features().asid16 { 1 << 16 } else { 1 << 8 };
    for _ in 0..numbers {
        crate::mm().asids.activate(&Cpu, &Context::new());
    }
    check!(counted(paging::Event::TlbiAll) == before + 1);
    check!(sandbox.read(BASE)? == 42);
    let mut other = Sandbox::filled(1, 43)?;
    check!(sandbox.read(BASE)? == 42 && other.read(BASE)? == 43);
    Ok(())
}
