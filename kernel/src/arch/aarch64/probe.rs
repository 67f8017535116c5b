//! Accesses that are allowed to fault: for tests that expect it, and for looking at memory that may not be there.

use core::arch::global_asm;
use core::ptr;

use super::esr::Esr;
use super::frame::TrapFrame;

global_asm!(include_str!("probe.s"));

unsafe extern "C" {
    fn probe_load(addr: usize, value: *mut u64) -> u64;
    fn probe_store(addr: usize, copy: *mut u64, value: u64) -> u64;
    fn probe_load_user(addr: usize, value: *mut u64) -> u64;
    fn probe_store_user(addr: usize, copy: *mut u64, value: u64) -> u64;
    fn probe_call(addr: usize) -> u64;

    static probe_start: [u8; 0];
    static probe_end: [u8; 0];
    static probe_fault: [u8; 0];
    static probe_call_return: [u8; 0];
    static probe_call_fault: [u8; 0];
}

/// If the fault in `frame` is that of a probe, makes it return the syndrome.
pub(super) fn fixup(frame: &mut TrapFrame, esr: Esr) -> bool {
    let address = |symbol: *const [u8; 0]| symbol as u64;
    let accesses = address(&raw const probe_start)..address(&raw const probe_end);
    if accesses.contains(&frame.pc) {
        frame.pc = address(&raw const probe_fault);
    } else if esr.class() == Esr::INSTRUCTION_ABORT_SAME
        && frame.x[30] == address(&raw const probe_call_return)
    {
        frame.pc = address(&raw const probe_call_fault);
    } else {
        return false;
    }
    frame.x[0] = esr.0;
    true
}

fn outcome(esr: u64) -> Result<(), Esr> {
    // No syndrome of a fault is 0: IL is set for aborts and alignment faults.
    if esr == 0 { Ok(()) } else { Err(Esr(esr)) }
}

/// Reads 8 bytes at `addr` as the kernel, PAN included.
///
/// # Errors
/// The syndrome, if that faults.
pub fn load(addr: usize) -> Result<u64, Esr> {
    let mut value = 0;
    // SAFETY: writes only `value`; a fault ends in the fixup.
    outcome(unsafe { probe_load(addr, &mut value) }).map(|()| value)
}

/// Writes 8 bytes at `addr` as the kernel, PAN included.
///
/// # Errors
/// The syndrome, if that faults.
///
/// # Safety
/// If it does not fault, nobody relies on what was there.
pub unsafe fn store(addr: usize, value: u64) -> Result<(), Esr> {
    // SAFETY: the caller vouches for the memory; a fault ends in the fixup.
    outcome(unsafe { probe_store(addr, ptr::null_mut(), value) })
}

/// Reads 8 bytes at `addr` as EL0 would, without any attempt to repair a fault.
///
/// # Errors
/// The syndrome, if that faults.
pub fn load_user(addr: usize) -> Result<u64, Esr> {
    let mut value = 0;
    // SAFETY: writes only `value`; a fault ends in the fixup.
    outcome(unsafe { probe_load_user(addr, &mut value) }).map(|()| value)
}

/// Writes 8 bytes at `addr` as EL0 would, without any attempt to repair a fault.
///
/// # Errors
/// The syndrome, if that faults.
pub fn store_user(addr: usize, value: u64) -> Result<(), Esr> {
    // SAFETY: can only change what EL0 may write; a fault ends in the fixup.
    outcome(unsafe { probe_store_user(addr, ptr::null_mut(), value) })
}

/// Calls `addr` at EL1.
///
/// # Errors
/// The syndrome, if the first instruction cannot be fetched.
///
/// # Safety
/// If it can, what is at `addr` returns and follows AAPCS64.
pub unsafe fn call(addr: usize) -> Result<(), Esr> {
    // SAFETY: the caller vouches for the code; a fault ends in the fixup.
    outcome(unsafe { probe_call(addr) })
}
