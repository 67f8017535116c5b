//! Memory as a process would describe it, page by page: what any implementation of it must look like from outside.
//!
//! No tables, no folios, no sharing: fork copies every byte. The real implementation is compared with this one, after
//! each operation and in every page.

use paging::{CONT_PTES, Pfn};

use super::areas::Views;
use crate::mm::{FaultError, Prot};

/// Pages of the private area, four blocks in two last-level tables: it begins two blocks before a PMD boundary.
pub const PAGES: usize = 4 * CONT_PTES;

/// One page as its process sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// What is permitted.
    pub prot: Prot,
    /// What it holds.
    pub value: u8,
    /// The frame that must be mapped, if it is pinned.
    pub pinned: Option<Pfn>,
    /// Whether its mapping is registered with userfaultfd.
    pub registered: bool,
    /// Whether its mapping's writes are tracked.
    pub tracked: bool,
    /// Whether writes are userfaultfd's to hear of first.
    pub protected: bool,
    /// Whether it must count as written: it was, since the marks were last cleared.
    pub written: bool,
}

impl Page {
    /// A fresh page of a mapping that permits reads and writes.
    const NEW: Page = Page {
        prot: Prot::READ.union(Prot::WRITE),
        value: 0,
        pinned: None,
        registered: false,
        tracked: false,
        protected: false,
        written: false,
    };

    /// What makes it one mapping with its neighbours.
    fn mapping(self) -> (Prot, bool, bool) {
        (self.prot, self.registered, self.tracked)
    }

    /// A fresh page of the same mapping.
    fn fresh(self) -> Page {
        Page { prot: self.prot, registered: self.registered, tracked: self.tracked, ..Page::NEW }
    }
}

/// A process's memory.
#[derive(Clone, Debug)]
pub struct Naive {
    pages: [Option<Page>; PAGES],
    /// What it sees of shared memory and files.
    pub views: Views,
}

impl Default for Naive {
    fn default() -> Self {
        Naive { pages: [None; PAGES], views: Views::default() }
    }
}

impl Naive {
    /// Maps fresh memory over `pages`, whatever was there.
    pub fn map(&mut self, pages: core::ops::Range<usize>) {
        self.pages[pages].fill(Some(Page::NEW));
    }

    /// Unmaps `pages`.
    pub fn unmap(&mut self, pages: core::ops::Range<usize>) {
        self.pages[pages].fill(None);
    }

    /// Changes what is permitted up to the first page that is not mapped; returns whether all were.
    pub fn protect(&mut self, pages: core::ops::Range<usize>, prot: Prot) -> bool {
        let pages = &mut self.pages[pages];
        let count = pages.len();
        let mapped = pages.iter_mut().map_while(Option::as_mut);
        mapped.map(|page| page.prot = prot).count() == count
    }

    /// Makes what is mapped in `pages` zero again.
    pub fn discard(&mut self, pages: core::ops::Range<usize>) {
        let gone = |page: &mut Page| {
            (page.value, page.pinned) = (0, None);
            (page.protected, page.written) = (false, false);
        };
        self.pages[pages].iter_mut().flatten().for_each(gone);
    }

    /// What the child of a fork gets: the same contents in frames of its own. Nobody hears of its writes
    /// first.
    pub fn fork(&self) -> Naive {
        let mut child = self.clone();
        child.pages.iter_mut().flatten().for_each(|page| {
            (page.pinned, page.protected, page.registered) = (None, false, false);
        });
        child
    }

    /// The pinned frame of a page and what it must hold.
    pub fn pinned(&self, page: usize) -> Option<(Pfn, u8)> {
        self.pages[page].and_then(|page| page.pinned.map(|frame| (frame, page.value)))
    }

    /// `page` was pinned, in `frame`.
    pub fn set_pinned(&mut self, page: usize, frame: Pfn) {
        self.pages[page].iter_mut().for_each(|page| page.pinned = Some(frame));
    }

    /// The last pin of `frame` is gone.
    pub fn unpin(&mut self, frame: Pfn) {
        let its = |page: &&mut Page| page.pinned == Some(frame);
        self.pages.iter_mut().flatten().filter(its).for_each(|page| page.pinned = None);
    }

    /// Whether `pages` are all mapped and permit the same: then they are one mapping.
    fn is_one(&self, pages: core::ops::Range<usize>) -> bool {
        let first = self.pages[pages.start].map(Page::mapping);
        first.is_some() && self.pages[pages].iter().all(|page| page.map(Page::mapping) == first)
    }

    /// Moves the mapping `from` to `to`, over whatever is there; with `keep`, the old pages stay mapped and hold
    /// zeroes. Returns whether it is possible; if not, nothing changes.
    pub fn relocate(
        &mut self,
        from: core::ops::Range<usize>,
        to: core::ops::Range<usize>,
        keep: bool,
    ) -> bool {
        let kept = from.start..from.end.min(from.start + to.len());
        if (from.start < to.end && to.start < from.end) || !self.is_one(kept.clone()) {
            return false;
        }
        let fresh = self.pages[from.start].map(Page::fresh);
        let mut moved: std::vec::Vec<_> = self.pages[kept.clone()].to_vec();
        // Nobody hears of writes where the page goes, nor asked which there were.
        let leave = |page: &mut Page| {
            (page.protected, page.registered, page.tracked) = (false, false, false);
        };
        moved.iter_mut().flatten().for_each(leave);
        self.unmap(from);
        self.pages[to.clone()].fill(fresh);
        self.pages[to.clone()].iter_mut().flatten().for_each(leave);
        self.pages[to.start..to.start + moved.len()].copy_from_slice(&moved);
        if keep {
            self.pages[kept].fill(fresh);
        }
        true
    }

    /// Makes the mapping `from` longer by `more` pages; returns whether it is possible: one mapping, and nothing is
    /// behind it.
    pub fn grow(&mut self, from: core::ops::Range<usize>, more: usize) -> bool {
        let new = from.end..from.end + more;
        // Without more to have there is nothing to be refused, but that there is no mapping.
        if more == 0 {
            return self.pages[from.start].is_some();
        }
        if !self.is_one(from.clone()) || self.pages[new.clone()].iter().any(Option::is_some) {
            return false;
        }
        let fresh = self.pages[from.start].map(Page::fresh);
        self.pages[new].fill(fresh);
        true
    }

    /// Makes the mapping `from` shorter, to `left` pages; returns whether something is mapped at its start.
    pub fn shrink(&mut self, from: core::ops::Range<usize>, left: usize) -> bool {
        let mapped = self.pages[from.start].is_some();
        if mapped {
            self.unmap(from.start + left..from.end);
        }
        mapped
    }

    /// Protects pages for userfaultfd, or ends that; returns whether all of it was mapped. If not, nothing changes.
    pub fn protect_for_uffd(&mut self, pages: core::ops::Range<usize>, on: bool) -> bool {
        let mapped = self.pages[pages.clone()].iter().all(Option::is_some);
        if mapped {
            self.pages[pages]
                .iter_mut()
                .flatten()
                .for_each(|page| (page.registered, page.protected) = (true, on));
        }
        mapped
    }

    /// No page counts as written.
    pub fn clear_written(&mut self) {
        self.pages.iter_mut().flatten().for_each(|page| (page.tracked, page.written) = (true, false));
    }

    /// Whether a page must count as written.
    pub fn is_written(&self, page: usize) -> bool {
        self.pages[page].is_some_and(|page| page.written)
    }

    /// What a load gives.
    pub fn read(&self, page: usize) -> Result<u8, FaultError> {
        match self.pages[page] {
            None => Err(FaultError::MapErr),
            Some(page) if page.prot.is_empty() => Err(FaultError::AccErr),
            Some(page) => Ok(page.value),
        }
    }

    /// Whether a page can be pinned, for writing or only for reading.
    pub fn pin(&self, page: usize, write: bool) -> Result<(), FaultError> {
        match self.pages[page] {
            Some(Page { prot, .. }) if write && !prot.contains(Prot::WRITE) => Err(FaultError::AccErr),
            Some(page) if write && page.protected => Err(FaultError::UffdWp),
            _ => self.read(page).map(drop),
        }
    }

    /// What a store does.
    pub fn write(&mut self, page: usize, value: u8) -> Result<(), FaultError> {
        match &mut self.pages[page] {
            None => Err(FaultError::MapErr),
            Some(page) if !page.prot.contains(Prot::WRITE) => Err(FaultError::AccErr),
            Some(page) if page.protected => Err(FaultError::UffdWp),
            Some(page) => {
                (page.value, page.written) = (value, true);
                Ok(())
            }
        }
    }
}
