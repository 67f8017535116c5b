//! Memory of the kernel's tables, and access to it.
//!
//! The first tables come from a pool in the image, because they are needed before any RAM is mapped; what is left of
//! it is used up before frames are asked for.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use paging::mmu::Features;
use paging::tlbi::Tlbi;
use paging::{Barrier, DescAddr, Event, Mmu, PAGE_SIZE, PhysAddr};

use super::super::layout::IMAGE_BASE;
use super::super::{mem, mmu};
use super::{IMAGE_PA, phys_to_ptr, ptr_to_phys};

/// Tables in the pool: three levels for the image and for the linear map, two split blocks at each end of several
/// banks, and a few for the windows.
/// Larger pages make fewer tables.
const POOL_PAGES: usize = if PAGE_SIZE == 4096 { 40 } else { 20 };

#[repr(C)]
#[cfg_attr(feature = "granule-16k", repr(align(16384)))]
#[cfg_attr(feature = "granule-64k", repr(align(65536)))]
#[cfg_attr(not(any(feature = "granule-16k", feature = "granule-64k")), repr(align(4096)))]
struct Page(UnsafeCell<[u8; PAGE_SIZE as usize]>);

// The features are this crate's and `paging`'s, whose own choice it could be without ours.
const _: () = assert!(align_of::<Page>() == PAGE_SIZE as usize && size_of::<Page>() == PAGE_SIZE as usize);

// SAFETY: the kernel accesses tables as descriptors (`KernelTables`), atomically; never through this type.
unsafe impl Sync for Page {}

static POOL: [Page; POOL_PAGES] = [const { Page(UnsafeCell::new([0; PAGE_SIZE as usize])) }; POOL_PAGES];
static POOL_USED: AtomicUsize = AtomicUsize::new(0);
static EMPTY: Page = Page(UnsafeCell::new([0; PAGE_SIZE as usize]));

/// The table without entries. Nobody writes to it.
pub fn empty_table() -> PhysAddr {
    PhysAddr::new(ptr_to_phys(EMPTY.0.get()))
}

/// A zeroed page for a table, from the pool or else from `source`, which returns a frame with any content.
pub fn allocate(source: &mut impl FnMut() -> Option<u64>) -> Option<PhysAddr> {
    // Callers hold the map's lock, so this cannot pass the end by more than it can count.
    if let Some(page) = POOL.get(POOL_USED.load(Ordering::Relaxed)) {
        POOL_USED.fetch_add(1, Ordering::Relaxed);
        return Some(PhysAddr::new(ptr_to_phys(page.0.get())));
    }
    let frame = source()?;
    // SAFETY: the frame is ours, whole, and in the linear map, which is in place before `source` returns any.
    unsafe { mem::zero(phys_to_ptr(frame), PAGE_SIZE as usize) };
    Some(PhysAddr::new(frame))
}

/// The kernel's tables as `paging` works on them. Not counted: statistics are about user memory.
pub struct KernelTables;

fn descriptor(at: DescAddr) -> &'static AtomicU64 {
    let image_pa = IMAGE_PA.load(Ordering::Relaxed);
    // Tables in the image are reached through it: at first there is no linear map.
    let in_image = at.get().wrapping_sub(image_pa) < POOL_END.load(Ordering::Relaxed);
    let ptr = if in_image {
        (IMAGE_BASE + (at.get() - image_pa) as usize) as *const AtomicU64
    } else {
        phys_to_ptr(at.get()).cast_const().cast()
    };
    // SAFETY: `paging` asks for descriptors in tables only, and these are page-aligned pages from `allocate`: mapped,
    // writable, and never accessed in another way.
    unsafe { &*ptr }
}

/// The first offset in the image behind all of its tables.
static POOL_END: AtomicU64 = AtomicU64::new(0);

/// Tells where the image is. Before anything else here.
pub fn init(image_pa: u64) {
    IMAGE_PA.store(image_pa, Ordering::Relaxed);
    let end = |page: &Page| (page.0.get() as usize - IMAGE_BASE) as u64 + PAGE_SIZE;
    POOL_END.store(POOL.iter().map(end).max().unwrap_or(0), Ordering::Relaxed);
}

impl Mmu for KernelTables {
    fn load(&self, at: DescAddr) -> u64 {
        descriptor(at).load(Ordering::Relaxed)
    }

    fn store(&self, at: DescAddr, value: u64) {
        descriptor(at).store(value, Ordering::Relaxed);
    }

    fn swap(&self, at: DescAddr, value: u64) -> u64 {
        descriptor(at).swap(value, Ordering::Relaxed)
    }

    fn compare_exchange(&self, at: DescAddr, old: u64, new: u64) -> Result<(), u64> {
        descriptor(at).compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).map(|_| ())
    }

    fn barrier(&self, barrier: Barrier) {
        match barrier {
            Barrier::DsbIshst => mmu::dsb_ishst(),
            Barrier::DsbIsh => mmu::dsb_ish(),
            Barrier::DsbNsh => mmu::dsb_nsh(),
            Barrier::Isb => mmu::isb(),
        }
    }

    fn tlbi(&self, _: Tlbi) {
        // Nothing of the kernel's is ever unmapped, so nothing asks for less than everything.
        mmu::tlbi_vmalle1is();
    }

    fn features(&self) -> Features {
        Features::default()
    }

    fn count(&self, _: Event, _: u64) {}
}
