//! The kernel's event counters as EL0 sees them: the text of `/proc/vmstat` and `/proc/self/smaps_rollup`, parsed.
//!
//! Pure text handling: reading the files is [`probe`](crate::probe)'s part. On Linux most of Pleat's counters do not
//! exist; a counter that a kernel does not have is absent, which is not the same as zero.

use crate::text::leading_number;

/// Pleat's event counters in the order of its `/proc/vmstat`; gauges (`nr_*`) are not events.
pub const NAMES: [&str; 31] = [
    "pte_stores",
    "pte_atomics",
    "tlbi_va",
    "tlbi_range",
    "tlbi_asid",
    "tlbi_all",
    "tlbi_pages",
    "dsb_ishst",
    "dsb_ish",
    "isb",
    "contpte_fold",
    "contpte_unfold",
    "set_ptes_batches",
    "fork_batches",
    "fork_blocks",
    "wrprotect_batches",
    "move_batches",
    "tables_moved",
    "folio_ref_updates",
    "frames_zeroed",
    "frames_copied",
    "pgfault",
    "cow_copy",
    "cow_reuse",
    "cow_fallback",
    "contpte_refold_pages",
    "thp_collapse_alloc",
    "thp_collapse_alloc_failed",
    "anon_fault_fallback",
    "forks",
    "syscall_unknown",
];

/// One reading of the counters, or the difference of two.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counters {
    values: [Option<u64>; NAMES.len()],
}

impl Counters {
    /// Reads the counters out of `/proc/vmstat`'s text: lines of `name value`. Unknown lines are skipped.
    pub fn parse(vmstat: &[u8]) -> Self {
        let mut counters = Self::default();
        for line in vmstat.split(|&b| b == b'\n') {
            let Some(space) = line.iter().position(|&b| b == b' ') else { continue };
            let name = &line[..space];
            if let Some(index) = NAMES.iter().position(|n| n.as_bytes() == name) {
                counters.values[index] = leading_number(&line[space..]);
            }
        }
        counters
    }

    /// What happened between the reading `before` and this one. A counter missing in either is missing.
    pub fn since(&self, before: &Self) -> Self {
        let mut events = Self::default();
        for (i, value) in events.values.iter_mut().enumerate() {
            if let (Some(new), Some(old)) = (self.values[i], before.values[i]) {
                *value = Some(new.wrapping_sub(old));
            }
        }
        events
    }

    /// Adds another window's events, for a figure that sums several windows.
    pub fn add(&mut self, other: &Self) {
        for (sum, value) in self.values.iter_mut().zip(other.values) {
            if let Some(value) = value {
                *sum = Some(sum.unwrap_or(0) + value);
            }
        }
    }

    /// The counter `name` (one of [`NAMES`]); `None` if this kernel does not have it.
    pub fn get(&self, name: &str) -> Option<u64> {
        NAMES.iter().position(|n| *n == name).and_then(|i| self.values[i])
    }

    /// All counters this kernel has, in the order of [`NAMES`].
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        NAMES.iter().zip(self.values).filter_map(|(name, value)| Some((*name, value?)))
    }
}

/// The value of the line `name value` or `name:  value kB`; `None` if there is no such line.
pub fn field(text: &[u8], name: &str) -> Option<u64> {
    text.split(|&b| b == b'\n').find_map(|line| {
        let rest = line.strip_prefix(name.as_bytes())?;
        match rest.first()? {
            b' ' => leading_number(rest),
            b':' => leading_number(&rest[1..]),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_and_difference() {
        let before = Counters::parse(b"pte_stores 5\nnr_free_pages 9\ntlbi_asid 1\n");
        let after = Counters::parse(b"pte_stores 25\ntlbi_asid 2\nforks 7\n");
        let events = after.since(&before);
        assert_eq!(events.get("pte_stores"), Some(20));
        assert_eq!(events.get("tlbi_asid"), Some(1));
        assert_eq!(events.get("forks"), None, "absent before");
        assert_eq!(events.iter().collect::<Vec<_>>(), [("pte_stores", 20), ("tlbi_asid", 1)]);
    }

    #[test]
    fn sums_keep_absent_apart_from_zero() {
        let mut sum = Counters::default();
        sum.add(&Counters::parse(b"isb 2\n"));
        sum.add(&Counters::parse(b"isb 3\n"));
        assert_eq!(sum.get("isb"), Some(5));
        assert_eq!(sum.get("dsb_ish"), None);
    }

    #[test]
    fn fields_match_whole_names() {
        let text = b"Rss:      128 kB\nContpteMapped:   64 kB\nnr_free_pages 77\nnr_free_pages_x 1\n";
        assert_eq!(field(text, "Rss"), Some(128));
        assert_eq!(field(text, "ContpteMapped"), Some(64));
        assert_eq!(field(text, "nr_free_pages"), Some(77));
        assert_eq!(field(text, "nr_free"), None);
        assert_eq!(field(b"", "Rss"), None);
    }
}
