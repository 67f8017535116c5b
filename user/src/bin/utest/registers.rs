//! The register file belongs to the process: across system calls, fork and preemption.

use linux_raw_sys::general as linux;
use user::rt::registers::{FpRegisters, changed_across, fp_across, set_thread_pointer, thread_pointer};
use user::rt::start::Args;
use user::sys::memory::{self, LARGEST_PAGE};
use user::sys::process;

use crate::harness::{Outcome, Test};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("general registers survive system calls", general_registers),
    ("FP/SIMD registers survive system calls", fp_system_call),
    ("FP/SIMD registers are copied by fork", fp_fork),
    ("FP/SIMD registers survive preemption", fp_preemption),
    ("FP/SIMD registers survive page faults", fp_faults),
    ("the thread pointer is each process's own", own_thread_pointer),
];

/// Round towards zero, so that FPCR is not at its default; FPSR's cumulative inexact flag.
const FPCR: u64 = 0b11 << 22;
const FPSR: u64 = 1 << 4;

fn pattern(seed: u64) -> FpRegisters {
    let word = |i: u64| {
        (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(i.wrapping_mul(0x0101_0101_0101_0101))
    };
    let v =
        core::array::from_fn(|i| u128::from(word(2 * i as u64)) << 64 | u128::from(word(2 * i as u64 + 1)));
    FpRegisters { v, fpcr: FPCR, fpsr: FPSR }
}

/// Whether the registers hold across system call `number` and `spins` rounds before and after it. Returns the call's
/// result with the verdict.
fn holds(seed: u64, spins: u64, number: u32) -> (isize, bool) {
    let input = pattern(seed);
    let mut output = FpRegisters { v: [0; 32], fpcr: 0, fpsr: 0 };
    // SAFETY: the calls used here (getpid, sched_yield) are harmless without arguments.
    let result = unsafe { fp_across(&input, &mut output, spins, number.into()) };
    (result, input == output)
}

fn general_registers(_: Args) -> Outcome {
    for number in [linux::__NR_getpid, linux::__NR_sched_yield, 5000] {
        // SAFETY: harmless without arguments; 5000 does not exist.
        check_eq!(unsafe { changed_across(number.into()) }, 0);
    }
    Ok(())
}

fn fp_system_call(_: Args) -> Outcome {
    let (pid, intact) = holds(1, 1, linux::__NR_getpid);
    check_eq!(pid as i32, process::getpid());
    check!(intact);
    check!(holds(2, 1, linux::__NR_sched_yield).1);
    Ok(())
}

fn fp_fork(_: Args) -> Outcome {
    // clone with all arguments 0 is a fork whose end is not signalled; the parent still collects it, with __WCLONE.
    const WCLONE: u32 = 0x8000_0000;
    let (pid, intact) = holds(3, 1000, linux::__NR_clone);
    if pid == 0 {
        process::exit(i32::from(!intact));
    }
    check!(pid > 0 && intact);
    let status = process::wait_for(pid as i32, WCLONE)?.map(|(_, status)| status.exited());
    check_eq!(status, Some(Some(0)));
    Ok(())
}

fn fp_preemption(_: Args) -> Outcome {
    // Long enough for many time slices of any length that makes sense.
    const SPINS: u64 = 20_000_000;
    let children =
        [4, 5, 6].map(|seed| process::spawn(|| i32::from(!holds(seed, SPINS, linux::__NR_getpid).1)));
    for child in children {
        check_eq!(process::wait(child?)?.exited(), Some(0));
    }
    Ok(())
}

fn fp_faults(_: Args) -> Outcome {
    // The kernel clears and copies pages with registers it borrows. The first store of a register to memory not touched
    // before faults, and all are stored after it.
    let (input, len) = (pattern(7), 2 * LARGEST_PAGE);
    let base = memory::map(len, memory::READ_WRITE, memory::PRIVATE)?;
    let stored = |addr: usize| {
        let output = addr as *mut FpRegisters;
        // SAFETY: within the mapping, aligned, all bits are valid, and nobody else refers to it; getpid is harmless.
        unsafe { fp_across(&input, &mut *output, 1, linux::__NR_getpid.into()) };
        // SAFETY: as above.
        unsafe { output.read() == input }
    };
    check!(stored(base) && stored(base + LARGEST_PAGE));
    // Once more, where the first store has the page copied, as the parent holds it.
    let child = process::spawn(|| i32::from(!stored(base) || !stored(base + LARGEST_PAGE)))?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    // SAFETY: the mapping is this test's, and nothing refers to it any more.
    unsafe { memory::unmap(base, len) }?;
    Ok(())
}

fn own_thread_pointer(_: Args) -> Outcome {
    set_thread_pointer(0x1234_5678);
    let child = process::spawn(|| {
        let inherited = thread_pointer();
        set_thread_pointer(0x9999);
        process::yield_now();
        i32::from(inherited != 0x1234_5678 || thread_pointer() != 0x9999)
    })?;
    for _ in 0..10 {
        process::yield_now();
        check_eq!(thread_pointer(), 0x1234_5678);
    }
    check_eq!(process::wait(child)?.exited(), Some(0));
    check_eq!(thread_pointer(), 0x1234_5678);
    Ok(())
}
