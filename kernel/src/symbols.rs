//! Names of functions for backtraces, from the table that `scripts/pack` appends to the image.
//!
//! ```text
//! __image_end  "PLEATSYM"  count: u32  string bytes: u32
//!              count * { offset from the start of the image: u32, offset of the name: u32 }, ascending
//!              the names, each ending in NUL, then zeros up to a whole page
//! ```
//! All little endian. Used while the kernel is dying, so nothing in the table is trusted: it may be missing or broken,
//! and then addresses have no names.

/// What the table starts with.
const MAGIC: &[u8; 8] = b"PLEATSYM";
/// Bytes before the first entry.
const HEADER_BYTES: usize = 16;
/// Bytes in an entry.
const ENTRY_BYTES: usize = 8;

/// A table of function names, ordered by address.
#[derive(Clone, Copy)]
pub struct Symbols<'a> {
    entries: &'a [[u8; ENTRY_BYTES]],
    strings: &'a [u8],
}

/// What is at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbol<'a> {
    /// The name of the function.
    pub name: &'a str,
    /// How far into the function the address is, in bytes.
    pub offset: u32,
}

impl<'a> Symbols<'a> {
    /// No names at all.
    pub const EMPTY: Symbols<'static> = Symbols { entries: &[], strings: &[] };

    /// Reads the table that starts `bytes`. `None` if there is none, or it says it is larger than `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        if !header.starts_with(MAGIC) {
            return None;
        }
        let count = word(&header[8..])? as usize;
        let string_bytes = word(&header[12..])? as usize;
        let entries = rest.get(..count.checked_mul(ENTRY_BYTES)?)?;
        let strings = rest.get(entries.len()..)?.get(..string_bytes)?;
        Some(Symbols { entries: entries.as_chunks().0, strings })
    }

    /// The number of names.
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no names.
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The function around `offset`, in bytes from the start of the image: the last one that starts at or below.
    pub fn find(&self, offset: u32) -> Option<Symbol<'a>> {
        let start = |entry: &[u8; ENTRY_BYTES]| word(entry).unwrap_or(u32::MAX);
        let behind = self.entries.partition_point(|entry| start(entry) <= offset);
        let entry = self.entries.get(behind.checked_sub(1)?)?;
        let name = self.strings.get(word(&entry[4..])? as usize..)?;
        let name = name.split(|&byte| byte == 0).next()?;
        // In an unsorted table the search may end anywhere.
        let offset = offset.checked_sub(start(entry))?;
        Some(Symbol { name: core::str::from_utf8(name).ok()?, offset })
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(symbols: &[(u32, &str)]) -> Vec<u8> {
        let (mut entries, mut strings) = (Vec::new(), Vec::new());
        for (offset, name) in symbols {
            entries.extend_from_slice(&offset.to_le_bytes());
            entries.extend_from_slice(&(strings.len() as u32).to_le_bytes());
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
        }
        let mut table = MAGIC.to_vec();
        table.extend_from_slice(&(symbols.len() as u32).to_le_bytes());
        table.extend_from_slice(&(strings.len() as u32).to_le_bytes());
        table.extend_from_slice(&entries);
        table.extend_from_slice(&strings);
        table.resize(table.len().next_multiple_of(4096), 0);
        table
    }

    #[test]
    fn an_address_belongs_to_the_function_before_it() {
        let table = table(&[(0x1000, "first"), (0x1040, "kernel::second"), (0x2000, "third")]);
        let symbols = Symbols::parse(&table).unwrap();
        assert_eq!(symbols.find(0xfff), None);
        assert_eq!(symbols.find(0x1000), Some(Symbol { name: "first", offset: 0 }));
        assert_eq!(symbols.find(0x1fff), Some(Symbol { name: "kernel::second", offset: 0xfbf }));
        assert_eq!(symbols.find(u32::MAX).unwrap().name, "third");
        assert_eq!(symbols.len(), 3);
    }

    #[test]
    fn no_table_means_no_names() {
        assert!(Symbols::parse(&[0; 4096]).is_none());
        assert!(Symbols::parse(b"PLEATSYM").is_none());
        assert_eq!(Symbols::EMPTY.find(7), None);
        assert_eq!(Symbols::parse(&table(&[])).unwrap().find(7), None);
    }

    #[test]
    fn broken_tables_do_not_panic() {
        let good = table(&[(0x10, "a"), (0x20, "b"), (0x30, "c")]);
        for bit in 0..64 * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            if let Some(symbols) = Symbols::parse(&bad) {
                for offset in [0, 0x10, 0x25, 0x35, u32::MAX] {
                    symbols.find(offset);
                }
            }
        }
        for length in 0..64 {
            assert!(length >= 46 || Symbols::parse(&good[..length]).is_none());
        }
    }
}
