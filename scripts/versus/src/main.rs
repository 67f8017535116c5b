//! `versus`: what the benchmark measured against what it is to be held against.
//!
//! It reads serial logs of boots ([`log`]).
//! - Against another kernel: joins the measurements of two boots by operation and folio size ([`pair`]), and writes a table
//!   to the terminal ([`table`]), everything measured as JSON, and a chart ([`chart`]).
//! - Against committed limits ([`guard`]).
//! - Against itself with less of everything, as a chart ([`scale`]).

mod chart;
mod guard;
mod log;
mod pair;
mod scale;
mod table;
#[cfg(test)]
mod toy;

use std::path::Path;
use std::process::ExitCode;

use guard::Boot;
use log::Run;
use pair::Comparison;

const USAGE: &str = "\
usage: versus kernels <log of the one> <log of the other> <out.json> <out.svg>
       versus guard [--update] <limits.csv> <CPU>=<log>...
       versus scale <log> <out.svg>";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["kernels", one, other, json, svg] => compare(one, other, json, svg),
        ["guard", "--update", limits, boots @ ..] if !boots.is_empty() => update(limits, boots),
        ["guard", limits, boots @ ..] if !boots.is_empty() => check(limits, boots),
        ["scale", log, svg] => scale(log, svg),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("versus: {message}");
            ExitCode::FAILURE
        }
    }
}

fn compare(one: &str, other: &str, json: &str, svg: &str) -> Result<String, String> {
    let comparison = Comparison::new(read(one)?, read(other)?)?;
    let text = serde_json::to_string_pretty(&comparison).map_err(|e| e.to_string())?;
    std::fs::write(json, text + "\n").map_err(|e| format!("{json}: {e}"))?;
    chart::write(&comparison, Path::new(svg)).map_err(|e| format!("{svg}: {e}"))?;
    Ok(table::show(&comparison))
}

/// Holds boots against the limits in a file.
fn check(limits: &str, boots: &[&str]) -> Result<String, String> {
    let text = std::fs::read_to_string(limits).map_err(|e| format!("{limits}: {e}"))?;
    let verdict =
        guard::check(&guard::parse(&text).map_err(|e| format!("{limits}: {e}"))?, &read_all(boots)?);
    for loose in &verdict.loose {
        println!("far below its limit, which could be lower: {loose}");
    }
    let (count, failed) = (verdict.count, verdict.failures.len());
    if failed == 0 {
        return Ok(format!("{count} rows within their limits\n"));
    }
    verdict.failures.iter().for_each(|failure| println!("{failure}"));
    Err(format!("{failed} transgressions of {count} limits (make guard UPDATE=1 accepts them)"))
}

/// Writes limits for what boots measured.
fn update(limits: &str, boots: &[&str]) -> Result<String, String> {
    let text = guard::update(&read_all(boots)?);
    let count = guard::parse(&text)?.len();
    std::fs::write(limits, text).map_err(|e| format!("{limits}: {e}"))?;
    Ok(format!("{limits}: {count} limits\n"))
}

fn read_all(boots: &[&str]) -> Result<Vec<Boot>, String> {
    let boot = |word: &&str| {
        let (cpu, log) = word.split_once('=').ok_or(format!("`{word}` is not <CPU>=<log>"))?;
        let run = read(log)?;
        if run.unit != "instructions" {
            return Err(format!("{log}: it counts {}, not instructions", run.unit));
        }
        Ok(Boot { cpu: cpu.into(), run })
    };
    boots.iter().map(boot).collect()
}

/// Draws how costs grow.
fn scale(log: &str, svg: &str) -> Result<String, String> {
    let run = read(log)?;
    let panels = scale::panels(&run).map_err(|e| format!("{log}: {e}"))?;
    scale::write(&run, &panels, Path::new(svg)).map_err(|e| format!("{svg}: {e}"))?;
    Ok(scale::show(&panels) + svg + "\n")
}

fn read(path: &str) -> Result<Run, String> {
    let log = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
    Run::parse(&String::from_utf8_lossy(&log)).map_err(|e| format!("{path}: {e}"))
}
