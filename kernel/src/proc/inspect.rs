//! Looking at processes other than the current one, for `/proc`.

use core::ops::Deref;
use core::sync::atomic::Ordering::{Relaxed, Release};

use super::comm::COMM_LEN;
use super::process::{self, Process};
use super::task::{BLOCKED, BLOCKING, TaskRef};
use super::{Pid, TABLE};
use crate::fs::FdTable;
use crate::fs::notify::pidfd::Identity;
use crate::mm::AddressSpace;

/// A process that is not freed meanwhile, though it may exit and even be reaped. The holder does not block: a reaper
/// spins until all pins are gone.
pub struct Pinned(TaskRef);

impl Deref for Pinned {
    type Target = Process;

    fn deref(&self) -> &Process {
        // SAFETY: alive, as it is pinned.
        unsafe { process::of(self.0) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Release: pairs with the reaper's look at the count.
        self.0.pins.fetch_sub(1, Release);
    }
}

/// The process with the number `pid`, or with the thread of that number, alive or zombie.
pub fn find(pid: u32) -> Option<Pinned> {
    let table = TABLE.lock();
    let task = table.lookup(Pid::new(pid)?)?.leader();
    // Under the table's lock: whoever frees the task has struck it off before, so it sees this pin.
    task.pins.fetch_add(1, Relaxed);
    Some(Pinned(task))
}

/// Whether a process has ended, or is not there any more.
pub fn has_ended(identity: Identity) -> bool {
    find(identity.pid).is_none_or(|process| process.identity() != identity || process.task.is_zombie())
}

/// The process whose turn it is after number `after` (0: at first), alive or zombie, in an order that is not that of
/// numbers.
pub fn next_process(after: u32) -> Option<Pinned> {
    next_that(after, |_| true)
}

/// As [`next_process`], of those that `wanted` is true of.
pub(super) fn next_that(after: u32, wanted: impl Fn(TaskRef) -> bool) -> Option<Pinned> {
    let table = TABLE.lock();
    let task = table.following(after, wanted)?;
    task.pins.fetch_add(1, Relaxed); // as in `find`
    Some(Pinned(task))
}

/// The smallest process number not below `from` that is in use, zombies included.
pub fn next_pid(from: u32) -> Option<u32> {
    let table = TABLE.lock();
    (from.max(1)..super::PID_MAX).find(|pid| Pid::new(*pid).is_some_and(|pid| table.process(pid).is_some()))
}

/// The smallest number not below `from` of a thread of the process `pid`, a leader that has ended included.
pub fn next_thread(pid: u32, from: u32) -> Option<u32> {
    let table = TABLE.lock();
    let leader = table.process(Pid::new(pid)?)?;
    table.threads(leader).map(|thread| thread.pid().get()).filter(|tid| *tid >= from).min()
}

/// Pages that have been promised to all processes, or that files and shared memory have.
pub fn committed_pages() -> u64 {
    let mut pages = crate::mm().object_pages();
    let mut process = next_process(0);
    while let Some(this) = process {
        if this.counts_for_its_space() {
            pages += this.mm.lock().as_ref().map_or(0, |space| space.committed());
        }
        process = next_process(this.pid());
    }
    pages
}

/// Calls `f` with the address space that is known as `owner`, which process `pid` once used, locked. None: it is gone.
pub fn with_space_of<T>(pid: u32, owner: u32, f: impl FnOnce(&mut AddressSpace) -> T) -> Option<T> {
    let has_it = |process: &Pinned| process.mm.lock().as_ref().is_some_and(|space| space.owner() == owner);
    let mut process = find(pid).filter(has_it);
    // That one may have gone, and others who share it use it still.
    let mut next = if process.is_some() { None } else { next_process(0) };
    while let Some(this) = next {
        next = next_process(this.pid());
        if has_it(&this) {
            process = Some(this);
            break;
        }
    }
    process?.mm.lock().as_mut().map(f)
}

impl Process {
    /// Whether what its address space has is to be counted when it is this one's turn in a walk through all processes: it
    /// shares it with none that has a smaller number.
    pub fn counts_for_its_space(&self) -> bool {
        if !self.mm.is_shared() {
            return true;
        }
        let table = TABLE.lock();
        let mut others = table.processes().filter(|task| task.pid() < self.task.pid());
        // SAFETY: in the table, which is locked.
        !others.any(|task| unsafe { process::of(task) }.mm.is_same_as(&self.mm))
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.task.pid().get()
    }

    /// What tells it from every other.
    pub fn identity(&self) -> Identity {
        Identity { pid: self.pid(), place: core::ptr::from_ref(self) as usize }
    }

    /// What it has of the file system.
    pub fn files(&self) -> &spin::Mutex<FdTable> {
        &self.files
    }

    /// How many threads it has that have not ended.
    pub fn threads(&self) -> u32 {
        self.task.group.live.load(Relaxed)
    }

    /// The numbers of its process group and its session; 0: none.
    pub fn group_and_session(&self) -> (u32, u32) {
        let _table = TABLE.lock(); // whose cells they are in
        (self.task.group.pgid.get().get(), self.task.group.sid.get().get())
    }

    /// The parent's number; 0 for the first process and for one that has been reaped.
    pub fn parent_pid(&self) -> u32 {
        let _table = TABLE.lock(); // the parent is not freed meanwhile
        self.task.parent.get().map_or(0, |parent| parent.pid().get())
    }

    /// Its state as a letter of ps(1): R, S, T or Z.
    pub fn state_letter(&self) -> char {
        match self.task.state.load(Relaxed) {
            BLOCKING | BLOCKED if self.task.group.stopping.load(Relaxed) != 0 => 'T',
            BLOCKING | BLOCKED => 'S',
            _ if self.task.is_zombie() => 'Z',
            _ => 'R',
        }
    }

    /// Copies the name of its program, without a NUL; returns how many bytes that is.
    pub fn name(&self, to: &mut [u8; COMM_LEN]) -> usize {
        let comm = *self.comm.lock();
        let name = comm.bytes();
        to[..name.len()].copy_from_slice(name);
        name.len()
    }
}
