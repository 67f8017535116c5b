//! A minimal ELF writer for tests: some PT_LOAD segments, two sections for symbols to live in, a symbol table.
//!
//! ```text
//! 0x0 ELF header | program headers | 0x1000 segments, 4 KiB apart | symbols | strings | section headers
//! ```

/// The toy kernel's link address.
pub const BASE: u64 = 0xffff_8000_4020_0000;

const PAGE: usize = 0x1000;
const SECTION_TEXT: u16 = 1;
const SECTION_DATA: u16 = 2;

/// A PT_LOAD segment.
pub struct Segment {
    /// Link address.
    pub vaddr: u64,
    /// Load address.
    pub paddr: u64,
    /// Bytes from the file.
    pub data: Vec<u8>,
    /// Bytes in memory.
    pub memsz: u64,
}

impl Segment {
    /// A segment whose load address is its link address without the upper half's bits.
    pub fn at(vaddr: u64, data: Vec<u8>, memsz: u64) -> Self {
        Self { vaddr, paddr: vaddr - 0xffff_8000_0000_0000, data, memsz }
    }
}

/// A symbol: name, address, ELF type, section.
pub struct Sym {
    pub name: String,
    value: u64,
    kind: u8,
    section: u16,
}

/// An ELF in the making; the fields are there to be spoilt by tests.
pub struct Toy {
    /// `e_machine`.
    pub machine: u16,
    pub segments: Vec<Segment>,
    pub symbols: Vec<Sym>,
}

impl Toy {
    /// A page of text that starts with an Image header, a page of data with 4 KiB of .bss, `__image_end` behind it.
    pub fn kernel() -> Self {
        let mut text = vec![0xd5; PAGE];
        text[56..60].copy_from_slice(b"ARM\x64");
        let segments =
            vec![Segment::at(BASE, text, PAGE as u64), Segment::at(BASE + 0x1000, b"data".to_vec(), 0x1800)];
        let mut toy = Self { machine: elf::abi::EM_AARCH64, segments, symbols: Vec::new() };
        toy.define("__image_end", BASE + 0x3000);
        toy
    }

    /// A linker-defined symbol, in the data section.
    pub fn define(&mut self, name: &str, value: u64) {
        self.symbol(name, value, elf::abi::STT_NOTYPE, SECTION_DATA);
    }

    pub fn function(&mut self, name: &str, value: u64) {
        self.symbol(name, value, elf::abi::STT_FUNC, SECTION_TEXT);
    }

    /// A label in assembly.
    pub fn label(&mut self, name: &str, value: u64) {
        self.symbol(name, value, elf::abi::STT_NOTYPE, SECTION_TEXT);
    }

    pub fn data(&mut self, name: &str, value: u64) {
        self.symbol(name, value, elf::abi::STT_OBJECT, SECTION_DATA);
    }

    fn symbol(&mut self, name: &str, value: u64, kind: u8, section: u16) {
        self.symbols.push(Sym { name: name.to_string(), value, kind, section });
    }

    /// The ELF file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut strings = vec![0u8];
        let mut symbols = vec![0u8; 24];
        for s in &self.symbols {
            symbols.extend((strings.len() as u32).to_le_bytes());
            symbols.extend([1 << 4 | s.kind, 0]);
            symbols.extend(s.section.to_le_bytes());
            symbols.extend(words(&[s.value, 0]));
            strings.extend(s.name.bytes().chain([0]));
        }
        let symbols_at = PAGE * (1 + self.segments.len());
        let strings_at = symbols_at + symbols.len();
        let sections_at = strings_at + strings.len();

        let mut out = b"\x7fELF\x02\x01\x01".to_vec();
        out.resize(16, 0);
        out.extend(halves(&[2, self.machine, 1, 0]));
        out.extend(words(&[BASE, 64, sections_at as u64]));
        out.extend(halves(&[0, 0, 64, 56, self.segments.len() as u16, 64, 5, 0]));
        for (i, s) in self.segments.iter().enumerate() {
            let offset = PAGE * (1 + i);
            out.extend(words(&[
                1 | 7 << 32,
                offset as u64,
                s.vaddr,
                s.paddr,
                s.data.len() as u64,
                s.memsz,
                PAGE as u64,
            ]));
        }
        for s in &self.segments {
            out.resize(out.len().next_multiple_of(PAGE), 0);
            out.extend(&s.data);
        }
        out.resize(symbols_at, 0);
        out.extend(&symbols);
        out.extend(&strings);
        // name | type, flags, address, offset, size, link | info, align, entry size
        for section in [
            [0; 8],
            [1 << 32, 6, BASE, 0, 0, 0, 1, 0],
            [1 << 32, 3, BASE + 0x1000, 0, 0, 0, 1, 0],
            [2 << 32, 0, 0, symbols_at as u64, symbols.len() as u64, 4, 8, 24],
            [3 << 32, 0, 0, strings_at as u64, strings.len() as u64, 0, 1, 0],
        ] {
            out.extend(words(&section));
        }
        out
    }
}

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn halves(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}
