//! Which A64 instructions matter, and what they say. Arm ARM DDI 0487, C4.1 "A64 instruction set encoding".
//!
//! Decoded once, when QEMU translates a block, so that everything else runs without a callback. Stores need no
//! decoding, because QEMU reports them, with one exception: DC ZVA. The encodings of the exclusives and of the atomics
//! are told apart because their loads are watched as well: a load shows what the hardware walker did to a descriptor.

use model::event::{Access, Domain, TlbiOp};

/// A register operand: 0 to 30 is X0 to X30, 31 reads as zero.
pub type Reg = u8;

/// The system registers that say how addresses are translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SystemRegister {
    /// TTBR0_EL1.
    Ttbr0,
    /// TTBR1_EL1.
    Ttbr1,
    /// TCR_EL1.
    Tcr,
    /// SCTLR_EL1, whose bit 0 is the MMU.
    Sctlr,
}

/// An instruction that the referee wants to see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Insn {
    /// DSB, with or without nXS.
    Dsb(Access, Domain),
    /// ISB.
    Isb,
    /// TLBI, whether it is broadcast (IS and OS forms), and the register with its operand.
    Tlbi(TlbiOp, bool, Reg),
    /// MSR to one of the registers that say how addresses are translated.
    Msr(SystemRegister, Reg),
    /// DC ZVA, DC GZVA: zeroes a block of memory around the address in the register.
    ZeroBlock(Reg),
    /// ERET, ERETAA, ERETAB.
    Eret,
    /// HINT with a number that the architecture has not given away: a NOP everywhere.
    Hint(u8),
    /// A load or store that may be one half of a read-modify-write: exclusives, compare and swap, LSE atomics.
    Atomic,
}

/// Decodes an instruction; `None` for the many that do not matter.
pub fn decode(word: u32) -> Option<Insn> {
    match word {
        _ if word & 0xffff_f01f == 0xd503_201f => hint((word >> 5 & 0x7f) as u8),
        _ if word & 0xffff_f01f == 0xd503_301f => barrier(word),
        // op0 = 1: DC, TLBI and others. Bit 21 set would be SYSL, which returns a value.
        _ if word & 0xfff8_0000 == 0xd508_0000 => system(word),
        // op0 = 2 or 3.
        _ if word & 0xfff0_0000 == 0xd510_0000 => msr(word),
        0xd69f_03e0 | 0xd69f_0bff | 0xd69f_0fff => Some(Insn::Eret),
        // "Load/store exclusive", "load/store ordered" and "compare and swap"; "atomic memory operations".
        _ if word & 0x3f00_0000 == 0x0800_0000 || word & 0x3b20_0c00 == 0x3820_0000 => Some(Insn::Atomic),
        _ => None,
    }
}

/// The first number that [`Insn::Hint`] reports: all below are taken, or near those that are.
pub const FIRST_FREE_HINT: u8 = 96;

fn hint(number: u8) -> Option<Insn> {
    (number >= FIRST_FREE_HINT).then_some(Insn::Hint(number))
}

fn field(word: u32, shift: u32, bits: u32) -> u32 {
    word >> shift & ((1 << bits) - 1)
}

fn reg(word: u32) -> Reg {
    field(word, 0, 5) as Reg
}

fn barrier(word: u32) -> Option<Insn> {
    let crm = field(word, 8, 4);
    let domain = match crm >> 2 {
        0 => Domain::Osh,
        1 => Domain::Nsh,
        2 => Domain::Ish,
        _ => Domain::Sy,
    };
    match (field(word, 5, 3), crm & 3) {
        // DSB nXS, which orders all accesses.
        (1, 2) => Some(Insn::Dsb(Access::Full, domain)),
        // DSB with CRm 0 and 4 are SSBB and PSSBB, which complete nothing; 8 and 12 are reserved, and executed as SY.
        (4, 0) if crm < 8 => None,
        (4, 0) => Some(Insn::Dsb(Access::Full, Domain::Sy)),
        (4, 1) => Some(Insn::Dsb(Access::Loads, domain)),
        (4, 2) => Some(Insn::Dsb(Access::Stores, domain)),
        (4, _) => Some(Insn::Dsb(Access::Full, domain)),
        (6, _) => Some(Insn::Isb),
        // DMB among them: it orders nothing towards the table walker.
        _ => None,
    }
}

fn system(word: u32) -> Option<Insn> {
    let (op1, crn, crm, op2) = (field(word, 16, 3), field(word, 12, 4), field(word, 8, 4), field(word, 5, 3));
    match (op1, crn, crm, op2) {
        (3, 7, 4, 1 | 4) => Some(Insn::ZeroBlock(reg(word))),
        // CRn 9 are the nXS forms, which do not wait for accesses with the XS attribute.
        (0, 8 | 9, _, _) => {
            let (op, broadcast) = tlbi(crm, op2)?;
            Some(Insn::Tlbi(op, broadcast, reg(word)))
        }
        _ => None,
    }
}

/// Arm ARM, C5.5: CRm chooses the domain, and by range or not; op2 the operation.
fn tlbi(crm: u32, op2: u32) -> Option<(TlbiOp, bool)> {
    let (broadcast, range) = match crm {
        1 | 3 => (true, false),
        2 | 5 => (true, true),
        6 => (false, true),
        7 => (false, false),
        _ => return None,
    };
    let op = match (range, op2) {
        (false, 0) => TlbiOp::Vmalle1,
        (false, 1) => TlbiOp::Vae1,
        (false, 2) => TlbiOp::Aside1,
        (false, 3) => TlbiOp::Vaae1,
        (false, 5) => TlbiOp::Vale1,
        (false, 7) => TlbiOp::Vaale1,
        (true, 1) => TlbiOp::Rvae1,
        (true, 3) => TlbiOp::Rvaae1,
        (true, 5) => TlbiOp::Rvale1,
        (true, 7) => TlbiOp::Rvaale1,
        _ => return None,
    };
    Some((op, broadcast))
}

fn msr(word: u32) -> Option<Insn> {
    // op0[0], op1, CRn, CRm, op2.
    let fields =
        (field(word, 19, 1), field(word, 16, 3), field(word, 12, 4), field(word, 8, 4), field(word, 5, 3));
    let register = match fields {
        (1, 0, 1, 0, 0) => SystemRegister::Sctlr,
        (1, 0, 2, 0, 0) => SystemRegister::Ttbr0,
        (1, 0, 2, 0, 1) => SystemRegister::Ttbr1,
        (1, 0, 2, 0, 2) => SystemRegister::Tcr,
        _ => return None,
    };
    Some(Insn::Msr(register, reg(word)))
}

#[cfg(test)]
mod tests;
