//! Moving a page's contents to another frame, under a migration entry.
//!
//! ```text
//!   begin     entry -> migration entry, flush      the frame keeps its mapping's count, nobody reads or writes it
//!   finish    copy to a fresh frame, entry -> that frame, the old one loses its mapping
//! ```
//!
//! Between the two the address space may be unlocked. A fault there undoes the first half, so the second finds nothing
//! to do; fork copies the entry, read-only on both sides; exit and munmap give it up. Only pages that this address
//! space maps alone are moved, and no pinned ones.

use paging::contpte::{modify_prot_ptes, ptep_get_raw};
use paging::flush::Gather;
use paging::walk::lookup;
use paging::{Event, NonPresent, PAGE_SIZE, Pfn, VirtAddr};

use super::Mm;
use super::fault::Access;
use super::frame::Kind;
use super::machine::Machine;
use super::space::AddressSpace;
use super::vma::Prot;
use crate::errno::{Errno, Result};

impl AddressSpace {
    /// Moves the contents of the page at `va` to another frame.
    ///
    /// # Errors
    /// `EFAULT`: no anonymous page is there. `EBUSY`: others map it, or it is pinned. `ENOMEM`. Nothing changed.
    pub fn migrate_page<M: Machine>(&mut self, mm: &Mm<M>, va: VirtAddr) -> Result<()> {
        let old = self.migration_begin(mm, va)?;
        self.migration_finish(mm, va, old)
    }

    /// The first half: from here on nobody accesses the frame of the page at `va`, which is returned.
    ///
    /// # Errors
    /// As [`AddressSpace::migrate_page`]; `ENOMEM` only where a block has to be split.
    pub(super) fn migration_begin<M: Machine>(&mut self, mm: &Mm<M>, va: VirtAddr) -> Result<Pfn> {
        self.split_blocks_in(mm, va, va.add(PAGE_SIZE))?;
        let vma = self.vmas.find(va).ok_or(Errno::EFAULT)?;
        let at = lookup(&mm.machine, self.root, va).ok_or(Errno::EFAULT)?;
        let pte = ptep_get_raw(&mm.machine, at);
        if !pte.is_valid() || pte.is_special() {
            return Err(Errno::EFAULT);
        }
        let folio = mm.frames.folio(pte.pfn());
        if folio.kind != Kind::Anon {
            return Err(Errno::EFAULT);
        }
        if !mm.is_unpinned(folio.head) || !mm.maps_all_of(vma, at, pte, folio) {
            return Err(Errno::EBUSY);
        }
        modify_prot_ptes(&mm.machine, self.asid(), at, 1, |pte| {
            let entry = NonPresent::Migration { pfn: pte.pfn(), writable: pte.is_writable() };
            entry.encode().with_tracking_of(pte)
        });
        let mut flush = Gather::new();
        flush.add(at.va(), at.va().add(PAGE_SIZE));
        flush.flush(&mm.machine, self.asid());
        Ok(pte.pfn())
    }

    /// The second half: the page at `va`, which was in `old` at the first, gets another frame.
    ///
    /// # Errors
    /// `EAGAIN`: the page was accessed meanwhile and is where it was, or is gone. `ENOMEM`: it is where it was.
    pub(super) fn migration_finish<M: Machine>(&mut self, mm: &Mm<M>, va: VirtAddr, old: Pfn) -> Result<()> {
        let vma = self.vmas.find(va).ok_or(Errno::EAGAIN)?;
        let at = lookup(&mm.machine, self.root, va).ok_or(Errno::EAGAIN)?;
        let pte = ptep_get_raw(&mm.machine, at);
        let writable = match pte.non_present() {
            Some(NonPresent::Migration { pfn, writable }) if pfn == old => writable,
            _ => return Err(Errno::EAGAIN),
        };
        let Some(new) = mm.alloc_anon(0, self.owner) else {
            mm.restore(self.asid(), vma, at, pte, old, writable);
            return Err(Errno::ENOMEM);
        };
        mm.copy(new, old, 1);
        if vma.prot.contains(Prot::EXEC) {
            mm.machine.sync_icache(new.addr(), PAGE_SIZE as usize);
        }
        mm.frames.set_first_mappings(new, 1);
        mm.restore(self.asid(), vma, at, pte, new, writable);
        mm.folio_remove_mappings(mm.frames.folio(old).head, 1);
        mm.count(Event::PgmigrateSuccess);
        Ok(())
    }

    /// Moves what is in `start..end` away from the frames it is in, as MADV_SOFT_OFFLINE does before a frame is taken
    /// out of use. The frames themselves go back to the allocator: here, none of them is ever bad.
    ///
    /// # Errors
    /// As for a read of each page, then as [`AddressSpace::migrate_page`].
    pub(super) fn soft_offline<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
    ) -> Result<()> {
        let mut va = start;
        while va < end {
            self.fault(mm, va.get() as usize, Access::Read).map_err(|error| error.to_errno())?;
            match self.migrate_page(mm, va) {
                // The zero page, or a page of a file: nothing of the process's own.
                Ok(()) | Err(Errno::EFAULT) => va = va.add(PAGE_SIZE),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
