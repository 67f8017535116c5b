//! One process's address space: its tables, its VMAs, and how it comes to life and ends.

use paging::contpte::ptep_get_raw;
use paging::teardown::{Heir, take_apart};
use paging::walk::{Part, count_tables, parts};
use paging::{Asid, Barrier, CONT_PTES, Event, PAGE_SIZE, Pfn, PhysAddr, VirtAddr};

use super::Mm;
use super::asid::Context;
use super::fault::Access;
use super::lazyfree::LazyRange;
use super::machine::Machine;
use super::pmd::PMD_PAGES;
use super::release::{CLEARED, Release, Room};
use super::uffd::Monitors;
use super::vma::{Backing, Vma, VmaFlags};
use super::vma_list::VmaList;
use super::watermark::Watermark;
use crate::errno::{Errno, Result};

/// The first address a process may map: a null pointer plus an offset must fault. Linux: `mmap_min_addr`.
pub const USER_START: VirtAddr = VirtAddr::new(0x1_0000);
/// The first address behind user space: 48 bits of virtual address.
pub const USER_END: VirtAddr = VirtAddr::new(1 << 48);
/// Below this, mappings without a fixed address are placed; above it there is room for the stack. Linux keeps as much free
/// (`MIN_GAP`); with more, mappings and stack would not share the table above their last ones.
pub const MMAP_TOP: VirtAddr = VirtAddr::new((1 << 48) - (128 << 20));

/// Up to so many pages between them two VMAs are taken apart as one.
const NEAR: usize = 16;

/// The memory of one process.
pub struct AddressSpace {
    pub(super) root: PhysAddr,
    pub(super) context: Context,
    pub(super) vmas: VmaList,
    /// Where the heap begins and ends, in bytes.
    pub(super) brk_start: VirtAddr,
    pub(super) brk: VirtAddr,
    /// Pages mapped, the zero page not counted.
    pub(super) rss: Watermark,
    /// The number under which the frame table knows it.
    pub(super) owner: u32,
    /// Where reclaim goes on.
    pub(super) reclaim_hand: VirtAddr,
    /// Where lazily freed pages may be.
    pub(super) lazy: LazyRange,
    /// Who hears of faults in it, by number - 1.
    pub(super) monitors: Monitors,
    /// The access for want of which a range could not be faulted in as a whole: a monitor's to make possible.
    pub(super) held_up: Option<(usize, Access)>,
    /// What new VMAs are locked as (mlockall): properties of a VMA, none unless they are.
    pub(super) future_lock: VmaFlags,
    /// What all VMAs are if large folios are switched off ([`super::thp_disable`]).
    pub(super) thp: VmaFlags,
    /// The first frame of the anonymous folio that was found to be mapped here only, last ([`super::cow`]).
    pub(super) ours: Option<Pfn>,
}

/// How much memory an address space maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Pages mapped, the shared zero page not counted.
    pub rss_pages: usize,
    /// Pages mapped by folded contpte blocks.
    pub contpte_pages: usize,
    /// Pages mapped by block descriptors.
    pub pmd_pages: usize,
    /// Translation tables, in pages.
    pub table_pages: usize,
}

impl AddressSpace {
    /// An empty address space.
    ///
    /// # Errors
    /// `ENOMEM`.
    #[inline(always)] // it is large: built where it is to be
    pub fn new<M: Machine>(mm: &Mm<M>) -> Result<Self> {
        mm.asids.prepare()?;
        let root = mm.alloc_table().ok_or(Errno::ENOMEM)?;
        Ok(AddressSpace {
            root,
            context: Context::new(),
            vmas: VmaList::new(),
            brk_start: VirtAddr::new(0),
            brk: VirtAddr::new(0),
            rss: Watermark::ZERO,
            owner: mm.new_owner(),
            reclaim_hand: VirtAddr::new(0),
            lazy: LazyRange::NONE,
            monitors: Monitors::new(),
            held_up: None,
            future_lock: VmaFlags::empty(),
            thp: VmaFlags::empty(),
            ours: None,
        })
    }

    /// The top-level translation table.
    pub fn root(&self) -> PhysAddr {
        self.root
    }

    /// The identifier its TLB entries carry.
    #[inline]
    pub fn asid(&self) -> Asid {
        self.context.asid()
    }

    /// The number under which the frame table knows it as a folio's owner.
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// Lets this CPU run user code in this address space from the next exception return on.
    pub fn activate<M: Machine>(&self, mm: &Mm<M>) {
        // Tables that no CPU translated through may have been changed without any barrier (a fork's copy, or an unmap
        // before the first run). The walkers must see that before they can start from this root; else they could
        // cache the way to a table that is gone, and no TLBI would ever come for it.
        mm.count(Event::DsbIshst);
        mm.machine.barrier(Barrier::DsbIshst);
        let asid = mm.asids.activate(&mm.machine, &self.context);
        mm.machine.set_user_table(self.root, asid);
    }

    /// The VMAs, by address.
    pub fn vmas(&self) -> impl Iterator<Item = &Vma> {
        self.vmas.iter()
    }

    /// Calls `f` with every VMA, by address.
    pub fn for_each_vma(&self, f: impl FnMut(&Vma)) {
        self.vmas.iter().for_each(f);
    }

    /// Adds up what is mapped, by reading the tables.
    pub fn usage<M: Machine>(&self, mm: &Mm<M>) -> Usage {
        let mut usage = Usage { rss_pages: self.rss.pages(), ..Usage::default() };
        usage.table_pages = count_tables(&mm.machine, self.root);
        for part in parts(&mm.machine, self.root, VirtAddr::new(0), USER_END) {
            match part {
                Part::Block(..) => usage.pmd_pages += PMD_PAGES,
                Part::Table(first, nr) => {
                    let folded = |index: &usize| ptep_get_raw(&mm.machine, first.add(*index)).is_cont();
                    usage.contpte_pages += (0..nr).step_by(CONT_PTES).filter(folded).count() * CONT_PTES;
                }
            }
        }
        usage
    }

    /// How many pages it maps.
    pub fn rss_pages(&self) -> usize {
        self.rss.pages()
    }

    /// The most pages that it ever mapped at once, or did since [`AddressSpace::forget_peak_rss`].
    #[inline]
    pub fn peak_rss_pages(&self) -> usize {
        self.rss.peak()
    }

    /// What it maps now is the most that it ever did.
    pub fn forget_peak_rss(&mut self) {
        self.rss.set_peak(0);
    }

    /// Pages of address space that are in VMAs.
    pub fn size_pages(&self) -> usize {
        self.vmas.size().pages()
    }

    /// The most pages of address space that were ever in VMAs at once.
    pub fn peak_pages(&self) -> usize {
        self.vmas.size().peak()
    }

    /// Frees everything the address space has. No CPU may run it: the caller switched to another table, or to the
    /// empty one.
    ///
    /// One flush comes first and everything is freed behind it, table by table: with no CPU translating through the
    /// tables and nothing of them left in any TLB, no PTE needs to be cleared any more. The few of a small process are,
    /// so that its tables can be another's without being zeroed.
    pub fn destroy<M: Machine>(self, mm: &Mm<M>) {
        AddressSpace::destroy_in(&mut Some(self), mm);
    }

    /// [`AddressSpace::destroy`], for one that is in `place`: it need not be moved for that. None is left there.
    pub fn destroy_in<M: Machine>(place: &mut Option<Self>, mm: &Mm<M>) {
        if let Some(space) = place {
            space.give_back(mm);
            *place = None;
        }
    }

    fn give_back<M: Machine>(&mut self, mm: &Mm<M>) {
        if !self.asid().is_none() {
            paging::flush::issue_asid(&mm.machine, self.asid()).sync(&mm.machine);
        }
        let mut room = Room::new();
        let mut release = Release::new(mm, &mut room);
        take_apart(&mm.machine, self.root, nearby(self.vmas.as_slice()), &mut release);
        release.table(self.root, true);
        release.finish();
        self.vmas.clear(|vma| release_vma(mm, vma));
    }
}

/// Where the VMAs are, in order, those that lie close together in one range: to begin with a range costs more than to look
/// at the entries between, which are empty. No such range is longer than what is cleared of a table.
fn nearby(vmas: &[Vma]) -> impl Iterator<Item = (VirtAddr, VirtAddr)> {
    let mut left = vmas;
    core::iter::from_fn(move || {
        let (first, mut others) = left.split_first()?;
        let (start, mut end) = (first.start, first.end);
        while let Some((next, behind)) = others.split_first()
            && start.pages_to(next.end) <= CLEARED
            && end.pages_to(next.start) <= NEAR
        {
            (end, others) = (next.end, behind);
        }
        left = others;
        Some((start, end))
    })
}

/// Gives up what a VMA that is gone referred to.
pub(super) fn release_vma<M: Machine>(mm: &Mm<M>, vma: Vma) {
    if let Backing::Object { object, .. } = vma.backing {
        mm.object_put(object);
    }
}

/// Checks a range of user addresses: page-aligned, not empty after rounding the length up to pages, inside user
/// space. Returns where it begins and ends.
///
/// # Errors
/// `EINVAL` for a misaligned or empty range, `ENOMEM` for one that leaves user space.
pub(super) fn check_range(addr: usize, len: usize) -> Result<(VirtAddr, VirtAddr)> {
    let start = VirtAddr::new(addr as u64);
    if !start.is_aligned(PAGE_SIZE) || len == 0 {
        return Err(Errno::EINVAL);
    }
    let bytes = (len as u64).checked_add(PAGE_SIZE - 1).ok_or(Errno::ENOMEM)? & !(PAGE_SIZE - 1);
    match start.get().checked_add(bytes) {
        Some(end) if end <= USER_END.get() => Ok((start, VirtAddr::new(end))),
        _ => Err(Errno::ENOMEM),
    }
}

impl<M: Machine> Mm<M> {
    /// Counts one `event`.
    #[inline(always)]
    pub(super) fn count(&self, event: Event) {
        self.machine.count(event, 1);
    }
}
