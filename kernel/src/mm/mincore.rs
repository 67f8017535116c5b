//! mincore: which pages could be accessed without waiting for something to be read; msync. Linux: `mm/mincore.c`,
//! `mm/msync.c`.

use paging::contpte::ptep_get_raw;
use paging::walk::{Walk, walk};
use paging::{NonPresent, PAGE_SIZE, Pte, VirtAddr};

use super::Mm;
use super::machine::Machine;
use super::space::AddressSpace;
use super::vma::{Vma, VmaFlags};
use crate::errno::{Errno, Result};

impl AddressSpace {
    /// Says of each page from `start` on, as many as `out` has room for and as belong to one VMA, whether it is there:
    /// 1, or 0. Returns how many.
    ///
    /// # Errors
    /// `ENOMEM`: nothing is mapped at `start`.
    pub fn mincore<M: Machine>(&self, mm: &Mm<M>, start: VirtAddr, out: &mut [u8]) -> Result<usize> {
        let vma = self.vmas.find(start).ok_or(Errno::ENOMEM)?;
        let nr = out.len().min(start.pages_to(vma.end));
        let mut index = 0;
        while index < nr {
            let at = start.add(index as u64 * PAGE_SIZE);
            let (run, there) = match walk(&mm.machine, self.root, at) {
                Walk::Pte(here) => match is_there(ptep_get_raw(&mm.machine, here)) {
                    Some(there) => (1, there),
                    None => (1, mm.is_cached(vma, at)),
                },
                Walk::Block(_, level) => (at.pages_to(level.entry_end(at)), true),
                // Memory without an object has nothing anywhere that no table tells of.
                Walk::Absent(level) if vma.object_page(at).is_none() => {
                    (at.pages_to(level.entry_end(at)), false)
                }
                Walk::Absent(_) => (1, mm.is_cached(vma, at)),
            };
            let run = run.min(nr - index);
            out[index..index + run].fill(u8::from(there));
            index += run;
        }
        Ok(nr)
    }
}

impl AddressSpace {
    /// Whether all of `start..end` can be written to where it is kept: it can, as memory is all that files have.
    ///
    /// # Errors
    /// `ENOMEM`: part of it is not mapped. `EBUSY`: `invalidate`, and part of it is locked.
    pub fn msync(&self, start: VirtAddr, end: VirtAddr, invalidate: bool) -> Result<()> {
        let locked = |vma: &Vma| invalidate && vma.flags.contains(VmaFlags::LOCKED);
        if self.up_to(start, end, locked) < end {
            return Err(Errno::EBUSY);
        }
        if self.vmas.covers(start, end) { Ok(()) } else { Err(Errno::ENOMEM) }
    }
}

/// Whether the page that an entry tells of is there; `None` if the entry does not know.
fn is_there(pte: Pte) -> Option<bool> {
    if pte.is_present() {
        return Some(true);
    }
    match pte.non_present() {
        Some(NonPresent::Swap(_)) => Some(false),
        // Its contents are in memory, wherever that is just now.
        Some(NonPresent::Migration { .. }) => Some(true),
        _ => None,
    }
}

impl<M: Machine> Mm<M> {
    /// Whether the object that `vma` shows has the page at `at`, mapped or not.
    fn is_cached(&self, vma: &Vma, at: VirtAddr) -> bool {
        vma.object_page(at).is_some_and(|(object, page)| self.object_run(object, page, 1).is_some())
    }
}
