//! The kernel's own memory: nothing is both writable and executable, and what must fault does.

use super::harness::{Test, TestResult, test};
use crate::arch::{layout, mmu, probe};

pub(super) const TESTS: &[Test] = &[
    test("kernel_map.text_is_not_writable", text_is_not_writable),
    test("kernel_map.rodata_is_read_only", rodata_is_read_only),
    test("kernel_map.data_is_not_executable", data_is_not_executable),
    test("kernel_map.linear_map_is_not_executable", linear_map_is_not_executable),
    test("kernel_map.null_and_low_addresses_fault", null_and_low_addresses_fault),
    test("kernel_map.stack_guard_faults", stack_guard_faults),
];

static RODATA: [u64; 2] = [0x0123_4567_89ab_cdef; 2];

/// Bit 0 of PAR_EL1: the translation failed. Arm ARM DDI 0487, D24.2, "PAR_EL1".
const PAR_FAILED: u64 = 1;
/// Bits 47 to 12 of PAR_EL1: the physical address.
const PAR_ADDRESS: u64 = 0x0000_ffff_ffff_f000;

fn writable(va: usize) -> bool {
    mmu::at_s1e1w(va as u64) & PAR_FAILED == 0
}

/// The address of the same memory in the linear map.
fn linear_alias(va: usize) -> usize {
    layout::LINEAR_BASE + (mmu::at_s1e1r(va as u64) & PAR_ADDRESS) as usize + va % 4096
}

fn text_is_not_writable() -> TestResult {
    let text = text_is_not_writable as *const () as usize;
    check!(!writable(text) && !writable(linear_alias(text)));
    check!(probe::load(text).is_ok());
    // SAFETY: it must fault; if it does not, the test fails and nothing else of the boot matters.
    check!(unsafe { probe::store(text & !7, 0) }.is_err());
    Ok(())
}

fn rodata_is_read_only() -> TestResult {
    let rodata = RODATA.as_ptr() as usize;
    check!(!writable(rodata) && !writable(linear_alias(rodata)));
    check!(probe::load(rodata) == Ok(RODATA[0]));
    // SAFETY: as above.
    check!(unsafe { probe::call(rodata) }.is_err());
    Ok(())
}

fn data_is_not_executable() -> TestResult {
    // A RET instruction on the stack.
    let code: [u32; 2] = [0xd65f_03c0; 2];
    let on_stack = core::hint::black_box(&code).as_ptr() as usize;
    check!(writable(on_stack));
    // SAFETY: it must fault; if it did not, it would return at once.
    check!(unsafe { probe::call(on_stack) }.is_err());
    Ok(())
}

fn linear_map_is_not_executable() -> TestResult {
    let text = linear_alias(linear_map_is_not_executable as *const () as usize);
    // SAFETY: it must fault; the function it aliases would recurse, which the failing test ends.
    check!(unsafe { probe::call(text & !3) }.is_err());
    Ok(())
}

fn null_and_low_addresses_fault() -> TestResult {
    for addr in [0, 8, 0x4020_0000, layout::USER_END - 8] {
        check!(probe::load(addr).is_err());
        // SAFETY: nothing is mapped in the lower half, so it must fault.
        check!(unsafe { probe::call(addr) }.is_err());
    }
    Ok(())
}

fn stack_guard_faults() -> TestResult {
    let stack = crate::arch::KernelStack::alloc()?;
    let bottom = stack.top() - layout::STACK_BYTES;
    check!(probe::load(bottom).is_ok() && probe::load(stack.top() - 8).is_ok());
    check!(probe::load(bottom - 8).is_err());
    Ok(())
}
