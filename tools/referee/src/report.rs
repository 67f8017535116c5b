//! Violations and summaries, in words.

use std::fmt::Write;

use model::{Step, Violation};

use crate::symbols::Symbols;
use crate::watch::Watch;

/// The deepest call chain that is printed.
const DEPTH: usize = 16;

/// A violation with the events that led to it and the functions they happened in. `frames`: the return addresses on
/// the stack, innermost first.
pub fn violation(violation: &Violation, symbols: &Symbols, frames: &[u64]) -> String {
    let bare = Violation { origin: None, steps: Vec::new(), ..violation.clone() };
    let mut text = bare.to_string();
    let mut place = String::new();
    let mut line = |text: &mut String, step: &Step| {
        let mut untagged = *step;
        untagged.event.tag = 0;
        let _ = writeln!(text, "    {untagged}");
        let name = symbols.name(step.event.tag);
        // A loop's stores are all in one place: once will do.
        if name != place {
            let _ = writeln!(text, "        in {name}");
            place = name;
        }
    };
    if let Some(origin) = violation.origin.filter(|origin| !violation.steps.contains(origin)) {
        line(&mut text, &origin);
        text.push_str("    ...\n");
    }
    for step in &violation.steps {
        line(&mut text, step);
    }
    if !frames.is_empty() {
        text.push_str("  called from:\n");
        for &frame in frames {
            // The address returned to is behind the call, which may be the caller's last instruction.
            let _ = writeln!(text, "    {}", symbols.name(frame.wrapping_sub(4)));
        }
    }
    text
}

/// The return addresses on the kernel stack of `cpu`, from frame pointer `fp` up (AAPCS64, "The Frame Pointer").
pub fn frames(watch: &Watch, cpu: usize, mut fp: u64) -> Vec<u64> {
    let regime = watch.regime(cpu);
    let word = |va: u64| {
        let leaf = regime.translate(|pa| watch.shadow.load(pa), va)?;
        Some(watch.shadow.load(leaf.pa))
    };
    let mut frames = Vec::new();
    while frames.len() < DEPTH && fp >> 63 == 1 && fp.is_multiple_of(8) {
        let (Some(next), Some(lr)) = (word(fp), word(fp + 8)) else { break };
        if lr >> 63 == 0 {
            break;
        }
        frames.push(lr);
        // Stacks grow down, so a chain that does not go up has no end.
        if next <= fp {
            break;
        }
        fp = next;
    }
    frames
}

/// What a run without a violation has to show.
pub fn summary(watch: &Watch) -> String {
    let (tables, stale) = watch.peak;
    let mut text = format!(
        "0 violations\n  events: {}\n  {} stores by the kernel; at most {tables} tables and {stale} possibly stale translations \
         at once, {} tables at the end",
        watch.counts,
        watch.stores,
        watch.size().0,
    );
    if watch.claims != 0 {
        let _ = write!(text, "\n  {} claims of programs about their memory, all true", watch.claims);
    }
    if watch.surprises != 0 {
        let _ = write!(
            text,
            "\n  {} descriptors held what no store put there: the shadow is incomplete",
            watch.surprises
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use model::{Action, Event, Rule};

    use super::*;
    use crate::insn::{Insn, SystemRegister};
    use crate::options::Options;
    use crate::shadow::{RAM_BASE, Shadow};

    fn step(number: u64, tag: u64) -> Step {
        Step { number, event: Event::new(0, Action::Isb).tagged(tag), place: None }
    }

    #[test]
    fn a_violation_names_each_place_once() {
        let steps = vec![step(2, 0x8000), step(3, 0x8000), step(4, 0x9000)];
        let broken = Violation {
            rule: Rule::StaleAtReturn,
            cause: None,
            place: None,
            old: 0,
            new: 0,
            origin: Some(step(1, 0x7000)),
            steps,
        };
        let text = violation(&broken, &Symbols::new(None).unwrap(), &[0xa004]);
        let events = text.split_once("events:\n").unwrap().1;
        let wanted = "    #1 cpu 0: ISB\n        in 0x7000\n    ...\n    #2 cpu 0: ISB\n        in 0x8000\n    #3 cpu 0: ISB\n    \
                      #4 cpu 0: ISB\n        in 0x9000\n  called from:\n    0xa000\n";
        assert_eq!(events, wanted);
    }

    #[test]
    fn frame_records_are_followed_upwards_only() {
        let mut watch = Watch::new(&Options::default(), Shadow::new().unwrap(), None);
        // One 2 MiB block: 0xffff_ffff_c000_0000 is RAM_BASE, with tables at RAM_BASE + 1 MiB.
        let tables = RAM_BASE + (1 << 20);
        watch.execute(0, 0, Insn::Msr(SystemRegister::Tcr, 0), 16 | 25 << 16 | 2 << 30).unwrap();
        watch.execute(0, 0, Insn::Msr(SystemRegister::Ttbr1, 0), tables).unwrap();
        watch.shadow.store(tables + 511 * 8, (tables + 0x1000) | 3);
        watch.shadow.store(tables + 0x1000, RAM_BASE | 1);
        watch.execute(0, 0, Insn::Msr(SystemRegister::Sctlr, 0), 1).unwrap();
        let va = 0xffff_ffff_c000_0000;
        let mut record = |at: u64, next: u64, lr: u64| {
            watch.shadow.store(RAM_BASE + at, next);
            watch.shadow.store(RAM_BASE + at + 8, lr);
        };
        record(0x100, va + 0x200, u64::MAX - 7);
        record(0x200, va + 0x300, u64::MAX - 3);
        record(0x300, va + 0x100, u64::MAX);
        assert_eq!(frames(&watch, 0, va + 0x100), [u64::MAX - 7, u64::MAX - 3, u64::MAX]);
        assert_eq!(frames(&watch, 0, 0), []);
        assert_eq!(frames(&watch, 0, va - 8), [], "not mapped");
    }
}
