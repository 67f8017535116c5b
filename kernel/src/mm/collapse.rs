//! MADV_COLLAPSE: large folios out of what smaller ones hold.
//!
//! ```text
//!   range of a VMA:   ..|  64 KiB  |  64 KiB  |       2 MiB       |       2 MiB       |  64 KiB  |..
//!                       one folio each          one folio each, or one for each 64 KiB block
//! ```
//!
//! A folio of 2 MiB is mapped by a block descriptor in the place of the table, as one that a fault makes; one that was
//! split to pages, all of it still in step and equal, only gets its block back.
//!
//! As on Linux the call is synchronous, ignores the policy but for MADV_NOHUGEPAGE, and fills holes, whatever their
//! number: a table that exists is taken for a reason to fill it. Linux makes 2 MiB folios only. Here what a range covers
//! of whole contpte blocks outside of whole 2 MiB gets folios of a block's size, and so does a stretch of 2 MiB for
//! which there is no such folio, or in which a page cannot be moved. Memory use is bounded by one folio at a time: what was
//! mapped is released before the next is allocated.
//!
//! Pages shared with other processes are copied, which unshares them. Pages that are referred to by others than page
//! tables are left where they are, with their block, and the call reports `EAGAIN`.

use paging::contpte::{clear_full_ptes, modify_prot_ptes, ptep_get_raw, set_ptes};
use paging::flush::Gather;
use paging::pmd::{clear_full_pmd, set_pmd};
use paging::walk::{PteRef, Walk, lookup_pmd, walk};
use paging::{Barrier, CONT_PTES, CONT_SIZE, Event, PAGE_SIZE, PMD_SIZE, Pfn, PhysAddr, Pte, VirtAddr};

use super::Mm;
use super::fault::Access;
use super::frame::Kind;
use super::machine::Machine;
use super::pmd::{PMD_ORDER, PMD_PAGES};
use super::policy::BLOCK_ORDER;
use super::space::AddressSpace;
use super::thp_disable::PAGES_ONLY;
use super::uffd::SINGLE;
use super::vma::{Vma, VmaFlags};
use crate::errno::{Errno, Result};

/// What a stretch that is to become one folio holds.
pub(super) enum Found {
    /// One folio already, in step; nothing is to be copied.
    Done,
    /// Pages that can be moved, and holes.
    Movable,
}

impl AddressSpace {
    /// Gives `start..end` the largest folios that fit, as MADV_COLLAPSE. Goes on behind a stretch that fails, but for
    /// lack of memory.
    ///
    /// # Errors
    /// Of the last stretch that failed: `EINVAL`: not private anonymous memory, MADV_NOHUGEPAGE, missing pages a monitor's, no whole block in the
    /// range, or nothing mapped there. `EAGAIN`: a page is referred to by others. `ENOMEM`: no memory for a folio.
    pub(super) fn collapse<M: Machine>(&mut self, mm: &Mm<M>, start: VirtAddr, end: VirtAddr) -> Result<()> {
        self.forget_closed_monitors(mm);
        let mut at = start;
        while at < end {
            let Some(vma) = self.vmas.get(self.vmas.index_at(at)).filter(|vma| vma.start < end) else {
                break;
            };
            if !vma.is_private_anon() || vma.flags.intersects(SINGLE.union(PAGES_ONLY)) {
                return Err(Errno::EINVAL);
            }
            let (from, to) = (vma.start.max(at), vma.end.min(end));
            self.collapse_in_vma(mm, from, to)?;
            at = to;
        }
        Ok(())
    }

    /// As [`AddressSpace::collapse`], of a range in one VMA.
    fn collapse_in_vma<M: Machine>(&mut self, mm: &Mm<M>, from: VirtAddr, to: VirtAddr) -> Result<()> {
        let (mut at, to) = (from.align_up(CONT_SIZE), to.align_down(CONT_SIZE));
        let mut result = if at < to { Ok(()) } else { Err(Errno::EINVAL) };
        while at < to {
            // Where there is no table nothing is mapped: that is passed over whole, since it may be all but for ever.
            if let Walk::Absent(level) = walk(&mm.machine, self.root, at) {
                result = Err(Errno::EINVAL);
                at = level.entry_end(at).min(to);
                continue;
            }
            let order = PMD_ORDER.filter(|_| at.is_aligned(PMD_SIZE) && at.add(PMD_SIZE) <= to);
            if order.is_some_and(|order| self.collapse_one(mm, at, order).is_ok()) {
                at = at.add(PMD_SIZE);
                continue;
            }
            let end = at.add(if order.is_some() { PMD_SIZE } else { CONT_SIZE });
            while at < end {
                match self.collapse_one(mm, at, BLOCK_ORDER) {
                    Ok(()) => {}
                    Err(Errno::ENOMEM) => return Err(Errno::ENOMEM),
                    Err(error) => result = Err(error),
                }
                at = at.add(CONT_SIZE);
            }
        }
        result
    }

    /// Makes one folio of the `1 << order` pages from `start`, which are aligned and in one VMA.
    pub(super) fn collapse_one<M: Machine>(&mut self, mm: &Mm<M>, start: VirtAddr, order: u8) -> Result<()> {
        let nr = 1usize << order;
        let first = match walk(&mm.machine, self.root, start) {
            Walk::Pte(first) => first,
            // Mapped by a single entry: as large as it can be.
            Walk::Block(..) => return Ok(()),
            Walk::Absent(_) => return Err(Errno::EINVAL),
        };
        self.fetch(mm, first, nr)?;
        match mm.movable(first, nr)? {
            Found::Done => {
                (0..nr).step_by(CONT_PTES).for_each(|index| self.refold_block(mm, first.add(index)));
                if order > BLOCK_ORDER && mm.is_uniform(first, nr) {
                    self.install_block(mm, first, ptep_get_raw(&mm.machine, first));
                }
            }
            Found::Movable => {
                let Some(head) = mm.alloc_anon(order, self.owner) else {
                    mm.count(Event::CollapseFailed);
                    return Err(Errno::ENOMEM);
                };
                mm.count(Event::Collapse);
                mm.frames.set_first_mappings(head, nr as u32);
                let vma = self.vmas.find_mut(start).ok_or(Errno::EINVAL)?;
                vma.flags |= VmaFlags::HAS_ANON;
                let new = vma_entry(vma, head);
                self.replace_entries(mm, first, nr, new);
            }
        }
        Ok(())
    }

    /// Brings back what is not in memory of the `nr` entries from `first`.
    fn fetch<M: Machine>(&mut self, mm: &Mm<M>, first: PteRef, nr: usize) -> Result<()> {
        for index in 0..nr {
            let pte = ptep_get_raw(&mm.machine, first.add(index));
            if !pte.is_present() && !pte.is_none() {
                let addr = first.add(index).va().get() as usize;
                self.fault(mm, addr, Access::Read).map_err(|error| error.to_errno())?;
            }
        }
        Ok(())
    }

    /// Replaces the `nr` entries from `first`, whole blocks in one table, by those that map the frames from that of
    /// `new` on, and fills those frames with what the old entries map, or with zeroes for holes. An entry that maps
    /// its new frame already keeps it. The new mappings are counted already; the old are released.
    ///
    /// The old entries stay in the table meanwhile, without access: so no list of them is needed, however many there
    /// are, and none of what they map can change while it is copied.
    pub(super) fn replace_entries<M: Machine>(&mut self, mm: &Mm<M>, first: PteRef, nr: usize, new: Pte) {
        let asid = self.context.asid();
        let hide = |pte: Pte| if pte.is_valid() { pte.mkprotnone() } else { pte };
        modify_prot_ptes(&mm.machine, asid, first, nr, hide);
        let mut flush = Gather::new();
        flush.add(first.va(), first.va().add(nr as u64 * PAGE_SIZE));
        flush.flush(&mm.machine, asid);
        let mut released = (Pfn::new(0), 0);
        for index in 0..nr {
            let old = ptep_get_raw(&mm.machine, first.add(index));
            let to = new.pfn().add(index as u64);
            if old.is_none() || old.is_special() {
                mm.zero(to, 1);
                self.rss += 1;
            } else if old.pfn() != to {
                mm.copy(to, old.pfn(), 1);
                let head = mm.frames.folio(old.pfn()).head;
                if released.1 > 0 && released.0 != head {
                    mm.folio_remove_mappings(released.0, released.1);
                    released.1 = 0;
                }
                released = (head, released.1 + 1);
            }
        }
        if let Some(vma) = self.vmas.find(first.va()) {
            mm.sync_if_exec(vma, new.pfn(), nr);
        }
        if nr > CONT_PTES {
            self.install_block(mm, first, new);
        } else {
            clear_full_ptes(&mm.machine, asid, first, nr);
            set_ptes(&mm.machine, first, new, nr);
        }
        // A write that collapsed its block is repeated at once: the walker is to find the new entries.
        mm.count(Event::DsbIshst);
        mm.machine.barrier(Barrier::DsbIshst);
        if released.1 > 0 {
            mm.folio_remove_mappings(released.0, released.1);
        }
    }

    /// Replaces the table that begins with `first`, and of which all belongs to one VMA, by a block descriptor like
    /// `new`, with what hardware noted in the table's entries until the flush. Frees the table.
    fn install_block<M: Machine>(&self, mm: &Mm<M>, first: PteRef, new: Pte) {
        let Some(at) = lookup_pmd(&mm.machine, self.root, first.va()) else { return };
        clear_full_pmd(&mm.machine, at);
        // Walk caches may hold the way to the table, so it is all of the address space.
        let mut flush = Gather::new();
        flush.add_all();
        flush.flush(&mm.machine, self.asid());
        let noted = |block: Pte, index| block.gather(ptep_get_raw(&mm.machine, first.add(index)));
        set_pmd(&mm.machine, at, (0..PMD_PAGES).fold(new, noted));
        mm.free_table(PhysAddr::new(first.desc().align_down(PAGE_SIZE).get()));
    }
}

/// The entry that maps the frame `pfn`, this address space's alone, in `vma`, which may permit anything or nothing.
fn vma_entry(vma: &Vma, pfn: Pfn) -> Pte {
    let pte = vma.pte(pfn).mkdirty();
    let pte = if vma.prot.contains(super::Prot::WRITE) { pte.mkwrite() } else { pte };
    // Some of the pages may have been written, so all of them count as written. Linux: `pmd_mkdirty`.
    let pte = if vma.flags.contains(VmaFlags::SOFT_DIRTY) { pte.mksoft_dirty() } else { pte };
    if vma.prot.is_empty() { pte.mkprotnone() } else { pte }
}

impl<M: Machine> Mm<M> {
    /// What the `nr` entries from `first` hold.
    ///
    /// # Errors
    /// `EINVAL`: something that is no anonymous memory, or a page protected for userfaultfd. `EAGAIN`: a page that others refer to.
    pub(super) fn movable(&self, first: PteRef, nr: usize) -> Result<Found> {
        let whole = ptep_get_raw(&self.machine, first);
        let aligned = whole.is_present()
            && !whole.is_special()
            && whole.pfn().get().is_multiple_of(nr as u64)
            && self.frames.folio(whole.pfn()).span().covers(whole.pfn(), nr as u64);
        let entries = || (0..nr).map(|index| (index, ptep_get_raw(&self.machine, first.add(index))));
        // Protection against writes is by the page, and cannot be had of a block descriptor.
        if entries().any(|(_, pte)| pte.is_uffd_wp()) {
            return Err(Errno::EINVAL);
        }
        if aligned
            && entries().all(|(index, pte)| pte.is_present() && pte.pfn() == whole.pfn().add(index as u64))
        {
            return Ok(Found::Done);
        }
        for (_, pte) in entries() {
            if pte.is_none() || (pte.is_special() && pte.pfn() == self.zero_page()) {
                continue;
            }
            if !pte.is_present() || pte.is_special() {
                return Err(Errno::EINVAL);
            }
            let folio = self.frames.folio(pte.pfn());
            if folio.kind != Kind::Anon {
                return Err(Errno::EINVAL);
            }
            if !self.may_move(folio) {
                return Err(Errno::EAGAIN);
            }
        }
        Ok(Found::Movable)
    }

    /// Whether the `nr` entries from `first`, which map one folio, could be one entry: all valid, with the same
    /// attributes.
    fn is_uniform(&self, first: PteRef, nr: usize) -> bool {
        let attributes = |index| {
            let pte = ptep_get_raw(&self.machine, first.add(index));
            pte.is_valid().then(|| pte.mknoncont().block_attributes())
        };
        attributes(0).is_some() && (1..nr).all(|index| attributes(index) == attributes(0))
    }
}
