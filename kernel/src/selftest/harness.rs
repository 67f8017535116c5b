//! What a test is, and how one is run and reported.

use crate::arch::time;
use crate::errno::Errno;
use crate::mm::FaultError;

/// Why a test failed.
#[derive(Debug)]
pub struct Failure {
    what: &'static str,
    file: &'static str,
    line: u32,
}

impl Failure {
    /// What did not hold, and where that was checked.
    pub const fn new(what: &'static str, file: &'static str, line: u32) -> Self {
        Failure { what, file, line }
    }
}

impl From<Errno> for Failure {
    #[track_caller]
    fn from(errno: Errno) -> Self {
        let at = core::panic::Location::caller();
        Failure::new(errno.name(), at.file(), at.line())
    }
}

impl From<FaultError> for Failure {
    #[track_caller]
    fn from(error: FaultError) -> Self {
        let at = core::panic::Location::caller();
        let what = match error {
            FaultError::MapErr => "unexpected fault: nothing mapped",
            FaultError::AccErr => "unexpected fault: not permitted",
            FaultError::Bus => "unexpected fault: behind the end",
            FaultError::Poison => "unexpected fault: contents lost",
            FaultError::UffdWp => "protected for userfaultfd",
            FaultError::UffdMissing | FaultError::UffdMinor => "left to userfaultfd",
            FaultError::Oom => "out of memory",
        };
        Failure::new(what, at.file(), at.line())
    }
}

/// What a test returns.
pub type TestResult = Result<(), Failure>;

/// A test and its name, `group.what_holds`.
pub struct Test {
    name: &'static str,
    run: fn() -> TestResult,
}

/// A test.
pub const fn test(name: &'static str, run: fn() -> TestResult) -> Test {
    Test { name, run }
}

/// How a test ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It held.
    Passed,
    /// It did not.
    Failed,
}

/// Returns a [`Failure`] from the test unless the condition holds.
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            return Err($crate::selftest::harness::Failure::new(stringify!($condition), file!(), line!()));
        }
    };
}

/// Runs one test as number `number` (1-based) and prints its line.
pub fn run_one(number: usize, test: &Test) -> Outcome {
    let frames_before = frames_free();
    let start = time::now_ns();
    let result = (test.run)();
    let micros = (time::now_ns() - start) / 1000;
    crate::arch::mmu::set_empty_user_table();
    let frames_after = frames_free();
    let result = result.and_then(|()| {
        if frames_after == frames_before {
            return Ok(());
        }
        crate::println!("# {}: {frames_before} frames free before, {frames_after} after", test.name);
        Err(Failure::new("leaked frames", file!(), line!()))
    });
    match result {
        Ok(()) => {
            crate::println!("ok {number} {} # {micros} us", test.name);
            Outcome::Passed
        }
        Err(failure) => {
            crate::println!("# {}:{}: {}", failure.file, failure.line, failure.what);
            crate::println!("not ok {number} {} # {micros} us", test.name);
            Outcome::Failed
        }
    }
}

/// Free frames; those that the heap and the stacks grew by count as free, since they keep them for good.
fn frames_free() -> u64 {
    crate::mm().free_pages() + crate::arch::kmap::frames::kept() as u64
}
