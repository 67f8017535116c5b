//! What QEMU calls while the guest runs.
//!
//! A memory callback comes after the access, an instruction's before the instruction. Both know a CPU by its index, and
//! run on that CPU's thread.

use std::ffi::{c_uint, c_void};
use std::sync::atomic::Ordering;

use qemu_plugin_sys as sys;

use super::{api, finish, finish_claim, plugin};
use crate::claim::{CLAIM, Claim};
use crate::insn::{Insn, Reg};
use crate::site::Site;
use crate::watch::COUNTING;

/// # Safety
/// `userdata` is what was registered with the callback that is running.
unsafe fn site(userdata: *mut c_void) -> &'static Site {
    // SAFETY: all callbacks are registered with a site, and sites live for ever.
    unsafe { &*userdata.cast::<Site>() }
}

/// The kernel read or wrote memory.
///
/// # Safety
/// QEMU calls it, as a memory callback, with a site.
pub unsafe extern "C" fn kernel_access(
    cpu: c_uint,
    info: sys::qemu_plugin_meminfo_t,
    va: u64,
    userdata: *mut c_void,
) {
    // SAFETY: the arguments are this callback's.
    let (site, access) = unsafe { (site(userdata), api::access(info, va)) };
    let Some(access) = access else { return };
    let mut watch = plugin().watch();
    let verdict = watch.access(cpu as usize, site.pc, &access, site.insn == Some(Insn::Atomic));
    finish(&mut watch, cpu as usize, verdict);
}

/// Anybody read or wrote memory; only with simulated TLBs.
///
/// # Safety
/// QEMU calls it, as a memory callback, with a site.
pub unsafe extern "C" fn touch(cpu: c_uint, _: sys::qemu_plugin_meminfo_t, va: u64, _: *mut c_void) {
    if COUNTING.load(Ordering::Relaxed) {
        plugin().watch().touch(cpu as usize, va);
    }
}

/// An instruction of interest is about to be executed.
///
/// # Safety
/// QEMU calls it, as an instruction callback registered to read registers, with a site.
pub unsafe extern "C" fn instruction(cpu: c_uint, userdata: *mut c_void) {
    // SAFETY: the argument is this callback's.
    let site = unsafe { site(userdata) };
    let Some(insn) = site.insn else { return };
    let mut watch = plugin().watch();
    let cpu = cpu as usize;
    if insn == Insn::Hint(CLAIM) {
        // SAFETY: on the vCPU's thread, in a callback that may read registers.
        let claim = Claim::new(std::array::from_fn(|number| unsafe { api::x(number as Reg) }));
        let verdict = watch.claim(cpu, &claim);
        return finish_claim(&mut watch, verdict);
    }
    let verdict = match insn {
        // SAFETY: on the vCPU's thread, in a callback that may read registers. Mode EL0t is M[3:0] = 0.
        Insn::Eret if unsafe { api::spsr_el1() } & 0xf == 0 => watch.return_to_user(cpu, site.pc),
        Insn::Eret => return,
        Insn::Tlbi(_, _, reg) | Insn::Msr(_, reg) | Insn::ZeroBlock(reg) => {
            // SAFETY: as above.
            watch.execute(cpu, site.pc, insn, unsafe { api::x(reg) })
        }
        _ => watch.execute(cpu, site.pc, insn, 0),
    };
    finish(&mut watch, cpu, verdict);
}

/// A block of instructions is about to be executed; only with simulated TLBs.
///
/// # Safety
/// QEMU calls it, as a block callback, with a site.
pub unsafe extern "C" fn block(cpu: c_uint, userdata: *mut c_void) {
    if COUNTING.load(Ordering::Relaxed) {
        // SAFETY: the argument is this callback's.
        let site = unsafe { site(userdata) };
        plugin().watch().fetch(cpu as usize, site.pc, site.insns);
    }
}
