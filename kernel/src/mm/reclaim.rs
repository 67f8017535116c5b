//! Reclaim: what a process does about exhausted memory before it is told so.
//!
//! There is no way from a frame to the entries that map it, so nobody can take another's pages: an address space that
//! cannot have memory discards what it freed lazily itself ([`super::lazyfree`]), then, if there is swap, pages out its
//! own cold anonymous pages, and tries again. Each attempt looks at a bounded number of tables, going round the address space like the hand of a clock; a page that was accessed since
//! the hand last passed is spared once.

use paging::{Level, VirtAddr};

use super::Mm;
use super::fault::{Access, FaultError, FaultResult};
use super::machine::Machine;
use super::pageout::Which;
use super::space::{AddressSpace, USER_END};
use crate::errno::{Errno, Result};

/// Pages that an operation without memory asks for: enough for what it needs and some of its successors.
/// Linux: `SWAP_CLUSTER_MAX`.
const WANTED: usize = 32;
/// Last-level tables looked at in one attempt, twice: the first look may only find that pages were accessed.
const TABLES: usize = 16;
/// Attempts before an operation gives up. Each frees something, or is the last.
const ATTEMPTS: usize = 8;

impl AddressSpace {
    /// Makes the access at `addr` (bytes) possible, if the VMA there permits it. The access is then repeated; that
    /// it may fault again, for another reason, is normal.
    ///
    /// # Errors
    /// [`FaultError`].
    #[inline]
    pub fn fault<M: Machine>(&mut self, mm: &Mm<M>, addr: usize, access: Access) -> FaultResult {
        match self.resolve_fault(mm, addr, access) {
            Err(FaultError::Oom) => self.fault_again(mm, addr, access),
            other => other,
        }
    }

    #[cold]
    #[inline(never)]
    fn fault_again<M: Machine>(&mut self, mm: &Mm<M>, addr: usize, access: Access) -> FaultResult {
        let again = |space: &mut Self| match space.resolve_fault(mm, addr, access) {
            Err(FaultError::Oom) => None,
            other => Some(other),
        };
        self.with_reclaim(mm, again).unwrap_or(Err(FaultError::Oom))
    }

    /// A copy of this address space for a child, made in `child`, where there is none yet.
    ///
    /// # Errors
    /// `ENOMEM`: nothing of the child remains, and this address space is unchanged but for write protection, and for
    /// what was paged out to make room.
    #[inline]
    pub fn fork_into<M: Machine>(&mut self, mm: &Mm<M>, child: &mut Option<AddressSpace>) -> Result<()> {
        match self.try_fork(mm, child) {
            Err(Errno::ENOMEM) => {
                let again = |space: &mut Self| space.try_fork(mm, child).ok();
                self.with_reclaim(mm, again).ok_or(Errno::ENOMEM)
            }
            other => other,
        }
    }

    /// [`AddressSpace::fork_into`], for who does not care where the copy is.
    ///
    /// # Errors
    /// `ENOMEM`, as there.
    pub fn fork<M: Machine>(&mut self, mm: &Mm<M>) -> Result<AddressSpace> {
        let mut child = None;
        self.fork_into(mm, &mut child)?;
        child.ok_or(Errno::ENOMEM)
    }

    /// Repeats `attempt` as long as there is something to reclaim and it returns nothing.
    #[cold]
    pub(super) fn with_reclaim<M: Machine, T>(
        &mut self,
        mm: &Mm<M>,
        mut attempt: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<T> {
        for _ in 0..ATTEMPTS {
            if self.reclaim(mm, WANTED) == 0 {
                return None;
            }
            if let Some(done) = attempt(self) {
                return Some(done);
            }
        }
        None
    }

    /// Frees about `want` frames of this address space, by bounded work; returns how many it freed. Nothing is lost.
    #[cold]
    pub fn reclaim<M: Machine>(&mut self, mm: &Mm<M>, want: usize) -> usize {
        let before = mm.free_pages();
        // First what nobody needs any more.
        if self.discard_lazy(mm) < want && mm.swap.is_on() {
            // The second round finds what the first left as not accessed lately.
            for _ in 0..2 {
                self.sweep(mm, before + want as u64);
            }
        }
        mm.free_pages().saturating_sub(before) as usize
    }

    /// Moves the hand on by up to [`TABLES`] tables, or once around, until `goal` frames are free.
    fn sweep<M: Machine>(&mut self, mm: &Mm<M>, goal: u64) {
        let mut wrapped = false;
        for _ in 0..TABLES {
            let Some((start, end)) = self.next_stretch() else {
                // Once around at most: two wraps without a stretch between them would find nothing either.
                if core::mem::replace(&mut wrapped, true) {
                    return;
                }
                self.reclaim_hand = VirtAddr::new(0);
                continue;
            };
            if mm.free_pages() >= goal {
                return;
            }
            self.reclaim_hand = end;
            self.pageout(mm, start, end, Which::Cold);
        }
    }

    /// The first stretch behind the hand that has anonymous pages: part of one VMA and of what one table translates.
    fn next_stretch(&self) -> Option<(VirtAddr, VirtAddr)> {
        let hand = self.reclaim_hand;
        let vma = self.vmas.iter().find(|vma| vma.end > hand && vma.needs_reclaim())?;
        let start = vma.start.max(hand);
        let end = Level::PMD.entry_end(start).min(vma.end).min(USER_END);
        Some((start, end))
    }
}
