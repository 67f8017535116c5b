//! Mappings of physical frames that are not counted: device registers (Linux: `VM_PFNMAP`, `remap_pfn_range`).
//!
//! Such a VMA has all its entries from the moment it is made, since there is nobody to ask for a frame at a fault:
//! the frames need not even be in the frame table. Its entries are *special*, so nothing that unmaps, forks or moves
//! them looks for a folio, and none ever becomes part of a contpte block. They permit neither writing nor execution,
//! now or by mprotect later: registers are there to be looked at, and the CPU must not fetch from them ahead of time.

use paging::walk::lookup_alloc;
use paging::{PAGE_SIZE, VirtAddr};

use super::Mm;
use super::machine::Machine;
use super::space::AddressSpace;
use super::vma::{Backing, Prot, Vma, VmaFlags};
use crate::errno::{Errno, Result};

/// Whether a mapping of `backing` may ever permit `prot`.
pub(super) fn may_permit(backing: &Backing, prot: Prot) -> bool {
    !matches!(backing, Backing::Frames { .. }) || Prot::READ.contains(prot)
}

impl AddressSpace {
    /// Writes the entries of the VMA that begins at `start`, if it is one of frames; in its range nothing is mapped.
    ///
    /// # Errors
    /// `ENOMEM`; some of the entries are written then.
    pub(super) fn map_frames<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
    ) -> Result<()> {
        let Some(vma) = self.vmas.find(start) else { return Ok(()) };
        let Some(first) = vma.frame(start) else { return Ok(()) };
        let pte = vma.pte(first).mkdevice().mkspecial();
        let pte = if vma.prot.is_empty() { pte.mkprotnone() } else { pte };
        let mut at = start;
        while at < end {
            let here = lookup_alloc(&mm.machine, self.root, at, &mut || mm.alloc_table());
            let here = here.map_err(|_| Errno::ENOMEM)?;
            let nr = here.left_in_table().min(at.pages_to(end));
            paging::contpte::set_ptes(&mm.machine, here, pte.advance(start.pages_to(at) as u64), nr);
            at = at.add(nr as u64 * PAGE_SIZE);
        }
        Ok(())
    }

    /// Up to where the VMAs between `start` and `end` may permit `prot`.
    pub(super) fn may_protect(&self, start: VirtAddr, end: VirtAddr, prot: Prot) -> VirtAddr {
        self.up_to(start, end, |vma| {
            let written = vma.flags.contains(VmaFlags::READ_ONLY) && prot.contains(Prot::WRITE);
            !may_permit(&vma.backing, prot) || written
        })
    }

    /// Where the first VMA between `start` and `end` begins of which `is_last` holds; `end` if it holds of none.
    pub(super) fn up_to(&self, start: VirtAddr, end: VirtAddr, is_last: impl Fn(&Vma) -> bool) -> VirtAddr {
        let mut vmas = self.vmas.overlapping(start, end).filter_map(|index| self.vmas.get(index));
        vmas.find(|vma| is_last(vma)).map_or(end, |vma| vma.start.max(start))
    }
}
