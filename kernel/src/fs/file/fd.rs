//! What a process has of the file system: its descriptors, its working directory, its umask and its program.
//!
//! The table itself has no lock; its owner keeps it in one (`proc`: `Process::files`). What its methods give back must be
//! dropped outside of that: closing the last descriptor of a file locks the tree, inside of whose lock this one may be
//! taken, and that of a pipe's end wakes waiters.

use alloc::vec::Vec;

use linux_raw_sys::general::{O_RDWR, RLIMIT_NOFILE};

use crate::errno::{Errno, Result};
use crate::fs::bytes::Bytes;
use crate::fs::file::device::Device;
use crate::fs::file::rlimit::{Limit, Limits};
use crate::fs::file::{OpenFile, Target};
use crate::fs::tree::CONSOLE;
use crate::fs::tree::node::Node;
use crate::fs::tree::place::Place;
use crate::util::{Ref, Share};

/// Descriptors are 0 to this, exclusive.
pub const FD_LIMIT: usize = 1024;

#[derive(Clone)]
struct Slot {
    file: Ref<OpenFile>,
    close_on_exec: bool,
}

/// A program that is executed, for `/proc`.
pub struct Executed {
    /// Its file.
    pub file: Ref<Place>,
    /// Its arguments, each with a NUL behind it, or the first bytes of them.
    pub arguments: Bytes,
}

/// Where a process is in the file system, and what it creates.
#[derive(Clone)]
struct Whereabouts {
    /// The working directory; none: the root.
    cwd: Option<Ref<Place>>,
    /// Permission bits that files are created without.
    umask: u32,
}

impl Default for Whereabouts {
    fn default() -> Self {
        Whereabouts { cwd: None, umask: FIRST_UMASK }
    }
}

/// What of a process's files a child has in common with it, rather than its own copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Common {
    /// The descriptors (CLONE_FILES).
    pub descriptors: bool,
    /// The working directory and the umask (CLONE_FS).
    pub whereabouts: bool,
}

/// Descriptors (0-based, below [`FD_LIMIT`]) and the open file descriptions they stand for.
pub struct FdTable {
    /// As long as the highest descriptor ever used requires.
    slots: Share<Vec<Option<Slot>>>,
    whereabouts: Share<Whereabouts>,
    /// What is executed; none before the first exec.
    program: Option<Ref<Executed>>,
    /// What the process may have; none: [`Limits::FIRST`].
    limits: Option<Ref<Limits>>,
}

/// The umask that a system begins with.
const FIRST_UMASK: u32 = 0o022;

impl Default for FdTable {
    fn default() -> Self {
        Self::new()
    }
}

impl FdTable {
    /// No descriptors, nothing allocated.
    pub const fn new() -> Self {
        let whereabouts = Share::new(Whereabouts { cwd: None, umask: FIRST_UMASK });
        FdTable { slots: Share::new(Vec::new()), whereabouts, program: None, limits: None }
    }

    /// Descriptors 0, 1 and 2 on one description of the console, as PID 1 has them.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn with_console() -> Result<Self> {
        let console = Target::Device(Place::permanent(Node::Inode(CONSOLE)), Device::Console);
        let file = Ref::try_new(OpenFile::new(console, O_RDWR))?;
        let mut table = FdTable::new();
        for _ in 0..3 {
            table.insert(file.clone(), false, 0)?;
        }
        Ok(table)
    }

    /// The same descriptors on the same descriptions, for a child.
    ///
    /// # Errors
    /// `ENOMEM`.
    #[inline(always)] // one caller
    pub fn fork(&self) -> Result<Self> {
        Ok(FdTable {
            slots: Share::new(self.slots.with(|slots| copy(slots))?),
            whereabouts: Share::new(self.whereabouts.with(Whereabouts::clone)),
            program: self.program.clone(),
            limits: self.limits.clone(),
        })
    }

    /// As [`FdTable::fork`], with what is to be `common` for both to use and to change.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn fork_sharing(&mut self, common: Common) -> Result<Self> {
        let (program, limits) = (self.program.clone(), self.limits.clone());
        Ok(FdTable {
            slots: match common.descriptors {
                true => self.slots.share()?,
                false => Share::new(self.copy_slots()?),
            },
            whereabouts: match common.whereabouts {
                true => self.whereabouts.share()?,
                false => Share::new(self.whereabouts.with(Whereabouts::clone)),
            },
            program,
            limits,
        })
    }

    /// From here on the descriptors are nobody else's. Returns a table to be dropped, as what the other methods return.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn unshare(&mut self) -> Result<FdTable> {
        let mut before = FdTable::new();
        if self.slots.is_shared() {
            let own = Share::new(self.copy_slots()?);
            before.slots = core::mem::replace(&mut self.slots, own);
        }
        Ok(before)
    }

    fn copy_slots(&self) -> Result<Vec<Option<Slot>>> {
        self.slots.with(|slots| copy(slots))
    }

    /// Closes one of the descriptors that do not survive an exec; returns what it stood for, `None` when all are closed.
    pub fn close_on_exec(&mut self) -> Option<Ref<OpenFile>> {
        let marked = |slot: &&mut Option<Slot>| slot.as_ref().is_some_and(|slot| slot.close_on_exec);
        self.slots.with_mut(|slots| slots.iter_mut().find(marked)?.take().map(|slot| slot.file))
    }

    /// The lowest descriptor in use from `from` on.
    pub fn next(&self, from: usize) -> Option<usize> {
        self.slots.with(|slots| (from..slots.len()).find(|fd| slots[*fd].is_some()))
    }

    /// The working directory; none: the root.
    pub fn cwd(&self) -> Option<Ref<Place>> {
        self.whereabouts.with(|whereabouts| whereabouts.cwd.clone())
    }

    /// Changes the working directory; returns the one before.
    pub fn set_cwd(&mut self, dir: Ref<Place>) -> Option<Ref<Place>> {
        self.whereabouts.with_mut(|whereabouts| whereabouts.cwd.replace(dir))
    }

    /// What is executed.
    pub fn program(&self) -> Option<&Ref<Executed>> {
        self.program.as_ref()
    }

    /// Notes what is executed now; returns what was before.
    pub fn set_program(&mut self, program: Ref<Executed>) -> Option<Ref<Executed>> {
        self.program.replace(program)
    }

    /// Permission bits that files are created without.
    pub fn umask(&self) -> u32 {
        self.whereabouts.with(|whereabouts| whereabouts.umask)
    }

    /// Changes the umask; returns the one before.
    pub fn set_umask(&mut self, umask: u32) -> u32 {
        self.whereabouts.with_mut(|whereabouts| core::mem::replace(&mut whereabouts.umask, umask & 0o777))
    }

    /// What the process may have.
    pub fn limits(&self) -> &Limits {
        self.limits.as_deref().unwrap_or(&Limits::FIRST)
    }

    /// The same, if it is not what all begin with.
    pub fn own_limits(&self) -> Option<&Ref<Limits>> {
        self.limits.as_ref()
    }

    /// Changes the limits of a resource.
    ///
    /// # Errors
    /// Those of [`Limits::set`]; `ENOMEM`.
    pub fn set_limit(&mut self, resource: u32, limit: Limit) -> Result<()> {
        let mut limits = *self.limits();
        limits.set(resource, limit)?;
        self.limits = Some(Ref::try_new(limits)?);
        Ok(())
    }

    /// The number of the first descriptor that the process may not have.
    pub fn limit(&self) -> usize {
        match &self.limits {
            None => FD_LIMIT,
            Some(limits) => limits.soft(RLIMIT_NOFILE).min(FD_LIMIT as u64) as usize,
        }
    }

    /// What `f` finds in what a descriptor stands for, which is not kept open for that.
    pub fn peek<T>(&self, fd: usize, f: impl FnOnce(&OpenFile) -> T) -> Option<T> {
        self.slot(fd, |slot| f(&slot.file)).ok()
    }

    /// What a descriptor stands for.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn get(&self, fd: usize) -> Result<Ref<OpenFile>> {
        self.slot(fd, |slot| slot.file.clone())
    }

    /// The lowest free descriptor from `from` on.
    ///
    /// # Errors
    /// `EMFILE`: none is free.
    pub fn lowest_free(&self, from: usize) -> Result<usize> {
        self.slots.with(|slots| {
            let is_free = |fd: &usize| slots.get(*fd).is_none_or(|slot| slot.is_none());
            (from..self.limit()).find(is_free).ok_or(Errno::EMFILE)
        })
    }

    /// Gives a description the lowest free descriptor from `from` on.
    ///
    /// # Errors
    /// `EMFILE`: none is free; `ENOMEM`.
    pub fn insert(&mut self, file: Ref<OpenFile>, close_on_exec: bool, from: usize) -> Result<usize> {
        let fd = self.lowest_free(from)?;
        self.replace(fd, file, close_on_exec)?;
        Ok(fd)
    }

    /// Gives a description this descriptor, whether or not the process may have another with this number; returns what had it.
    ///
    /// # Errors
    /// `EBADF`: not below [`FD_LIMIT`]; `ENOMEM`. Nothing is closed then.
    pub fn replace(
        &mut self,
        fd: usize,
        file: Ref<OpenFile>,
        close_on_exec: bool,
    ) -> Result<Option<Ref<OpenFile>>> {
        if fd >= FD_LIMIT {
            return Err(Errno::EBADF);
        }
        self.slots.with_mut(|slots| {
            if fd >= slots.len() {
                slots.try_reserve(fd + 1 - slots.len())?;
                slots.resize_with(fd + 1, || None);
            }
            let old = slots[fd].replace(Slot { file, close_on_exec });
            Ok(old.map(|slot| slot.file))
        })
    }

    /// Frees a descriptor; returns what it stood for.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn close(&mut self, fd: usize) -> Result<Ref<OpenFile>> {
        let slot = self.slots.with_mut(|slots| slots.get_mut(fd).and_then(Option::take));
        slot.map(|slot| slot.file).ok_or(Errno::EBADF)
    }

    /// Whether a descriptor is closed by an exec.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn is_close_on_exec(&self, fd: usize) -> Result<bool> {
        self.slot(fd, |slot| slot.close_on_exec)
    }

    /// Sets whether a descriptor is closed by an exec.
    ///
    /// # Errors
    /// `EBADF`.
    pub fn set_close_on_exec(&mut self, fd: usize, close_on_exec: bool) -> Result<()> {
        self.slots.with_mut(|slots| {
            let slot = slots.get_mut(fd).and_then(Option::as_mut).ok_or(Errno::EBADF)?;
            slot.close_on_exec = close_on_exec;
            Ok(())
        })
    }

    fn slot<T>(&self, fd: usize, f: impl FnOnce(&Slot) -> T) -> Result<T> {
        self.slots.with(|slots| slots.get(fd).and_then(Option::as_ref).map(f)).ok_or(Errno::EBADF)
    }
}

/// The same descriptors once more.
#[inline(always)] // a good part of what fork costs
fn copy(slots: &[Option<Slot>]) -> Result<Vec<Option<Slot>>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(slots.len())?;
    copy.extend(slots.iter().cloned());
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_descriptor_is_used() {
        let mut table = FdTable::with_console().unwrap();
        let file = table.get(0).unwrap();
        assert!(Ref::ptr_eq(&file, &table.get(2).unwrap()));
        assert_eq!(table.insert(file.clone(), false, 0), Ok(3));
        assert!(Ref::ptr_eq(&table.close(1).unwrap(), &file));
        assert_eq!(table.get(1).err(), Some(Errno::EBADF));
        assert_eq!(table.close(1).err(), Some(Errno::EBADF));
        assert_eq!(table.insert(file.clone(), false, 2), Ok(4));
        assert_eq!(table.insert(file, false, 0), Ok(1));
    }

    #[test]
    fn descriptors_run_out_at_the_limit() {
        let mut table = FdTable::with_console().unwrap();
        let file = table.get(0).unwrap();
        for fd in 3..FD_LIMIT {
            assert_eq!(table.insert(file.clone(), false, 0), Ok(fd));
        }
        assert_eq!(table.insert(file.clone(), false, 0), Err(Errno::EMFILE));
        assert_eq!(table.lowest_free(0), Err(Errno::EMFILE));
        assert_eq!(table.insert(file.clone(), false, usize::MAX), Err(Errno::EMFILE));
        assert_eq!(table.replace(FD_LIMIT, file.clone(), false).err(), Some(Errno::EBADF));
        assert_eq!(table.get(usize::MAX).err(), Some(Errno::EBADF));
        assert!(table.replace(200, file, false).unwrap().is_some());
    }

    #[test]
    fn exec_closes_what_is_marked_in_its_own_table_only() {
        let mut parent = FdTable::with_console().unwrap();
        let file = parent.get(0).unwrap();
        assert!(parent.replace(9, file, true).unwrap().is_none());
        parent.set_close_on_exec(0, true).unwrap();
        assert_eq!(parent.set_close_on_exec(7, true), Err(Errno::EBADF));
        let mut child = parent.fork().unwrap();
        let mut closed = 0;
        while child.close_on_exec().is_some() {
            closed += 1;
        }
        assert_eq!(closed, 2);
        assert_eq!((child.next(0), child.next(2), child.next(3)), (Some(1), Some(2), None));
        assert_eq!(child.get(0).err(), Some(Errno::EBADF));
        assert_eq!(child.get(9).err(), Some(Errno::EBADF));
        assert_eq!(child.is_close_on_exec(1), Ok(false));
        assert!(parent.get(9).is_ok());
        assert_eq!(parent.is_close_on_exec(9), Ok(true));
        drop(core::mem::take(&mut parent));
        assert_eq!(parent.get(1).err(), Some(Errno::EBADF));
        assert!(child.get(1).is_ok());
    }

    #[test]
    fn what_is_common_is_so_until_an_exec() {
        let mut table = FdTable::with_console().unwrap();
        let file = table.get(0).unwrap();
        let all = Common { descriptors: true, whereabouts: true };
        let mut child = table.fork_sharing(all).unwrap();
        assert_eq!(child.insert(file.clone(), true, 0), Ok(3));
        drop(table.close(0).unwrap());
        assert!(child.get(0).is_err() && table.is_close_on_exec(3) == Ok(true));
        assert_eq!((child.set_umask(0o077), table.umask()), (FIRST_UMASK, 0o077));

        drop(child.unshare().unwrap());
        while child.close_on_exec().is_some() {}
        assert!(table.get(3).is_ok() && child.get(3).is_err());
        child.set_umask(0o7);
        assert_eq!(table.umask(), 0o7, "an exec leaves the working directory common");
        let references = Ref::count(&file);
        drop(child);
        assert_eq!(Ref::count(&file), references - 2, "descriptors 1 and 2 were its own");
        drop(table.unshare().unwrap());
        assert!(table.get(3).is_ok(), "they were nobody else's any more");
    }

    #[test]
    fn one_may_be_common_without_the_other() {
        let mut table = FdTable::with_console().unwrap();
        let mut files = table.fork_sharing(Common { descriptors: true, whereabouts: false }).unwrap();
        let mut place = table.fork_sharing(Common { descriptors: false, whereabouts: true }).unwrap();
        table.set_umask(1);
        drop(table.close(2).unwrap());
        assert_eq!((files.umask(), files.get(2).is_ok()), (FIRST_UMASK, false));
        assert_eq!((place.umask(), place.get(2).is_ok()), (1, true));
        assert_eq!((files.set_umask(2), place.set_umask(3), table.umask()), (FIRST_UMASK, 1, 3));
    }

    #[test]
    fn a_limit_is_inherited_and_keeps_what_is_open() {
        let mut table = FdTable::with_console().unwrap();
        let file = table.get(0).unwrap();
        let limit = |soft| Limit { soft, hard: FD_LIMIT as u64 };
        table.set_limit(RLIMIT_NOFILE, limit(4)).unwrap();
        assert_eq!(table.insert(file.clone(), false, 0), Ok(3));
        assert_eq!(table.insert(file.clone(), false, 0), Err(Errno::EMFILE));
        let mut child = table.fork().unwrap();
        table.set_limit(RLIMIT_NOFILE, limit(2)).unwrap();
        assert!(table.get(3).is_ok());
        assert_eq!((child.limit(), table.limit()), (4, 2));
        child.close(3).unwrap();
        assert_eq!(child.insert(file, false, 0), Ok(3));
    }
}
