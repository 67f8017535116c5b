//! madvise: advice that changes what is mapped or how it will be.

use linux_raw_sys::general as linux;
use paging::{PAGE_SIZE, VirtAddr};

use super::Mm;
use super::gather::Unmapped;
use super::machine::Machine;
use super::object::Object;
use super::pageout::Which;
use super::space::{AddressSpace, check_range};
use super::vma::{Backing, Vma, VmaFlags};
use crate::errno::{Errno, Result};
use crate::util::Ref;

impl AddressSpace {
    /// Follows advice (Linux's number) about a range.
    ///
    /// # Errors
    /// `EINVAL`: misaligned, advice the kernel does not know, or a mapping that it cannot be given for (locked, or of
    /// device registers). `ENOMEM`: part of the range is not mapped (the rest was advised, as on Linux), or no memory.
    pub fn madvise<M: Machine>(&mut self, mm: &Mm<M>, addr: usize, len: usize, advice: u32) -> Result<()> {
        let known = matches!(
            advice,
            linux::MADV_NORMAL
                | linux::MADV_RANDOM
                | linux::MADV_SEQUENTIAL
                | linux::MADV_WILLNEED
                | linux::MADV_DONTNEED
                | linux::MADV_DONTNEED_LOCKED
                | linux::MADV_DONTDUMP
                | linux::MADV_DODUMP
                | linux::MADV_FREE
                | linux::MADV_DONTFORK
                | linux::MADV_DOFORK
                | linux::MADV_HUGEPAGE
                | linux::MADV_NOHUGEPAGE
                | linux::MADV_WIPEONFORK
                | linux::MADV_KEEPONFORK
                | linux::MADV_COLD
                | linux::MADV_PAGEOUT
                | linux::MADV_COLLAPSE
                | linux::MADV_SOFT_OFFLINE
                | linux::MADV_POPULATE_READ
                | linux::MADV_POPULATE_WRITE
        );
        if !known || !(addr as u64).is_multiple_of(PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let (start, asked) = check_range(addr, len)?;
        // What comes before a mapping that refuses the advice is advised, as on Linux.
        let (end, mapped) = match self.vmas.find(start) {
            Some(vma) if asked <= vma.end => (if refuses(vma, advice) { start } else { asked }, true),
            _ => {
                let end = self.up_to(start, asked, |vma| refuses(vma, advice));
                (end, self.vmas.covers(start, end))
            }
        };
        if end == start {
            return Err(Errno::EINVAL);
        }
        match advice {
            linux::MADV_FREE => self.lazy_free(mm, start, end)?,
            linux::MADV_COLD => self.make_cold(mm, start, end),
            linux::MADV_DONTNEED | linux::MADV_DONTNEED_LOCKED => {
                self.split_blocks_at(mm, start, end)?;
                let mut unmapped = Unmapped::new(mm, self.asid());
                if self.monitors.is_empty() {
                    self.zap(mm, start, end, &mut unmapped);
                } else {
                    self.zap_monitored(mm, start, end, &mut unmapped);
                }
                unmapped.finish();
            }
            linux::MADV_HUGEPAGE => {
                self.set_flags(mm, (start, end), VmaFlags::HUGEPAGE, VmaFlags::NOHUGEPAGE)?
            }
            linux::MADV_NOHUGEPAGE => {
                self.set_flags(mm, (start, end), VmaFlags::NOHUGEPAGE, VmaFlags::HUGEPAGE)?
            }
            linux::MADV_DONTFORK => {
                self.set_flags(mm, (start, end), VmaFlags::DONTFORK, VmaFlags::empty())?
            }
            linux::MADV_DOFORK => self.set_flags(mm, (start, end), VmaFlags::empty(), VmaFlags::DONTFORK)?,
            linux::MADV_WIPEONFORK => {
                // Linux: private anonymous memory only.
                if !self
                    .vmas
                    .iter()
                    .filter(|vma| vma.end > start && vma.start < end)
                    .all(|vma| vma.is_private_anon())
                {
                    return Err(Errno::EINVAL);
                }
                self.set_flags(mm, (start, end), VmaFlags::WIPEONFORK, VmaFlags::empty())?;
            }
            linux::MADV_KEEPONFORK => {
                self.set_flags(mm, (start, end), VmaFlags::empty(), VmaFlags::WIPEONFORK)?
            }
            linux::MADV_POPULATE_READ | linux::MADV_POPULATE_WRITE => {
                self.populate(mm, start, end, advice == linux::MADV_POPULATE_WRITE)?;
            }
            linux::MADV_COLLAPSE => self.collapse(mm, start, end)?,
            linux::MADV_SOFT_OFFLINE if mapped => self.soft_offline(mm, start, end)?,
            linux::MADV_PAGEOUT => {
                self.pageout(mm, start, end, Which::All);
            }
            // Hints about order of use.
            _ => {}
        }
        match mapped {
            _ if end < asked => Err(Errno::EINVAL),
            true => Ok(()),
            false => Err(Errno::ENOMEM),
        }
    }

    /// What MADV_REMOVE of a range begins with: how many of its bytes are in one mapping, the object that this shows, and
    /// the first byte of it. The object is the caller's to give back, who makes the bytes zero for all.
    ///
    /// # Errors
    /// `ENOMEM`: nothing is mapped there, or no memory. `EINVAL`: not a mapping of a file or of shared memory, or a
    /// locked one. `EACCES`: one that could not be written.
    pub fn removable(&self, addr: usize, len: usize) -> Result<(usize, Ref<Object>, u64)> {
        let (start, end) = check_range(addr, len)?;
        let vma = self.vmas.find(start).ok_or(Errno::ENOMEM)?;
        let (object, page) = vma.object_page(start).ok_or(Errno::EINVAL)?;
        if refuses(vma, linux::MADV_REMOVE) {
            return Err(Errno::EINVAL);
        }
        if vma.is_private() || vma.flags.contains(VmaFlags::READ_ONLY) {
            return Err(Errno::EACCES);
        }
        let bytes = vma.end.min(end).get() - start.get();
        Ok((bytes as usize, object.clone(), page * PAGE_SIZE))
    }

    fn set_flags<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        (start, end): (VirtAddr, VirtAddr),
        set: VmaFlags,
        clear: VmaFlags,
    ) -> Result<()> {
        self.split_vmas(mm, start, end)?;
        self.vmas.change(start, end, |vma| vma.flags = (vma.flags - clear) | set);
        Ok(())
    }
}

/// Whether the pages of a mapping must not go away, as the advice would have it: they are locked, or nothing would map
/// them again (Linux: VM_LOCKED, VM_PFNMAP).
fn refuses(vma: &Vma, advice: u32) -> bool {
    let is_frames = matches!(vma.backing, Backing::Frames { .. });
    match advice {
        linux::MADV_DONTNEED
        | linux::MADV_FREE
        | linux::MADV_COLD
        | linux::MADV_PAGEOUT
        | linux::MADV_REMOVE => is_frames || vma.flags.contains(VmaFlags::LOCKED),
        linux::MADV_DONTNEED_LOCKED => is_frames,
        _ => false,
    }
}
