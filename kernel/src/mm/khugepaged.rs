//! khugepaged: large folios made in the background of what processes hold in small ones. Linux: `khugepaged.c`.
//!
//! A scan goes through an address space by stretches of the largest folio's size and makes one folio of each that is
//! worth it, by what MADV_COLLAPSE uses ([`super::collapse`]). Unlike that call it follows the policy, and asks more of
//! a stretch, of `1 << ORDER` entries:
//!
//! - at most `max_ptes_none` are empty or map the zero page, `max_ptes_shared` map pages that others map as well, and
//!   `max_ptes_swap` are in swap;
//! - one at least is writable, and was accessed; half of them were if any has to be read from swap.
//!
//! Who calls it when, and for which address space, is the scheduler's business: nothing of it is done by faults. Private
//! anonymous memory is all that is collapsed; Linux does the same for shared memory and files if the policy says so.

pub mod settings;

use paging::contpte::ptep_get_raw;
use paging::walk::{PteRef, Walk, walk};
use paging::{PAGE_SIZE, VirtAddr};

use self::settings::KhugepagedFile;
use super::Mm;
use super::collapse::Found;
use super::frame::MAX_ORDER;
use super::machine::Machine;
use super::pmd::PMD_ORDER;
use super::policy::BLOCK_ORDER;
use super::space::{AddressSpace, USER_END};
use super::thp_disable::PAGES_ONLY;
use super::uffd::SINGLE;
use super::vma::Vma;
use crate::errno::Errno;

/// The order of the folios it makes, of 2 MiB: what a block descriptor maps, or a contpte block where that is as large.
pub const ORDER: u8 = match PMD_ORDER {
    Some(order) => order,
    None => BLOCK_ORDER,
};
/// Pages of such a folio.
pub const NR: usize = 1 << ORDER;
/// Bytes of such a folio.
const BYTES: u64 = PAGE_SIZE << ORDER;

const _: () = assert!(ORDER == MAX_ORDER);

/// What a scan did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scanned {
    /// Where to go on; [`USER_END`] at the end of the address space.
    pub next: VirtAddr,
    /// Pages that were looked at; a VMA that has nothing to look at counts as one.
    pub pages: usize,
    /// Folios that were made.
    pub collapsed: u64,
    /// Whether it ended for lack of memory.
    pub no_memory: bool,
}

impl<M: Machine> Mm<M> {
    /// Whether there can be anything to collapse. Linux: `hugepage_pmd_enabled`.
    pub fn khugepaged_has_work(&self) -> bool {
        self.policy.permits(ORDER)
    }

    /// Whether `vma` may have the folios that are made here.
    fn may_collapse(&self, vma: &Vma) -> bool {
        vma.is_private_anon()
            && !vma.flags.intersects(SINGLE.union(PAGES_ONLY))
            && self.policy.largest_below(ORDER + 1, vma.flags) == ORDER
    }

    fn khugepaged_limit(&self, file: KhugepagedFile) -> usize {
        self.khugepaged.get(file) as usize
    }

    /// Whether the [`NR`] entries from `first` are worth one folio.
    fn is_worth_a_folio(&self, first: PteRef) -> bool {
        let (mut none, mut swapped, mut shared, mut young) = (0, 0, 0, 0);
        let mut writable = false;
        for index in 0..NR {
            let pte = ptep_get_raw(&self.machine, first.add(index));
            if pte.is_none() || (pte.is_special() && pte.pfn() == self.zero_page()) {
                none += 1;
                continue;
            }
            if !pte.is_present() {
                swapped += 1;
                continue;
            }
            if pte.is_special() || pte.is_uffd_wp() {
                return false;
            }
            let folio = self.frames.folio(pte.pfn());
            // As Linux guesses: more mappings than one address space has of it.
            shared += usize::from(u64::from(self.frames.counts(folio.head).maps) > folio.span().pages);
            young += usize::from(pte.is_young());
            writable |= pte.is_writable();
        }
        let limit = |file| self.khugepaged_limit(file);
        none <= limit(KhugepagedFile::MaxPtesNone)
            && shared <= limit(KhugepagedFile::MaxPtesShared)
            && swapped <= limit(KhugepagedFile::MaxPtesSwap)
            && writable
            && young >= if swapped > 0 { NR / 2 } else { 1 }
    }
}

impl AddressSpace {
    /// Looks at about `budget` pages from `from` on, and collapses what is worth it.
    pub fn khugepaged_scan<M: Machine>(&mut self, mm: &Mm<M>, from: VirtAddr, budget: usize) -> Scanned {
        let mut done = Scanned { next: from, pages: 0, collapsed: 0, no_memory: false };
        self.forget_closed_monitors(mm);
        while done.pages < budget && !done.no_memory {
            let Some(vma) = self.vmas.get(self.vmas.index_at(done.next)) else {
                done.next = USER_END;
                break;
            };
            let start = vma.start.max(done.next).align_up(BYTES);
            let behind = vma.end;
            if !mm.may_collapse(vma) || start >= behind || start.add(BYTES) > behind {
                done.next = behind;
                done.pages += 1;
                continue;
            }
            match walk(&mm.machine, self.root, start) {
                Walk::Absent(level) => {
                    done.next = level.entry_end(start).min(behind);
                    done.pages += 1;
                }
                Walk::Block(..) => {
                    done.next = start.add(BYTES);
                    done.pages += 1;
                }
                Walk::Pte(first) => {
                    self.khugepaged_look(mm, first, &mut done);
                    done.next = start.add(BYTES);
                    done.pages += NR;
                }
            }
        }
        done
    }

    /// Makes one folio of what the [`NR`] entries from `first` map, if it is worth it.
    fn khugepaged_look<M: Machine>(&mut self, mm: &Mm<M>, first: PteRef, done: &mut Scanned) {
        if !mm.is_worth_a_folio(first) {
            return;
        }
        // One folio already that is mapped by pages: it gets its block back, if its entries agree.
        let was_one = matches!(mm.movable(first, NR), Ok(Found::Done));
        let start = first.va();
        let mut outcome = self.collapse_one(mm, start, ORDER);
        if outcome == Err(Errno::ENOMEM)
            && mm.khugepaged.get(KhugepagedFile::Defrag) != 0
            && self.discard_lazy_for(mm, ORDER)
        {
            outcome = self.collapse_one(mm, start, ORDER);
        }
        done.no_memory = outcome == Err(Errno::ENOMEM);
        let is_new = outcome.is_ok() && (!was_one || self.block_at(mm, start).is_some());
        done.collapsed += u64::from(is_new);
    }
}
