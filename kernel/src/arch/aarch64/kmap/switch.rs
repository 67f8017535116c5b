//! Replacing the entry code's tables by the kernel's own.

use core::arch::{asm, global_asm};
use core::mem::transmute;

use aarch64_cpu::registers::{DAIF, Readable, Writeable};
use paging::PhysAddr;

use super::super::mmu;
use super::{ptr_to_phys, tables};

global_asm!(include_str!("switch.s"));

unsafe extern "C" {
    fn switch_tables(new: u64, empty: u64);
}

/// Makes `root` the kernel's tables and gives up the identity map: TTBR0 translates nothing afterwards.
///
/// # Safety
/// `root` maps everything that is in use at the same addresses as the present tables: the image, the stack, whatever
/// references point to. TTBR0 holds the entry code's identity map, and only this CPU runs.
pub unsafe fn switch_to(root: PhysAddr) {
    let physical = ptr_to_phys(switch_tables as *const u8) as usize;
    // SAFETY: the same code at the address where the identity map shows it.
    let switch: unsafe extern "C" fn(u64, u64) = unsafe { transmute(physical) };
    let masked = DAIF.get();
    // SAFETY: masking an exception asks for nothing.
    unsafe { asm!("msr daifset, #15", options(nostack)) };
    // The stores that built the tables come before the walks that use them.
    mmu::dsb_ishst();
    // SAFETY: the caller vouches for the tables; the code touches no memory, exceptions are masked.
    unsafe { switch(root.get(), tables::empty_table().get()) };
    mmu::set_empty_user_table();
    mmu::tlbi_vmalle1();
    mmu::dsb_nsh();
    mmu::isb();
    DAIF.set(masked);
}
