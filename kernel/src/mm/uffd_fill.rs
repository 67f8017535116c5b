//! userfaultfd: faults on pages that a registered range has not, and how the monitor fills them.
//!
//! ```text
//!   entry     shared memory   registered for       a fault             the monitor
//!   empty     -               missing              UffdMissing         copy, zeroes, poison
//!   empty     no page         missing              UffdMissing         copy, zeroes, poison
//!   empty     has the page    minor                UffdMinor           continue
//!   wp marker as an empty one, and what is mapped then is protected
//! ```
//!
//! Everything else is a fault like any other, but of one page. An entry is filled only if it is empty or a marker, so
//! there is no translation to be broken first, and nothing to flush. In private mappings of a file a copy is anonymous
//! memory at once, as after a write. Linux: `mm/userfaultfd.c`.

use paging::contpte::{ptep_get_raw, set_pte_at};
use paging::desc::Marker;
use paging::walk::{PteRef, lookup_alloc};
use paging::{NonPresent, PAGE_SIZE, Pfn, Pte, VirtAddr};

use super::Mm;
use super::counts::Counts;
use super::fault::{FaultError, FaultResult, Table};
use super::machine::Machine;
use super::object::{Object, State};
use super::space::AddressSpace;
use super::vma::{Prot, Vma, VmaFlags};
use crate::errno::{Errno, Result};

/// With what a page is filled that is not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill<'a> {
    /// These bytes, a page of them.
    Bytes(&'a [u8]),
    /// Zeroes.
    Zeroes,
    /// What shared memory has there.
    Present,
    /// Nothing ever: an access is a bus error.
    Poison,
}

impl Fill<'_> {
    /// Whether it can take the place of `old`. Linux overwrites markers by pages, not by zeroes or poison.
    fn can_replace(self, old: Pte) -> bool {
        match self {
            Fill::Bytes(_) | Fill::Present => {
                matches!(old.non_present(), Some(NonPresent::None | NonPresent::Marker(_)))
            }
            Fill::Zeroes | Fill::Poison => old.is_none(),
        }
    }
}

impl AddressSpace {
    /// An access to the page at `va`, which `vma` does not map: whether it is the monitor's.
    ///
    /// # Errors
    /// [`FaultError::UffdMissing`], [`FaultError::UffdMinor`]: it is. [`FaultError::Bus`]: behind the end.
    pub(super) fn ask_monitor<M: Machine>(&self, mm: &Mm<M>, vma: &Vma, va: VirtAddr) -> FaultResult {
        let present = match vma.object_page(va) {
            None => false,
            Some((object, page)) => {
                let state = object.state.lock();
                if page >= state.pages() {
                    return Err(FaultError::Bus);
                }
                mm.has_page(&state, page)
            }
        };
        if present && vma.flags.contains(VmaFlags::UFFD_MINOR) {
            return Err(FaultError::UffdMinor);
        }
        if !present && vma.flags.contains(VmaFlags::UFFD_MISSING) {
            return Err(FaultError::UffdMissing);
        }
        Ok(())
    }

    /// An access to a page whose entry `at` is empty, in the VMA with the given index, which is registered for that: it
    /// is the monitor's, or one like any other.
    #[cold]
    #[inline(never)]
    pub(super) fn uffd_absent_fault<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        index: usize,
        at: PteRef,
        table: Table,
        write: bool,
    ) -> FaultResult {
        let vma = self.vmas.get(index).ok_or(FaultError::MapErr)?;
        self.ask_monitor(mm, vma, at.va())?;
        if vma.is_private_anon() {
            return self.anon_fault(mm, index, at, table, write);
        }
        self.object_fault(mm, at, write)
    }

    /// Fills the page at `va`, which is not there, in a registered range that reaches up to `end` at least; `protect`:
    /// protected against writes.
    ///
    /// # Errors
    /// `ENOENT`: not registered. `EEXIST`: the page is there. `EINVAL`: not registered for that, or not shared memory.
    /// `EFAULT`: shared memory has no page there. `ENOMEM`.
    pub fn uffd_fill<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        (va, end): (VirtAddr, VirtAddr),
        fill: Fill<'_>,
        protect: bool,
    ) -> Result<()> {
        match self.try_fill(mm, (va, end), fill, protect) {
            Err(Errno::ENOMEM) => {
                let again = |space: &mut Self| match space.try_fill(mm, (va, end), fill, protect) {
                    Err(Errno::ENOMEM) => None,
                    other => Some(other),
                };
                self.with_reclaim(mm, again).unwrap_or(Err(Errno::ENOMEM))
            }
            other => other,
        }
    }

    fn try_fill<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        (va, end): (VirtAddr, VirtAddr),
        fill: Fill<'_>,
        protect: bool,
    ) -> Result<()> {
        let registered = |vma: &&Vma| vma.monitor() != 0 && end <= vma.end;
        let vma = self.vmas.find(va).filter(registered).ok_or(Errno::ENOENT)?;
        let from_object = fill == Fill::Present || (!vma.is_private() && vma.object_page(va).is_some());
        if protect && !vma.flags.contains(VmaFlags::UFFD_WP)
            || fill == Fill::Present && vma.object_page(va).is_none()
        {
            return Err(Errno::EINVAL);
        }
        let at = lookup_alloc(&mm.machine, self.root, va, &mut || mm.alloc_table());
        let at = at.map_err(|_| Errno::ENOMEM)?;
        let old = ptep_get_raw(&mm.machine, at);
        if !fill.can_replace(old) {
            return Err(Errno::EEXIST);
        }
        if fill == Fill::Poison {
            // A child of fork gets it as well, so there is something to copy.
            if let Some(vma) = self.vmas.find_mut(va).filter(|vma| vma.is_private()) {
                vma.note_anon();
            }
            mm.set_nonpresent(at, NonPresent::Marker(Marker::Poison).encode());
            return Ok(());
        }
        let pte = if from_object { self.object_entry(mm, va, fill)? } else { self.anon_entry(mm, va, fill)? };
        let folio = (!pte.is_special()).then(|| mm.frames.folio(pte.pfn()).span());
        self.rss += usize::from(folio.is_some());
        if !old.is_none() {
            mm.set_nonpresent(at, Pte::NONE);
        }
        let vma = self.vmas.find(va).ok_or(Errno::ENOENT)?;
        let pte = if protect { pte.mkuffd_wp() } else { pte };
        let pte = if vma.prot.is_empty() { pte.mkprotnone() } else { pte };
        set_pte_at(&mm.machine, self.context.asid(), at, pte, folio);
        Ok(())
    }

    /// An entry for a page of private memory at `va` that is filled so, and whose mapping is counted.
    fn anon_entry<M: Machine>(&mut self, mm: &Mm<M>, va: VirtAddr, fill: Fill<'_>) -> Result<Pte> {
        let vma = self.vmas.find_mut(va).ok_or(Errno::ENOENT)?;
        let Fill::Bytes(bytes) = fill else {
            return Ok(vma.pte(mm.zero_page()).mkspecial());
        };
        let frame = mm.alloc_anon_mapped(0, self.owner).ok_or(Errno::ENOMEM)?;
        mm.write_frame(frame, bytes);
        mm.sync_if_exec(vma, frame, 1);
        vma.note_anon();
        let written = vma.written(frame);
        Ok(if vma.prot.contains(Prot::WRITE) { written } else { written.wrprotect() })
    }

    /// The same of shared memory.
    fn object_entry<M: Machine>(&self, mm: &Mm<M>, va: VirtAddr, fill: Fill<'_>) -> Result<Pte> {
        let vma = self.vmas.find(va).ok_or(Errno::ENOENT)?;
        let (object, page) = vma.object_page(va).ok_or(Errno::EINVAL)?;
        let frame = mm.fill_object_page(object, page, fill)?;
        let writable = !vma.is_private() && vma.prot.contains(Prot::WRITE);
        Ok(if writable { vma.written(frame) } else { vma.pte(frame) })
    }
}

impl<M: Machine> Mm<M> {
    /// Page number `page` of `object` with a mapping counted: that which it has (`Present`), or a new one, filled so before
    /// anybody else can find it.
    ///
    /// # Errors
    /// `EFAULT`: it has none, or ends before. `EEXIST`: it has one. `ENOMEM`.
    fn fill_object_page(&self, object: &Object, page: u64, fill: Fill<'_>) -> Result<Pfn> {
        let mut state = object.state.lock();
        let end = state.pages();
        match (self.has_page(&state, page), fill == Fill::Present) {
            _ if page >= end => return Err(Errno::EFAULT),
            (false, true) => return Err(Errno::EFAULT),
            (true, false) => return Err(Errno::EEXIST),
            _ => {}
        }
        // A single page: its neighbours are missing on their own account.
        let frame = self.page_in(object, &mut state, page, VmaFlags::NOHUGEPAGE, end);
        let frame = frame.map_err(|_| Errno::ENOMEM)?;
        if let Fill::Bytes(bytes) = fill {
            self.write_frame(frame, bytes);
            // Whoever executes it may map it later, so not only if this VMA permits that.
            self.machine.sync_icache(frame.addr(), PAGE_SIZE as usize);
        }
        self.folio_add(self.frames.folio(frame).head, Counts::maps(1)).map_err(|_| Errno::ENOMEM)?;
        Ok(frame)
    }

    /// Whether the object has page number `page`, or will find it in its source.
    fn has_page(&self, state: &State, page: u64) -> bool {
        page < (state.source.len() as u64).div_ceil(PAGE_SIZE)
            || state.chunk(page).is_some_and(|chunk| self.known(chunk, page).is_some())
    }

    /// Copies a page's bytes to a frame that nobody uses yet.
    fn write_frame(&self, frame: Pfn, bytes: &[u8]) {
        assert!(bytes.len() == PAGE_SIZE as usize, "not a page");
        // SAFETY: the frame was just made, and has so many bytes.
        unsafe { self.machine.ptr(frame.addr()).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }
}
