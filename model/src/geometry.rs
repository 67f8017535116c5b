//! Sizes that follow from the granule. Arm ARM DDI 0487, D8.2 "Translation granules".

/// A translation granule: the size of a page and of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Granule {
    /// 4 KiB.
    K4,
    /// 16 KiB.
    K16,
    /// 64 KiB.
    K64,
}

/// The level whose entries map pages.
pub const LAST_LEVEL: u8 = 3;

impl Granule {
    /// log2 of the page size in bytes.
    pub const fn page_shift(self) -> u32 {
        match self {
            Granule::K4 => 12,
            Granule::K16 => 14,
            Granule::K64 => 16,
        }
    }

    /// Bytes of a page and of a table.
    pub const fn page_size(self) -> u64 {
        1 << self.page_shift()
    }

    /// Descriptors in a table.
    pub const fn entries(self) -> usize {
        1 << (self.page_shift() - 3)
    }

    /// log2 of the bytes that one entry of `level` (0 to 3) covers.
    pub const fn shift(self, level: u8) -> u32 {
        self.page_shift() + (self.page_shift() - 3) * (LAST_LEVEL - level) as u32
    }

    /// Bytes that one entry of `level` (0 to 3) covers.
    pub const fn size(self, level: u8) -> u64 {
        1 << self.shift(level)
    }

    /// How many adjacent entries of `level` the contiguous bit joins; 1 where there are no blocks.
    /// Arm ARM, D8.7.1 "The Contiguous bit".
    pub const fn contiguous(self, level: u8) -> usize {
        match (self, level) {
            (Granule::K4, 1..=3) => 16,
            (Granule::K16, 3) => 128,
            (Granule::K16, 2) | (Granule::K64, 2 | 3) => 32,
            _ => 1,
        }
    }

    /// Whether an entry of `level` may map a block, without LPA2.
    pub const fn has_blocks(self, level: u8) -> bool {
        match self {
            Granule::K4 => level == 1 || level == 2,
            Granule::K16 | Granule::K64 => level == 2,
        }
    }

    /// The level a walk of `va_bits` bits of address starts at.
    pub const fn start_level(self, va_bits: u32) -> u8 {
        let mut level = LAST_LEVEL;
        while level > 0 && self.shift(level) + self.page_shift() - 3 < va_bits {
            level -= 1;
        }
        level
    }

    /// The granule that TG0 of a TCR_EL1 with the value `tcr` names, bits \[15:14\]. TG1 has other codes.
    pub const fn of_tg0(tcr: u64) -> Self {
        match tcr >> 14 & 3 {
            0 => Granule::K4,
            1 => Granule::K64,
            _ => Granule::K16,
        }
    }

    /// The TG field by which TLBI operands name the granule.
    pub const fn tg(self) -> u64 {
        match self {
            Granule::K4 => 1,
            Granule::K16 => 2,
            Granule::K64 => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_start_where_the_architecture_says() {
        assert_eq!(Granule::K4.start_level(48), 0);
        assert_eq!(Granule::K4.start_level(39), 1);
        assert_eq!(Granule::K16.start_level(48), 0);
        assert_eq!(Granule::K16.start_level(47), 1);
        assert_eq!(Granule::K64.start_level(48), 1);
    }

    #[test]
    fn entries_cover_what_the_architecture_says() {
        assert_eq!(Granule::K4.size(2), 2 << 20);
        assert_eq!(Granule::K16.size(2), 32 << 20);
        assert_eq!(Granule::K64.size(2), 512 << 20);
        let block = |granule: Granule| granule.contiguous(3) as u64 * granule.page_size();
        assert_eq!(
            [block(Granule::K4), block(Granule::K16), block(Granule::K64)],
            [64 << 10, 2 << 20, 2 << 20]
        );
    }
}
