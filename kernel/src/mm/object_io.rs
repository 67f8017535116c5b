//! An object's bytes as a file's: read, written, cut off, and given memory ahead of time.
//!
//! ```text
//!   size                                   v
//!   pages    [ there ][ hole ][ there      .   ]      a folio may reach behind the end
//!   read      bytes     0 0 0   bytes      |
//! ```
//!
//! A write makes the pages it needs, as folios no larger than what the call is going to write; a read makes none. Holes
//! read as the source or as zeroes. Files together may take half of memory, Linux's default for tmpfs, or what a
//! remount of the root says; a page that a mapping makes counts as well, and is a bus error once there is no more.
//!
//! Copies are made under the object's lock, between pages and the kernel's own memory, so that a page cannot be taken
//! away meanwhile. Who has mapped pages keeps them by references of its own: taking away pages that are mapped does no
//! harm, but whoever does must unmap them too, or they go on being seen ([`AddressSpace::unmap_object`]).

use core::ops::Range;
use core::sync::atomic::Ordering;

use paging::{PAGE_SIZE, Pfn};

use super::Mm;
use super::gather::Unmapped;
use super::machine::Machine;
use super::object::{Object, PER_CHUNK, PageError, State};
use super::space::AddressSpace;
use super::vma::VmaFlags;
use crate::errno::{Errno, Result};
use crate::util::Ref;

/// The most bytes that an object can have: offsets are signed.
pub const SIZE_LIMIT: u64 = i64::MAX as u64;

/// Where a write goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteAt {
    /// At this offset, in bytes.
    Offset(u64),
    /// To the end.
    End,
}

impl<M: Machine> Mm<M> {
    /// Copies what the object has from `offset` (bytes) on; returns how many bytes there are, at most as many as `to` has.
    pub fn object_read(&self, object: &Object, offset: u64, to: &mut [u8]) -> usize {
        let state = object.state.lock();
        let left = usize::try_from(state.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = to.len().min(left);
        for_each_page(offset, count, |page, within, range| {
            let to = &mut to[range];
            match state.chunk(page).and_then(|chunk| self.known(chunk, page)) {
                // SAFETY: within a page that stays the object's while its lock is held; what a process that has it mapped
                // writes meanwhile may be in the copy or not, and any byte is a valid one.
                Some(pfn) => unsafe {
                    to.as_mut_ptr().copy_from_nonoverlapping(self.byte(pfn, within), to.len());
                },
                None => from_source(state.source, page * PAGE_SIZE + within as u64, to),
            }
            Ok(())
        });
        count
    }

    /// Writes bytes, making pages where there are none, and the object longer if it ends before them. `ahead` is how many
    /// bytes the caller is going to write from there on, these included. Returns where they went and how many there was
    /// memory for.
    ///
    /// # Errors
    /// If not one was written: `EFBIG`: behind the greatest offset; `ENOSPC`: no memory, or files have their share of it.
    pub fn object_write(
        &self,
        object: &Object,
        place: WriteAt,
        from: &[u8],
        ahead: usize,
    ) -> Result<(u64, usize)> {
        let mut state = object.state.lock();
        let offset = match place {
            WriteAt::Offset(offset) => offset,
            WriteAt::End => state.bytes,
        };
        let room = usize::try_from(SIZE_LIMIT.saturating_sub(offset)).unwrap_or(usize::MAX);
        if room == 0 && !from.is_empty() {
            return Err(Errno::EFBIG);
        }
        let end = offset.saturating_add(ahead.max(from.len()) as u64).min(SIZE_LIMIT).max(state.bytes);
        let state = &mut *state;
        let mut outcome = Ok(());
        let done = for_each_page(offset, from.len().min(room), |page, within, range| {
            let pfn = self.page_for_write(object, state, page, end.div_ceil(PAGE_SIZE));
            let pfn = pfn.inspect_err(|error| outcome = Err(*error))?;
            let from = &from[range];
            // SAFETY: as in `object_read`; writing races with nothing but what processes do with their mappings, for
            // which both are memory that others write.
            unsafe { self.byte(pfn, within).copy_from_nonoverlapping(from.as_ptr(), from.len()) };
            self.machine.sync_icache(pfn.addr().add(within as u64), from.len());
            Ok(())
        });
        if done > 0 {
            state.bytes = state.bytes.max(offset + done as u64);
        } else {
            outcome?;
        }
        Ok((offset, done))
    }

    /// Makes the object `bytes` long. What it gains is zero; what it loses is gone, and its pages with it.
    ///
    /// # Errors
    /// `EFBIG`.
    pub fn object_resize(&self, object: &Object, bytes: u64) -> Result<()> {
        if bytes > SIZE_LIMIT {
            return Err(Errno::EFBIG);
        }
        let mut state = object.state.lock();
        let state = &mut *state;
        let old = core::mem::replace(&mut state.bytes, bytes);
        if bytes < old {
            let kept = usize::try_from(bytes).unwrap_or(usize::MAX).min(state.source.len());
            state.source = &state.source[..kept];
            self.clear(object, state, bytes..u64::MAX);
        }
        Ok(())
    }

    /// Makes `range` (bytes) zero, and frees the pages that lie in it.
    ///
    /// # Errors
    /// `ENOSPC`: pages that the source would fill have to be there to be zero, and there is no memory for them.
    pub fn object_punch(&self, object: &Object, range: Range<u64>) -> Result<()> {
        let mut state = object.state.lock();
        let state = &mut *state;
        let range = range.start..range.end.min(state.bytes);
        let filled = range.start..range.end.min(state.source.len() as u64);
        if !filled.is_empty() {
            let end = state.pages();
            for page in filled.start / PAGE_SIZE..filled.end.div_ceil(PAGE_SIZE) {
                self.page_for_write(object, state, page, end)?;
            }
            self.zero_present(state, filled.clone());
        }
        self.clear(object, state, range.start.max(filled.end)..range.end);
        Ok(())
    }

    /// Makes the pages of `range` (bytes), whether or not it is behind the end.
    ///
    /// # Errors
    /// `EFBIG`; `ENOSPC`, and then some of them may be there.
    pub fn object_allocate(&self, object: &Object, range: Range<u64>) -> Result<()> {
        if range.end > SIZE_LIMIT {
            return Err(Errno::EFBIG);
        }
        let end = range.end.div_ceil(PAGE_SIZE);
        for page in range.start / PAGE_SIZE..end {
            // The lock is let go now and then: this may be long.
            let mut state = object.state.lock();
            let limit = end.max(state.pages());
            self.page_for_write(object, &mut state, page, limit)?;
        }
        Ok(())
    }

    /// Where, from `offset` (bytes) on, the next byte is that has memory or a source (`data`), or that has none (a hole; the
    /// end counts as one). `None` behind the last.
    pub fn object_next(&self, object: &Object, offset: u64, data: bool) -> Option<u64> {
        let state = object.state.lock();
        if offset >= state.bytes {
            return None;
        }
        let mut page = offset / PAGE_SIZE;
        while page < state.pages() {
            let chunk = state.chunk(page);
            let sourced = page * PAGE_SIZE < state.source.len() as u64;
            let there = sourced || chunk.is_some_and(|chunk| self.known(chunk, page).is_some());
            if there == data {
                return Some(offset.max(page * PAGE_SIZE));
            }
            // Without a chunk there is nothing up to the next one, and behind the last there is nothing at all: a file may
            // be so large that even a look at each place for a chunk would take for ever.
            page = match chunk {
                None if !sourced && page / PER_CHUNK >= state.chunks.len() as u64 => state.pages(),
                None if !sourced => (page / PER_CHUNK + 1) * PER_CHUNK,
                _ => page + 1,
            };
        }
        if data { None } else { Some(state.bytes) }
    }

    /// Whether page number `page` is there.
    pub fn object_has(&self, object: &Object, page: u64) -> bool {
        let state = object.state.lock();
        state.chunk(page).is_some_and(|chunk| self.known(chunk, page).is_some())
    }

    /// Pages that files may take.
    pub fn object_limit(&self) -> u64 {
        match self.file_limit.load(Ordering::Relaxed) {
            0 => self.total_pages() / 2,
            limit => limit,
        }
    }

    /// Lets files have so many pages from now on (`u64::MAX`: no limit).
    ///
    /// # Errors
    /// `EINVAL`: they have more, or had no limit until now.
    pub fn set_object_limit(&self, pages: u64) -> Result<()> {
        let unlimited = self.object_limit() == u64::MAX && pages != u64::MAX;
        if unlimited || pages == 0 || pages < self.file_pages() {
            return Err(Errno::EINVAL);
        }
        self.file_limit.store(pages, Ordering::Relaxed);
        Ok(())
    }

    fn page_for_write(&self, object: &Object, state: &mut State, page: u64, end: u64) -> Result<Pfn> {
        if let Some(known) = state.chunk(page).and_then(|chunk| self.known(chunk, page)) {
            return Ok(known);
        }
        self.page_in(object, state, page, VmaFlags::empty(), end).map_err(|error| match error {
            PageError::NoMemory | PageError::BeyondEnd | PageError::NoRoom => Errno::ENOSPC,
        })
    }

    /// Frees the folios that lie in `range` (bytes) and zeroes what else of it is there.
    fn clear(&self, object: &Object, state: &mut State, range: Range<u64>) {
        let (first, end) = (range.start.div_ceil(PAGE_SIZE), range.end / PAGE_SIZE);
        for index in (first / PER_CHUNK) as usize..state.chunks.len() {
            let chunk = state.chunks[index];
            let base = index as u64 * PER_CHUNK;
            if base >= end {
                break;
            }
            if chunk.get() == 0 {
                continue;
            }
            let mut page = base.max(first);
            while page < end.min(base + PER_CHUNK) {
                let Some(pfn) = self.known(chunk, page) else {
                    page += 1;
                    continue;
                };
                let folio = self.frames.folio(pfn);
                let head = page - (pfn.get() - folio.head.get());
                let behind = head + folio.span().pages;
                if head >= first && behind <= end {
                    for page in head..behind {
                        // SAFETY: as in `known`; the folio's slots are all in this chunk.
                        unsafe { self.slot(chunk, page).write(0) };
                    }
                    state.present -= folio.span().pages;
                    self.count_pages(object, -(folio.span().pages as i64));
                    self.folio_put(folio.head);
                }
                page = behind;
            }
        }
        self.zero_present(state, range);
    }

    /// Zeroes what of `range` (bytes) is in pages that are there.
    fn zero_present(&self, state: &State, range: Range<u64>) {
        let last = state.chunks.len() as u64 * PER_CHUNK * PAGE_SIZE;
        let mut at = range.start;
        while at < range.end.min(last) {
            let page = at / PAGE_SIZE;
            let Some(chunk) = state.chunk(page) else {
                at = (page / PER_CHUNK + 1) * PER_CHUNK * PAGE_SIZE;
                continue;
            };
            let to = range.end.min((page + 1) * PAGE_SIZE);
            if let Some(pfn) = self.known(chunk, page) {
                // SAFETY: as in `object_write`.
                unsafe { self.byte(pfn, (at % PAGE_SIZE) as usize).write_bytes(0, (to - at) as usize) };
            }
            at = to;
        }
    }

    /// Where the kernel reaches byte number `within` of a frame.
    fn byte(&self, pfn: Pfn, within: usize) -> *mut u8 {
        self.machine.ptr(pfn.addr().add(within as u64))
    }
}

impl AddressSpace {
    /// Unmaps the pages of `object` from number `first` up to `end`, wherever they are mapped: they have been taken from it.
    /// Private copies of them go as well (Linux: `unmap_mapping_range`).
    ///
    /// # Errors
    /// `ENOMEM`: no memory to split a block; the rest of that mapping stays.
    pub fn unmap_object<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        object: &Ref<Object>,
        pages: Range<u64>,
    ) -> Result<()> {
        for index in 0..self.vmas.as_slice().len() {
            let Some(vma) = self.vmas.get(index) else { break };
            let Some((_, page)) = vma.object_page(vma.start).filter(|(its, _)| Ref::ptr_eq(its, object))
            else {
                continue;
            };
            let shown = vma.start.pages_to(vma.end) as u64;
            let from = pages.start.saturating_sub(page).min(shown);
            let to = pages.end.saturating_sub(page).min(shown);
            if from < to {
                let (start, end) = (vma.start.add(from * PAGE_SIZE), vma.start.add(to * PAGE_SIZE));
                self.split_blocks_at(mm, start, end)?;
                let mut unmapped = Unmapped::new(mm, self.asid());
                self.zap(mm, start, end, &mut unmapped);
                unmapped.finish();
            }
        }
        Ok(())
    }

    /// Whether a mapping shows `object` through which it may be written.
    pub fn may_write_object(&self, object: &Ref<Object>) -> bool {
        self.vmas.iter().any(|vma| {
            let its = vma.object_page(vma.start).is_some_and(|(its, _)| Ref::ptr_eq(its, object));
            its && vma.flags.contains(VmaFlags::SHARED) && !vma.flags.contains(VmaFlags::READ_ONLY)
        })
    }
}

/// Fills `to` with what `source` has from `offset` on, and with zeroes behind it.
fn from_source(source: &[u8], offset: u64, to: &mut [u8]) {
    let there = usize::try_from(offset).ok().and_then(|offset| source.get(offset..)).unwrap_or(&[]);
    let count = there.len().min(to.len());
    to[..count].copy_from_slice(&there[..count]);
    to[count..].fill(0);
}

/// Calls `f` for each page that the `count` bytes from `offset` on touch: with its number, the first byte in it, and the
/// place of its bytes among all. Stops at the first error; returns how many bytes were done.
fn for_each_page(
    offset: u64,
    count: usize,
    mut f: impl FnMut(u64, usize, Range<usize>) -> Result<()>,
) -> usize {
    let mut done = 0;
    while done < count {
        let at = offset + done as u64;
        let within = (at % PAGE_SIZE) as usize;
        let len = (count - done).min(PAGE_SIZE as usize - within);
        if f(at / PAGE_SIZE, within, done..done + len).is_err() {
            break;
        }
        done += len;
    }
    done
}

#[cfg(test)]
#[path = "tests/object_io.rs"]
mod tests;
