//! `versus`: the same benchmark on two kernels, side by side.
//!
//! It reads the serial logs of the two boots ([`log`]), joins their measurements by operation and folio size ([`pair`]),
//! and writes a table to the terminal ([`table`]), everything measured as JSON, and a chart ([`chart`]).

mod chart;
mod log;
mod pair;
mod table;
#[cfg(test)]
mod toy;

use std::path::Path;
use std::process::ExitCode;

use log::Run;
use pair::Comparison;

const USAGE: &str = "usage: versus <log of the one> <log of the other> <out.json> <out.svg>";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [one, other, json, svg] = args.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match compare(one, other, json, svg) {
        Ok(table) => {
            print!("{table}");
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

fn read(path: &str) -> Result<Run, String> {
    let log = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
    Run::parse(&String::from_utf8_lossy(&log)).map_err(|e| format!("{path}: {e}"))
}
