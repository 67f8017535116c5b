//! mlock: memory that is there, and stays.
//!
//! A locked VMA is a promise about its pages: reclaim does not page them out or discard them, and advice to do so is
//! refused. They are made resident when the VMA is locked, or (MLOCK_ONFAULT) stay from their first touch on. A child of
//! fork has nothing locked, and a program that is executed begins with nothing locked. Linux: `mm/mlock.c`.
//!
//! Every process is the superuser's, and what that locks is not limited: RLIMIT_MEMLOCK never applies.

use paging::VirtAddr;

use super::Mm;
use super::machine::Machine;
use super::space::AddressSpace;
use super::vma::{Backing, Prot, Vma, VmaFlags};
use crate::errno::{Errno, Result};

/// What makes a VMA a locked one.
const LOCKS: VmaFlags = VmaFlags::LOCKED.union(VmaFlags::LOCK_ON_FAULT);

/// How memory is to be locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// All of it is made resident at once.
    Now,
    /// Pages are locked as they are touched.
    OnFault,
}

impl Lock {
    const fn flags(self) -> VmaFlags {
        match self {
            Lock::Now => VmaFlags::LOCKED,
            Lock::OnFault => LOCKS,
        }
    }
}

impl AddressSpace {
    /// Locks `start..end`, whole pages, or (`None`) unlocks it.
    ///
    /// # Errors
    /// `ENOMEM`: part of it is not mapped, or permits no access; what is before that is locked. `EAGAIN`: it is locked,
    /// but there was no memory to make it resident.
    pub fn mlock<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
        lock: Option<Lock>,
    ) -> Result<()> {
        let covered = self.vmas.covered(start, end);
        if start < covered {
            self.split_vmas(mm, start, covered)?;
            self.vmas.change(start, covered, |vma| set_lock(vma, lock));
        }
        if covered < end {
            return Err(Errno::ENOMEM);
        }
        match lock {
            None => Ok(()),
            Some(_) => self.make_resident(mm, start, end).map_err(|error| match error {
                Errno::ENOMEM => Errno::EAGAIN,
                _ => Errno::ENOMEM,
            }),
        }
    }

    /// Locks or unlocks all that is mapped (`current`), and all that will be (`future`).
    pub fn mlockall<M: Machine>(&mut self, mm: &Mm<M>, current: Option<Lock>, future: Option<Lock>) {
        self.future_lock = future.map_or(VmaFlags::empty(), Lock::flags);
        let all = (VirtAddr::new(0), super::space::USER_END);
        self.vmas.change(all.0, all.1, |vma| set_lock(vma, current));
        if current == Some(Lock::Now) {
            for index in self.vmas.overlapping(all.0, all.1) {
                let Some(vma) = self.vmas.get(index) else { break };
                let (start, end) = (vma.start, vma.end);
                // As on Linux, what cannot be made resident is left to the fault that needs it.
                let _ = self.make_resident(mm, start, end);
            }
        }
    }

    /// Locks what is mapped from now on, and leaves what is mapped already as it is.
    pub fn mlock_future(&mut self, lock: Lock) {
        self.future_lock = lock.flags();
    }

    /// Bytes that are locked, there or not.
    pub fn locked_bytes(&self) -> u64 {
        let locked = self.vmas.iter().filter(|vma| vma.flags.contains(VmaFlags::LOCKED));
        locked.map(|vma| vma.end.get() - vma.start.get()).sum()
    }

    /// Faults in what is mapped of `start..end`: private memory that may be written as if it were. Not what is locked
    /// as it is touched, nor device registers. Linux: `__mm_populate`.
    ///
    /// # Errors
    /// As [`AddressSpace::populate`], of the first VMA that has any.
    pub(super) fn make_resident<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
    ) -> Result<()> {
        let mut at = start;
        while let Some(vma) = self.vmas.get(self.vmas.index_at(at)).filter(|vma| vma.start < end && at < end)
        {
            let (from, to) = (vma.start.max(at), vma.end.min(end));
            let write = vma.prot.contains(Prot::WRITE) && vma.is_private();
            if !vma.flags.contains(VmaFlags::LOCK_ON_FAULT) && can_lock(vma) {
                self.populate(mm, from, to, write)?;
            }
            at = to;
        }
        Ok(())
    }
}

/// Whether its pages are memory that could go away.
fn can_lock(vma: &Vma) -> bool {
    !matches!(vma.backing, Backing::Frames { .. })
}

fn set_lock(vma: &mut Vma, lock: Option<Lock>) {
    if can_lock(vma) {
        vma.flags = (vma.flags - LOCKS) | lock.map_or(VmaFlags::empty(), Lock::flags);
    }
}
