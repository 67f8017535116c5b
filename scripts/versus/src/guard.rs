//! Committed limits for what a boot measured: a change that makes something dearer is to be noticed when it is made.
//!
//! A limit is a line of a CSV file. Instruction counts are the same on every machine, so a limit may be near to what is
//! measured: [`SLACK`] above it. TLBIs and barriers may not become more at all.

use std::fmt::Write;

use crate::log::{Row, Run};
use crate::pair::folio_name;

/// How far above the measured figure a new limit is: two per cent.
const SLACK: f64 = 1.02;

/// The first line of the file.
const TITLES: &str = "cpu,operation,folio,per,instructions,tlbis,dsbs";

/// What one measurement may cost.
#[derive(Clone, PartialEq, Debug)]
pub struct Limit {
    /// The CPU model.
    cpu: String,
    /// The operation.
    op: String,
    /// The folio's name.
    folio: String,
    /// `page` or `call`.
    per: String,
    /// The most instructions by the page or by the call.
    instructions: f64,
    /// The most TLBIs of all kinds, in the whole window.
    tlbis: u64,
    /// The most DSBs of both kinds, in the whole window.
    dsbs: u64,
}

/// A boot on a CPU model.
pub struct Boot {
    /// The model.
    pub cpu: String,
    /// What it measured.
    pub run: Run,
}

impl Limit {
    /// What `row` costs, taken for a limit without slack.
    fn measured(cpu: &str, row: &Row) -> Self {
        let sum = |names: &[&str]| names.iter().filter_map(|name| row.events.get(*name)).sum();
        Limit {
            cpu: cpu.into(),
            op: row.op.clone(),
            folio: folio_name(row.folio()),
            per: if row.pages == 0 { "call" } else { "page" }.into(),
            instructions: row.figure(),
            tlbis: sum(&["tlbi_va", "tlbi_range", "tlbi_asid", "tlbi_all"]),
            dsbs: sum(&["dsb_ish", "dsb_ishst"]),
        }
    }

    fn is_for(&self, other: &Limit) -> bool {
        (&self.cpu, &self.op, &self.folio, &self.per) == (&other.cpu, &other.op, &other.folio, &other.per)
    }

    /// `fork 64K on max`; what is measured by the call has nothing to do with folios.
    fn name(&self) -> String {
        let Limit { cpu, op, folio, .. } = self;
        if self.per == "call" { format!("{op} on {cpu}") } else { format!("{op} {folio} on {cpu}") }
    }

    fn figure(&self, instructions: f64) -> String {
        if self.per == "call" { format!("{instructions:.0}") } else { format!("{instructions:.2}") }
    }

    fn line(&self) -> String {
        let Limit { cpu, op, folio, per, tlbis, dsbs, .. } = self;
        format!("{cpu},{op},{folio},{per},{},{tlbis},{dsbs}", self.figure(self.instructions))
    }

    fn parse(line: &str) -> Option<Self> {
        let [cpu, op, folio, per, instructions, tlbis, dsbs] =
            line.split(',').collect::<Vec<_>>().try_into().ok()?;
        let per = Some(per).filter(|per| ["page", "call"].contains(per))?;
        Some(Limit {
            cpu: cpu.into(),
            op: op.into(),
            folio: folio.into(),
            per: per.into(),
            instructions: instructions.parse().ok().filter(|n: &f64| n.is_finite())?,
            tlbis: tlbis.parse().ok()?,
            dsbs: dsbs.parse().ok()?,
        })
    }
}

/// Reads a file of limits.
///
/// # Errors
/// It is not one, or has none.
pub fn parse(text: &str) -> Result<Vec<Limit>, String> {
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#'));
    if lines.next().map(|(_, line)| line) != Some(TITLES) {
        return Err(format!("the first line is not `{TITLES}`"));
    }
    let limit = |(number, line)| Limit::parse(line).ok_or(format!("line {number} is no limit: {line}"));
    let limits: Vec<Limit> = lines.map(limit).collect::<Result<_, String>>()?;
    if limits.is_empty() { Err("no limits".into()) } else { Ok(limits) }
}

/// Limits a little above what the boots measured, as a file.
pub fn update(boots: &[Boot]) -> String {
    let mut text = String::from(
        "# Written by `make guard UPDATE=1`: what may be needed at most, per 4 KiB page or call.\n",
    );
    text += TITLES;
    text.push('\n');
    for limit in measured(boots) {
        let slack = if limit.instructions > 0.0 { SLACK } else { 1.0 };
        // At least a hundredth, which is all that the file shows.
        let least = if limit.per == "call" { 1.0 } else { 0.01 };
        let instructions = (limit.instructions * slack).max(limit.instructions + least);
        let _ = writeln!(text, "{}", Limit { instructions, ..limit }.line());
    }
    text
}

/// What was looked at, and what is wrong.
pub struct Verdict {
    /// A line for each transgression.
    pub failures: Vec<String>,
    /// Limits that were looked at.
    pub count: usize,
    /// Those that what was measured is so far below that they guard little.
    pub loose: Vec<String>,
}

/// Holds the boots against the limits.
pub fn check(limits: &[Limit], boots: &[Boot]) -> Verdict {
    let measured = measured(boots);
    let mut verdict = Verdict { failures: Vec::new(), count: limits.len(), loose: Vec::new() };
    for limit in limits {
        let name = limit.name();
        let Some(row) = measured.iter().find(|row| row.is_for(limit)) else {
            verdict.failures.push(format!("{name}: not measured"));
            continue;
        };
        let (is, most) = (limit.figure(row.instructions), limit.figure(limit.instructions));
        if row.instructions > limit.instructions {
            let per = if limit.per == "page" { " per page" } else { "" };
            verdict.failures.push(format!("{name}: {is} instructions{per}, limit {most}"));
        } else if row.instructions < limit.instructions / SLACK / SLACK - 0.02 {
            verdict.loose.push(format!("{name}: {is}, limit {most}"));
        }
        for (what, is, most) in [("TLBIs", row.tlbis, limit.tlbis), ("DSBs", row.dsbs, limit.dsbs)] {
            if is > most {
                verdict.failures.push(format!("{name}: {is} {what}, limit {most}"));
            }
        }
    }
    for row in &measured {
        if !limits.iter().any(|limit| limit.is_for(row)) {
            verdict.failures.push(format!("{}: no limit", row.name()));
        }
    }
    verdict
}

/// What the boots measured. Of what is measured by the call for each folio size, only the first: it is the same.
fn measured(boots: &[Boot]) -> Vec<Limit> {
    let mut all: Vec<Limit> = Vec::new();
    for Boot { cpu, run } in boots {
        for row in run.rows.iter().map(|row| Limit::measured(cpu, row)) {
            let seen = |other: &Limit| row.per == "call" && other.cpu == row.cpu && other.op == row.op;
            if !all.iter().any(seen) {
                all.push(row);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy;

    fn boot(cpu: &str, figures: &[toy::Figure]) -> Boot {
        Boot { cpu: cpu.into(), run: Run::parse(&toy::log("Pleat", figures)).unwrap() }
    }

    fn limits() -> Vec<Limit> {
        parse(&update(&[boot("max", &[("fork", 64, false, 6.5), ("exit", 4, false, 0.0)])])).unwrap()
    }

    #[test]
    fn what_was_measured_is_within_the_limits_made_of_it() {
        let boots = [
            boot("max", &[("fork", 64, false, 6.5), ("fork", 2048, true, -0.003), ("exit", 4, false, 0.0)]),
            boot("neoverse-n1", &[("fork", 64, false, 7.5)]),
        ];
        let limits = parse(&update(&boots)).unwrap();
        let verdict = check(&limits, &boots);
        assert_eq!((verdict.failures, verdict.loose, verdict.count), (vec![], vec![], 4));
    }

    #[test]
    fn a_dearer_row_fails_by_its_name() {
        let verdict = check(&limits(), &[boot("max", &[("fork", 64, false, 7.3), ("exit", 4, false, 0.0)])]);
        assert_eq!(verdict.failures, ["fork 64K on max: 7.30 instructions per page, limit 6.63"]);
    }

    #[test]
    fn one_barrier_more_fails() {
        let mut boot = boot("max", &[("fork", 64, false, 6.5), ("exit", 4, false, 0.0)]);
        boot.run.rows[0].events.insert("dsb_ishst".into(), 1);
        boot.run.rows[1].events.insert("tlbi_asid".into(), 2);
        assert_eq!(
            check(&limits(), &[boot]).failures,
            ["fork 64K on max: 2 DSBs, limit 1", "exit 4K on max: 2 TLBIs, limit 0"]
        );
    }

    #[test]
    fn rows_without_limits_and_limits_without_rows_fail() {
        let verdict = check(&limits(), &[boot("max", &[("fork", 64, false, 6.5), ("fork2", 4, false, 1.0)])]);
        assert_eq!(verdict.failures, ["exit 4K on max: not measured", "fork2 4K on max: no limit"]);
    }

    #[test]
    fn a_limit_far_above_is_said_to_be_loose() {
        let verdict = check(&limits(), &[boot("max", &[("fork", 64, false, 3.0), ("exit", 4, false, 0.0)])]);
        assert!(verdict.failures.is_empty());
        assert_eq!(verdict.loose, ["fork 64K on max: 3.00, limit 6.63"]);
    }

    #[test]
    fn whole_calls_are_named_without_a_folio_and_once() {
        let mut boot = boot("max", &[("fork_fixed", 4, false, 3.0), ("fork_fixed", 64, false, 3.0)]);
        boot.run.rows.iter_mut().for_each(|row| row.pages = 0);
        let limits = parse(&update(std::slice::from_ref(&boot))).unwrap();
        assert_eq!((limits.len(), limits[0].name().as_str()), (1, "fork_fixed on max"));
        boot.run.rows[0].instructions *= 2;
        assert_eq!(check(&limits, &[boot]).failures, ["fork_fixed on max: 6154 instructions, limit 3139"]);
    }

    #[test]
    fn broken_files_are_refused() {
        for text in ["", "cpu,row\n", TITLES, &format!("{TITLES}\nmax,fork,64K,page,x,1,1\n")] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse(&format!("{TITLES}\nmax,fork,64K,week,1,1,1\n")).is_err());
    }
}
