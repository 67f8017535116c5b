//! The text of `/proc/<pid>/smaps` and `smaps_rollup`, formatted as Linux does it (proc(5), Documentation/filesystems/
//! proc.rst), with one line of ours: `ContpteMapped`, what is mapped by folded contpte blocks. Pure: what it tells
//! comes in as arguments.

use core::fmt::Write;

use crate::errno::Result;
use crate::fs::generated::text::{Text, written};
use crate::mm::smaps::Mapped;
use crate::mm::{Prot, VmaFlags};

/// Bytes in a page, in KiB.
const PAGE_KIB: u64 = paging::PAGE_SIZE / 1024;

/// What the lines of a VMA say besides what is mapped.
pub struct Area {
    /// Its size in KiB.
    pub kib: u64,
    /// Whether its memory gets folios of more than a page.
    pub large_folios: bool,
    /// What is permitted.
    pub prot: Prot,
    /// Its properties.
    pub flags: VmaFlags,
    /// It has frames of a device, and no memory that is managed.
    pub frames: bool,
    /// Its size counts as promised.
    pub promised: bool,
}

fn line(out: &mut Text, name: &str, kib: u64) -> Result<()> {
    // Numbers end in one column, whatever a long name takes.
    let width = 23 - name.len().max(15);
    written(writeln!(out, "{name:<15} {kib:>width$} kB"))
}

/// The lines behind a VMA's own.
///
/// # Errors
/// `ENOMEM`, as for all functions here.
pub fn area(out: &mut Text, area: &Area, mapped: &Mapped) -> Result<()> {
    line(out, "Size:", area.kib)?;
    line(out, "KernelPageSize:", PAGE_KIB)?;
    line(out, "MMUPageSize:", PAGE_KIB)?;
    sums(out, mapped, Lines::Area)?;
    written(writeln!(out, "THPeligible:    {:>8}", u8::from(area.large_folios)))?;
    out.push(b"VmFlags: ")?;
    let permits = |prot| area.prot.contains(prot);
    let flag = |flag| area.flags.contains(flag);
    let names = [
        (permits(Prot::READ), "rd"),
        (permits(Prot::WRITE), "wr"),
        (permits(Prot::EXEC), "ex"),
        (flag(VmaFlags::SHARED), "sh"),
        // All may be permitted later, whatever is now, but for what must not be written.
        (true, "mr"),
        (!flag(VmaFlags::READ_ONLY), "mw"),
        (true, "me"),
        (flag(VmaFlags::SHARED), "ms"),
        (flag(VmaFlags::GROWS_DOWN) || flag(VmaFlags::STACK), "gd"),
        (flag(VmaFlags::UFFD_MISSING), "um"),
        (area.frames, "pf"),
        (flag(VmaFlags::UFFD_WP), "uw"),
        (flag(VmaFlags::LOCKED), "lo"),
        (area.frames, "io"),
        (flag(VmaFlags::DONTFORK), "dc"),
        (area.frames, "de"),
        (area.promised, "ac"),
        (flag(VmaFlags::NORESERVE), "nr"),
        (flag(VmaFlags::WIPEONFORK), "wf"),
        (area.frames, "dd"),
        (flag(VmaFlags::HUGEPAGE), "hg"),
        (flag(VmaFlags::NOHUGEPAGE), "nh"),
        (flag(VmaFlags::UFFD_MINOR), "ui"),
    ];
    for (_, name) in names.into_iter().filter(|(set, _)| *set) {
        written(write!(out, "{name} "))?;
    }
    out.push(b"\n")
}

/// All VMAs of a process together, `start` to `end`.
///
/// # Errors
/// `ENOMEM`.
pub fn rollup(out: &mut Text, (start, end): (u64, u64), mapped: &Mapped, tables_kib: u64) -> Result<()> {
    let column = out.bytes().len();
    written(write!(out, "{start:08x}-{end:08x} ---p 00000000 00:00 0 "))?;
    let gap = crate::fs::generated::procfs::NAME_COLUMN.saturating_sub(out.bytes().len() - column);
    written(writeln!(out, "{:gap$}[rollup]", ""))?;
    sums(out, mapped, Lines::Rollup)?;
    line(out, "PageTables:", tables_kib)
}

/// Which of the two files has a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    Area,
    Rollup,
}

/// The sums, in Linux's order. Every file is one of a tmpfs, and so its pages count as shared memory.
fn sums(out: &mut Text, mapped: &Mapped, lines: Lines) -> Result<()> {
    let kib = |pages: u64| pages * PAGE_KIB;
    let shared_pss = mapped.pss_bytes - mapped.anon_pss_bytes;
    let whose =
        [("Pss_Anon:", mapped.anon_pss_bytes / 1024), ("Pss_File:", 0), ("Pss_Shmem:", shared_pss / 1024)];
    let first = [
        ("Rss:", kib(mapped.rss)),
        ("Pss:", mapped.pss_bytes / 1024),
        ("Pss_Dirty:", mapped.pss_dirty_bytes / 1024),
    ];
    let rest = [
        ("Shared_Clean:", kib(mapped.shared_clean)),
        ("Shared_Dirty:", kib(mapped.shared_dirty)),
        ("Private_Clean:", kib(mapped.private_clean)),
        ("Private_Dirty:", kib(mapped.private_dirty)),
        ("Referenced:", kib(mapped.referenced)),
        ("Anonymous:", kib(mapped.anonymous)),
        ("KSM:", 0),
        ("LazyFree:", kib(mapped.lazy)),
        ("AnonHugePages:", kib(mapped.anon_pmd)),
        ("ContpteMapped:", kib(mapped.contpte)),
        ("ShmemPmdMapped:", kib(mapped.shmem_pmd)),
        ("FilePmdMapped:", 0),
        ("Shared_Hugetlb:", 0),
        ("Private_Hugetlb:", 0),
        ("Swap:", kib(mapped.swap)),
        ("SwapPss:", mapped.swap_pss_bytes / 1024),
        ("Locked:", mapped.locked_bytes / 1024),
    ];
    let whose = whose.into_iter().filter(|_| lines == Lines::Rollup);
    first.into_iter().chain(whose).chain(rest).try_for_each(|(name, kib)| line(out, name, kib))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::generated::text::Text;
    use std::string::String;

    fn text(fill: impl FnOnce(&mut Text) -> Result<()>) -> String {
        let mut out = Text::new();
        fill(&mut out).unwrap();
        String::from_utf8(out.bytes().to_vec()).unwrap()
    }

    fn mapped() -> Mapped {
        Mapped {
            rss: 32,
            pss_bytes: 16 << 12,
            anon_pss_bytes: 12 << 12,
            swap_pss_bytes: 3 << 12,
            contpte: 16,
            anonymous: 32,
            shared_dirty: 32,
            ..Mapped::default()
        }
    }

    #[test]
    fn an_area_reads_as_on_linux() {
        let flags = VmaFlags::HUGEPAGE | VmaFlags::DONTFORK;
        let rw = Area {
            kib: 256,
            large_folios: true,
            prot: Prot::READ | Prot::WRITE,
            flags,
            frames: false,
            promised: true,
        };
        let text = text(|out| area(out, &rw, &mapped()));
        assert!(text.starts_with("Size:                256 kB\nKernelPageSize:"), "{text}");
        let pages = format!("Rss:            {:>8} kB\nPss:            {:>8} kB\n", 32 * PAGE_KIB, 64);
        assert!(text.contains(&pages), "{text}");
        assert!(text.contains(&format!("ContpteMapped:  {:>8} kB\n", 16 * PAGE_KIB)), "{text}");
        assert!(text.ends_with("THPeligible:           1\nVmFlags: rd wr mr mw me dc ac hg \n"), "{text}");
        // Every line but the last two: a name, a number, a unit.
        let lines: std::vec::Vec<_> = text.lines().collect();
        assert!(
            lines[..lines.len() - 2].iter().all(|line| line.len() == 27 && line.ends_with(" kB")),
            "{text}"
        );
    }

    #[test]
    fn a_rollup_begins_with_its_range() {
        let text = text(|out| rollup(out, (0x40_0000, 0xffff_0000_0000), &mapped(), 12));
        let header = format!("{:<73}[rollup]", "00400000-ffff00000000 ---p 00000000 00:00 0 ");
        assert_eq!(text.lines().next(), Some(header.as_str()));
        assert!(text.contains(
            "Pss_Anon:             48 kB\nPss_File:              0 kB\nPss_Shmem:            16 kB\n"
        ));
        assert!(text.contains("SwapPss:              12 kB\n"), "{text}");
        assert!(text.contains("Shared_Dirty:") && text.ends_with("PageTables:           12 kB\n"), "{text}");
    }
}
