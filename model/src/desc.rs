//! One stage-1 descriptor, as hardware reads it. Arm ARM DDI 0487, D8.3.1.

use crate::geometry::{Granule, LAST_LEVEL};

const VALID: u64 = 1;
const TABLE_OR_PAGE: u64 = 1 << 1;
const ATTR: u64 = 7 << 2;
const USER: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const SH: u64 = 3 << 8;
const AF: u64 = 1 << 10;
const NG: u64 = 1 << 11;
const NT: u64 = 1 << 16;
const DBM: u64 = 1 << 51;
const CONT: u64 = 1 << 52;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
/// Bits that hardware ignores: 55 to 58, and 59 to 63 where none of their optional uses is on.
const SOFTWARE: u64 = 0x1ff << 55;
const OA: u64 = 0x0000_ffff_ffff_f000;

/// A descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Desc(pub u64);

/// What a descriptor is at its level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// It translates nothing.
    Invalid,
    /// It points to the table at this address.
    Table(u64),
    /// It maps a page or block.
    Leaf,
}

impl Desc {
    pub(crate) fn kind(self, level: u8, granule: Granule) -> Kind {
        let table_bit = self.0 & TABLE_OR_PAGE != 0;
        if self.0 & VALID == 0 {
            Kind::Invalid
        } else if level == LAST_LEVEL {
            // 0b01 is reserved at the last level and treated as invalid.
            if table_bit { Kind::Leaf } else { Kind::Invalid }
        } else if table_bit {
            Kind::Table(self.0 & OA & !(granule.page_size() - 1))
        } else if granule.has_blocks(level) {
            Kind::Leaf
        } else {
            Kind::Invalid
        }
    }

    /// The output address of a leaf of `level`.
    pub(crate) fn output(self, level: u8, granule: Granule) -> u64 {
        self.0 & OA & !(granule.size(level) - 1)
    }

    pub(crate) fn is_cont(self) -> bool {
        self.0 & CONT != 0
    }

    pub(crate) fn accessed(self) -> bool {
        self.0 & AF != 0
    }

    pub(crate) fn is_global(self) -> bool {
        self.0 & NG == 0
    }

    pub(crate) fn is_user(self) -> bool {
        self.0 & USER != 0
    }

    #[cfg(feature = "std")]
    pub(crate) fn user_executable(self) -> bool {
        self.is_user() && self.0 & UXN == 0
    }

    pub(crate) fn no_translation_hint(self) -> bool {
        self.0 & NT != 0
    }

    /// Whether a cached copy lets writes through.
    pub(crate) fn writes_directly(self) -> bool {
        self.0 & READ_ONLY == 0
    }

    /// Whether hardware may make it writable at a write (FEAT_HAFDBS, dirty state).
    pub(crate) fn dirty_by_hardware(self) -> bool {
        self.0 & (READ_ONLY | DBM) == READ_ONLY | DBM
    }

    /// Whether writes go, or may be made to go, through it.
    pub(crate) fn writable(self) -> bool {
        self.writes_directly() || self.dirty_by_hardware()
    }

    pub(crate) fn memory_type(self) -> u64 {
        self.0 & ATTR
    }

    pub(crate) fn shareability(self) -> u64 {
        self.0 & SH
    }

    /// The bits in which leaf entries of a contiguous group must agree: all but the address, the access flag,
    /// software's bits and, where hardware manages the dirty state of a writable entry (RLCGVS), AP\[2\].
    pub(crate) fn group_attributes(self, hw_dirty: bool) -> u64 {
        let dirty = if hw_dirty && self.0 & DBM != 0 { READ_ONLY } else { 0 };
        self.0 & !(OA | AF | SOFTWARE | NT | dirty)
    }

    /// What a TLB keeps of a leaf: all but the access flag and software's bits.
    pub(crate) fn cached(self) -> u64 {
        self.0 & !(AF | SOFTWARE)
    }

    /// Whether a cached copy of this leaf permits something that `now` does not.
    pub(crate) fn permits_more_than(self, now: Desc) -> bool {
        let more = |forbids: u64| self.0 & forbids == 0 && now.0 & forbids != 0;
        (self.is_user() && !now.is_user()) || more(READ_ONLY) || more(UXN) || more(PXN)
    }

    /// Whether both permit the same, the dirty state included.
    #[cfg(feature = "std")]
    pub(crate) fn same_permissions(self, other: Desc) -> bool {
        (self.0 ^ other.0) & (USER | READ_ONLY | DBM | UXN | PXN) == 0
    }

    /// The entry with what the walker may note in it: access flag, and dirty state of a writable entry.
    pub(crate) fn differs_only_by_walker(self, other: Desc) -> bool {
        let dirty = if self.0 & DBM != 0 && other.0 & DBM != 0 { READ_ONLY } else { 0 };
        self.0 & VALID != 0 && (self.0 ^ other.0) & !(AF | dirty) == 0
    }

    #[cfg(feature = "std")]
    pub(crate) fn with_accessed(self) -> Desc {
        Desc(self.0 | AF)
    }

    #[cfg(feature = "std")]
    pub(crate) fn with_dirty(self) -> Desc {
        Desc(self.0 & !READ_ONLY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_entry_is_depends_on_its_level() {
        assert_eq!(Desc(0x4000_0003).kind(2, Granule::K4), Kind::Table(0x4000_0000));
        assert_eq!(Desc(0x4000_0003).kind(3, Granule::K4), Kind::Leaf);
        assert_eq!(Desc(0x4000_0001).kind(2, Granule::K4), Kind::Leaf);
        assert_eq!(Desc(0x4000_0001).kind(3, Granule::K4), Kind::Invalid);
        assert_eq!(Desc(0x4000_0001).kind(0, Granule::K4), Kind::Invalid);
        assert_eq!(Desc(0x4000_0000).kind(3, Granule::K4), Kind::Invalid);
    }

    #[test]
    fn dirty_state_is_an_attribute_unless_hardware_manages_it() {
        let (clean, dirty) = (Desc(DBM | READ_ONLY | 3), Desc(DBM | 3));
        assert_eq!(clean.group_attributes(true), dirty.group_attributes(true));
        assert_ne!(clean.group_attributes(false), dirty.group_attributes(false));
        assert!(dirty.permits_more_than(clean) && !clean.permits_more_than(dirty));
    }
}
