//! Translation as a CPU would do it now: its registers, and a walk over the shadowed tables.
//!
//! Used for addresses that QEMU does not resolve for us (DC ZVA's, a stack frame's) and by the simulated TLB. It is
//! not part of the judgement, which is the model's.

use model::geometry::{Granule, LAST_LEVEL};

use crate::insn::SystemRegister;

/// The registers of one CPU that say how it translates.
#[derive(Clone, Copy, Default, Debug)]
pub struct Regime {
    ttbr0: u64,
    ttbr1: u64,
    tcr: u64,
    sctlr: u64,
}

/// Where a walk ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// The address translated, in bytes.
    pub pa: u64,
    /// log2 of the bytes that the entry maps.
    pub shift: u32,
    /// log2 of the bytes that the entry's contiguous block maps; `shift` if its contiguous bit is clear.
    pub block_shift: u32,
    /// Valid in all address spaces (nG = 0).
    pub global: bool,
}

/// Descriptor bits. Arm ARM DDI 0487, D8.3 "Translation table descriptor formats".
const VALID: u64 = 1 << 0;
const TABLE_OR_PAGE: u64 = 1 << 1;
const NOT_GLOBAL: u64 = 1 << 11;
const CONTIGUOUS: u64 = 1 << 52;
const ADDRESS: u64 = (1 << 48) - (1 << 12);

/// TCR_EL1. Arm ARM, D24.2 "TCR_EL1".
const EPD0: u64 = 1 << 7;
const A1: u64 = 1 << 22;
const EPD1: u64 = 1 << 23;

impl Regime {
    /// Takes note of a register write.
    pub fn write(&mut self, register: SystemRegister, value: u64) {
        match register {
            SystemRegister::Ttbr0 => self.ttbr0 = value,
            SystemRegister::Ttbr1 => self.ttbr1 = value,
            SystemRegister::Tcr => self.tcr = value,
            SystemRegister::Sctlr => self.sctlr = value,
        }
    }

    /// Whether translation is on (SCTLR_EL1.M).
    pub fn is_on(&self) -> bool {
        self.sctlr & 1 != 0
    }

    /// The current address space identifier.
    pub fn asid(&self) -> u16 {
        let ttbr = if self.tcr & A1 != 0 { self.ttbr1 } else { self.ttbr0 };
        (ttbr >> 48) as u16
    }

    /// The granule of the half that `va` is in, and log2 of the half's size.
    fn half(&self, va: u64) -> (u64, Granule, u32) {
        if va >> 63 == 0 {
            (self.ttbr0, Granule::of_tg0(self.tcr), 64 - (self.tcr & 0x3f) as u32)
        } else {
            let granule = match self.tcr >> 30 & 3 {
                1 => Granule::K16,
                3 => Granule::K64,
                _ => Granule::K4,
            };
            (self.ttbr1, granule, 64 - (self.tcr >> 16 & 0x3f) as u32)
        }
    }

    /// The granule of the lower half, which the kernel uses for both.
    pub fn granule(&self) -> Granule {
        self.half(0).1
    }

    /// Bytes in a page of the half that `va` is in, as log2.
    pub fn page_shift(&self, va: u64) -> u32 {
        self.half(va).1.page_shift()
    }

    /// Translates `va`, reading tables with `word`. `None` for what faults (permissions are not checked).
    pub fn translate(&self, word: impl Fn(u64) -> u64, va: u64) -> Option<Leaf> {
        if !self.is_on() {
            return Some(Leaf { pa: va, shift: 12, block_shift: 12, global: true });
        }
        let (ttbr, granule, bits) = self.half(va);
        let disabled = if va >> 63 == 0 { EPD0 } else { EPD1 };
        // Bits 63 to 56 may be a tag. Above the half's size and below them there is a gap.
        let sign = if va >> 63 == 0 { 0 } else { u64::MAX };
        let out_of_range = bits < 56 && (va ^ sign) << 8 >> 8 >> bits != 0;
        if self.tcr & disabled != 0 || out_of_range {
            return None;
        }
        let offset = va & ((1u64 << bits.min(63)) - 1);
        let mut table = ttbr & ADDRESS;
        for level in granule.start_level(bits)..=LAST_LEVEL {
            let shift = granule.shift(level);
            let index = offset >> shift & ((1 << (granule.page_shift() - 3)) - 1);
            let desc = word(table + index * 8);
            if desc & VALID == 0 {
                return None;
            }
            let leaf = level == LAST_LEVEL || desc & TABLE_OR_PAGE == 0;
            if !leaf {
                table = desc & ADDRESS & !(granule.page_size() - 1);
                continue;
            }
            if level == LAST_LEVEL && desc & TABLE_OR_PAGE == 0
                || level != LAST_LEVEL && !granule.has_blocks(level)
            {
                return None;
            }
            let members = if desc & CONTIGUOUS != 0 { granule.contiguous(level) } else { 1 };
            let inside = (1u64 << shift) - 1;
            return Some(Leaf {
                pa: desc & ADDRESS & !inside | va & inside,
                shift,
                block_shift: shift + members.trailing_zeros(),
                global: desc & NOT_GLOBAL == 0,
            });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// 4 KiB granule, 48 bits in both halves, A1 = 0.
    const TCR: u64 = 16 | 16 << 16 | 2 << 30;

    fn regime() -> Regime {
        let mut regime = Regime::default();
        regime.write(SystemRegister::Tcr, TCR);
        regime.write(SystemRegister::Ttbr0, 7 << 48 | 0x1000 | 1);
        regime.write(SystemRegister::Ttbr1, 0x5000);
        regime.write(SystemRegister::Sctlr, 1);
        regime
    }

    fn translate(tables: &[(u64, u64)], va: u64) -> Option<Leaf> {
        let tables: HashMap<_, _> = tables.iter().copied().collect();
        regime().translate(|pa| tables.get(&pa).copied().unwrap_or(0), va)
    }

    #[test]
    fn pages_and_contiguous_blocks() {
        let nested = [(0x1000, 0x2003), (0x2000, 0x3003), (0x3008, 0x4003)];
        let page = [(0x4018, 0x8_0000_0fe3 & !0xfe0 | NOT_GLOBAL)];
        let leaf = translate(&[&nested[..], &page].concat(), 0x20_3abc).unwrap();
        assert_eq!(leaf, Leaf { pa: 0x8_0000_0abc, shift: 12, block_shift: 12, global: false });
        let member = [(0x4018, 0x8_0000_3003 | CONTIGUOUS)];
        let leaf = translate(&[&nested[..], &member].concat(), 0x20_3abc).unwrap();
        assert_eq!(leaf, Leaf { pa: 0x8_0000_3abc, shift: 12, block_shift: 16, global: true });
        assert_eq!(translate(&nested, 0x20_3abc), None, "no entry");
        assert_eq!(
            translate(&[&nested[..], &[(0x4018, 0x8001)]].concat(), 0x20_3abc),
            None,
            "reserved at level 3"
        );
    }

    #[test]
    fn the_upper_half_has_its_own_root() {
        let tables = [(0x5000 + 0x100 * 8, 0x6003), (0x6010, 0x7003), (0x7000, 0x4020_0001)];
        let leaf = translate(&tables, 0xffff_8000_8012_3456).unwrap();
        assert_eq!(leaf, Leaf { pa: 0x4032_3456, shift: 21, block_shift: 21, global: true });
        assert_eq!(translate(&tables, 0x8000_8012_3456), None);
        assert_eq!(translate(&tables, 0xfffe_8000_8012_3456), None, "outside of 48 bits");
    }

    #[test]
    fn without_the_mmu_addresses_are_physical() {
        let mut regime = regime();
        assert_eq!(regime.asid(), 7);
        regime.write(SystemRegister::Sctlr, 0);
        assert_eq!(regime.translate(|_| 0, 0x4000_1234).unwrap().pa, 0x4000_1234);
    }
}
