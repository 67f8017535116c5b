//! Memory management: folios, address spaces and the policies between them.
//!
//! Everything here runs over a [`Machine`], so the same code serves the booted kernel and host tests. [`Mm`] is the
//! state all address spaces share; an [`AddressSpace`] is one process's.
//!
//! # Lifetime of a frame
//!
//! ```text
//!   buddy (library, lock) <-> per-CPU cache <-> folio: counts in the frame table <-> PTEs
//! ```
//!
//! Every mapping is a reference and every pin is one ([`counts`]); all kinds live in one word and change together, by
//! one atomic update per batch. A frame leaves a folio for the cache only when its references are gone,
//! and a reference is dropped only after the TLB flush that covers the mapping ([`gather`]).
//!
//! # Locking
//!
//! An [`AddressSpace`] is changed through `&mut`, so its owner's lock is held. Inside, in this order: an object's
//! page lock, the swap area's, the buddy lock, the ASID lock. None is held across another of the same kind. Per-CPU state is reached
//! with interrupts masked and needs no lock.

pub mod asid;
pub mod badness;
pub mod block_policy;
pub mod buddy;
pub mod collapse;
pub mod counts;
pub mod cow;
pub mod defrag;
pub mod fault;
pub mod folio;
pub mod folio_stats;
pub mod fork;
pub mod frame;
pub mod frame_info;
pub mod gather;
pub mod hold;
pub mod khugepaged;
mod lazyfree;
pub mod machine;
pub mod madvise;
mod migrate;
pub mod mincore;
pub mod mlock;
pub mod mmap;
mod move_tables;
pub mod mremap;
mod nonpresent;
pub mod object;
mod object_fault;
pub mod object_io;
pub mod overcommit;
mod pageout;
pub mod pcp;
pub mod percpu;
mod pfnmap;
pub mod pin;
pub mod pmd;
pub mod policy;
mod populate;
pub mod protect;
pub mod reclaim;
pub mod refold;
mod release;
pub mod remote;
pub mod show;
pub mod smaps;
mod soft_dirty;
pub mod space;
pub mod stack;
pub mod stats;
pub mod swap;
mod thp_disable;
pub mod uffd;
pub mod uffd_fill;
mod uffd_wp;
pub mod unmap;
pub mod vma;
pub mod vma_list;
pub mod watermark;

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use paging::{Event, PAGE_SIZE, Pfn, PhysAddr};

use asid::AsidAllocator;
use block_policy::BlockPolicy;
use buddy::Buddy;
use counts::Counts;
use defrag::DefragSetting;
use frame::{Folio, FrameTable, Kind, MAX_ORDER};
use khugepaged::settings::Khugepaged;
use overcommit::{Overcommit, Supply};
use pcp::Caches;
use percpu::PerCpu;
use policy::Policy;
use swap::Swap;

pub use fault::{Access, FaultError};
pub use machine::Machine;
pub use mmap::{MapFlags, MapRequest};
pub use mremap::{RemapFlags, RemapRequest};
pub use object::Object;
pub use space::{AddressSpace, Usage};
pub use vma::{Backing, Prot, Vma, VmaFlags};

/// A range of physical memory: the first byte and how many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PhysRange {
    /// The first address.
    pub start: PhysAddr,
    /// Length in bytes.
    pub bytes: u64,
}

/// The state of memory management that is not one process's.
pub struct Mm<M> {
    /// The machine it all runs on.
    pub machine: M,
    /// What every frame is used for.
    pub frames: FrameTable,
    /// Which folio sizes anonymous memory gets.
    pub policy: Policy,
    /// Which folio sizes shared memory gets.
    pub shmem_policy: Policy,
    /// What keeps contpte blocks whole.
    pub blocks: BlockPolicy,
    /// Who makes room for a large folio.
    pub defrag: DefragSetting,
    /// How small pages are made large folios in the background.
    pub khugepaged: Khugepaged,
    /// Address space identifiers.
    pub asids: AsidAllocator,
    /// Where pages go that are paged out.
    pub swap: Swap,
    /// How much memory may be promised.
    pub overcommit: Overcommit,
    /// Whether fork copies PTEs in batches; off only to show what batching buys.
    pub batching: AtomicBool,
    buddy: spin::Mutex<Buddy>,
    caches: PerCpu<Caches>,
    zero_page: Pfn,
    tables: AtomicU64,
    /// Pages that objects have.
    object_pages: AtomicU64,
    /// Of those, pages of files.
    file_pages: AtomicU64,
    /// How many these may be; 0: half of memory.
    file_limit: AtomicU64,
    next_owner: AtomicU32,
}

/// Why memory management could not start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InitError {
    /// No range of memory is large enough for the frame table and a zero page: the machine has too little RAM.
    TooLittleMemory,
}

impl<M: Machine> Mm<M> {
    /// Memory management without any memory yet. Const, so that it can be a static: it is too large for a stack.
    pub const fn new(machine: M) -> Self {
        Mm {
            machine,
            frames: FrameTable::EMPTY,
            policy: Policy::anon(),
            shmem_policy: Policy::shmem(),
            blocks: BlockPolicy::new(),
            defrag: DefragSetting::new(),
            khugepaged: Khugepaged::new(),
            asids: AsidAllocator::new(8),
            swap: Swap::new(),
            overcommit: Overcommit::new(),
            batching: AtomicBool::new(true),
            buddy: spin::Mutex::new(Buddy::new()),
            caches: PerCpu::empty(),
            zero_page: Pfn::new(0),
            tables: AtomicU64::new(0),
            object_pages: AtomicU64::new(0),
            file_pages: AtomicU64::new(0),
            file_limit: AtomicU64::new(0),
            next_owner: AtomicU32::new(1),
        }
    }

    /// Takes over the memory in `usable`, whose ranges are page-aligned, do not overlap and are nobody else's. The
    /// frame table is put at the start of the largest. Address space identifiers have `asid_bits` bits. Once.
    ///
    /// # Errors
    /// [`InitError::TooLittleMemory`].
    pub fn take_over(&mut self, usable: &[PhysRange], asid_bits: u32) -> Result<(), InitError> {
        let (frames, table) = FrameTable::place(&self.machine, usable).ok_or(InitError::TooLittleMemory)?;
        self.frames = frames;
        self.asids = AsidAllocator::new(asid_bits);
        let mut buddy = self.buddy.lock();
        let (lowest, highest) = self.frames.span();
        // Behind the frame table, in the same range.
        let book = table.start.add(table.bytes);
        let taken = table.bytes + Buddy::bookkeeping(lowest, highest);
        let home = usable.iter().find(|range| range.start == table.start);
        if home.is_none_or(|home| home.bytes <= taken) {
            return Err(InitError::TooLittleMemory);
        }
        buddy.keep_book(&self.machine, lowest, highest, book);
        for range in usable {
            let (start, end) = (range.start, range.start.add(range.bytes));
            let start = if start == table.start { start.add(taken) } else { start };
            buddy.add(&self.machine, start, end);
        }
        drop(buddy);
        self.zero_page = self.alloc_zeroed_frame(Kind::Kernel).ok_or(InitError::TooLittleMemory)?;
        Ok(())
    }

    /// Takes `1 << order` frames, aligned to their size, as a folio of `kind` with one reference; contents arbitrary.
    /// `None` when memory is exhausted, even after this CPU's caches went back to the buddy.
    #[inline]
    pub fn alloc_frames(&self, order: u8, kind: Kind, owner: u32) -> Option<Pfn> {
        self.alloc_counted(order, kind, owner, Counts::ONE)
    }

    /// As [`Mm::alloc_frames`], with these counts.
    #[inline(always)]
    fn alloc_counted(&self, order: u8, kind: Kind, owner: u32, counts: Counts) -> Option<Pfn> {
        debug_assert!(order <= MAX_ORDER);
        // SAFETY: the closure touches nothing but the cache and the buddy, so it does not come back here.
        let cached = unsafe { self.caches.with(self.machine.cpu(), |caches| caches.pop(order)) };
        let pfn = match cached {
            Some(pfn) => pfn,
            None => self.refill(order)?,
        };
        self.frames.claim(pfn, order, kind, owner, counts);
        Some(pfn)
    }

    #[cold]
    fn refill(&self, order: u8) -> Option<Pfn> {
        // SAFETY: as in alloc_frames.
        unsafe {
            self.caches.with(self.machine.cpu(), |caches| {
                let mut buddy = self.buddy.lock();
                let mut source = |want, sink: &mut dyn FnMut(Pfn)| {
                    buddy.alloc_some(&self.machine, order, want, &mut |pfn| sink(pfn))
                };
                if let Some(pfn) = caches.refill(order, &mut source) {
                    return Some(pfn);
                }
                // Frames cached as smaller or larger blocks may make one of this order once merged or split.
                self.drain(caches, &mut buddy);
                buddy.alloc(&self.machine, order)
            })
        }
    }

    /// All memory there is.
    pub fn supply(&self) -> Supply {
        Supply { ram: self.total_pages(), swap: self.swap.usage().total as u64 }
    }

    /// Gives all that this CPU caches back to the buddy: before memory is declared exhausted, and for a CPU that goes
    /// idle, whose cache nobody else can reach.
    pub fn drain_caches(&self) {
        let mut buddy = self.buddy.lock();
        // SAFETY: as in alloc_frames.
        unsafe {
            self.caches.with(self.machine.cpu(), |caches| self.drain(caches, &mut buddy));
        }
    }

    /// Gives back a folio whose last reference is gone.
    #[inline]
    pub fn free_frames(&self, pfn: Pfn) {
        let Folio { order, kind, .. } = self.frames.release(pfn);
        self.machine.freed(pfn.addr(), (PAGE_SIZE as usize) << order, kind);
        // SAFETY: as in alloc_frames.
        if unsafe { !self.caches.with(self.machine.cpu(), |caches| caches.push(pfn, order)) } {
            self.free_past_cache(pfn, order);
        }
    }

    #[cold]
    #[inline(never)] // so that who finds room in the cache does not pay for its registers
    fn free_past_cache(&self, pfn: Pfn, order: u8) {
        // SAFETY: as in alloc_frames.
        unsafe {
            self.caches.with(self.machine.cpu(), |caches| {
                let mut buddy = self.buddy.lock();
                caches.drain_half(order, &mut |blocks, order| buddy.free_some(&self.machine, blocks, order));
                buddy.free(&self.machine, pfn, order);
            });
        }
    }

    /// Gives back anonymous folios of `order`, each entered as free in the frame table already.
    fn free_folios(&self, heads: &[Pfn], order: u8) {
        for head in heads {
            self.machine.freed(head.addr(), (PAGE_SIZE as usize) << order, Kind::Anon);
        }
        // SAFETY: as in alloc_frames.
        let kept = unsafe { self.caches.with(self.machine.cpu(), |caches| caches.push_some(heads, order)) };
        if kept < heads.len() {
            self.buddy.lock().free_some(&self.machine, &heads[kept..], order);
        }
    }

    /// One zeroed frame of `kind`; `None` when memory is exhausted.
    pub fn alloc_zeroed_frame(&self, kind: Kind) -> Option<Pfn> {
        let pfn = self.alloc_frames(0, kind, 0)?;
        self.zero(pfn, 1);
        Some(pfn)
    }

    /// A zeroed translation table; `None` when memory is exhausted.
    #[inline]
    pub fn alloc_table(&self) -> Option<PhysAddr> {
        // SAFETY: as in alloc_frames.
        let clean = unsafe { self.caches.with(self.machine.cpu(), Caches::pop_clean) };
        let pfn = match clean {
            Some(pfn) => {
                debug_assert!(self.is_zero(pfn), "{pfn:?} went back as clean and is not");
                self.machine.table_not_zeroed(pfn.addr());
                pfn
            }
            None => self.alloc_zeroed_frame(Kind::Table)?,
        };
        self.tables.fetch_add(1, Ordering::Relaxed);
        Some(pfn.addr())
    }

    fn is_zero(&self, pfn: Pfn) -> bool {
        let words = self.machine.ptr(pfn.addr()).cast::<u64>();
        // SAFETY: the frame is RAM, in nobody's use, and has so many words.
        (0..PAGE_SIZE as usize / 8).all(|index| unsafe { words.add(index).read() } == 0)
    }

    /// Gives back a translation table that no walk can reach any more.
    pub fn free_table(&self, table: PhysAddr) {
        self.count_tables_freed(1);
        self.free_frames(table.pfn());
    }

    /// Gives back translation tables that no walk can reach any more, and whose entries are all zero. Those that the cache
    /// has room for stay entered as tables, which is what they will be again. [`Mm::count_tables_freed`] has yet to hear of
    /// them.
    fn keep_clean_tables(&self, tables: &[Pfn]) {
        // SAFETY: as in alloc_frames.
        let kept = unsafe { self.caches.with(self.machine.cpu(), |caches| caches.push_clean(tables)) };
        for table in &tables[..kept] {
            self.machine.freed(table.addr(), PAGE_SIZE as usize, Kind::Table);
        }
        tables[kept..].iter().for_each(|table| self.free_frames(*table));
    }

    /// Empties a CPU's caches into the buddy.
    fn drain(&self, caches: &mut Caches, buddy: &mut Buddy) {
        caches.drain(&mut |pfn, order| buddy.free(&self.machine, pfn, order));
        caches.drain_clean(&mut |pfn| {
            self.frames.release(pfn);
            buddy.free(&self.machine, pfn, 0);
        });
    }

    /// Notes that so many tables were given back.
    #[inline(always)]
    fn count_tables_freed(&self, tables: u64) {
        self.tables.fetch_sub(tables, Ordering::Relaxed);
    }

    /// Zeroes `pages` frames.
    #[inline(always)]
    pub fn zero(&self, pfn: Pfn, pages: u64) {
        self.machine.count(Event::FramesZeroed, pages);
        self.machine.zero(pfn.addr(), (pages * PAGE_SIZE) as usize);
    }

    /// Copies the contents of `pages` frames.
    #[inline(always)]
    pub fn copy(&self, to: Pfn, from: Pfn, pages: u64) {
        self.machine.count(Event::FramesCopied, pages);
        self.machine.copy(to.addr(), from.addr(), (pages * PAGE_SIZE) as usize);
    }

    /// The frame of zeroes that reads of untouched anonymous memory share. Not counted: its PTEs are special.
    pub fn zero_page(&self) -> Pfn {
        self.zero_page
    }

    /// Frames that nothing uses, those in this CPU's caches included.
    pub fn free_pages(&self) -> u64 {
        // SAFETY: the closure only adds up numbers.
        let cached = unsafe { self.caches.with(self.machine.cpu(), |caches| caches.pages()) };
        self.buddy.lock().free_pages() + cached
    }

    /// Frames that nothing uses, those in any CPU's caches included: for tests, where the other CPUs do nothing.
    #[cfg(test)]
    fn free_pages_everywhere(&self) -> u64 {
        // SAFETY: no other CPU runs in a test, so its slot may be looked at.
        let cached = |cpu| unsafe { self.caches.with(cpu, |caches| caches.pages()) };
        self.buddy.lock().free_pages() + (0..crate::util::MAX_CPUS).map(cached).sum::<u64>()
    }

    /// Frames that memory management took over at boot.
    pub fn total_pages(&self) -> u64 {
        self.buddy.lock().total_pages()
    }

    /// Translation tables of user address spaces in use.
    pub fn table_pages(&self) -> u64 {
        self.tables.load(Ordering::Relaxed)
    }

    /// Pages of files and shared memory.
    pub fn object_pages(&self) -> u64 {
        self.object_pages.load(Ordering::Relaxed)
    }

    /// Pages of files.
    pub fn file_pages(&self) -> u64 {
        self.file_pages.load(Ordering::Relaxed)
    }

    /// A number for a new address space, by which the frame table names the owner of a folio. Starts at 1.
    fn new_owner(&self) -> u32 {
        self.next_owner.fetch_add(1, Ordering::Relaxed)
    }
}
