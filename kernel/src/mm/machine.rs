//! What memory management asks of the machine beyond its translation tables.

use paging::{Asid, Mmu, PhysAddr};

use super::folio_stats::FolioEvent;
use super::frame::Kind;

/// A machine with memory that the kernel can reach, and CPUs that run address spaces.
///
/// # Safety
/// `ptr` gives, for every address in the ranges handed to [`super::Mm::new`], a pointer through which those bytes
/// may be read and written for the machine's lifetime, contiguous within a range and aligned like the address up to
/// 2 MiB. `cpu` is below [`crate::util::MAX_CPUS`] and names the CPU it is called on, which runs nothing else of the
/// kernel until the caller returns: two threads of execution never see the same number at the same time.
pub unsafe trait Machine: Mmu {
    /// Where the kernel reaches the byte at `pa`.
    fn ptr(&self, pa: PhysAddr) -> *mut u8;

    /// The address that [`Machine::ptr`] gave `ptr` for.
    fn pa(&self, ptr: *mut u8) -> PhysAddr;

    /// Zeroes `bytes` bytes, a multiple of the page size, from the page-aligned `pa`.
    fn zero(&self, pa: PhysAddr, bytes: usize);

    /// Copies `bytes` bytes, a multiple of the page size, between page-aligned ranges that do not overlap.
    fn copy(&self, to: PhysAddr, from: PhysAddr, bytes: usize);

    /// Makes `bytes` bytes from `pa` that were written as data visible to instruction fetches on all CPUs.
    fn sync_icache(&self, pa: PhysAddr, bytes: usize);

    /// The number of this CPU, 0-based.
    fn cpu(&self) -> usize;

    /// Lets this CPU translate user addresses through the table `root`, its TLB entries tagged `asid`.
    fn set_user_table(&self, root: PhysAddr, asid: Asid);

    /// Invalidates this CPU's whole TLB and waits; after an ASID rollover.
    fn flush_local(&self);

    /// Counts one `event` of a folio of `order`.
    fn count_folio(&self, event: FolioEvent, order: u8);

    /// How often `event` happened to folios of `order`, on all CPUs.
    fn folios_counted(&self, event: FolioEvent, order: u8) -> u64;

    /// The page at `pa` is to be a table and will not be zeroed: it is filled before it is linked, or is zero. For
    /// machines that know what its words meant in an earlier table; the real one has no opinion.
    #[inline(always)]
    fn table_not_zeroed(&self, pa: PhysAddr) {
        let _ = pa;
    }

    /// The `bytes` bytes from `pa`, used as `kind`, went back to the allocator. For machines that check that nobody
    /// could still reach them; the real one has no opinion.
    #[inline(always)]
    fn freed(&self, pa: PhysAddr, bytes: usize, kind: Kind) {
        let _ = (pa, bytes, kind);
    }
}
