//! The self-tests that run on each boot, before the first process: what can only be seen on the machine itself.
//!
//! Host tests show that tables hold what they should; these show that hardware does with them what we think it
//! does. Output is KTAP (Linux: `Documentation/dev-tools/ktap.rst`), a line a test with its time. After each test as
//! many frames must be free as before.

#[macro_use]
mod harness;
mod allocator;
mod asid;
mod contpte;
mod decay;
mod descriptors;
mod entries;
mod exhaustion;
mod flush;
mod fork;
mod kernel_map;
mod memory;
mod pin;
mod pmd;
mod sandbox;
mod string;
mod uffd_wp;

use harness::{Failure, Outcome, Test, test};

/// All tests, in the order in which they run: each may rely on what those before it showed.
const TESTS: &[&[Test]] = &[
    kernel_map::TESTS,
    string::TESTS,
    allocator::TESTS,
    entries::TESTS,
    descriptors::TESTS,
    flush::TESTS,
    contpte::TESTS,
    memory::TESTS,
    fork::TESTS,
    pin::TESTS,
    decay::TESTS,
    pmd::TESTS,
    uffd_wp::TESTS,
    exhaustion::TESTS,
    asid::TESTS,
];

/// A test that fails, to see that failure is noticed all the way up to the exit status.
const FAILING: &[Test] =
    &[test("selftest.fails_on_purpose", || Err(Failure::new("asked to fail", file!(), line!())))];

/// Runs all tests, and with `fail` one that fails; returns whether all passed.
pub fn run(fail: bool) -> bool {
    let tests = || TESTS.iter().copied().chain(fail.then_some(FAILING)).flatten();
    crate::println!("KTAP version 1");
    crate::println!("1..{}", tests().count());
    let mut failed = 0;
    for (index, test) in tests().enumerate() {
        failed += usize::from(harness::run_one(index + 1, test) == Outcome::Failed);
    }
    let passed = tests().count() - failed;
    crate::println!("# Totals: pass:{passed} fail:{failed} skip:0 error:0");
    failed == 0
}
