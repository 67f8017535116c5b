//! Memory that several address spaces may map: the page cache of a file, or shared anonymous memory.
//!
//! An object owns one reference to each of its pages. Files of the initramfs are read-only and stay in memory; their
//! pages are filled from the archive at the first use. The pages are found through an array of *chunks*, frames that
//! hold 512 frame numbers each, so that an object costs heap by the gigabyte, not by the page.

use alloc::vec::Vec;

use paging::{PAGE_SHIFT, PAGE_SIZE, Pfn};

use super::Mm;
use super::frame::Kind;
use super::machine::Machine;
use crate::errno::{Errno, Result};
use crate::util::Ref;

/// Frame numbers that fit in a chunk.
const PER_CHUNK: u64 = PAGE_SIZE / 8;

/// A file's or shared memory's pages. Whoever holds the last reference gives it to [`Mm::object_put`]; merely
/// dropping it would leak its pages.
pub struct Object {
    contents: Contents,
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
        Ref::try_new(Object { contents, chunks: spin::Mutex::new(chunks) })
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
    /// The frame of page number `page` (0-based) of `object`, filled if this is its first use. The object keeps its
    /// reference; a mapping takes its own.
    ///
    /// # Errors
    /// [`PageError`].
    pub fn object_page(&self, object: &Object, page: u64) -> core::result::Result<Pfn, PageError> {
        let source = match object.contents {
            Contents::File(data) => {
                let start = page.checked_mul(PAGE_SIZE).filter(|start| *start < data.len() as u64);
                let start = start.ok_or(PageError::BeyondEnd)? as usize;
                &data[start..data.len().min(start + PAGE_SIZE as usize)]
            }
            Contents::Zeroes => &[],
        };
        let mut chunks = object.chunks.lock();
        let chunk = chunks.get_mut((page / PER_CHUNK) as usize).ok_or(PageError::BeyondEnd)?;
        if chunk.get() == 0 {
            *chunk = self.alloc_zeroed_frame(Kind::Kernel).ok_or(PageError::NoMemory)?;
        }
        let slot = self.slot(*chunk, page % PER_CHUNK);
        // SAFETY: `slot` points into a chunk, which this object owns and its lock, held, protects.
        let known = unsafe { slot.read() };
        if known != 0 {
            return Ok(Pfn::new(known));
        }
        let pfn = self.alloc_zeroed_frame(Kind::Object).ok_or(PageError::NoMemory)?;
        let target = self.machine.ptr(pfn.addr());
        // SAFETY: the frame is fresh, so nobody else uses it, and `source` is at most a page long.
        unsafe { target.copy_from_nonoverlapping(source.as_ptr(), source.len()) };
        if !source.is_empty() {
            self.machine.sync_icache(pfn.addr(), PAGE_SIZE as usize);
        }
        // SAFETY: as for the read.
        unsafe { slot.write(pfn.get()) };
        Ok(pfn)
    }

    /// Gives up a reference to `object`; with the last, its pages lose theirs.
    pub fn object_put(&self, object: Ref<Object>) {
        let Some(object) = Ref::into_inner(object) else { return };
        for chunk in object.chunks.into_inner().into_iter().filter(|chunk| chunk.get() != 0) {
            for index in 0..PER_CHUNK {
                // SAFETY: the object is gone from everyone else's view; the chunk is still its own.
                let pfn = unsafe { self.slot(chunk, index).read() };
                if pfn != 0 {
                    self.folio_put(Pfn::new(pfn));
                }
            }
            self.folio_put(chunk);
        }
    }

    fn slot(&self, chunk: Pfn, index: u64) -> *mut u64 {
        debug_assert!(index < 1 << (PAGE_SHIFT - 3));
        self.machine.ptr(chunk.addr().add(index * 8)).cast()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::testing::machine;

    static DATA: [u8; 5000] = [7; 5000];

    #[test]
    fn a_file_s_pages_hold_its_bytes_and_zeroes_behind_them() {
        let mm = machine();
        let free = mm.free_pages();
        let file = Object::file(&DATA).unwrap();
        let last = mm.object_page(&file, 1).unwrap();
        assert_eq!(mm.object_page(&file, 1), Ok(last));
        assert_eq!(mm.object_page(&file, 2), Err(PageError::BeyondEnd));
        assert_eq!(mm.object_page(&file, u64::MAX), Err(PageError::BeyondEnd));
        let byte = |offset| {
            // SAFETY: the frame is the object's and nobody writes to it.
            unsafe { mm.machine.ptr(last.addr().add(offset)).read() }
        };
        assert_eq!((byte(0), byte(903), byte(904), byte(4095)), (7, 7, 0, 0));
        let other = file.clone();
        mm.object_put(file);
        assert!(mm.free_pages() < free);
        mm.object_put(other);
        assert_eq!(mm.free_pages(), free);
    }

    #[test]
    fn absurd_sizes_are_refused() {
        assert!(Object::shmem(u64::MAX).is_err());
    }
}
