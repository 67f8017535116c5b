//! The measurements of two runs, joined by operation and folio size.

use serde::Serialize;

use crate::log::{Row, Run};

/// Folios as a column: their size in KiB, and whether block descriptors map them.
pub type Folio = (u32, bool);

/// Two runs side by side.
#[derive(Serialize)]
pub struct Comparison {
    /// The two kernels.
    pub kernels: [String; 2],
    /// What all figures count.
    pub unit: String,
    /// What both measured, in the order of the first.
    pub pairs: Vec<Pair>,
}

/// One operation on folios of one size.
#[derive(Serialize)]
pub struct Pair {
    /// The operation.
    pub op: String,
    /// Size of the folios in KiB.
    pub folio_kib: u32,
    /// Whether block descriptors map them.
    pub block: bool,
    /// `page`: the figures are per 4 KiB page. `call`: they are the whole operation's.
    pub per: &'static str,
    /// The two kernels' figures.
    pub figures: [f64; 2],
    /// How many times dearer it is on the first; none where the second's figure is not above 0.
    pub ratio: Option<f64>,
    /// Everything that was measured.
    pub rows: [Row; 2],
}

impl Pair {
    fn new(one: Row, other: Row) -> Self {
        let figures = [one.figure(), other.figure()];
        Pair {
            op: one.op.clone(),
            folio_kib: one.folio_kib,
            block: one.block,
            per: if one.pages == 0 { "call" } else { "page" },
            figures,
            ratio: (figures[1] > 0.0).then(|| figures[0] / figures[1]),
            rows: [one, other],
        }
    }

    /// Which column it belongs to.
    pub fn folio(&self) -> Folio {
        (self.folio_kib, self.block)
    }
}

impl Comparison {
    /// Joins two runs.
    ///
    /// # Errors
    /// They do not count instructions, or have nothing in common.
    pub fn new(one: Run, other: Run) -> Result<Self, String> {
        for run in [&one, &other] {
            if run.unit != "instructions" {
                let Run { kernel, unit, .. } = run;
                return Err(format!("{kernel} counted {unit}, not instructions; on `-cpu max` it can"));
            }
        }
        let mut others = other.rows;
        let mut pairs = Vec::new();
        for row in one.rows {
            let same = |other: &Row| {
                (&other.op, other.folio_kib, other.block, other.pages == 0)
                    == (&row.op, row.folio_kib, row.block, row.pages == 0)
            };
            if let Some(at) = others.iter().position(same) {
                pairs.push(Pair::new(row, others.remove(at)));
            }
        }
        if pairs.is_empty() {
            return Err("the two runs have no measurement in common".into());
        }
        Ok(Comparison { kernels: [one.kernel, other.kernel], unit: one.unit, pairs })
    }

    /// The folio sizes, in the order measured.
    pub fn folios(&self) -> Vec<Folio> {
        distinct(self.pairs.iter().map(Pair::folio))
    }

    /// The operations whose figures are per `per`, in the order measured.
    pub fn ops(&self, per: &str) -> Vec<&str> {
        distinct(self.pairs.iter().filter(|pair| pair.per == per).map(|pair| pair.op.as_str()))
    }

    /// An operation on folios of one size.
    pub fn pair(&self, op: &str, folio: Folio) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.op == op && pair.folio() == folio)
    }
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.fold(Vec::new(), |mut seen, item| {
        if !seen.contains(&item) {
            seen.push(item);
        }
        seen
    })
}

/// `64K`, `2M`, `block`.
pub fn folio_name((kib, block): Folio) -> String {
    match kib {
        _ if block => "block".into(),
        1024.. => format!("{}M", kib / 1024),
        _ => format!("{kib}K"),
    }
}

/// The kernel's name without its release.
pub fn short_name(kernel: &str) -> &str {
    kernel.split([' ', ',']).next().unwrap_or(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy;

    fn run(kernel: &str, figures: &[toy::Figure]) -> Run {
        Run::parse(&toy::log(kernel, figures)).unwrap()
    }

    #[test]
    fn measurements_meet_by_operation_and_folio() {
        let one = run(
            "Linux 6.12",
            &[("fork", 4, false, 150.0), ("fork", 2048, false, 60.0), ("fork", 2048, true, 2.0)],
        );
        let other =
            run("Pleat", &[("fork", 2048, true, 0.5), ("exit", 4, false, 9.0), ("fork", 4, false, 0.0)]);
        let joined = Comparison::new(one, other).unwrap();
        assert_eq!(joined.folios(), [(4, false), (2048, true)]);
        assert_eq!(joined.ops("page"), ["fork"]);
        assert_eq!(joined.pair("fork", (2048, true)).unwrap().ratio, Some(4.0));
        assert_eq!(joined.pair("fork", (4, false)).unwrap().ratio, None, "no ratio to nothing");
        assert!(joined.pair("exit", (4, false)).is_none());
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let figures: &[toy::Figure] = &[("fork", 4, false, 150.0)];
        let ticks = Run { unit: "ticks".into(), ..run("Pleat", figures) };
        assert!(Comparison::new(run("Linux", figures), ticks).err().unwrap().contains("ticks"));
        let other = run("Pleat", &[("exit", 4, false, 150.0)]);
        assert!(Comparison::new(run("Linux", figures), other).err().unwrap().contains("in common"));
    }

    #[test]
    fn names() {
        assert_eq!([(4, false), (2048, false), (2048, true)].map(folio_name), ["4K", "2M", "block"]);
        assert_eq!(["Pleat, as Linux 6.12.0", "Linux 6.12.95"].map(short_name), ["Pleat", "Linux"]);
    }
}
