//! Per-CPU caches of free blocks, by order: the common allocation and release touch neither the buddy nor its lock.
//! Linux calls them per-cpu pages.

use paging::{PAGE_SHIFT, Pfn};

use super::frame::MAX_ORDER;
use super::percpu::{PerCpu, Slot};

/// Blocks a cache holds at most, by order: about 2 MiB of small frames, many of the 64 KiB that most folios have, and a
/// few of the large.
const CAPACITY: [usize; MAX_ORDER as usize + 1] = {
    let mut capacity = [0; MAX_ORDER as usize + 1];
    let mut order = 0;
    while order < capacity.len() {
        capacity[order] = match (order, PAGE_SHIFT as usize + order) {
            (_, 16) => 128,
            (0, page) => (2 << 20) >> page,
            (_, 13..=15) => 32,
            (_, 17 | 18) => 16,
            _ => 8,
        };
        order += 1;
    }
    capacity
};
/// Slots in all caches together.
const SLOTS: usize = {
    let (mut sum, mut order) = (0, 0);
    while order < CAPACITY.len() {
        sum += CAPACITY[order];
        order += 1;
    }
    sum
};
/// Where each order's slots begin.
const BASE: [usize; CAPACITY.len()] = {
    let mut base = [0; CAPACITY.len()];
    let mut order = 1;
    while order < CAPACITY.len() {
        base[order] = base[order - 1] + CAPACITY[order - 1];
        order += 1;
    }
    base
};

/// Frames of zeroes that a cache holds at most: the tables of a few processes that end before others begin.
const CLEAN: usize = 64;

/// One CPU's caches: a stack of blocks for each order, the one freed last, whose contents are still in the CPU's
/// caches, on top; and apart from them frames that are known to hold zeroes, which is what becomes of most tables.
pub(super) struct Caches {
    len: [usize; CAPACITY.len()],
    blocks: [Pfn; SLOTS],
    clean_len: usize,
    clean: [Pfn; CLEAN],
}

impl PerCpu<Caches> {
    /// Nothing cached anywhere.
    pub const fn empty() -> Self {
        PerCpu::new([const { Slot::new(Caches::EMPTY) }; crate::util::MAX_CPUS])
    }
}

impl Caches {
    /// Nothing cached.
    pub const EMPTY: Caches = Caches {
        len: [0; CAPACITY.len()],
        blocks: [Pfn::new(0); SLOTS],
        clean_len: 0,
        clean: [Pfn::new(0); CLEAN],
    };

    /// Takes a block of `order`, if one is cached.
    #[inline]
    pub fn pop(&mut self, order: u8) -> Option<Pfn> {
        let order = order as usize;
        let top = self.len[order].checked_sub(1)?;
        self.len[order] = top;
        Some(self.blocks[BASE[order] + top])
    }

    /// Keeps a block of `order`; returns `false` if there is no room.
    #[inline]
    pub fn push(&mut self, pfn: Pfn, order: u8) -> bool {
        let order = order as usize;
        let len = self.len[order];
        if len == CAPACITY[order] {
            return false;
        }
        self.blocks[BASE[order] + len] = pfn;
        self.len[order] = len + 1;
        true
    }

    /// Takes a frame of zeroes, if there is one.
    #[inline]
    pub fn pop_clean(&mut self) -> Option<Pfn> {
        let top = self.clean_len.checked_sub(1)?;
        self.clean_len = top;
        self.clean.get(top).copied()
    }

    /// Keeps as many of these frames of zeroes as there is room for; returns how many.
    #[inline]
    pub fn push_clean(&mut self, frames: &[Pfn]) -> usize {
        let room = self.clean.get_mut(self.clean_len..).unwrap_or_default();
        let kept = room.iter_mut().zip(frames).map(|(slot, frame)| *slot = *frame).count();
        self.clean_len += kept;
        kept
    }

    /// Keeps as many of `blocks`, of `order`, as fill three quarters; returns how many. The rest of the room is for those
    /// that come one by one, which would each find the cache full.
    pub fn push_some(&mut self, blocks: &[Pfn], order: u8) -> usize {
        let order = order as usize;
        let (base, len) = (BASE[order], self.len[order]);
        let kept = blocks.len().min((CAPACITY[order] * 3 / 4).saturating_sub(len));
        self.blocks[base + len..base + len + kept].copy_from_slice(&blocks[..kept]);
        self.len[order] = len + kept;
        kept
    }

    /// Takes a block of `order` from `source` and up to a quarter of the capacity more to keep; `source` hands as many
    /// as it is asked for, or fewer, to the function it is given. Only if nothing is cached.
    pub fn refill(
        &mut self,
        order: u8,
        source: &mut impl FnMut(usize, &mut dyn FnMut(Pfn)) -> usize,
    ) -> Option<Pfn> {
        source(CAPACITY[order as usize] / 4, &mut |pfn| {
            // An empty cache has room for a quarter of what it may hold.
            self.push(pfn, order);
        });
        self.pop(order)
    }

    /// Gives the older half of the cached blocks of `order` to `sink`, together.
    pub fn drain_half(&mut self, order: u8, sink: &mut impl FnMut(&[Pfn], u8)) {
        let base = BASE[order as usize];
        let len = self.len[order as usize];
        let cached = &mut self.blocks[base..base + len];
        sink(&cached[..len / 2], order);
        cached.copy_within(len / 2.., 0);
        self.len[order as usize] = len - len / 2;
    }

    /// Gives everything to `sink`, but for the frames of zeroes.
    pub fn drain(&mut self, sink: &mut impl FnMut(Pfn, u8)) {
        for order in 0..=MAX_ORDER {
            while let Some(pfn) = self.pop(order) {
                sink(pfn, order);
            }
        }
    }

    /// Gives the frames of zeroes to `sink`.
    pub fn drain_clean(&mut self, sink: &mut impl FnMut(Pfn)) {
        while let Some(pfn) = self.pop_clean() {
            sink(pfn);
        }
    }

    /// Frames in all cached blocks.
    pub fn pages(&self) -> u64 {
        let blocks = self.len.iter().enumerate().map(|(order, len)| (*len as u64) << order);
        blocks.sum::<u64>() + self.clean_len as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_block_freed_last_is_used_first_and_orders_do_not_mix() {
        let mut caches = Caches::EMPTY;
        assert!(caches.push(Pfn::new(1), 0) && caches.push(Pfn::new(2), 0));
        assert!(caches.push(Pfn::new(512), MAX_ORDER));
        assert_eq!(caches.pages(), 2 + (1 << MAX_ORDER));
        assert_eq!(
            (caches.pop(0), caches.pop(MAX_ORDER), caches.pop(MAX_ORDER)),
            (Some(Pfn::new(2)), Some(Pfn::new(512)), None)
        );
        assert_eq!((caches.pop(0), caches.pop(0)), (Some(Pfn::new(1)), None));
    }

    #[test]
    fn a_full_cache_gives_its_older_half_away() {
        let mut caches = Caches::EMPTY;
        const ORDER: u8 = 2;
        let capacity = CAPACITY[ORDER as usize] as u64;
        let mut n = 0;
        while caches.push(Pfn::new(n * 4), ORDER) {
            n += 1;
        }
        assert_eq!(n, capacity);
        let mut gone = Vec::new();
        caches.drain_half(ORDER, &mut |blocks, order| {
            gone.extend(blocks.iter().map(|pfn| (pfn.get() / 4, order)));
        });
        let last = capacity as usize / 2 - 1;
        assert_eq!(gone.len(), last + 1);
        assert_eq!((gone[0], gone[last]), ((0, ORDER), (last as u64, ORDER)));
        assert_eq!(caches.pop(ORDER), Some(Pfn::new((n - 1) * 4)));
        caches.drain(&mut |_, _| n -= 1);
        assert_eq!(caches.pages(), 0);
    }

    #[test]
    fn frames_of_zeroes_are_kept_apart_and_go_back_with_the_others() {
        let mut caches = Caches::EMPTY;
        assert!(caches.push(Pfn::new(1), 0));
        let clean: Vec<Pfn> = (0..CLEAN as u64 + 3).map(|n| Pfn::new(100 + n)).collect();
        assert_eq!(caches.push_clean(&clean[..2]), 2);
        assert_eq!((caches.push_clean(&clean[2..]), caches.push_clean(&clean)), (CLEAN - 2, 0));
        assert_eq!(caches.pages(), 1 + CLEAN as u64);
        assert_eq!((caches.pop(0), caches.pop(0)), (Some(Pfn::new(1)), None));
        assert_eq!(caches.pop_clean(), Some(Pfn::new(100 + CLEAN as u64 - 1)));
        let mut gone = 0;
        caches.drain(&mut |_, _| gone += 1000);
        caches.drain_clean(&mut |_| gone += 1);
        assert_eq!((gone, caches.pages(), caches.pop_clean()), (CLEAN as u64 - 1, 0, None));
    }
}
