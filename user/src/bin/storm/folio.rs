//! Folios as they can be asked for: a size, and how the largest are mapped.

use core::fmt;

use user::text::Text;

/// KiB of the largest folio, which one block descriptor can map.
const LARGEST: u32 = 2048;

/// A size of folios.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Folio {
    /// Its size in KiB.
    pub kib: u32,
    /// Mapped by one block descriptor (Linux: PMD-mapped) instead of PTEs. Of the largest size only.
    pub block: bool,
}

impl Folio {
    /// A folio of `kib` KiB, mapped by PTEs.
    pub const fn pages(kib: u32) -> Folio {
        Folio { kib, block: false }
    }

    /// The largest folio, mapped by a block descriptor.
    pub const BLOCK: Folio = Folio { kib: LARGEST, block: true };

    /// What a word of the command line asks for: a size in KiB, or `block`. `None` for anything else.
    pub fn parse(word: &str) -> Option<Folio> {
        if word == "block" {
            return Some(Folio::BLOCK);
        }
        let kib: u32 = word.parse().ok()?;
        ((4..=LARGEST).contains(&kib) && kib.is_power_of_two()).then_some(Folio::pages(kib))
    }

    /// Whether a kernel maps it by a block descriptor until something splits it, and that is not wanted.
    pub const fn is_to_be_split(self) -> bool {
        self.kib == LARGEST && !self.block
    }

    /// In the form `64K`, `2M`, `block`.
    pub fn name(self) -> Text<8> {
        match (self.block, self.kib) {
            (true, _) => Text::format(format_args!("block")),
            (_, 1024..) => Text::format(format_args!("{}M", self.kib / 1024)),
            _ => Text::format(format_args!("{}K", self.kib)),
        }
    }
}

impl fmt::Display for Folio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_the_block_are_understood() {
        assert_eq!(Folio::parse("64"), Some(Folio::pages(64)));
        assert_eq!(Folio::parse("block"), Some(Folio::BLOCK));
        assert!(["", "3", "5", "4096", "-4", "64k"].iter().all(|word| Folio::parse(word).is_none()));
        assert!(Folio::pages(2048).is_to_be_split() && !Folio::BLOCK.is_to_be_split());
        assert_eq!((Folio::pages(2048).name().as_str(), Folio::BLOCK.name().as_str()), ("2M", "block"));
    }
}
