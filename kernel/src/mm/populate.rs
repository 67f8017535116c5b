//! Faulting a range in at once: MADV_POPULATE_READ and _WRITE, MAP_POPULATE; and its opposite in spirit, MADV_COLD.
//!
//! A fault maps a folio, not a page, so after each the walk goes on behind all that it mapped: by contpte block, or by
//! 2 MiB block. What is mapped already as it should be costs one look a block. Untouched anonymous memory that is only
//! read gets the zero page for the whole run of empty entries.

use paging::batch::pte_batch_hint;
use paging::contpte::{Forget, clear_young_dirty_ptes, ptep_get_raw, set_ptes};
use paging::walk::{Part, PteRef, Walk, parts, walk};
use paging::{PAGE_SIZE, Pte, VirtAddr};

use super::Mm;
use super::fault::{Access, FaultError};
use super::machine::Machine;
use super::space::AddressSpace;
use super::vma::{Prot, Vma};
use crate::errno::{Errno, Result};

impl AddressSpace {
    /// Faults every page of `start..end` in, for reading or for writing.
    ///
    /// # Errors
    /// `ENOMEM` when memory is exhausted, or where nothing is mapped; `EINVAL` where the access is not permitted;
    /// `EFAULT` where an object has no page, or it is a monitor's to give one ([`AddressSpace::take_held_up`]). What comes
    /// before in the range is populated.
    pub(super) fn populate<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
        write: bool,
    ) -> Result<()> {
        let access = if write { Access::Write } else { Access::Read };
        let mut at = start;
        while at < end {
            let vma = self.vmas.find(at).ok_or(Errno::ENOMEM)?;
            if if write { !vma.prot.contains(Prot::WRITE) } else { vma.prot.is_empty() } {
                return Err(Errno::EINVAL);
            }
            let limit = vma.end.min(end);
            let mut done = self.ready(mm, at, write);
            if done == 0 && !write {
                done = self.map_zeroes(mm, vma, at, limit);
            }
            if done == 0 {
                let addr = at.get() as usize;
                self.fault(mm, addr, access).map_err(|error| match error {
                    FaultError::AccErr => Errno::EINVAL,
                    other => {
                        self.held_up = other.is_monitors().then_some((addr, access));
                        other.to_errno()
                    }
                })?;
                // Should it need another fault still, that is left to the access.
                done = self.ready(mm, at, write).max(1);
            }
            at = at.add(done as u64 * PAGE_SIZE);
        }
        Ok(())
    }

    /// How many pages from `at` on, at least, need no fault to be read or (`write`) written, as one look tells.
    fn ready<M: Machine>(&self, mm: &Mm<M>, at: VirtAddr, write: bool) -> usize {
        let is_ready =
            |pte: Pte| pte.is_valid() && pte.is_young() && (!write || (pte.is_writable() && pte.is_dirty()));
        match walk(&mm.machine, self.root, at) {
            Walk::Pte(here) => {
                let pte = ptep_get_raw(&mm.machine, here);
                if is_ready(pte) { pte_batch_hint(here, pte) } else { 0 }
            }
            Walk::Block(pte, level) if is_ready(pte) => at.pages_to(level.entry_end(at)),
            Walk::Block(..) | Walk::Absent(_) => 0,
        }
    }

    /// Maps the zero page for the empty entries from `at` on, up to the end of their table and to `limit`; returns how
    /// many. None in memory that does not begin as zeroes, or whose table is not there yet.
    fn map_zeroes<M: Machine>(&self, mm: &Mm<M>, vma: &Vma, at: VirtAddr, limit: VirtAddr) -> usize {
        let Walk::Pte(first) = walk(&mm.machine, self.root, at) else { return 0 };
        if !vma.is_private_anon() || vma.hears_of_absence() {
            return 0;
        }
        let zero = vma.pte(mm.zero_page()).mkspecial();
        let max = first.left_in_table().min(at.pages_to(limit));
        let is_empty = |at: PteRef| ptep_get_raw(&mm.machine, at).is_none();
        let nr = (0..max).find(|index| !is_empty(first.add(*index))).unwrap_or(max);
        (0..nr).for_each(|index| set_ptes(&mm.machine, first.add(index), zero, 1));
        nr
    }

    /// Makes the pages of `start..end` look as if they had not been accessed lately. Whole blocks, also those that the
    /// range covers in part: age is a folio's. No flush: a page in use that looks old is a wrong guess, no more.
    pub(super) fn make_cold<M: Machine>(&self, mm: &Mm<M>, start: VirtAddr, end: VirtAddr) {
        for part in parts(&mm.machine, self.root, start, end) {
            let (first, nr) = match part {
                Part::Table(first, nr) => (first, nr),
                Part::Block(at, _) => {
                    paging::pmd::modify_pmd(&mm.machine, at, Pte::mkold);
                    continue;
                }
            };
            let mut index = 0;
            while index < nr {
                let at = first.add(index);
                let pte = ptep_get_raw(&mm.machine, at);
                let pages = pte_batch_hint(at, pte).min(nr - index);
                if pte.is_valid() && !pte.is_special() {
                    let _ = clear_young_dirty_ptes(&mm.machine, at, pages, Forget::Young);
                }
                index += pages;
            }
        }
    }
}
