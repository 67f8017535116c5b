//! What each frame is used for, as `/proc/kpageflags` and `/proc/kpagecount` tell it.

use paging::Pfn;

use super::Mm;
use super::frame::Kind;
use super::machine::Machine;

/// Bits of a frame's word in `kpageflags` (Linux: include/uapi/linux/kernel-page-flags.h).
pub mod flag {
    /// Contents are as they should be.
    pub const UPTODATE: u64 = 1 << 3;
    /// Free.
    pub const BUDDY: u64 = 1 << 10;
    /// Mapped by a process.
    pub const MMAP: u64 = 1 << 11;
    /// Anonymous memory.
    pub const ANON: u64 = 1 << 12;
    /// Goes to swap if it goes anywhere: anonymous memory, and files, which are a tmpfs's.
    pub const SWAPBACKED: u64 = 1 << 14;
    /// The first page of a large folio.
    pub const COMPOUND_HEAD: u64 = 1 << 15;
    /// Another page of one.
    pub const COMPOUND_TAIL: u64 = 1 << 16;
    /// No frame of memory.
    pub const NOPAGE: u64 = 1 << 20;
    /// A page of a large folio that processes map.
    pub const THP: u64 = 1 << 22;
    /// The page of zeroes.
    pub const ZERO_PAGE: u64 = 1 << 24;
    /// A translation table.
    pub const PGTABLE: u64 = 1 << 26;
}

impl<M: Machine> Mm<M> {
    /// What the frame is used for, as bits of [`flag`].
    pub fn frame_flags(&self, pfn: Pfn) -> u64 {
        if !self.frames.contains(pfn) {
            return flag::NOPAGE;
        }
        if pfn == self.zero_page {
            return flag::ZERO_PAGE;
        }
        let folio = self.frames.folio(pfn);
        let kind = match folio.kind {
            Kind::Free => return flag::BUDDY,
            Kind::Anon => flag::ANON | flag::UPTODATE | flag::SWAPBACKED,
            Kind::Object => flag::UPTODATE | flag::SWAPBACKED,
            Kind::Table => flag::PGTABLE,
            Kind::Kernel => 0,
        };
        let mapped = if self.frames.counts(folio.head).maps > 0 { flag::MMAP } else { 0 };
        let large = match folio.order {
            0 => 0,
            _ if folio.head == pfn => flag::COMPOUND_HEAD | flag::THP,
            _ => flag::COMPOUND_TAIL | flag::THP,
        };
        kind | mapped | large
    }

    /// How often the frame is mapped: a large folio's mappings are counted together, so it is their average over its
    /// pages, rounded up (Linux does the same where it counts no pages: `folio_average_page_mapcount`).
    pub fn frame_mappings(&self, pfn: Pfn) -> u64 {
        if !self.frames.contains(pfn) {
            return 0;
        }
        let folio = self.frames.folio(pfn);
        if folio.kind == Kind::Free {
            return 0;
        }
        u64::from(self.frames.counts(folio.head).maps).div_ceil(1 << folio.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::testing::{Process, machine};
    use paging::{CONT_PTES, PAGE_SIZE};

    #[test]
    fn frames_tell_what_they_are() {
        let mm = machine();
        let before = mm.anon_folios();
        assert!(before.iter().all(|count| *count == 0));
        let mut process = Process::new(&mm);
        let at = 0x100_0000;
        process.map_anon(at, 2 * CONT_PTES);
        process.write(at, 1).unwrap();
        let order = CONT_PTES.trailing_zeros() as usize;
        assert_eq!(mm.anon_folios()[order], 1);
        let head = process.pte(at).pfn();
        let anon = flag::ANON | flag::UPTODATE | flag::SWAPBACKED | flag::MMAP | flag::THP;
        assert_eq!(mm.frame_flags(mm.zero_page), flag::ZERO_PAGE);
        assert_eq!(mm.frame_flags(head), anon | flag::COMPOUND_HEAD);
        assert_eq!(mm.frame_flags(head.add(1)), anon | flag::COMPOUND_TAIL);
        assert_eq!(mm.frame_mappings(head.add(1)), 1);
        let child = process.fork().unwrap();
        assert_eq!(mm.frame_mappings(head), 2);
        child.exit();
        assert_eq!(mm.frame_flags(process.space.root().pfn()), flag::PGTABLE);
        process.exit();
        assert_eq!((mm.frame_flags(head), mm.frame_mappings(head)), (flag::BUDDY, 0));
        assert_eq!(mm.frame_flags(Pfn::new(0)), flag::NOPAGE);
        assert_eq!(mm.frame_mappings(Pfn::new(u64::MAX / PAGE_SIZE)), 0);
    }
}
