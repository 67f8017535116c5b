//! Making mappings: mmap and brk.

use bitflags::bitflags;
use paging::{CONT_PTES, CONT_SIZE, PAGE_SIZE, VirtAddr};

use super::Mm;
use super::frame::MAX_ORDER;
use super::machine::Machine;
use super::object::Object;
use super::pfnmap::may_permit;
use super::space::{AddressSpace, MMAP_TOP, USER_END, USER_START, check_range};
use super::vma::{Backing, Prot, Vma, VmaFlags};
use crate::errno::{Errno, Result};

bitflags! {
    /// How a mapping is to be made.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct MapFlags: u32 {
        /// At exactly this address; what is mapped there goes (MAP_FIXED).
        const FIXED = 1;
        /// With FIXED: fail if something is mapped there (MAP_FIXED_NOREPLACE).
        const NOREPLACE = 2;
        /// Writes are shared (MAP_SHARED).
        const SHARED = 4;
        /// Fault everything in at once (MAP_POPULATE).
        const POPULATE = 8;
        /// The initial stack.
        const STACK = 16;
        /// It stays in memory, from the start (MAP_LOCKED).
        const LOCKED = 256;
        /// It grows down to where it is accessed (MAP_GROWSDOWN).
        const GROWS_DOWN = 128;
        /// With SHARED: the file may not be written, so neither may this, now or later.
        const READ_ONLY = 32;
        /// It is not counted as promised (MAP_NORESERVE).
        const NORESERVE = 64;
    }
}

/// A request for a mapping.
#[derive(Clone)]
pub struct MapRequest {
    /// Where, in bytes: a hint, or with [`MapFlags::FIXED`] a demand.
    pub addr: usize,
    /// How many bytes; rounded up to whole pages.
    pub len: usize,
    /// What is permitted.
    pub prot: Prot,
    /// How.
    pub flags: MapFlags,
    /// Of what. Anonymous shared memory gets an object of its own.
    pub backing: Backing,
}

impl AddressSpace {
    /// Maps memory and returns its first address.
    ///
    /// # Errors
    /// `EINVAL`: misaligned address, empty range. `ENOMEM`: no gap of that size, outside user space, no memory for
    /// the bookkeeping, or too many mappings. `EEXIST`: NOREPLACE and something is there. `EPERM`: a fixed address in the first 64 KiB.
    /// `EACCES`: device registers to be written or executed.
    pub fn mmap<M: Machine>(&mut self, mm: &Mm<M>, request: MapRequest) -> Result<usize> {
        let fixed = request.flags.contains(MapFlags::FIXED);
        let (start, end) =
            if fixed { check_range(request.addr, request.len)? } else { self.place(&request)? };
        if start < USER_START {
            return Err(Errno::EPERM);
        }
        if self.vmas.is_full() {
            return Err(Errno::ENOMEM);
        }
        if !may_permit(&request.backing, request.prot) {
            return Err(Errno::EACCES);
        }
        if fixed && !self.vmas.overlapping(start, end).is_empty() {
            if request.flags.contains(MapFlags::NOREPLACE) {
                return Err(Errno::EEXIST);
            }
            self.unmap(mm, start, end)?;
        }
        let shared = request.flags.contains(MapFlags::SHARED);
        let backing = match request.backing {
            Backing::Anon if shared => {
                Backing::Object { object: Object::shmem(end.get() - start.get())?, page: 0 }
            }
            other => other,
        };
        let mut flags = self.thp;
        flags.set(VmaFlags::SHARED, shared);
        flags.set(VmaFlags::READ_ONLY, request.flags.contains(MapFlags::READ_ONLY));
        flags.set(VmaFlags::NORESERVE, request.flags.contains(MapFlags::NORESERVE));
        flags.set(VmaFlags::STACK, request.flags.contains(MapFlags::STACK));
        flags.set(VmaFlags::GROWS_DOWN, request.flags.contains(MapFlags::GROWS_DOWN));
        if !matches!(backing, Backing::Frames { .. }) {
            flags.set(VmaFlags::LOCKED, request.flags.contains(MapFlags::LOCKED));
            flags |= self.future_lock;
        }
        let vma = Vma { start, end, prot: request.prot, flags, backing };
        // Two more than itself, should it have to be unmapped again.
        if let Err(error) = self.vmas.reserve(3) {
            super::space::release_vma(mm, vma);
            return Err(error);
        }
        self.vmas.insert(vma);
        if let Err(error) = self.map_frames(mm, start, end) {
            self.unmap(mm, start, end)?;
            return Err(error);
        }
        if request.flags.contains(MapFlags::POPULATE) || flags.contains(VmaFlags::LOCKED) {
            // As on Linux, what cannot be populated is left to the fault that needs it.
            let _ = self.make_resident(mm, start, end);
        }
        Ok(start.get() as usize)
    }

    /// Chooses where a mapping without a fixed address goes.
    fn place(&self, request: &MapRequest) -> Result<(VirtAddr, VirtAddr)> {
        let hint = VirtAddr::new(request.addr as u64).align_down(PAGE_SIZE).get() as usize;
        if hint != 0
            && let Ok((start, end)) = check_range(hint, request.len)
            && start >= USER_START
            && end <= MMAP_TOP
            && self.vmas.overlapping(start, end).is_empty()
        {
            return Ok((start, end));
        }
        let (_, end) = check_range(0, request.len)?;
        let bytes = end.get();
        // So that the largest folios that fit can be used from the first byte on; an object's are aligned by the
        // number of the page in the object, so its mapping begins as far into a block as into a folio.
        let (align, offset) = match (&request.backing, bytes) {
            (Backing::Anon, n) if n >= PAGE_SIZE << MAX_ORDER => (PAGE_SIZE << MAX_ORDER, 0),
            (Backing::Anon, n) if n >= CONT_SIZE => (CONT_SIZE, 0),
            (Backing::Object { page, .. }, n) if n >= CONT_SIZE => {
                (CONT_SIZE, page % CONT_PTES as u64 * PAGE_SIZE)
            }
            _ => (PAGE_SIZE, 0),
        };
        let start = self.vmas.gap_below(USER_START, MMAP_TOP, bytes, align, offset);
        let start = start.or_else(|| self.vmas.gap_below(USER_START, MMAP_TOP, bytes, PAGE_SIZE, 0));
        start.map(|start| (start, start.add(bytes))).ok_or(Errno::ENOMEM)
    }

    /// Says where the heap begins: the end of the program, in bytes.
    pub fn set_brk_start(&mut self, addr: usize) {
        let start = VirtAddr::new(addr as u64).align_up(PAGE_SIZE);
        (self.brk_start, self.brk) = (start, start);
    }

    /// Moves the end of the heap to `new` (bytes) and returns where it is now: as Linux, the old place if the new
    /// one is impossible.
    pub fn brk<M: Machine>(&mut self, mm: &Mm<M>, new: usize) -> usize {
        let new = VirtAddr::new(new as u64);
        if new >= self.brk_start && new <= USER_END && self.move_brk(mm, new).is_ok() {
            self.brk = new;
        }
        self.brk.get() as usize
    }

    fn move_brk<M: Machine>(&mut self, mm: &Mm<M>, new: VirtAddr) -> Result<()> {
        let (old_end, new_end) = (self.brk.align_up(PAGE_SIZE), new.align_up(PAGE_SIZE));
        if new_end < old_end {
            return self.unmap(mm, new_end, old_end);
        }
        if new_end == old_end {
            return Ok(());
        }
        if self.vmas.is_full() || !self.vmas.overlapping(old_end, new_end).is_empty() {
            return Err(Errno::ENOMEM);
        }
        self.vmas.reserve(1)?;
        self.vmas.insert(Vma {
            start: old_end,
            end: new_end,
            prot: Prot::READ | Prot::WRITE,
            flags: VmaFlags::HEAP | self.future_lock | self.thp,
            backing: Backing::Anon,
        });
        if !self.future_lock.is_empty() {
            // As for mmap.
            let _ = self.make_resident(mm, old_end, new_end);
        }
        Ok(())
    }
}
