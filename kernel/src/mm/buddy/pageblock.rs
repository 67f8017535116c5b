//! One pageblock: the frames of the largest folio, and which of them are free.
//!
//! A bit for each frame. To free a block of frames is to set its bits, and blocks that lie side by side are one
//! without anybody merging them; to take one is to look for a run of bits.

use paging::Pfn;

use crate::mm::frame::MAX_ORDER;

/// Frames of a pageblock.
pub(super) const FRAMES: usize = 1 << MAX_ORDER;
/// Frames a word of bits tells of.
const PER_WORD: usize = if FRAMES < 64 { FRAMES } else { 64 };
const WORDS: usize = FRAMES / PER_WORD;
/// log2 of [`PER_WORD`].
const WORD_ORDER: u8 = PER_WORD.trailing_zeros() as u8;
/// A word of which all frames are free.
const FULL: u64 = u64::MAX >> (64 - PER_WORD);

/// Which frames of a pageblock are free.
#[derive(Clone, Debug)]
pub(super) struct Pageblock {
    words: [u64; WORDS],
    free: u16,
}

/// The places in a word where aligned blocks of `1 << order` frames begin.
const fn starts(order: u8) -> u64 {
    let mut starts = 0;
    let mut bit = 0;
    while bit < PER_WORD {
        starts |= 1 << bit;
        bit += 1 << order;
    }
    starts
}

/// The same for all orders up to a word's.
const STARTS: [u64; 7] = {
    let mut all = [1; 7];
    let mut order = 0;
    while order < WORD_ORDER {
        all[order as usize] = starts(order);
        order += 1;
    }
    all
};

/// Where in `word` aligned blocks of `1 << order` free frames begin, `order` at most a word's.
#[inline]
fn runs(word: u64, order: u8) -> u64 {
    let mut runs = word;
    for half in 0..order {
        runs &= runs >> (1 << half);
    }
    runs & STARTS[order as usize]
}

impl Pageblock {
    /// No frame is free.
    pub const NONE: Pageblock = Pageblock { words: [0; WORDS], free: 0 };

    /// How many frames are free.
    pub fn free_frames(&self) -> usize {
        self.free as usize
    }

    /// Whether all are.
    pub fn is_whole(&self) -> bool {
        self.free_frames() == FRAMES
    }

    /// All frames are free from here on.
    pub fn fill(&mut self) {
        *self = Pageblock { words: [FULL; WORDS], free: FRAMES as u16 };
    }

    /// None is.
    pub fn clear(&mut self) {
        *self = Pageblock::NONE;
    }

    /// The block of `1 << order` frames at the 0-based frame `index`, aligned to its size, is free again.
    #[inline]
    pub fn put(&mut self, index: usize, order: u8) {
        let (word, bit) = (index / PER_WORD, index % PER_WORD);
        self.free += 1 << order;
        if order < WORD_ORDER {
            let mask = ((1 << (1 << order)) - 1) << bit;
            debug_assert!(self.words[word] & mask == 0, "frame {index} of a pageblock freed twice");
            self.words[word] |= mask;
        } else {
            let words = &mut self.words[word..word + (1 << (order - WORD_ORDER))];
            debug_assert!(words.iter().all(|word| *word == 0), "frame {index} of a pageblock freed twice");
            words.fill(FULL);
        }
    }

    /// As [`Pageblock::put`] of single frames; returns how many they were.
    #[inline]
    pub fn put_frames(&mut self, indices: impl Iterator<Item = usize>) -> usize {
        let mut frames = 0;
        for index in indices {
            let (word, mask) = (&mut self.words[index / PER_WORD % WORDS], 1 << (index % PER_WORD));
            debug_assert!(*word & mask == 0, "frame {index} of a pageblock freed twice");
            *word |= mask;
            frames += 1;
        }
        self.free += frames as u16;
        frames
    }

    /// Takes up to `want` blocks of `1 << order` frames and hands the 0-based index of the first frame of each to
    /// `sink`. Returns how many they were.
    #[inline]
    pub fn take(&mut self, order: u8, want: usize, mut sink: impl FnMut(usize)) -> usize {
        let mut left = want;
        if order < WORD_ORDER {
            for (index, word) in self.words.iter_mut().enumerate() {
                let mut runs = if *word == 0 { 0 } else { runs(*word, order) };
                while runs != 0 && left > 0 {
                    let bit = runs.trailing_zeros();
                    runs &= runs - 1;
                    *word &= !(((1 << (1 << order)) - 1) << bit);
                    sink(index * PER_WORD + bit as usize);
                    left -= 1;
                }
            }
        } else {
            let many = 1 << (order - WORD_ORDER);
            for (index, words) in self.words.chunks_exact_mut(many).enumerate() {
                if left > 0 && words.iter().all(|word| *word == FULL) {
                    words.fill(0);
                    sink(index * many * PER_WORD);
                    left -= 1;
                }
            }
        }
        self.free -= ((want - left) << order) as u16;
        want - left
    }

    /// log2 of the largest block of frames that is free; `None` if none is.
    pub fn largest(&self) -> Option<u8> {
        if self.free == 0 {
            return None;
        }
        let whole = |order: u8| {
            self.words.chunks_exact(1 << (order - WORD_ORDER)).any(|words| words.iter().all(|w| *w == FULL))
        };
        let mut order = WORD_ORDER;
        if whole(order) {
            while order < MAX_ORDER && whole(order + 1) {
                order += 1;
            }
            return Some(order);
        }
        (0..WORD_ORDER).rev().find(|order| self.words.iter().any(|word| runs(*word, *order) != 0))
    }

    /// The 0-based index of `pfn` in its pageblock.
    #[inline]
    pub fn index(pfn: Pfn) -> usize {
        pfn.get() as usize & (FRAMES - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn take(block: &mut Pageblock, order: u8) -> Option<usize> {
        let mut taken = None;
        block.take(order, 1, |index| taken = Some(index));
        taken
    }

    #[test]
    fn blocks_of_every_order_are_aligned_and_cover_all_of_it() {
        for order in 0..=MAX_ORDER {
            let mut block = Pageblock::NONE;
            assert_eq!((take(&mut block, order), block.largest()), (None, None));
            block.fill();
            assert_eq!(block.largest(), Some(MAX_ORDER));
            let mut taken: Vec<usize> = take(&mut block, order).into_iter().collect();
            block.take(order, FRAMES, |index| taken.push(index));
            assert_eq!(taken, (0..FRAMES).step_by(1 << order).collect::<Vec<_>>());
            assert_eq!((block.free_frames(), block.largest()), (0, None));
            taken.iter().rev().for_each(|index| block.put(*index, order));
            assert!(block.is_whole() && block.largest() == Some(MAX_ORDER));
        }
    }

    #[test]
    fn what_is_free_side_by_side_is_one_block() {
        let mut block = Pageblock::NONE;
        // Every second frame: nothing larger, until the frames between come back.
        (0..FRAMES).step_by(2).for_each(|index| block.put(index, 0));
        assert_eq!((block.largest(), take(&mut block, 1)), (Some(0), None));
        block.put(5, 0);
        assert_eq!((block.largest(), take(&mut block, 1)), (Some(1), Some(4)));
        block.put(4, 1);
        block.put(7, 0);
        assert_eq!(block.largest(), Some(2));
        (1..FRAMES).step_by(2).filter(|index| ![5, 7].contains(index)).for_each(|index| block.put(index, 0));
        assert!(block.is_whole());
        // A block that is not aligned to its size is none.
        block.clear();
        (1..FRAMES - 1).for_each(|index| block.put(index, 0));
        assert_eq!((block.largest(), take(&mut block, MAX_ORDER - 1)), (Some(MAX_ORDER - 2), None));
    }

    #[test]
    #[should_panic(expected = "freed twice")]
    fn a_frame_is_not_freed_twice() {
        let mut block = Pageblock::NONE;
        block.put(9, 0);
        block.put(8, 1);
    }
}
