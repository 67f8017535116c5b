//! A small set of physical address ranges, without allocation: memory banks less what is taken.
//!
//! Invariant: the ranges are sorted, not empty, and neither overlap nor touch.

use core::ops::Range;

/// The most ranges a set holds.
const CAPACITY: usize = 32;

/// A set of physical addresses as ranges of bytes.
#[derive(Clone)]
pub struct Ranges {
    ranges: [(u64, u64); CAPACITY],
    len: usize,
}

impl Ranges {
    /// The empty set.
    pub const fn new() -> Self {
        Ranges { ranges: [(0, 0); CAPACITY], len: 0 }
    }

    /// The ranges in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges[..self.len].iter().map(|&(start, end)| start..end)
    }

    /// Whether the set is empty.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes in the set.
    pub fn bytes(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }

    /// Adds a range, which may overlap others. When the set is full it forgets its smallest range: leaving memory
    /// unused is harmless.
    pub fn insert(&mut self, range: Range<u64>) {
        let (mut start, mut end) = (range.start, range.end);
        if start >= end {
            return;
        }
        let mut kept = Ranges::new();
        for &(s, e) in &self.ranges[..self.len] {
            if e < start || s > end {
                kept.push(s, e);
            } else {
                (start, end) = (start.min(s), end.max(e));
            }
        }
        kept.push(start, end);
        kept.ranges[..kept.len].sort_unstable();
        *self = kept;
    }

    /// Removes a range, whichever parts of it are in the set.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.start >= range.end {
            return;
        }
        let mut kept = Ranges::new();
        for &(s, e) in &self.ranges[..self.len] {
            kept.push(s, e.min(range.start));
            kept.push(s.max(range.end), e);
        }
        kept.ranges[..kept.len].sort_unstable();
        *self = kept;
    }

    /// Shrinks every range to whole pages of `page` bytes, a power of two, dropping those that hold none.
    pub fn shrink_to_pages(&mut self, page: u64) {
        let mut kept = Ranges::new();
        for &(s, e) in &self.ranges[..self.len] {
            if let Some(start) = s.checked_next_multiple_of(page) {
                kept.push(start, e & !(page - 1));
            }
        }
        *self = kept;
    }

    /// Takes `bytes`, a multiple of `align`, from the lowest range that has them at a multiple of `align`, a power of
    /// two, and returns where they are.
    pub fn take(&mut self, bytes: u64, align: u64) -> Option<u64> {
        let start = self.iter().find_map(|range| {
            let start = range.start.checked_next_multiple_of(align)?;
            (start.checked_add(bytes)? <= range.end).then_some(start)
        })?;
        self.remove(start..start + bytes);
        Some(start)
    }

    /// Appends a range unless it is empty; see [`Ranges::insert`] for a full set.
    fn push(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        if self.len < CAPACITY {
            self.ranges[self.len] = (start, end);
            self.len += 1;
            return;
        }
        let smallest = (0..CAPACITY).min_by_key(|&i| self.ranges[i].1 - self.ranges[i].0).unwrap_or(0);
        let (s, e) = self.ranges[smallest];
        if end - start > e - s {
            self.ranges[smallest] = (start, end);
        }
    }
}

impl Default for Ranges {
    fn default() -> Self {
        Ranges::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u64, u64)]) -> Ranges {
        let mut set = Ranges::new();
        for &(start, end) in ranges {
            set.insert(start..end);
        }
        set
    }

    fn list(set: &Ranges) -> Vec<(u64, u64)> {
        set.iter().map(|r| (r.start, r.end)).collect()
    }

    #[test]
    fn overlapping_and_touching_ranges_become_one() {
        assert_eq!(list(&set(&[(30, 40), (10, 20), (20, 25), (24, 31)])), [(10, 40)]);
        assert_eq!(list(&set(&[(5, 5), (9, 3)])), []);
    }

    #[test]
    fn a_hole_splits_a_range() {
        let mut ram = set(&[(0, 100), (200, 300)]);
        ram.remove(40..50);
        ram.remove(90..210);
        ram.remove(250..250);
        assert_eq!(list(&ram), [(0, 40), (50, 90), (210, 300)]);
        assert_eq!(ram.bytes(), 40 + 40 + 90);
    }

    #[test]
    fn pages_are_whole() {
        let mut ram = set(&[(1, 0x1fff), (0x3001, 0x5fff), (u64::MAX - 5, u64::MAX)]);
        ram.shrink_to_pages(0x1000);
        assert_eq!(list(&ram), [(0x4000, 0x5000)]);
    }

    #[test]
    fn taking_respects_alignment_and_ends() {
        let mut ram = set(&[(0x1000, 0x3000), (0x11000, 0x40000)]);
        assert_eq!(ram.take(0x4000, 0x4000), Some(0x14000));
        assert_eq!(ram.take(0x2000, 0x1000), Some(0x1000));
        assert_eq!(ram.take(0x100000, 0x1000), None);
        assert_eq!(list(&ram), [(0x11000, 0x14000), (0x18000, 0x40000)]);
    }

    #[test]
    fn a_full_set_forgets_the_smallest() {
        let mut ram = Ranges::new();
        for i in 0..CAPACITY as u64 {
            ram.insert(i * 100..i * 100 + 10 + i);
        }
        ram.insert(1_000_000..2_000_000);
        assert_eq!(ram.iter().count(), CAPACITY);
        assert_eq!(ram.iter().next(), Some(100..111));
        assert_eq!(ram.iter().last(), Some(1_000_000..2_000_000));
    }
}
