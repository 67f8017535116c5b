//! The counts of a folio: how often it is pinned, otherwise referenced, and mapped, in one word.
//!
//! ```text
//!   | pins, 16 bits | other references, 16 bits | mappings, 32 bits |
//! ```
//!
//! A reference is any of the three: each mapping is one, each pin is one, and so their number needs no field of its
//! own and can never be seen below that of the mappings. The folio is free when the word is 0. One word also means
//! one atomic update for a batch of mappings, and that whoever adds mappings learns from the same update whether the
//! folio is pinned.
//!
//! The highest bit of each field stays clear but for a moment: an update that finds it set in a field it adds to is
//! taken back. Between a CPU's addition and its taking back others may add as well, at most one batch each, and the
//! half of a field above that bit has room for all of them: no field can carry into the next.

use core::sync::atomic::{AtomicU64, Ordering};

/// The most pages of a folio that one update pins.
pub const PIN_BATCH: u16 = 1024;

const PIN_SHIFT: u32 = 48;
const OTHER_SHIFT: u32 = 32;

/// How often a folio is referenced, as read at one moment, or by how much that is to change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Pinned pages: frames that a device or the kernel uses by address, which must stay the ones that the process
    /// maps. A page pinned twice counts twice.
    pub pins: u16,
    /// References that are neither pins nor mappings: the maker's of a folio not mapped yet, an object's of its pages.
    pub others: u16,
    /// PTEs that map a frame of the folio.
    pub maps: u32,
}

/// A folio has too many references of a kind for one more batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooManyReferences;

impl Counts {
    /// One reference that is neither a pin nor a mapping.
    pub const ONE: Counts = Counts { pins: 0, others: 1, maps: 0 };

    /// `nr` mappings.
    #[inline]
    pub const fn maps(nr: u32) -> Self {
        Counts { pins: 0, others: 0, maps: nr }
    }

    /// `nr` pinned pages.
    #[inline]
    pub const fn pins(nr: u16) -> Self {
        Counts { pins: nr, others: 0, maps: 0 }
    }

    /// References of all kinds.
    pub const fn refs(self) -> u64 {
        self.pins as u64 + self.others as u64 + self.maps as u64
    }

    const fn from_raw(raw: u64) -> Self {
        Counts { pins: (raw >> PIN_SHIFT) as u16, others: (raw >> OTHER_SHIFT) as u16, maps: raw as u32 }
    }

    const fn raw(self) -> u64 {
        (self.pins as u64) << PIN_SHIFT | (self.others as u64) << OTHER_SHIFT | self.maps as u64
    }

    /// The bits that must be clear before `self` is added: the highest of each field that grows.
    #[inline]
    const fn full(self) -> u64 {
        (if self.pins > 0 { 1 << 63 } else { 0 })
            | (if self.others > 0 { 1 << (PIN_SHIFT - 1) } else { 0 })
            | (if self.maps > 0 { 1 << (OTHER_SHIFT - 1) } else { 0 })
    }
}

/// A folio's counts.
#[derive(Debug, Default)]
pub(super) struct AtomicCounts(AtomicU64);

impl AtomicCounts {
    /// No references.
    pub(super) const fn zero() -> Self {
        AtomicCounts(AtomicU64::new(0))
    }

    /// Sets the counts of a folio that nobody else knows; no atomic update.
    #[inline]
    pub(super) fn set(&self, counts: Counts) {
        self.0.store(counts.raw(), Ordering::Relaxed);
    }

    /// The counts now.
    #[inline]
    pub(super) fn get(&self) -> Counts {
        // Acquire: whoever finds itself the only user sees what the former users wrote.
        Counts::from_raw(self.0.load(Ordering::Acquire))
    }

    /// Adds `more` and returns what there was before.
    ///
    /// # Errors
    /// [`TooManyReferences`]; nothing was added.
    #[inline]
    pub(super) fn add(&self, more: Counts) -> Result<Counts, TooManyReferences> {
        let old = self.0.fetch_add(more.raw(), Ordering::Relaxed);
        if old & more.full() != 0 {
            self.0.fetch_sub(more.raw(), Ordering::Relaxed);
            return Err(TooManyReferences);
        }
        Ok(Counts::from_raw(old))
    }

    /// Whether `nr` mappings may be added without a look at what was there, by whoever holds the lock of an address space
    /// that maps the folio: nothing of it is pinned, which cannot change meanwhile, and however many others add to it
    /// as well, each but a batch, its mappings stay below what the field holds.
    #[inline(always)]
    pub(super) fn can_share(&self) -> bool {
        const PINNED: u64 = 0xffff << PIN_SHIFT;
        self.0.load(Ordering::Relaxed) & (PINNED | Counts::maps(1).full()) == 0
    }

    /// Adds `nr` mappings after [`AtomicCounts::can_share`] said that they may be.
    #[inline(always)]
    pub(super) fn share(&self, nr: u32) {
        self.0.fetch_add(Counts::maps(nr).raw(), Ordering::Relaxed);
    }

    /// Takes `less` away and returns whether nothing is left.
    #[inline]
    pub(super) fn sub(&self, less: Counts) -> bool {
        // Whoever has all the references is alone: nobody else can come by another. The word stays as it is, for
        // whoever claims the folio next sets it.
        if self.0.load(Ordering::Acquire) == less.raw() {
            return true;
        }
        // Release: this user's accesses come before the frame's next use; Acquire: if it is the last, so do the
        // others'.
        let old = self.0.fetch_sub(less.raw(), Ordering::AcqRel);
        debug_assert!(
            {
                let old = Counts::from_raw(old);
                old.pins >= less.pins && old.others >= less.others && old.maps >= less.maps
            },
            "{:?} minus {less:?}",
            Counts::from_raw(old)
        );
        old == less.raw()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::MAX_CPUS;

    const PAGES: u32 = 1 << crate::mm::frame::MAX_ORDER;
    /// The most that one update adds to each field, and what fills that field up.
    const BATCHES: [(Counts, Counts); 3] = [
        (Counts::pins(PIN_BATCH), Counts::pins(1 << 15)),
        (Counts::ONE, Counts { others: 1 << 15, ..Counts::maps(0) }),
        (Counts::maps(PAGES), Counts::maps(1 << 31)),
    ];

    #[test]
    fn each_field_counts_by_itself_and_nothing_is_left_at_the_end() {
        let counts = AtomicCounts::default();
        for (more, _) in BATCHES {
            counts.add(more).unwrap();
        }
        assert_eq!(counts.get(), Counts { pins: PIN_BATCH, others: 1, maps: PAGES });
        assert_eq!(counts.get().refs(), u64::from(PIN_BATCH) + u64::from(PAGES) + 1);
        assert_eq!(BATCHES.map(|(less, _)| counts.sub(less)), [false, false, true]);
    }

    #[test]
    fn a_full_field_refuses_more_and_leaves_the_others_alone() {
        for (more, full) in BATCHES {
            let counts = AtomicCounts::default();
            counts.set(full);
            assert_eq!(counts.add(more), Err(TooManyReferences));
            for (other, _) in BATCHES.into_iter().filter(|(other, _)| *other != more) {
                assert_eq!(counts.add(other), Ok(full));
                assert!(!counts.sub(other));
            }
            assert_eq!(counts.get(), full);
        }
    }

    #[test]
    fn no_field_carries_however_many_cpus_overshoot_at_once() {
        for (more, full) in BATCHES {
            // At the limit, and every CPU adds its largest batch before any takes its own back.
            let overshot = full.raw() + (MAX_CPUS as u64) * more.raw();
            let Counts { pins, others, maps } = Counts::from_raw(overshot);
            let fields = [pins > 0, others > 0, maps > 0].into_iter().filter(|used| *used).count();
            assert_eq!(fields, 1, "{more:?} carried");
        }
    }
}
