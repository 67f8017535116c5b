//! Processes in both implementations side by side, and the operations that tests put them through.

use std::vec::Vec;

use linux_raw_sys::general::{
    MADV_COLD, MADV_COLLAPSE, MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
};
use paging::{Level, Pfn};

use super::areas::{Area, AreaOp, Areas};
use super::naive::{Naive, PAGES};
use super::{BLOCK, BLOCK_ORDER, PAGE, STEP, blocks, only_order};
use crate::mm::frame::Kind;
use crate::mm::mremap::{RemapFlags, RemapRequest};
use crate::mm::testing::{HostMachine, Process};
use crate::mm::{Mm, Prot};

/// Processes alive at once, at most.
pub const PROCESSES: usize = 4;
/// Pages pinned at once, at most.
const PINS: usize = 2 * PAGES;
/// The private area: two blocks before a PMD boundary.
const AREA: usize = 0x4000_0000 + Level::PMD.entry_size() as usize - 2 * BLOCK * PAGE;

/// A stretch of the private area: the first page (0-based) and how many.
#[derive(Clone, Copy, Debug)]
pub struct Stretch(pub usize, pub usize);

impl Stretch {
    fn range(self) -> core::ops::Range<usize> {
        let start = self.0 % PAGES;
        start..(start + self.1.max(1)).min(PAGES)
    }

    fn bytes(self) -> (usize, usize) {
        (AREA + self.range().start * PAGE, self.range().len() * PAGE)
    }
}

/// Something that happens to a process, named by its 0-based number among those alive (modulo how many there are).
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Anonymous memory gets folios of this order from here on.
    FolioOrder(u8),
    /// Write faults copy at most 2 to this power of pages, reuse blocks or pages, and fold blocks again or not.
    CowPolicy(u8, bool, bool),
    /// What follows runs on this CPU.
    OnCpu(usize),
    /// mmap of private anonymous memory, MAP_FIXED.
    Map(usize, Stretch),
    /// munmap.
    Unmap(usize, Stretch),
    /// mprotect to PROT_NONE (0), read-only (1) or read and write (2).
    Protect(usize, Stretch, u8),
    /// madvise with MADV_FREE (0), MADV_COLD (1), MADV_POPULATE_READ (2) or MADV_POPULATE_WRITE (3): as long as there is
    /// memory, none changes what a process sees.
    Advise(usize, Stretch, u8),
    /// madvise(MADV_DONTNEED).
    Discard(usize, Stretch),
    /// madvise(MADV_COLLAPSE).
    Collapse(usize, Stretch),
    /// mremap with MREMAP_FIXED to where the page with that number is: as long as it was (0), as long and the old
    /// range stays mapped (1), two pages longer (2), or half as long (3).
    Move(usize, Stretch, usize, u8),
    /// mremap in place to that many pages more.
    Grow(usize, Stretch, usize),
    /// mremap in place to half.
    Shrink(usize, Stretch),
    /// madvise(MADV_PAGEOUT).
    PageOut(usize, Stretch),
    /// Registration with userfaultfd and write-protection there, or its end.
    WriteProtect(usize, Stretch, bool),
    /// A write of "4" to clear_refs.
    ClearSoftDirty(usize),
    /// A load from a page.
    Read(usize, usize),
    /// A store to a page.
    Write(usize, usize),
    /// Stores to every page of a stretch.
    Fill(usize, Stretch),
    /// Something in shared memory or in a mapping of a file.
    In(usize, Area, AreaOp),
    /// Pins pages for the kernel to read, or to read and write; nothing if too many are pinned already.
    Pin(usize, Stretch, bool),
    /// Unpins one of the pages pinned (0-based, modulo how many there are); nothing if there are none.
    Unpin(usize),
    /// fork; nothing if there are as many processes as there may be.
    Fork(usize),
    /// exit; nothing if it is the last.
    Exit(usize),
}

/// Maps what is left of the two PMD entries' ranges around the private area, so that block descriptors can map part of
/// it: nobody looks there, but a VMA that reaches across the whole of one is needed.
fn surround(process: &mut Process<'_>) {
    let size = paging::PMD_SIZE as usize;
    let (start, end) = (AREA & !(size - 1), (AREA + PAGES * PAGE).next_multiple_of(size));
    if crate::mm::pmd::PMD_ORDER.is_some() {
        process.map_anon(start, (AREA - start) / PAGE);
        process.map_anon(AREA + PAGES * PAGE, (end - AREA) / PAGE - PAGES);
    }
}

/// All processes, in both implementations.
pub struct World<'m> {
    mm: &'m Mm<HostMachine>,
    processes: Vec<(Process<'m>, Naive)>,
    areas: Areas<'m>,
    stores: u8,
    /// Frames pinned, once for each pin, and what they held last. Processes may have unmapped them, or be gone; then
    /// they hold that for good.
    pins: Vec<(Pfn, u8)>,
}

impl<'m> World<'m> {
    /// One process, with shared memory and a file mapped and the private area empty.
    pub fn new(mm: &'m Mm<HostMachine>) -> Self {
        only_order(mm, BLOCK_ORDER);
        blocks(mm, BLOCK_ORDER, true, true);
        mm.drain_caches(); // of the CPU that the last sequence ended on
        mm.machine.run_on(0);
        let mut first = Process::new(mm);
        surround(&mut first);
        let areas = Areas::new(mm, &mut first);
        World { mm, processes: std::vec![(first, Naive::default())], areas, stores: 0, pins: Vec::new() }
    }

    /// Does `op` in both implementations; panics where they differ.
    pub fn step(&mut self, op: Op) {
        let alive = self.processes.len();
        let mm = self.mm;
        self.stores = self.stores.wrapping_add(1).max(1);
        let value = self.stores;
        let at = |number: usize| number % alive;
        match op {
            Op::FolioOrder(order) => only_order(mm, order),
            Op::CowPolicy(order, reuse, refold) => blocks(mm, order, reuse, refold),
            Op::OnCpu(cpu) => {
                mm.drain_caches(); // this CPU goes idle
                mm.machine.run_on(cpu);
            }
            Op::Map(number, stretch) => {
                let (real, naive) = &mut self.processes[at(number)];
                real.map_anon(stretch.bytes().0, stretch.range().len());
                naive.map(stretch.range());
            }
            Op::Unmap(number, stretch) => {
                let (real, naive) = &mut self.processes[at(number)];
                real.enter();
                let (addr, len) = stretch.bytes();
                real.space.munmap(mm, addr, len).unwrap();
                naive.unmap(stretch.range());
            }
            Op::Protect(number, stretch, prot) => {
                let (real, naive) = &mut self.processes[at(number)];
                real.enter();
                let (addr, len) = stretch.bytes();
                let prot = [Prot::empty(), Prot::READ, Prot::READ | Prot::WRITE][prot as usize % 3];
                let done = real.space.mprotect(mm, addr, len, prot).is_ok();
                assert_eq!(done, naive.protect(stretch.range(), prot));
            }
            Op::Advise(number, stretch, advice) => {
                let (real, _) = &mut self.processes[at(number)];
                real.enter();
                let (addr, len) = stretch.bytes();
                let advice =
                    [MADV_FREE, MADV_COLD, MADV_POPULATE_READ, MADV_POPULATE_WRITE][advice as usize % 4];
                let _ = real.space.madvise(mm, addr, len, advice);
            }
            Op::Discard(number, stretch) => {
                let (real, naive) = &mut self.processes[at(number)];
                real.enter();
                let (addr, len) = stretch.bytes();
                // ENOMEM where part of it is not mapped; the rest is discarded all the same.
                let _ = real.space.madvise(mm, addr, len, MADV_DONTNEED);
                naive.discard(stretch.range());
            }
            Op::Collapse(number, stretch) => {
                let (real, _) = &mut self.processes[at(number)];
                real.enter();
                let (addr, len) = stretch.bytes();
                // Whether or not anything could be done: what a process sees is the same.
                let _ = real.space.madvise(mm, addr, len, MADV_COLLAPSE);
            }
            Op::Move(number, stretch, to, how) => {
                let (real, naive) = &mut self.processes[at(number)];
                real.enter();
                let (from, to, how) = (stretch.range(), to % PAGES, how % 4);
                let new_len = [from.len(), from.len(), from.len() + 2, from.len().div_ceil(2)][how as usize];
                let new_len = new_len.min(PAGES - to);
                let keep = how == 1 && new_len == from.len();
                let flags = if keep { RemapFlags::DONTUNMAP } else { RemapFlags::empty() };
                let flags = flags | RemapFlags::MAYMOVE | RemapFlags::FIXED;
                let (addr, old_len) = stretch.bytes();
                let (new_addr, bytes) = (AREA + to * PAGE, new_len * PAGE);
                let done = real
                    .space
                    .mremap(mm, RemapRequest { addr, old_len, new_len: bytes, flags, new_addr })
                    .is_ok_and(|at| at == new_addr);
                assert_eq!(done, naive.relocate(from, to..to + new_len, keep));
            }
            Op::Grow(number, stretch, more) => {
                let (real, naive) = &mut self.processes[at(number)];
                real.enter();
                let (from, (addr, old_len)) = (stretch.range(), stretch.bytes());
                let more = more.clamp(1, PAGES).min(PAGES - from.end);
                let done = real.space.mremap(mm, in_place(addr, old_len, old_len + more * PAGE)).is_ok();
                assert_eq!(done, naive.grow(from, more));
            }
            Op::Shrink(number, stretch) => {
                let (real, naive) = &mut self.processes[at(number)];
                real.enter();
                let (from, (addr, old_len)) = (stretch.range(), stretch.bytes());
                let left = from.len().div_ceil(2);
                let done = real.space.mremap(mm, in_place(addr, old_len, left * PAGE)).is_ok();
                assert_eq!(done, naive.shrink(from, left));
            }
            Op::PageOut(number, stretch) => {
                let (real, _) = &mut self.processes[at(number)];
                real.enter();
                let (addr, len) = stretch.bytes();
                // Nobody sees a difference, whether or not there is swap.
                let _ = real.space.madvise(mm, addr, len, MADV_PAGEOUT);
            }
            Op::WriteProtect(number, stretch, on) => {
                let (real, naive) = &mut self.processes[at(number)];
                real.enter();
                let (addr, len) = stretch.bytes();
                let registered = real.space.uffd_register_wp(mm, addr, len, false);
                let done = registered.and_then(|()| real.space.uffd_writeprotect(mm, addr, len, on));
                assert_eq!(done.is_ok(), naive.protect_for_uffd(stretch.range(), on));
            }
            Op::ClearSoftDirty(number) => {
                let (real, naive) = &mut self.processes[at(number)];
                real.enter();
                real.space.clear_soft_dirty(mm);
                naive.clear_written();
            }
            Op::Read(number, page) => self.compare(at(number), page % PAGES),
            Op::Write(number, page) => self.write(at(number), page % PAGES, value),
            Op::Fill(number, stretch) => {
                stretch.range().for_each(|page| self.write(at(number), page, value.wrapping_add(page as u8)));
            }
            Op::In(number, area, op) => {
                let (real, naive) = &mut self.processes[at(number)];
                self.areas.step(real, &mut naive.views, area, op, value);
            }
            Op::Pin(number, stretch, write) => self.pin(at(number), stretch, write),
            Op::Unpin(number) if !self.pins.is_empty() => {
                let index = number % self.pins.len();
                self.unpin(index);
            }
            Op::Unpin(_) => {}
            Op::Fork(number) if alive < PROCESSES => {
                let (real, naive) = &mut self.processes[at(number)];
                let child = (real.fork().unwrap(), naive.fork());
                self.processes.push(child);
            }
            Op::Exit(number) if alive > 1 => self.processes.remove(at(number)).0.exit(),
            Op::Fork(_) | Op::Exit(_) => {}
        }
        self.check_pins();
    }

    fn write(&mut self, number: usize, page: usize, value: u8) {
        let (real, naive) = &mut self.processes[number];
        assert_eq!(real.write(AREA + page * PAGE, value), naive.write(page, value), "store to page {page}");
    }

    fn pin(&mut self, number: usize, stretch: Stretch, write: bool) {
        let (real, naive) = &mut self.processes[number];
        let (pages, mut frames) = (stretch.range(), [Pfn::new(0); PAGES]);
        let frames = &mut frames[..pages.len()];
        if self.pins.len() + frames.len() > PINS {
            return;
        }
        real.enter();
        let expected = match pages.clone().take_while(|page| naive.pin(*page, write).is_ok()).count() {
            0 => naive.pin(pages.start, write).map(|()| 0),
            nr => Ok(nr),
        };
        let done = real.space.pin_pages(self.mm, stretch.bytes().0, write, frames);
        assert_eq!(done, expected, "pin of {stretch:?}");
        for (page, frame) in pages.zip(&frames[..done.unwrap_or(0)]) {
            let before = naive.pinned(page).map(|(frame, _)| frame);
            assert!(before.is_none_or(|before| before == *frame), "page {page} pinned in another frame");
            naive.set_pinned(page, *frame);
            self.pins.push((*frame, 0));
        }
    }

    fn unpin(&mut self, index: usize) {
        let (frame, _) = self.pins.swap_remove(index);
        if self.pins.iter().all(|(other, _)| *other != frame) {
            self.processes.iter_mut().for_each(|(_, naive)| naive.unpin(frame));
        }
        self.mm.unpin(frame);
    }

    /// Checks that pinned pages are mapped where they were and that their frames hold what the process sees, and that
    /// nobody frees a pinned frame or gives it another use.
    fn check_pins(&mut self) {
        for (number, (real, naive)) in self.processes.iter().enumerate() {
            for (page, (frame, value)) in (0..PAGES).filter_map(|page| Some((page, naive.pinned(page)?))) {
                let pte = real.pte(AREA + page * PAGE);
                assert!(
                    pte.is_present() && pte.pfn() == frame,
                    "process {number}, page {page}: {pte:?}, not {frame:?}"
                );
                self.pins
                    .iter_mut()
                    .filter(|(pinned, _)| *pinned == frame)
                    .for_each(|(_, held)| *held = value);
            }
        }
        for (frame, value) in &self.pins {
            let folio = self.mm.frames.folio(*frame);
            assert!(
                self.mm.frames.counts(folio.head).pins > 0 && folio.kind == Kind::Anon,
                "{frame:?} is gone"
            );
            let mut held = [0];
            self.mm.read_pinned(*frame, 0, &mut held);
            assert_eq!(held[0], *value, "{frame:?}, pinned");
        }
    }

    fn compare(&mut self, number: usize, page: usize) {
        let (real, naive) = &mut self.processes[number];
        assert_eq!(real.read(AREA + page * PAGE), naive.read(page), "process {number}, page {page}");
    }

    /// More may count as written than was, but nothing less.
    fn compare_written(&self, number: usize) {
        let (real, naive) = &self.processes[number];
        let mut words = [0u64; PAGES];
        real.space.pagemap(self.mm, (AREA / PAGE) as u64, &mut words);
        let lost = |page: &usize| naive.is_written(*page) && words[*page] & 1 << 55 == 0;
        assert_eq!((0..PAGES).find(lost), None, "process {number}: a write was not noted");
    }

    /// What is counted as it goes is what a look at everything adds up.
    fn compare_counters(&self, number: usize) {
        let space = &self.processes[number].0.space;
        let there = space.mapped_everywhere(self.mm).rss;
        assert_eq!(space.rss_pages() as u64, there, "process {number}: resident pages");
        let size: usize = space.vmas().map(|vma| vma.start.pages_to(vma.end)).sum();
        assert_eq!(space.size_pages(), size, "process {number}: pages of VMAs");
        assert!(space.peak_rss_pages() >= space.rss_pages() && space.peak_pages() >= size);
    }

    /// Compares the pages of every process, then ends them all.
    pub fn finish(mut self) {
        for number in 0..self.processes.len() {
            self.compare_counters(number);
            self.compare_written(number);
            (0..PAGES).step_by(STEP).for_each(|page| self.compare(number, page));
            let (real, naive) = &mut self.processes[number];
            self.areas.compare_all(real, &mut naive.views);
        }
        while !self.pins.is_empty() {
            self.unpin(0);
        }
        self.areas.finish();
        self.processes.into_iter().for_each(|(real, _)| real.exit());
    }
}

/// mremap that may not move anything.
fn in_place(addr: usize, old_len: usize, new_len: usize) -> RemapRequest {
    RemapRequest { addr, old_len, new_len, flags: RemapFlags::empty(), new_addr: 0 }
}

/// Runs `ops` from the beginning to the end, on a machine whose frames must all be free again afterwards.
pub fn run(mm: &Mm<HostMachine>, ops: impl IntoIterator<Item = Op>) {
    let (free, tables) = (mm.free_pages_everywhere(), mm.table_pages());
    let mut world = World::new(mm);
    ops.into_iter().for_each(|op| world.step(op));
    world.finish();
    assert_eq!((mm.free_pages_everywhere(), mm.table_pages()), (free, tables), "frames or tables leaked");
}
