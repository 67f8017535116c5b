//! Large folios switched off for a process (prctl: `PR_SET_THP_DISABLE`), for its children and for what it executes.
//!
//! Each VMA says so, as one with MADV_NOHUGEPAGE does, and by the same look at its flags; so what asks for a folio's size
//! asks no more than before. What is mapped by large folios already stays.

use super::space::{AddressSpace, USER_END};
use super::vma::VmaFlags;
use paging::VirtAddr;

/// A VMA with one of these gets single pages.
pub(super) const PAGES_ONLY: VmaFlags = VmaFlags::NOHUGEPAGE.union(VmaFlags::THP_DISABLED);

impl AddressSpace {
    /// Switches large folios off or on, for what is mapped and what will be.
    pub fn disable_large_folios(&mut self, disable: bool) {
        self.thp = if disable { VmaFlags::THP_DISABLED } else { VmaFlags::empty() };
        let flags = self.thp;
        self.vmas.change(VirtAddr::new(0), USER_END, |vma| {
            vma.flags = (vma.flags - VmaFlags::THP_DISABLED) | flags;
        });
    }

    /// Whether they are off.
    pub fn large_folios_disabled(&self) -> bool {
        !self.thp.is_empty()
    }
}
