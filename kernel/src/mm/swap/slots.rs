//! Swap slots: a page's worth of contents each, with a count of the entries that refer to it.
//!
//! A slot's number is what a swap entry holds. Free slots are chained. Counts stop before they would wrap: whoever
//! wants one reference too many is told so, as with folios.

use alloc::vec::Vec;

use super::store::Object;
use crate::errno::Result;

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Contents {
    /// Nothing; the number of the next free slot, or [`END`].
    Free(u32),
    /// A page that consists of one word, repeated.
    Same(u64),
    /// A page compressed (or not, if its length is a page's) in the store.
    Stored(Object),
}

/// No slot: the end of the chain of free ones.
const END: u32 = u32::MAX;

/// A slot has as many references as its count can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotSaturated;

/// All slots of a swap area.
pub(super) struct Slots {
    contents: Vec<Contents>,
    counts: Vec<u16>,
    free: u32,
    used: usize,
}

impl Slots {
    pub(super) const EMPTY: Slots = Slots { contents: Vec::new(), counts: Vec::new(), free: END, used: 0 };

    /// `count` free slots; more than 32 bits can number are not made.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn new(count: usize) -> Result<Slots> {
        let count = count.min(END as usize);
        let mut slots = Slots::EMPTY;
        slots.contents.try_reserve_exact(count)?;
        slots.counts.try_reserve_exact(count)?;
        slots.counts.resize(count, 0);
        let next = |slot: usize| if slot + 1 == count { END } else { slot as u32 + 1 };
        slots.contents.extend((0..count).map(|slot| Contents::Free(next(slot))));
        slots.free = if count == 0 { END } else { 0 };
        Ok(slots)
    }

    /// How many there are.
    pub(super) fn total(&self) -> usize {
        self.contents.len()
    }

    /// How many are in use.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Whether none is free.
    pub(super) fn is_full(&self) -> bool {
        self.free == END
    }

    /// Puts `contents` in a free slot, with one reference; `None` if there is no free one.
    pub(super) fn take(&mut self, contents: Contents) -> Option<u32> {
        let slot = self.free;
        let Contents::Free(next) = *self.contents.get(slot as usize)? else { return None };
        self.free = next;
        self.used += 1;
        self.contents[slot as usize] = contents;
        self.counts[slot as usize] = 1;
        Some(slot)
    }

    /// What the slot holds.
    pub(super) fn contents(&self, slot: u32) -> Contents {
        self.contents[slot as usize]
    }

    /// References to the slot.
    pub(super) fn count(&self, slot: u32) -> u16 {
        self.counts[slot as usize]
    }

    /// One more reference.
    ///
    /// # Errors
    /// [`SlotSaturated`]; nothing changed.
    pub(super) fn duplicate(&mut self, slot: u32) -> core::result::Result<(), SlotSaturated> {
        let count = &mut self.counts[slot as usize];
        debug_assert!(*count > 0, "slot {slot} is free");
        *count = count.checked_add(1).ok_or(SlotSaturated)?;
        Ok(())
    }

    /// One reference less. With the last the slot is free, and what it held is returned.
    pub(super) fn release(&mut self, slot: u32) -> Option<Contents> {
        let count = &mut self.counts[slot as usize];
        debug_assert!(*count > 0, "slot {slot} is free already");
        *count -= 1;
        if *count > 0 {
            return None;
        }
        self.used -= 1;
        let next = core::mem::replace(&mut self.free, slot);
        Some(core::mem::replace(&mut self.contents[slot as usize], Contents::Free(next)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_once_each_and_come_back() {
        let mut slots = Slots::new(3).unwrap();
        let taken: [u32; 3] = core::array::from_fn(|n| slots.take(Contents::Same(n as u64)).unwrap());
        assert!(slots.is_full() && slots.take(Contents::Same(9)).is_none());
        assert_eq!(slots.release(taken[1]), Some(Contents::Same(1)));
        assert_eq!((slots.used(), slots.total()), (2, 3));
        assert_eq!(slots.take(Contents::Same(5)), Some(taken[1]));
        assert_eq!(slots.contents(taken[1]), Contents::Same(5));
        assert!(Slots::new(0).unwrap().take(Contents::Same(0)).is_none());
    }

    #[test]
    fn a_slot_lives_until_its_last_reference_and_counts_stop_before_they_wrap() {
        // Failure 14, for slots: a count that wraps frees what others still refer to.
        let mut slots = Slots::new(1).unwrap();
        let slot = slots.take(Contents::Same(1)).unwrap();
        for _ in 1..u16::MAX {
            slots.duplicate(slot).unwrap();
        }
        assert_eq!(slots.duplicate(slot), Err(SlotSaturated));
        assert_eq!(slots.count(slot), u16::MAX);
        for _ in 1..u16::MAX {
            assert_eq!(slots.release(slot), None);
        }
        assert_eq!(slots.release(slot), Some(Contents::Same(1)));
    }
}
