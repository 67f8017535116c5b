//! Taking mappings away, in batches: munmap, and what madvise and mremap need of it.

use paging::batch::{Respect, folio_pte_batch};
use paging::contpte::{clear_full_ptes, pte_clear, ptep_get_raw};
use paging::pmd::clear_full_pmd;
use paging::walk::{Part, PteRef, parts, unlink_tables};
use paging::{Level, PAGE_SIZE, PMD_SIZE, PmdRef, Pte, VirtAddr};

use super::Mm;
use super::gather::Unmapped;
use super::machine::Machine;
use super::pmd::PMD_PAGES;
use super::space::{AddressSpace, USER_END, check_range, release_vma};
use crate::errno::Result;

/// Permissions and dirty state of what goes away do not matter.
const ANYTHING: Respect = Respect { write: false, dirty: false, soft_dirty: false };

impl AddressSpace {
    /// Unmaps a range, as munmap.
    ///
    /// # Errors
    /// `EINVAL`: misaligned or empty. `ENOMEM`: no memory to split a VMA; nothing was unmapped.
    pub fn munmap<M: Machine>(&mut self, mm: &Mm<M>, addr: usize, len: usize) -> Result<()> {
        let (start, end) = check_range(addr, len).map_err(|_| crate::errno::Errno::EINVAL)?;
        self.unmap(mm, start, end)
    }

    /// Unmaps a checked range.
    ///
    /// # Errors
    /// `ENOMEM`: no memory to split a VMA or a block; nothing was unmapped.
    pub(super) fn unmap<M: Machine>(&mut self, mm: &Mm<M>, start: VirtAddr, end: VirtAddr) -> Result<()> {
        if self.vmas.overlapping(start, end).is_empty() {
            return Ok(());
        }
        self.split_vmas(mm, start, end)?;
        let mut unmapped = Unmapped::new(mm, self.asid());
        self.zap_blocks(mm, start, end, &mut unmapped);
        if !self.monitors.is_empty() {
            self.wake_monitored(start, end);
        }
        self.vmas.remove(start, end, |vma| release_vma(mm, vma));
        // Whole tables go with what they map; of those that a neighbour needs too, the entries are cleared.
        self.unlink_unused(mm, start, end, &mut unmapped);
        self.zap(mm, start, end, &mut unmapped);
        self.rss -= unmapped.finish();
        Ok(())
    }

    /// Unlinks the tables on the way to `start..end`, where there is no VMA, that no neighbour needs either, and hands
    /// them to `unmapped`, the last with their entries in the range. There are no blocks in the range.
    pub(super) fn unlink_unused<M: Machine>(
        &self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
        unmapped: &mut Unmapped<'_, M>,
    ) {
        let next = self.vmas.index_at(start);
        let below = next.checked_sub(1).and_then(|index| self.vmas.get(index));
        let floor = below.map_or(VirtAddr::new(0), |vma| vma.end);
        let ceiling = self.vmas.get(next).map_or(USER_END, |vma| vma.start);
        unlink_tables(&mm.machine, self.root, (start, end), (floor, ceiling), &mut |table, at, level| {
            if level == Level::PTE {
                let table_start = at.align_down(PMD_SIZE);
                let (from, to) = (table_start.max(start), table_start.add(PMD_SIZE).min(end));
                unmapped.table_with_entries(table, table_start.pages_to(from), from.pages_to(to));
            } else {
                unmapped.table(table);
            }
        });
    }

    /// Clears the blocks of `start..end` and hands what they mapped to `unmapped`. None reaches across either end.
    fn zap_blocks<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
        unmapped: &mut Unmapped<'_, M>,
    ) {
        for part in parts(&mm.machine, self.root, start, end) {
            if let Part::Block(at, block) = part {
                self.zap_block(mm, at, block, unmapped);
            }
        }
    }

    fn zap_block<M: Machine>(&mut self, mm: &Mm<M>, at: PmdRef, block: Pte, unmapped: &mut Unmapped<'_, M>) {
        clear_full_pmd(&mm.machine, at);
        unmapped.flush_block(at.va());
        unmapped.folio(mm.frames.folio(block.pfn()).head, PMD_PAGES);
        self.rss -= PMD_PAGES;
    }

    /// Clears the entries of `start..end` and hands what they mapped to `unmapped`. No block reaches across either end.
    pub(super) fn zap<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
        unmapped: &mut Unmapped<'_, M>,
    ) {
        for part in parts(&mm.machine, self.root, start, end) {
            match part {
                Part::Table(first, nr) => self.zap_table(mm, first, nr, unmapped),
                Part::Block(at, block) => self.zap_block(mm, at, block, unmapped),
            }
        }
    }

    fn zap_table<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        first: PteRef,
        nr: usize,
        unmapped: &mut Unmapped<'_, M>,
    ) {
        let mut index = 0;
        while index < nr {
            let at = first.add(index);
            let pte = ptep_get_raw(&mm.machine, at);
            if !pte.is_present() {
                if !pte.is_none() {
                    self.zap_nonpresent(mm, at, pte, unmapped);
                }
                index += 1;
                continue;
            }
            if pte.is_special() {
                pte_clear(&mm.machine, self.asid(), at);
                unmapped.flush_range(at.va(), at.va().add(PAGE_SIZE));
                index += 1;
                continue;
            }
            let folio = mm.frames.folio(pte.pfn());
            let batch = folio_pte_batch(&mm.machine, at, pte, nr - index, folio.span(), ANYTHING);
            clear_full_ptes(&mm.machine, self.asid(), at, batch.nr);
            unmapped.flush_range(at.va(), at.va().add(batch.nr as u64 * PAGE_SIZE));
            unmapped.folio(folio.head, batch.nr);
            self.rss -= batch.nr;
            index += batch.nr;
        }
    }
}
