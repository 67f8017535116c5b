//! Entries that are neither empty nor present: what they refer to, how it is given up, and how a page comes back.
//!
//! | entry | refers to | an access |
//! |---|---|---|
//! | swap | a slot, which counts its entries | reads the page back |
//! | migration | a frame, counted as a mapping of its folio | undoes the migration, whose second half then stops |
//! | marker | nothing | as the marker says |
//!
//! A migration entry keeps the mapping's count and place in the resident set: nothing can be lost between its two
//! halves, whatever fork, munmap or exit do to it meanwhile. All of it happens under the address space's lock.

use paging::contpte::{pte_clear, set_pte_at, set_ptes};
use paging::desc::{Marker, SwapEntry};
use paging::walk::PteRef;
use paging::{Asid, NonPresent, PAGE_SIZE, Pfn, Pte};

use super::Mm;
use super::fault::{FaultError, FaultResult};
use super::gather::Unmapped;
use super::machine::Machine;
use super::space::AddressSpace;
use super::vma::{Prot, Vma, VmaFlags};

impl AddressSpace {
    /// An access to a page whose entry `pte` at `at` is neither empty nor present.
    #[cold]
    pub(super) fn nonpresent_fault<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        at: PteRef,
        pte: Pte,
        write: bool,
    ) -> FaultResult {
        match NonPresent::decode(pte) {
            NonPresent::Swap(SwapEntry { slot }) => self.swap_fault(mm, at, pte, slot as u32, write),
            NonPresent::Migration { pfn, writable } => {
                let vma = self.vmas.find(at.va()).ok_or(FaultError::MapErr)?;
                mm.restore(self.asid(), vma, at, pte, pfn, writable);
                Ok(())
            }
            // As on Linux: lost contents are a bus error, a guard page a segmentation fault.
            NonPresent::Marker(Marker::Guard) => Err(FaultError::MapErr),
            NonPresent::Marker(Marker::UffdWp) => self.uffd_marker_fault(mm, at, pte, write),
            NonPresent::Marker(Marker::Poison) => Err(FaultError::Poison),
            NonPresent::None => Err(FaultError::Bus),
        }
    }

    /// Reads a page back from swap. It is this address space's alone, so it becomes writable if its VMA permits.
    fn swap_fault<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        at: PteRef,
        pte: Pte,
        slot: u32,
        write: bool,
    ) -> FaultResult {
        let vma = self.vmas.find(at.va()).ok_or(FaultError::MapErr)?;
        let frame = mm.alloc_anon(0, self.owner).ok_or(FaultError::Oom)?;
        mm.swap_in(slot, frame);
        if vma.prot.contains(Prot::EXEC) {
            mm.machine.sync_icache(frame.addr(), PAGE_SIZE as usize);
        }
        mm.frames.set_first_mappings(frame, 1);
        let pte = if write && !pte.is_uffd_wp() && vma.flags.contains(VmaFlags::SOFT_DIRTY) {
            pte.mksoft_dirty()
        } else {
            pte
        };
        mm.restore(self.asid(), vma, at, pte, frame, true);
        self.rss += 1;
        mm.swap_free(slot);
        Ok(())
    }

    /// Clears the entry `pte` at `at`, neither empty nor present, and gives up what it referred to.
    #[cold]
    pub(super) fn zap_nonpresent<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        at: PteRef,
        pte: Pte,
        unmapped: &mut Unmapped<'_, M>,
    ) {
        pte_clear(&mm.machine, self.asid(), at);
        match NonPresent::decode(pte) {
            NonPresent::Swap(SwapEntry { slot }) => mm.swap_free(slot as u32),
            NonPresent::Migration { pfn, .. } => {
                // Flushed when the entry was made.
                unmapped.folio(mm.frames.folio(pfn).head, 1);
                self.rss -= 1;
            }
            NonPresent::Marker(_) | NonPresent::None => {}
        }
    }
}

impl<M: Machine> Mm<M> {
    /// Gives up what the entry `pte`, neither empty nor present, refers to, when its table goes as well. Returns whether
    /// it was a page of a resident set.
    #[cold]
    pub(super) fn release_nonpresent(&self, pte: Pte) -> bool {
        match NonPresent::decode(pte) {
            NonPresent::Swap(SwapEntry { slot }) => self.swap_free(slot as u32),
            NonPresent::Migration { pfn, .. } => {
                self.folio_remove_mappings(self.frames.folio(pfn).head, 1);
                return true;
            }
            NonPresent::Marker(_) | NonPresent::None => {}
        }
        false
    }

    /// Writes the entry that is not present at `at`, over an empty one or one like it.
    pub(super) fn set_nonpresent(&self, at: PteRef, pte: Pte) {
        set_ptes(&self.machine, at, pte, 1);
    }

    /// Maps the anonymous frame `pfn`, whose mapping is counted, where `entry` at `at` stood for it, with what that
    /// entry tracked; writable if `writable` and the VMA permits it.
    pub(super) fn restore(&self, asid: Asid, vma: &Vma, at: PteRef, entry: Pte, pfn: Pfn, writable: bool) {
        // Its contents are nowhere else: dirty, whatever the entry was before.
        let pte = vma.pte(pfn).mkdirty();
        let noticed = entry.is_soft_dirty() || !vma.flags.contains(VmaFlags::SOFT_DIRTY);
        let pte = if writable && noticed && vma.prot.contains(Prot::WRITE) { pte.mkwrite() } else { pte };
        let pte = pte.tracked_like(entry);
        let pte = if vma.prot.is_empty() { pte.mkprotnone() } else { pte };
        set_pte_at(&self.machine, asid, at, pte, Some(self.frames.folio(pfn).span()));
    }
}
