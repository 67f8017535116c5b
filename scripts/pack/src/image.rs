//! Kernel ELF to arm64 Image (Linux: Documentation/arch/arm64/booting.rst).
//!
//! ```text
//! 0                    .bss, as zeros   __image_end                     image_size
//! | header | text | rodata | data | 0 0 0 | symbol table, see `symbols` |
//! ```
//!
//! Offsets count from the lowest PT_LOAD address. The boot loader copies the file as it is, so .bss is in it: the
//! kernel need not clear it, and nothing can be placed where it will be. The header itself is the kernel's own code;
//! only its `image_size` is filled in here, because the linker cannot know the size of the symbol table.

use std::fmt;

use elf::ElfBytes;
use elf::abi::{EM_AARCH64, PT_LOAD};
use elf::endian::LittleEndian;
use elf::segment::ProgramHeader;

use crate::symbols;

/// The linker script's name for the first byte behind .bss; the symbol table starts there.
pub const IMAGE_END: &str = "__image_end";
/// Bytes: the least alignment of `__image_end`.
pub const PAGE: usize = 4096;
/// Bytes: the largest page that a kernel may map the image by. The file's size is a multiple of it, so that the last page
/// has nothing but the image in it.
pub const LARGEST_PAGE: usize = 65536;

/// Byte range of `image_size` in the header.
const IMAGE_SIZE: std::ops::Range<usize> = 16..24;
/// Byte range and value of the header's magic number.
const MAGIC: (std::ops::Range<usize>, &[u8; 4]) = (56..60, b"ARM\x64");
/// Bytes. A kernel beyond this is a mistake in the linker script (a segment linked far from the rest).
const MAX_IMAGE: u64 = 64 << 20;

/// Why an ELF cannot become an Image. All of these are faults of the ELF or its linker script.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// Not an ELF file, or cut short.
    Parse(String),
    /// Built for another machine.
    NotAarch64,
    /// No PT_LOAD segment with contents.
    NothingToLoad,
    /// Load and link addresses of this segment (link address) differ by another amount than those of the first.
    NotFlat(u64),
    /// Two segments share this link address.
    Overlap(u64),
    /// Bytes from the first to the last address: over [`MAX_IMAGE`].
    TooLarge(u64),
    /// No Image header at the lowest address.
    NoHeader,
    /// `__image_end` is not defined, in front of the last segment's end, or not on a 4 KiB boundary.
    ImageEnd(&'static str),
    /// The symbol table cannot be written.
    Symbols(symbols::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Parse(cause) => write!(f, "not an ELF file we can read: {cause}"),
            Error::NotAarch64 => write!(f, "not a 64-bit Arm ELF"),
            Error::NothingToLoad => write!(f, "no PT_LOAD segment"),
            Error::NotFlat(at) => {
                write!(f, "segment at {at:#x}: load address is not at the same offset as the others")
            }
            Error::Overlap(at) => write!(f, "segment at {at:#x} overlaps the one before"),
            Error::TooLarge(bytes) => {
                write!(f, "{bytes} bytes from first to last segment; the limit is {MAX_IMAGE}")
            }
            Error::NoHeader => write!(f, "no arm64 Image header (ARM\\x64 at byte 56) at the lowest address"),
            Error::ImageEnd(cause) => write!(f, "{IMAGE_END} {cause}"),
            Error::Symbols(cause) => write!(f, "symbol table: {cause}"),
        }
    }
}

impl From<elf::ParseError> for Error {
    fn from(cause: elf::ParseError) -> Self {
        Error::Parse(cause.to_string())
    }
}

/// The Image for this ELF's bytes: segments, .bss, symbol table, and `image_size` patched to the whole.
pub fn build(elf: &[u8]) -> Result<Vec<u8>, Error> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(elf)?;
    if elf.ehdr.e_machine != EM_AARCH64 || elf.ehdr.class != elf::file::Class::ELF64 {
        return Err(Error::NotAarch64);
    }
    let segments = load_segments(&elf)?;
    let base = segments[0].p_vaddr;
    let mut image = flatten(&elf, &segments)?;
    if image.get(MAGIC.0) != Some(MAGIC.1.as_slice()) {
        return Err(Error::NoHeader);
    }

    let end = symbols::address_of(&elf, IMAGE_END)?.ok_or(Error::ImageEnd("is not defined"))?;
    let end = usize::try_from(end.wrapping_sub(base)).unwrap_or(usize::MAX);
    if end < image.len() || end as u64 > MAX_IMAGE {
        return Err(Error::ImageEnd("is not behind the last segment"));
    }
    if !end.is_multiple_of(PAGE) {
        return Err(Error::ImageEnd("is not on a 4 KiB boundary"));
    }
    image.resize(end, 0);
    let functions = symbols::functions(&elf, base, end as u64)?;
    image.extend(symbols::encode(&functions).map_err(Error::Symbols)?);
    image.resize(image.len().next_multiple_of(LARGEST_PAGE), 0);

    let size = image.len() as u64;
    image[IMAGE_SIZE].copy_from_slice(&size.to_le_bytes());
    Ok(image)
}

/// PT_LOAD segments that occupy memory, by address; at least one.
fn load_segments(elf: &ElfBytes<'_, LittleEndian>) -> Result<Vec<ProgramHeader>, Error> {
    let all = elf.segments().ok_or(Error::NothingToLoad)?;
    let mut load: Vec<_> = all.iter().filter(|s| s.p_type == PT_LOAD && s.p_memsz > 0).collect();
    load.sort_by_key(|s| s.p_vaddr);
    let first = load.first().ok_or(Error::NothingToLoad)?;
    let shift = first.p_vaddr.wrapping_sub(first.p_paddr);
    if let Some(other) = load.iter().find(|s| s.p_vaddr.wrapping_sub(s.p_paddr) != shift) {
        return Err(Error::NotFlat(other.p_vaddr));
    }
    Ok(load)
}

/// The segments' bytes at their offsets from the first, gaps and .bss as zeros.
fn flatten(elf: &ElfBytes<'_, LittleEndian>, segments: &[ProgramHeader]) -> Result<Vec<u8>, Error> {
    let base = segments[0].p_vaddr;
    let mut image = Vec::new();
    for segment in segments {
        let start = segment.p_vaddr - base;
        let end = start.saturating_add(segment.p_memsz);
        if start < image.len() as u64 {
            return Err(Error::Overlap(segment.p_vaddr));
        }
        if end > MAX_IMAGE {
            return Err(Error::TooLarge(end));
        }
        let data = elf.segment_data(segment)?;
        if data.len() as u64 > segment.p_memsz {
            return Err(Error::Parse(format!("segment at {:#x} is larger in the file", segment.p_vaddr)));
        }
        image.resize(start as usize, 0);
        image.extend_from_slice(data);
        image.resize(end as usize, 0);
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy_elf::{BASE, Segment, Toy};

    fn u64_at(bytes: &[u8], at: usize) -> u64 {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
    }

    #[test]
    fn segments_bss_and_symbols_end_up_at_their_offsets() {
        let image = build(&Toy::kernel().bytes()).unwrap();
        assert_eq!(&image[56..60], b"ARM\x64");
        assert_eq!(&image[0x1000..0x1004], b"data");
        assert!(image[0x1004..0x3000].iter().all(|&b| b == 0), ".bss and the gap to __image_end");
        assert_eq!(&image[0x3000..0x3008], b"PLEATSYM");
        assert_eq!(image.len(), LARGEST_PAGE);
        assert_eq!(u64_at(&image, 16), image.len() as u64, "image_size is the whole file");
        assert_eq!(
            image[64..0x1000],
            Toy::kernel().segments[0].data[64..],
            "nothing but image_size is touched"
        );
    }

    #[test]
    fn output_depends_on_the_input_alone() {
        assert_eq!(build(&Toy::kernel().bytes()), build(&Toy::kernel().bytes()));
    }

    #[test]
    fn what_is_not_a_kernel_is_refused() {
        assert!(matches!(build(b"hello"), Err(Error::Parse(_))));
        let mut toy = Toy::kernel();
        toy.machine = 62;
        assert_eq!(build(&toy.bytes()), Err(Error::NotAarch64));
        toy = Toy::kernel();
        toy.segments.clear();
        assert_eq!(build(&toy.bytes()), Err(Error::NothingToLoad));
        toy = Toy::kernel();
        toy.segments[0].data[56] = 0;
        assert_eq!(build(&toy.bytes()), Err(Error::NoHeader));
        let cut = &Toy::kernel().bytes()[..0x1800];
        assert!(matches!(build(cut), Err(Error::Parse(_))));
    }

    #[test]
    fn segments_that_cannot_be_flattened_are_refused() {
        let mut toy = Toy::kernel();
        toy.segments[1].paddr += 0x1000;
        assert_eq!(build(&toy.bytes()), Err(Error::NotFlat(BASE + 0x1000)));
        toy = Toy::kernel();
        toy.segments[0].memsz = 0x1001;
        assert_eq!(build(&toy.bytes()), Err(Error::Overlap(BASE + 0x1000)));
        toy = Toy::kernel();
        toy.segments.push(Segment::at(BASE + (1 << 40), vec![1], 1));
        assert_eq!(build(&toy.bytes()), Err(Error::TooLarge((1 << 40) + 1)));
    }

    #[test]
    fn image_end_has_to_make_sense() {
        for (address, cause) in [
            (None, "is not defined"),
            (Some(BASE + 0x1000), "is not behind the last segment"),
            (Some(BASE - 0x1000), "is not behind the last segment"),
            (Some(BASE + 0x3004), "is not on a 4 KiB boundary"),
        ] {
            let mut toy = Toy::kernel();
            toy.symbols.retain(|s| s.name != IMAGE_END);
            if let Some(address) = address {
                toy.define(IMAGE_END, address);
            }
            assert_eq!(build(&toy.bytes()), Err(Error::ImageEnd(cause)), "{address:x?}");
        }
    }
}
