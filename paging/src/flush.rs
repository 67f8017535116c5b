//! TLB flushes of user memory: which TLBIs a range needs, issued and completed as separate, typed steps.
//!
//! The sequence is always the same (Arm ARM, D8.17 "TLB maintenance"; Linux: `asm/tlbflush.h`):
//!
//! ```text
//!   stores to PTEs  ->  DSB ISHST  ->  TLBI ... TLBI  ->  DSB ISH
//!                       |------ issue: Issued ------|     | sync |
//! ```
//!
//! [`Issued`] is what has been issued but is not complete. It can be completed only on the CPU that issued it, since
//! a DSB waits for that CPU's own TLBIs only; the type is neither `Send` nor `Sync`, so the compiler sees to that.
//! User leaf changes need no ISB: the exception return to EL0 synchronises.

use core::marker::PhantomData;

use crate::addr::VirtAddr;
use crate::event::Event;
use crate::granule::{GRANULE, PAGE_SIZE};
use crate::level::Level;
use crate::mmu::{Asid, Barrier, Mmu};
use crate::tlbi::{AsidOperand, RangeOperand, Scope, Tlbi, VaOperand};

/// Without FEAT_TLBIRANGE, the most pages invalidated one by one; above it the whole ASID is cheaper.
/// Linux: `MAX_DVM_OPS`, the entries of a table; here 512 on all granules, as a larger page makes a TLBI no cheaper.
pub const MAX_SINGLE_PAGES: u64 = 512;

/// TLBIs that were issued by this CPU and are not yet complete.
#[must_use = "a TLBI is complete only after its DSB: call sync, or elide with a reason"]
pub struct Issued {
    not_send: PhantomData<*const ()>,
}

impl Issued {
    fn new() -> Self {
        Issued { not_send: PhantomData }
    }

    /// Waits until the invalidations are complete on every CPU they reach.
    #[inline]
    pub fn sync<M: Mmu>(self, mmu: &M) {
        mmu.count(Event::DsbIsh, 1);
        mmu.barrier(Barrier::DsbIsh);
    }

    /// Leaves the invalidations to complete whenever they do, as hardware permits when nothing depends on it: a
    /// page whose access flag was cleared may look young for a little longer.
    pub fn elide(self) {}
}

/// Makes this CPU's earlier stores to tables visible to all walkers, as each TLBI sequence begins.
#[inline]
fn publish<M: Mmu>(mmu: &M) {
    mmu.count(Event::DsbIshst, 1);
    mmu.barrier(Barrier::DsbIshst);
}

/// Issues the invalidation of everything `asid` has in any TLB, walk caches included.
pub fn issue_asid<M: Mmu>(mmu: &M, asid: Asid) -> Issued {
    publish(mmu);
    mmu.count(Event::TlbiAsid, 1);
    mmu.tlbi(Tlbi::Asid(AsidOperand::new(asid)));
    Issued::new()
}

/// Issues the invalidation of the last-level entries of `pages` pages from `va` in address space `asid`: by range
/// where the CPU has FEAT_TLBIRANGE, page by page where not, and the whole ASID where that is cheaper.
///
/// A single odd page has no range encoding and goes as an operation by address, last.
#[inline]
pub fn issue_range<M: Mmu>(mmu: &M, asid: Asid, va: VirtAddr, pages: u64) -> Issued {
    if pages == 1 {
        publish(mmu);
        page_operation(mmu, asid, va, Level::PTE, Scope::Broadcast);
        return Issued::new();
    }
    issue_range_of(mmu, asid, va, pages, Some(Level::PTE))
}

/// As [`issue_range`], of entries of `level`; `None` where the range has both pages and blocks: a hint of the wrong
/// level may invalidate nothing.
fn issue_range_of<M: Mmu>(mmu: &M, asid: Asid, va: VirtAddr, pages: u64, level: Option<Level>) -> Issued {
    let features = mmu.features();
    let limit = if features.tlbi_range { RangeOperand::MAX_PAGES } else { MAX_SINGLE_PAGES };
    if pages > limit {
        return issue_asid(mmu, asid);
    }
    publish(mmu);
    mmu.count(Event::TlbiPages, pages);
    let (mut at, mut left) = (va, pages);
    if features.tlbi_range {
        let mut ranges = 0;
        while left >= 2 {
            let (operand, covered) = RangeOperand::prefix(GRANULE, at, left, asid, level);
            mmu.tlbi(Tlbi::Range(operand));
            at = at.add(covered * PAGE_SIZE);
            left -= covered;
            ranges += 1;
        }
        mmu.count(Event::TlbiRange, ranges);
    }
    if left > 0 {
        for page in 0..left {
            let operand = VaOperand::new(GRANULE, at.add(page * PAGE_SIZE), asid, level, features.ttl);
            mmu.tlbi(Tlbi::Page(operand, Scope::Broadcast));
        }
        mmu.count(Event::TlbiVa, left);
    }
    Issued::new()
}

/// Issues the invalidation of the block of level [`Level::PMD`] at `va` in address space `asid`: any address inside
/// names all of it.
pub fn issue_block<M: Mmu>(mmu: &M, asid: Asid, va: VirtAddr) -> Issued {
    publish(mmu);
    page_operation(mmu, asid, va, Level::PMD, Scope::Broadcast);
    Issued::new()
}

/// Issues the invalidation of the blocks of level [`Level::PMD`] from `start` to before `end`, both aligned to them.
fn issue_blocks<M: Mmu>(mmu: &M, asid: Asid, start: VirtAddr, end: VirtAddr) -> Issued {
    let size = Level::PMD.entry_size();
    let blocks = (end.get() - start.get()) / size;
    if mmu.features().tlbi_range && blocks > 1 || blocks > MAX_SINGLE_PAGES {
        return issue_range_of(mmu, asid, start, start.pages_to(end) as u64, Some(Level::PMD));
    }
    publish(mmu);
    (0..blocks).for_each(|n| page_operation(mmu, asid, start.add(n * size), Level::PMD, Scope::Broadcast));
    Issued::new()
}

#[inline]
fn page_operation<M: Mmu>(mmu: &M, asid: Asid, va: VirtAddr, level: Level, scope: Scope) {
    mmu.count(Event::TlbiVa, 1);
    mmu.count(Event::TlbiPages, level.entry_size() / PAGE_SIZE);
    mmu.tlbi(Tlbi::Page(VaOperand::new(GRANULE, va, asid, Some(level), mmu.features().ttl), scope));
}

/// Invalidates one page of `asid` on this CPU only, and waits. For a permission that was only *extended* (read-only
/// to writable): another CPU with the old entry faults, finds the new one and does the same.
pub fn local_page<M: Mmu>(mmu: &M, asid: Asid, va: VirtAddr) {
    mmu.barrier(Barrier::DsbIshst);
    page_operation(mmu, asid, va, Level::PTE, Scope::Local);
    mmu.barrier(Barrier::DsbNsh);
}

/// As [`local_page`], for the block of level [`Level::PMD`] at `va`.
pub fn local_block<M: Mmu>(mmu: &M, asid: Asid, va: VirtAddr) {
    mmu.barrier(Barrier::DsbIshst);
    page_operation(mmu, asid, va, Level::PMD, Scope::Local);
    mmu.barrier(Barrier::DsbNsh);
}

/// Gathers what an operation on one address space changed, so that one flush at its end covers it all.
#[derive(Debug)]
pub struct Gather {
    start: VirtAddr,
    end: VirtAddr,
    pages: bool,
    blocks: bool,
    whole: bool,
}

impl Default for Gather {
    fn default() -> Self {
        Self::new()
    }
}

impl Gather {
    /// Nothing to flush yet.
    pub const fn new() -> Self {
        Gather {
            start: VirtAddr::new(u64::MAX),
            end: VirtAddr::new(0),
            pages: false,
            blocks: false,
            whole: false,
        }
    }

    /// Last-level entries of the range from `start` to before `end` were changed.
    #[inline]
    pub fn add(&mut self, start: VirtAddr, end: VirtAddr) {
        self.start = self.start.min(start);
        self.end = self.end.max(end);
        self.pages = true;
    }

    /// The block of level [`Level::PMD`] at `start` was changed.
    #[inline]
    pub fn add_block(&mut self, start: VirtAddr) {
        self.start = self.start.min(start);
        self.end = self.end.max(start.add(Level::PMD.entry_size()));
        self.blocks = true;
    }

    /// The whole address space changed, or tables were unlinked: walk caches may hold them, which a leaf-only
    /// invalidation would leave.
    #[inline]
    pub fn add_all(&mut self) {
        self.whole = true;
    }

    /// Whether there is nothing to flush.
    #[inline]
    pub fn is_empty(&self) -> bool {
        !self.whole && self.start >= self.end
    }

    /// Flushes what was gathered, waits until it is complete, and starts over. An address space that never ran has
    /// nothing in any TLB.
    pub fn flush<M: Mmu>(&mut self, mmu: &M, asid: Asid) {
        if self.is_empty() || asid.is_none() {
            *self = Gather::new();
            return;
        }
        let pages = || self.start.pages_to(self.end) as u64;
        let issued = match (self.whole, self.pages, self.blocks) {
            (true, ..) => issue_asid(mmu, asid),
            (_, true, true) => issue_range_of(mmu, asid, self.start, pages(), None),
            (_, false, true) => issue_blocks(mmu, asid, self.start, self.end),
            (_, _, false) => issue_range(mmu, asid, self.start, pages()),
        };
        issued.sync(mmu);
        *self = Gather::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mmu::Features;
    use crate::sim::{Op, Sim};
    use std::vec::Vec;

    fn tlbis(sim: &Sim) -> Vec<Tlbi> {
        sim.ops().into_iter().filter_map(|op| if let Op::Tlbi(t) = op { Some(t) } else { None }).collect()
    }

    fn sim(tlbi_range: bool) -> Sim {
        Sim::new(16, Features { tlbi_range, ttl: tlbi_range, ..Features::default() })
    }

    #[test]
    fn the_sequence_is_store_barrier_tlbi_barrier() {
        let sim = sim(true);
        issue_range(&sim, Asid::new(3), VirtAddr::new(0x10000), 16).sync(&sim);
        let ops = sim.ops();
        assert_eq!(ops.first(), Some(&Op::Barrier(Barrier::DsbIshst)));
        assert_eq!(ops.last(), Some(&Op::Barrier(Barrier::DsbIsh)));
        assert_eq!(ops.len(), 3);
    }

    #[test]
    fn without_range_ops_pages_go_one_by_one_up_to_the_limit() {
        let sim = sim(false);
        issue_range(&sim, Asid::new(3), VirtAddr::new(0x10000), MAX_SINGLE_PAGES).sync(&sim);
        assert_eq!(tlbis(&sim).len() as u64, MAX_SINGLE_PAGES);
        assert_eq!(sim.counted(Event::TlbiVa), MAX_SINGLE_PAGES);
        sim.clear_ops();
        issue_range(&sim, Asid::new(3), VirtAddr::new(0x10000), MAX_SINGLE_PAGES + 1).sync(&sim);
        assert_eq!(tlbis(&sim), [Tlbi::Asid(AsidOperand::new(Asid::new(3)))]);
    }

    #[test]
    fn range_ops_cover_exactly_the_range_for_every_count() {
        let sim = sim(true);
        let mut issued = 0;
        for pages in (1..if cfg!(miri) { 40 } else { 700 }).chain([2048, 65537, (1 << 21) - 1, 1 << 21]) {
            sim.clear_ops();
            issue_range(&sim, Asid::new(3), VirtAddr::new(0x10000), pages).sync(&sim);
            let mut at = 0x10000;
            for tlbi in tlbis(&sim) {
                match tlbi {
                    Tlbi::Range(op) => {
                        assert_eq!(op.base(GRANULE).get(), at);
                        at += op.pages() * PAGE_SIZE;
                    }
                    Tlbi::Page(op, Scope::Broadcast) => {
                        assert_eq!(op.raw() & ((1 << 44) - 1), at >> 12);
                        at += PAGE_SIZE;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(at, 0x10000 + pages * PAGE_SIZE);
            issued += tlbis(&sim).len() as u64;
        }
        assert_eq!(sim.counted(Event::TlbiRange) + sim.counted(Event::TlbiVa), issued, "counted as issued");
    }

    #[test]
    fn blocks_are_flushed_as_such_and_mixed_ranges_without_a_level() {
        const BLOCK: u64 = Level::PMD.entry_size();
        let level = |tlbi: &Tlbi| match tlbi {
            Tlbi::Page(operand, _) => operand.raw() >> 44 & 3,
            Tlbi::Range(operand) => operand.raw() >> 37 & 3,
            other => panic!("{other:?}"),
        };
        for range in [false, true] {
            let sim = Sim::new(16, Features { tlbi_range: range, ttl: true, ..Features::default() });
            let mut gather = Gather::new();
            (1..4).for_each(|n| gather.add_block(VirtAddr::new(n * BLOCK)));
            gather.flush(&sim, Asid::new(3));
            assert!(if range { tlbis(&sim).len() <= 2 } else { tlbis(&sim).len() == 3 });
            assert!(tlbis(&sim).iter().all(|tlbi| level(tlbi) == 2));
            assert_eq!(sim.counted(Event::TlbiPages), 3 * BLOCK / PAGE_SIZE);
        }
        let sim = sim(true);
        let mut gather = Gather::new();
        gather.add_block(VirtAddr::new(BLOCK));
        gather.add(VirtAddr::new(BLOCK - PAGE_SIZE), VirtAddr::new(BLOCK));
        gather.flush(&sim, Asid::new(3));
        assert!(tlbis(&sim).iter().all(|tlbi| level(tlbi) == 0), "a hint would miss one or the other");
    }

    #[test]
    fn a_gather_covers_all_it_was_told_and_nothing_when_told_nothing() {
        let sim = sim(true);
        let mut gather = Gather::new();
        gather.flush(&sim, Asid::new(3));
        assert!(sim.ops().is_empty());
        let page = |number: u64| VirtAddr::new(number * PAGE_SIZE);
        gather.add(page(8), page(9));
        gather.add(page(2), page(3));
        gather.flush(&sim, Asid::new(3));
        assert_eq!(sim.counted(Event::TlbiPages), 7);
        gather.add(page(2), page(3));
        gather.flush(&sim, Asid::NONE);
        assert!(gather.is_empty());
        assert_eq!(sim.counted(Event::TlbiPages), 7);
    }
}
