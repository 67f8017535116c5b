//! Pinning: the frames behind user memory, for the kernel or a device to use by their addresses while the process
//! runs on. Linux: `pin_user_pages`, FOLL_PIN | FOLL_LONGTERM.
//!
//! A pin keeps the frame, and keeps it *the process's*: whatever the process writes to the page later is seen in the
//! frame, and the other way round. Copy-on-write must not get in between, so in private memory
//!
//! - only a folio that this address space maps alone is pinned; anything else, the zero page and pages of a file
//!   included, is first *unshared*, that is replaced by a copy, even if it is only to be read (FOLL_UNSHARE);
//! - fork gives the child copies of a pinned folio's pages at once instead of sharing them ([`fork`](super::fork));
//! - a write fault takes a pinned folio for the process's own without looking ([`cow`](super::cow)).
//!
//! From the first two follows what the third relies on: **an anonymous folio with pins is mapped by one address space
//! at most.** Whatever else replaces frames behind a process's back must leave pinned folios alone. Shared memory
//! needs none of this; there all mappings stay on one frame.
//!
//! Unmapping ends the process's side only: the frame stays, with its contents, until it is unpinned.
//!
//! Lock: the address space's, which is also held by fork. A lockless pin would have to find out about a fork under
//! way (Linux: `write_protect_seq`).

use paging::batch::{Respect, folio_pte_batch};
use paging::contpte::ptep_get_raw;
use paging::walk::lookup;
use paging::{Event, PAGE_SIZE, Pfn, Pte, VirtAddr};

use super::Mm;
use super::counts::{Counts, PIN_BATCH};
use super::fault::{Access, FaultError};
use super::frame::Kind;
use super::machine::Machine;
use super::space::{AddressSpace, USER_END};

impl AddressSpace {
    /// Pins the pages from the one that holds `addr` on, faulting them in, and puts their frames into `frames`, to be
    /// read or, with `write`, to be written as well. Returns how many were pinned: at least one, and fewer than there is
    /// room for if a later one cannot be. Each is to be given back by [`Mm::unpin`].
    ///
    /// # Errors
    /// That of the first page: [`FaultError`]; `Oom` also if the folio has too many pins. Nothing is pinned then.
    pub fn pin_pages<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        addr: usize,
        write: bool,
        frames: &mut [Pfn],
    ) -> Result<usize, FaultError> {
        let start = VirtAddr::new(addr as u64).align_down(PAGE_SIZE);
        let mut done = 0;
        while done < frames.len() {
            let va = start.add(done as u64 * PAGE_SIZE);
            match self.pin_batch(mm, va, write, &mut frames[done..]) {
                Ok(nr) => done += nr,
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Pins the page at `va` and those behind it that map the same folio as it does; returns how many.
    fn pin_batch<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        va: VirtAddr,
        write: bool,
        frames: &mut [Pfn],
    ) -> Result<usize, FaultError> {
        if va >= USER_END {
            return Err(FaultError::MapErr);
        }
        // Every round but the last changes the entry towards what is needed.
        loop {
            self.split_blocks_in(mm, va, va.add(PAGE_SIZE)).map_err(|_| FaultError::Oom)?;
            let at = lookup(&mm.machine, self.root, va);
            let pte = at.map_or(Pte::NONE, |at| ptep_get_raw(&mm.machine, at));
            // What is written through the frame leaves no trace in the entry: it must be dirty beforehand.
            let ready = pte.is_valid() && (!write || (pte.is_writable() && pte.is_dirty()));
            let (Some(at), true) = (at, ready) else {
                // It knows what the VMA permits, too: an entry never permits more.
                self.fault(mm, va.get() as usize, if write { Access::Write } else { Access::Read })?;
                continue;
            };
            let vma = self.vmas.find(va).ok_or(FaultError::MapErr)?;
            if pte.is_special() && (pte.pfn() != mm.zero_page() || !vma.is_private()) {
                return Err(FaultError::AccErr); // not a page of memory
            }
            let folio = mm.frames.folio(pte.pfn());
            if vma.is_private() && !(folio.kind == Kind::Anon && mm.maps_all_of(vma, at, pte, folio)) {
                self.copy_page(mm, at, pte, pte.is_writable())?;
                continue;
            }
            let max = frames.len().min(va.pages_to(vma.end)).min(PIN_BATCH.into());
            let respect = Respect { write, dirty: write, soft_dirty: false };
            let nr = folio_pte_batch(&mm.machine, at, pte, max, folio.span(), respect).nr;
            mm.folio_add(folio.head, Counts::pins(nr as u16)).map_err(|_| FaultError::Oom)?;
            mm.machine.count(Event::PinsAcquired, nr as u64);
            for (index, frame) in frames[..nr].iter_mut().enumerate() {
                *frame = pte.pfn().add(index as u64);
            }
            return Ok(nr);
        }
    }
}

impl<M: Machine> Mm<M> {
    /// Copies the bytes of a pinned frame from `offset` (bytes) on, as they are now: the process goes on writing.
    pub fn read_pinned(&self, frame: Pfn, offset: usize, to: &mut [u8]) {
        debug_assert!(
            offset + to.len() <= PAGE_SIZE as usize
                && self.frames.counts(self.frames.folio(frame).head).pins > 0
        );
        let from = self.machine.ptr(frame.addr().add(offset as u64));
        // SAFETY: within a frame that is nobody else's while it is pinned; what another CPU, at EL0, writes to it during
        // the copy may be in it or not, and any byte is a valid one.
        unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from, to.len()) };
    }

    /// Gives back one pin of a frame; frees its folio if nothing else refers to it.
    pub fn unpin(&self, frame: Pfn) {
        self.count(Event::PinsReleased);
        self.folio_sub(self.frames.folio(frame).head, Counts::pins(1));
    }
}
