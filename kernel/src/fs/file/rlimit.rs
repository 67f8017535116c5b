//! Resource limits (getrlimit(2)): what a process may have of each resource. Kept beside its descriptors, since a child
//! inherits them as it does those, and no process of a kind that forks often has limits of its own.
//!
//! Descriptors (RLIMIT_NOFILE), address space (RLIMIT_AS) and private memory that may be written (RLIMIT_DATA) are held to
//! their limits. Others do not bind root on Linux either, or are told and no more: the size of files, and a stack of less
//! than it may have here. That of CPU time is not here but with what measures it.

use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};
use crate::fs::file::fd::FD_LIMIT;
use crate::mm::stack::STACK_BYTES;

/// How many resources there are.
const COUNT: usize = raw::RLIM_NLIMITS as usize;
/// As much as there is.
const UNLIMITED: u64 = u64::MAX;

/// The limits of one resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// What counts.
    pub soft: u64,
    /// What the soft one may be set to.
    pub hard: u64,
}

/// The limits of all resources, by Linux's numbers (`RLIMIT_*`).
#[derive(Clone, Copy)]
pub struct Limits([Limit; COUNT]);

impl Limits {
    /// What the first process begins with.
    pub const FIRST: Limits = {
        let mut all = [Limit { soft: UNLIMITED, hard: UNLIMITED }; COUNT];
        let known = [
            (raw::RLIMIT_STACK, STACK_BYTES),
            (raw::RLIMIT_CORE, 0),
            (raw::RLIMIT_NPROC, crate::proc::MAX_PROCESSES as u64),
            (raw::RLIMIT_NOFILE, FD_LIMIT as u64),
            // Told as on Linux, where they do not bind root: programs make tables of what they could lock.
            (raw::RLIMIT_MEMLOCK, 8 << 20),
            (raw::RLIMIT_MSGQUEUE, 819_200),
            (raw::RLIMIT_NICE, 0),
            (raw::RLIMIT_RTPRIO, 0),
        ];
        let mut index = 0;
        while index < known.len() {
            let (resource, limit) = known[index];
            all[resource as usize] = Limit { soft: limit, hard: limit };
            index += 1;
        }
        Limits(all)
    };

    /// The limits of a resource.
    ///
    /// # Errors
    /// `EINVAL`: there is no such resource.
    pub fn get(&self, resource: u32) -> Result<Limit> {
        self.0.get(resource as usize).copied().ok_or(Errno::EINVAL)
    }

    /// The limits of a resource that there is.
    pub fn of(&self, resource: u32) -> Limit {
        self.0.get(resource as usize).copied().unwrap_or(Limit { soft: UNLIMITED, hard: UNLIMITED })
    }

    /// What counts, of a resource that there is.
    pub fn soft(&self, resource: u32) -> u64 {
        self.of(resource).soft
    }

    /// Sets the limits of a resource. Root may raise them.
    ///
    /// # Errors
    /// `EINVAL`: no such resource, or more wanted than permitted; `EPERM`: more descriptors than a process can have.
    pub fn set(&mut self, resource: u32, limit: Limit) -> Result<()> {
        let entry = self.0.get_mut(resource as usize).ok_or(Errno::EINVAL)?;
        if limit.soft > limit.hard {
            return Err(Errno::EINVAL);
        }
        if resource == raw::RLIMIT_NOFILE && limit.hard > FD_LIMIT as u64 {
            return Err(Errno::EPERM);
        }
        *entry = limit;
        Ok(())
    }

    /// Whether a process with `all` bytes of address space, `data` of them private and writable, may have `more`, private and
    /// writable or not.
    pub fn permit(&self, (all, data): (u64, u64), more: u64, is_data: bool) -> bool {
        all.saturating_add(more) <= self.soft(raw::RLIMIT_AS)
            && (!is_data || data.saturating_add(more) <= self.soft(raw::RLIMIT_DATA))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(soft: u64, hard: u64) -> Limit {
        Limit { soft, hard }
    }

    #[test]
    fn what_is_set_is_told_and_nonsense_refused() {
        let mut limits = Limits::FIRST;
        assert_eq!(limits.get(raw::RLIMIT_MEMLOCK), Ok(limit(8 << 20, 8 << 20)));
        assert_eq!(limits.get(raw::RLIMIT_NOFILE), Ok(limit(FD_LIMIT as u64, FD_LIMIT as u64)));
        assert_eq!(limits.set(raw::RLIMIT_AS, limit(5, 7)), Ok(()));
        assert_eq!(limits.set(raw::RLIMIT_AS, limit(8, 7)), Err(Errno::EINVAL));
        assert_eq!(limits.get(raw::RLIMIT_AS), Ok(limit(5, 7)));
        assert_eq!(limits.set(raw::RLIMIT_NOFILE, limit(3, FD_LIMIT as u64 + 1)), Err(Errno::EPERM));
        assert_eq!(limits.get(COUNT as u32), Err(Errno::EINVAL));
        assert_eq!(limits.set(u32::MAX, limit(0, 0)), Err(Errno::EINVAL));
    }

    #[test]
    fn address_space_and_data_are_limited_by_themselves() {
        let mut limits = Limits::FIRST;
        assert!(limits.permit((u64::MAX, u64::MAX), 1, true));
        limits.set(raw::RLIMIT_AS, limit(100, 100)).unwrap();
        assert!(limits.permit((60, 60), 40, true) && !limits.permit((60, 0), 41, false));
        limits.set(raw::RLIMIT_DATA, limit(50, 100)).unwrap();
        assert!(limits.permit((50, 20), 30, true) && !limits.permit((50, 20), 31, true));
        assert!(limits.permit((50, 20), 31, false));
        assert!(!limits.permit((50, 20), u64::MAX, false));
    }
}
