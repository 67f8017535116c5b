//! A machine for host tests of memory management: `paging`'s simulated tables over real, aligned host memory.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use paging::mmu::{Barrier, Features};
use paging::tlbi::Tlbi;
use paging::walk::lookup;
use paging::{Asid, DescAddr, Event, Mmu, PAGE_SIZE, PhysAddr, Pte, VirtAddr};

use super::fault::Access;
use super::stats::Counters;
use super::{AddressSpace, Backing, FaultError, Machine, MapFlags, MapRequest, Mm, PhysRange, Prot};

/// The first address of the machine's RAM.
pub const RAM: PhysAddr = PhysAddr::new(0x4000_0000);
/// Frames of a machine made by [`machine`]: 16 MiB.
pub const FRAMES: usize = 4096;

/// Host memory dressed up as a machine.
pub struct HostMachine {
    ram: *mut u8,
    layout: Layout,
    features: Features,
    cpu: AtomicUsize,
    counters: Counters,
}

impl HostMachine {
    /// A machine with `frames` frames.
    pub fn new(frames: usize, features: Features) -> Self {
        let layout = Layout::from_size_align(frames * PAGE_SIZE as usize, 2 << 20).unwrap();
        // SAFETY: the layout is not empty.
        let ram = unsafe { alloc_zeroed(layout) };
        assert!(!ram.is_null());
        HostMachine { ram, layout, features, cpu: AtomicUsize::new(0), counters: Counters::new() }
    }

    /// What follows runs on another CPU.
    pub fn run_on(&self, cpu: usize) {
        self.cpu.store(cpu, Ordering::Relaxed);
    }

    /// How often `event` was counted.
    pub fn counted(&self, event: Event) -> u64 {
        self.counters.total(event)
    }

    fn desc(&self, at: DescAddr) -> &AtomicU64 {
        let ptr = self.ptr(PhysAddr::new(at.get())).cast::<AtomicU64>();
        // SAFETY: `ptr` checked that the address is in RAM; descriptors are 8-byte aligned and only used as atomics.
        unsafe { &*ptr }
    }
}

impl Drop for HostMachine {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.ram, self.layout) };
    }
}

impl Mmu for HostMachine {
    fn load(&self, at: DescAddr) -> u64 {
        self.desc(at).load(Ordering::Relaxed)
    }

    fn store(&self, at: DescAddr, value: u64) {
        self.desc(at).store(value, Ordering::Relaxed);
    }

    fn swap(&self, at: DescAddr, value: u64) -> u64 {
        self.desc(at).swap(value, Ordering::Relaxed)
    }

    fn compare_exchange(&self, at: DescAddr, old: u64, new: u64) -> Result<(), u64> {
        self.desc(at).compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).map(|_| ())
    }

    fn barrier(&self, _: Barrier) {}

    fn tlbi(&self, _: Tlbi) {}

    fn features(&self) -> Features {
        self.features
    }

    fn count(&self, event: Event, n: u64) {
        self.counters.add(self.cpu(), event, n);
    }
}

// SAFETY: `ptr` stays inside the allocation, which lives as long as the machine and is 2 MiB-aligned like RAM; a
// test uses its machine from one thread.
unsafe impl Machine for HostMachine {
    fn ptr(&self, pa: PhysAddr) -> *mut u8 {
        let offset = (pa.get() - RAM.get()) as usize;
        assert!(offset < self.layout.size(), "{pa:?} is not RAM");
        self.ram.wrapping_add(offset)
    }

    fn pa(&self, ptr: *mut u8) -> PhysAddr {
        RAM.add((ptr as usize - self.ram as usize) as u64)
    }

    fn zero(&self, pa: PhysAddr, bytes: usize) {
        // SAFETY: the caller's frames are in RAM and its own.
        unsafe { self.ptr(pa).write_bytes(0, bytes) };
    }

    fn copy(&self, to: PhysAddr, from: PhysAddr, bytes: usize) {
        // SAFETY: as for zero; the ranges do not overlap.
        unsafe { self.ptr(to).copy_from_nonoverlapping(self.ptr(from), bytes) };
    }

    fn sync_icache(&self, _: PhysAddr, _: usize) {}

    fn cpu(&self) -> usize {
        self.cpu.load(Ordering::Relaxed)
    }

    fn set_user_table(&self, _: PhysAddr, _: Asid) {}

    fn flush_local(&self) {}
}

/// Memory management over a fresh machine of [`FRAMES`] frames.
pub fn machine() -> Mm<HostMachine> {
    sized(FRAMES)
}

/// Memory management over a fresh machine of `frames` frames.
pub fn sized(frames: usize) -> Mm<HostMachine> {
    let machine = HostMachine::new(frames, Features { tlbi_range: true, ..Features::default() });
    let mut mm = Mm::new(machine);
    mm.take_over(&[PhysRange { start: RAM, bytes: frames as u64 * PAGE_SIZE }], 16).unwrap();
    // What the first address space needs once and for all is not a leak of the test that makes it.
    mm.asids.prepare().unwrap();
    mm
}

/// A process's view in a test: an address space, read and written as a CPU would, faults and all.
pub struct Process<'m> {
    /// Its memory management.
    pub mm: &'m Mm<HostMachine>,
    /// Its address space.
    pub space: AddressSpace,
}

impl<'m> Process<'m> {
    /// A process with nothing mapped.
    pub fn new(mm: &'m Mm<HostMachine>) -> Self {
        let space = AddressSpace::new(mm).unwrap();
        space.activate(mm);
        Process { mm, space }
    }

    /// Maps private anonymous memory of `pages` pages at `addr`, readable and writable.
    pub fn map_anon(&mut self, addr: usize, pages: usize) {
        let request = MapRequest {
            addr,
            len: pages * PAGE_SIZE as usize,
            prot: Prot::READ | Prot::WRITE,
            flags: MapFlags::FIXED,
            backing: Backing::Anon,
        };
        assert_eq!(self.space.mmap(self.mm, request), Ok(addr));
    }

    /// The entry for `addr`.
    pub fn pte(&self, addr: usize) -> Pte {
        let at = lookup(&self.mm.machine, self.space.root(), VirtAddr::new(addr as u64));
        at.map_or(Pte::NONE, |at| Pte::from_raw(self.mm.machine.load(at.desc())))
    }

    fn resolve(&mut self, addr: usize, access: Access) -> Result<*mut u8, FaultError> {
        for _ in 0..8 {
            let pte = self.pte(addr);
            let permitted = pte.is_valid()
                && pte.is_young()
                && (access != Access::Write || pte.is_hw_dirty())
                && (access != Access::Exec || pte.is_user_exec());
            if permitted {
                return Ok(self.mm.machine.ptr(pte.pfn().addr().add(addr as u64 % PAGE_SIZE)));
            }
            self.space.fault(self.mm, addr, access)?;
        }
        panic!("an endless fault loop at {addr:#x}: {:?}", self.pte(addr));
    }

    /// Loads a byte.
    pub fn read(&mut self, addr: usize) -> Result<u8, FaultError> {
        // SAFETY: `resolve` gives a pointer into RAM.
        Ok(unsafe { self.resolve(addr, Access::Read)?.read() })
    }

    /// Stores a byte.
    pub fn write(&mut self, addr: usize, value: u8) -> Result<(), FaultError> {
        // SAFETY: as for read.
        unsafe { self.resolve(addr, Access::Write)?.write(value) };
        Ok(())
    }

    /// Forks.
    pub fn fork(&mut self) -> crate::errno::Result<Process<'m>> {
        let space = self.space.fork(self.mm)?;
        space.activate(self.mm);
        Ok(Process { mm: self.mm, space })
    }

    /// Exits.
    pub fn exit(self) {
        self.space.destroy(self.mm);
    }
}
