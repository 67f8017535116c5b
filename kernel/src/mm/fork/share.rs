//! fork, for anonymous pages that both sides go on to use: whole runs of entries at once.
//!
//! What one entry becomes is worked out once for all that say the same ([`Share`]). A folio's new mappings are counted
//! by one atomic update when its run ends, so for each folio and table there is one; until then the parent's own
//! mappings, under the parent's lock, keep the folio. What is reported as events is added up and reported once a table.

use paging::contpte::{Share, ptep_get_raw};
use paging::{CONT_PTES, Event, Pte, PteRef, Sparse};

use crate::mm::Mm;
use crate::mm::frame::Shareable;
use crate::mm::machine::Machine;
use crate::mm::policy::BLOCK_ORDER;

/// How many blocks one look takes in: a table of 4 KiB pages, and as many entries of larger ones.
const SURVEY: usize = 512 / CONT_PTES;

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
    /// and their folios may be shared, but at most `max`. Returns how many it were. `before` entries that come before
    /// `src` in its table were gone through.
    #[inline]
    #[allow(clippy::too_many_arguments)] // two sides of a copy and its bounds
    pub fn copy<M: Machine>(
        &mut self,
        mm: &'m Mm<M>,
        share: &Share,
        src: PteRef,
        dst: PteRef,
        pte: Pte,
        max: usize,
        before: usize,
    ) -> usize {
        let (done, pages) = if share.is_folded() {
            let done = self.copy_blocks(mm, share, src, dst, pte, max);
            (done, done)
        } else {
            match mm.frames.folio(pte.pfn()).order {
                0 => {
                    let done = self.copy_pages(mm, share, src, dst, max);
                    (done, done)
                }
                order if order < BLOCK_ORDER => self.copy_runs(mm, share, src, dst, max, false),
                _ => {
                    // What begins with holes is a block with holes too.
                    let holes = src.cont_index();
                    let all_holes = || mm.machine.are_clear(src.cont_start().desc(), holes);
                    let holes = if holes <= before && all_holes() { holes } else { 0 };
                    let (src, dst) =
                        if holes > 0 { (src.cont_start(), dst.cont_start()) } else { (src, dst) };
                    let (done, pages) = self.copy_runs(mm, share, src, dst, holes + max, true);
                    (done - holes, pages)
                }
            }
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
    /// many entries it went through, and how many of them were pages. `sparse` says whether to look for blocks with holes.
    #[inline(never)]
    fn copy_runs<M: Machine>(
        &mut self,
        mm: &'m Mm<M>,
        share: &Share,
        src: PteRef,
        dst: PteRef,
        max: usize,
        mut sparse: bool,
    ) -> (usize, usize) {
        let share = *share;
        let (mut done, mut pages) = (0, 0);
        while done < max {
            let (here, mut limit) = (src.add(done), max - done);
            if sparse && here.cont_index() == 0 && limit >= CONT_PTES {
                let (through, found) = self.copy_sparse(mm, &share, here, dst.add(done), limit);
                (done, pages) = (done + through, pages + found);
                // Frames that do not lie as a block's do here will not a block further on.
                sparse = through > 0;
                continue;
            }
            let pte = ptep_get_raw(&mm.machine, here);
            if pte.is_none() {
                done += 1;
                continue;
            }
            if !share.covers(pte) {
                break;
            }
            if !self.folio.span.contains(pte.pfn()) {
                let Some(folio) = mm.frames.shareable(pte.pfn()) else { break };
                self.count_folio();
                self.folio = folio;
            }
            if sparse {
                limit = limit.min(CONT_PTES - here.cont_index());
            }
            let left = self.folio.span.left_from(pte.pfn()).min(limit);
            let nr = share.run(&mm.machine, here, pte, left);
            // A single page may complete a block of the child: whoever sets single pages sees to that.
            if nr < 2 {
                break;
            }
            share.write(&mm.machine, here, dst.add(done), pte, nr);
            self.uncounted += nr;
            self.runs += 1;
            pages += nr;
            done += nr;
        }
        (done, pages)
    }

    /// [`Sharing::copy_runs`] of contpte blocks with holes, of which `src` is the first of one: up to the first that takes
    /// more than that, or whose folio is smaller.
    #[inline(never)]
    fn copy_sparse<M: Machine>(
        &mut self,
        mm: &'m Mm<M>,
        share: &Share,
        src: PteRef,
        dst: PteRef,
        max: usize,
    ) -> (usize, usize) {
        let mut found = [Sparse::EMPTY; SURVEY];
        let asked = SURVEY.min(max / CONT_PTES);
        let blocks = share.survey(&mm.machine, src, &mut found[..asked]);
        if self.folio.span.pages < CONT_PTES as u64 {
            self.count_folio();
            self.folio = Shareable::NONE;
        }
        let (mut folio, mut uncounted) = (self.folio, self.uncounted as u32);
        let (mut through, mut pages, mut runs, mut folios) = (0, 0, 0, 0);
        for block in &found[..blocks] {
            let nr = block.pages();
            if nr > 0 {
                if folio.span.contains(block.start()) {
                    uncounted += nr as u32;
                } else {
                    let Some(next) = mm.frames.shareable(block.first_mapped()) else { break };
                    if next.span.pages < CONT_PTES as u64 {
                        break;
                    }
                    if uncounted > 0 {
                        folio.share(uncounted);
                        folios += 1;
                    }
                    (folio, uncounted) = (next, nr as u32);
                }
                // Folios are aligned to their size, so one that is as large as a block and has a page of it has all.
                debug_assert!(folio.span.covers(block.start(), CONT_PTES as u64));
                pages += nr;
                runs += 1;
            }
            through += 1;
        }
        (self.folio, self.uncounted) = (folio, uncounted as usize);
        self.runs += runs;
        self.folios += folios;
        share.write_sparse(&mm.machine, src, dst, &found[..through]);
        (through * CONT_PTES, pages)
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
