//! Levels of the translation table tree. Arm ARM DDI 0487, D8.2, for 48-bit addresses:
//!
//! | granule | a walk starts at | a table's entries | blocks | a level-2 entry covers |
//! |---|---|---|---|---|
//! | 4 KiB | level 0, 512 entries | 512 | levels 1 and 2 | 2 MiB |
//! | 16 KiB | level 0, 2 entries | 2,048 | level 2 | 32 MiB |
//! | 64 KiB | level 1, 64 entries | 8,192 | level 2 | 512 MiB |
//!
//! Every table takes a whole page, also the short one at the top: the architecture would let it be smaller.

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

    /// The level above; `None` above the topmost.
    #[inline]
    pub const fn previous(self) -> Option<Level> {
        if self.0 > Level::TOP.0 { Some(Level(self.0 - 1)) } else { None }
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
        let in_range = va.get() & ((1 << VA_BITS) - 1); // the top table may be short
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
        let mib = |level: Level| level.entry_size() >> 20;
        match GRANULE {
            Granule::K4 => assert_eq!((mib(Level(1)), mib(Level::PMD)), (1 << 10, 2)),
            Granule::K16 => assert_eq!((mib(Level(1)), mib(Level::PMD)), (64 << 10, 32)),
            Granule::K64 => assert_eq!((mib(Level(1)), mib(Level::PMD)), (4 << 20, 512)),
        }
        assert_eq!(Level::PTE.entry_size(), 1 << PAGE_SHIFT);
    }

    #[test]
    fn a_walk_begins_at_the_level_whose_table_covers_all_addresses() {
        let top = VirtAddr::new((1 << VA_BITS) - 1);
        let entries = match GRANULE {
            Granule::K4 => 512,
            Granule::K16 => 2,
            Granule::K64 => 64,
        };
        assert_eq!(Level::TOP.index(top), entries - 1);
        let covered = |level: Level| level.shift() + GRANULE.index_bits();
        assert!(covered(Level::TOP) >= VA_BITS, "the top table would not cover all addresses");
        assert!(covered(Level::TOP.next().unwrap()) < VA_BITS, "the one below would do");
    }

    #[test]
    fn indices_of_a_kernel_address_ignore_its_sign_bits() {
        let va = VirtAddr::new(0xffff_8000_8020_3000);
        let indices = [0, 1, 2, 3].map(|level| Level(level).index(va));
        match GRANULE {
            Granule::K4 => assert_eq!(indices, [256, 2, 1, 3]),
            Granule::K16 => assert_eq!(indices[..], [1, 0, 64, 128]),
            Granule::K64 => assert_eq!(indices[1..], [32, 4, 32]),
        }
    }
}
