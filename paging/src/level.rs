//! Levels of the translation table tree. Arm ARM DDI 0487, D8.2: with a 4 KiB granule and 48-bit addresses a walk
//! starts at level 0 and ends at level 3; blocks are possible at levels 1 and 2.

use crate::addr::VirtAddr;
use crate::granule::{GRANULE, Granule, PAGE_SHIFT, PTES_PER_TABLE, VA_BITS};

/// A level of translation tables, 0 (the top) to 3 (whose entries map pages).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Level(u8);

impl Level {
    /// The level a walk starts at, for [`VA_BITS`] bits of address.
    pub const TOP: Level = Level(match GRANULE {
        Granule::K4 | Granule::K16 => 0,
        Granule::K64 => 1,
    });
    /// The level above the last, whose entries can map a block (2 MiB with a 4 KiB granule). Linux: PMD.
    pub const PMD: Level = Level(2);
    /// The last level, whose entries map pages. Linux: PTE.
    pub const PTE: Level = Level(3);

    /// The level's number, 0 to 3.
    #[inline]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The level that a table descriptor of this level points to; `None` below the last.
    #[inline]
    pub const fn next(self) -> Option<Level> {
        if self.0 < 3 { Some(Level(self.0 + 1)) } else { None }
    }

    /// log2 of the bytes that one entry of this level covers.
    #[inline]
    pub const fn shift(self) -> u32 {
        PAGE_SHIFT + GRANULE.index_bits() * (3 - self.0) as u32
    }

    /// Bytes that one entry of this level covers.
    #[inline]
    pub const fn entry_size(self) -> u64 {
        1 << self.shift()
    }

    /// Whether an entry of this level may map a block. Arm ARM, D8.3 "Block descriptors"; without LPA2.
    pub const fn has_blocks(self) -> bool {
        match GRANULE {
            Granule::K4 => self.0 == 1 || self.0 == 2,
            Granule::K16 | Granule::K64 => self.0 == 2,
        }
    }

    /// The 0-based index of the entry for `va` in a table of this level.
    #[inline]
    pub const fn index(self, va: VirtAddr) -> usize {
        let in_range = va.get() & ((1 << VA_BITS) - 1);
        (in_range >> self.shift()) as usize & (PTES_PER_TABLE - 1)
    }

    /// The first address behind the entry of this level that `va` lies in.
    #[inline]
    pub const fn entry_end(self, va: VirtAddr) -> VirtAddr {
        VirtAddr::new((va.get() & !(self.entry_size() - 1)).wrapping_add(self.entry_size()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_cover_what_the_architecture_says() {
        assert_eq!(Level(1).entry_size(), 1 << 30);
        assert_eq!(Level::PMD.entry_size(), 2 << 20);
        assert_eq!(Level::PTE.entry_size(), 4 << 10);
    }

    #[test]
    fn indices_of_a_kernel_address_ignore_its_sign_bits() {
        let va = VirtAddr::new(0xffff_8000_8020_3000);
        assert_eq!(Level(0).index(va), 256);
        assert_eq!(Level(1).index(va), 2);
        assert_eq!(Level(2).index(va), 1);
        assert_eq!(Level(3).index(va), 3);
    }
}
