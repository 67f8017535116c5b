//! Memory that several address spaces may map: the page cache of a file, or shared anonymous memory.
//!
//! An object's pages are made at the first use of any of them, as folios as large as fit: aligned by page number, so
//! that a mapping whose addresses agree with the page numbers can fold them into contpte blocks, and never reaching
//! past the object's last page. A file's folios have up to the size of a block (Linux reads executables ahead in that
//! size: `exec_folio_order`), shared memory's follow a policy. Memory pressure, or a page that is there already, makes
//! them smaller; a page alone always fits.
//!
//! An object owns one reference to each of its folios. Files of the initramfs are read-only and stay in memory; their
//! pages are filled from the archive. The pages are found through an array of *chunks*, frames full of frame numbers,
//! so that an object costs heap by the gigabyte, not by the page. No folio is in two chunks.

use alloc::vec::Vec;

use paging::{CONT_PTES, Event, PAGE_SHIFT, PAGE_SIZE, Pfn};

use super::Mm;
use super::frame::{Kind, MAX_ORDER};
use super::machine::Machine;
use super::vma::VmaFlags;
use crate::errno::{Errno, Result};
use crate::util::Ref;

/// Frame numbers that fit in a chunk.
const PER_CHUNK: u64 = PAGE_SIZE / 8;
/// log2 of the pages of a file's largest folio: a contpte block.
const FILE_ORDER: u8 = CONT_PTES.trailing_zeros() as u8;
/// log2 of the pages of any object's largest folio: as many as a chunk holds.
const LARGEST: u8 = if MAX_ORDER as u32 <= PAGE_SHIFT - 3 { MAX_ORDER } else { (PAGE_SHIFT - 3) as u8 };

/// A file's or shared memory's pages. Whoever holds the last reference gives it to [`Mm::object_put`]; merely
/// dropping it would leak its pages.
pub struct Object {
    contents: Contents,
    /// How many pages it has.
    pages: u64,
    /// By number / [`PER_CHUNK`]; a chunk of frame number 0 is not there yet.
    chunks: spin::Mutex<Vec<Pfn>>,
}

enum Contents {
    File(&'static [u8]),
    Zeroes,
}

impl Object {
    /// The page cache of a file with the contents `data`.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn file(data: &'static [u8]) -> Result<Ref<Object>> {
        Self::new(Contents::File(data), data.len() as u64)
    }

    /// Shared memory of `bytes` bytes, zero at first.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn shmem(bytes: u64) -> Result<Ref<Object>> {
        Self::new(Contents::Zeroes, bytes)
    }

    fn new(contents: Contents, bytes: u64) -> Result<Ref<Object>> {
        let pages = bytes.div_ceil(PAGE_SIZE);
        let count = usize::try_from(pages.div_ceil(PER_CHUNK)).map_err(|_| Errno::ENOMEM)?;
        let mut chunks = Vec::new();
        chunks.try_reserve_exact(count)?;
        chunks.resize(count, Pfn::new(0));
        Ref::try_new(Object { contents, pages, chunks: spin::Mutex::new(chunks) })
    }

    /// How many pages it has, the last of a file perhaps in part.
    pub fn pages(&self) -> u64 {
        self.pages
    }
}

/// Why an object has no page to give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageError {
    /// The page lies behind the object's end.
    BeyondEnd,
    /// No memory for it.
    NoMemory,
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
        if page >= object.pages {
            return Err(PageError::BeyondEnd);
        }
        let mut chunks = object.chunks.lock();
        let chunk = chunks.get_mut((page / PER_CHUNK) as usize).ok_or(PageError::BeyondEnd)?;
        if chunk.get() == 0 {
            *chunk = self.alloc_zeroed_frame(Kind::Kernel).ok_or(PageError::NoMemory)?;
        }
        let chunk = *chunk;
        if let Some(known) = self.known(chunk, page) {
            return Ok(known);
        }
        let mut order = self.largest_below(object, LARGEST + 1, flags);
        loop {
            let first = page >> order << order;
            if self.fits(object, chunk, first, order) {
                if let Some(head) = self.alloc_frames(order, Kind::Object, 0) {
                    self.fill(object, first, head, order);
                    for index in 0..1 << order {
                        // SAFETY: as in `known`; all of the folio's slots are in this chunk.
                        unsafe { self.slot(chunk, first + index).write(head.get() + index) };
                    }
                    return Ok(head.add(page - first));
                }
                if order > 0 {
                    self.count(Event::FileFallback);
                }
            }
            if order == 0 {
                return Err(PageError::NoMemory);
            }
            order = self.largest_below(object, order, flags);
        }
    }

    /// Page number `page` of `object` if it is there already, and how many pages of its folio follow from it on, at
    /// most `max`, which is at least 1.
    pub(super) fn object_run(&self, object: &Object, page: u64, max: usize) -> Option<(Pfn, usize)> {
        let chunk = *object.chunks.lock().get((page / PER_CHUNK) as usize)?;
        let pfn = (chunk.get() != 0).then(|| self.known(chunk, page))??;
        Some((pfn, self.frames.folio(pfn).span().left_from(pfn).min(max)))
    }

    /// The largest order below `below` that the object's folios may have.
    fn largest_below(&self, object: &Object, below: u8, flags: VmaFlags) -> u8 {
        match object.contents {
            Contents::File(_) => FILE_ORDER.min(below - 1),
            Contents::Zeroes => self.shmem_policy.largest_below(below, flags),
        }
    }

    /// Whether a folio of `order` can begin at page number `first`: it would lie in the object, and nothing of it is
    /// there yet.
    fn fits(&self, object: &Object, chunk: Pfn, first: u64, order: u8) -> bool {
        let end = first + (1 << order);
        end <= object.pages && (first..end).all(|page| self.known(chunk, page).is_none())
    }

    /// Gives the folio at `head`, which nobody else knows yet, the contents of the object from page number `first` on.
    fn fill(&self, object: &Object, first: u64, head: Pfn, order: u8) {
        let bytes = (PAGE_SIZE as usize) << order;
        let Contents::File(data) = object.contents else { return self.zero(head, 1 << order) };
        let source = &data[(first * PAGE_SIZE) as usize..];
        let source = &source[..source.len().min(bytes)];
        let target = self.machine.ptr(head.addr());
        // SAFETY: the frames are fresh, so nobody else uses them, and there are `bytes` bytes of them.
        unsafe {
            target.copy_from_nonoverlapping(source.as_ptr(), source.len());
            target.add(source.len()).write_bytes(0, bytes - source.len());
        }
        self.machine.sync_icache(head.addr(), bytes);
    }

    /// Gives up a reference to `object`; with the last, its pages lose theirs.
    pub fn object_put(&self, object: Ref<Object>) {
        let Some(object) = Ref::into_inner(object) else { return };
        for chunk in object.chunks.into_inner().into_iter().filter(|chunk| chunk.get() != 0) {
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
    fn known(&self, chunk: Pfn, page: u64) -> Option<Pfn> {
        // SAFETY: the slot is in a chunk, which its object owns and whose lock the caller holds, or which nobody else
        // can reach any more.
        let known = unsafe { self.slot(chunk, page).read() };
        (known != 0).then_some(Pfn::new(known))
    }

    /// Where `chunk` has the frame number of page number `page`.
    #[inline]
    fn slot(&self, chunk: Pfn, page: u64) -> *mut u64 {
        self.machine.ptr(chunk.addr().add(page % PER_CHUNK * 8)).cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn absurd_sizes_are_refused() {
        assert!(Object::shmem(u64::MAX).is_err());
    }
}
