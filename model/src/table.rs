//! The translation tables the model knows, with a copy of what they hold.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use crate::desc::{Desc, Kind};
use crate::geometry::Granule;

/// Where an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct At {
    /// The tag of the tree.
    pub tag: u32,
    /// The level of its table.
    pub level: u8,
    /// The first address it translates.
    pub va: u64,
    /// The physical address of its table.
    pub page: u64,
    /// Its index in the table.
    pub index: usize,
}

/// One table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// The tag of the tree it is in.
    pub tag: u32,
    /// Its level.
    pub level: u8,
    /// The first address it translates.
    pub va: u64,
    /// Unlinked, but walk caches may still lead here.
    pub frozen: bool,
    /// What it holds.
    pub words: Box<[u64]>,
    /// One bit an entry: whether a TLB may hold what the entry says now.
    pub cached: Box<[u64]>,
    /// For tables of the kernel's half: what each entry held before it became invalid; empty until one does.
    pub former: Vec<u64>,
}

impl Table {
    pub(crate) fn at(&self, page: u64, index: usize, granule: Granule) -> At {
        let va = self.va + ((index as u64) << granule.shift(self.level));
        At { tag: self.tag, level: self.level, va, page, index }
    }

    pub(crate) fn desc(&self, index: usize) -> Desc {
        Desc(self.words[index])
    }

    pub(crate) fn may_be_cached(&self, index: usize) -> bool {
        self.cached[index / 64] >> (index % 64) & 1 == 1
    }

    fn set_cached(&mut self, index: usize, cached: bool) {
        let bit = 1 << (index % 64);
        if cached {
            self.cached[index / 64] |= bit;
        } else {
            self.cached[index / 64] &= !bit;
        }
    }

    /// Works out whether TLBs may hold the entry at `index`, whose value is new. An entry without access flag
    /// is never cached (IWZCBG), unless its contiguous siblings' flag stands for it (RXDPXQ) or hardware sets
    /// it unseen.
    pub(crate) fn update_cached(&mut self, index: usize, granule: Granule, unseen_flag: bool) {
        let desc = self.desc(index);
        match desc.kind(self.level, granule) {
            Kind::Invalid => self.set_cached(index, false),
            Kind::Table(_) => self.set_cached(index, true),
            Kind::Leaf if !desc.is_cont() => self.set_cached(index, desc.accessed() || unseen_flag),
            Kind::Leaf => {
                let nr = granule.contiguous(self.level);
                let first = index & !(nr - 1);
                let live = |table: &Table, i: usize| {
                    let sibling = table.desc(i);
                    sibling.kind(table.level, granule) == Kind::Leaf && sibling.is_cont()
                };
                if desc.accessed() || unseen_flag {
                    (first..first + nr).for_each(|i| {
                        if live(self, i) {
                            self.set_cached(i, true);
                        }
                    });
                } else {
                    let any =
                        (first..first + nr).any(|i| i != index && live(self, i) && self.may_be_cached(i));
                    self.set_cached(index, any);
                }
            }
        }
    }
}

/// All known tables, by physical address.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    granule: Granule,
    map: BTreeMap<u64, Table>,
    /// How many known tables fall in each bucket: a quick "no" for the many stores that are to other pages.
    buckets: Box<[u16; BUCKETS]>,
}

const BUCKETS: usize = 8192;

impl Tables {
    pub(crate) fn new(granule: Granule) -> Self {
        Tables { granule, map: BTreeMap::new(), buckets: Box::new([0; BUCKETS]) }
    }

    fn bucket(&self, page: u64) -> usize {
        (page >> self.granule.page_shift()) as usize % BUCKETS
    }

    /// The page that `pa` lies in.
    pub(crate) fn page_of(&self, pa: u64) -> u64 {
        pa & !(self.granule.page_size() - 1)
    }

    #[inline]
    pub(crate) fn contains(&self, pa: u64) -> bool {
        let page = self.page_of(pa);
        self.buckets[self.bucket(page)] != 0 && self.map.contains_key(&page)
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn get(&self, page: u64) -> Option<&Table> {
        self.map.get(&page)
    }

    pub(crate) fn get_mut(&mut self, page: u64) -> Option<&mut Table> {
        self.map.get_mut(&page)
    }

    /// Adds the table at `page`, its contents given by `word`; nothing of it counts as cached yet.
    pub(crate) fn insert(&mut self, page: u64, tag: u32, level: u8, va: u64, word: impl FnMut(u64) -> u64) {
        let entries = self.granule.entries();
        let words = (0..entries as u64).map(|index| page + 8 * index).map(word).collect();
        let cached = vec![0; entries.div_ceil(64)].into_boxed_slice();
        let bucket = self.bucket(page);
        self.buckets[bucket] += 1;
        let table = Table { tag, level, va, frozen: false, words, cached, former: Vec::new() };
        if self.map.insert(page, table).is_some() {
            self.buckets[bucket] -= 1;
        }
    }

    pub(crate) fn remove(&mut self, page: u64) -> Option<Table> {
        let table = self.map.remove(&page)?;
        let bucket = self.bucket(page);
        self.buckets[bucket] -= 1;
        Some(table)
    }

    /// Removes all tables of a tree.
    pub(crate) fn remove_tree(&mut self, tag: u32) {
        let granule = self.granule;
        let buckets = &mut self.buckets;
        self.map.retain(|page, table| {
            let keep = table.tag != tag;
            if !keep {
                buckets[(page >> granule.page_shift()) as usize % BUCKETS] -= 1;
            }
            keep
        });
    }

    /// The first known table from `start` to before `end`.
    pub(crate) fn first_in(&self, start: u64, end: u64) -> Option<u64> {
        self.map.range(self.page_of(start)..end).next().map(|(page, _)| *page)
    }
}
