use super::super::layout::LOADER_BASE;
use super::*;

/// A file under construction: program headers as tuples of type, flags, offset, vaddr, filesz, memsz, align.
type Ph = (u32, u32, u64, u64, u64, u64, u64);

const RX: u32 = abi::PF_R | abi::PF_X;
const RW: u32 = abi::PF_R | abi::PF_W;
const BYTES: usize = 0x3000;

fn elf(e_type: u16, entry: u64, headers: &[Ph]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend(e_type.to_le_bytes());
    file.extend(abi::EM_AARCH64.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    for value in [entry, 64, 0] {
        file.extend(value.to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    for value in [64, 56, headers.len() as u16, 0, 0, 0] {
        file.extend(value.to_le_bytes());
    }
    for (p_type, flags, offset, vaddr, filesz, memsz, align) in headers {
        file.extend(p_type.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for value in [offset, vaddr, vaddr, filesz, memsz, align] {
            file.extend(value.to_le_bytes());
        }
    }
    file.resize(BYTES, 0xaa);
    file
}

const TEXT: Ph = (abi::PT_LOAD, RX, 0, 0x40_0000, 0x1800, 0x1800, 0x1_0000);
const DATA: Ph = (abi::PT_LOAD, RW, 0x1800, 0x41_1800, 0x900, 0x3000, 0x1_0000);

fn usual() -> Vec<u8> {
    elf(abi::ET_EXEC, 0x40_1000, &[(abi::PT_GNU_STACK, RW, 0, 0, 0, 0, 16), TEXT, DATA])
}

fn refused(headers: &[Ph]) -> bool {
    LoadPlan::parse(&elf(abi::ET_EXEC, 0x40_1000, headers)) == Err(Errno::ENOEXEC)
}

#[test]
fn a_fixed_executable() {
    let plan = LoadPlan::parse(&usual()).unwrap();
    assert_eq!((plan.entry, plan.phdr, plan.phnum), (0x40_1000, 0x40_0040, 3));
    let [text, data] = plan.segments[..] else { panic!("two segments") };
    let (up, down) = (|at: usize| at.next_multiple_of(PAGE), |at: usize| at & !(PAGE - 1));
    assert_eq!((text.start(), text.file_end(), text.end()), (0x40_0000, up(0x40_1800), up(0x40_1800)));
    assert!(text.read && text.exec && !text.write && text.zero_tail().is_none());
    let ends = (up(0x41_2100), up(0x41_4800));
    assert_eq!((data.start(), data.file_end(), data.end()), (down(0x41_1800), ends.0, ends.1));
    assert_eq!(data.zero_tail(), Some((0x41_2100, ends.0 - 0x41_2100)));
    assert_eq!(plan.brk_start(), ends.1);
}

#[test]
fn a_position_independent_executable_moves_as_a_whole() {
    let text = (abi::PT_LOAD, RX, 0, 0, 0x1800, 0x1800, 0x20_0000);
    let data = (abi::PT_LOAD, RW, 0x1800, 0x1_1800, 0x900, 0x900, 0x1_0000);
    let plan = LoadPlan::parse(&elf(abi::ET_DYN, 0x1000, &[text, data])).unwrap();
    let base = PIE_BASE & !0x1f_ffff;
    assert_eq!((plan.entry, plan.phdr), (base + 0x1000, base + 64));
    assert_eq!((plan.segments[0].vaddr, plan.segments[1].vaddr), (base, base + 0x1_1800));
    let interpreter = (abi::PT_INTERP, abi::PF_R, 0x100, 0x100, 0x10, 0x10, 1);
    let file = elf(abi::ET_DYN, 0x1000, &[interpreter, text, data]);
    let plan = LoadPlan::parse(&file).unwrap();
    assert_eq!((plan.interpreter, plan.bias), (Some(0x100..0x110), base));
    let loader_base = LOADER_BASE & !0x1f_ffff;
    let loader = LoadPlan::parse_head(&file, file.len() as u64, LOADER_BASE).unwrap();
    assert_eq!((loader.bias, loader.entry - plan.entry), (loader_base, loader_base - base));
    let outside = (abi::PT_INTERP, abi::PF_R, 1 << 40, 0x100, 0x10, 0x10, 1);
    assert!(LoadPlan::parse(&elf(abi::ET_DYN, 0x1000, &[outside, text, data])).is_err());
}

#[test]
fn pure_bss_maps_nothing_from_the_file() {
    let bss = (abi::PT_LOAD, RW, 0x800, 0x42_0800, 0, 0x5000, 0x1000);
    let plan = LoadPlan::parse(&elf(abi::ET_EXEC, 0x40_1000, &[TEXT, bss])).unwrap();
    let bss = plan.segments[1];
    assert_eq!(
        (bss.start(), bss.file_end(), bss.end()),
        (0x42_0000, 0x42_0000, 0x42_5800usize.next_multiple_of(PAGE))
    );
    assert_eq!(bss.zero_tail(), None);
}

#[test]
fn hostile_segments() {
    let data = |change: fn(&mut Ph)| {
        let mut data = DATA;
        change(&mut data);
        refused(&[TEXT, data])
    };
    assert!(!data(|_| ()), "the base case is good");
    assert!(data(|ph| ph.4 = 0x3001), "more in the file than in memory");
    assert!(data(|ph| ph.2 = 0x1801), "offset and address not congruent");
    assert!(data(|ph| ph.5 = u64::MAX), "end wraps");
    assert!(data(|ph| ph.5 = 1 << 48), "end past the user half");
    assert!(data(|ph| ph.3 = 0xffff_8000_0000_1800), "in the kernel half");
    assert!(data(|ph| ph.3 = STACK_ADDR), "in the stack");
    assert!(data(|ph| (ph.2, ph.4, ph.5) = (0x2800, 0x801, 0x3000)), "past the end of the file");
    assert!(data(|ph| (ph.2, ph.4) = (u64::MAX - 0x7ff, 0x900)), "offset wraps");
    assert!(data(|ph| ph.3 = 0x40_1800), "overlaps the text");
    assert!(data(|ph| ph.3 = 0x30_1800), "descending");
    assert!(refused(&[]), "nothing");
    assert!(refused(&[(abi::PT_LOAD, RX, 0, 0, 0x1800, 0x1800, 0x1000), DATA]), "page 0");
    assert!(refused(&[(abi::PT_LOAD, abi::PF_R, 0, 0x40_0000, 0x1800, 0x1800, 0x1000), DATA]), "no code");
    assert!(refused(&[TEXT; 65]), "too many");
}

const STACK_ADDR: u64 = super::super::layout::STACK_BOTTOM as u64 + 0x1800;

#[test]
fn hostile_headers() {
    let change = |at: usize, bytes: &[u8]| {
        let mut file = usual();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        LoadPlan::parse(&file)
    };
    assert!(change(24, &0x40_1000u64.to_le_bytes()).is_ok(), "the base case is good");
    for (at, bytes) in [
        (0, &b"#!/x"[..]),
        (4, &[1]),                         // 32 bits
        (5, &[2]),                         // big endian
        (16, &[1]),                        // relocatable
        (18, &[62]),                       // x86-64
        (24, &0x41_2000u64.to_le_bytes()), // entry in data
        (24, &0x40_1002u64.to_le_bytes()), // entry misaligned
        (24, &u64::MAX.to_le_bytes()),     // entry nowhere
        (32, &u64::MAX.to_le_bytes()),     // program headers: offset wraps
        (32, &0x2fffu64.to_le_bytes()),    // program headers: past the end
        (54, &[57]),                       // program headers of another size
        (56, &[0, 0]),                     // none
        (56, &[0xff, 0xff]),               // too many
    ] {
        assert_eq!(change(at, bytes), Err(Errno::ENOEXEC), "{bytes:x?} at {at}");
    }
}

#[test]
fn program_headers_outside_all_segments_have_no_address() {
    let file = elf(abi::ET_EXEC, 0x40_1000, &[(abi::PT_LOAD, RX, 0x1000, 0x40_1000, 0x800, 0x800, 0x1000)]);
    assert_eq!(LoadPlan::parse(&file).unwrap().phdr, 0);
}

/// Whatever the bytes: no panic, and a plan that is accepted holds what its doc promises.
fn check(file: &[u8]) {
    let Ok(plan) = LoadPlan::parse(file) else { return };
    assert!(!plan.segments.is_empty() && plan.segments.len() <= usize::from(MAX_PHDRS));
    assert!(plan.segments.windows(2).all(|pair| pair[0].end() <= pair[1].start()));
    for s in &plan.segments {
        assert!(s.start() >= EXEC_MIN && s.end() <= EXEC_MAX && s.start() < s.end());
        assert!(s.file_end() <= s.end() && s.offset + s.file_bytes as u64 <= file.len() as u64);
        assert_eq!(s.offset as usize % PAGE, s.vaddr % PAGE);
        assert!(s.zero_tail().is_none_or(|(from, len)| from + len == s.file_end() && len < PAGE));
    }
    assert!(is_code(&plan.segments, plan.entry));
}

#[test]
fn no_bytes_make_it_panic() {
    let file = usual();
    for len in 0..file.len() {
        check(&file[..len]);
    }
    // xorshift64*: a fixed seed, so that a failure comes again.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    };
    let headers = 64 + 3 * 56;
    for base in [usual(), elf(abi::ET_DYN, 0x1000, &[(abi::PT_LOAD, RX, 0, 0, 0x1800, 0x1800, 0x1000)])] {
        for _ in 0..100_000 {
            let mut file = base.clone();
            for _ in 0..1 + random() % 3 {
                let at = random() as usize % headers;
                match random() % 4 {
                    0 => file[at] ^= 1 << (random() % 8),
                    1 => file[at] = random() as u8,
                    2 => file[at & !7..][..8].copy_from_slice(&random().to_le_bytes()),
                    _ => file[at & !7..][..8].copy_from_slice(&(u64::MAX << (random() % 64)).to_le_bytes()),
                }
            }
            check(&file);
        }
    }
}
