//! The symbol table behind the kernel's image, for backtraces with function names.
//!
//! Little endian, read in place by the kernel:
//!
//! ```text
//! b"PLEATSYM" | u32 count | u32 strings_bytes | count * { u32 offset, u32 name } | strings
//! ```
//!
//! `offset` is in bytes from the image's base, ascending and unique; `name` is a byte index into `strings`, where
//! each name ends with a NUL. Names are demangled here, so the kernel carries no demangler.

use std::collections::BTreeMap;
use std::fmt;

use elf::ElfBytes;
use elf::abi::{STT_FUNC, STT_NOTYPE};
use elf::endian::LittleEndian;
use elf::string_table::StringTable;
use elf::symbol::Symbol;

/// What the table starts with.
pub const MAGIC: &[u8; 8] = b"PLEATSYM";

const SHF_EXECINSTR: u64 = elf::abi::SHF_EXECINSTR as u64;

/// Why a table cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// The names or the entries do not fit 32-bit offsets.
    TooLarge,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::TooLarge => write!(f, "more than 4 GiB of names"),
        }
    }
}

/// A function as the kernel will print it.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Bytes from the image's base.
    pub offset: u32,
    /// Demangled, without the compiler's hash.
    pub name: String,
}

/// The address of the symbol of this name, if the ELF defines it.
pub fn address_of(elf: &ElfBytes<'_, LittleEndian>, name: &str) -> Result<Option<u64>, elf::ParseError> {
    let Some((symbols, strings)) = elf.symbol_table()? else { return Ok(None) };
    for symbol in symbols.iter().filter(|s| !s.is_undefined()) {
        if name_of(&strings, &symbol)? == name {
            return Ok(Some(symbol.st_value));
        }
    }
    Ok(None)
}

/// Every function in `base..base + size` (bytes), one an address, in ascending order.
///
/// Labels of assembly have no type (`STT_NOTYPE`): they count when their section is executable. Where several
/// symbols share an address, functions win over labels, then the name that sorts first, so that the choice does not
/// hang on the linker's order.
pub fn functions(
    elf: &ElfBytes<'_, LittleEndian>,
    base: u64,
    size: u64,
) -> Result<Vec<Function>, elf::ParseError> {
    let Some((symbols, strings)) = elf.symbol_table()? else { return Ok(Vec::new()) };
    let sections = elf.section_headers();
    let executable = |symbol: &Symbol| {
        let section = sections.as_ref().and_then(|s| s.get(usize::from(symbol.st_shndx)).ok());
        section.is_some_and(|s| s.sh_flags & SHF_EXECINSTR != 0)
    };
    let mut by_offset: BTreeMap<u32, (bool, String)> = BTreeMap::new();
    for symbol in symbols.iter().filter(|s| !s.is_undefined()) {
        let is_label = match symbol.st_symtype() {
            STT_FUNC => false,
            STT_NOTYPE => true,
            _ => continue,
        };
        let name = name_of(&strings, &symbol)?;
        let offset = symbol.st_value.wrapping_sub(base);
        // `$x` and `$d` are mapping symbols (AAELF64, "Mapping symbols"), `__text_end` and the like the linker
        // script's bounds: neither is the name of code.
        let is_mark = name.starts_with('$') || (is_label && name.starts_with("__"));
        if offset >= size || name.is_empty() || is_mark || !executable(&symbol) {
            continue;
        }
        let Ok(offset) = u32::try_from(offset) else { continue };
        let candidate = (is_label, format!("{:#}", rustc_demangle::demangle(name)));
        let held = by_offset.entry(offset).or_insert_with(|| candidate.clone());
        if candidate < *held {
            *held = candidate;
        }
    }
    Ok(by_offset.into_iter().map(|(offset, (_, name))| Function { offset, name }).collect())
}

/// The table's bytes, without padding.
pub fn encode(functions: &[Function]) -> Result<Vec<u8>, Error> {
    let mut strings = Vec::new();
    let mut entries = Vec::new();
    for function in functions {
        let name = u32::try_from(strings.len()).map_err(|_| Error::TooLarge)?;
        entries.extend(function.offset.to_le_bytes());
        entries.extend(name.to_le_bytes());
        strings.extend(function.name.bytes().filter(|&b| b != 0));
        strings.push(0);
    }
    let count = u32::try_from(functions.len()).map_err(|_| Error::TooLarge)?;
    let strings_bytes = u32::try_from(strings.len()).map_err(|_| Error::TooLarge)?;
    let head = [MAGIC.as_slice(), &count.to_le_bytes(), &strings_bytes.to_le_bytes()].concat();
    Ok([head, entries, strings].concat())
}

fn name_of<'data>(strings: &StringTable<'data>, symbol: &Symbol) -> Result<&'data str, elf::ParseError> {
    let raw = strings.get_raw(symbol.st_name as usize)?;
    // A name that is not UTF-8 is none we could print.
    Ok(std::str::from_utf8(raw).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy_elf::{BASE, Toy};

    fn table(toy: &Toy) -> Vec<(u32, String)> {
        let bytes = toy.bytes();
        let elf = ElfBytes::minimal_parse(&bytes).unwrap();
        functions(&elf, BASE, 0x3000).unwrap().into_iter().map(|f| (f.offset, f.name)).collect()
    }

    #[test]
    fn functions_are_sorted_demangled_and_unique() {
        let mut toy = Toy::kernel();
        toy.function("_ZN6kernel2mm4fork17h0123456789abcdefE", BASE + 0x200);
        toy.function("zebra", BASE + 0x100);
        toy.function("aardvark", BASE + 0x100);
        toy.label("a_label", BASE + 0x100);
        toy.label("vectors", BASE + 0x80);
        toy.label("$x", BASE + 0x40);
        toy.label("__text_end", BASE + 0x80);
        toy.data("COUNTER", BASE + 0x1000);
        toy.function("elsewhere", BASE + 0x3000);
        toy.function("below", BASE - 4);
        let expected = [(0x80, "vectors"), (0x100, "aardvark"), (0x200, "kernel::mm::fork")];
        assert_eq!(table(&toy), expected.map(|(o, n)| (o, n.to_string())));
    }

    #[test]
    fn the_format_is_the_kernel_s() {
        let functions =
            [(0x40, "a"), (0x1234, "b::c")].map(|(offset, name)| Function { offset, name: name.to_string() });
        let bytes = encode(&functions).unwrap();
        let mut expected = b"PLEATSYM".to_vec();
        for word in [2u32, 7, 0x40, 0, 0x1234, 2] {
            expected.extend(word.to_le_bytes());
        }
        expected.extend(b"a\0b::c\0");
        assert_eq!(bytes, expected);
    }

    #[test]
    fn an_elf_without_functions_has_an_empty_table() {
        let mut expected = b"PLEATSYM".to_vec();
        expected.extend([0; 8]);
        assert_eq!(encode(&[]).unwrap(), expected);
    }

    #[test]
    fn addresses_are_found_by_name() {
        let bytes = Toy::kernel().bytes();
        let elf = ElfBytes::minimal_parse(&bytes).unwrap();
        assert_eq!(address_of(&elf, "__image_end").unwrap(), Some(BASE + 0x3000));
        assert_eq!(address_of(&elf, "no_such_symbol").unwrap(), None);
    }
}
