//! How much the end of a process would free, which is by what the OOM killer chooses (Linux: mm/oom_kill.c). Pure.

/// The process is never chosen (Linux: OOM_SCORE_ADJ_MIN).
pub const ADJ_MIN: i16 = -1000;
/// The process is chosen before all others.
pub const ADJ_MAX: i16 = 1000;

/// What a process has, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Holdings {
    /// Mapped.
    pub rss: u64,
    /// Paged out.
    pub swap: u64,
    /// Translation tables.
    pub tables: u64,
}

impl Holdings {
    /// How bad it is, in pages: what it has, and a thousandth of all memory, `total` pages of RAM and swap, for each point
    /// of `adj`. None: never to be chosen. At least 1 otherwise.
    pub fn badness(&self, adj: i16, total: u64) -> Option<u64> {
        if adj <= ADJ_MIN {
            return None;
        }
        let pages = (self.rss + self.swap + self.tables) as i64;
        let correction = i64::from(adj) * (total / 1000) as i64;
        Some((pages + correction).max(1) as u64)
    }

    /// What `/proc/<pid>/oom_score` tells: from 0 to 2000 (Linux: fs/proc/base.c, proc_oom_score).
    pub fn score(&self, adj: i16, total: u64) -> u64 {
        if adj <= ADJ_MIN {
            return 0;
        }
        let pages = (self.rss + self.swap + self.tables) as i64;
        let points = i64::from(adj) + pages * 1000 / total.max(1) as i64;
        ((1000 + points) * 2 / 3).max(0) as u64
    }
}

/// Reads what is written to `oom_score_adj`: a number from -1000 to 1000.
pub fn parse_adj(text: &[u8]) -> Option<i16> {
    let text = core::str::from_utf8(text).ok()?.trim();
    text.parse().ok().filter(|adj| (ADJ_MIN..=ADJ_MAX).contains(adj))
}

/// The least of `oom_adj`, which stands for [`ADJ_MIN`] (Linux: OOM_DISABLE), and the greatest.
const OLD: core::ops::RangeInclusive<i16> = -17..=15;

/// Reads what is written to `oom_adj`, the file of old: a number from -17 to 15.
pub fn parse_old_adj(text: &[u8]) -> Option<i16> {
    let text = core::str::from_utf8(text).ok()?.trim();
    match text.parse().ok().filter(|old| OLD.contains(old))? {
        old if old == *OLD.end() => Some(ADJ_MAX),
        old => Some((i32::from(old) * i32::from(ADJ_MIN) / i32::from(*OLD.start())) as i16),
    }
}

/// What `oom_adj` says where `oom_score_adj` says `adj`.
pub fn old_adj(adj: i16) -> i16 {
    let old = i32::from(adj) * i32::from(*OLD.start()) / i32::from(ADJ_MIN);
    (old as i16).min(*OLD.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTAL: u64 = 100_000;

    #[test]
    fn who_has_most_is_worst_and_all_that_it_has_counts() {
        let rss = Holdings { rss: 70, ..Holdings::default() };
        assert_eq!(rss.badness(0, TOTAL), Some(70));
        assert_eq!(Holdings { rss: 60, swap: 7, tables: 5 }.badness(0, TOTAL), Some(72));
        assert_eq!(
            Holdings::default().badness(0, TOTAL),
            Some(1),
            "even who has nothing, if nobody has more"
        );
    }

    #[test]
    fn adjusted_by_thousandths_of_all_memory() {
        let some = Holdings { rss: 500, ..Holdings::default() };
        assert_eq!(some.badness(10, TOTAL), Some(1500));
        assert_eq!(some.badness(-3, TOTAL), Some(200));
        assert_eq!(some.badness(-999, TOTAL), Some(1));
        assert_eq!(some.badness(ADJ_MIN, TOTAL), None);
    }

    #[test]
    fn scores_are_those_of_linux() {
        let nothing = Holdings::default();
        assert_eq!(nothing.score(0, TOTAL), 666);
        assert_eq!(nothing.score(ADJ_MIN, TOTAL), 0);
        assert_eq!(nothing.score(ADJ_MAX, TOTAL), 1333);
        assert_eq!(Holdings { rss: TOTAL, ..nothing }.score(0, TOTAL), 1333);
        assert_eq!(nothing.score(0, 0), 666);
    }

    #[test]
    fn only_numbers_in_range_are_read() {
        for (text, adj) in [("0", 0), ("-1000\n", -1000), ("1000", 1000), (" 17 ", 17)] {
            assert_eq!(parse_adj(text.as_bytes()), Some(adj));
        }
        for bad in ["", "-1001", "1001", "x", "1 2", "70000"] {
            assert_eq!(parse_adj(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn the_file_of_old_has_its_own_scale() {
        for (old, adj) in [(-17, -1000), (0, 0), (8, 470), (15, 1000)] {
            assert_eq!(parse_old_adj(std::format!("{old}\n").as_bytes()), Some(adj));
        }
        assert_eq!([-1000, -60, 0, 470, 1000].map(old_adj), [-17, -1, 0, 7, 15]);
        for bad in [&b"-18"[..], b"16", b"", b"x"] {
            assert_eq!(parse_old_adj(bad), None);
        }
    }
}
