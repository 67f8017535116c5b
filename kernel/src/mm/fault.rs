//! Page faults: from what was tried to the PTE that permits it, or the reason why none does.

use paging::contpte::{ptep_get_raw, set_access_flags, set_ptes};
use paging::desc::Upper;
use paging::flush::local_page;
use paging::walk::{PteRef, link_table, lookup_pmd};
use paging::{CONT_PTES, Event, PAGE_SIZE, Pte, VirtAddr};

use super::Mm;
use super::folio_stats::FolioEvent;
use super::frame::MAX_ORDER;
use super::machine::Machine;
use super::object::PageError;
use super::space::{AddressSpace, USER_END};
use super::vma::{Prot, Vma, VmaFlags};
use crate::errno::Errno;

/// What was tried at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Exec,
}

/// Why an access is impossible.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultError {
    /// Nothing is mapped there (SIGSEGV, SEGV_MAPERR).
    MapErr,
    /// What is mapped there does not permit it (SIGSEGV, SEGV_ACCERR).
    AccErr,
    /// The object has no page there (SIGBUS).
    Bus,
    /// What the page held is lost (SIGBUS, BUS_MCEERR_AR).
    Poison,
    /// A monitor is to hear of the write first; without one, SIGBUS.
    UffdWp,
    /// A monitor is to make the page.
    UffdMissing,
    /// A monitor is to let the page of shared memory be mapped.
    UffdMinor,
    /// Memory is exhausted.
    Oom,
}

impl FaultError {
    /// What a system call that needed the access returns.
    pub const fn to_errno(self) -> Errno {
        match self {
            FaultError::MapErr | FaultError::Oom => Errno::ENOMEM,
            FaultError::AccErr | FaultError::Bus | FaultError::Poison => Errno::EFAULT,
            FaultError::UffdWp | FaultError::UffdMissing | FaultError::UffdMinor => Errno::EFAULT,
        }
    }

    /// Whether a monitor can make the access possible.
    pub const fn is_monitors(self) -> bool {
        matches!(self, FaultError::UffdWp | FaultError::UffdMissing | FaultError::UffdMinor)
    }
}

impl From<PageError> for FaultError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::BeyondEnd | PageError::NoRoom => FaultError::Bus,
            PageError::NoMemory => FaultError::Oom,
        }
    }
}

/// What a fault returns.
pub(super) type FaultResult = Result<(), FaultError>;

impl AddressSpace {
    /// What [`AddressSpace::fault`] does, but that memory is not reclaimed.
    pub(super) fn resolve_fault<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        addr: usize,
        access: Access,
    ) -> FaultResult {
        mm.count(Event::PageFaults);
        let va = VirtAddr::new(addr as u64);
        if va >= USER_END {
            return Err(FaultError::MapErr);
        }
        let va = va.align_down(PAGE_SIZE);
        let index = match self.vmas.last_hit(va) {
            Some(index) => index,
            None => self.vma_for_fault(va)?,
        };
        let vma = self.vmas.get(index).ok_or(FaultError::MapErr)?;
        let permitted = match access {
            // As on Linux and in the hardware, what may be written or executed may be read.
            Access::Read => !vma.prot.is_empty(),
            Access::Write => vma.prot.contains(Prot::WRITE),
            Access::Exec => vma.prot.contains(Prot::EXEC),
        };
        if !permitted {
            return Err(FaultError::AccErr);
        }
        let (write, anon) = (access == Access::Write, vma.is_private_anon());
        let (tracked, heard) = (vma.flags.contains(VmaFlags::SOFT_DIRTY), vma.hears_of_absence());
        let Some((at, table)) = self.pte_for_fault(mm, index, va, write)? else { return Ok(()) };
        let pte = ptep_get_raw(&mm.machine, at);
        if !pte.is_present() {
            if !pte.is_none() {
                self.nonpresent_fault(mm, at, pte, write)
            } else if heard {
                self.uffd_absent_fault(mm, index, at, table, write)
            } else if anon {
                self.anon_fault(mm, index, at, table, write)
            } else {
                self.object_fault(mm, at, write)
            }
        } else if write && !pte.is_writable() {
            if pte.is_uffd_wp() {
                return Err(FaultError::UffdWp);
            }
            let pte = if tracked { self.note_write(mm, at) } else { pte };
            self.write_protect_fault(mm, index, at, pte)
        } else {
            self.spurious_or_flags(mm, at, pte, write);
            Ok(())
        }
    }

    /// The index of the VMA that contains `va`, be it that the stack grows.
    #[inline(never)]
    fn vma_for_fault(&mut self, va: VirtAddr) -> Result<usize, FaultError> {
        let index = self.vmas.index_at(va);
        if self.vmas.get(index).is_none_or(|vma| vma.start > va) && !self.grow_stack(index, va) {
            return Err(FaultError::MapErr);
        }
        Ok(index)
    }

    /// The last-level entry for `va`, its tables made if need be; `None` if a block was found or mapped there, and the
    /// access can be repeated.
    #[inline(always)]
    fn pte_for_fault<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        index: usize,
        va: VirtAddr,
        write: bool,
    ) -> Result<Option<(PteRef, Table)>, FaultError> {
        if let Some(pmd) = lookup_pmd(&mm.machine, self.root, va)
            && let Upper::Table(table) = Upper::decode(mm.machine.load(pmd.desc()))
        {
            return Ok(Some((PteRef::in_table(table, va), Table::Used)));
        }
        self.make_table(mm, index, va, write)
    }

    /// As [`AddressSpace::pte_for_fault`], where there is no last-level table.
    #[inline(never)]
    fn make_table<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        index: usize,
        va: VirtAddr,
        write: bool,
    ) -> Result<Option<(PteRef, Table)>, FaultError> {
        let pmd = self.pmd_for(mm, va).map_err(|_| FaultError::Oom)?;
        let mut upper = Upper::decode(mm.machine.load(pmd.desc()));
        if upper == Upper::Absent && write && self.anon_block_fault(mm, index, pmd) {
            return Ok(None);
        }
        if let Upper::Block(block) = upper {
            if self.block_fault(mm, pmd, block, write)? {
                return Ok(None);
            }
            upper = Upper::decode(mm.machine.load(pmd.desc()));
        }
        let (table, state) = match upper {
            Upper::Table(table) => (table, Table::Used),
            Upper::Absent | Upper::Block(_) => {
                let table = mm.alloc_table().ok_or(FaultError::Oom)?;
                link_table(&mm.machine, pmd.desc(), table);
                (table, Table::Fresh)
            }
        };
        Ok(Some((PteRef::in_table(table, va), state)))
    }

    /// The entry permits the access already: its flags are behind, or a TLB is.
    fn spurious_or_flags<M: Machine>(&mut self, mm: &Mm<M>, at: PteRef, pte: Pte, write: bool) {
        let wanted = if write { pte.mkyoung().mkdirty() } else { pte.mkyoung() };
        if !set_access_flags(&mm.machine, self.asid(), at, wanted) {
            local_page(&mm.machine, self.asid(), at.va());
        }
    }

    /// The first touch of anonymous memory, in the VMA with the given index, whose entry `at` is empty.
    #[inline(always)]
    pub(super) fn anon_fault<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        index: usize,
        at: PteRef,
        table: Table,
        write: bool,
    ) -> FaultResult {
        let mut vma = self.vmas.get_mut(index).ok_or(FaultError::MapErr)?;
        if !write {
            let zero = vma.pte(mm.zero_page()).mkspecial();
            set_ptes(&mm.machine, at, zero, 1);
            return Ok(());
        }
        let mut order = mm.policy.largest_below(MAX_ORDER + 1, vma.flags);
        loop {
            if order > 0 {
                order = mm.largest_fit(vma, at, table, order);
            }
            // What could be a hole has neighbours.
            if order == 0
                && table == Table::Used
                && mm.may_be_hole(at)
                && mm.refill_hole(vma, self.context.asid(), at)
            {
                self.rss += 1;
                return Ok(());
            }
            if let Some(head) = mm.alloc_anon_mapped(order, self.owner) {
                vma.note_anon();
                let (nr, pte) = (1usize << order, vma.written(head));
                mm.zero(head, nr as u64);
                // No block is left to be folded: a folio that is one or more is mapped by whole blocks.
                if order == 0 {
                    set_ptes(&mm.machine, at, pte, 1);
                } else {
                    let first = PteRef::in_table_of(at, at.va().align_down(nr as u64 * PAGE_SIZE));
                    set_ptes(&mm.machine, first, pte, nr);
                    mm.machine.count_folio(FolioEvent::AnonFaultAlloc, order);
                }
                self.rss += nr;
                return Ok(());
            }
            if order == 0 {
                return Err(FaultError::Oom);
            }
            let flags = vma.flags;
            if !self.make_room_for(mm, order, flags) {
                mm.count(Event::AnonFallback);
                mm.machine.count_folio(FolioEvent::AnonFaultFallback, order);
                order = mm.policy.largest_below(order, flags);
            }
            vma = self.vmas.get_mut(index).ok_or(FaultError::MapErr)?;
        }
    }
}

/// What is known of the last-level table that an entry is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Table {
    /// The fault made it: all of its entries are empty.
    Fresh,
    /// It was there.
    Used,
}

impl<M: Machine> Mm<M> {
    /// Whether the aligned range of `order` (1 at least) around `at` lies in `vma` and holds no entry yet.
    #[inline(always)]
    fn has_room(&self, vma: &Vma, at: PteRef, table: Table, order: u8) -> bool {
        let (bytes, nr) = (PAGE_SIZE << order, 1 << order);
        let start = at.va().align_down(bytes);
        if start < vma.start || start.add(bytes) > vma.end {
            return false;
        }
        let is_empty = |first: PteRef, nr| self.machine.are_clear(first.desc(), nr);
        // In a large range the likeliest neighbours are looked at first: those of the own block.
        table == Table::Fresh
            || (nr <= CONT_PTES || is_empty(at.cont_start(), CONT_PTES))
                && is_empty(PteRef::in_table_of(at, start), nr)
    }

    /// The largest enabled order up to `order` that fits; 0, a single page, always does.
    #[inline(never)] // for its registers' sake, as the next: a fault of a single page needs none of them
    fn largest_fit(&self, vma: &Vma, at: PteRef, table: Table, order: u8) -> u8 {
        if self.has_room(vma, at, table, order) {
            return order;
        }
        self.largest_fit_below(vma, at, table, order)
    }

    #[inline(never)]
    fn largest_fit_below(&self, vma: &Vma, at: PteRef, table: Table, order: u8) -> u8 {
        let mut order = self.policy.largest_below(order, vma.flags);
        while order > 0 && !self.has_room(vma, at, table, order) {
            order = self.policy.largest_below(order, vma.flags);
        }
        order
    }
}
