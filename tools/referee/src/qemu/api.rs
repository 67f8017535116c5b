//! QEMU's plugin API as far as it is used here: what reads the vCPU, behind functions that say when they may be called.
//!
//! The vCPU's registers may be read only in callbacks that were registered with [`READS_REGISTERS`], by the vCPU's own
//! thread.

use std::cell::OnceCell;
use std::ffi::{CStr, c_uint};
use std::sync::OnceLock;

use qemu_plugin_sys as sys;

use crate::access::Access;
use crate::insn::Reg;

/// The flag for callbacks that read registers.
pub const READS_REGISTERS: sys::qemu_plugin_cb_flags = sys::qemu_plugin_cb_flags::QEMU_PLUGIN_CB_R_REGS;
/// The flag for callbacks that do not.
pub const NO_REGISTERS: sys::qemu_plugin_cb_flags = sys::qemu_plugin_cb_flags::QEMU_PLUGIN_CB_NO_REGS;

unsafe extern "C" {
    // GLib's, which QEMU is linked with: registers are read into its byte arrays.
    fn g_byte_array_new() -> *mut sys::GByteArray;
    fn g_byte_array_set_size(array: *mut sys::GByteArray, length: c_uint) -> *mut sys::GByteArray;
}

/// What QEMU calls a register by: an index in disguise (so it may cross threads), the same for all vCPUs of a machine.
type Handle = usize;

struct Handles {
    x: [Option<Handle>; 31],
    spsr_el1: Option<Handle>,
}

static HANDLES: OnceLock<Handles> = OnceLock::new();

/// Learns the registers' handles.
///
/// # Safety
/// Called from a vCPU initialisation callback.
pub unsafe fn find_registers() {
    // SAFETY: the caller is where the API wants this call. It returns an array of `len` descriptors, which is ours.
    let descriptors = unsafe {
        let array = sys::qemu_plugin_get_registers();
        std::slice::from_raw_parts(
            (*array).data.cast::<sys::qemu_plugin_reg_descriptor>(),
            (*array).len as usize,
        )
    };
    let find = |wanted: &str| {
        // SAFETY: the names are C strings that live as long as QEMU.
        let name = |d: &sys::qemu_plugin_reg_descriptor| unsafe { CStr::from_ptr(d.name) };
        let found = descriptors.iter().find(|d| name(d).to_bytes() == wanted.as_bytes());
        found.map(|d| d.handle as Handle)
    };
    HANDLES.get_or_init(|| Handles {
        x: std::array::from_fn(|n| find(&format!("x{n}"))),
        spsr_el1: find("SPSR_EL1"),
    });
}

/// # Safety
/// As for [`x`].
unsafe fn read(handle: Option<Handle>) -> u64 {
    thread_local! {
        static BUFFER: OnceCell<*mut sys::GByteArray> = const { OnceCell::new() };
    }
    let Some(handle) = handle else { return 0 };
    BUFFER.with(|buffer| {
        // SAFETY: the array is this thread's alone. QEMU appends to it, so it is emptied before, and `data` and
        // `len` are read after the call that may move them.
        unsafe {
            let array = *buffer.get_or_init(|| g_byte_array_new());
            g_byte_array_set_size(array, 0);
            if sys::qemu_plugin_read_register(handle as *mut _, array) < 0 {
                return 0;
            }
            let bytes = std::slice::from_raw_parts((*array).data, (*array).len.min(8) as usize);
            // The guest's byte order, which is little-endian: the kernel runs in no other.
            bytes.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
        }
    })
}

/// A general register of the current vCPU; 31 is zero.
///
/// # Safety
/// Called on a vCPU's thread, in a callback registered with [`READS_REGISTERS`].
pub unsafe fn x(reg: Reg) -> u64 {
    let handle = HANDLES.get().and_then(|handles| *handles.x.get(usize::from(reg))?);
    // SAFETY: the caller's promise.
    unsafe { read(handle) }
}

/// SPSR_EL1 of the current vCPU.
///
/// # Safety
/// As for [`x`].
pub unsafe fn spsr_el1() -> u64 {
    let handle = HANDLES.get().and_then(|handles| handles.spsr_el1);
    // SAFETY: the caller's promise.
    unsafe { read(handle) }
}

/// The access that a memory callback is about; `None` for one to a device.
///
/// # Safety
/// `info` and `va` are the arguments of the memory callback that is running.
pub unsafe fn access(info: sys::qemu_plugin_meminfo_t, va: u64) -> Option<Access> {
    // SAFETY: the caller's promise. The union's field is the one that `type_` names.
    unsafe {
        let address = sys::qemu_plugin_get_hwaddr(info, va);
        if address.is_null() || sys::qemu_plugin_hwaddr_is_io(address) {
            return None;
        }
        let pa = sys::qemu_plugin_hwaddr_phys_addr(address);
        let is_store = sys::qemu_plugin_mem_is_store(info);
        let value = sys::qemu_plugin_mem_get_value(info);
        use sys::qemu_plugin_mem_value_type as Type;
        let (bytes, value) = match value.type_ {
            Type::QEMU_PLUGIN_MEM_VALUE_U8 => (1, [value.data.u8_.into(), 0]),
            Type::QEMU_PLUGIN_MEM_VALUE_U16 => (2, [value.data.u16_.into(), 0]),
            Type::QEMU_PLUGIN_MEM_VALUE_U32 => (4, [value.data.u32_.into(), 0]),
            Type::QEMU_PLUGIN_MEM_VALUE_U64 => (8, [value.data.u64_, 0]),
            Type::QEMU_PLUGIN_MEM_VALUE_U128 => (16, [value.data.u128_.low, value.data.u128_.high]),
        };
        Some(Access { pa, bytes, value, is_store })
    }
}
