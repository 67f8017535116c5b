//! The measurements. Each repetition starts from a fresh region, because on some kernels (Linux) a region's blocks
//! decay for good once they have been written after a fork.
//!
//! - `fixed`: fork and exit without a region;
//! - `cycle`: populate, fork, exit, fork again, wait, write again;
//! - `cow`: the other COW writes;
//! - `unmap`: munmap;
//! - `protect`: mprotect, both ways;
//! - `holes`: one page of each block forgotten, then fork;
//! - `small`: what has nothing to do with folios: many mappings, small processes;
//! - `check`: data and folio size are what they should be;
//! - `scale`: does it stay as cheap with more of everything;
//! - `decay`: do blocks stay folded over many forks;
//! - `sizes`: folios were allocated and mapped as they should be, by what Linux counts;
//! - `live`: many children at once, and the storm;
//! - `oom`: forks while memory runs out.

pub mod check;
pub mod cow;
pub mod cycle;
pub mod decay;
pub mod fixed;
pub mod holes;
pub mod live;
pub mod oom;
pub mod protect;
pub mod scale;
pub mod sizes;
pub mod small;
pub mod unmap;

use crate::bench::{Bench, Measured, Trying, Window};
use crate::folio::Folio;
use crate::options::Options;
use crate::region::Region;
use crate::report::Report;
use crate::row::Row;
use user::sys::memory::{block_size, page_size};

/// What fork and exit cost without a region.
#[derive(Clone, Copy)]
pub struct Fixed {
    /// Fork, seen by the parent.
    pub fork: u64,
    /// The child's exit to the parent's return from wait4.
    pub exit: u64,
}

/// What every measurement needs to know.
pub struct Context<'a> {
    /// The instruments.
    pub bench: &'a Bench,
    /// The command line.
    pub options: &'a Options,
    /// The folios in force.
    pub folio: Folio,
}

impl Context<'_> {
    /// A fresh region.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn region(&self) -> Measured<Region> {
        Region::map((self.options.mib as usize) << 20).trying("map the region")
    }

    /// A fresh region, every page of it written.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn populated(&self) -> Measured<Region> {
        let region = self.region()?;
        region.write_all(1);
        self.split_if_wanted(&region)?;
        Ok(region)
    }

    /// Has a populated region's folios mapped by PTEs if they are to be and a kernel would do otherwise.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn split_if_wanted(&self, region: &Region) -> Measured<()> {
        if self.folio.is_to_be_split() { region.split_blocks().trying("split blocks") } else { Ok(()) }
    }

    /// Pages in the region.
    pub fn pages(&self) -> u64 {
        (self.options.mib << 20) / page_size() as u64
    }

    /// Contpte blocks that the region has room for.
    pub fn blocks(&self) -> u64 {
        (self.options.mib << 20) / block_size() as u64
    }

    /// Reports a window as a row. `fixed` is the part of its cost that is not the pages'.
    pub fn report(
        &self,
        report: &mut Report,
        op: &'static str,
        pages: u64,
        window: Option<Window>,
        fixed: u64,
    ) {
        let Some(window) = window else { return };
        report.row(&Row {
            op,
            folio: self.folio,
            region_mib: if pages == 0 { 0 } else { self.options.mib },
            pages,
            cost: window.cost,
            fixed,
            events: window.events,
            count: None,
            contpte: None,
        });
    }
}
