//! Last words: registers and backtrace of a kernel that cannot go on.

use core::arch::asm;

use paging::{PhysAddr, VirtAddr};

use super::esr::Esr;
use super::frame::TrapFrame;
use super::layout::{IMAGE_BASE, LINEAR_BASE, USER_END};
use super::machine::Cpu;
use super::mmu::user_table;
use super::{percpu, probe};
use crate::mm::show::{Shown, show_pte};
use crate::panic;
use crate::println;

/// The most callers a backtrace shows; recursion on the spot counts once.
const MAX_LINES: usize = 24;

/// Reports a fault of the kernel itself and ends the machine with [`panic::EXIT_STATUS`].
pub(super) fn kernel_fault(what: &str, frame: &TrapFrame, esr: Esr, far: u64) -> ! {
    panic::begin();
    println!("\n{what} on CPU {}: {esr}", percpu::cpu_id());
    println!("  ESR {:#010x}  FAR {far:#018x}  PSTATE {:#x}", esr.0, frame.pstate);
    println!("  pc  {:#018x}  {}", frame.pc, Name(frame.pc));
    println!("  lr  {:#018x}  {}", frame.x[30], Name(frame.x[30]));
    println!("  sp  {:#018x}", frame.sp);
    for (index, row) in frame.x[..30].chunks(3).enumerate() {
        for (column, value) in row.iter().enumerate() {
            let number = index * 3 + column;
            crate::print!("{:>5}{number:<2} {value:#018x}", 'x');
        }
        println!();
    }
    println!("backtrace:");
    println!("  {:#018x}  {}", frame.pc, Name(frame.pc));
    callers(frame.x[29]);
    if esr.class() == Esr::DATA_ABORT_SAME && (far as usize) < USER_END {
        println!("user tables: {}", user_entry(far as usize));
    }
    panic::end()
}

/// What the user tables that are loaded say about `addr`, a user address (bytes).
pub fn user_entry(addr: usize) -> Shown {
    // Above the address is the ASID.
    let root = PhysAddr::new(user_table() & (USER_END as u64 - 1));
    show_pte(&Cpu, root, VirtAddr::new(addr as u64))
}

/// Prints the functions that are active at the call.
#[inline(never)]
pub fn backtrace() {
    let frame_pointer: u64;
    // The caller's record, because the compiler may end this function's frame before it calls `callers`.
    // SAFETY: reads the frame record of this function: frame pointers are on (.cargo/config.toml).
    unsafe { asm!("ldr {}, [x29]", out(reg) frame_pointer, options(readonly, nostack, preserves_flags)) };
    println!("backtrace:");
    callers(frame_pointer);
}

/// Follows frame records (caller's x29, return address; AAPCS64, "The Frame Pointer") from `frame_pointer`. Memory
/// may be damaged, so each read may fail, and records must ascend: the walk ends, at the latest, where the stack does.
fn callers(mut frame_pointer: u64) {
    let (mut lines, mut last, mut repeats) = (0, 0, 0);
    while let Some((next, address)) = frame_record(frame_pointer) {
        if address == last {
            repeats += 1;
        } else {
            repeated(repeats);
            (last, repeats, lines) = (address, 0, lines + 1);
            if lines > MAX_LINES {
                println!("  ...");
                return;
            }
            // The return address is behind the call, maybe in the next function.
            println!("  {address:#018x}  {}", Name(address.wrapping_sub(4)));
        }
        if next <= frame_pointer {
            break;
        }
        frame_pointer = next;
    }
    repeated(repeats);
}

/// The record at `frame_pointer`: the caller's and the return address. `None` at the end of the chain.
fn frame_record(frame_pointer: u64) -> Option<(u64, u64)> {
    let at = frame_pointer as usize;
    if !at.is_multiple_of(16) || at < LINEAR_BASE {
        return None;
    }
    let (next, address) = (probe::load(at).ok()?, probe::load(at + 8).ok()?);
    (address != 0).then_some((next, address))
}

fn repeated(times: u64) {
    if times > 0 {
        println!("    and again {times} times");
    }
}

/// An address as function and offset.
struct Name(u64);

impl core::fmt::Display for Name {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let offset = (self.0 as usize).checked_sub(IMAGE_BASE).and_then(|offset| u32::try_from(offset).ok());
        match offset.and_then(|offset| panic::symbols().find(offset)) {
            Some(symbol) => write!(f, "{}+{:#x}", symbol.name, symbol.offset),
            None => f.write_str("?"),
        }
    }
}
