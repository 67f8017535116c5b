//! Address space identifiers with generations: no flush on a context switch, one local flush per CPU when all
//! numbers of a generation are used up. The algorithm is that of Linux, `arch/arm64/mm/context.c`.
//!
//! A context is `generation << 16 | number`; 0 is "never ran". A CPU may use a context of the current generation
//! without the lock. At a *rollover* the generation is raised: numbers that run on some CPU at that moment stay
//! reserved for their address spaces, all others are free again, and every CPU flushes its TLB before it next
//! switches.
//!
//! Lock: one, taken only when a context is of an old generation.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use paging::{Asid, Event};

use super::machine::Machine;
use crate::errno::Result;
use crate::util::MAX_CPUS;

const NUMBER_BITS: u32 = 16;
const NUMBER_MASK: u64 = (1 << NUMBER_BITS) - 1;

/// The context of one address space.
#[derive(Debug, Default)]
pub struct Context(AtomicU64);

impl Context {
    /// An address space that never ran.
    pub const fn new() -> Self {
        Context(AtomicU64::new(0))
    }

    /// The identifier under which TLBs may hold entries of it; [`Asid::NONE`] if it never ran.
    #[inline]
    pub fn asid(&self) -> Asid {
        Asid::new((self.0.load(Ordering::Relaxed) & NUMBER_MASK) as u16)
    }
}

/// Hands out identifiers.
pub struct AsidAllocator {
    bits: u32,
    generation: AtomicU64,
    /// The context each CPU runs; 0 from a rollover until its next switch.
    active: [AtomicU64; MAX_CPUS],
    inner: spin::Mutex<Inner>,
}

struct Inner {
    /// One bit a number; number 0 is the empty table's. Empty until the first use.
    used: Vec<u64>,
    /// The number to try next.
    next: u64,
    /// Contexts that were active at the last rollover, by CPU.
    reserved: [u64; MAX_CPUS],
    /// CPUs that must flush before they next switch, one bit each.
    flush_pending: u32,
}

impl AsidAllocator {
    /// Numbers of `bits` bits (8 or 16: ID_AA64MMFR0_EL1.ASIDBits).
    pub(super) const fn new(bits: u32) -> Self {
        assert!(bits <= NUMBER_BITS);
        AsidAllocator {
            bits,
            generation: AtomicU64::new(1 << NUMBER_BITS),
            active: [const { AtomicU64::new(0) }; MAX_CPUS],
            inner: spin::Mutex::new(Inner {
                used: Vec::new(),
                next: 1,
                reserved: [0; MAX_CPUS],
                flush_pending: 0,
            }),
        }
    }

    /// Makes room for the map of numbers in use.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn prepare(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        if inner.used.is_empty() {
            let words = (1usize << self.bits) / 64;
            inner.used.try_reserve_exact(words)?;
            inner.used.resize(words, 0);
        }
        Ok(())
    }

    /// The identifier that `context` runs under on this CPU from now on, flushing the CPU's TLB if a rollover
    /// demands it.
    #[inline]
    pub fn activate<M: Machine>(&self, machine: &M, context: &Context) -> Asid {
        let value = context.0.load(Ordering::Relaxed);
        let active = &self.active[machine.cpu()];
        let old = active.load(Ordering::Relaxed);
        // The exchange fails only if a rollover on another CPU took this CPU's active context away meanwhile.
        let current = (value ^ self.generation.load(Ordering::Acquire)) >> NUMBER_BITS == 0;
        if current
            && old != 0
            && active.compare_exchange(old, value, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            return context.asid();
        }
        self.activate_slow(machine, context)
    }

    #[cold]
    fn activate_slow<M: Machine>(&self, machine: &M, context: &Context) -> Asid {
        let cpu = machine.cpu();
        let mut inner = self.inner.lock();
        let mut value = context.0.load(Ordering::Relaxed);
        if (value ^ self.generation.load(Ordering::Relaxed)) >> NUMBER_BITS != 0 {
            value = self.renew(&mut inner, value);
            context.0.store(value, Ordering::Relaxed);
        }
        if inner.flush_pending & 1 << cpu != 0 {
            inner.flush_pending &= !(1 << cpu);
            machine.count(Event::TlbiAll, 1);
            machine.flush_local();
        }
        self.active[cpu].store(value, Ordering::Relaxed);
        context.asid()
    }

    /// A context of the current generation for an address space whose context is `old`.
    fn renew(&self, inner: &mut Inner, old: u64) -> u64 {
        let generation = self.generation.load(Ordering::Relaxed);
        let number = old & NUMBER_MASK;
        if number != 0 {
            let renewed = generation | number;
            let mut reserved = false;
            for slot in inner.reserved.iter_mut().filter(|slot| **slot == old) {
                *slot = renewed; // the next rollover must find it too
                reserved = true;
            }
            if reserved || !inner.test_and_set(number) {
                return renewed;
            }
        }
        if let Some(number) = inner.take_free(1 << self.bits) {
            return generation | number;
        }
        let generation = generation + (1 << NUMBER_BITS);
        self.generation.store(generation, Ordering::Release);
        inner.used.fill(0);
        for (slot, active) in inner.reserved.iter_mut().zip(&self.active) {
            let running = active.swap(0, Ordering::Relaxed);
            // A CPU that has not switched since the last rollover still runs what was reserved for it then.
            if running != 0 {
                *slot = running;
            }
        }
        for index in 0..MAX_CPUS {
            inner.test_and_set(inner.reserved[index] & NUMBER_MASK);
        }
        inner.flush_pending = (1 << MAX_CPUS) - 1;
        inner.next = 1;
        let number = inner.take_free(1 << self.bits).expect("there are more numbers than CPUs");
        generation | number
    }
}

impl Inner {
    fn test_and_set(&mut self, number: u64) -> bool {
        let word = &mut self.used[(number / 64) as usize];
        let was = *word >> (number % 64) & 1 == 1;
        *word |= 1 << (number % 64);
        was
    }

    fn take_free(&mut self, limit: u64) -> Option<u64> {
        while self.next < limit {
            let number = self.next;
            self.next += 1;
            if !self.test_and_set(number) {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::testing::machine;

    #[test]
    fn a_context_keeps_its_number_and_numbers_are_not_shared() {
        let mm = machine();
        let (a, b) = (Context::new(), Context::new());
        assert!(a.asid().is_none());
        let first = mm.asids.activate(&mm.machine, &a);
        let second = mm.asids.activate(&mm.machine, &b);
        assert!(first != second && !first.is_none() && !second.is_none());
        assert_eq!(mm.asids.activate(&mm.machine, &a), first);
    }

    #[test]
    fn a_rollover_flushes_every_cpu_and_spares_what_runs() {
        let mm = machine();
        let asids = AsidAllocator::new(8);
        asids.prepare().unwrap();
        let on_cpu_1 = Context::new();
        mm.machine.run_on(1);
        let kept = asids.activate(&mm.machine, &on_cpu_1);
        mm.machine.run_on(0);
        let flushes = || mm.machine.counted(Event::TlbiAll);
        let before = flushes();
        // 255 numbers, one of which CPU 1 uses; then generations roll over.
        let mut contexts: std::vec::Vec<Context> = std::vec::Vec::new();
        for _ in 0..600 {
            let context = Context::new();
            assert_ne!(asids.activate(&mm.machine, &context), kept);
            contexts.push(context);
        }
        assert_eq!(flushes() - before, 2);
        mm.machine.run_on(1);
        assert_eq!(asids.activate(&mm.machine, &on_cpu_1), kept, "it never stopped running");
        assert_eq!(flushes() - before, 3);
        // Two address spaces that are current have different numbers.
        mm.machine.run_on(0);
        let (last, first) = (&contexts[599], &contexts[0]);
        let renewed = asids.activate(&mm.machine, first);
        assert_ne!(renewed, asids.activate(&mm.machine, last));
    }
}
