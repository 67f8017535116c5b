//! Descriptors as hardware walks them: the address translation instructions against our own reading of the tables.

use paging::{PAGE_SIZE, Pte};

use super::harness::{Test, TestResult, test};
use super::sandbox::{BASE, PAGE, Sandbox};
use crate::arch::{mmu, probe};
use crate::mm::{Access, FaultError, Prot};

pub(super) const TESTS: &[Test] = &[
    test("descriptors.hardware_finds_the_frame_we_wrote", hardware_finds_the_frame_we_wrote),
    test("descriptors.permissions_mean_what_we_think", permissions_mean_what_we_think),
    test("descriptors.attributes_are_normal_inner_shareable", attributes_are_normal_inner_shareable),
    test("descriptors.access_flag_and_dirty_state_are_kept", access_flag_and_dirty_state_are_kept),
    test("descriptors.kernel_cannot_reach_user_pages_by_accident", pan),
];

const PAR_FAILED: u64 = 1;
const PAR_ADDRESS: u64 = 0x0000_ffff_ffff_f000;

fn hardware_finds_the_frame_we_wrote() -> TestResult {
    let mut sandbox = Sandbox::filled(40, 0)?;
    // Far apart, so that each needs tables of its own at every level.
    let far = [BASE, BASE + 39 * PAGE, 0x7f_0021_0000, 0xfff0_0001_0000];
    for addr in far {
        if addr > BASE + 40 * PAGE {
            sandbox.map(addr, 1)?;
            sandbox.write(addr, 1)?;
        }
        sandbox.activate();
        let par = mmu::at_s1e0r(addr as u64);
        check!(par & PAR_FAILED == 0);
        check!(par & PAR_ADDRESS == sandbox.pte(addr).pfn().addr().get());
    }
    check!(mmu::at_s1e0r((BASE + 40 * PAGE) as u64) & PAR_FAILED != 0);
    Ok(())
}

fn permissions_mean_what_we_think() -> TestResult {
    let mut sandbox = Sandbox::filled(1, 0)?;
    let readable = || mmu::at_s1e0r(BASE as u64) & PAR_FAILED == 0;
    let writable = || mmu::at_s1e0w(BASE as u64) & PAR_FAILED == 0;
    sandbox.activate();
    check!(readable() && writable());
    sandbox.space().mprotect(crate::mm(), BASE, PAGE, Prot::READ)?;
    check!(readable() && !writable() && probe::store_user(BASE, 1).is_err());
    check!(sandbox.write(BASE, 1) == Err(FaultError::AccErr));
    sandbox.space().mprotect(crate::mm(), BASE, PAGE, Prot::empty())?;
    check!(!readable() && probe::load_user(BASE).is_err());
    check!(sandbox.space().fault(crate::mm(), BASE, Access::Exec) == Err(FaultError::AccErr));
    Ok(())
}

fn attributes_are_normal_inner_shareable() -> TestResult {
    let mut sandbox = Sandbox::filled(1, 0)?;
    sandbox.activate();
    let par = mmu::at_s1e0r(BASE as u64);
    // PAR_EL1.ATTR (bits 63 to 56): normal, inner and outer write-back, read and write allocate; SH (8 to 7): inner.
    check!(par >> 56 == 0xff);
    check!(par >> 7 & 3 == 3);
    Ok(())
}

fn access_flag_and_dirty_state_are_kept() -> TestResult {
    let mut sandbox = Sandbox::filled(1, 0)?;
    let at = sandbox.at(BASE).ok_or(crate::errno::Errno::EFAULT)?;
    let asid = sandbox.space().asid();
    // As reclaim would: clean and old, flushed, then written again.
    let machine = &crate::mm().machine;
    paging::contpte::modify_prot_ptes(machine, asid, at, 1, |pte| pte.mkclean().mkold());
    paging::flush::issue_asid(machine, asid).sync(machine);
    let before = sandbox.pte(BASE);
    check!(!before.is_young() && !before.is_dirty() && before.is_writable());
    sandbox.write(BASE, 7)?;
    let after: Pte = sandbox.pte(BASE);
    check!(after.is_young() && after.is_dirty() && after.pfn() == before.pfn());
    Ok(())
}

fn pan() -> TestResult {
    let mut sandbox = Sandbox::filled(1, 5)?;
    sandbox.activate();
    check!(probe::load_user(BASE) == Ok(5));
    check!(probe::load(BASE).is_err() == (crate::arch::features().pan > 0));
    let alias = crate::arch::layout::LINEAR_BASE + (sandbox.pte(BASE).pfn().get() * PAGE_SIZE) as usize;
    check!(probe::load(alias) == Ok(5) && probe::load_user(alias).is_err());
    Ok(())
}
