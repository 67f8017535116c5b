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
        self.pages[pages].fill(Some(Page { prot: Prot::READ | Prot::WRITE, value: 0, pinned: None }));
    }

    /// Unmaps `pages`.
    pub fn unmap(&mut self, pages: core::ops::Range<usize>) {
        self.pages[pages].fill(None);
    }

    /// Changes what is permitted; returns whether all of it was mapped. If not, nothing changes.
    pub fn protect(&mut self, pages: core::ops::Range<usize>, prot: Prot) -> bool {
        let mapped = self.pages[pages.clone()].iter().all(Option::is_some);
        if mapped {
            self.pages[pages].iter_mut().flatten().for_each(|page| page.prot = prot);
        }
        mapped
    }

    /// Makes what is mapped in `pages` zero again.
    pub fn discard(&mut self, pages: core::ops::Range<usize>) {
        self.pages[pages].iter_mut().flatten().for_each(|page| (page.value, page.pinned) = (0, None));
    }

    /// What the child of a fork gets: the same contents in frames of its own.
    pub fn fork(&self) -> Naive {
        let mut child = self.clone();
        child.pages.iter_mut().flatten().for_each(|page| page.pinned = None);
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
            _ => self.read(page).map(drop),
        }
    }

    /// What a store does.
    pub fn write(&mut self, page: usize, value: u8) -> Result<(), FaultError> {
        match &mut self.pages[page] {
            None => Err(FaultError::MapErr),
            Some(page) if !page.prot.contains(Prot::WRITE) => Err(FaultError::AccErr),
            Some(page) => {
                page.value = value;
                Ok(())
            }
        }
    }
}
