//! What the CPU can do, from its ID registers. Read once on the boot CPU; all CPUs of a machine are taken to agree.

use core::arch::asm;
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

use aarch64_cpu::registers::{
    ID_AA64DFR0_EL1, ID_AA64ISAR0_EL1, ID_AA64MMFR0_EL1, ID_AA64MMFR1_EL1, ID_AA64MMFR2_EL1, Readable,
};
use spin::Once;

/// The CPU's optional features, as far as the kernel uses or reports them. Arm ARM DDI 0487, D24.2, "ID_AA64*".
#[derive(Clone, Copy, Debug)]
pub struct Features {
    /// FEAT_TLBIRANGE: TLBI by range of addresses.
    pub tlbi_range: bool,
    /// FEAT_TTL: TLBI level hints.
    pub ttl: bool,
    /// Hardware sets the access flag (switched on at entry).
    pub hw_af: bool,
    /// Hardware manages dirty state (switched on at entry).
    pub hw_dirty: bool,
    /// FEAT_BBM level that the CPU offers, 0 to 2; see [`bbm_level`].
    pub bbm_level: u8,
    /// FEAT_PAN level, 0 (none) to 3.
    pub pan: u8,
    /// FEAT_LSE: atomic instructions.
    pub lse: bool,
    /// FEAT_RNG: random numbers.
    pub rng: bool,
    /// FEAT_PMUv3: cycle counter.
    pub pmu: bool,
    /// ASIDs have 16 bits, not 8.
    pub asid16: bool,
    /// Bytes that DC ZVA zeroes; 0 where it is prohibited.
    pub dc_zva_bytes: usize,
    /// ID_AA64MMFR0_EL1.PARange: the code of the physical address size.
    pub pa_range: u8,
}

static FEATURES: Once<Features> = Once::new();

/// The FEAT_BBM level that is relied on; what the CPU offers is not enough to go by ([`crate::bbm`]).
static BBM_LEVEL: AtomicU8 = AtomicU8::new(0);

/// The FEAT_BBM level that changes of live translations rely on.
#[inline]
pub fn bbm_level() -> u8 {
    BBM_LEVEL.load(Ordering::Relaxed)
}

/// Lets changes of live translations rely on FEAT_BBM level `level` from here on. The CPU offers it, and takes no TLB
/// conflict aborts.
pub fn rely_on_bbm_level(level: u8) {
    BBM_LEVEL.store(level, Ordering::Relaxed);
}

/// The CPU's features.
#[inline]
pub fn features() -> &'static Features {
    FEATURES.call_once(detect)
}

fn detect() -> Features {
    let field = |register: u64, lowest_bit: u32| (register >> lowest_bit & 0xf) as u8;
    let isar0 = ID_AA64ISAR0_EL1.get();
    let mmfr0 = ID_AA64MMFR0_EL1.get();
    let mmfr1 = ID_AA64MMFR1_EL1.get();
    let mmfr2 = ID_AA64MMFR2_EL1.get();
    let pmu_version = field(ID_AA64DFR0_EL1.get(), 8);
    let dczid: u64;
    // SAFETY: reads an ID register that every CPU has.
    unsafe { asm!("mrs {}, dczid_el0", out(reg) dczid, options(nomem, nostack, preserves_flags)) };
    Features {
        tlbi_range: field(isar0, 56) >= 2,
        ttl: field(mmfr2, 48) >= 1,
        hw_af: field(mmfr1, 0) >= 1,
        hw_dirty: field(mmfr1, 0) >= 2,
        bbm_level: field(mmfr2, 52),
        pan: field(mmfr1, 20),
        lse: field(isar0, 20) >= 2,
        rng: field(isar0, 60) >= 1,
        // 15 is a PMU that is not the architecture's.
        pmu: !matches!(pmu_version, 0 | 15),
        asid16: field(mmfr0, 4) >= 2,
        // DZP (bit 4) prohibits it; BS is log2 of the block in words.
        dc_zva_bytes: if dczid & 1 << 4 == 0 { 4 << (dczid & 0xf) } else { 0 },
        pa_range: field(mmfr0, 0),
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PA_BITS: [u8; 8] = [32, 36, 40, 42, 44, 48, 52, 56];
        write!(f, "PA {} bits", PA_BITS[self.pa_range as usize & 7])?;
        write!(f, ", ASID {} bits", if self.asid16 { 16 } else { 8 })?;
        let named = [
            (self.tlbi_range, "TLBIRANGE"),
            (self.ttl, "TTL"),
            (self.hw_af, "HW AF"),
            (self.hw_dirty, "HW dirty"),
            (self.pan > 0, "PAN"),
            (self.lse, "LSE"),
            (self.rng, "RNG"),
            (self.pmu, "PMU"),
        ];
        named.iter().filter(|(has, _)| *has).try_for_each(|(_, name)| write!(f, ", {name}"))?;
        write!(f, ", BBM level {}, DC ZVA {} bytes", self.bbm_level, self.dc_zva_bytes)
    }
}
