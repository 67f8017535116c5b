//! Frames of handlers: where everything is, and what rt_sigreturn must not accept.

use super::*;

fn interrupted() -> Interrupted {
    Interrupted {
        x: core::array::from_fn(|index| 0x1000 + index as u64),
        sp: 0x7fff_0000,
        pc: 0x40_1234,
        pstate: 0x6000_0000,
        v: core::array::from_fn(|index| (index as u128) << 100 | 7),
        fpsr: 0x10,
        fpcr: 0x0200_0000,
        mask: 0xff,
        alt_stack: AltStack { base: 0x5000, flags: 0, bytes: 0x4000 },
    }
}

fn frame() -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    frame[..WRITTEN_BYTES].copy_from_slice(&encode(&Info::kernel(10), &interrupted()));
    frame
}

fn read_back(frame: &[u8; FRAME_BYTES]) -> Result<Interrupted> {
    decode(|at, to| {
        to.copy_from_slice(&frame[at..at + to.len()]);
        Ok(())
    })
}

fn set(frame: &mut [u8], at: usize, value: u32) {
    frame[at..at + 4].copy_from_slice(&value.to_ne_bytes());
}

#[test]
fn offsets_are_linux_s() {
    // From the headers: sizes and offsets that the C libraries' and debuggers' definitions have.
    assert_eq!((FRAME_BYTES, UCONTEXT, MASK, RECORDS), (4688, 128, 168, 592));
    let frame = frame();
    assert_eq!(u32_at(&frame, 0), 10);
    assert_eq!(u64_at(&frame, 144), 0x5000, "uc_stack.ss_sp");
    assert_eq!(u64_at(&frame, 160), 0x4000, "uc_stack.ss_size");
    assert_eq!(u64_at(&frame, 168), 0xff, "uc_sigmask");
    assert_eq!(u64_at(&frame, 312 + 8 * 5), 0x1005, "regs[5]");
    assert_eq!([560, 568, 576].map(|at| u64_at(&frame, at)), [0x7fff_0000, 0x40_1234, 0x6000_0000]);
    assert_eq!([592, 596, 600, 604].map(|at| u32_at(&frame, at)), [0x4650_8001, 528, 0x10, 0x0200_0000]);
    assert_eq!(u64_at(&frame, 608 + 16 * 31 + 8), 31 << 36);
    assert_eq!(u64_at(&frame, 1120), 0, "the end");
}

#[test]
fn what_is_written_is_read_back() {
    assert_eq!(read_back(&frame()), Ok(interrupted()));
}

#[test]
fn a_program_cannot_return_to_more_than_it_is() {
    for bad in [1u32, 4, 5, 0xf, 0x10, 1 << 6, 1 << 7, 1 << 8, 1 << 9] {
        let mut frame = frame();
        set(&mut frame, 576, bad);
        assert_eq!(read_back(&frame), Err(Errno::EINVAL), "{bad:#x}");
    }
    let mut frame = frame();
    set(&mut frame, 576, !(PRIVILEGED_PSTATE as u32));
    assert_eq!(read_back(&frame).unwrap().pstate, USER_PSTATE, "what has no meaning is left out");
}

#[test]
fn records_are_checked() {
    let cases: [(&str, usize, u32); 6] = [
        ("no FP/SIMD registers", 592, 0),
        ("an unknown record", 592, 0x1234_5678),
        ("a wrong size", 596, 544),
        ("a misaligned size", 596, 520),
        ("longer than the frame", 596, 8192),
        ("a size of nothing", 596, 0),
    ];
    for (what, at, value) in cases {
        let mut frame = frame();
        set(&mut frame, at, value);
        assert_eq!(read_back(&frame), Err(Errno::EINVAL), "{what}");
    }
    let mut twice = frame();
    twice.copy_within(592..1120, 1120);
    assert_eq!(read_back(&twice), Err(Errno::EINVAL), "twice");
    let mut endless = frame();
    for at in (1120..FRAME_BYTES).step_by(16) {
        set(&mut endless, at, ESR_MAGIC);
        set(&mut endless, at + 4, 16);
    }
    assert_eq!(read_back(&endless), Err(Errno::EINVAL), "no end");
    let mut with_esr = frame();
    set(&mut with_esr, 1120, ESR_MAGIC);
    set(&mut with_esr, 1124, 16);
    assert_eq!(read_back(&with_esr), Ok(interrupted()));
}

#[test]
fn an_unreadable_frame_is_an_error() {
    assert_eq!(decode(|_, _| Err(Errno::EFAULT)), Err(Errno::EFAULT));
}
