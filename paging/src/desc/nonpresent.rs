//! What stands in a frame's place: entries that are not present, as a type.
//!
//! The software bits that a page keeps while its frame is elsewhere (uffd-wp, soft-dirty) are the entry's, not the
//! type's: [`Pte::mkuffd_wp`] and its kin set them in any entry, at the same place.

use super::bits::ABSENT;
use super::{NG, Pte, SW_SOFT_DIRTY, SW_UFFD_WP, TABLE, VALID};
use crate::addr::Pfn;

const TYPE_SHIFT: usize = ABSENT::TYPE.shift;
const PAYLOAD_SHIFT: usize = ABSENT::PAYLOAD.shift;
const PAYLOAD_MASK: u64 = ABSENT::PAYLOAD.mask;
/// Bits that may be set beside type and payload.
const KEPT: u64 = SW_UFFD_WP | SW_SOFT_DIRTY;

/// The type field of each kind, in place.
const SWAP: u64 = ABSENT::TYPE::Swap.value;
const MIGRATION_READ: u64 = ABSENT::TYPE::MigrationRead.value;
const MIGRATION_WRITE: u64 = ABSENT::TYPE::MigrationWrite.value;
const UFFD_WP: u64 = ABSENT::TYPE::MarkerUffdWp.value;
const POISON: u64 = ABSENT::TYPE::MarkerPoison.value;
const GUARD: u64 = ABSENT::TYPE::MarkerGuard.value;

// An entry with any of these set would be valid, or taken for PROT_NONE.
const _: () = assert!(
    (ABSENT::TYPE.mask << TYPE_SHIFT | PAYLOAD_MASK << PAYLOAD_SHIFT | KEPT) & (VALID | TABLE | NG) == 0
);

/// Where a page's contents are while it is swapped out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct SwapEntry {
    /// The 0-based number of the slot, in pages; below 2^40.
    pub slot: u64,
}

/// A mark that stands where no page is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Marker {
    /// userfaultfd wants to hear of the first write to a page that is not there. Linux: `PTE_MARKER_UFFD_WP`.
    UffdWp,
    /// The contents are lost to a hardware error: an access gets SIGBUS. Linux: `PTE_MARKER_POISONED`.
    Poison,
    /// A guard page: an access gets SIGSEGV. Linux: `PTE_MARKER_GUARD`.
    Guard,
}

/// What an entry holds that is not present. Hardware translates through none of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NonPresent {
    /// Nothing: the empty entry.
    None,
    /// A page that is swapped out.
    Swap(SwapEntry),
    /// A page on its way to another frame; accesses wait.
    Migration {
        /// The frame it leaves.
        pfn: Pfn,
        /// Whether the entry was writable.
        writable: bool,
    },
    /// A mark.
    Marker(Marker),
}

impl NonPresent {
    /// The entry that says so, without tracking bits.
    #[inline]
    pub const fn encode(self) -> Pte {
        Pte(match self {
            NonPresent::None => 0,
            NonPresent::Swap(SwapEntry { slot }) => SWAP | payload(slot),
            NonPresent::Migration { pfn, writable: false } => MIGRATION_READ | payload(pfn.get()),
            NonPresent::Migration { pfn, writable: true } => MIGRATION_WRITE | payload(pfn.get()),
            NonPresent::Marker(Marker::UffdWp) => UFFD_WP,
            NonPresent::Marker(Marker::Poison) => POISON,
            NonPresent::Marker(Marker::Guard) => GUARD,
        })
    }

    /// What `pte`, which is not present, says. An entry that no encoding gives is taken for poison: nobody's frame
    /// or slot is given up for it, and an access does not see somebody else's data.
    #[inline]
    pub const fn decode(pte: Pte) -> NonPresent {
        debug_assert!(!pte.is_present());
        if pte.is_none() {
            return NonPresent::None;
        }
        let payload = pte.0 >> PAYLOAD_SHIFT & PAYLOAD_MASK;
        match pte.0 & ABSENT::TYPE.mask << TYPE_SHIFT {
            SWAP => NonPresent::Swap(SwapEntry { slot: payload }),
            MIGRATION_READ => NonPresent::Migration { pfn: Pfn::new(payload), writable: false },
            MIGRATION_WRITE => NonPresent::Migration { pfn: Pfn::new(payload), writable: true },
            UFFD_WP => NonPresent::Marker(Marker::UffdWp),
            GUARD => NonPresent::Marker(Marker::Guard),
            _ => NonPresent::Marker(Marker::Poison),
        }
    }
}

const fn payload(value: u64) -> u64 {
    debug_assert!(value <= PAYLOAD_MASK);
    (value & PAYLOAD_MASK) << PAYLOAD_SHIFT
}

impl Pte {
    /// What an entry that is not present holds; `None` of a present one.
    #[inline]
    pub const fn non_present(self) -> Option<NonPresent> {
        if self.is_present() { None } else { Some(NonPresent::decode(self)) }
    }

    /// This entry, which is not present, with the tracking bits (uffd-wp, soft-dirty) of `other` and no more. For
    /// swapping out and in: the bits move along.
    #[inline]
    pub const fn with_tracking_of(self, other: Pte) -> Pte {
        Pte(self.0 & !KEPT | other.0 & KEPT)
    }
}

impl Pte {
    /// This entry, which is present, with what `other` tracks: soft-dirty if either is, and if `other` is protected for
    /// userfaultfd, so is this, and not writable.
    #[inline]
    pub const fn tracked_like(self, other: Pte) -> Pte {
        let written = if other.is_soft_dirty() { self.mksoft_dirty() } else { self };
        if other.is_uffd_wp() { written.mkuffd_wp() } else { written }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Every kind, with payloads that set each single bit, none and all.
    fn all() -> Vec<NonPresent> {
        let mut all = std::vec![
            NonPresent::None,
            NonPresent::Marker(Marker::UffdWp),
            NonPresent::Marker(Marker::Poison),
            NonPresent::Marker(Marker::Guard),
        ];
        for value in (0..40).map(|bit| 1 << bit).chain([0, PAYLOAD_MASK]) {
            all.push(NonPresent::Swap(SwapEntry { slot: value }));
            for writable in [false, true] {
                all.push(NonPresent::Migration { pfn: Pfn::new(value), writable });
            }
        }
        all
    }

    /// `pte` with every combination of tracking bits; the empty entry has none.
    fn tracked(pte: Pte) -> Vec<Pte> {
        if pte.is_none() {
            return std::vec![pte];
        }
        std::vec![pte, pte.mkuffd_wp(), pte.mksoft_dirty(), pte.mkuffd_wp().mksoft_dirty()]
    }

    #[test]
    fn every_entry_decodes_to_what_was_encoded_whatever_is_tracked() {
        for entry in all() {
            for pte in tracked(entry.encode()) {
                assert_eq!(NonPresent::decode(pte), entry, "{:#x}", pte.raw());
                assert_eq!(pte.non_present(), Some(entry));
            }
        }
    }

    #[test]
    fn different_entries_have_different_encodings() {
        let mut raw: Vec<u64> = all().iter().map(|entry| entry.encode().raw()).collect();
        raw.sort_unstable();
        let count = raw.len();
        raw.dedup();
        assert_eq!(raw.len(), count);
    }

    #[test]
    fn hardware_sees_none_of_them_and_the_kernel_takes_none_for_a_page() {
        for entry in all() {
            for pte in tracked(entry.encode()) {
                assert_eq!(pte.raw() & 0b11, 0, "invalid at the last level, and no table above it");
                assert!(!pte.is_valid() && !pte.is_present() && !pte.is_protnone() && !pte.is_cont());
                assert!(!pte.is_special());
                assert_eq!(pte.is_none(), entry == NonPresent::None);
            }
        }
    }

    #[test]
    fn tracking_bits_are_set_cleared_and_carried_without_touching_the_rest() {
        let page = Pte::user(Pfn::new(77)).mkwrite().mkdirty();
        for entry in all().into_iter().filter(|entry| *entry != NonPresent::None) {
            let plain = entry.encode();
            assert_eq!(plain.mkuffd_wp().clear_uffd_wp(), plain);
            assert_eq!(plain.mksoft_dirty().clear_soft_dirty(), plain);
            let out = plain.with_tracking_of(page.mkuffd_wp().mksoft_dirty());
            assert!(out.is_uffd_wp() && out.is_soft_dirty());
            assert_eq!(out.with_tracking_of(page), plain);
            assert_eq!(NonPresent::decode(out), entry);
        }
    }

    #[test]
    fn what_no_encoding_gives_is_poison() {
        for raw in [7 << TYPE_SHIFT, PAYLOAD_MASK << PAYLOAD_SHIFT, SW_SOFT_DIRTY, 1 << 63] {
            assert_eq!(NonPresent::decode(Pte(raw)), NonPresent::Marker(Marker::Poison), "{raw:#x}");
        }
    }

    #[test]
    fn present_entries_are_not_decoded() {
        let page = Pte::user(Pfn::new(77));
        for pte in [page, page.mkprotnone(), Pte::kernel(Pfn::new(77)), page.mkwrite().mkdirty().mkprotnone()]
        {
            assert!(pte.is_present() && pte.non_present().is_none(), "{pte:?}");
        }
    }
}
