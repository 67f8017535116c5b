//! fork, for 2 MiB folios that are mapped by one descriptor: the child gets one like it.
//!
//! As for runs of pages ([`super::share`]) what is reported as events is added up and reported once, here for the whole
//! fork.

use paging::pmd::share_pmd;
use paging::{Event, PmdRef, Pte};

use crate::errno::{Errno, Result};
use crate::mm::Mm;
use crate::mm::machine::Machine;
use crate::mm::pmd::PMD_PAGES;
use crate::mm::space::AddressSpace;

/// The blocks of one fork. End with [`Blocks::finish`], whatever happened.
#[must_use = "the blocks are counted by finish"]
pub(super) struct Blocks {
    /// Where the last block was and where its copy is.
    last: Option<(PmdRef, PmdRef)>,
    copied: usize,
    stores: u64,
    protected: bool,
}

impl Blocks {
    pub const fn new() -> Self {
        Blocks { last: None, copied: 0, stores: 0, protected: false }
    }

    /// Copies the block `block` at `src`, an anonymous folio's, as one entry to the same place of `child`. Returns whether
    /// it did: not if the folio is pinned.
    ///
    /// # Errors
    /// `ENOMEM`, also if the folio has too many mappings.
    #[inline]
    pub fn copy<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        child: &AddressSpace,
        src: PmdRef,
        block: Pte,
    ) -> Result<bool> {
        let Some(folio) = mm.frames.shareable(block.pfn()) else {
            let pinned = mm.frames.counts(mm.frames.folio(block.pfn()).head).pins > 0;
            return if pinned { Ok(false) } else { Err(Errno::ENOMEM) };
        };
        let dst = match self.last.map(|(last, copy)| (last.next(), copy.next())) {
            Some((Some(next), Some(dst))) if next == src => dst,
            _ => child.pmd_for(mm, src.va())?,
        };
        folio.share(PMD_PAGES as u32);
        self.stores += share_pmd(&mm.machine, src, dst, block);
        self.protected |= block.is_writable();
        self.copied += 1;
        self.last = Some((src, dst));
        Ok(true)
    }

    /// Reports what was done. Returns how many pages the child has got, and whether blocks of the parent were
    /// write-protected.
    pub fn finish<M: Machine>(self, mm: &Mm<M>) -> (usize, bool) {
        if self.copied > 0 {
            let copied = self.copied as u64;
            let events = [
                (Event::ForkPmds, copied),
                (Event::FolioRefUpdates, copied),
                (Event::PteStores, self.stores),
            ];
            for (event, n) in events {
                mm.machine.count(event, n);
            }
        }
        (self.copied * PMD_PAGES, self.protected)
    }
}
