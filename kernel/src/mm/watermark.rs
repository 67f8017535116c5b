//! A number of pages that goes up and down, and the most that it ever was. Linux: `update_hiwater_rss`, `update_hiwater_vm`.
//!
//! The peak is brought up to date when the number is about to go down, and read as what is greater of both: to go up,
//! which is what faults and fork do, costs nothing more.

use core::ops::{AddAssign, SubAssign};

/// The number and its peak.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Watermark {
    pages: usize,
    /// The most that it was before it went down last.
    peak: usize,
}

impl Watermark {
    /// Nothing yet.
    pub const ZERO: Watermark = Watermark { pages: 0, peak: 0 };

    /// What it is.
    #[inline(always)]
    pub fn pages(self) -> usize {
        self.pages
    }

    /// The most that it was.
    #[inline(always)]
    pub fn peak(self) -> usize {
        self.peak.max(self.pages)
    }

    /// Makes `peak`, or what it is now if that is more, the most that it was.
    pub fn set_peak(&mut self, peak: usize) {
        self.peak = peak;
    }
}

impl AddAssign<usize> for Watermark {
    #[inline(always)]
    fn add_assign(&mut self, pages: usize) {
        self.pages += pages;
    }
}

impl SubAssign<usize> for Watermark {
    #[inline(always)]
    fn sub_assign(&mut self, pages: usize) {
        self.peak = self.peak();
        self.pages -= pages;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_most_that_it_was() {
        let mut level = Watermark::ZERO;
        level += 5;
        assert_eq!((level.pages(), level.peak()), (5, 5));
        level -= 3;
        level += 2;
        assert_eq!((level.pages(), level.peak()), (4, 5));
        level += 4;
        level -= 8;
        assert_eq!((level.pages(), level.peak()), (0, 8));
        level += 2;
        level.set_peak(0);
        assert_eq!(level.peak(), 2, "never less than it is");
    }
}
