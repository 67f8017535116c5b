//! TLBI instructions and their operands. Arm ARM DDI 0487, C5.5 "A64 System instructions for TLB maintenance".
//!
//! Everything is a plain value here; [`crate::Mmu::tlbi`] executes it.

use crate::addr::VirtAddr;
use crate::granule::{Granule, VA_BITS};
use crate::level::Level;
use crate::mmu::Asid;

/// Which CPUs' TLBs an invalidation reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// All CPUs of the inner shareable domain (the IS forms).
    Broadcast,
    /// Only the CPU that issues it.
    Local,
}

/// One TLB invalidation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tlbi {
    /// TLBI VALE1(IS): the last-level entry of one page of one address space.
    Page(VaOperand, Scope),
    /// TLBI RVALE1IS: last-level entries of a range of one address space.
    Range(RangeOperand),
    /// TLBI VAALE1IS: the last-level entry of one page in all address spaces; for global (kernel) mappings.
    GlobalPage(VaOperand),
    /// TLBI ASIDE1IS: everything of one address space, walk caches included.
    Asid(AsidOperand),
    /// TLBI VMALLE1(IS): everything.
    All(Scope),
}

/// The operand of a TLBI by address: VA\[55:12\] in \[43:0\], TTL in \[47:44\], ASID in \[63:48\].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VaOperand(u64);

impl VaOperand {
    /// Encodes `va` of address space `asid`. A `level` hint is encoded where the CPU has FEAT_TTL (`ttl`); a wrong
    /// level may invalidate nothing, so it is given only where the caller knows it.
    #[inline]
    pub const fn new(granule: Granule, va: VirtAddr, asid: Asid, level: Option<Level>, ttl: bool) -> Self {
        // Bits above 55 are the sign of a kernel address; unmasked they would spill into TTL and ASID.
        let page = (va.get() >> 12) & ((1 << 44) - 1);
        let hint = match level {
            Some(level) if ttl => granule.tlbi_tg() << 2 | level.number() as u64,
            _ => 0,
        };
        VaOperand((asid.get() as u64) << 48 | hint << 44 | page)
    }

    /// The register value.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }
}

/// The operand of a TLBI by ASID: ASID in \[63:48\].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AsidOperand(u64);

impl AsidOperand {
    /// Encodes `asid`.
    #[inline]
    pub const fn new(asid: Asid) -> Self {
        AsidOperand((asid.get() as u64) << 48)
    }

    /// The register value.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }
}

/// The operand of a TLBI by range: ASID\[63:48\] TG\[47:46\] SCALE\[45:44\] NUM\[43:39\] TTL\[38:37\]
/// BaseADDR\[36:0\]; it covers (NUM + 1) * 2^(5 * SCALE + 1) pages from BaseADDR, an address in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RangeOperand(u64);

impl RangeOperand {
    /// The most pages one operand covers: NUM = 31, SCALE = 3.
    pub const MAX_PAGES: u64 = 32 << 16;

    /// Encodes the longest prefix of the `pages` pages from `va` that one operand can express, and says how many
    /// pages that is. Needs `pages` >= 2: a single page has no range encoding.
    #[inline]
    pub const fn prefix(
        granule: Granule,
        va: VirtAddr,
        pages: u64,
        asid: Asid,
        level: Option<Level>,
    ) -> (Self, u64) {
        let scale = match pages {
            0x1_0000.. => 3,
            0x800.. => 2,
            0x40.. => 1,
            _ => 0,
        };
        let unit_shift = 5 * scale + 1;
        let units = if pages >> unit_shift > 32 { 32 } else { pages >> unit_shift };
        let hint = match level {
            Some(level) => level.number() as u64,
            None => 0,
        };
        let base = (va.get() & ((1 << VA_BITS) - 1)) >> granule.page_shift();
        // The base field holds 37 bits, sign-extended by the CPU; a kernel address has them set.
        let sign = if va.get() >> 63 == 1 { !0 << (VA_BITS - granule.page_shift()) } else { 0 };
        let raw = (asid.get() as u64) << 48
            | granule.tlbi_tg() << 46
            | scale << 44
            | (units - 1) << 39
            | hint << 37
            | (base | sign) & ((1 << 37) - 1);
        (RangeOperand(raw), units << unit_shift)
    }

    /// The register value.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// How many pages it covers, decoded from its fields.
    pub const fn pages(self) -> u64 {
        let scale = self.0 >> 44 & 3;
        let num = self.0 >> 39 & 31;
        (num + 1) << (5 * scale + 1)
    }

    /// The first address it covers, in bytes, decoded from its fields.
    pub const fn base(self, granule: Granule) -> VirtAddr {
        let signed = ((self.0 << 27) as i64) >> 27;
        VirtAddr::new((signed << granule.page_shift()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const GRANULES: [Granule; 3] = [Granule::K4, Granule::K16, Granule::K64];

    fn ranges(granule: Granule, va: u64, mut pages: u64) -> (Vec<RangeOperand>, u64) {
        let mut at = va;
        let mut ops = Vec::new();
        while pages >= 2 {
            let (op, covered) = RangeOperand::prefix(granule, VirtAddr::new(at), pages, Asid::new(1), None);
            assert_eq!(op.pages(), covered);
            assert_eq!(op.base(granule), VirtAddr::new(at), "{granule:?} {pages}");
            assert!(covered >= 2 && covered <= pages);
            ops.push(op);
            at += covered << granule.page_shift();
            pages -= covered;
        }
        (ops, pages)
    }

    #[test]
    fn every_page_count_is_covered_exactly() {
        // Contpte reference, failure 8: a range of exactly 2^21 pages once flushed nothing.
        let edges = [2, 3, 62, 63, 64, 65, 2047, 2048, 2049, 65535, 65536, 65537];
        let big = [(1 << 21) - 1, 1 << 21, (1 << 21) + 1, (1 << 22) + 5, 3 << 21];
        for granule in GRANULES {
            for pages in edges.into_iter().chain(big).chain(2..if cfg!(miri) { 70 } else { 3000 }) {
                let (ops, rest) = ranges(granule, 0x40_0000, pages);
                let covered: u64 = ops.iter().map(|op| op.pages()).sum();
                assert_eq!(covered + rest, pages);
                assert!(rest < 2 && ops.len() <= 4 + (pages >> 21) as usize, "{pages}: {}", ops.len());
            }
        }
    }

    #[test]
    fn a_contpte_block_is_one_range_op() {
        for granule in GRANULES {
            let (ops, rest) = ranges(granule, 0x1000_0000, granule.cont_ptes() as u64);
            assert_eq!((ops.len(), rest), (1, 0));
            assert_eq!(ops[0].raw() >> 46 & 3, granule.tlbi_tg());
        }
    }

    #[test]
    fn fields_do_not_spill() {
        // Failure 13: a kernel address's sign bits ended up in TTL and ASID.
        let va = VirtAddr::new(0xffff_8000_0012_3000);
        let op = VaOperand::new(Granule::K4, va, Asid::new(0x1234), None, true);
        assert_eq!(op.raw(), 0x1234_0ff8_0000_0123);
        let (range, _) = RangeOperand::prefix(Granule::K4, va, 2, Asid::new(0x1234), None);
        assert_eq!(range.raw() >> 37, 0x1234 << 11 | 0b01 << 9);
        assert_eq!(range.base(Granule::K4), va);
    }

    #[test]
    fn the_level_hint_needs_the_feature_and_names_the_granule() {
        let va = VirtAddr::new(0x1000);
        let hint =
            |ttl| VaOperand::new(Granule::K4, va, Asid::new(1), Some(Level::PTE), ttl).raw() >> 44 & 15;
        assert_eq!(hint(false), 0);
        assert_eq!(hint(true), 0b0111);
        let (range, _) = RangeOperand::prefix(Granule::K4, va, 2, Asid::new(1), Some(Level::PTE));
        assert_eq!(range.raw() >> 37 & 3, 3);
    }
}
