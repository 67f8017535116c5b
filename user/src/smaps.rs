//! The text of `/proc/<pid>/smaps`, parsed: how each mapping is mapped.

use crate::text::leading_number;

/// A mapping and the figures of it that page tables can tell. Sizes are in KiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Area {
    /// The first address.
    pub start: usize,
    /// The first address behind it.
    pub end: usize,
    /// Mapped.
    pub rss: u64,
    /// Of that, mapped by contpte blocks; `None` where the kernel does not say (Linux).
    pub contpte: Option<u64>,
    /// Of that, mapped by block descriptors.
    pub blocks: u64,
}

/// The mappings that `text` tells of, in its order. What was cut off at the end of `text` is left out.
pub fn areas(text: &[u8]) -> impl Iterator<Item = Area> + '_ {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let mut area = None;
    core::iter::from_fn(move || {
        for line in lines.by_ref() {
            if let Some((start, end)) = header(line) {
                area = Some(Area { start, end, ..Area::default() });
            } else if line.starts_with(b"VmFlags:") && line.ends_with(b"\n") {
                return area.take();
            } else if let Some(area) = &mut area {
                note(area, line);
            }
        }
        None
    })
}

/// The range of a mapping's first line, `start-end rwxp ...`; `None` for any other line.
fn header(line: &[u8]) -> Option<(usize, usize)> {
    let text = core::str::from_utf8(line.split(|byte| *byte == b' ').next()?).ok()?;
    let (start, end) = text.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

/// Takes note of a line `Name:  value kB`.
fn note(area: &mut Area, line: &[u8]) {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
    let value = leading_number(&line[colon + 1..]).unwrap_or(0);
    match &line[..colon] {
        b"Rss" => area.rss = value,
        b"ContpteMapped" => area.contpte = Some(value),
        b"AnonHugePages" | b"ShmemPmdMapped" | b"FilePmdMapped" => area.blocks += value,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"00400000-00420000 r-xp 00000000 00:01 7          /bin/a-b c\n\
        Size:                128 kB\nRss:                  64 kB\nAnonHugePages:         0 kB\n\
        ContpteMapped:        64 kB\nVmFlags: rd ex mr mw me \n\
        ffff00000000-ffff00400000 rw-p 00000000 00:00 0 \nRss:                4096 kB\n\
        AnonHugePages:      2048 kB\nFilePmdMapped:        2 kB\nVmFlags: rd wr \n\
        ffff00500000-ffff00600000 rw-p 00000000 00:00 0 \nRss:                   4 kB\n";

    #[test]
    fn each_mapping_has_its_figures() {
        let (end, rss) = (0x42_0000, 64);
        let first = Area { start: 0x40_0000, end, rss, contpte: Some(64), blocks: 0 };
        let (start, end) = (0xffff_0000_0000, 0xffff_0040_0000);
        let second = Area { start, end, rss: 4096, contpte: None, blocks: 2050 };
        assert!(areas(TEXT).eq([first, second]), "and the third was cut off");
        assert_eq!(areas(b"").next(), None);
    }
}
