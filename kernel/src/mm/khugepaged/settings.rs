//! The files of `/sys/kernel/mm/transparent_hugepage/khugepaged`. Linux: `Documentation/admin-guide/mm/transhuge.rst`.

use core::sync::atomic::{AtomicU64, Ordering};

use super::NR;

/// A file: a setting, or a count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum KhugepagedFile {
    /// How long to wait after a folio could not be had (milliseconds).
    AllocSleep,
    /// Whether room is made for folios.
    Defrag,
    /// How often all address spaces have been looked through.
    FullScans,
    /// The most empty entries that are filled with zeroes.
    MaxPtesNone,
    /// The most pages that are copied although others map them too.
    MaxPtesShared,
    /// The most pages that are read back from swap.
    MaxPtesSwap,
    /// How many folios were made.
    PagesCollapsed,
    /// How many pages are looked at, about, before the next sleep.
    PagesToScan,
    /// How long to sleep (milliseconds).
    ScanSleep,
}

impl KhugepagedFile {
    /// All of them with their names.
    pub const FILES: [(&'static str, KhugepagedFile); 9] = [
        ("alloc_sleep_millisecs", KhugepagedFile::AllocSleep),
        ("defrag", KhugepagedFile::Defrag),
        ("full_scans", KhugepagedFile::FullScans),
        ("max_ptes_none", KhugepagedFile::MaxPtesNone),
        ("max_ptes_shared", KhugepagedFile::MaxPtesShared),
        ("max_ptes_swap", KhugepagedFile::MaxPtesSwap),
        ("pages_collapsed", KhugepagedFile::PagesCollapsed),
        ("pages_to_scan", KhugepagedFile::PagesToScan),
        ("scan_sleep_millisecs", KhugepagedFile::ScanSleep),
    ];

    /// Whether it counts, and cannot be set.
    pub const fn is_count(self) -> bool {
        matches!(self, KhugepagedFile::FullScans | KhugepagedFile::PagesCollapsed)
    }

    /// The values that it can be set to; none for a count.
    const fn limits(self) -> Option<core::ops::RangeInclusive<u64>> {
        match self {
            KhugepagedFile::FullScans | KhugepagedFile::PagesCollapsed => None,
            KhugepagedFile::Defrag => Some(0..=1),
            KhugepagedFile::PagesToScan => Some(1..=u32::MAX as u64),
            KhugepagedFile::AllocSleep | KhugepagedFile::ScanSleep => Some(0..=u32::MAX as u64),
            KhugepagedFile::MaxPtesNone | KhugepagedFile::MaxPtesShared | KhugepagedFile::MaxPtesSwap => {
                Some(0..=NR as u64 - 1)
            }
        }
    }

    /// What Linux has at boot.
    const fn default(self) -> u64 {
        match self {
            KhugepagedFile::FullScans | KhugepagedFile::PagesCollapsed => 0,
            KhugepagedFile::Defrag => 1,
            KhugepagedFile::PagesToScan => 8 * NR as u64,
            KhugepagedFile::AllocSleep => 60_000,
            KhugepagedFile::ScanSleep => 10_000,
            KhugepagedFile::MaxPtesNone => NR as u64 - 1,
            KhugepagedFile::MaxPtesShared => NR as u64 / 2,
            KhugepagedFile::MaxPtesSwap => NR as u64 / 8,
        }
    }
}

/// What all the files say. Each is independent of the others.
pub struct Khugepaged([AtomicU64; KhugepagedFile::FILES.len()]);

impl Khugepaged {
    pub(in crate::mm) const fn new() -> Self {
        let mut values = [const { AtomicU64::new(0) }; KhugepagedFile::FILES.len()];
        let mut index = 0;
        while index < values.len() {
            values[index] = AtomicU64::new(KhugepagedFile::FILES[index].1.default());
            index += 1;
        }
        Khugepaged(values)
    }

    /// What a file says.
    pub fn get(&self, file: KhugepagedFile) -> u64 {
        self.0[file as usize].load(Ordering::Relaxed)
    }

    /// Sets a file to the number that `text` is, in decimal; `None` if it is none, or one that the file cannot say.
    pub fn set(&self, file: KhugepagedFile, text: &[u8]) -> Option<()> {
        let value = core::str::from_utf8(text).ok()?.parse::<u64>().ok()?;
        file.limits()?.contains(&value).then(|| self.0[file as usize].store(value, Ordering::Relaxed))
    }

    /// Adds to a count.
    pub fn add(&self, file: KhugepagedFile, more: u64) {
        self.0[file as usize].fetch_add(more, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_order_of_their_numbers() {
        for (index, (_, file)) in KhugepagedFile::FILES.into_iter().enumerate() {
            assert_eq!(file as usize, index);
        }
        assert!(KhugepagedFile::FILES.is_sorted_by_key(|(name, _)| *name));
    }

    #[test]
    fn numbers_are_within_linux_s_limits() {
        let khugepaged = Khugepaged::new();
        let set = |file, text: &str| {
            let done = khugepaged.set(file, text.as_bytes()).is_some();
            assert!(!done || khugepaged.get(file).to_string() == text);
            done
        };
        assert!(set(KhugepagedFile::ScanSleep, "0") && set(KhugepagedFile::ScanSleep, "4294967295"));
        assert!(!set(KhugepagedFile::AllocSleep, "4294967296") && !set(KhugepagedFile::AllocSleep, "-1"));
        assert!(!set(KhugepagedFile::PagesToScan, "0") && set(KhugepagedFile::PagesToScan, "1"));
        let most = (NR - 1).to_string();
        for file in [KhugepagedFile::MaxPtesNone, KhugepagedFile::MaxPtesShared, KhugepagedFile::MaxPtesSwap]
        {
            assert!(set(file, "0") && set(file, &most) && !set(file, &NR.to_string()));
        }
        assert!(set(KhugepagedFile::Defrag, "0") && !set(KhugepagedFile::Defrag, "2"));
        assert!(!set(KhugepagedFile::FullScans, "0") && !set(KhugepagedFile::PagesCollapsed, "1"));
        assert!(!set(KhugepagedFile::ScanSleep, "") && !set(KhugepagedFile::ScanSleep, "1 "));
    }
}
