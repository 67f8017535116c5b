//! fork, for anonymous pages that both sides go on to use: whole runs of entries at once.
//!
//! What one entry becomes is worked out once for all that say the same ([`Share`]). A folio's new mappings are counted
//! by one atomic update when its run ends, so for each folio and table there is one; until then the parent's own
//! mappings, under the parent's lock, keep the folio. What is reported as events is added up and reported once a table.

use paging::contpte::{Share, ptep_get_raw};
use paging::{CONT_PTES, Event, Pte, PteRef};

use crate::mm::Mm;
use crate::mm::frame::Shareable;
use crate::mm::machine::Machine;

/// Shares one table's runs. End with [`Sharing::finish`], whatever happened: only that counts the last folio's mappings.
#[must_use = "the last folio's mappings are counted by finish"]
pub(super) struct Sharing<'m> {
    folio: Shareable<'m>,
    /// Mappings of `folio` that the child has and the folio does not count yet.
    uncounted: usize,
    pages: usize,
    stores: usize,
    runs: u64,
    blocks: usize,
    protected: u64,
    folios: u64,
}

impl<'m> Sharing<'m> {
    pub const fn new() -> Self {
        Sharing {
            folio: Shareable::NONE,
            uncounted: 0,
            pages: 0,
            stores: 0,
            runs: 0,
            blocks: 0,
            protected: 0,
            folios: 0,
        }
    }

    /// Copies entries from `src`, which holds `pte`, to the child's empty ones from `dst`, as long as `share` covers them
    /// and their folios may be shared, but at most `max`. Returns how many it were.
    #[inline]
    pub fn copy<M: Machine>(
        &mut self,
        mm: &'m Mm<M>,
        share: &Share,
        src: PteRef,
        dst: PteRef,
        pte: Pte,
        max: usize,
    ) -> usize {
        let (done, pages) = if share.is_folded() {
            let done = self.copy_blocks(mm, share, src, dst, pte, max);
            (done, done)
        } else if mm.frames.folio(pte.pfn()).order == 0 {
            let done = self.copy_pages(mm, share, src, dst, max);
            (done, done)
        } else {
            self.copy_runs(mm, share, src, dst, pte, max)
        };
        self.pages += pages;
        self.stores += pages;
        if share.protects() && pages > 0 {
            self.stores += pages;
            self.protected += 1;
        }
        done
    }

    /// [`Sharing::copy`] as long as each page is a folio by itself.
    #[inline(never)] // for its registers' sake, as the next
    fn copy_pages<M: Machine>(
        &mut self,
        mm: &'m Mm<M>,
        share: &Share,
        src: PteRef,
        dst: PteRef,
        max: usize,
    ) -> usize {
        let (frames, share) = (mm.frames, *share);
        let mut done = 0;
        while done < max {
            let pte = ptep_get_raw(&mm.machine, src.add(done));
            if !share.covers(pte) || !frames.share_page(pte.pfn()) {
                break;
            }
            share.write_page(&mm.machine, src.add(done), dst.add(done), pte);
            done += 1;
        }
        self.runs += done as u64;
        self.folios += done as u64;
        done
    }

    /// [`Sharing::copy`] of folded blocks up to the first hole: those of all folios are written at the end, together.
    #[inline(never)]
    fn copy_blocks<M: Machine>(
        &mut self,
        mm: &'m Mm<M>,
        share: &Share,
        src: PteRef,
        dst: PteRef,
        pte: Pte,
        max: usize,
    ) -> usize {
        if src.cont_index() != 0 {
            return 0;
        }
        if !self.folio.span.contains(pte.pfn()) {
            self.count_folio();
        }
        let (frames, share) = (&mm.frames, *share);
        // Of a folio that goes on behind a hole.
        let mut uncounted = core::mem::take(&mut self.uncounted);
        let (mut pte, mut done, mut folios) = (pte, 0, 0);
        while let Some(folio) = frames.shareable(pte.pfn()) {
            let left = folio.span.left_from(pte.pfn()).min(max - done);
            // Most often the folio is a block.
            let nr = match left {
                CONT_PTES => CONT_PTES,
                _ => share.run_blocks(&mm.machine, src.add(done), pte, left),
            };
            done += nr;
            if nr < left {
                self.folio = folio;
                self.runs += u64::from(nr > 0);
                uncounted += nr;
                break;
            }
            folio.share((uncounted + nr) as u32);
            uncounted = 0;
            folios += 1;
            if done == max {
                break;
            }
            pte = ptep_get_raw(&mm.machine, src.add(done));
            if !share.covers(pte) {
                break;
            }
        }
        self.uncounted = uncounted;
        self.runs += folios;
        self.folios += folios;
        self.blocks += done / CONT_PTES;
        share.write(&mm.machine, src, dst, Pte::NONE, done);
        done
    }

    /// [`Sharing::copy`] of runs in folios of several pages, none of it folded, and the holes between them. Returns how
    /// many entries it went through, and how many of them were pages.
    #[inline(never)]
    fn copy_runs<M: Machine>(
        &mut self,
        mm: &'m Mm<M>,
        share: &Share,
        src: PteRef,
        dst: PteRef,
        pte: Pte,
        max: usize,
    ) -> (usize, usize) {
        let share = *share;
        let (mut pte, mut done, mut pages) = (pte, 0, 0);
        while share.covers(pte) {
            if !self.folio.span.contains(pte.pfn()) {
                let Some(folio) = mm.frames.shareable(pte.pfn()) else { break };
                self.count_folio();
                self.folio = folio;
            }
            let left = self.folio.span.left_from(pte.pfn()).min(max - done);
            let nr = share.run(&mm.machine, src.add(done), pte, left);
            // A single page may complete a block of the child: whoever sets single pages sees to that.
            if nr < 2 {
                break;
            }
            share.write(&mm.machine, src.add(done), dst.add(done), pte, nr);
            self.uncounted += nr;
            self.runs += 1;
            pages += nr;
            done += nr;
            loop {
                if done == max {
                    return (done, pages);
                }
                pte = ptep_get_raw(&mm.machine, src.add(done));
                if !pte.is_none() {
                    break;
                }
                done += 1;
            }
        }
        (done, pages)
    }

    #[inline(always)]
    fn count_folio(&mut self) {
        if self.uncounted > 0 {
            self.folio.share(self.uncounted as u32);
            self.uncounted = 0;
            self.folios += 1;
        }
    }

    /// Counts what is not counted yet. Returns how many pages the child has got, and whether entries of the parent were
    /// write-protected.
    pub fn finish<M: Machine>(mut self, mm: &'m Mm<M>) -> (usize, bool) {
        self.count_folio();
        if self.pages > 0 {
            let events = [
                (Event::ForkBatches, self.runs),
                (Event::ForkBlocks, self.blocks as u64),
                (Event::SetPtesBatches, self.runs),
                (Event::WrprotectBatches, self.protected),
                (Event::PteStores, self.stores as u64),
                (Event::FolioRefUpdates, self.folios),
            ];
            for (event, n) in events {
                mm.machine.count(event, n);
            }
        }
        (self.pages, self.protected > 0)
    }
}
