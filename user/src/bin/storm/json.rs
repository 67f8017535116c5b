//! JSON lines for other programs. Each starts with a marker so that they can be picked out of a serial log.
//!
//! Events that a kernel does not count are left out; a counted zero is written.

use core::fmt::{self, Display, Formatter};

use crate::folio::Folio;
use crate::row::{Milli, Row};

/// A measurement as one line, without the line end: `@json {...}`.
pub struct Line<'a> {
    /// The measurement.
    pub row: &'a Row,
    /// What `instructions` holds: `instructions` or `ticks`.
    pub unit: &'static str,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Row { op, folio, region_mib, pages, cost, .. } = self.row;
        let Folio { kib, block } = folio;
        let per_page = Milli(self.row.per_page_milli());
        write!(
            f,
            r#"@json {{"op":"{op}","folio_kib":{kib},"block":{block},"region_mib":{region_mib},"pages":{pages},"#
        )?;
        write!(f, r#""unit":"{}","instructions":{cost},"per_page":{per_page},"#, self.unit)?;
        if let Some(count) = self.row.count {
            write!(f, r#""count":{count},"#)?;
        }
        if let Some(percent) = self.row.contpte {
            write!(f, r#""contpte_percent":{percent},"#)?;
        }
        f.write_str(r#""events":{"#)?;
        for (i, (name, value)) in self.row.events.iter().enumerate() {
            write!(f, r#"{}"{name}":{value}"#, if i == 0 { "" } else { "," })?;
        }
        f.write_str("}}")
    }
}

/// What holds for the whole run, as one line, without the line end: `@json-header {...}`.
pub struct Header<'a> {
    /// The kernel's name and release.
    pub kernel: &'a str,
    /// Whether fork copies in batches; `None` if the kernel does not say.
    pub batch: Option<bool>,
    /// As in [`Line`].
    pub unit: &'static str,
    /// The region's size in MiB.
    pub region_mib: u64,
    /// Repetitions, of which the cheapest counts.
    pub reps: u64,
}

impl Display for Header<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let batch = match self.batch {
            Some(true) => "true",
            Some(false) => "false",
            None => "null",
        };
        // A kernel's name holds no quotes in practice; one that does must not break the line.
        f.write_str(r#"@json-header {"kernel":""#)?;
        for c in self.kernel.chars().filter(|c| !matches!(c, '"' | '\\') && !c.is_control()) {
            write!(f, "{c}")?;
        }
        write!(
            f,
            r#"","batch":{batch},"unit":"{}","region_mib":{},"reps":{}}}"#,
            self.unit, self.region_mib, self.reps
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement() {
        let row = crate::row::sample();
        assert_eq!(
            Line { row: &row, unit: "instructions" }.to_string(),
            "@json {\"op\":\"fork\",\"folio_kib\":64,\"block\":false,\"region_mib\":64,\"pages\":16384,\"unit\":\"instructions\",\
             \"instructions\":101234,\"per_page\":5.996,\"events\":{\"pte_stores\":32768,\"tlbi_asid\":1,\
             \"dsb_ishst\":2,\"dsb_ish\":1,\"fork_batches\":1024}}"
        );
    }

    #[test]
    fn what_is_folded_is_told_where_it_is_known() {
        let row = Row { contpte: Some(Milli(97_656)), ..crate::row::sample() };
        let line = Line { row: &row, unit: "instructions" }.to_string();
        assert!(line.contains(r#""per_page":5.996,"contpte_percent":97.656,"events":{"pte"#), "{line}");
    }

    #[test]
    fn one_of_a_series_says_which() {
        let row = Row { count: Some(1000), ..crate::row::sample() };
        let line = Line { row: &row, unit: "instructions" }.to_string();
        assert!(line.contains(r#""per_page":5.996,"count":1000,"events":{"pte"#), "{line}");
    }

    #[test]
    fn the_header() {
        let header =
            Header { kernel: "A \"b\" 1", batch: Some(false), unit: "ticks", region_mib: 8, reps: 3 };
        assert_eq!(
            header.to_string(),
            "@json-header {\"kernel\":\"A b 1\",\"batch\":false,\"unit\":\"ticks\",\"region_mib\":8,\"reps\":3}"
        );
    }
}
