//! Translation granules and what follows from their size. Arm ARM DDI 0487, D8.2 "Translation granules".

/// A translation granule: the size of a page and of a translation table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Granule {
    /// 4 KiB pages, 512 entries a table.
    K4,
    /// 16 KiB pages, 2,048 entries a table.
    K16,
    /// 64 KiB pages, 8,192 entries a table.
    K64,
}

impl Granule {
    /// log2 of the page size in bytes.
    pub const fn page_shift(self) -> u32 {
        match self {
            Granule::K4 => 12,
            Granule::K16 => 14,
            Granule::K64 => 16,
        }
    }

    /// log2 of the number of descriptors in a table: a table is one page of 8-byte descriptors.
    pub const fn index_bits(self) -> u32 {
        self.page_shift() - 3
    }

    /// How many adjacent last-level entries the contiguous bit joins. Arm ARM, "The Contiguous bit".
    pub const fn cont_ptes(self) -> usize {
        match self {
            Granule::K4 => 16,
            Granule::K16 => 128,
            Granule::K64 => 32,
        }
    }

    /// The TG field of a range TLBI operand. Arm ARM, TLBI RVAE1IS, bits \[47:46\].
    pub const fn tlbi_tg(self) -> u64 {
        match self {
            Granule::K4 => 0b01,
            Granule::K16 => 0b10,
            Granule::K64 => 0b11,
        }
    }
}

#[cfg(all(feature = "granule-16k", feature = "granule-64k"))]
compile_error!("a build has one granule: choose granule-16k or granule-64k, or neither for 4 KiB");

/// The granule this build translates with: 4 KiB, or what the crate's features `granule-16k` and `granule-64k` say.
pub const GRANULE: Granule = if cfg!(feature = "granule-64k") {
    Granule::K64
} else if cfg!(feature = "granule-16k") {
    Granule::K16
} else {
    Granule::K4
};
/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = GRANULE.page_shift();
/// Bytes in a page.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;
/// Entries in a contpte block.
pub const CONT_PTES: usize = GRANULE.cont_ptes();
/// Bytes that a contpte block maps.
pub const CONT_SIZE: u64 = CONT_PTES as u64 * PAGE_SIZE;
/// Descriptors in a translation table.
pub const PTES_PER_TABLE: usize = 1 << GRANULE.index_bits();
/// Bits of a user or kernel virtual address that are translated, on every granule: with 16 KiB the top table then has
/// 2 entries, with 64 KiB it is of level 1 and has 64. FEAT_LPA2, which gives 4 KiB and 16 KiB granules 52 bits and
/// other descriptors for them, is not used.
pub const VA_BITS: u32 = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_size_the_architecture_gives_them() {
        let bytes = |g: Granule| (g.cont_ptes() as u64) << g.page_shift();
        assert_eq!(bytes(Granule::K4), 64 << 10);
        assert_eq!(bytes(Granule::K16), 2 << 20);
        assert_eq!(bytes(Granule::K64), 2 << 20);
    }
}
