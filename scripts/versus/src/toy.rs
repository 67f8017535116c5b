//! Small logs for the tests.

use std::collections::BTreeMap;

use crate::log::Row;

/// An operation, its folio size in KiB, whether block descriptors map it, its figure per page.
pub type Figure = (&'static str, u32, bool, f64);

/// A row of 1,000 pages.
pub fn row(op: &str, folio_kib: u32, block: bool, per_page: f64) -> Row {
    let instructions = (per_page * 1000.0) as u64 + 77;
    let events = BTreeMap::from([("dsb_ish".to_string(), 1)]);
    Row {
        op: op.into(),
        folio_kib,
        block,
        region_mib: 64,
        pages: 1000,
        instructions,
        per_page,
        count: None,
        contpte_percent: None,
        events,
    }
}

/// A serial log with these figures.
pub fn log(kernel: &str, figures: &[Figure]) -> String {
    let mut log = format!(
        "booting\r\n@json-header {{\"kernel\":\"{kernel}\",\"unit\":\"instructions\",\"reps\":3}}\r\n"
    );
    for &(op, kib, block, per_page) in figures {
        let row = serde_json::to_string(&row(op, kib, block, per_page)).unwrap();
        log += &format!("@json {row}\r\n  64K {op} as a table @json\r\n");
    }
    log
}
