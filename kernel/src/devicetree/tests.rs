//! Real trees, trees built here for what QEMU does not have, and trees that are broken.

// The lint takes a list of one range for a range spelt wrongly.
#![allow(clippy::single_range_in_vec_init)]

use super::*;

const GICV2: &[u8] = include_bytes!("../../tests/data/virt-gicv2.dtb");
const GICV3: &[u8] = include_bytes!("../../tests/data/virt-gicv3.dtb");
const EL2: &[u8] = include_bytes!("../../tests/data/virt-gicv3-el2.dtb");
const GIB: u64 = 1 << 30;

/// A writer of flattened trees: what the structure block needs and no more.
#[derive(Default)]
struct Builder {
    reserve: Vec<u8>,
    structure: Vec<u8>,
    strings: Vec<u8>,
}

impl Builder {
    fn cells(mut self, name: &str, cells: &[u32]) -> Self {
        let value: Vec<u8> = cells.iter().flat_map(|cell| cell.to_be_bytes()).collect();
        self.property(name, &value);
        self
    }

    fn text(mut self, name: &str, text: &str) -> Self {
        self.property(name, format!("{text}\0").as_bytes());
        self
    }

    fn property(&mut self, name: &str, value: &[u8]) {
        self.word(3);
        self.word(value.len() as u32);
        self.word(self.strings.len() as u32);
        self.strings.extend_from_slice(format!("{name}\0").as_bytes());
        self.structure.extend_from_slice(value);
        self.pad();
    }

    fn begin(mut self, name: &str) -> Self {
        self.word(1);
        self.structure.extend_from_slice(format!("{name}\0").as_bytes());
        self.pad();
        self
    }

    fn end(mut self) -> Self {
        self.word(2);
        self
    }

    fn reserve(mut self, start: u64, bytes: u64) -> Self {
        self.reserve.extend_from_slice(&start.to_be_bytes());
        self.reserve.extend_from_slice(&bytes.to_be_bytes());
        self
    }

    fn word(&mut self, word: u32) {
        self.structure.extend_from_slice(&word.to_be_bytes());
    }

    fn pad(&mut self) {
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
    }

    fn blob(self) -> Vec<u8> {
        let mut this = self.reserve(0, 0);
        this.word(9);
        let structure = 40 + this.reserve.len();
        let strings = structure + this.structure.len();
        let total = strings + this.strings.len();
        let header =
            [0xd00d_feed, total, structure, strings, 40, 17, 16, 0, this.strings.len(), this.structure.len()];
        let header = header.iter().flat_map(|&word| (word as u32).to_be_bytes());
        header.chain(this.reserve).chain(this.structure).chain(this.strings).collect()
    }
}

/// A root with 64-bit addresses and 1 GiB of RAM at 2 GiB; the root is still open.
fn board() -> Builder {
    Builder::default()
        .begin("")
        .cells("#address-cells", &[2])
        .cells("#size-cells", &[2])
        .begin("memory@80000000")
        .text("device_type", "memory")
        .cells("reg", &[0, 0x8000_0000, 0, 0x4000_0000])
        .end()
}

#[test]
fn virt_with_gicv3() {
    let platform = Platform::parse(GICV3).unwrap();
    assert_eq!(platform.memory.iter().collect::<Vec<_>>(), [GIB..9 * GIB]);
    assert_eq!(platform.bootargs, "init=/init pleat.selftest=off -- a b");
    assert_eq!(platform.initrd, Some(0x4800_0000..0x4800_0000 + 300_000));
    assert_eq!(
        platform.gic,
        Some(Gic::V3 { distributor: 0x800_0000..0x801_0000, redistributors: 0x80a_0000..0x900_0000 })
    );
    assert_eq!(platform.timer.virt, Some(Interrupt { id: 27, edge: false }));
    assert_eq!(platform.timer.phys, Some(Interrupt { id: 30, edge: false }));
    let uart = platform.uart.clone().unwrap();
    assert_eq!(uart.interrupt, Some(Interrupt { id: 33, edge: false }));
    assert_eq!(
        (uart.registers, uart.clock_hz, uart.baud),
        (0x900_0000..0x900_1000, Some(24_000_000), 115_200)
    );
    assert_eq!(platform.passive.iter().collect::<Vec<_>>(), [0x901_0000..0x901_1000]);
    assert_eq!(platform.psci, Some(Conduit::Hvc));
    assert_eq!(platform.cpus(), [0, 1]);
}

#[test]
fn virt_with_gicv2() {
    let platform = Platform::parse(GICV2).unwrap();
    assert_eq!(
        platform.gic,
        Some(Gic::V2 { distributor: 0x800_0000..0x801_0000, cpu_interface: 0x801_0000..0x802_0000 })
    );
    assert_eq!(platform.timer.virt.unwrap().id, 27);
}

#[test]
fn virt_with_el2_and_two_memory_nodes() {
    let platform = Platform::parse(EL2).unwrap();
    assert_eq!(platform.memory.iter().collect::<Vec<_>>(), [GIB..9 * GIB]);
    assert_eq!(platform.psci, Some(Conduit::Smc));
    assert_eq!((platform.cpu_count, platform.cpus().len()), (12, MAX_CPUS));
    assert_eq!((platform.initrd.clone(), platform.bootargs), (None, ""));
}

#[test]
fn usable_memory_is_what_nobody_else_has() {
    let platform = Platform::parse(GICV3).unwrap();
    let usable = platform.usable(&[0x4020_0000..0x4030_0001, 0x5000_0800..0x5000_0801], 4096);
    let expected =
        [GIB..0x4020_0000, 0x4030_1000..0x4800_0000, 0x4804_a000..0x5000_0000, 0x5000_1000..9 * GIB];
    assert_eq!(usable.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn reservations_of_both_kinds_count() {
    let tree = board()
        .begin("reserved-memory")
        .cells("#address-cells", &[1])
        .cells("#size-cells", &[1])
        .begin("secure@90000000")
        .cells("reg", &[0x9000_0000, 0x10_0000])
        .cells("no-map", &[])
        .end()
        .begin("ramoops@91000000")
        .cells("reg", &[0x9100_0000, 0x1000])
        .end()
        .end()
        .end()
        .reserve(0x8000_0000, 0x8_0000)
        .blob();
    let platform = Platform::parse(&tree).unwrap();
    let reserved = [0x8000_0000..0x8008_0000, 0x9000_0000..0x9010_0000, 0x9100_0000..0x9100_1000];
    assert_eq!(platform.reserved.iter().collect::<Vec<_>>(), reserved);
    assert_eq!(platform.no_map.iter().collect::<Vec<_>>(), [0x9000_0000..0x9010_0000]);
    assert_eq!(platform.usable(&[], 4096).bytes(), GIB - 0x8_0000 - 0x10_0000 - 0x1000);
}

#[test]
fn buses_translate_addresses() {
    let tree = board()
        .begin("soc")
        .text("compatible", "simple-bus")
        .cells("#address-cells", &[1])
        .cells("#size-cells", &[1])
        .cells("ranges", &[0x1000_0000, 0x10, 0, 0x100_0000])
        .begin("serial@10020000")
        .text("compatible", "arm,pl011")
        .cells("reg", &[0x1002_0000, 0x1000])
        .end()
        .begin("serial@20000000")
        .text("compatible", "arm,pl011")
        .cells("reg", &[0x2000_0000, 0x1000])
        .end()
        .end()
        .end()
        .blob();
    let uart = Platform::parse(&tree).unwrap().uart.unwrap();
    assert_eq!(uart.registers, 0x10_0002_0000..0x10_0002_1000);
    assert_eq!(uart.clock_hz, None);
}

#[test]
fn the_chosen_console_wins_and_disabled_nodes_do_not_count() {
    let serial = |tree: Builder, address: u32, status| {
        tree.begin(&format!("serial@{address:x}"))
            .text("compatible", "arm,pl011")
            .cells("reg", &[0, address, 0, 0x1000])
            .text("status", status)
            .end()
    };
    let tree = serial(serial(serial(board(), 0x1000, "disabled"), 0x2000, "okay"), 0x3000, "okay");
    let tree = tree.begin("aliases").text("serial0", "/serial@3000").end();
    let tree = tree.begin("chosen").text("stdout-path", "serial0:9600n8").end().end().blob();
    let uart = Platform::parse(&tree).unwrap().uart.unwrap();
    assert_eq!((uart.registers.start, uart.baud), (0x3000, 9600));
    let tree = serial(serial(board(), 0x1000, "disabled"), 0x2000, "okay").end().blob();
    assert_eq!(Platform::parse(&tree).unwrap().uart.unwrap().registers.start, 0x2000);
}

#[test]
fn timer_interrupts_by_name_and_longer_entries() {
    let tree = Builder::default()
        .begin("")
        .cells("interrupt-parent", &[7])
        .begin("memory")
        .text("device_type", "memory")
        .cells("reg", &[0, 0x8000_0000, 0x1000])
        .end()
        .begin("timer")
        .text("compatible", "arm,armv8-timer")
        .text("interrupt-names", "phys\0virt")
        .cells("interrupts", &[1, 14, 4, 0, 1, 11, 1, 0])
        .end()
        .begin("interrupt-controller")
        .cells("#interrupt-cells", &[4])
        .cells("phandle", &[7])
        .end()
        .end()
        .blob();
    let timer = Platform::parse(&tree).unwrap().timer;
    assert_eq!(timer.virt, Some(Interrupt { id: 27, edge: true }));
    assert_eq!(timer.phys, Some(Interrupt { id: 30, edge: false }));
}

#[test]
fn a_tree_without_memory_is_refused() {
    let tree = Builder::default().begin("").end().blob();
    assert_eq!(Platform::parse(&tree).err(), Some(DeviceTreeError::NoMemory));
}

#[test]
fn ranges_that_overflow_are_not_believed() {
    let tree = board()
        .begin("memory@1")
        .text("device_type", "memory")
        .cells("reg", &[!0, !0 - 1, !0, !0])
        .end()
        .end()
        .reserve(u64::MAX - 1, 16)
        .blob();
    let platform = Platform::parse(&tree).unwrap();
    assert_eq!((platform.memory.bytes(), platform.reserved.is_empty()), (GIB, true));
}

#[test]
fn the_header_limits_the_size() {
    let header = |magic: u32, bytes: u32| {
        let words = [magic.to_be_bytes(), bytes.to_be_bytes()];
        blob_bytes(words.as_flattened().first_chunk().unwrap())
    };
    assert_eq!(header(0xd00d_feed, 0x1000), Ok(0x1000));
    assert_eq!(header(0xd00d_feed, (MAX_BYTES + 1) as u32), Err(DeviceTreeError::Header));
    assert_eq!(header(0xd00d_feed, 7), Err(DeviceTreeError::Header));
    assert_eq!(header(0xedfe_0dd0, 0x1000), Err(DeviceTreeError::Header));
}

/// Uses everything that parsing left to be used later.
fn digest(blob: &[u8]) -> bool {
    let Ok(platform) = Platform::parse(blob) else { return false };
    platform.usable(&[0..4096], 4096).bytes() <= platform.memory.bytes()
}

#[test]
fn truncated_trees_do_not_panic() {
    for length in 0..GICV3.len() {
        assert!(!digest(&GICV3[..length]), "accepted {length} of {} bytes", GICV3.len());
        // The same with a header that agrees about the length.
        let mut blob = GICV3[..length].to_vec();
        if length >= 8 {
            blob[4..8].copy_from_slice(&(length as u32).to_be_bytes());
            digest(&blob);
        }
    }
}

#[test]
fn flipped_bits_do_not_panic() {
    for tree in [GICV2, GICV3] {
        let mut blob = tree.to_vec();
        for byte in 0..blob.len() {
            // The high bits of a word break lengths and offsets, the low ones tokens and values: take turns.
            let bit = 1 << (byte % 8);
            blob[byte] ^= bit;
            digest(&blob);
            blob[byte] ^= bit;
        }
        assert!(digest(&blob));
    }
}

#[test]
fn scrambled_words_do_not_panic() {
    // A linear congruential generator (Knuth's MMIX): the same trees at every run.
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..4_000 {
        let mut blob = GICV3.to_vec();
        for _ in 0..1 + random() % 4 {
            let at = random() % (blob.len() - 4);
            let word = [0, 1, 2, 3, 4, 9, !0, random() as u32][random() % 8];
            blob[at & !3..][..4].copy_from_slice(&word.to_be_bytes());
        }
        digest(&blob);
    }
}
