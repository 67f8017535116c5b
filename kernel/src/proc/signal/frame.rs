//! What a handler finds on its stack, and what rt_sigreturn reads back from there: Linux's `struct rt_sigframe`
//! (arch/arm64/kernel/signal.c, arch/arm64/include/uapi/asm/sigcontext.h).
//!
//! ```text
//!      0  siginfo
//!    128  ucontext: flags, link, alternate stack (16), mask (40), unused
//!    304    mcontext: fault address, x0 to x30 (8), sp (256), pc (264), pstate (272)
//!    592    records: FP/SIMD registers (528 bytes), end (16 bytes); room for 4096 bytes of them
//!   4688  x29 and x30 at the interrupted point, for those who follow the chain of frames
//! ```
//! Nothing in a frame is trusted when it is read back: programs write there. What they may choose is what a program can
//! choose anyway: registers, condition flags, mask and alternate stack.

use super::info::{INFO_BYTES, Info};
use super::thread::AltStack;
use crate::errno::{Errno, Result};

/// Bytes of a frame, a multiple of 16.
pub const FRAME_BYTES: usize = RECORDS + RECORDS_BYTES;
/// Bytes of a frame that are written, from its start.
pub const WRITTEN_BYTES: usize = RECORDS + FPSIMD_BYTES + HEAD_BYTES;
/// Offset of the ucontext.
pub const UCONTEXT: usize = INFO_BYTES;

const ALT_STACK: usize = UCONTEXT + 16;
const MASK: usize = UCONTEXT + 40;
const REGS: usize = UCONTEXT + 176 + 8;
const RECORDS: usize = UCONTEXT + 176 + 288;
const RECORDS_BYTES: usize = 4096;
const HEAD_BYTES: usize = 16;
const FPSIMD_MAGIC: u32 = 0x4650_8001;
const FPSIMD_BYTES: usize = 528;
const ESR_MAGIC: u32 = 0x4553_5201;
const EXTRA_MAGIC: u32 = 0x4558_5401;

/// PSTATE bits that a program may set: N, Z, C, V, TCO, DIT, SSBS, BTYPE.
const USER_PSTATE: u64 = 0xf << 28 | 1 << 25 | 1 << 24 | 1 << 12 | 3 << 10;
/// PSTATE bits that must be clear at EL0: interrupt masks, AArch32, mode and stack pointer selection.
const PRIVILEGED_PSTATE: u64 = 0xf << 6 | 0x1f;

/// What a handler interrupts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interrupted {
    /// x0 to x30.
    pub x: [u64; 31],
    /// The stack pointer.
    pub sp: u64,
    /// Where to go on.
    pub pc: u64,
    /// Its state.
    pub pstate: u64,
    /// V0 to V31.
    pub v: [u128; 32],
    /// FPSR.
    pub fpsr: u32,
    /// FPCR.
    pub fpcr: u32,
    /// The blocked signals.
    pub mask: u64,
    /// The alternate stack.
    pub alt_stack: AltStack,
}

struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.0[at..at + N].copy_from_slice(&bytes);
    }
}

/// The first [`WRITTEN_BYTES`] of the frame of a handler for `info`.
pub fn encode(info: &Info, interrupted: &Interrupted) -> [u8; WRITTEN_BYTES] {
    let mut bytes = [0; WRITTEN_BYTES];
    let mut out = Writer(&mut bytes);
    out.put(0, info.to_bytes());
    out.put(ALT_STACK, interrupted.alt_stack.base.to_ne_bytes());
    out.put(ALT_STACK + 8, interrupted.alt_stack.flags.to_ne_bytes());
    out.put(ALT_STACK + 16, interrupted.alt_stack.bytes.to_ne_bytes());
    out.put(MASK, interrupted.mask.to_ne_bytes());
    for (index, value) in interrupted.x.into_iter().enumerate() {
        out.put(REGS + 8 * index, value.to_ne_bytes());
    }
    for (index, value) in [interrupted.sp, interrupted.pc, interrupted.pstate].into_iter().enumerate() {
        out.put(REGS + 8 * (31 + index), value.to_ne_bytes());
    }
    out.put(RECORDS, FPSIMD_MAGIC.to_ne_bytes());
    out.put(RECORDS + 4, (FPSIMD_BYTES as u32).to_ne_bytes());
    out.put(RECORDS + 8, interrupted.fpsr.to_ne_bytes());
    out.put(RECORDS + 12, interrupted.fpcr.to_ne_bytes());
    for (index, value) in interrupted.v.into_iter().enumerate() {
        out.put(RECORDS + HEAD_BYTES + 16 * index, value.to_ne_bytes());
    }
    bytes
}

/// Reads a frame back. `read` fetches bytes from an offset in it.
///
/// # Errors
/// `EFAULT`: `read` failed. `EINVAL`: not a state that a program may be in, or records that are not well-formed: unknown,
/// misaligned, too long, twice, or without the FP/SIMD registers.
pub fn decode(mut read: impl FnMut(usize, &mut [u8]) -> Result<()>) -> Result<Interrupted> {
    let mut fixed = [0; RECORDS - UCONTEXT];
    read(UCONTEXT, &mut fixed)?;
    let word = |at: usize| u64_at(&fixed, at - UCONTEXT);
    let reg = |index: usize| word(REGS + 8 * index);
    let pstate = reg(33);
    if pstate & PRIVILEGED_PSTATE != 0 {
        return Err(Errno::EINVAL);
    }
    let alt_stack =
        AltStack { base: word(ALT_STACK), flags: word(ALT_STACK + 8) as u32, bytes: word(ALT_STACK + 16) };
    let mut interrupted = Interrupted {
        x: core::array::from_fn(reg),
        sp: reg(31),
        pc: reg(32),
        pstate: pstate & USER_PSTATE,
        v: [0; 32],
        fpsr: 0,
        fpcr: 0,
        mask: word(MASK),
        alt_stack,
    };
    let at = find_fpsimd(&mut read)?;
    let mut record = [0; FPSIMD_BYTES];
    read(at, &mut record)?;
    interrupted.fpsr = u32_at(&record, 8);
    interrupted.fpcr = u32_at(&record, 12);
    for (index, value) in interrupted.v.iter_mut().enumerate() {
        let from = HEAD_BYTES + 16 * index;
        let halves = [u64_at(&record, from), u64_at(&record, from + 8)];
        *value = u128::from(halves[0]) | u128::from(halves[1]) << 64;
    }
    Ok(interrupted)
}

/// Walks the records and returns where the FP/SIMD registers are.
fn find_fpsimd(read: &mut impl FnMut(usize, &mut [u8]) -> Result<()>) -> Result<usize> {
    let (mut offset, mut found) = (0, None);
    loop {
        if RECORDS_BYTES - offset < 8 {
            return Err(Errno::EINVAL);
        }
        let mut head = [0; 8];
        read(RECORDS + offset, &mut head)?;
        let (magic, size) = (u32_at(&head, 0), u32_at(&head, 4) as usize);
        match magic {
            0 if size == 0 => return found.ok_or(Errno::EINVAL),
            _ if size < HEAD_BYTES || !size.is_multiple_of(16) || size > RECORDS_BYTES - offset => {
                return Err(Errno::EINVAL);
            }
            FPSIMD_MAGIC if size == FPSIMD_BYTES && found.is_none() => found = Some(RECORDS + offset),
            ESR_MAGIC => {}
            // Extra records are only for registers that no CPU state here has.
            EXTRA_MAGIC => return Err(Errno::EINVAL),
            _ => return Err(Errno::EINVAL),
        }
        offset += size;
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |chunk| u64::from_ne_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |chunk| u32::from_ne_bytes(*chunk))
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
