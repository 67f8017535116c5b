//! Giving up all that a last-level table maps, when nothing translates through it any more.
//!
//! At the end of an address space, and where munmap takes whole tables away: the table was unlinked and the TLBs were
//! flushed first, so its entries need not be cleared; they are read once more, and then the table is only a page.

use core::mem::MaybeUninit;

use paging::batch::{folded_run, mapped_run};
use paging::contpte::ptep_get_raw;
use paging::teardown::Heir;
use paging::walk::{Part, PteRef};
use paging::{CONT_PTES, Event, Pfn, PhysAddr};

use super::Mm;
use super::frame::{Kind, Mapped};
use super::machine::Machine;
use super::pmd::PMD_PAGES;
use super::policy::BLOCK_ORDER;

/// Where what became free is noted until it is given back together: not in what notes it, so that none of it is zeroed or
/// moved.
pub(super) struct Room {
    heads: [MaybeUninit<Pfn>; Freed::MOST],
    tables: [MaybeUninit<Pfn>; Room::TABLES],
}

impl Room {
    /// As many tables as a small process has.
    const TABLES: usize = 16;

    /// With nothing in it.
    #[inline(always)]
    pub const fn new() -> Self {
        Room { heads: [MaybeUninit::uninit(); Freed::MOST], tables: [MaybeUninit::uninit(); Room::TABLES] }
    }
}

/// Anonymous folios of one size that became free, to be given back together.
struct Freed<'r> {
    /// The first `len` are written.
    heads: &'r mut [MaybeUninit<Pfn>; Freed::MOST],
    len: usize,
    order: u8,
}

impl<'r> Freed<'r> {
    const MOST: usize = 64;

    #[inline(always)]
    fn new(heads: &'r mut [MaybeUninit<Pfn>; Freed::MOST]) -> Self {
        Freed { heads, len: 0, order: 0 }
    }

    #[inline(always)]
    fn push<M: Machine>(&mut self, mm: &Mm<M>, head: Pfn, order: u8) {
        if self.len == Freed::MOST || self.order != order {
            self.give_back(mm);
            self.order = order;
        }
        self.heads[self.len].write(head);
        self.len += 1;
    }

    #[inline(always)]
    fn give_back<M: Machine>(&mut self, mm: &Mm<M>) {
        if self.len > 0 {
            self.give_back_some(mm);
        }
    }

    #[inline(never)]
    fn give_back_some<M: Machine>(&mut self, mm: &Mm<M>) {
        // SAFETY: `push` wrote as many.
        let heads = unsafe { &*(core::ptr::from_ref(&self.heads[..self.len]) as *const [Pfn]) };
        mm.free_folios(heads, self.order);
        self.len = 0;
    }
}

/// Up to so many entries of a table are cleared at the end of an address space: zeroing the page for its next use as a
/// table costs as much as clearing some more.
pub(super) const CLEARED: usize = 64;

/// Releases what an address space mapped and the tables it mapped it with, once nothing translates through them.
/// Finish with [`Release::finish`].
#[must_use = "the last folios are given back by finish"]
pub(super) struct Release<'m, M: Machine> {
    mm: &'m Mm<M>,
    freed: Freed<'m>,
    /// Tables of zeroes; the first `clean` are written.
    tables: &'m mut [MaybeUninit<Pfn>; Room::TABLES],
    clean: usize,
    count: u64,
}

impl<'m, M: Machine> Release<'m, M> {
    /// Nothing released yet.
    #[inline(always)]
    pub fn new(mm: &'m Mm<M>, room: &'m mut Room) -> Self {
        let Room { heads, tables } = room;
        Release { mm, freed: Freed::new(heads), tables, clean: 0, count: 0 }
    }

    /// Gives back what became free last.
    #[inline(always)]
    pub fn finish(mut self) {
        self.freed.give_back(self.mm);
        self.give_tables_back();
        self.mm.count_tables_freed(self.count);
    }

    #[inline(never)]
    fn give_tables_back(&mut self) {
        // SAFETY: `table` wrote as many.
        let tables = unsafe { &*(core::ptr::from_ref(&self.tables[..self.clean]) as *const [Pfn]) };
        self.mm.keep_clean_tables(tables);
        self.clean = 0;
    }
}

impl<M: Machine> Heir for Release<'_, M> {
    #[inline(always)]
    fn part(&mut self, part: Part) -> bool {
        match part {
            Part::Table(first, nr) => {
                self.mm.release_part(first, nr, &mut self.freed);
                if nr <= CLEARED {
                    self.mm.machine.clear_run(first.desc(), nr);
                    self.mm.machine.count(Event::PteStores, nr as u64);
                }
                nr <= CLEARED
            }
            Part::Block(_, block) => {
                self.mm.folio_remove_mappings(self.mm.frames.folio(block.pfn()).head, PMD_PAGES as u32);
                true
            }
        }
    }

    #[inline(always)]
    fn table(&mut self, table: PhysAddr, clean: bool) {
        self.count += 1;
        if !clean {
            return self.mm.free_frames(table.pfn());
        }
        if self.clean == Room::TABLES {
            self.give_tables_back();
        }
        self.tables[self.clean].write(table.pfn());
        self.clean += 1;
    }
}

impl<M: Machine> Mm<M> {
    /// Drops the mappings of the `nr` entries from `first`, which lie in one table, by runs of one folio, and what the
    /// entries refer to that are not present. Returns how many pages of a resident set they were.
    pub(super) fn release_entries(&self, first: PteRef, nr: usize) -> usize {
        let mut heads = [MaybeUninit::uninit(); Freed::MOST];
        let mut freed = Freed::new(&mut heads);
        let pages = self.release_part(first, nr, &mut freed);
        freed.give_back(self);
        pages
    }

    /// [`Mm::release_entries`]; what became free is in `freed`, or given back already.
    #[inline(never)]
    fn release_part(&self, first: PteRef, nr: usize, freed: &mut Freed<'_>) -> usize {
        let mut run = Mapped::NONE;
        let (mut pages, mut updates, mut index) = (0, 0, 0);
        while index < nr {
            let pte = ptep_get_raw(&self.machine, first.add(index));
            if pte.is_none() {
                index += 1 + self.machine.empty_run(first.add(index + 1).desc(), nr - index - 1);
                continue;
            }
            if !pte.is_present() || pte.is_special() {
                if !pte.is_present() {
                    pages += usize::from(self.release_nonpresent(pte));
                }
                index += 1;
                continue;
            }
            if !run.holds(pte.pfn()) {
                if pte.is_cont() {
                    let entries = self.release_whole::<BLOCK_ORDER>(first.add(index), nr - index, freed);
                    updates += (entries / CONT_PTES) as u64;
                    pages += entries;
                    index += entries;
                    if entries > 0 {
                        continue;
                    }
                } else if self.frames.folio(pte.pfn()).is_page() {
                    let entries = self.release_whole::<0>(first.add(index), nr - index, freed);
                    updates += entries as u64;
                    pages += entries;
                    index += entries;
                    continue;
                }
                updates += self.drop_run(&run, freed);
                run = self.frames.mapped(pte.pfn());
            }
            // A block may go on behind the range.
            let left = run.folio.span().left_from(pte.pfn()).min(nr - index);
            let batch = if pte.is_cont() {
                folded_run(&self.machine, first.add(index), pte, left)
            } else {
                mapped_run(&self.machine, first.add(index), pte, left)
            };
            run.pages += batch as u32;
            pages += batch;
            index += batch;
        }
        updates += self.drop_run(&run, freed);
        if updates > 0 {
            self.machine.count(Event::FolioRefUpdates, updates);
        }
        pages
    }

    /// Drops the mappings of the entries from `first`, at most `max`, as long as they map whole folios of `ORDER`: single
    /// pages, or folded blocks of anonymous memory. Returns how many entries they were.
    #[inline(never)] // for its registers' sake
    fn release_whole<const ORDER: u8>(&self, first: PteRef, max: usize, freed: &mut Freed<'_>) -> usize {
        const { assert!(ORDER == 0 || ORDER == BLOCK_ORDER) };
        let (frames, step) = (self.frames, 1 << ORDER);
        if !first.cont_index().is_multiple_of(step) {
            return 0;
        }
        if freed.order != ORDER || freed.len == Freed::MOST {
            freed.give_back(self);
            freed.order = ORDER;
        }
        let (mut done, mut len, end) = (0, freed.len, max - max % step);
        while done < end {
            let pte = ptep_get_raw(&self.machine, first.add(done));
            if !pte.is_present() || if ORDER == 0 { pte.is_special() } else { !pte.is_cont() } {
                break;
            }
            let Some(last) = frames.unshare_whole(pte.pfn(), ORDER) else { break };
            done += step;
            if last {
                freed.heads[len % Freed::MOST].write(pte.pfn());
                len += 1;
                if len == Freed::MOST {
                    freed.len = len;
                    freed.give_back(self);
                    len = 0;
                }
            }
        }
        freed.len = len;
        done
    }

    /// Drops a run's mappings; returns how many updates of a count that took.
    #[inline(always)]
    fn drop_run(&self, run: &Mapped<'_>, freed: &mut Freed<'_>) -> u64 {
        if run.pages == 0 {
            return 0;
        }
        if run.unshare() {
            match run.folio.kind {
                Kind::Anon => freed.push(self, run.folio.head, run.folio.order),
                _ => self.free_frames(run.folio.head),
            }
        }
        1
    }
}
