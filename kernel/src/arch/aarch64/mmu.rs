//! Instructions that maintain translations, one function each. What order they come in is the business of `paging`.
//!
//! TLBI operands are raw register values, as `paging::tlbi` encodes them.

use core::arch::asm;

use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{PAR_EL1, Readable, TTBR0_EL1, Writeable};

use super::kmap;

macro_rules! tlbi {
    ($($(#[$doc:meta])* $name:ident = $($code:literal),+;)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(operand: u64) {
            // SAFETY: drops cached translations; what is translated afterwards comes from the tables.
            unsafe { asm!($($code),+, in(reg) operand, options(nostack, preserves_flags)) }
        }
    )*};
}

tlbi! {
    /// TLBI VALE1IS: last-level entries of one address and ASID, all CPUs.
    tlbi_vale1is = "tlbi vale1is, {}";
    /// TLBI VALE1: last-level entries of one address and ASID, this CPU only.
    tlbi_vale1 = "tlbi vale1, {}";
    /// TLBI VAALE1IS: last-level entries of one address in all ASIDs, all CPUs.
    tlbi_vaale1is = "tlbi vaale1is, {}";
    /// TLBI VAE1IS: entries of all levels for one address and ASID, all CPUs.
    tlbi_vae1is = "tlbi vae1is, {}";
    /// TLBI RVALE1IS: last-level entries of a range of addresses in one ASID, all CPUs. Needs FEAT_TLBIRANGE.
    tlbi_rvale1is = ".arch_extension tlb-rmi", "tlbi rvale1is, {}";
    /// TLBI RVAE1IS: entries of all levels for a range of addresses in one ASID, all CPUs. Needs FEAT_TLBIRANGE.
    tlbi_rvae1is = ".arch_extension tlb-rmi", "tlbi rvae1is, {}";
    /// TLBI ASIDE1IS: everything of one ASID, all CPUs.
    tlbi_aside1is = "tlbi aside1is, {}";
}

/// TLBI VMALLE1IS: everything, all CPUs.
#[inline(always)]
pub fn tlbi_vmalle1is() {
    // SAFETY: as for the others.
    unsafe { asm!("tlbi vmalle1is", options(nostack, preserves_flags)) }
}

/// TLBI VMALLE1: everything, this CPU only.
#[inline(always)]
pub fn tlbi_vmalle1() {
    // SAFETY: as for the others.
    unsafe { asm!("tlbi vmalle1", options(nostack, preserves_flags)) }
}

/// DSB ISHST: earlier stores, to all CPUs' walkers.
#[inline(always)]
pub fn dsb_ishst() {
    barrier::dsb(barrier::ISHST);
}

/// DSB ISH: earlier accesses and TLBIs, on all CPUs.
#[inline(always)]
pub fn dsb_ish() {
    barrier::dsb(barrier::ISH);
}

/// DSB NSH: earlier accesses and TLBIs, on this CPU.
#[inline(always)]
pub fn dsb_nsh() {
    barrier::dsb(barrier::NSH);
}

/// ISB: later instructions see what came before.
#[inline(always)]
pub fn isb() {
    barrier::isb(barrier::SY);
}

macro_rules! at {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(va: u64) -> u64 {
            // SAFETY: translates without accessing; the ISB makes PAR_EL1 the result.
            unsafe { asm!($code, "isb", in(reg) va, options(nostack, preserves_flags)) };
            PAR_EL1.get()
        }
    )*};
}

at! {
    /// Walks the tables for a read of `va` by EL0; returns PAR_EL1, whose bit 0 says that it faulted.
    at_s1e0r = "at s1e0r, {}";
    /// Walks the tables for a write of `va` by EL0; returns PAR_EL1, whose bit 0 says that it faulted.
    at_s1e0w = "at s1e0w, {}";
    /// Walks the tables for a read of `va` by EL1; returns PAR_EL1, whose bit 0 says that it faulted.
    at_s1e1r = "at s1e1r, {}";
    /// Walks the tables for a write of `va` by EL1; returns PAR_EL1, whose bit 0 says that it faulted.
    at_s1e1w = "at s1e1w, {}";
}

/// Translates user addresses by the tables at physical address `root_pa` from here on, tagged with `asid`. Root and
/// ASID change in one register write, so that no translation mixes them (TCR_EL1.A1 is 0).
///
/// # Safety
/// The tables stay valid until another call, nothing is cached for `asid` that they contradict, and they map no
/// kernel memory for EL0.
#[inline]
pub unsafe fn set_user_table(root_pa: u64, asid: u16) {
    TTBR0_EL1.set(root_pa | u64::from(asid) << TTBR0_EL1::ASID.shift);
    isb();
}

/// Translates no user address from here on. ASID 0 belongs to no address space.
#[inline]
pub fn set_empty_user_table() {
    TTBR0_EL1.set(kmap::empty_table());
    isb();
}

/// The value of TTBR0_EL1: the current user table's physical address and, in bits 63 to 48, its ASID.
#[inline]
pub fn user_table() -> u64 {
    TTBR0_EL1.get()
}
