//! The machine as this crate sees it: descriptor accesses, barriers and TLB maintenance.

use crate::addr::DescAddr;
use crate::event::Event;
use crate::granule::{CONT_PTES, PAGE_SIZE};
use crate::sparse::Sparse;
use crate::tlbi::Tlbi;

/// An address space identifier, 1 to 65,535. Arm ARM, D8.16.3 "ASID".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Asid(u16);

impl Asid {
    /// No identifier: the address space never ran since it was made, so no TLB holds anything of it. The number is
    /// what the empty table is loaded with.
    pub const NONE: Asid = Asid(0);

    /// Wraps an identifier as TTBR0_EL1 holds it; 0 is [`Asid::NONE`].
    #[inline]
    pub const fn new(number: u16) -> Self {
        Asid(number)
    }

    /// The identifier's number.
    #[inline]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether this is [`Asid::NONE`].
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// A barrier that table maintenance needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Barrier {
    /// DSB ISHST: stores before it are visible to the walkers of all CPUs.
    DsbIshst,
    /// DSB ISH: TLBIs that this CPU issued before it are complete on all CPUs.
    DsbIsh,
    /// DSB NSH: local TLBIs are complete on this CPU.
    DsbNsh,
    /// ISB: this CPU's next instructions see it all.
    Isb,
}

/// What the CPU can do, as far as table maintenance cares.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Features {
    /// FEAT_TLBIRANGE: TLBI by range of addresses.
    pub tlbi_range: bool,
    /// FEAT_TTL: TLBIs take a level hint.
    pub ttl: bool,
    /// Hardware sets the access flag.
    pub hw_af: bool,
    /// Hardware manages dirty state.
    pub hw_dirty: bool,
    /// FEAT_BBM level that may be relied on: 0, 1 or 2. Level 2 is to be claimed only of a CPU that takes no TLB
    /// conflict aborts, which its ID register does not say ([`crate::contpte::fold`]).
    pub bbm_level: u8,
}

/// One CPU's view of memory and of the machine's TLBs.
///
/// On EL1 each method is one instruction, or none. A host implements it over plain memory. Methods take `&self`:
/// what they change is the machine's, shared by all CPUs.
pub trait Mmu {
    /// Reads a descriptor (a 64-bit single-copy atomic load).
    fn load(&self, at: DescAddr) -> u64;

    /// Writes a descriptor (a 64-bit single-copy atomic store).
    fn store(&self, at: DescAddr, value: u64);

    /// Writes the `nr` descriptors from `at`, each a 64-bit single-copy atomic store, of consecutive pages: `first`, and
    /// a page's size more in each that follows.
    #[inline]
    fn store_run(&self, at: DescAddr, first: u64, nr: usize) {
        for index in 0..nr as u64 {
            self.store(at.add(8 * index), first + index * PAGE_SIZE);
        }
    }

    /// How many of the `nr` descriptors from `at` are 0 before the first that is not.
    #[inline]
    fn empty_run(&self, at: DescAddr, nr: usize) -> usize {
        (0..nr).take_while(|index| self.load(at.add(8 * *index as u64)) == 0).count()
    }

    /// How many of the `nr` descriptors from `at` are those of consecutive pages, the first of them `first`, before one that
    /// is not, as far as the bits of `mask` are concerned.
    #[inline]
    fn like_run(&self, at: DescAddr, nr: usize, first: u64, mask: u64) -> usize {
        let is_next = |index: &usize| {
            let (entry, next) = (self.load(at.add(8 * *index as u64)), first + *index as u64 * PAGE_SIZE);
            (entry ^ next) & mask == 0
        };
        (0..nr).take_while(is_next).count()
    }

    /// Whether the `nr` descriptors from `at` are all 0.
    #[inline]
    fn are_clear(&self, at: DescAddr, nr: usize) -> bool {
        (0..nr as u64).all(|index| self.load(at.add(8 * index)) == 0)
    }

    /// Clears the `nr` descriptors from `at`, which no walk leads to.
    #[inline]
    fn clear_run(&self, at: DescAddr, nr: usize) {
        for index in 0..nr as u64 {
            self.store(at.add(8 * index), 0);
        }
    }

    /// Takes the `nr` entries from `src` and writes each twice: in place, with the bits of `flip_src` changed (not if that
    /// is 0), and at the same distance from `dst`, with the bits of `flip_dst` changed. Stores as [`Mmu::store_run`]'s.
    #[inline]
    fn copy_entries(&self, src: DescAddr, dst: DescAddr, nr: usize, flip_src: u64, flip_dst: u64) {
        for index in 0..nr as u64 {
            let entry = self.load(src.add(8 * index));
            if flip_src != 0 {
                self.store(src.add(8 * index), entry ^ flip_src);
            }
            self.store(dst.add(8 * index), entry ^ flip_dst);
        }
    }

    /// Takes the first entry of each of `blocks` contpte blocks, which follow one another from `src`, and writes two
    /// blocks that begin with it: in place, with the bits of `flip_src` changed (not if that is 0), and at the same
    /// distance from `dst`, with the bits of `flip_dst` changed. Stores as [`Mmu::store_run`]'s.
    #[inline]
    fn copy_blocks(&self, src: DescAddr, dst: DescAddr, blocks: usize, flip_src: u64, flip_dst: u64) {
        for block in 0..blocks as u64 {
            let ahead = block * 8 * CONT_PTES as u64;
            let first = self.load(src.add(ahead));
            if flip_src != 0 {
                self.store_run(src.add(ahead), first ^ flip_src, CONT_PTES);
            }
            self.store_run(dst.add(ahead), first ^ flip_dst, CONT_PTES);
        }
    }

    /// Looks at the places of contpte blocks that follow one another from `at`, one for each of `found`, in which it says
    /// what they hold. Returns for how many; it stops at the first of which [`Sparse`] cannot tell: entries there are
    /// neither empty nor, their frames aside, `attributes`, or their frames are not a block's.
    #[inline]
    fn survey(&self, at: DescAddr, attributes: u64, found: &mut [Sparse]) -> usize {
        for (place, sparse) in found.iter_mut().enumerate() {
            let entry = |index| self.load(at.add(8 * (place * CONT_PTES + index) as u64));
            match Sparse::look(entry, attributes) {
                Some(seen) => *sparse = seen,
                None => return place,
            }
        }
        found.len()
    }

    /// Takes the entries from `src`, of which [`Mmu::survey`] found what `found` says, and writes each that is not empty
    /// twice, as [`Mmu::copy_entries`]; nothing is written for a hole. At `dst` the bits of `flip_whole` are changed as
    /// well where a place has no holes.
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
        for (place, sparse) in found.iter().enumerate() {
            let flip_dst = if sparse.is_whole() { flip_dst ^ flip_whole } else { flip_dst };
            for index in (0..CONT_PTES).filter(|index| sparse.holds(*index)) {
                let ahead = 8 * (place * CONT_PTES + index) as u64;
                self.copy_entries(src.add(ahead), dst.add(ahead), 1, flip_src, flip_dst);
            }
        }
    }

    /// Writes a descriptor and returns what it replaced, atomically towards the hardware walker.
    fn swap(&self, at: DescAddr, value: u64) -> u64;

    /// Replaces `old` by `new`, atomically towards the hardware walker.
    ///
    /// # Errors
    /// The descriptor's value if it was not `old`; nothing was written.
    fn compare_exchange(&self, at: DescAddr, old: u64, new: u64) -> Result<(), u64>;

    /// Executes a barrier.
    fn barrier(&self, barrier: Barrier);

    /// Issues a TLBI. It is complete only after the barrier that [`crate::flush::Issued::sync`] executes.
    fn tlbi(&self, tlbi: Tlbi);

    /// What the CPU can do. Equal on all CPUs of a machine.
    fn features(&self) -> Features;

    /// Adds `n` to the count of `event`.
    fn count(&self, event: Event, n: u64);
}
