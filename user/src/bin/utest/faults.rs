//! Faults end the process that caused them, with Linux's signal, and nobody else.

use user::rt::registers::{RET, debug_channel, jump, privileged, undefined, wait_for_interrupt};
use user::rt::start::Args;
use user::sys::memory::{self, PRIVATE, READ_WRITE, page_size};
use user::sys::process::signal::{SIGILL, SIGSEGV};
use user::sys::time;

use crate::harness::{Outcome, Test, in_child, killed_by};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("null pointer: SIGSEGV", null_pointer),
    ("write to the program's text: SIGSEGV", write_text),
    ("write to constants: SIGSEGV", write_constants),
    ("execute the stack: SIGSEGV", execute_stack),
    ("execute mapped data: SIGSEGV", execute_data),
    ("jump to nowhere: SIGSEGV", jump_nowhere),
    ("kernel addresses: SIGSEGV", kernel_addresses),
    ("non-canonical addresses: SIGSEGV", odd_addresses),
    ("undefined instruction: SIGILL", undefined_instruction),
    ("system register access: SIGILL", system_register),
    ("WFI does not wait", wait_instruction),
    ("endless recursion: SIGSEGV", endless_recursion),
    ("a child's fault leaves the parent alone", parent_survives),
];

fn read(addr: usize) {
    // SAFETY: the address is not readable: the process ends here.
    unsafe { (addr as *const u8).read_volatile() };
}

fn write(addr: usize) {
    // SAFETY: the address is not writable: the process ends here.
    unsafe { (addr as *mut u8).write_volatile(1) };
}

fn call(addr: usize) {
    // SAFETY: the address is not executable, so the process ends here; if it is, there is a `ret`.
    unsafe { jump(addr) };
}

fn null_pointer(_: Args) -> Outcome {
    // black_box: the compiler may assume that null is never read.
    killed_by(SIGSEGV, || read(core::hint::black_box(0)))?;
    killed_by(SIGSEGV, || write(core::hint::black_box(8)))
}

fn write_text(_: Args) -> Outcome {
    killed_by(SIGSEGV, || write(undefined as fn() as usize))
}

fn write_constants(_: Args) -> Outcome {
    static CONSTANT: [u8; 16] = [1; 16];
    killed_by(SIGSEGV, || write(CONSTANT.as_ptr() as usize))?;
    check_eq!(core::hint::black_box(&CONSTANT)[0], 1);
    Ok(())
}

fn execute_stack(_: Args) -> Outcome {
    let code = core::hint::black_box([RET; 4]);
    killed_by(SIGSEGV, || call(code.as_ptr() as usize))
}

fn execute_data(_: Args) -> Outcome {
    let page = memory::map(page_size(), READ_WRITE, PRIVATE)?;
    // SAFETY: the page just mapped.
    unsafe { (page as *mut u32).write_volatile(RET) };
    killed_by(SIGSEGV, || call(page))
}

fn jump_nowhere(_: Args) -> Outcome {
    killed_by(SIGSEGV, || call(0x10_0000))
}

fn kernel_addresses(_: Args) -> Outcome {
    for addr in [0xffff_0000_0000_0000, 0xffff_8000_0000_0000, 0xffff_ffff_8000_0000, usize::MAX - 7] {
        killed_by(SIGSEGV, || read(addr))?;
        killed_by(SIGSEGV, || write(addr))?;
    }
    killed_by(SIGSEGV, || call(0xffff_0000_0000_0000))
}

fn odd_addresses(_: Args) -> Outcome {
    for addr in [1 << 48, 1 << 52, 0x7fff_ffff_ffff_f000, 0xfffe_ffff_ffff_f000] {
        killed_by(SIGSEGV, || read(addr))?;
    }
    Ok(())
}

fn undefined_instruction(_: Args) -> Outcome {
    killed_by(SIGILL, undefined)
}

fn system_register(_: Args) -> Outcome {
    killed_by(SIGILL, privileged)?;
    killed_by(SIGILL, debug_channel)
}

fn wait_instruction(_: Args) -> Outcome {
    // If each waited for the next interrupt, that would be a second: the harness looks every millisecond.
    const WAITS: u64 = 1000;
    let start = time::now_ns();
    (0..WAITS).for_each(|_| wait_for_interrupt());
    check!(time::now_ns() - start < WAITS * 300_000);
    Ok(())
}

fn endless_recursion(_: Args) -> Outcome {
    #[inline(never)]
    fn deeper(depth: u64) -> u64 {
        let frame = core::hint::black_box([depth; 512]);
        if depth == u64::MAX { 0 } else { deeper(depth + 1) + core::hint::black_box(&frame)[1] }
    }
    killed_by(SIGSEGV, || {
        core::hint::black_box(deeper(0));
    })
}

fn parent_survives(_: Args) -> Outcome {
    let page = memory::map(page_size(), READ_WRITE, PRIVATE)? as *mut u64;
    // SAFETY: the page just mapped.
    unsafe { page.write_volatile(42) };
    let status = in_child(|| {
        // SAFETY: as above.
        unsafe { page.write_volatile(43) };
        read(core::hint::black_box(0));
        0
    })?;
    check_eq!(status.exited(), None);
    // SAFETY: as above.
    check!(unsafe { page.read_volatile() } == 42);
    Ok(())
}
