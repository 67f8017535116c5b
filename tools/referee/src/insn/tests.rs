//! Encodings as LLVM's assembler writes them.

use super::*;

#[test]
fn barriers() {
    let cases = [
        (0xd503_3b9f, Insn::Dsb(Access::Full, Domain::Ish)),
        (0xd503_3a9f, Insn::Dsb(Access::Stores, Domain::Ish)),
        (0xd503_379f, Insn::Dsb(Access::Full, Domain::Nsh)),
        (0xd503_3f9f, Insn::Dsb(Access::Full, Domain::Sy)),
        (0xd503_319f, Insn::Dsb(Access::Loads, Domain::Osh)),
        (0xd503_323f, Insn::Dsb(Access::Full, Domain::Osh)),
        (0xd503_3fdf, Insn::Isb),
    ];
    for (word, insn) in cases {
        assert_eq!(decode(word), Some(insn), "{word:#x}");
    }
    assert_eq!(decode(0xd503_3bbf), None, "DMB ISH");
    assert_eq!(decode(0xd503_309f), None, "SSBB completes no store");
    assert_eq!(decode(0xd503_349f), None, "PSSBB completes no store");
}

#[test]
fn invalidations() {
    let cases = [
        (0xd508_871f, TlbiOp::Vmalle1, false, 31),
        (0xd508_831f, TlbiOp::Vmalle1, true, 31),
        (0xd508_8323, TlbiOp::Vae1, true, 3),
        (0xd508_87a4, TlbiOp::Vale1, false, 4),
        (0xd508_83e5, TlbiOp::Vaale1, true, 5),
        (0xd508_8166, TlbiOp::Vaae1, true, 6),
        (0xd508_8347, TlbiOp::Aside1, true, 7),
        (0xd508_82a8, TlbiOp::Rvale1, true, 8),
        (0xd508_8629, TlbiOp::Rvae1, false, 9),
        (0xd508_85ea, TlbiOp::Rvaale1, true, 10),
        (0xd508_93ab, TlbiOp::Vale1, true, 11),
    ];
    for (word, op, broadcast, reg) in cases {
        assert_eq!(decode(word), Some(Insn::Tlbi(op, broadcast, reg)), "{word:#x}");
    }
    assert_eq!(decode(0xd50c_802c), None, "IPAS2E1IS is stage 2's");
    assert_eq!(decode(0xd50c_839f), None, "ALLE1IS is EL2's");
}

#[test]
fn system_registers() {
    let cases = [
        (0xd518_2001, SystemRegister::Ttbr0, 1),
        (0xd518_2022, SystemRegister::Ttbr1, 2),
        (0xd518_2043, SystemRegister::Tcr, 3),
        (0xd518_1004, SystemRegister::Sctlr, 4),
    ];
    for (word, register, reg) in cases {
        assert_eq!(decode(word), Some(Insn::Msr(register, reg)), "{word:#x}");
    }
    assert_eq!(decode(0xd518_4004), None, "MSR SPSR_EL1");
    assert_eq!(decode(0xd538_2001), None, "MRS, a read");
}

#[test]
fn the_rest() {
    assert_eq!(decode(0xd50b_7422), Some(Insn::ZeroBlock(2)), "DC ZVA");
    assert_eq!(decode(0xd50b_7482), Some(Insn::ZeroBlock(2)), "DC GZVA");
    assert_eq!(decode(0xd50b_7b22), None, "DC CVAU writes nothing");
    for word in [0xd69f_03e0, 0xd69f_0bff] {
        assert_eq!(decode(word), Some(Insn::Eret));
    }
    assert_eq!(decode(0xd503_2e1f), Some(Insn::Hint(112)));
    assert_eq!(decode(0xd503_2e3f), Some(Insn::Hint(113)));
    assert_eq!(decode(0xd503_201f), None, "NOP");
    assert_eq!(decode(0xd503_245f), None, "BTI c");
}

#[test]
fn atomics_are_told_from_plain_accesses() {
    let atomics: [(&str, u32); 9] = [
        ("casal", 0xc8e1_fc62),
        ("swpal", 0xf8e1_8062),
        ("ldsetal", 0xf8e1_3062),
        ("ldclr", 0xf821_1062),
        ("ldxr", 0xc85f_7c41),
        ("stxr", 0xc801_7c62),
        ("ldaxr", 0xc85f_fc41),
        ("stlr", 0xc89f_fc41),
        ("ldapr", 0xf8bf_c041),
    ];
    for (name, word) in atomics {
        assert_eq!(decode(word), Some(Insn::Atomic), "{name}");
    }
    let plain: [(&str, u32); 6] = [
        ("str", 0xf900_0041),
        ("stp", 0xa900_0861),
        ("str, by register", 0xf823_6841),
        ("ldr, post-indexed", 0xf840_8441),
        ("ldur", 0xf85f_8041),
        ("sttr", 0xf800_0841),
    ];
    for (name, word) in plain {
        assert_eq!(decode(word), None, "{name}");
    }
}
