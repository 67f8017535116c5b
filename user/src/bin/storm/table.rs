//! The table for people, at most 119 columns wide.

use core::fmt::{self, Display, Formatter};

use crate::row::{Milli, Row};
use user::counters::Counters;
use user::text::Text;

/// A column of events: its title, its width, and the count it shows.
type Column = (&'static str, usize, fn(&Counters) -> Option<u64>);

const COLUMNS: [Column; 10] = [
    ("stores", 7, |e| e.get("pte_stores")),
    ("va", 5, |e| e.get("tlbi_va")),
    ("range", 5, |e| e.get("tlbi_range")),
    ("asid", 4, |e| e.get("tlbi_asid")),
    ("covered", 7, |e| e.get("tlbi_pages")),
    ("dsb", 6, |e| Some(e.get("dsb_ish")? + e.get("dsb_ishst")?)),
    ("batch", 6, batches),
    ("fold", 5, |e| e.get("contpte_fold")),
    ("unfold", 6, |e| e.get("contpte_unfold")),
    ("refs", 7, |e| e.get("folio_ref_updates")),
];

/// Batches that fork copied; for windows without a fork, batches of PTEs set.
fn batches(events: &Counters) -> Option<u64> {
    match events.get("fork_batches")? {
        0 => events.get("set_ptes_batches"),
        n => Some(n),
    }
}

/// The titles, two lines without the last line end. `unit` is what the figures count.
pub struct Titles {
    /// `instructions` or `ticks`.
    pub unit: &'static str,
}

impl Display for Titles {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [pte, tlbi, none, contpte] = ["PTE", " TLBIs by kind, pages ", "", " contpte "];
        writeln!(f, "{none:51} {pte:>7} {tlbi:-^24} {none:6} {pte:>6} {contpte:-^12} {:>7}", "folio")?;
        write!(f, "{:>5} {:<15} {:>7} {:>12} {:>8}", "folio", "operation", "pages", self.unit, "per page")?;
        COLUMNS.iter().try_for_each(|(title, width, _)| write!(f, " {title:>width$}"))
    }
}

/// A measurement as one line, without the line end. Events that the kernel does not count show as `-`.
pub struct Line<'a>(pub &'a Row);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Row { op, pages, cost, events, .. } = self.0;
        write!(f, "{:>5} {op:<15} ", self.0.folio)?;
        match pages {
            0 => write!(f, "{:>7} {cost:>12} {:>8}", "-", "-")?,
            _ => write!(f, "{pages:>7} {cost:>12} {:>8}", two_places(self.0.per_page_milli()))?,
        }
        for (_, width, count) in COLUMNS {
            match count(events) {
                Some(n) => write!(f, " {:>width$}", short(n, width))?,
                None => write!(f, " {:>width$}", "-")?,
            }
        }
        Ok(())
    }
}

/// Thousandths with two decimal places: more would not fit and say nothing.
fn two_places(milli: i64) -> Text<24> {
    let rounded = Milli((milli + 5).div_euclid(10) * 10);
    let text = Text::<24>::format(format_args!("{rounded}"));
    Text::format(format_args!("{}", text.as_str().strip_suffix('0').unwrap_or(text.as_str())))
}

/// A number in at most `width` characters: in thousands or millions if it must be.
fn short(n: u64, width: usize) -> Text<24> {
    for (unit, suffix) in [(1, ""), (1_000, "k"), (1_000_000, "M")] {
        let text = Text::format(format_args!("{}{suffix}", n / unit));
        if text.as_str().len() <= width {
            return text;
        }
    }
    Text::format(format_args!("{}G", n / 1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_match_their_titles() {
        let row = crate::row::sample();
        let titles = Titles { unit: "instructions" }.to_string();
        let line = Line(&row).to_string();
        let second = titles.lines().last().unwrap();
        assert_eq!(second.len(), line.len(), "\n{titles}\n{line}");
        assert!(titles.lines().all(|line| line.len() < 120), "\n{titles}");
        let at = |title: &str| second.find(title).unwrap() + title.len();
        assert!(line[..at("stores")].ends_with(" 32768"));
        assert!(line[..at("asid")].ends_with(" 1"));
        assert!(line[..at("per page")].ends_with(" 6.00"), "{line}");
        assert!(line[..at("dsb")].ends_with(" 3"));
        assert!(line[..at("batch")].ends_with(" 1024"));
        assert!(line.ends_with('-'), "a counter the kernel lacks");
    }

    #[test]
    fn without_pages_there_is_no_figure_per_page() {
        let row = Row { pages: 0, ..crate::row::sample() };
        let line = Line(&row).to_string();
        assert!(line.contains("      -       101234        - "), "{line}");
    }

    #[test]
    fn numbers_fit() {
        assert_eq!(short(99_999, 5).as_str(), "99999");
        assert_eq!(short(123_456, 5).as_str(), "123k");
        assert_eq!(short(123_456_789, 5).as_str(), "123M");
        assert_eq!(two_places(5_996).as_str(), "6.00");
        assert_eq!(two_places(154_321).as_str(), "154.32");
        assert_eq!(two_places(-500).as_str(), "-0.50");
    }
}
