//! Which instructions get a callback: decided once, when QEMU translates a block.
//!
//! What runs at EL0 cannot touch tables, TLBs or system registers, so its code stays as fast as it is. Code is EL0's if
//! its address is in the lower half, except where virtual equals physical: there the kernel's entry code runs, with
//! the MMU off or through its identity map. QEMU tells the host address of code and so which of the two it is.

use std::ffi::c_void;
use std::sync::OnceLock;

use qemu_plugin_sys as sys;
use sys::qemu_plugin_mem_rw::{QEMU_PLUGIN_MEM_RW, QEMU_PLUGIN_MEM_W};

use super::api::{NO_REGISTERS, READS_REGISTERS};
use super::{callbacks, plugin};
use crate::claim::CLAIM;
use crate::insn::Insn;
use crate::options::Mode;
use crate::shadow::RAM_BASE;
use crate::site::Site;

/// The host address of the guest's RAM. Learnt from the first code there: QEMU's boot stub, run with the MMU off.
static RAM: OnceLock<usize> = OnceLock::new();

/// Whether code at `pc` whose first byte is at host address `host` is the kernel's.
fn is_kernel(pc: u64, host: usize) -> bool {
    if pc >> 63 == 1 {
        return true;
    }
    let Some(offset) = pc.checked_sub(RAM_BASE) else { return false };
    *RAM.get_or_init(|| host.wrapping_sub(offset as usize)) == host.wrapping_sub(offset as usize)
}

fn userdata(site: &'static Site) -> *mut c_void {
    std::ptr::from_ref(site).cast_mut().cast()
}

/// QEMU translated a block.
///
/// # Safety
/// QEMU calls it, as the translation callback, with a block.
pub unsafe extern "C" fn translated(_: sys::qemu_plugin_id_t, block: *mut sys::qemu_plugin_tb) {
    let plugin = plugin();
    let reach = plugin.options.mode == Mode::Reach;
    // SAFETY: the block is the callback's argument; indices are below its number of instructions, of which there is
    // at least one.
    unsafe {
        let count = sys::qemu_plugin_tb_n_insns(block);
        let start = sys::qemu_plugin_tb_vaddr(block);
        let host = sys::qemu_plugin_insn_haddr(sys::qemu_plugin_tb_get_insn(block, 0)) as usize;
        let kernel = is_kernel(start, host);
        if reach {
            let site = plugin.sites.block(start, count as u32);
            let run = Some(callbacks::block as unsafe extern "C" fn(_, _));
            sys::qemu_plugin_register_vcpu_tb_exec_cb(block, run, NO_REGISTERS, userdata(site));
        }
        for index in 0..count {
            instrument(sys::qemu_plugin_tb_get_insn(block, index), kernel, reach);
        }
    }
}

/// Registers what is wanted of one instruction.
///
/// # Safety
/// `insn` is of the block that is being translated.
unsafe fn instrument(insn: *mut sys::qemu_plugin_insn, kernel: bool, reach: bool) {
    let mut word = [0; 4];
    // SAFETY: the caller's promise; the buffer has the length that is passed.
    let (copied, pc) = unsafe {
        (
            sys::qemu_plugin_insn_data(insn, word.as_mut_ptr().cast(), word.len()),
            sys::qemu_plugin_insn_vaddr(insn),
        )
    };
    if copied != word.len() {
        return;
    }
    // Instructions are little-endian, whatever data are.
    let site = plugin().sites.instruction(pc, u32::from_le_bytes(word));
    let executes = match site.insn {
        None | Some(Insn::Atomic) => false,
        Some(Insn::Hint(CLAIM)) => !reach,
        Some(Insn::Hint(_)) => reach,
        Some(_) => kernel,
    };
    // SAFETY: the callbacks are of the types that the API asks for, and get a site, which lives for ever. QEMU calls
    // those for memory only where the instruction turns out to access some.
    unsafe {
        if kernel {
            let atomic = site.insn == Some(Insn::Atomic);
            let kind = if atomic { QEMU_PLUGIN_MEM_RW } else { QEMU_PLUGIN_MEM_W };
            let run = Some(callbacks::kernel_access as unsafe extern "C" fn(_, _, _, _));
            sys::qemu_plugin_register_vcpu_mem_cb(insn, run, NO_REGISTERS, kind, userdata(site));
        }
        if reach {
            let run = Some(callbacks::touch as unsafe extern "C" fn(_, _, _, _));
            sys::qemu_plugin_register_vcpu_mem_cb(
                insn,
                run,
                NO_REGISTERS,
                QEMU_PLUGIN_MEM_RW,
                userdata(site),
            );
        }
        if executes {
            let run = Some(callbacks::instruction as unsafe extern "C" fn(_, _));
            sys::qemu_plugin_register_vcpu_insn_exec_cb(insn, run, READS_REGISTERS, userdata(site));
        }
    }
}
