//! mremap: mappings that shrink, grow in place, or move.
//!
//! Arguments are checked before anything changes, in Linux's order (`mm/mremap.c`); a move that fails for want of
//! memory leaves the old mapping as it was. PTEs move in batches and, where both places begin a table, by whole
//! last-level tables ([`super::move_tables`]), with one flush for the whole call. A mapping that may go anywhere goes to
//! an address with the same offset from a PMD's (or a block's) boundary, so that its blocks stay folded.

use bitflags::bitflags;
use linux_raw_sys::general as linux;
use paging::batch::Respect;
use paging::{CONT_SIZE, Level, PAGE_SIZE, VirtAddr};

use super::Mm;
use super::gather::Unmapped;
use super::machine::Machine;
use super::move_tables::Move;
use super::space::{AddressSpace, MMAP_TOP, USER_END, USER_START, release_vma};
use super::vma::{Backing, Vma, VmaFlags};
use crate::errno::{Errno, Result};

bitflags! {
    /// The flags of mremap, with Linux's values.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct RemapFlags: u32 {
        /// The mapping may go elsewhere.
        const MAYMOVE = linux::MREMAP_MAYMOVE;
        /// It goes to exactly this address; what is mapped there goes.
        const FIXED = linux::MREMAP_FIXED;
        /// The old range stays mapped, empty.
        const DONTUNMAP = linux::MREMAP_DONTUNMAP;
    }
}

/// The arguments of mremap, as the process gave them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemapRequest {
    /// Where the mapping is, in bytes.
    pub addr: usize,
    /// How many bytes of it are meant; 0 for another mapping of the same shared memory.
    pub old_len: usize,
    /// How many it shall have.
    pub new_len: usize,
    /// How.
    pub flags: RemapFlags,
    /// Where it shall go: with [`RemapFlags::FIXED`] a demand, with [`RemapFlags::DONTUNMAP`] a wish.
    pub new_addr: usize,
}

/// A range of the address space that is to become another.
#[derive(Clone, Copy)]
struct Resize {
    start: VirtAddr,
    old_len: u64,
    new_len: u64,
}

impl Resize {
    fn end(self) -> VirtAddr {
        self.start.add(self.old_len)
    }
}

/// Rounds up to whole pages; what does not fit wraps to 0, as in Linux.
fn page_align(len: usize) -> u64 {
    (len as u64).wrapping_add(PAGE_SIZE - 1) & !(PAGE_SIZE - 1)
}

impl AddressSpace {
    /// Shrinks, grows or moves a mapping, and returns where it is then.
    ///
    /// # Errors
    /// `EINVAL`: contradictory flags, misaligned, nothing left, old and new range overlap, outside user space, or old
    /// length 0 of private memory. `EFAULT`: not one mapping. `ENOMEM`: cannot grow here and may not move, no gap, or
    /// no memory. `EPERM`: a fixed address in the first 64 KiB. The old mapping is unchanged then, but for what
    /// shrinking took off; with FIXED, what was at the new address may be gone.
    pub fn mremap<M: Machine>(&mut self, mm: &Mm<M>, request: RemapRequest) -> Result<usize> {
        let RemapRequest { addr, old_len, new_len, flags, new_addr } = request;
        let elsewhere = flags.intersects(RemapFlags::FIXED | RemapFlags::DONTUNMAP);
        if elsewhere && !flags.contains(RemapFlags::MAYMOVE)
            || flags.contains(RemapFlags::DONTUNMAP) && old_len != new_len
            || !(addr as u64).is_multiple_of(PAGE_SIZE)
        {
            return Err(Errno::EINVAL);
        }
        let start = VirtAddr::new(addr as u64);
        let what = Resize { start, old_len: page_align(old_len), new_len: page_align(new_len) };
        if what.new_len == 0 {
            return Err(Errno::EINVAL);
        }
        let vma = self.vmas.find(start).ok_or(Errno::EFAULT)?;
        if elsewhere {
            return self.remap_to(mm, what, flags, new_addr as u64);
        }
        if what.old_len >= what.new_len {
            self.cut(mm, what)?;
            return Ok(addr);
        }
        check_resize(vma, what)?;
        if what.end() == vma.end && self.grow_in_place(mm, what)? {
            return Ok(addr);
        }
        if !flags.contains(RemapFlags::MAYMOVE) {
            return Err(Errno::ENOMEM);
        }
        let to = self.place_like(what).ok_or(Errno::ENOMEM)?;
        self.move_mapping(mm, what, to, false)
    }

    /// Moves a mapping to where the process wants it.
    fn remap_to<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        what: Resize,
        flags: RemapFlags,
        new_addr: u64,
    ) -> Result<usize> {
        let Resize { start, old_len, new_len } = what;
        let to = VirtAddr::new(new_addr);
        let room = USER_END.get().checked_sub(new_len).ok_or(Errno::EINVAL)?;
        if !to.is_aligned(PAGE_SIZE)
            || new_addr > room
            || start.get().saturating_add(old_len) > new_addr && new_addr + new_len > start.get()
            || old_len > new_len && start.get().saturating_add(old_len) > USER_END.get()
        {
            return Err(Errno::EINVAL);
        }
        // What is cut off first need not be part of the same mapping.
        let rest = Resize { old_len: old_len.min(new_len), ..what };
        let vma = self.vmas.find(start).ok_or(Errno::EFAULT)?;
        if flags.contains(RemapFlags::DONTUNMAP) && is_frames(vma) {
            return Err(Errno::EINVAL);
        }
        check_resize(vma, rest)?;
        if !flags.contains(RemapFlags::FIXED) {
            let free = |to: VirtAddr| {
                to >= USER_START
                    && to.add(new_len) <= MMAP_TOP
                    && self.vmas.overlapping(to, to.add(new_len)).is_empty()
            };
            let to =
                Some(to).filter(|to| free(*to)).or_else(|| self.place_like(rest)).ok_or(Errno::ENOMEM)?;
            return self.move_mapping(mm, rest, to, true);
        }
        if to < USER_START {
            return Err(Errno::EPERM);
        }
        // Room for what the two unmappings split and for what the move does, before any of it.
        self.vmas.reserve(6)?;
        self.unmap(mm, to, to.add(new_len))?;
        self.cut(mm, what)?;
        self.move_mapping(mm, rest, to, flags.contains(RemapFlags::DONTUNMAP))
    }

    /// Unmaps what is too much.
    fn cut<M: Machine>(&mut self, mm: &Mm<M>, what: Resize) -> Result<()> {
        if what.old_len <= what.new_len {
            return Ok(());
        }
        let from = what.start.get().checked_add(what.new_len).ok_or(Errno::EINVAL)?;
        self.munmap(mm, from as usize, (what.old_len - what.new_len) as usize)
    }

    /// Extends the mapping that ends where the old range does, if what follows is free; returns whether it is.
    fn grow_in_place<M: Machine>(&mut self, mm: &Mm<M>, what: Resize) -> Result<bool> {
        let end = what.end();
        let new_end = what.start.get().checked_add(what.new_len).filter(|end| *end <= USER_END.get());
        let Some(new_end) = new_end.map(VirtAddr::new) else { return Ok(false) };
        if !self.vmas.overlapping(end, new_end).is_empty() {
            return Ok(false);
        }
        self.vmas.reserve(1)?;
        let vma = self.vmas.find(what.start).ok_or(Errno::EFAULT)?;
        let locked = vma.flags.contains(VmaFlags::LOCKED);
        let more = Vma {
            start: end,
            end: new_end,
            backing: vma.backing_at(end),
            flags: vma.flags - VmaFlags::HAS_ANON,
            ..vma.clone()
        };
        self.vmas.insert(more);
        if locked {
            // As for mmap.
            let _ = self.make_resident(mm, end, new_end);
        }
        Ok(true)
    }

    /// A free place whose offset from a PMD's boundary, or for less than that from a block's, is the old one's.
    fn place_like(&self, what: Resize) -> Option<VirtAddr> {
        let align = match what.new_len {
            len if len >= Level::PMD.entry_size() => Level::PMD.entry_size(),
            len if len >= CONT_SIZE => CONT_SIZE,
            _ => PAGE_SIZE,
        };
        let offset = what.start.get() & (align - 1);
        let gap = |align, offset| self.vmas.gap_below(USER_START, MMAP_TOP, what.new_len, align, offset);
        gap(align, offset).or_else(|| gap(PAGE_SIZE, 0))
    }

    /// Moves a mapping, or (`keep`) only what is in it, to `to`, where nothing is mapped.
    fn move_mapping<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        what: Resize,
        to: VirtAddr,
        keep: bool,
    ) -> Result<usize> {
        let (start, end, new_end) = (what.start, what.end(), to.add(what.new_len));
        if self.vmas.is_full() {
            return Err(Errno::ENOMEM);
        }
        self.vmas.reserve(3)?;
        let vma = self.vmas.find(start).ok_or(Errno::EFAULT)?;
        let drops_wp = vma.flags.contains(VmaFlags::UFFD_WP) && !vma.child_keeps_wp();
        let moved = Move { start, end, to, drops_wp };
        let mut unmapped = Unmapped::new(mm, self.asid());
        if let Err(error) = self.prepare_move(mm, moved) {
            self.unlink_unused(mm, to, new_end, &mut unmapped);
            unmapped.finish();
            return Err(error);
        }
        // From here on nothing fails.
        let vma = self.vmas.find(start).ok_or(Errno::EFAULT)?;
        let respect = Respect { write: true, dirty: !vma.is_private(), soft_dirty: false };
        let locked = vma.flags.contains(VmaFlags::LOCKED);
        let new = Vma {
            start: to,
            end: new_end,
            backing: vma.backing_at(start),
            flags: vma.flags - left_behind(vma),
            ..vma.clone()
        };
        self.lazy.moved(start, end, to);
        self.move_page_tables(mm, moved, respect, &mut unmapped);
        let peak = self.vmas.size().peak();
        // First the new mapping, so that the tables it shares with the old one are not taken for unused.
        self.vmas.insert(new);
        if !keep && start < end {
            self.vmas.split_at(start);
            self.vmas.split_at(end);
            self.wake_monitored(start, end);
            self.vmas.remove(start, end, |vma| release_vma(mm, vma));
            self.unlink_unused(mm, start, end, &mut unmapped);
            self.vmas.set_peak_size(peak);
        }
        unmapped.finish();
        self.link_moved_tables(mm, moved);
        if locked {
            // What is left behind empty is not locked any more; what was added is there from the start.
            if let Some(old) = self.vmas.find_mut(start).filter(|_| keep) {
                old.flags -= VmaFlags::LOCKED | VmaFlags::LOCK_ON_FAULT;
            }
            let _ = self.make_resident(mm, to.add(what.old_len).min(new_end), new_end);
        }
        Ok(to.get() as usize)
    }
}

/// What a mapping does not take along: where it goes it is neither the heap nor the stack; its registration with
/// userfaultfd stays behind unless that hears of moves; and all of it counts as written (Linux: VM_SOFTDIRTY).
fn left_behind(vma: &Vma) -> VmaFlags {
    let place = VmaFlags::HEAP | VmaFlags::STACK | VmaFlags::SOFT_DIRTY;
    if vma.child_keeps_wp() { place } else { place | super::uffd::REGISTERED }
}

/// Whether it maps frames that nothing would map again at a fault.
fn is_frames(vma: &Vma) -> bool {
    matches!(vma.backing, Backing::Frames { .. })
}

/// Whether the range is one that can become another: part of a single mapping.
///
/// # Errors
/// `EINVAL`, `EFAULT`, as [`AddressSpace::mremap`].
fn check_resize(vma: &Vma, what: Resize) -> Result<()> {
    if what.old_len == 0 && vma.is_private() {
        return Err(Errno::EINVAL);
    }
    if what.old_len > vma.end.get() - what.start.get() {
        return Err(Errno::EFAULT);
    }
    if what.new_len > what.old_len && is_frames(vma) {
        // What would come next is somebody else's (Linux: VM_PFNMAP).
        return Err(Errno::EFAULT);
    }
    let page = vma.object_page(what.start).map_or(0, |(_, page)| page);
    page.checked_add(what.new_len / PAGE_SIZE).map(|_| ()).ok_or(Errno::EINVAL)
}
