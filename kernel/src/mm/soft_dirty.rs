//! Which pages were written since somebody began to ask: soft-dirty bits, `/proc/<pid>/clear_refs` and `pagemap`.
//!
//! A VMA is not tracked until its bits are cleared for the first time; until then all of it counts as written, and
//! nothing of this costs anything. From then on ([`VmaFlags::SOFT_DIRTY`]) an entry without the bit is never writable,
//! so the first write to a page faults, sets the bit of that one page, and goes on as any write fault (2 MiB mapped by a
//! block have one bit). What is mapped
//! for a write has the bit from the start; swap, migration and fork keep it.
//!
//! Linux: `Documentation/admin-guide/mm/soft-dirty.rst`, `pagemap.rst`. Its VM_SOFTDIRTY is the reverse of our flag.

use paging::contpte::{Forget, clear_young_dirty_ptes};
use paging::contpte::{modify_prot_ptes, ptep_get_raw};
use paging::desc::SwapEntry;
use paging::flush::Gather;
use paging::pmd::modify_pmd;
use paging::walk::{Part, PteRef, parts};
use paging::{NonPresent, PAGE_SIZE, Pte, VirtAddr};

use super::Mm;
use super::frame::Kind;
use super::machine::Machine;
use super::space::{AddressSpace, USER_END};
use super::uffd_wp::present_run;
use super::vma::{Vma, VmaFlags};

/// Bits of a page's word in `pagemap`. Below, in bits 0 to 54, is its frame, or its swap slot shifted by 5.
const SOFT_DIRTY: u64 = 1 << 55;
const EXCLUSIVE: u64 = 1 << 56;
const UFFD_WP: u64 = 1 << 57;
const FILE_OR_SHARED: u64 = 1 << 61;
const SWAPPED: u64 = 1 << 62;
const PRESENT: u64 = 1 << 63;

impl AddressSpace {
    /// No page was written: from here on writes are tracked in all of today's VMAs. Whole blocks stay folded, and
    /// there is one flush.
    pub fn clear_soft_dirty<M: Machine>(&mut self, mm: &Mm<M>) {
        let mut flush = Gather::new();
        for vma in self.vmas.iter() {
            let clear = |pte: Pte| pte.wrprotect().clear_soft_dirty();
            for part in parts(&mm.machine, self.root, vma.start, vma.end) {
                let (first, nr) = match part {
                    Part::Table(first, nr) => (first, nr),
                    Part::Block(at, _) => {
                        modify_pmd(&mm.machine, at, clear);
                        flush.add_block(at.va());
                        continue;
                    }
                };
                let mut index = 0;
                while index < nr {
                    let at = first.add(index);
                    let run = present_run(mm, at, nr - index);
                    if run > 0 {
                        modify_prot_ptes(&mm.machine, self.asid(), at, run, clear);
                        flush.add(at.va(), at.va().add(run as u64 * PAGE_SIZE));
                    } else {
                        let pte = ptep_get_raw(&mm.machine, at);
                        if pte.is_soft_dirty() {
                            mm.set_nonpresent(at, pte.clear_soft_dirty());
                        }
                    }
                    index += run.max(1);
                }
            }
        }
        self.vmas.change(VirtAddr::new(0), USER_END, |vma| vma.flags |= VmaFlags::SOFT_DIRTY);
        flush.flush(&mm.machine, self.asid());
    }

    /// No page of the VMAs that `which` is true of was accessed. Not flushed: an access through an old translation may go unnoticed for a while.
    pub fn clear_referenced<M: Machine>(&mut self, mm: &Mm<M>, which: impl Fn(&Vma) -> bool) {
        for vma in self.vmas.iter().filter(|vma| which(vma)) {
            for part in parts(&mm.machine, self.root, vma.start, vma.end) {
                let (first, nr) = match part {
                    Part::Table(first, nr) => (first, nr),
                    Part::Block(at, _) => {
                        modify_pmd(&mm.machine, at, Pte::mkold);
                        continue;
                    }
                };
                let mut index = 0;
                while index < nr {
                    let run = present_run(mm, first.add(index), nr - index);
                    if run > 0 {
                        let _ = clear_young_dirty_ptes(&mm.machine, first.add(index), run, Forget::Young);
                    }
                    index += run.max(1);
                }
            }
        }
    }

    /// What `pagemap` says of the pages from number `first` (0-based, of the address space) on: fills `out`.
    pub fn pagemap<M: Machine>(&self, mm: &Mm<M>, first: u64, out: &mut [u64]) {
        for (index, word) in out.iter_mut().enumerate() {
            let page = first.saturating_add(index as u64);
            let va = VirtAddr::new(page.min(USER_END.get() / PAGE_SIZE) * PAGE_SIZE);
            *word = match self.vmas.find(va) {
                Some(vma) => describe(mm, vma, self.pte_at(mm, va)),
                None => 0,
            };
        }
    }

    /// A write is coming to the page at `at`, write-protected, in a tracked VMA: sets its bit. Of that page only, so a
    /// block is taken apart. Returns the entry as it is then.
    #[cold]
    pub(super) fn note_write<M: Machine>(&self, mm: &Mm<M>, at: PteRef) -> Pte {
        if !ptep_get_raw(&mm.machine, at).is_soft_dirty() {
            modify_prot_ptes(&mm.machine, self.asid(), at, 1, Pte::mksoft_dirty);
        }
        ptep_get_raw(&mm.machine, at)
    }
}

fn describe<M: Machine>(mm: &Mm<M>, vma: &Vma, pte: Pte) -> u64 {
    let tracked = vma.flags.contains(VmaFlags::SOFT_DIRTY);
    let mut word = if !tracked || pte.is_soft_dirty() { SOFT_DIRTY } else { 0 };
    word |= if pte.is_uffd_wp() { UFFD_WP } else { 0 };
    match pte.non_present() {
        None => {
            word |= PRESENT | pte.pfn().get();
            if !pte.is_special() {
                let file = mm.frames.folio(pte.pfn()).kind != Kind::Anon;
                word |= if file { FILE_OR_SHARED } else { 0 };
                word |= if mm.frame_mappings(pte.pfn()) == 1 { EXCLUSIVE } else { 0 };
            }
        }
        Some(NonPresent::Swap(SwapEntry { slot })) => word |= SWAPPED | slot << 5,
        Some(NonPresent::Migration { pfn, .. }) => word |= SWAPPED | pfn.get() << 5,
        Some(NonPresent::Marker(paging::desc::Marker::UffdWp)) => word |= UFFD_WP,
        Some(NonPresent::Marker(_) | NonPresent::None) => {}
    }
    word
}
