//! Memory as a process would describe it, page by page: what any implementation of it must look like from outside.
//!
//! No tables, no folios, no sharing: fork copies every byte. The real implementation is compared with this one, after
//! each operation and in every page.

use super::areas::Views;
use crate::mm::{FaultError, Prot};

/// Pages of the private area, in two last-level tables: it begins two blocks before a PMD boundary.
pub const PAGES: usize = 64;

/// One page as its process sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// What is permitted.
    pub prot: Prot,
    /// What it holds.
    pub value: u8,
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
        self.pages[pages].fill(Some(Page { prot: Prot::READ | Prot::WRITE, value: 0 }));
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
        self.pages[pages].iter_mut().flatten().for_each(|page| page.value = 0);
    }

    /// What a load gives.
    pub fn read(&self, page: usize) -> Result<u8, FaultError> {
        match self.pages[page] {
            None => Err(FaultError::MapErr),
            Some(page) if page.prot.is_empty() => Err(FaultError::AccErr),
            Some(page) => Ok(page.value),
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
