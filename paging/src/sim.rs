//! A machine of plain host memory that implements [`Mmu`], for tests of code that runs over the trait.
//!
//! It translates nothing by itself; it keeps descriptors, and a log of barriers, TLBIs and stores in their order,
//! so that a test can ask not only what a table holds but how it came to hold it.

use std::boxed::Box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec::Vec;

use crate::addr::{DescAddr, Pfn, PhysAddr};
use crate::event::Event;
use crate::granule::{PAGE_SHIFT, PAGE_SIZE};
use crate::mmu::{Barrier, Features, Mmu};
use crate::tlbi::Tlbi;

/// One thing the code under test did to the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// A descriptor changed from the first value to the second.
    Store(DescAddr, u64, u64),
    /// A barrier.
    Barrier(Barrier),
    /// A TLBI.
    Tlbi(Tlbi),
}

/// Descriptors in a frame.
const WORDS: usize = 1 << (PAGE_SHIFT - 3);

/// A machine with frames from [`Sim::BASE`] up.
pub struct Sim {
    /// By frame: Miri's bookkeeping for a slice grows with it, and each access borrows one.
    memory: Vec<Vec<AtomicU64>>,
    features: Features,
    next_frame: AtomicU64,
    counts: [AtomicU64; Event::COUNT],
    log: Mutex<Vec<Op>>,
    interference: Mutex<Option<Interference>>,
}

/// What another CPU does between two accesses of the code under test.
type Interference = Box<dyn FnMut(&Sim) + Send>;

impl Sim {
    /// The first frame of the machine's memory; not 0, so that an address taken for an index shows.
    pub const BASE: Pfn = Pfn::new(0x40000);

    /// A machine with `frames` zeroed frames.
    pub fn new(frames: usize, features: Features) -> Self {
        let frame = || (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Sim {
            memory: (0..frames).map(|_| frame()).collect(),
            features,
            next_frame: AtomicU64::new(0),
            counts: [const { AtomicU64::new(0) }; Event::COUNT],
            log: Mutex::new(Vec::new()),
            interference: Mutex::new(None),
        }
    }

    fn word(&self, at: DescAddr) -> &AtomicU64 {
        let index = ((at.get() - Self::BASE.addr().get()) >> 3) as usize;
        &self.memory[index / WORDS][index % WORDS]
    }

    /// Calls `f` before every access to a descriptor from here on, as another CPU or its walker would come between.
    /// What `f` does itself is not interfered with.
    pub fn interfere(&self, f: impl FnMut(&Sim) + Send + 'static) {
        *self.interference.lock().unwrap() = Some(Box::new(f));
    }

    /// Others are quiet from here on.
    pub fn be_alone(&self) {
        *self.interference.lock().unwrap() = None;
    }

    fn others(&self) {
        // Taken out while it runs: it accesses descriptors too.
        let taken = self.interference.lock().unwrap().take();
        if let Some(mut f) = taken {
            f(self);
            self.interference.lock().unwrap().get_or_insert(f);
        }
    }

    fn push(&self, op: Op) {
        self.log.lock().unwrap().push(op);
    }

    /// Hands out the next unused frame, zeroed; `None` when all are used. There is no free.
    pub fn frame(&self) -> Option<PhysAddr> {
        let index = self.next_frame.fetch_add(1, Ordering::Relaxed);
        let fits = index < self.memory.len() as u64;
        fits.then(|| Self::BASE.add(index).addr())
    }

    /// The log since the last [`Sim::clear_ops`].
    pub fn ops(&self) -> Vec<Op> {
        self.log.lock().unwrap().clone()
    }

    /// Forgets the log.
    pub fn clear_ops(&self) {
        self.log.lock().unwrap().clear();
    }

    /// How often `event` was counted.
    pub fn counted(&self, event: Event) -> u64 {
        self.counts[event as usize].load(Ordering::Relaxed)
    }

    /// What the walker does on an access: sets bits of a descriptor behind software's back. Not logged.
    pub fn walker_update(&self, at: DescAddr, f: impl Fn(u64) -> u64) {
        let word = self.word(at);
        word.store(f(word.load(Ordering::Relaxed)), Ordering::Relaxed);
    }

    /// Bytes of a page.
    pub const PAGE: u64 = PAGE_SIZE;
}

impl Mmu for Sim {
    fn load(&self, at: DescAddr) -> u64 {
        self.others();
        self.word(at).load(Ordering::Relaxed)
    }

    fn store(&self, at: DescAddr, value: u64) {
        self.swap(at, value);
    }

    fn swap(&self, at: DescAddr, value: u64) -> u64 {
        self.others();
        let old = self.word(at).swap(value, Ordering::Relaxed);
        self.push(Op::Store(at, old, value));
        old
    }

    fn compare_exchange(&self, at: DescAddr, old: u64, new: u64) -> Result<(), u64> {
        self.others();
        self.word(at).compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed)?;
        self.push(Op::Store(at, old, new));
        Ok(())
    }

    fn barrier(&self, barrier: Barrier) {
        self.push(Op::Barrier(barrier));
    }

    fn tlbi(&self, tlbi: Tlbi) {
        self.push(Op::Tlbi(tlbi));
    }

    fn features(&self) -> Features {
        self.features
    }

    fn count(&self, event: Event, n: u64) {
        self.counts[event as usize].fetch_add(n, Ordering::Relaxed);
    }
}
