//! madvise: advice that changes what is mapped or how it will be.

use linux_raw_sys::general as linux;
use paging::VirtAddr;

use super::Mm;
use super::gather::Unmapped;
use super::machine::Machine;
use super::pageout::Which;
use super::space::{AddressSpace, check_range};
use super::vma::VmaFlags;
use crate::errno::{Errno, Result};

impl AddressSpace {
    /// Follows advice (Linux's number) about a range.
    ///
    /// # Errors
    /// `EINVAL`: misaligned, or advice the kernel does not know. `ENOMEM`: part of the range is not mapped (the rest
    /// was advised, as on Linux), or no memory.
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
        if !known || !(addr as u64).is_multiple_of(paging::PAGE_SIZE) {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let (start, end) = check_range(addr, len)?;
        let mapped = self.vmas.covers(start, end);
        match advice {
            // Nothing would map the registers again (Linux: VM_PFNMAP).
            linux::MADV_DONTNEED | linux::MADV_DONTNEED_LOCKED | linux::MADV_FREE | linux::MADV_COLD
                if self.has_frames(start, end) =>
            {
                return Err(Errno::EINVAL);
            }
            linux::MADV_FREE => self.lazy_free(mm, start, end)?,
            linux::MADV_COLD => self.make_cold(mm, start, end),
            // No memory is locked.
            linux::MADV_DONTNEED | linux::MADV_DONTNEED_LOCKED => {
                self.split_blocks_at(mm, start, end)?;
                let mut unmapped = Unmapped::new(mm, self.asid());
                self.zap(mm, start, end, &mut unmapped);
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
        if mapped { Ok(()) } else { Err(Errno::ENOMEM) }
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
