//! What is mapped and how, by reading the tables: what `/proc/<pid>/smaps` tells, and how much of all memory is mapped
//! by contpte blocks. Nothing here is kept up to date while memory is used, so nothing of it costs a fault anything;
//! whoever asks pays, for each block mapped, not for each page.
//!
//! Counts of mappings are the folio's, not the page's. As on Linux without counts for each page, a page of a large folio
//! is taken to be mapped as often as the folio's pages are on average.

use paging::NonPresent;
use paging::batch::pte_batch_hint;
use paging::contpte::{ptep_get, ptep_get_raw};
use paging::walk::{Part, PteRef, parts};
use paging::{CONT_PTES, PAGE_SIZE, PTES_PER_TABLE, Pte, VirtAddr};

use super::Mm;
use super::frame::{Folio, Kind, MAX_ORDER};
use super::machine::Machine;
use super::space::{AddressSpace, USER_END};
use super::vma::{Vma, VmaFlags};

/// Pages mapped in a range, by what they are. All but `pss_bytes` count pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mapped {
    /// All of them; the zero page is not counted.
    pub rss: u64,
    /// Bytes, each page divided by how many map it.
    pub pss_bytes: u64,
    /// Of these, those that were written through these mappings.
    pub pss_dirty_bytes: u64,
    /// Mapped elsewhere too, and not written through these mappings.
    pub shared_clean: u64,
    /// Mapped elsewhere too, and written.
    pub shared_dirty: u64,
    /// Mapped nowhere else, and not written.
    pub private_clean: u64,
    /// Mapped nowhere else, and written.
    pub private_dirty: u64,
    /// Accessed.
    pub referenced: u64,
    /// Anonymous memory.
    pub anonymous: u64,
    /// Mapped by folded contpte blocks.
    pub contpte: u64,
    /// Mapped by single entries of the level above, anonymous.
    pub anon_pmd: u64,
    /// Mapped by single entries of the level above, of files and shared memory.
    pub shmem_pmd: u64,
    /// Anonymous, and given up by MADV_FREE: clean ([`lazyfree`](super::lazyfree)).
    pub lazy: u64,
    /// In swap.
    pub swap: u64,
    /// Bytes in swap, each page divided by how many have it there.
    pub swap_pss_bytes: u64,
    /// Of `pss_bytes`, those of anonymous memory.
    pub anon_pss_bytes: u64,
    /// Of `pss_bytes`, those in locked memory.
    pub locked_bytes: u64,
}

impl Mapped {
    /// Both together.
    pub fn plus(self, other: Mapped) -> Mapped {
        Mapped {
            rss: self.rss + other.rss,
            pss_bytes: self.pss_bytes + other.pss_bytes,
            pss_dirty_bytes: self.pss_dirty_bytes + other.pss_dirty_bytes,
            shared_clean: self.shared_clean + other.shared_clean,
            shared_dirty: self.shared_dirty + other.shared_dirty,
            private_clean: self.private_clean + other.private_clean,
            private_dirty: self.private_dirty + other.private_dirty,
            referenced: self.referenced + other.referenced,
            anonymous: self.anonymous + other.anonymous,
            contpte: self.contpte + other.contpte,
            anon_pmd: self.anon_pmd + other.anon_pmd,
            shmem_pmd: self.shmem_pmd + other.shmem_pmd,
            lazy: self.lazy + other.lazy,
            swap: self.swap + other.swap,
            swap_pss_bytes: self.swap_pss_bytes + other.swap_pss_bytes,
            anon_pss_bytes: self.anon_pss_bytes + other.anon_pss_bytes,
            locked_bytes: self.locked_bytes + other.locked_bytes,
        }
    }
}

impl AddressSpace {
    /// What is mapped in `vma`.
    pub fn mapped<M: Machine>(&self, mm: &Mm<M>, vma: &Vma) -> Mapped {
        let mut sum = Mapped::default();
        for part in parts(&mm.machine, self.root, vma.start, vma.end) {
            sum = sum.plus(match part {
                Part::Table(first, nr) => mm.mapped_in_table(first, nr),
                // It lies in one VMA.
                Part::Block(_, block) => {
                    let mapped = mm.run_of(PTES_PER_TABLE as u64, block, mm.frames.folio(block.pfn()));
                    let (anon_pmd, shmem_pmd) = (mapped.anonymous, mapped.rss - mapped.anonymous);
                    Mapped { anon_pmd, shmem_pmd, ..mapped }
                }
            });
        }
        if vma.flags.contains(VmaFlags::LOCKED) {
            sum.locked_bytes = sum.pss_bytes;
        }
        sum
    }

    /// What is mapped in all its VMAs.
    pub fn mapped_everywhere<M: Machine>(&self, mm: &Mm<M>) -> Mapped {
        self.vmas().map(|vma| self.mapped(mm, vma)).fold(Mapped::default(), Mapped::plus)
    }

    /// Bytes of locked memory that is there, each page divided by how many map it.
    pub fn mlocked_bytes<M: Machine>(&self, mm: &Mm<M>) -> u64 {
        let locked = self.vmas().filter(|vma| vma.flags.contains(VmaFlags::LOCKED));
        locked.map(|vma| self.mapped(mm, vma).locked_bytes).sum()
    }

    /// How many pages are mapped by blocks of either kind: one look at each.
    pub fn mapped_by_blocks<M: Machine>(&self, mm: &Mm<M>) -> ByBlocks {
        let mut sum = ByBlocks::default();
        for part in parts(&mm.machine, self.root, VirtAddr::new(0), USER_END) {
            let (first, nr) = match part {
                Part::Table(first, nr) => (first, nr),
                Part::Block(_, block) => {
                    let is_object = mm.frames.folio(block.pfn()).kind != Kind::Anon;
                    sum.pmd[usize::from(is_object)] += PTES_PER_TABLE as u64;
                    continue;
                }
            };
            for index in (0..nr).step_by(CONT_PTES) {
                let pte = ptep_get_raw(&mm.machine, first.add(index));
                if pte.is_valid() && pte.is_cont() && mm.frames.folio(pte.pfn()).kind == Kind::Anon {
                    sum.contpte += CONT_PTES as u64;
                }
            }
        }
        sum
    }
}

/// Pages that are mapped by blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ByBlocks {
    /// Anonymous memory, by contpte blocks.
    pub contpte: u64,
    /// Anonymous memory, and files and shared memory, by single entries of the level above the last.
    pub pmd: [u64; 2],
}

impl<M: Machine> Mm<M> {
    /// What the `nr` entries from `first` map, which lie in one table.
    fn mapped_in_table(&self, first: PteRef, nr: usize) -> Mapped {
        let mut sum = Mapped::default();
        let mut index = 0;
        while index < nr {
            let at = first.add(index);
            let pte = ptep_get_raw(&self.machine, at);
            if let Some(NonPresent::Swap(entry)) = pte.non_present() {
                sum.swap += 1;
                sum.swap_pss_bytes += PAGE_SIZE / u64::from(self.swap_count(entry.slot as u32).max(1));
            }
            if !pte.is_present() || pte.is_special() {
                index += 1;
                continue;
            }
            let pages = pte_batch_hint(at, pte).min(nr - index);
            let run = self.run_of(pages as u64, ptep_get(&self.machine, at), self.frames.folio(pte.pfn()));
            sum = sum.plus(Mapped { contpte: if pte.is_cont() { run.rss } else { 0 }, ..run });
            index += pages;
        }
        sum
    }

    /// `pages` pages of one folio, mapped by entries like `pte`.
    fn run_of(&self, pages: u64, pte: Pte, folio: Folio) -> Mapped {
        let (maps, size) = (self.frames.counts(folio.head).maps as u64, folio.span().pages);
        // Rounded to the nearest: a folio that is mapped once, but not all of it, is mapped once.
        let average = ((maps + size / 2) / size).max(1);
        let pss_bytes = pages * PAGE_SIZE / average;
        let mut run = Mapped { rss: pages, pss_bytes, ..Mapped::default() };
        run.pss_dirty_bytes = if pte.is_dirty() { pss_bytes } else { 0 };
        match (average > 1, pte.is_dirty()) {
            (true, false) => run.shared_clean = pages,
            (true, true) => run.shared_dirty = pages,
            (false, false) => run.private_clean = pages,
            (false, true) => run.private_dirty = pages,
        }
        run.referenced = if pte.is_young() { pages } else { 0 };
        if folio.kind == Kind::Anon {
            (run.anonymous, run.anon_pss_bytes) = (pages, pss_bytes);
            run.lazy = if pte.is_dirty() { 0 } else { pages };
        }
        run
    }

    /// Whether anonymous memory in `vma` gets folios of more than a page.
    pub fn gives_large_folios(&self, vma: &Vma) -> bool {
        vma.is_private_anon() && self.policy.largest_below(MAX_ORDER + 1, vma.flags) > 0
    }
}

#[cfg(test)]
mod tests {
    use linux_raw_sys::general::{MADV_FREE, MADV_PAGEOUT};

    use super::*;
    use crate::mm::Prot;
    use crate::mm::testing::{Process, machine};

    const BASE: usize = 0x4000_0000;
    const PAGE: usize = PAGE_SIZE as usize;

    fn of(process: &Process<'_>) -> Mapped {
        let sum = |sum: Mapped, vma: &Vma| sum.plus(process.space.mapped(process.mm, vma));
        process.space.vmas().fold(Mapped::default(), sum)
    }

    #[test]
    fn pages_are_counted_once_by_what_they_are() {
        let mm = machine();
        let mut parent = Process::new(&mm);
        let block = CONT_PTES as u64;
        parent.map_anon(BASE, 3 * CONT_PTES);
        parent.write(BASE, 1).unwrap();
        parent.write(BASE + CONT_PTES * PAGE, 1).unwrap();
        parent.read(BASE + 2 * CONT_PTES * PAGE).unwrap();
        let expected = Mapped {
            rss: 2 * block,
            pss_bytes: 2 * block * PAGE_SIZE,
            pss_dirty_bytes: 2 * block * PAGE_SIZE,
            private_dirty: 2 * block,
            referenced: 2 * block,
            anonymous: 2 * block,
            anon_pss_bytes: 2 * block * PAGE_SIZE,
            contpte: 2 * block,
            ..Mapped::default()
        };
        assert_eq!(of(&parent), expected);
        assert_eq!(parent.space.mapped_by_blocks(&mm).contpte, 2 * block);
        let child = parent.fork().unwrap();
        let shared = of(&child);
        assert_eq!((shared.shared_dirty, shared.private_dirty, shared.referenced), (2 * block, 0, 0));
        assert_eq!(shared.pss_bytes, block * PAGE_SIZE, "half of it is the parent's");
        child.exit();
        parent.space.mprotect(&mm, BASE, PAGE, Prot::READ).unwrap();
        assert_eq!((of(&parent).contpte, of(&parent).rss), (block, 2 * block));
        assert_eq!(parent.space.mapped_by_blocks(&mm).contpte, block);
        parent.exit();
    }

    #[test]
    fn lazily_freed_pages_are_told_until_they_are_written_again() {
        let mm = machine();
        let mut process = Process::new(&mm);
        process.map_anon(BASE, CONT_PTES);
        process.write(BASE, 1).unwrap();
        process.space.madvise(&mm, BASE, CONT_PTES * PAGE, MADV_FREE).unwrap();
        assert_eq!((of(&process).lazy, of(&process).rss), (CONT_PTES as u64, CONT_PTES as u64));
        process.write(BASE + PAGE, 1).unwrap();
        assert!(of(&process).lazy < CONT_PTES as u64);
        process.exit();
    }

    #[test]
    fn a_page_in_swap_is_shared_by_those_who_have_it_there() {
        let mm = machine();
        mm.swap_on(4 * CONT_PTES).unwrap();
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, CONT_PTES);
        parent.write(BASE, 1).unwrap();
        parent.space.madvise(&mm, BASE, CONT_PTES * PAGE, MADV_PAGEOUT).unwrap();
        let pages = CONT_PTES as u64;
        assert_eq!((of(&parent).swap, of(&parent).swap_pss_bytes), (pages, pages * PAGE_SIZE));
        let child = parent.fork().unwrap();
        assert_eq!((of(&child).swap, of(&child).swap_pss_bytes), (pages, pages * PAGE_SIZE / 2));
        child.exit();
        parent.exit();
    }
}
