//! Values of the registers that turn translation on. The entry code in `boot` loads them; everything that builds
//! tables relies on them.
//!
//! One granule for both halves (`paging::granule`), 48-bit addresses, 16-bit ASIDs taken from TTBR0.

use aarch64_cpu::registers::{MAIR_EL1, SCTLR_EL1, TCR_EL1};
use paging::granule::{GRANULE, Granule, VA_BITS};

/// MAIR_EL1, by the attribute indices of `paging::desc`: 0 is normal write-back memory, 1 is Device-nGnRE.
pub const MAIR: u64 = MAIR_EL1::Attr0_Normal_Outer::WriteBack_NonTransient_ReadWriteAlloc.value
    | MAIR_EL1::Attr0_Normal_Inner::WriteBack_NonTransient_ReadWriteAlloc.value
    | MAIR_EL1::Attr1_Device::nonGathering_nonReordering_EarlyWriteAck.value;

/// log2 of the addresses that neither half translates: 64 bits less 48.
const UNTRANSLATED_BITS: u64 = 64 - VA_BITS as u64;

/// The granule in TCR_EL1, whose two fields have different codes for it.
const TG: u64 = match GRANULE {
    Granule::K4 => TCR_EL1::TG0::KiB_4.value | TCR_EL1::TG1::KiB_4.value,
    Granule::K16 => TCR_EL1::TG0::KiB_16.value | TCR_EL1::TG1::KiB_16.value,
    Granule::K64 => TCR_EL1::TG0::KiB_64.value | TCR_EL1::TG1::KiB_64.value,
};

/// Where ID_AA64MMFR0_EL1 says whether the CPU has the granule: TGran4, TGran16 or TGran64.
pub const TGRAN_SHIFT: usize = match GRANULE {
    Granule::K4 => 28,
    Granule::K16 => 20,
    Granule::K64 => 24,
};
/// The values of that field, from the first to the second, that say it has. Linux: `ID_AA64MMFR0_EL1_TGRAN*_SUPPORTED`.
pub const TGRAN_SUPPORTED: (u64, u64) = match GRANULE {
    Granule::K4 | Granule::K64 => (0, 7),
    Granule::K16 => (1, 15),
};

/// TCR_EL1 but for what depends on the CPU: IPS, HA and HD, which the entry code adds from the ID registers.
/// Table walks are inner shareable and write-back cacheable, as the tables themselves are written.
pub const TCR: u64 = TCR_EL1::T0SZ.val(UNTRANSLATED_BITS).value
    | TCR_EL1::T1SZ.val(UNTRANSLATED_BITS).value
    | TG
    | TCR_EL1::SH0::Inner.value
    | TCR_EL1::SH1::Inner.value
    | TCR_EL1::IRGN0::WriteBack_ReadAlloc_WriteAlloc_Cacheable.value
    | TCR_EL1::ORGN0::WriteBack_ReadAlloc_WriteAlloc_Cacheable.value
    | TCR_EL1::IRGN1::WriteBack_ReadAlloc_WriteAlloc_Cacheable.value
    | TCR_EL1::ORGN1::WriteBack_ReadAlloc_WriteAlloc_Cacheable.value
    | TCR_EL1::A1::TTBR0.value
    | TCR_EL1::AS::ASID16Bits.value;

/// TCR_EL1 bit: hardware sets access flags.
pub const TCR_HA: u64 = TCR_EL1::HA::Enable.value;
/// TCR_EL1 bit: hardware manages dirty state. Only with [`TCR_HA`].
pub const TCR_HD: u64 = TCR_EL1::HD::Enable.value;
/// Where IPS, the size of physical addresses, starts in TCR_EL1.
pub const TCR_IPS_SHIFT: usize = TCR_EL1::IPS.shift;
/// The largest IPS that descriptors have room for without FEAT_LPA2 (4 and 16 KiB) or FEAT_LPA (64 KiB), neither of which
/// is used: 48 bits.
pub const TCR_IPS_MAX: u64 = 0b101;

/// SCTLR_EL1 bits that Armv8.0 has as RES1 and later extensions give a meaning whose set state is the old one: EOS,
/// EIS (exceptions synchronise context), TSCXT, nTLSMD, LSMAOE. Arm ARM DDI 0487, D24.2 "SCTLR_EL1".
const SCTLR_RES1: u64 = 1 << 11 | 1 << 20 | 1 << 22 | 1 << 28 | 1 << 29;

/// SCTLR_EL1 with the MMU and caches off: what the entry code starts from, whatever firmware left.
pub const SCTLR_OFF: u64 = SCTLR_RES1 | SCTLR_SPAN;

/// SCTLR_EL1 in operation, but for what depends on the CPU: SPAN and EPAN.
///
/// EL0 may use DC ZVA, cache maintenance by address, CTR_EL0 and WFE, as under Linux. Its WFI traps, as there: the timer
/// may be off, and then nothing would end the wait.
pub const SCTLR_ON: u64 = SCTLR_RES1
    | SCTLR_EL1::M::Enable.value
    | SCTLR_EL1::C::Cacheable.value
    | SCTLR_EL1::I::Cacheable.value
    | SCTLR_EL1::SA::Enable.value
    | SCTLR_EL1::SA0::Enable.value
    | SCTLR_EL1::DZE::DontTrap.value
    | SCTLR_EL1::UCT::DontTrap.value
    | SCTLR_EL1::UCI::DontTrap.value
    | SCTLR_EL1::NTWE::DontTrap.value;

/// SCTLR_EL1.SPAN: exceptions to EL1 leave PSTATE.PAN alone. RES1 without FEAT_PAN; with it, clear, so that every
/// exception sets PAN.
pub const SCTLR_SPAN: u64 = 1 << 23;
/// SCTLR_EL1.EPAN (FEAT_PAN3): PAN covers execute-only user pages too.
pub const SCTLR_EPAN: u64 = 1 << 57;
