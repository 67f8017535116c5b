//! Memory that several address spaces may map: the contents of a file, or shared anonymous memory.
//!
//! An object's pages are made at the first use of any of them, as folios as large as fit: aligned by page number, so
//! that a mapping whose addresses agree with the page numbers can fold them into contpte blocks, and never reaching
//! past the object's last page. A file's folios have up to the size of a block (Linux reads executables ahead in that
//! size: `exec_folio_order`), shared memory's follow a policy. Memory pressure, or a page that is there already, makes
//! them smaller; a page alone always fits.
//!
//! An object owns one reference to each of its folios. The bytes a file of the initramfs begins with are its *source*:
//! pages are filled from it when they are first used, and what has been cut off once never comes back from there. All
//! bytes behind the end are zero, in pages that are there and in those that will be. `object_io` reads, writes and
//! resizes.
//!
//! The pages are found through an array of *chunks*, frames full of frame numbers, so that an object costs heap by the
//! gigabyte, not by the page, and only as far as its last page that is there. No folio is in two chunks.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use paging::{CONT_PTES, Event, PAGE_SHIFT, PAGE_SIZE, Pfn};

use super::Mm;
use super::folio_stats::FolioEvent;
use super::frame::{Kind, MAX_ORDER};
use super::machine::Machine;
use super::thp_disable::PAGES_ONLY;
use super::uffd::SINGLE;
use super::vma::VmaFlags;
use crate::errno::{Errno, Result};
use crate::util::Ref;

/// Frame numbers that fit in a chunk.
pub(super) const PER_CHUNK: u64 = PAGE_SIZE / 8;
/// log2 of the pages of a file's largest folio: a contpte block.
const FILE_ORDER: u8 = CONT_PTES.trailing_zeros() as u8;
/// log2 of the pages of any object's largest folio: as many as a chunk holds.
const LARGEST: u8 = if MAX_ORDER as u32 <= PAGE_SHIFT - 3 { MAX_ORDER } else { (PAGE_SHIFT - 3) as u8 };

/// A file's or shared memory's pages. Whoever holds the last reference gives it to [`Mm::object_put`]; merely
/// dropping it would leak its pages.
pub struct Object {
    use_: Use,
    /// Whether a mapping of it was ever made.
    mapped: AtomicBool,
    pub(super) state: spin::Mutex<State>,
}

/// What decides about the sizes of an object's folios.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    File,
    Shared,
}

/// What changes about an object.
pub(super) struct State {
    /// Its size in bytes.
    pub(super) bytes: u64,
    /// What its pages from the first on are filled from; never longer than the object.
    pub(super) source: &'static [u8],
    /// Pages that are there.
    pub(super) present: u64,
    /// By number / [`PER_CHUNK`]; a chunk of frame number 0 is not there yet.
    pub(super) chunks: Vec<Pfn>,
}

impl State {
    /// How many pages it has, the last perhaps in part.
    pub(super) fn pages(&self) -> u64 {
        self.bytes.div_ceil(PAGE_SIZE)
    }

    /// The chunk for page number `page`, if it is there.
    pub(super) fn chunk(&self, page: u64) -> Option<Pfn> {
        let chunk = *self.chunks.get(usize::try_from(page / PER_CHUNK).ok()?)?;
        (chunk.get() != 0).then_some(chunk)
    }
}

impl Object {
    /// A file that holds `data` at first.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn file(data: &'static [u8]) -> Result<Ref<Object>> {
        Self::new(Use::File, data, data.len() as u64)
    }

    /// Shared memory of `bytes` bytes, zero at first.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn shmem(bytes: u64) -> Result<Ref<Object>> {
        Self::new(Use::Shared, &[], bytes)
    }

    fn new(use_: Use, source: &'static [u8], bytes: u64) -> Result<Ref<Object>> {
        let chunks = bytes.div_ceil(PAGE_SIZE).div_ceil(PER_CHUNK);
        let chunks = usize::try_from(chunks).map_err(|_| Errno::ENOMEM)?;
        let mut state = State { bytes, source, present: 0, chunks: Vec::new() };
        state.chunks.try_reserve_exact(chunks)?;
        Ref::try_new(Object { use_, mapped: AtomicBool::new(false), state: spin::Mutex::new(state) })
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> u64 {
        self.state.lock().bytes
    }

    /// How many pages it has, the last of a file perhaps in part.
    pub fn pages(&self) -> u64 {
        self.state.lock().pages()
    }

    /// How many pages are taken up: those that are there, or that its source will fill.
    pub fn occupied(&self) -> u64 {
        let state = self.state.lock();
        state.present.max((state.source.len() as u64).div_ceil(PAGE_SIZE))
    }

    /// How many of its pages are there.
    pub fn present(&self) -> u64 {
        self.state.lock().present
    }

    /// Whether it is anonymous shared memory: nobody's but those who map it.
    pub fn is_shared_memory(&self) -> bool {
        self.use_ == Use::Shared
    }

    /// Notes that it is going to be mapped.
    pub fn set_mapped(&self) {
        self.mapped.store(true, Ordering::Relaxed);
    }

    /// Whether it was ever going to be mapped: if not, no address space has to be looked at when its pages go.
    pub fn was_mapped(&self) -> bool {
        self.mapped.load(Ordering::Relaxed)
    }
}

/// Why an object has no page to give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageError {
    /// The page lies behind the object's end.
    BeyondEnd,
    /// No memory for it.
    NoMemory,
    /// Files have their share of memory.
    NoRoom,
}

impl<M: Machine> Mm<M> {
    /// The frame of page number `page` (0-based) of `object`, made and filled with its folio if this is the first
    /// use; [`FrameTable::folio`](super::frame::FrameTable::folio) knows the folio. The object keeps its reference; a
    /// mapping takes its own. `flags` are those of the VMA that shows the page.
    ///
    /// # Errors
    /// [`PageError`].
    pub fn object_page(
        &self,
        object: &Object,
        page: u64,
        flags: VmaFlags,
    ) -> core::result::Result<Pfn, PageError> {
        let mut state = object.state.lock();
        let end = state.pages();
        if page >= end {
            return Err(PageError::BeyondEnd);
        }
        self.page_in(object, &mut state, page, flags, end)
    }

    /// As [`object_page`](Self::object_page), with the object locked and folios that reach up to page number `end`.
    pub(super) fn page_in(
        &self,
        object: &Object,
        state: &mut State,
        page: u64,
        flags: VmaFlags,
        end: u64,
    ) -> core::result::Result<Pfn, PageError> {
        let chunk = self.chunk_in(state, page)?;
        if let Some(known) = self.known(chunk, page) {
            return Ok(known);
        }
        let mut order = self.largest_below(object, LARGEST + 1, flags);
        loop {
            let first = page >> order << order;
            let has_room = self.has_room_for(object, state, page, order);
            if has_room && self.fits(end, chunk, first, order) {
                if let Some(head) = self.alloc_frames(order, Kind::Object, 0) {
                    self.fill(state.source, first, head, order);
                    for index in 0..1 << order {
                        // SAFETY: as in `known`; all of the folio's slots are in this chunk.
                        unsafe { self.slot(chunk, first + index).write(head.get() + index) };
                    }
                    state.present += 1 << order;
                    self.count_shmem(object, FolioEvent::ShmemAlloc, order);
                    self.count_pages(object, 1 << order);
                    return Ok(head.add(page - first));
                }
                if order > 0 {
                    self.count(Event::FileFallback);
                    self.count_shmem(object, FolioEvent::ShmemFallback, order);
                }
            }
            if order == 0 {
                return Err(if has_room { PageError::NoMemory } else { PageError::NoRoom });
            }
            order = self.largest_below(object, order, flags);
        }
    }

    /// Whether the object may have `1 << order` more pages, among them number `page`. Files share what there is for all
    /// of them; but what a source fills was a file's from the start, and is not refused to whoever runs a program.
    fn has_room_for(&self, object: &Object, state: &State, page: u64, order: u8) -> bool {
        object.use_ == Use::Shared
            || page < (state.source.len() as u64).div_ceil(PAGE_SIZE)
            || self.file_pages() + (1 << order) <= self.object_limit()
    }

    /// The object has so many pages more, or less.
    pub(super) fn count_pages(&self, object: &Object, more: i64) {
        // Adding what is negative takes away: the counters wrap.
        self.object_pages.fetch_add(more as u64, Ordering::Relaxed);
        if object.use_ == Use::File {
            self.file_pages.fetch_add(more as u64, Ordering::Relaxed);
        }
    }

    /// Counts what happened to a folio of more than a page, if the object is shared memory.
    fn count_shmem(&self, object: &Object, event: FolioEvent, order: u8) {
        if order > 0 && object.use_ == Use::Shared {
            self.machine.count_folio(event, order);
        }
    }

    /// The chunk for page number `page`, made if it is not there.
    fn chunk_in(&self, state: &mut State, page: u64) -> core::result::Result<Pfn, PageError> {
        let index = usize::try_from(page / PER_CHUNK).map_err(|_| PageError::NoMemory)?;
        if index >= state.chunks.len() {
            let more = index + 1 - state.chunks.len();
            state.chunks.try_reserve(more).map_err(|_| PageError::NoMemory)?;
            state.chunks.resize(index + 1, Pfn::new(0));
        }
        let chunk = &mut state.chunks[index];
        if chunk.get() == 0 {
            *chunk = self.alloc_zeroed_frame(Kind::Kernel).ok_or(PageError::NoMemory)?;
        }
        Ok(*chunk)
    }

    /// Page number `page` of `object` if it is there already, and how many pages of its folio follow from it on, at
    /// most `max`, which is at least 1.
    pub(super) fn object_run(&self, object: &Object, page: u64, max: usize) -> Option<(Pfn, usize)> {
        let state = object.state.lock();
        // A folio may reach behind the end of a file that was cut off; what is there must not be mapped.
        let left = usize::try_from(state.pages().checked_sub(page)?).unwrap_or(usize::MAX);
        let pfn = self.known(state.chunk(page)?, page)?;
        let run = self.frames.folio(pfn).span().left_from(pfn).min(max).min(left);
        (run > 0).then_some((pfn, run))
    }

    /// The largest order below `below` that the object's folios may have.
    fn largest_below(&self, object: &Object, below: u8, flags: VmaFlags) -> u8 {
        // Where a monitor hears of pages that are not there, none comes along with another.
        if flags.intersects(SINGLE) {
            return 0;
        }
        match object.use_ {
            Use::File if flags.intersects(PAGES_ONLY) || self.shmem_policy.denies() => 0,
            Use::File => FILE_ORDER.min(below - 1),
            Use::Shared => self.shmem_policy.largest_below(below, flags),
        }
    }

    /// Whether a folio of `order` can begin at page number `first`: it would end before page number `behind`, and nothing
    /// of it is there yet.
    fn fits(&self, behind: u64, chunk: Pfn, first: u64, order: u8) -> bool {
        let end = first + (1 << order);
        end <= behind && (first..end).all(|page| self.known(chunk, page).is_none())
    }

    /// Gives the folio at `head`, which nobody else knows yet, what `source` has from page number `first` on, and zeroes.
    fn fill(&self, source: &[u8], first: u64, head: Pfn, order: u8) {
        let bytes = (PAGE_SIZE as usize) << order;
        let source =
            usize::try_from(first * PAGE_SIZE).ok().and_then(|from| source.get(from..)).unwrap_or(&[]);
        let source = &source[..source.len().min(bytes)];
        if source.is_empty() {
            return self.zero(head, 1 << order);
        }
        let target = self.machine.ptr(head.addr());
        // SAFETY: the frames are fresh, so nobody else uses them, and there are `bytes` bytes of them.
        unsafe {
            target.copy_from_nonoverlapping(source.as_ptr(), source.len());
            target.add(source.len()).write_bytes(0, bytes - source.len());
        }
        self.machine.sync_icache(head.addr(), bytes);
    }

    /// Gives up a reference to `object`; with the last, its pages lose theirs.
    #[inline]
    pub fn object_put(&self, object: Ref<Object>) {
        if let Some(object) = Ref::into_inner(object) {
            self.object_free(object);
        }
    }

    #[inline(never)] // most references are not the last
    fn object_free(&self, object: Object) {
        self.count_pages(&object, -(object.present() as i64));
        let state = object.state.into_inner();
        for chunk in state.chunks.into_iter().filter(|chunk| chunk.get() != 0) {
            let mut index = 0;
            while index < PER_CHUNK {
                let Some(head) = self.known(chunk, index) else {
                    index += 1;
                    continue;
                };
                let folio = self.frames.folio(head);
                debug_assert!(folio.head == head, "the object has folios whole");
                self.folio_put(head);
                index += folio.span().pages;
            }
            self.folio_put(chunk);
        }
    }

    /// The frame that `chunk` has for page number `page`.
    #[inline]
    pub(super) fn known(&self, chunk: Pfn, page: u64) -> Option<Pfn> {
        // SAFETY: the slot is in a chunk, which its object owns and whose lock the caller holds, or which nobody else
        // can reach any more.
        let known = unsafe { self.slot(chunk, page).read() };
        (known != 0).then_some(Pfn::new(known))
    }

    /// Where `chunk` has the frame number of page number `page`.
    #[inline]
    pub(super) fn slot(&self, chunk: Pfn, page: u64) -> *mut u64 {
        self.machine.ptr(chunk.addr().add(page % PER_CHUNK * 8)).cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::FaultError;
    use crate::mm::policy::Setting;
    use crate::mm::testing::{HostMachine, machine};

    const ANY: VmaFlags = VmaFlags::empty();
    const BLOCK: u64 = CONT_PTES as u64;

    /// A file of `pages` pages, the last of which it fills only half, and its bytes: each is its page's number plus 1.
    fn file(pages: u64) -> Ref<Object> {
        let bytes = (pages * PAGE_SIZE - PAGE_SIZE / 2) as usize;
        let data: std::vec::Vec<u8> =
            (0..bytes).map(|byte| ((byte as u64 / PAGE_SIZE) as u8).wrapping_add(1)).collect();
        Object::file(data.leak()).unwrap()
    }

    fn byte(mm: &Mm<HostMachine>, pfn: Pfn, offset: u64) -> u8 {
        // SAFETY: the frame is an object's and nobody writes to it.
        unsafe { mm.machine.ptr(pfn.addr().add(offset)).read() }
    }

    /// The order of the folio that has page number `page`.
    fn order(mm: &Mm<HostMachine>, object: &Object, page: u64) -> u8 {
        mm.frames.folio(mm.object_page(object, page, ANY).unwrap()).order
    }

    #[test]
    fn a_file_s_pages_hold_its_bytes_and_zeroes_behind_them() {
        let mm = machine();
        let free = mm.free_pages();
        let file = file(2);
        let last = mm.object_page(&file, 1, ANY).unwrap();
        assert_eq!(mm.object_page(&file, 1, ANY), Ok(last));
        assert_eq!(mm.object_page(&file, 2, ANY), Err(PageError::BeyondEnd));
        assert_eq!(mm.object_page(&file, u64::MAX, ANY), Err(PageError::BeyondEnd));
        let end = PAGE_SIZE / 2;
        let seen = [0, end - 1, end, PAGE_SIZE - 1].map(|offset| byte(&mm, last, offset));
        assert_eq!(seen, [2, 2, 0, 0]);
        let other = file.clone();
        mm.object_put(file);
        assert!(mm.free_pages() < free);
        mm.object_put(other);
        assert_eq!(mm.free_pages(), free);
    }

    #[test]
    fn file_folios_are_aligned_by_page_number_and_end_with_the_file() {
        let mm = machine();
        let free = mm.free_pages();
        let file = file(BLOCK + BLOCK / 2 + 1);
        let middle = mm.object_page(&file, BLOCK / 2 + 1, ANY).unwrap();
        assert_eq!(
            mm.object_page(&file, 0, ANY).unwrap().add(BLOCK / 2 + 1),
            middle,
            "one folio from page 0 on"
        );
        assert_eq!(order(&mm, &file, 0), FILE_ORDER);
        assert_eq!(order(&mm, &file, BLOCK), FILE_ORDER - 1, "the largest that ends before the file does");
        assert_eq!(order(&mm, &file, BLOCK + BLOCK / 2), 0);
        assert_eq!(
            mm.object_run(&file, BLOCK / 2, usize::MAX),
            Some((Pfn::new(middle.get() - 1), CONT_PTES / 2))
        );
        for page in 0..file.pages() {
            let pfn = mm.object_page(&file, page, ANY).unwrap();
            assert_eq!(byte(&mm, pfn, 0), page as u8 + 1, "page {page}");
        }
        mm.object_put(file);
        assert_eq!(mm.free_pages(), free);
    }

    #[test]
    fn folios_get_smaller_as_memory_gets_scarce_and_fill_the_gaps() {
        let mm = machine();
        let free = mm.free_pages();
        let file = file(2 * BLOCK);
        let mut held = mm.hold_all();
        // One frame for the chunk, one for a page.
        assert_eq!(mm.object_page(&file, 3, ANY), Err(PageError::NoMemory));
        assert!(held.release(2));
        assert_eq!(order(&mm, &file, 3), 0);
        assert!(mm.machine.counted(Event::FileFallback) > 0);
        assert_eq!(mm.object_page(&file, 4, ANY), Err(PageError::NoMemory));
        drop(held);
        assert_eq!([0, 2, 4, 8].map(|page| order(&mm, &file, page)), [1, 0, 2, 3], "around page 3");
        assert_eq!(order(&mm, &file, BLOCK), FILE_ORDER);
        mm.object_put(file);
        assert_eq!(mm.free_pages(), free);
    }

    #[test]
    fn shared_memory_follows_its_own_policy() {
        let mm = machine();
        let free = mm.free_pages();
        let shmem = Object::shmem((PAGE_SIZE << LARGEST) + PAGE_SIZE * 2 * BLOCK).unwrap();
        assert_eq!(order(&mm, &shmem, 1), FILE_ORDER, "the default is a contpte block");
        mm.shmem_policy.set(FILE_ORDER, Setting::Never);
        assert_eq!(order(&mm, &shmem, BLOCK), 0);
        mm.shmem_policy.set(LARGEST, Setting::Madvise);
        assert_eq!(order(&mm, &shmem, BLOCK + 1), 0);
        let other = Object::shmem(PAGE_SIZE << LARGEST).unwrap();
        let page = mm.object_page(&other, 5, VmaFlags::HUGEPAGE).unwrap();
        assert_eq!(mm.frames.folio(page).order, LARGEST);
        mm.object_put(other);
        mm.object_put(shmem);
        assert_eq!(mm.free_pages(), free);
    }

    #[test]
    fn a_page_of_a_file_is_refused_once_files_have_their_share() {
        let mm = machine();
        let limit = mm.object_limit();
        let (file, other) = (Object::file(&[]).unwrap(), self::file(2));
        mm.object_resize(&file, (limit + 8) * PAGE_SIZE).unwrap();
        for page in 0..limit {
            mm.object_page(&file, page, ANY).unwrap();
        }
        assert_eq!((mm.file_pages(), mm.object_pages()), (limit, limit), "no folio reaches over it");
        assert_eq!(mm.object_page(&file, limit, ANY), Err(PageError::NoRoom));
        assert_eq!(FaultError::from(PageError::NoRoom), FaultError::Bus);
        mm.object_page(&other, 1, ANY).expect("it was there from the start");
        let shared = Object::shmem(PAGE_SIZE).unwrap();
        mm.object_page(&shared, 0, ANY).expect("it is no file's");
        assert_eq!(mm.set_object_limit(limit), Err(Errno::EINVAL), "files have more, by what was there");
        mm.set_object_limit(mm.file_pages() + 1).unwrap();
        mm.object_page(&file, limit, ANY).expect("one more is permitted now");
        assert_eq!(mm.object_page(&file, limit + 1, ANY), Err(PageError::NoRoom));
        mm.object_resize(&file, 0).unwrap();
        assert_eq!(mm.file_pages(), other.present());
        mm.object_put(file);
        mm.object_put(other);
        assert_eq!((mm.file_pages(), mm.object_pages()), (0, 1));
        mm.object_put(shared);
    }

    #[test]
    fn absurd_sizes_are_refused() {
        assert!(Object::shmem(u64::MAX).is_err());
    }
}
