//! The machine of host tests: the model's simulated machine, whose TLBs take every liberty the architecture leaves and
//! whose checker panics at the first rule that memory management breaks.

use core::cell::Cell;

use model::Action;
use model::machine::{Adversary, Machine as Model, MachineConfig};
use paging::mmu::{Barrier, Features};
use paging::tlbi::Tlbi;
use paging::{Asid, DescAddr, Event, Mmu, PAGE_SIZE, PhysAddr, Pte, VirtAddr};

use super::fault::Access;
use super::folio_stats::{FolioCounters, FolioEvent};
use super::frame::{Kind, MAX_ORDER};
use super::policy::{BLOCK_ORDER, Setting};
use super::{AddressSpace, Backing, FaultError, Machine, MapFlags, MapRequest, Mm, PhysRange, Prot};

/// The first address of the machine's RAM.
pub const RAM: PhysAddr = PhysAddr::new(0x4000_0000);
/// Frames of a machine made by [`machine`]: 16 MiB in pages of 4 KiB.
pub const FRAMES: usize = 4096;
/// CPUs of every machine.
pub const CPUS: usize = 2;

/// The simulated machine, and which user table each of its CPUs has loaded.
pub struct HostMachine {
    model: Model,
    loaded: [Cell<PhysAddr>; CPUS],
    /// A table of no entries: what a CPU has loaded that runs no process.
    empty: Cell<PhysAddr>,
    folios: FolioCounters,
}

impl HostMachine {
    /// What follows runs on another CPU (0-based).
    pub fn run_on(&self, cpu: usize) {
        self.model.run_on(cpu);
    }

    /// How often `event` was counted.
    pub fn counted(&self, event: Event) -> u64 {
        self.model.counted(event)
    }

    /// Starts a new sequence of the adversary's choices.
    pub fn choose_by(&self, adversary: Adversary) {
        self.model.set_adversary(adversary);
    }

    /// Every CPU for which `which` holds and that has `root` loaded switches to the empty table, as a CPU does whose
    /// process exits or goes elsewhere.
    fn leave(&self, root: PhysAddr, which: impl Fn(usize) -> bool) {
        let here = self.model.cpu();
        for cpu in (0..CPUS).filter(|cpu| which(*cpu) && self.loaded[*cpu].get() == root) {
            self.model.run_on(cpu);
            self.barrier(Barrier::DsbIshst);
            self.set_user_table(self.empty.get(), Asid::NONE);
        }
        self.model.run_on(here);
    }
}

impl Mmu for HostMachine {
    fn load(&self, at: DescAddr) -> u64 {
        self.model.load(at)
    }

    fn store(&self, at: DescAddr, value: u64) {
        self.model.store(at, value);
    }

    fn swap(&self, at: DescAddr, value: u64) -> u64 {
        self.model.swap(at, value)
    }

    fn compare_exchange(&self, at: DescAddr, old: u64, new: u64) -> Result<(), u64> {
        self.model.compare_exchange(at, old, new)
    }

    fn barrier(&self, barrier: Barrier) {
        self.model.barrier(barrier);
    }

    fn tlbi(&self, tlbi: Tlbi) {
        self.model.tlbi(tlbi);
    }

    fn features(&self) -> Features {
        self.model.features()
    }

    fn count(&self, event: Event, n: u64) {
        self.model.count(event, n);
    }
}

// SAFETY: the model's memory is one allocation that lives as long as it does, 2 MiB-aligned like its first address; a
// machine is used from one thread, which acts for one CPU at a time.
unsafe impl Machine for HostMachine {
    fn ptr(&self, pa: PhysAddr) -> *mut u8 {
        self.model.ptr(pa)
    }

    fn pa(&self, ptr: *mut u8) -> PhysAddr {
        self.model.pa(ptr)
    }

    fn zero(&self, pa: PhysAddr, bytes: usize) {
        self.model.zero(pa, bytes);
    }

    fn copy(&self, to: PhysAddr, from: PhysAddr, bytes: usize) {
        self.model.copy(to, from, bytes);
    }

    fn sync_icache(&self, pa: PhysAddr, bytes: usize) {
        self.model.sync_icache(pa, bytes);
    }

    fn cpu(&self) -> usize {
        self.model.cpu()
    }

    fn set_user_table(&self, root: PhysAddr, asid: Asid) {
        self.loaded[self.model.cpu()].set(root);
        self.model.set_user_table(root, asid);
    }

    fn count_folio(&self, event: FolioEvent, order: u8) {
        self.folios.add(event, order);
    }

    fn folios_counted(&self, event: FolioEvent, order: u8) -> u64 {
        self.folios.get(event, order)
    }

    fn flush_local(&self) {
        self.model.flush_local();
    }

    fn table_not_zeroed(&self, pa: PhysAddr) {
        // No walk leads here yet, so nobody may use what it was; that is what zeroing a page says to the model.
        self.model.zero(pa, PAGE_SIZE as usize);
    }

    fn freed(&self, pa: PhysAddr, bytes: usize, kind: Kind) {
        let action = match kind {
            Kind::Table => Action::TableFreed { pa: pa.get() },
            _ => Action::FramesFreed { pa: pa.get(), bytes: bytes as u64 },
        };
        self.model.emit(self.model.cpu(), action);
    }
}

/// Memory management over a fresh machine of [`FRAMES`] frames, without hardware access flag and dirty state.
pub fn machine() -> Mm<HostMachine> {
    sized(FRAMES)
}

/// Memory management over a fresh machine of `frames` frames, without hardware access flag and dirty state.
pub fn sized(frames: usize) -> Mm<HostMachine> {
    with(frames, MachineConfig::default())
}

/// Memory management over a fresh machine of `frames` frames that is otherwise as `config` says. Anonymous memory gets
/// contpte blocks, whatever the granule: they are what most tests are about.
pub fn with(frames: usize, config: MachineConfig) -> Mm<HostMachine> {
    let bytes = frames as u64 * PAGE_SIZE;
    let config = MachineConfig {
        cpus: CPUS,
        ram_base: RAM.get(),
        ram_bytes: bytes as usize,
        panic_on_violation: true,
        ..config
    };
    let model = Model::new(config);
    let none = PhysAddr::new(0);
    let mut mm = Mm::new(HostMachine {
        model,
        loaded: [const { Cell::new(PhysAddr::new(0)) }; CPUS],
        empty: Cell::new(none),
        folios: FolioCounters::new(),
    });
    mm.take_over(&[PhysRange { start: RAM, bytes }], 16).unwrap();
    mm.machine.empty.set(mm.alloc_zeroed_frame(Kind::Kernel).unwrap().addr());
    // What the first address space needs once and for all is not a leak of the test that makes it.
    mm.asids.prepare().unwrap();
    (1..=MAX_ORDER).for_each(|order| {
        mm.policy.set(order, if order == BLOCK_ORDER { Setting::Always } else { Setting::Never });
    });
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
        Process { mm, space: AddressSpace::new(mm).unwrap() }
    }

    /// Maps private anonymous memory of `pages` pages at `addr`, readable and writable.
    pub fn map_anon(&mut self, addr: usize, pages: usize) {
        self.enter();
        let request = MapRequest {
            addr,
            len: pages * PAGE_SIZE as usize,
            prot: Prot::READ | Prot::WRITE,
            flags: MapFlags::FIXED,
            backing: Backing::Anon,
        };
        assert_eq!(self.space.mmap(self.mm, request), Ok(addr));
    }

    /// The entry for `addr`; of a page that a block maps, what its entry would be.
    pub fn pte(&self, addr: usize) -> Pte {
        self.space.pte_at(self.mm, VirtAddr::new(addr as u64))
    }

    /// Lets it run on this CPU, and on no other: as before any system call it makes.
    pub fn enter(&self) {
        let machine = &self.mm.machine;
        let (here, root) = (machine.cpu(), self.space.root());
        if machine.loaded[here].get() != root {
            machine.leave(root, |cpu| cpu != here);
            self.space.activate(self.mm);
        }
    }

    /// Does `access` on this CPU until it no longer faults.
    fn until_done<T>(
        &mut self,
        addr: usize,
        kind: Access,
        access: impl Fn(&Model, usize) -> Result<T, model::machine::Fault>,
    ) -> Result<T, FaultError> {
        self.enter();
        let machine = &self.mm.machine;
        for _ in 0..16 {
            match access(&machine.model, machine.cpu()) {
                Ok(value) => return Ok(value),
                Err(_) => self.space.fault(self.mm, addr, kind)?,
            }
        }
        panic!("an endless fault loop at {addr:#x}: {:?}", self.pte(addr));
    }

    /// Loads a byte.
    pub fn read(&mut self, addr: usize) -> Result<u8, FaultError> {
        self.until_done(addr, Access::Read, |model, cpu| model.load_user(cpu, addr as u64))
    }

    /// Stores a byte.
    pub fn write(&mut self, addr: usize, value: u8) -> Result<(), FaultError> {
        self.until_done(addr, Access::Write, |model, cpu| model.store_user(cpu, addr as u64, value))
    }

    /// Forks.
    pub fn fork(&mut self) -> crate::errno::Result<Process<'m>> {
        self.enter();
        Ok(Process { mm: self.mm, space: self.space.fork(self.mm)? })
    }

    /// Exits.
    pub fn exit(self) {
        self.mm.machine.leave(self.space.root(), |_| true);
        self.space.destroy(self.mm);
    }
}
