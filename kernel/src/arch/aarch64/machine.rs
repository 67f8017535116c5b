//! The real machine under `paging` and `mm`: each operation is the bare instruction.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use paging::mmu::{Barrier, Features};
use paging::tlbi::{Scope, Tlbi};
use paging::{Asid, DescAddr, Event, Mmu, PAGE_SIZE, PhysAddr, Sparse};

use super::layout::LINEAR_BASE;
use super::{entries, features, mem, mmu, percpu, sparse};
use crate::mm::Machine;
use crate::mm::folio_stats::FolioEvent;

/// The CPU this runs on, with the memory and the TLBs it shares with the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu;

/// How often `event` happened, on all CPUs.
pub fn counted(event: Event) -> u64 {
    percpu::all_counters().map(|counters| counters.get(event)).sum()
}

#[inline(always)]
fn linear(pa: u64) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(LINEAR_BASE + pa as usize)
}

#[inline(always)]
fn descriptor(at: DescAddr) -> &'static AtomicU64 {
    // SAFETY: descriptors are in table pages, which are frames of RAM and so in the linear map for good, aligned to
    // 8 bytes, and accessed in no other way than as atomics while they are tables.
    unsafe { &*linear(at.get()).cast() }
}

impl Mmu for Cpu {
    #[inline(always)]
    fn load(&self, at: DescAddr) -> u64 {
        descriptor(at).load(Ordering::Relaxed)
    }

    #[inline(always)]
    fn store(&self, at: DescAddr, value: u64) {
        descriptor(at).store(value, Ordering::Relaxed);
    }

    #[inline(always)]
    fn store_run(&self, at: DescAddr, first: u64, nr: usize) {
        let (mut at, mut value, mut left) = (at, first, nr);
        while left >= 4 {
            // SAFETY: as for `descriptor`; the caller's entries lie in one table.
            unsafe { entries::store_4(linear(at.get()), value) };
            at = at.add(8 * 4);
            value += 4 * PAGE_SIZE;
            left -= 4;
        }
        while left > 0 {
            self.store(at, value);
            at = at.add(8);
            value += PAGE_SIZE;
            left -= 1;
        }
    }

    #[inline]
    fn empty_run(&self, at: DescAddr, nr: usize) -> usize {
        // SAFETY: as for `descriptor`; the caller's entries lie in one table.
        unsafe { entries::empty_run(linear(at.get()), nr) }
    }

    #[inline]
    fn like_run(&self, at: DescAddr, nr: usize, first: u64, mask: u64) -> usize {
        // SAFETY: as above.
        unsafe { entries::like_run(linear(at.get()), nr, first, mask) }
    }

    #[inline]
    fn copy_entries(&self, src: DescAddr, dst: DescAddr, nr: usize, flip_src: u64, flip_dst: u64) {
        let (src, dst) = (linear(src.get()), linear(dst.get()));
        // SAFETY: as for `descriptor`.
        unsafe {
            match flip_src {
                0 => entries::copy_entries(src, dst, nr, flip_dst),
                _ => entries::copy_entries_both(src, dst, nr, flip_src, flip_dst),
            }
        }
    }

    #[inline]
    fn copy_blocks(&self, src: DescAddr, dst: DescAddr, blocks: usize, flip_src: u64, flip_dst: u64) {
        if blocks == 0 {
            return;
        }
        let (src, dst) = (linear(src.get()), linear(dst.get()));
        // SAFETY: as for `descriptor`; interrupts are masked at EL1, so nobody uses the vector registers meanwhile.
        unsafe {
            match flip_src {
                0 => entries::copy_blocks(src, dst, blocks, flip_dst),
                _ => entries::copy_blocks_both(src, dst, blocks, flip_src, flip_dst),
            }
        }
    }

    #[inline]
    fn survey(&self, at: DescAddr, attributes: u64, found: &mut [Sparse]) -> usize {
        if found.is_empty() {
            return 0;
        }
        // SAFETY: as for `copy_blocks`; what is found has room for as many places.
        unsafe { sparse::survey_sparse(linear(at.get()), found.as_mut_ptr(), found.len(), attributes) }
    }

    #[inline]
    fn copy_sparse(
        &self,
        src: DescAddr,
        dst: DescAddr,
        found: &[Sparse],
        flip_src: u64,
        flip_dst: u64,
        flip_whole: u64,
    ) {
        if found.is_empty() {
            return;
        }
        let copy = if flip_src == 0 { sparse::copy_sparse } else { sparse::copy_sparse_both };
        let (src, dst) = (linear(src.get()), linear(dst.get()));
        // SAFETY: as for `copy_blocks`.
        unsafe { copy(src, dst, found.as_ptr(), found.len(), flip_src, flip_dst, flip_dst ^ flip_whole) }
    }

    #[inline(always)]
    fn are_clear(&self, at: DescAddr, nr: usize) -> bool {
        let (mut at, mut left) = (at, nr);
        while left >= 8 {
            // SAFETY: as for `descriptor`; the caller's entries lie in one table.
            if unsafe { entries::any_of_8(linear(at.get())) } != 0 {
                return false;
            }
            at = at.add(8 * 8);
            left -= 8;
        }
        (0..left as u64).all(|index| self.load(at.add(8 * index)) == 0)
    }

    #[inline(always)]
    fn clear_run(&self, at: DescAddr, nr: usize) {
        // SAFETY: as for `descriptor`; the table is nobody else's, as no walk leads to it.
        unsafe { linear(at.get()).write_bytes(0, 8 * nr) };
    }

    #[inline(always)]
    fn swap(&self, at: DescAddr, value: u64) -> u64 {
        descriptor(at).swap(value, Ordering::Relaxed)
    }

    #[inline(always)]
    fn compare_exchange(&self, at: DescAddr, old: u64, new: u64) -> Result<(), u64> {
        descriptor(at).compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).map(|_| ())
    }

    #[inline(always)]
    fn barrier(&self, barrier: Barrier) {
        match barrier {
            Barrier::DsbIshst => mmu::dsb_ishst(),
            Barrier::DsbIsh => mmu::dsb_ish(),
            Barrier::DsbNsh => mmu::dsb_nsh(),
            Barrier::Isb => mmu::isb(),
        }
    }

    #[inline(always)]
    fn tlbi(&self, tlbi: Tlbi) {
        match tlbi {
            Tlbi::Page(operand, Scope::Broadcast) => mmu::tlbi_vale1is(operand.raw()),
            Tlbi::Page(operand, Scope::Local) => mmu::tlbi_vale1(operand.raw()),
            Tlbi::Range(operand) => mmu::tlbi_rvale1is(operand.raw()),
            Tlbi::GlobalPage(operand) => mmu::tlbi_vaale1is(operand.raw()),
            Tlbi::Asid(operand) => mmu::tlbi_aside1is(operand.raw()),
            Tlbi::All(Scope::Broadcast) => mmu::tlbi_vmalle1is(),
            Tlbi::All(Scope::Local) => mmu::tlbi_vmalle1(),
        }
    }

    #[inline]
    fn features(&self) -> Features {
        let cpu = features::features();
        Features {
            tlbi_range: cpu.tlbi_range,
            ttl: cpu.ttl,
            hw_af: cpu.hw_af,
            hw_dirty: cpu.hw_dirty,
            bbm_level: features::bbm_level(),
        }
    }

    #[inline(always)]
    fn count(&self, event: Event, n: u64) {
        percpu::counters().add(event, n);
    }
}

// SAFETY: the linear map reaches all RAM for good, with the alignment of physical addresses; `percpu::cpu_id` is
// distinct on each CPU, and with interrupts masked at EL1 nothing of the kernel runs in between.
unsafe impl Machine for Cpu {
    #[inline(always)]
    fn ptr(&self, pa: PhysAddr) -> *mut u8 {
        linear(pa.get())
    }

    #[inline(always)]
    fn pa(&self, ptr: *mut u8) -> PhysAddr {
        PhysAddr::new((ptr.expose_provenance() - LINEAR_BASE) as u64)
    }

    #[inline]
    fn zero(&self, pa: PhysAddr, bytes: usize) {
        // SAFETY: the caller's frames are RAM, nobody else's, and whole pages.
        unsafe { mem::zero(self.ptr(pa), bytes) };
    }

    #[inline]
    fn copy(&self, to: PhysAddr, from: PhysAddr, bytes: usize) {
        // SAFETY: as for `zero`; the caller's ranges do not overlap.
        unsafe { mem::copy_page(self.ptr(to), self.ptr(from), bytes) };
    }

    fn sync_icache(&self, pa: PhysAddr, bytes: usize) {
        let ctr: u64;
        // SAFETY: CTR_EL0 is readable at EL1.
        unsafe { asm!("mrs {}, ctr_el0", out(reg) ctr, options(nomem, nostack, preserves_flags)) };
        // DminLine and IminLine are log2 of the smallest line in words (Arm ARM, CTR_EL0).
        let (dline, iline) = (4usize << (ctr >> 16 & 0xf), 4usize << (ctr & 0xf));
        let start = self.ptr(pa) as usize;
        for line in (start..start + bytes).step_by(dline) {
            // SAFETY: cleans a line of RAM to the point of unification; contents do not change.
            unsafe { asm!("dc cvau, {}", in(reg) line, options(nostack, preserves_flags)) };
        }
        mmu::dsb_ish();
        for line in (start..start + bytes).step_by(iline) {
            // SAFETY: drops a line from instruction caches, which are refilled from RAM.
            unsafe { asm!("ic ivau, {}", in(reg) line, options(nostack, preserves_flags)) };
        }
        mmu::dsb_ish();
        mmu::isb();
    }

    #[inline(always)]
    fn cpu(&self) -> usize {
        percpu::cpu_id()
    }

    #[inline(always)]
    fn set_user_table(&self, root: PhysAddr, asid: Asid) {
        // SAFETY: `AddressSpace::activate` passes its own tables, which outlive their use (`AddressSpace::destroy`
        // asks for another table first), under an identifier the allocator vouches for.
        unsafe { mmu::set_user_table(root.get(), asid.get()) };
    }

    #[inline(always)]
    fn count_folio(&self, event: FolioEvent, order: u8) {
        percpu::folio_counters().add(event, order);
    }

    fn folios_counted(&self, event: FolioEvent, order: u8) -> u64 {
        percpu::all_folio_counters().map(|counters| counters.get(event, order)).sum()
    }

    fn flush_local(&self) {
        mmu::dsb_nsh();
        mmu::tlbi_vmalle1();
        mmu::dsb_nsh();
        mmu::isb();
    }
}
