//! Runs tests, each in a child of its own, and prints KTAP.

use user::println;
use user::rt::start::Args;
use user::sys::process::{self, Pid, Status, WNOHANG, signal};
use user::sys::{Errno, memory, time};

/// Why a test did not pass.
pub enum Trouble {
    /// It failed; the details are printed already.
    Failed,
    /// A system call failed that was to succeed.
    Errno(Errno),
    /// It does not apply here.
    Skip(&'static str),
}

/// What a test returns.
pub type Outcome = Result<(), Trouble>;

/// A test: its name and what it does. The program's arguments tell it where its files are.
pub type Test = (&'static str, fn(Args) -> Outcome);

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        Trouble::Errno(errno)
    }
}

/// Fails the test unless the condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            user::println!("# {}:{}: not so: {}", file!(), line!(), stringify!($condition));
            return Err($crate::harness::Trouble::Failed);
        }
    };
}

/// Fails the test unless both sides are equal.
#[macro_export]
macro_rules! check_eq {
    ($left:expr, $right:expr) => {{
        let (left, right) = (&$left, &$right);
        if left != right {
            user::println!("# {}:{}: {} is {left:?}, not {right:?}", file!(), line!(), stringify!($left));
            return Err($crate::harness::Trouble::Failed);
        }
    }};
}

const PASSED: i32 = 0;
const FAILED: i32 = 1;
const SKIPPED: i32 = 2;

/// A test that takes longer than this hangs, in nanoseconds. Generous: emulation on a busy host is slow.
const TIME_LIMIT: u64 = 60_000_000_000;
/// How often the harness looks whether a test has ended, in nanoseconds.
const LOOK: u64 = 1_000_000;
/// Failures that an exit status can express besides success.
const MAX_STATUS: usize = 100;

/// Runs the tests that the arguments select, all without arguments. Returns the exit status.
pub fn run(groups: &[&[Test]], args: Args) -> i32 {
    let selected = |name: &str| args.len() < 2 || args.from(1).any(|word| name.contains(word));
    let tests = || groups.iter().flat_map(|group| group.iter()).filter(|(name, _)| selected(name));
    println!("KTAP version 1");
    println!("1..{}", tests().count());
    let [mut passed, mut failed, mut skipped] = [0; 3];
    // A test that skips itself says why through here.
    let Ok(reason) = memory::map(memory::page_size(), memory::READ_WRITE, memory::SHARED) else {
        println!("Bail out! no memory");
        return FAILED;
    };
    for (number, (name, test)) in tests().enumerate() {
        let number = number + 1;
        let reason = reason as *mut &'static str;
        let status = process::spawn(|| match test(args) {
            Ok(()) => PASSED,
            Err(Trouble::Failed) => FAILED,
            Err(Trouble::Errno(errno)) => {
                println!("# {name}: a system call failed with {errno}");
                FAILED
            }
            Err(Trouble::Skip(why)) => {
                // SAFETY: shared, mapped for good, and read only after this process has ended. The text is static,
                // at the same address in parent and child.
                unsafe { reason.write(why) };
                SKIPPED
            }
        })
        .and_then(wait_or_kill);
        match status.map(|status| (status, status.exited())) {
            Ok((_, Some(PASSED))) => {
                passed += 1;
                println!("ok {number} {name}");
            }
            Ok((_, Some(SKIPPED))) => {
                skipped += 1;
                // SAFETY: written by the test's process, which has ended.
                println!("ok {number} {name} # SKIP {}", unsafe { reason.read() });
            }
            Ok((status, exited)) => {
                failed += 1;
                if exited.is_none() {
                    println!("# {name}: ended by signal {:?}", status.signalled());
                }
                println!("not ok {number} {name}");
            }
            Err(errno) => {
                failed += 1;
                println!("# {name}: could not be run: {errno}");
                println!("not ok {number} {name}");
            }
        }
    }
    println!("# Totals: pass:{passed} fail:{failed} xfail:0 xpass:0 skip:{skipped} error:0");
    failed.min(MAX_STATUS) as i32
}

/// Waits for a test; kills it when its time is up.
fn wait_or_kill(pid: Pid) -> user::sys::Result<Status> {
    let start = time::now_ns();
    loop {
        if let Some((_, status)) = process::wait_for(pid, WNOHANG)? {
            return Ok(status);
        }
        if time::now_ns() - start > TIME_LIMIT {
            println!("# took longer than {} s: killed", TIME_LIMIT / 1_000_000_000);
            process::kill(pid, signal::SIGKILL)?;
            return process::wait(pid);
        }
        time::sleep_ns(LOOK)?;
    }
}

/// Runs `body` in a child and returns how it ended.
pub fn in_child(body: impl FnOnce() -> i32) -> Result<Status, Trouble> {
    Ok(process::wait(process::spawn(body)?)?)
}

/// Runs `body` in a child that is to be killed by `signal`.
pub fn killed_by<R>(signal: u32, body: impl FnOnce() -> R) -> Outcome {
    let status = in_child(|| {
        core::hint::black_box(body());
        0
    })?;
    check_eq!(status.signalled(), Some(signal));
    Ok(())
}

/// Runs `body` in a child that is to find that everything is as it should be.
pub fn child_passes(body: impl FnOnce() -> Outcome) -> Outcome {
    let status = in_child(|| as_status(body()))?;
    check_eq!(status.exited(), Some(PASSED));
    Ok(())
}

/// A child's outcome as its exit status, for a child that the test waits for itself.
pub fn as_status(outcome: Outcome) -> i32 {
    match outcome {
        Ok(()) => PASSED,
        Err(Trouble::Errno(errno)) => {
            println!("# in a child: a system call failed with {errno}");
            FAILED
        }
        Err(_) => FAILED,
    }
}
