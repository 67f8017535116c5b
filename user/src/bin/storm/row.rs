//! One measurement as it is reported.

use user::counters::Counters;

use crate::folio::Folio;

/// A measurement: an operation over a region of one folio size.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The operation, for example `fork` or `cow_copy`.
    pub op: &'static str,
    /// The folios that were asked for.
    pub folio: Folio,
    /// The region's size in MiB; 0 if none was mapped.
    pub region_mib: u64,
    /// 4 KiB pages the figure is divided by; 0 where a figure per page would mean nothing.
    pub pages: u64,
    /// Instructions (or ticks) of the whole window.
    pub cost: u64,
    /// The part of `cost` that has nothing to do with the pages; the per-page figure leaves it out.
    pub fixed: u64,
    /// What the kernel counted over the window.
    pub events: Counters,
    /// How many children or mappings there were, where the figure is one of a series.
    pub count: Option<u64>,
    /// How much of the region is mapped by contpte blocks at the window's end, in per cent, where that is measured.
    pub contpte: Option<Milli>,
}

impl Row {
    /// Cost per page without the fixed part, in thousandths, rounded half up; 0 without pages.
    pub fn per_page_milli(&self) -> i64 {
        if self.pages == 0 {
            return 0;
        }
        let net = i128::from(self.cost) - i128::from(self.fixed);
        let pages = i128::from(self.pages);
        (net * 1000 + pages / 2).div_euclid(pages) as i64
    }
}

/// Thousandths as a decimal number with three places.
#[derive(Clone, Copy, Debug)]
pub struct Milli(pub i64);

impl core::fmt::Display for Milli {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.unsigned_abs() / 1000, self.0.unsigned_abs() % 1000);
        f.pad(user::text::Text::<32>::format(format_args!("{sign}{whole}.{rest:03}")).as_str())
    }
}

#[cfg(test)]
pub(crate) fn sample() -> Row {
    Row {
        op: "fork",
        folio: Folio::pages(64),
        region_mib: 64,
        pages: 16384,
        cost: 101_234,
        fixed: 3_000,
        events: Counters::parse(
            b"pte_stores 32768\ntlbi_asid 1\ndsb_ish 1\ndsb_ishst 2\nfork_batches 1024\n",
        ),
        count: None,
        contpte: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn per_page_is_net_and_rounded() {
        let mut row = sample();
        assert_eq!(row.per_page_milli(), 5996); // 98,234 / 16,384 = 5.9957...
        row.pages = 0;
        assert_eq!(row.per_page_milli(), 0);
        (row.pages, row.cost) = (2, 2_999);
        assert_eq!(row.per_page_milli(), -500);
    }

    #[test]
    fn milli_has_three_places() {
        assert_eq!(Milli(5996).to_string(), "5.996");
        assert_eq!(Milli(-500).to_string(), "-0.500");
        assert_eq!(format!("{:>8}", Milli(40)), "   0.040");
    }
}
