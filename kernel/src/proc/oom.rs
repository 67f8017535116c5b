//! The OOM killer: when a page fault cannot have memory, even after reclaim, the process ends whose end frees most, which
//! need not be the one that asked. The log says whom it struck, and on whose behalf, in Linux's words (mm/oom_kill.c).
//!
//! Who asked waits until the victim is gone and tries again. Only faults do: a system call that finds no memory fails with
//! `ENOMEM`, which its caller can deal with.
//!
//! # Locks
//! The caller holds none. Each process is looked at with its memory locked, one after another; it is pinned meanwhile.

use core::fmt;

use super::oom_report::{Invoked, Killed};
use super::process::{self, Process};
use super::signal::info::KILL;
use super::task::TaskRef;
use super::{Pid, TABLE, inspect, kill, sched};
use crate::mm::badness::{ADJ_MIN, Holdings};
use crate::mm::{AddressSpace, smaps::Mapped};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How often the others run before a victim that does not end is given up, and the next is chosen.
const PATIENCE: u32 = 200;

/// Victims for one fault, before it is the process's own end.
const ATTEMPTS: u32 = 8;

/// Processes killed so far.
static KILLS: AtomicU64 = AtomicU64::new(0);

/// How many processes were killed for lack of memory.
pub fn oom_kills() -> u64 {
    KILLS.load(Relaxed)
}

/// A process as the OOM killer sees it.
#[derive(Clone, Copy)]
struct Candidate {
    pid: u32,
    badness: u64,
    adj: i16,
    mapped: Mapped,
    holdings: Holdings,
    pages: u64,
}

impl Candidate {
    /// Of those with the same badness it is the one with the smallest number, in whatever order they are looked at.
    fn is_worse_than(&self, other: &Candidate) -> bool {
        (self.badness, other.pid) > (other.badness, self.pid)
    }
}

/// There is no memory for the current process. True: there may be now, so it tries again. False: it is to end itself, and
/// does so on its way to EL0.
#[cold]
#[inline(never)]
pub(super) fn out_of_memory() -> bool {
    let me = sched::current();
    let mut given_up = 0;
    for _ in 0..ATTEMPTS {
        if kill::is_killed(&me.task) {
            return false;
        }
        // One that is about to end frees memory as well as another that would have to be chosen.
        let victim = match ending().filter(|pid| *pid != given_up) {
            Some(pid) => pid,
            None => match choose(given_up) {
                Some(victim) => {
                    strike(me, &victim);
                    victim.pid
                }
                None => break,
            },
        };
        if wait_for(victim) {
            return !kill::is_killed(&me.task);
        }
        given_up = victim;
    }
    log::error!("Out of memory and no killable processes: {} ends", Name(me));
    kill::doom(me);
    false
}

/// A process that is about to end.
fn ending() -> Option<u32> {
    let table = TABLE.lock();
    let ending = |task: &TaskRef| task.group.ending().is_some() && !task.is_zombie();
    table.processes().find(ending).map(|task| task.pid().get())
}

/// Whether a process may be chosen. Looked at first, so that a crowd of others costs one look at each.
fn may_be_chosen(task: TaskRef) -> bool {
    task.group.oom_score_adj.load(Relaxed) > ADJ_MIN && task.pid() != Pid::INIT && !task.is_zombie()
}

/// The worst process, but for `except` and the first.
fn choose(except: u32) -> Option<Candidate> {
    let total = crate::mm().total_pages() + crate::mm().swap.usage().total as u64;
    let mut worst: Option<Candidate> = None;
    let mut process = inspect::next_that(0, may_be_chosen);
    while let Some(this) = process {
        if let Some(candidate) = candidate(&this, total)
            && this.pid() != except
            && worst.is_none_or(|worst| candidate.is_worse_than(&worst))
        {
            worst = Some(candidate);
        }
        process = inspect::next_that(this.pid(), may_be_chosen);
    }
    worst
}

/// What the OOM killer thinks of a process; none if it has no memory of its own, or is not to be killed.
fn candidate(process: &Process, total: u64) -> Option<Candidate> {
    let adj = process.oom_score_adj();
    let memory = process.mm.lock();
    let space = memory.as_ref()?;
    let (mapped, holdings) = holdings(space);
    let badness = holdings.badness(adj, total)?;
    let pages = space.size_pages() as u64;
    Some(Candidate { pid: process.pid(), badness, adj, mapped, holdings, pages })
}

/// What an address space has.
fn holdings(space: &AddressSpace) -> (Mapped, Holdings) {
    let mm = crate::mm();
    let mapped = space.vmas().map(|vma| space.mapped(mm, vma)).fold(Mapped::default(), Mapped::plus);
    let usage = space.usage(mm);
    let (rss, tables) = (usage.rss_pages as u64, usage.table_pages as u64);
    (mapped, Holdings { rss, swap: mapped.swap, tables })
}

/// Kills the victim, and all who have its memory too: that is gone when the last of them is. A child of vfork that uses it
/// ends first of its own.
fn strike(me: &Process, victim: &Candidate) {
    let Candidate { pid, adj, mapped, holdings, pages, .. } = *victim;
    let kib = |pages: u64| pages * (paging::PAGE_SIZE / 1024);
    log::warn!("{}", Invoked { comm: *me.comm.lock(), adj: me.leader().oom_score_adj() });
    let Some(process) = inspect::find(pid) else { return };
    let killed = Killed {
        pid,
        comm: *process.comm.lock(),
        total: kib(pages),
        anon: kib(mapped.anonymous),
        shmem: kib(mapped.rss - mapped.anonymous),
        tables: kib(holdings.tables),
        adj,
    };
    log::warn!("{}", killed.choice());
    log::warn!("{killed}");
    KILLS.fetch_add(1, Relaxed);
    drop(process);
    let table = TABLE.lock();
    let Some(victim) = Pid::new(pid).and_then(|pid| table.process(pid)) else { return };
    for leader in table.processes().filter(|task| *task == victim || share_memory(*task, victim)) {
        let _ = kill::post(&table, leader, None, KILL); // it is not refused
        leader.group.end_with(super::signal::status_killed(KILL.signal));
    }
}

/// Whether two processes in the table, which is locked, have shares of one address space.
fn share_memory(a: TaskRef, b: TaskRef) -> bool {
    // SAFETY: in the table.
    let (a, b) = unsafe { (process::of(a), process::of(b)) };
    b.mm.is_shared() && a.mm.is_same_as(&b.mm)
}

/// Lets others run until process `pid` has given its memory back, and its files, which may be memory as well. False if
/// that takes too long.
///
/// That it has no memory of its own says nothing: who borrows another's never had any. Were that the end, a fault would be
/// repeated at once, and if it is the kernel's own, nobody would run in between.
fn wait_for(pid: u32) -> bool {
    for _ in 0..PATIENCE {
        let gone = inspect::find(pid).is_none_or(|process| process.task.is_zombie());
        if gone || kill::is_killed(&sched::current().task) {
            return true;
        }
        sched::yield_now();
    }
    false
}

/// A thread's program and number.
struct Name<'a>(&'a Process);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comm = *self.0.comm.lock();
        write!(f, "{comm}[{}]", self.0.task.pid())
    }
}

impl Process {
    /// What is added to its badness, in thousandths of all memory.
    pub fn oom_score_adj(&self) -> i16 {
        self.task.group.oom_score_adj.load(Relaxed)
    }

    /// Sets it, for all who share its memory: none of them can be spared or chosen alone.
    pub fn set_oom_score_adj(&self, adj: i16) {
        self.task.group.oom_score_adj.store(adj, Relaxed);
        let table = TABLE.lock();
        for leader in table.processes().filter(|task| share_memory(*task, self.task_ref())) {
            leader.group.oom_score_adj.store(adj, Relaxed);
        }
    }

    /// Its score: how likely it is to be chosen, from 0 to 2000.
    pub fn oom_score(&self) -> u64 {
        let total = crate::mm().total_pages() + crate::mm().swap.usage().total as u64;
        let holdings = self.mm.lock().as_ref().map(|space| holdings(space).1).unwrap_or_default();
        holdings.score(self.oom_score_adj(), total)
    }
}
