//! What catches a bug: the host's tests, or a boot under the referee.

use std::process::{Command, Output};

use super::tree::Tree;

/// Whether a bug was noticed.
pub enum Verdict {
    /// Noticed, by this.
    Caught(String),
    /// Not noticed.
    Survived,
}

impl Verdict {
    /// What noticed it.
    pub fn by(&self) -> Option<&str> {
        match self {
            Verdict::Caught(by) => Some(by),
            Verdict::Survived => None,
        }
    }
}

/// Seconds that the tests of one crate may take. A bug may well be one that never ends.
const PATIENCE: u32 = 300;

/// Runs the host tests of the library crates in `tree`: first those whose names contain `test`, if there is one, and all
/// only if these pass.
pub fn on_host(tree: &Tree, test: Option<&str>) -> Result<Verdict, String> {
    match test {
        Some(test) => match host_tests(tree, test)? {
            Verdict::Survived => host_tests(tree, ""),
            caught => Ok(caught),
        },
        None => host_tests(tree, ""),
    }
}

/// Runs the host tests whose names contain `filter`, fewer random sequences than usual: each bug gets its share.
fn host_tests(tree: &Tree, filter: &str) -> Result<Verdict, String> {
    // Each program of tests is run by the script, which ends it with a status of its own.
    let timeout = std::path::absolute(tree.root().join("scripts/timeout.pl"))
        .map_err(|error| format!("scripts/timeout.pl: {error}"))?;
    let runner = format!("target.'cfg(all())'.runner = ['perl', '{}', '{PATIENCE}']", timeout.display());
    let mut cargo = Command::new("cargo");
    // Each bug is built once and run for seconds: building fast matters more than running fast.
    for package in ["kernel", "model", "paging"] {
        cargo.args(["--config", &format!("profile.test.package.{package}.opt-level=1")]);
    }
    let output = cargo
        .args(["--config", &runner])
        .args([
            "test",
            "--locked",
            "--no-fail-fast",
            "-p",
            "paging",
            "-p",
            "model",
            "-p",
            "kernel",
            "--lib",
            "--tests",
        ])
        .args(["--target-dir", "target/mutants/build", "--manifest-path"])
        .arg(tree.root().join("Cargo.toml"))
        .args(["--", filter])
        .env("PLEAT_SEQUENCES", "3000")
        .env("PLEAT_DEPTH", "3")
        .env("RUST_BACKTRACE", "0")
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    if output.status.success() {
        return Ok(Verdict::Survived);
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let tests = match failed_tests(&said).as_slice() {
        [] if late(&output) => "host tests that never end".to_owned(),
        [] => return Err(format!("no test ran:\n{}", tail(&output))),
        [only] => format!("host test {only}"),
        [first, rest @ ..] => format!("host test {first} and {} more", rest.len()),
    };
    Ok(Verdict::Caught(match broken_rule(&said) {
        Some(rule) => format!("the model ({rule}); {tests}"),
        None => tests,
    }))
}

/// Boots the mutated kernel under the referee: self-tests, then a short storm.
pub fn in_qemu(tree: &Tree) -> Result<Verdict, String> {
    let script = |name: &str| {
        let output = Command::new(format!("scripts/{name}"))
            .current_dir(tree.root())
            .env("CPU", "max")
            .env("ARGS", "storm --mib=4 --sizes=64 --ops=fork,exit,cow,munmap")
            // Built fast rather than to run fast.
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .output();
        output.map_err(|error| format!("scripts/{name}: {error}"))
    };
    let built = script("image.sh")?;
    if !built.status.success() {
        return Err(format!("the mutated kernel does not build:\n{}", tail(&built)));
    }
    let booted = script("referee.sh")?;
    if booted.status.success() {
        return Ok(Verdict::Survived);
    }
    let said = String::from_utf8_lossy(&booted.stdout);
    let log =
        std::fs::read_to_string(tree.root().join("target/pleat/logs/referee-max.log")).unwrap_or_default();
    let violation = said.lines().find_map(|line| line.split_once("violation: ").map(|(_, rule)| rule));
    let failure = log.lines().find(|line| line.starts_with("not ok"));
    match violation.or(failure) {
        Some(line) => Ok(Verdict::Caught(format!("booted: {}", line.trim()))),
        None => Err(format!("the boot failed for another reason:\n{}", tail(&booted))),
    }
}

/// The rule that the first violation in a test's output names: `  rule:  NAME (citation)`.
fn broken_rule(output: &str) -> Option<&str> {
    let line = output.lines().find_map(|line| line.strip_prefix("  rule:  "))?;
    line.split(" (").next()
}

/// The names of the tests that failed, those that name a rule of their own before those of random sequences.
fn failed_tests(output: &str) -> Vec<&str> {
    let failed = |line: &'_ str| line.starts_with("test ") && line.ends_with("... FAILED");
    let mut names: Vec<_> =
        output.lines().filter(|line| failed(line)).filter_map(|l| l.split(' ').nth(1)).collect();
    names.sort_by_key(|name| name.contains("random") || name.contains("exhaustive"));
    names
}

/// Whether a program of tests was ended by the script that runs it.
fn late(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stderr).contains("(exit status: 124)")
}

fn tail(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = said.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_ended_is_told_from_one_that_did_not_run() {
        let output = |stderr: &str| Output {
            status: std::process::ExitStatus::default(),
            stdout: Vec::new(),
            stderr: stderr.as_bytes().to_vec(),
        };
        assert!(late(&output("process didn't exit successfully: `x` (exit status: 124)\n")));
        assert!(!late(&output("process didn't exit successfully: `x` (exit status: 101)\n")));
    }

    #[test]
    fn failed_tests_are_found_specific_ones_first() {
        let output = "test a::random_x ... FAILED\ntest b::c ... ok\ntest d::e ... FAILED\nfailures:\n";
        assert_eq!(failed_tests(output), ["d::e", "a::random_x"]);
        assert_eq!(broken_rule(output), None);
    }

    #[test]
    fn the_rule_of_a_violation_is_found() {
        let output = "violation: x\n  rule:  StaleAtReturn (Linux: y)\n  events:\n";
        assert_eq!(broken_rule(output), Some("StaleAtReturn"));
    }
}
