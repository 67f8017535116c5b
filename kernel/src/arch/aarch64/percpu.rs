//! What each CPU has to itself, found through TPIDR_EL1.
//!
//! Invariant: from [`init`] on, TPIDR_EL1 of a CPU points to its element of `CPUS` for ever. Only that CPU touches
//! the element, and the kernel is not preempted at EL1, so plain accesses through `Cell` do. The counters are read by all.

use core::cell::{Cell, UnsafeCell};
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use aarch64_cpu::registers::{Readable, TPIDR_EL1, Writeable};

use paging::Event;

use crate::mm::folio_stats::FolioCounters;
use crate::mm::stats::Counters;
use crate::util::MAX_CPUS;

/// Bytes of the stack on which a kernel stack overflow is reported.
const EMERGENCY_BYTES: usize = 8 << 10;

/// On cache lines of its own: CPUs writing neighbouring elements would otherwise fight over them.
#[repr(C, align(128))]
struct PerCpu {
    id: Cell<usize>,
    current: Cell<*mut ()>,
    emergency_top: Cell<usize>,
    /// Here and not in an array of their own, as each is counted many times a fault: the place is an offset.
    counters: Counters,
    folios: FolioCounters,
}

impl PerCpu {
    const fn new() -> Self {
        PerCpu {
            id: Cell::new(0),
            current: Cell::new(ptr::null_mut()),
            emergency_top: Cell::new(0),
            counters: Counters::new(),
            folios: FolioCounters::new(),
        }
    }
}

/// Where in a CPU's data the top of its emergency stack is, for `vectors.s`.
pub(super) const EMERGENCY_TOP_OFFSET: usize = offset_of!(PerCpu, emergency_top);

#[repr(transparent)]
struct PerCpus([PerCpu; MAX_CPUS]);

// SAFETY: the cells of each element are used by one CPU only (module doc); the counters are atomics.
unsafe impl Sync for PerCpus {}

static CPUS: PerCpus = PerCpus([const { PerCpu::new() }; MAX_CPUS]);

#[repr(C, align(16))]
struct EmergencyStacks(UnsafeCell<[[u8; EMERGENCY_BYTES]; MAX_CPUS]>);

// SAFETY: never accessed through this static; each CPU uses its own stack as a stack.
unsafe impl Sync for EmergencyStacks {}

static EMERGENCY: EmergencyStacks = EmergencyStacks(UnsafeCell::new([[0; EMERGENCY_BYTES]; MAX_CPUS]));

static ONLINE: AtomicUsize = AtomicUsize::new(0);

/// How many CPUs run.
pub fn online() -> usize {
    ONLINE.load(Ordering::Relaxed)
}

/// Gives this CPU its data. Before anything else on it, exceptions included.
///
/// `id` is the CPU's 0-based number, below [`MAX_CPUS`], which no other CPU has.
pub fn init(id: usize) {
    let cpu = &CPUS.0[id];
    cpu.id.set(id);
    cpu.emergency_top.set(EMERGENCY.0.get() as usize + (id + 1) * EMERGENCY_BYTES);
    TPIDR_EL1.set(ptr::from_ref(cpu) as u64);
    ONLINE.fetch_add(1, Ordering::Relaxed);
}

#[inline(always)]
fn this() -> &'static PerCpu {
    // SAFETY: TPIDR_EL1 points to an element of `CPUS` (invariant of the module).
    unsafe { &*(TPIDR_EL1.get() as *const PerCpu) }
}

/// The 0-based number of this CPU, below [`MAX_CPUS`].
#[inline(always)]
pub fn cpu_id() -> usize {
    this().id.get()
}

/// What [`set_current`] stored last on this CPU; null before. Owned by `proc`: the running thread.
#[inline(always)]
pub fn current() -> *mut () {
    this().current.get()
}

/// Stores the pointer that [`current`] returns on this CPU.
#[inline(always)]
pub fn set_current(thread: *mut ()) {
    this().current.set(thread);
}

/// This CPU's counts of events.
#[inline(always)]
pub fn counters() -> &'static Counters {
    &this().counters
}

/// This CPU's counts of page faults, and of those among them that read from swap: a page each.
#[inline(always)]
pub fn faults() -> [u64; 2] {
    let counters = counters();
    [counters.get(Event::PageFaults), counters.get(Event::PswpIn)]
}

/// This CPU's counts of what happens to folios.
#[inline(always)]
pub fn folio_counters() -> &'static FolioCounters {
    &this().folios
}

/// The counts of what happens to folios of every CPU.
pub fn all_folio_counters() -> impl Iterator<Item = &'static FolioCounters> {
    CPUS.0.iter().map(|cpu| &cpu.folios)
}

/// The counts of events of every CPU.
pub fn all_counters() -> impl Iterator<Item = &'static Counters> {
    CPUS.0.iter().map(|cpu| &cpu.counters)
}
