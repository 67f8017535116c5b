//! Statistics of each folio size: what `/sys/kernel/mm/transparent_hugepage/hugepages-<size>kB/stats` tells.
//!
//! What happens is counted per CPU, where a folio of more than a page is made or paged out; how many there are is found
//! by a look at every folio, when somebody asks. Memory that nobody uses is passed over by the pageblock, so that asking
//! costs what is used, however much there is.
//!
//! Linux splits a folio when part of it goes away, and charges it to somebody. Here a folio stays one until all of it is
//! free, and nobody is charged: what Linux counts of that stays 0, and has no counter ([`NEVER`]).

use core::sync::atomic::{AtomicU64, Ordering};

use paging::Pfn;

use super::Mm;
use super::frame::{Folio, Kind, MAX_ORDER};
use super::machine::Machine;

/// Folio orders, 0 included.
const ORDERS: usize = MAX_ORDER as usize + 1;

/// Something that happens to a folio of more than a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum FolioEvent {
    /// A fault on anonymous memory was given one, for a first touch or for a copy.
    AnonFaultAlloc,
    /// Such a fault was to be given one, and memory was missing for it.
    AnonFaultFallback,
    /// All of one went to swap together.
    Swpout,
    /// Part of one stayed behind, for want of swap.
    SwpoutFallback,
    /// Shared memory was given one.
    ShmemAlloc,
    /// Shared memory was to be given one, and memory was missing for it.
    ShmemFallback,
}

impl FolioEvent {
    const COUNT: usize = 6;
}

/// A file of a size's `stats`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FolioStat {
    /// How often something happened.
    Happened(FolioEvent),
    /// How many anonymous folios there are.
    NrAnon,
    /// How many of them have pages that nobody maps: their memory comes back only with the rest of the folio.
    NrAnonPartiallyMapped,
}

impl FolioStat {
    /// The files, by name (Linux: Documentation/admin-guide/mm/transhuge.rst).
    pub const FILES: [(&'static str, FolioStat); 8] = [
        ("anon_fault_alloc", FolioStat::Happened(FolioEvent::AnonFaultAlloc)),
        ("anon_fault_fallback", FolioStat::Happened(FolioEvent::AnonFaultFallback)),
        ("nr_anon", FolioStat::NrAnon),
        ("nr_anon_partially_mapped", FolioStat::NrAnonPartiallyMapped),
        ("shmem_alloc", FolioStat::Happened(FolioEvent::ShmemAlloc)),
        ("shmem_fallback", FolioStat::Happened(FolioEvent::ShmemFallback)),
        ("swpout", FolioStat::Happened(FolioEvent::Swpout)),
        ("swpout_fallback", FolioStat::Happened(FolioEvent::SwpoutFallback)),
    ];
}

/// Linux's files that count what never happens here.
pub const NEVER: [&str; 5] =
    ["anon_fault_fallback_charge", "shmem_fallback_charge", "split", "split_deferred", "split_failed"];

/// One CPU's counts, written by that CPU only and read by anyone.
pub struct FolioCounters([[AtomicU64; ORDERS]; FolioEvent::COUNT]);

impl FolioCounters {
    /// Everything zero.
    pub const fn new() -> Self {
        FolioCounters([const { [const { AtomicU64::new(0) }; ORDERS] }; FolioEvent::COUNT])
    }

    /// Counts one `event` of a folio of `order`. Only on the CPU whose counts these are.
    #[inline(always)]
    pub fn add(&self, event: FolioEvent, order: u8) {
        let Some(counter) = self.0[event as usize].get(usize::from(order)) else { return };
        // One writer, as in `stats`.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// How often `event` happened to folios of `order`.
    pub fn get(&self, event: FolioEvent, order: u8) -> u64 {
        self.0[event as usize].get(usize::from(order)).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}

impl Default for FolioCounters {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Machine> Mm<M> {
    /// What a file of the `stats` of folios of `order` says.
    pub fn folio_stat(&self, stat: FolioStat, order: u8) -> u64 {
        let of_order = |counts: [u64; ORDERS]| counts.get(usize::from(order)).copied().unwrap_or(0);
        match stat {
            FolioStat::Happened(event) => self.machine.folios_counted(event, order),
            FolioStat::NrAnon => of_order(self.anon_folios()),
            FolioStat::NrAnonPartiallyMapped => of_order(self.partially_mapped_folios()),
        }
    }

    /// The number of anonymous folios of each order, found by a look at every frame.
    pub fn anon_folios(&self) -> [u64; ORDERS] {
        self.count_anon_folios(|_, _| true)
    }

    /// The number of anonymous folios of each order that have fewer mappings than pages. One that others map as well may
    /// have pages that nobody maps, and is not among them: mappings are counted by the folio.
    fn partially_mapped_folios(&self) -> [u64; ORDERS] {
        self.count_anon_folios(|pages, maps| (1..pages).contains(&maps))
    }

    /// Pages of anonymous memory, and those of files and shared memory that are mapped: one look at every folio. Mappings
    /// are counted by the folio: one that is mapped more often than it has pages is taken to be mapped whole.
    pub fn anon_and_mapped_pages(&self) -> [u64; 2] {
        let [mut anon, mut mapped] = [0; 2];
        self.for_each_folio(|folio, maps| match folio.kind {
            Kind::Object => mapped += maps.min(folio.span().pages),
            _ => anon += folio.span().pages,
        });
        [anon, mapped]
    }

    /// Counts the anonymous folios for whose pages and mappings `which` holds.
    fn count_anon_folios(&self, which: impl Fn(u64, u64) -> bool) -> [u64; ORDERS] {
        let mut counts = [0; ORDERS];
        self.for_each_folio(|folio, maps| {
            if folio.kind == Kind::Anon && which(folio.span().pages, maps) {
                counts[usize::from(folio.order)] += 1;
            }
        });
        counts
    }

    /// Calls `f` with each folio of anonymous memory and of objects, and how often it is mapped.
    fn for_each_folio(&self, mut f: impl FnMut(Folio, u64)) {
        let mut next = self.frames.span().0.pfn();
        loop {
            // The lock is not kept, so what comes next is asked anew for each pageblock.
            let Some(start) = self.buddy.lock().next_lent(next) else { return };
            next = Pfn::new((start.get() | ((1 << MAX_ORDER) - 1)) + 1);
            let mut pfn = start;
            while pfn < next && self.frames.contains(pfn) {
                let folio = self.frames.folio(pfn);
                let is_one = matches!(folio.kind, Kind::Anon | Kind::Object) && folio.head == pfn;
                if is_one {
                    f(folio, u64::from(self.frames.counts(pfn).maps));
                }
                pfn = pfn.add(if is_one { folio.span().pages } else { 1 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use paging::{CONT_PTES, PAGE_SIZE};

    use super::*;
    use crate::mm::Object;
    use crate::mm::hold::Held;
    use crate::mm::policy::{BLOCK_ORDER, Setting};
    use crate::mm::testing::{HostMachine, Process, machine};
    use crate::mm::vma::VmaFlags;

    const BASE: usize = 0x100_0000;
    const BLOCK: usize = CONT_PTES * PAGE_SIZE as usize;

    fn happened(mm: &Mm<HostMachine>, event: FolioEvent, order: u8) -> u64 {
        mm.folio_stat(FolioStat::Happened(event), order)
    }

    /// Takes all memory but `frames` frames.
    fn hold_but(mm: &Mm<HostMachine>, frames: u64) -> Held<'_, HostMachine> {
        let mut held = mm.hold_all();
        assert!(held.release(frames));
        held
    }

    #[test]
    fn faults_count_the_folio_that_they_get_and_the_ones_they_could_not_have() {
        let mm = machine();
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 3 * CONT_PTES);
        process.write(BASE, 1).unwrap();
        assert_eq!(happened(&mm, FolioEvent::AnonFaultAlloc, BLOCK_ORDER), 1);
        let child = process.fork().unwrap();
        process.write(BASE, 2).unwrap();
        assert_eq!(happened(&mm, FolioEvent::AnonFaultAlloc, BLOCK_ORDER), 2, "the copy is one as well");
        child.exit();
        process.write(BASE + BLOCK, 1).unwrap();
        mm.policy.set(BLOCK_ORDER, Setting::Never);
        process.write(BASE + 2 * BLOCK, 1).unwrap();
        assert_eq!(happened(&mm, FolioEvent::AnonFaultAlloc, BLOCK_ORDER), 3, "a page is none");
        assert_eq!(happened(&mm, FolioEvent::AnonFaultFallback, BLOCK_ORDER), 0);
        process.exit();
    }

    #[test]
    fn missing_memory_is_a_fallback_of_each_size_that_was_tried() {
        let mm = machine();
        mm.policy.set(1, Setting::Always);
        let mut process = Process::new(&mm);
        process.map_anon(BASE, CONT_PTES);
        process.read(BASE).unwrap();
        let held = hold_but(&mm, 1);
        process.write(BASE + BLOCK - 1, 1).unwrap();
        drop(held);
        // The entry at the start is in the way of a block, which is not even tried.
        assert_eq!(happened(&mm, FolioEvent::AnonFaultFallback, 1), 1);
        assert_eq!(happened(&mm, FolioEvent::AnonFaultFallback, BLOCK_ORDER), 0);
        process.exit();
    }

    #[test]
    fn folios_that_lost_pages_are_partially_mapped_until_all_of_them_are_gone() {
        let mm = machine();
        let mut process = Process::new(&mm);
        process.map_anon(BASE, CONT_PTES);
        process.write(BASE, 1).unwrap();
        let count = || {
            (
                mm.folio_stat(FolioStat::NrAnon, BLOCK_ORDER),
                mm.folio_stat(FolioStat::NrAnonPartiallyMapped, BLOCK_ORDER),
            )
        };
        assert_eq!(count(), (1, 0));
        process.space.munmap(&mm, BASE, PAGE_SIZE as usize).unwrap();
        assert_eq!(count(), (1, 1));
        process.space.munmap(&mm, BASE, BLOCK).unwrap();
        assert_eq!(count(), (0, 0));
        process.exit();
    }

    #[test]
    fn only_shared_memory_counts_as_that() {
        let mm = machine();
        let shared = Object::shmem(2 * BLOCK as u64).unwrap();
        mm.object_page(&shared, 0, VmaFlags::empty()).unwrap();
        assert_eq!(happened(&mm, FolioEvent::ShmemAlloc, BLOCK_ORDER), 1);
        static DATA: [u8; 1 << 21] = [1; 1 << 21];
        let file = Object::file(&DATA).unwrap();
        mm.object_page(&file, 0, VmaFlags::empty()).unwrap();
        assert_eq!(happened(&mm, FolioEvent::ShmemAlloc, BLOCK_ORDER), 1);
        let held = hold_but(&mm, 1);
        mm.object_page(&shared, CONT_PTES as u64, VmaFlags::empty()).unwrap();
        drop(held);
        assert_eq!(happened(&mm, FolioEvent::ShmemFallback, BLOCK_ORDER), 1);
        assert_eq!(happened(&mm, FolioEvent::ShmemAlloc, 0), 0, "a page is none");
        mm.object_put(shared);
        mm.object_put(file);
    }
}
