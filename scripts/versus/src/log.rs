//! A boot's serial log: who ran, and what it measured.
//!
//! The benchmark prints one line `@json-header {...}` and a line `@json {...}` for each measurement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::pair::Folio;

/// One boot.
#[derive(Serialize)]
pub struct Run {
    /// The kernel's name and release.
    pub kernel: String,
    /// What the figures count.
    pub unit: String,
    /// The measurements, in their order.
    pub rows: Vec<Row>,
}

/// One measurement.
#[derive(Clone, Serialize, Deserialize)]
pub struct Row {
    /// The operation.
    pub op: String,
    /// Size of the folios in KiB.
    pub folio_kib: u32,
    /// Whether block descriptors map them.
    pub block: bool,
    /// The region's size in MiB; 0: none.
    pub region_mib: u64,
    /// 4 KiB pages the figure is divided by; 0: the figure is the whole operation's.
    pub pages: u64,
    /// Cost of the whole operation.
    pub instructions: u64,
    /// Cost per page without the fixed part.
    pub per_page: f64,
    /// How many children or mappings there were, where the figure is one of a series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How much of the region contpte blocks map, in per cent, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contpte_percent: Option<f64>,
    /// What the kernel counted, as far as it counts.
    pub events: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Header {
    kernel: String,
    unit: String,
}

impl Row {
    /// Its folios.
    pub fn folio(&self) -> Folio {
        (self.folio_kib, self.block)
    }

    /// The figure to compare: per page, or of the whole operation where a figure per page means nothing.
    pub fn figure(&self) -> f64 {
        if self.pages == 0 { self.instructions as f64 } else { self.per_page }
    }
}

impl Run {
    /// Takes the marked lines out of `log`.
    ///
    /// # Errors
    /// There are none, or one is torn.
    pub fn parse(log: &str) -> Result<Self, String> {
        let mut header: Option<Header> = None;
        let mut rows = Vec::new();
        for (number, line) in (1..).zip(log.lines()) {
            let torn = |e| format!("line {number}: {e}");
            if let Some(object) = line.strip_prefix("@json-header ") {
                header = Some(serde_json::from_str(object).map_err(torn)?);
            } else if let Some(object) = line.strip_prefix("@json ") {
                rows.push(serde_json::from_str(object).map_err(torn)?);
            }
        }
        let Header { kernel, unit } = header.ok_or("no `@json-header ` line")?;
        if rows.is_empty() { Err("no `@json ` line".into()) } else { Ok(Run { kernel, unit, rows }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy;

    #[test]
    fn marked_lines_are_read_whatever_stands_between() {
        let run =
            Run::parse(&toy::log("Linux 6.12", &[("fork", 64, false, 100.25), ("fork", 2048, true, 2.5)]));
        let run = run.unwrap();
        assert_eq!(
            (run.kernel.as_str(), run.unit.as_str(), run.rows.len()),
            ("Linux 6.12", "instructions", 2)
        );
        assert_eq!((run.rows[0].figure(), run.rows[1].block), (100.25, true));
    }

    #[test]
    fn without_pages_the_figure_is_the_whole_cost() {
        let row = Row { pages: 0, ..toy::row("fork_fixed", 64, false, 0.0) };
        assert_eq!(row.figure(), row.instructions as f64);
    }

    #[test]
    fn torn_and_empty_logs_are_errors() {
        let torn = toy::log("Linux", &[("fork", 4, false, 1.0)]).replace("\"pages\"", "[ 1.0] oops\n");
        assert!(Run::parse(&torn).err().unwrap().starts_with("line 3: "));
        assert!(Run::parse("Booting\n").err().unwrap().contains("@json-header"));
        assert!(Run::parse(&toy::log("Linux", &[])).err().unwrap().contains("@json "));
    }
}
