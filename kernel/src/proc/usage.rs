//! What threads use: CPU time, faults and switches.
//!
//! How long a thread runs is measured, whenever a CPU goes from one to another. How much of that was at EL0 and how much in
//! the kernel is told by samples, since reading a clock at each entry and exit would make both dearer: a thread's time
//! is divided as its samples are (as Linux does it without `VIRT_CPU_ACCOUNTING`). A thread too short-lived for a sample
//! counts as having been at EL0.
//!
//! Times are ticks of the system counter until somebody asks for them.
//!
//! # Locks
//! An [`Account`] is written by the CPU that runs its thread, and read by anybody. What a process adds up over its
//! threads and children ([`Sums`]) is under the process table's lock.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::table::Table;
use super::task::TaskRef;

/// What a thread, or several, used.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Usage {
    /// CPU time, in ticks of the counter.
    pub run: u64,
    /// Samples that found it at EL0.
    pub user: u64,
    /// Samples that found it in the kernel.
    pub system: u64,
    /// What it is besides times.
    pub counts: Counts,
}

/// Events that a thread, or several, had.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Page faults.
    pub faults: u64,
    /// Those among them that read from swap.
    pub major: u64,
    /// Switches because it had to wait.
    pub voluntary: u64,
    /// Switches because others wanted to run as well.
    pub involuntary: u64,
    /// The most pages that were in the memory of one of them at once: of memory given up already.
    pub max_rss: u64,
}

impl Counts {
    /// Page faults that read nothing from swap.
    pub fn minor(&self) -> u64 {
        self.faults.wrapping_sub(self.major)
    }

    fn plus(self, other: Counts) -> Counts {
        Counts {
            faults: self.faults + other.faults,
            major: self.major + other.major,
            voluntary: self.voluntary + other.voluntary,
            involuntary: self.involuntary + other.involuntary,
            max_rss: self.max_rss.max(other.max_rss),
        }
    }
}

impl Usage {
    /// Both together.
    pub fn plus(self, other: Usage) -> Usage {
        Usage {
            run: self.run + other.run,
            user: self.user + other.user,
            system: self.system + other.system,
            counts: self.counts.plus(other.counts),
        }
    }
}

/// CPU time at EL0 and in the kernel, in ticks of the counter.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Times {
    /// At EL0.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
}

impl Times {
    /// Divides the time in `usage` by its samples, so that neither part is less than what was `shown` of it before: a
    /// program must not see its times go back when a sample changes their ratio.
    pub fn split(usage: &Usage, shown: Times) -> Times {
        let run = usage.run.max(shown.user + shown.system);
        let system = match (usage.user, usage.system) {
            (_, 0) => 0,
            (0, _) => run,
            (user, system) => (u128::from(run) * u128::from(system) / u128::from(user + system)) as u64,
        };
        let system = system.clamp(shown.system, run - shown.user);
        Times { user: run - system, system }
    }

    /// Both together.
    pub fn total(self) -> u64 {
        self.user + self.system
    }
}

/// What somebody used, as programs are told.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Spent {
    /// CPU time.
    pub times: Times,
    /// The rest.
    pub counts: Counts,
}

impl Spent {
    /// Of what was used; `shown` is what was told before, if that matters.
    pub fn of(usage: &Usage, shown: Option<&Cell<Times>>) -> Spent {
        let times = Times::split(usage, shown.map_or(Times::default(), Cell::get));
        if let Some(shown) = shown {
            shown.set(times);
        }
        Spent { times, counts: usage.counts }
    }
}

/// What one thread has used so far.
#[derive(Default)]
pub(super) struct Account {
    run: AtomicU64,
    user: AtomicU64,
    system: AtomicU64,
    faults: AtomicU64,
    major: AtomicU64,
    /// Although it could go on, and because it waits.
    switches: [AtomicU64; 2],
}

/// Adds to what only this CPU writes.
#[inline(always)]
fn add(to: &AtomicU64, n: u64) {
    to.store(to.load(Relaxed).wrapping_add(n), Relaxed);
}

impl Account {
    /// Nothing.
    pub const fn new() -> Self {
        #[allow(clippy::declare_interior_mutable_const)] // to repeat it is what it is for
        const ZERO: AtomicU64 = AtomicU64::new(0);
        Account { run: ZERO, user: ZERO, system: ZERO, faults: ZERO, major: ZERO, switches: [ZERO; 2] }
    }

    /// It has run for `ticks` more, and taken `faults`, `majors` of which read from swap.
    #[inline(always)]
    pub fn ran(&self, ticks: u64, faults: u64, majors: u64) {
        add(&self.run, ticks);
        add(&self.faults, faults);
        if majors != 0 {
            add(&self.major, majors);
        }
    }

    /// The CPU goes to another, because this one waits or has ended (`waits`), or although it could go on.
    #[inline(always)]
    pub fn switched(&self, waits: bool) {
        add(&self.switches[usize::from(waits)], 1);
    }

    /// `n` samples found it at EL0, or in the kernel.
    pub fn sampled(&self, n: u64, in_kernel: bool) {
        add(if in_kernel { &self.system } else { &self.user }, n);
    }

    /// What it says now.
    pub fn usage(&self) -> Usage {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        Usage {
            run: get(&self.run),
            user: get(&self.user),
            system: get(&self.system),
            counts: Counts {
                faults: get(&self.faults),
                major: get(&self.major),
                voluntary: get(&self.switches[1]),
                involuntary: get(&self.switches[0]),
                max_rss: 0, // memory is the process's
            },
        }
    }
}

/// What a process adds up besides its threads' accounts; process table lock.
#[derive(Default)]
pub(super) struct Sums {
    /// Threads that have ended.
    ended: Cell<Usage>,
    /// Children that were waited for, and theirs. They are divided by the samples of all of them, which says more than those
    /// of each: most children live too short for any.
    children: Cell<Usage>,
    /// The most pages that were in its memory at once, of memory that it has given up by execve or by its end.
    max_rss: Cell<u64>,
    /// The times that were told last.
    shown: Cell<Times>,
    /// The children's.
    children_shown: Cell<Times>,
}

impl Sums {
    /// A new process's.
    pub const fn new() -> Self {
        const NONE: Usage = Usage {
            run: 0,
            user: 0,
            system: 0,
            counts: Counts { faults: 0, major: 0, voluntary: 0, involuntary: 0, max_rss: 0 },
        };
        const NO_TIMES: Times = Times { user: 0, system: 0 };
        Sums {
            ended: Cell::new(NONE),
            children: Cell::new(NONE),
            max_rss: Cell::new(0),
            shown: Cell::new(NO_TIMES),
            children_shown: Cell::new(NO_TIMES),
        }
    }
}

/// Adds `more` to `to`, which is most often nothing: whoever has run has run for some time.
fn add_if_any(to: &mut Usage, more: &Cell<Usage>) {
    let more = more.get();
    if more.run != 0 {
        *to = to.plus(more);
    }
}

impl Table {
    /// What the threads of a process have used, those that have ended too.
    pub fn usage(&self, leader: TaskRef) -> Usage {
        let threads = self.threads(leader).map(|thread| thread.account.usage());
        let mut usage = threads.fold(leader.group.sums.ended.get(), Usage::plus);
        usage.counts.max_rss = leader.group.sums.max_rss.get();
        usage
    }

    /// What a process has used with the children it has waited for.
    pub fn usage_in_all(&self, leader: TaskRef) -> Usage {
        self.usage(leader).plus(leader.group.sums.children.get())
    }

    /// What a process has used, as it is told.
    pub fn spent(&self, leader: TaskRef) -> Spent {
        Spent::of(&self.usage(leader), Some(&leader.group.sums.shown))
    }

    /// What the children of a process that it has waited for have used.
    pub fn spent_by_children(&self, leader: TaskRef) -> Spent {
        let sums = &leader.group.sums;
        Spent::of(&sums.children.get(), Some(&sums.children_shown))
    }

    /// What one thread has used.
    pub fn spent_by_thread(&self, thread: TaskRef) -> Spent {
        Spent::of(&thread.account.usage(), Some(&thread.shown))
    }

    /// The parent of `zombie` has waited for it. Returns what that used, its children included.
    #[inline(always)] // one caller
    pub fn inherit(&mut self, parent: TaskRef, zombie: TaskRef) -> Usage {
        let mut usage = zombie.account.usage(); // it has no other threads any more
        add_if_any(&mut usage, &zombie.group.sums.ended);
        add_if_any(&mut usage, &zombie.group.sums.children);
        usage.counts.max_rss = usage.counts.max_rss.max(zombie.group.sums.max_rss.get());
        let children = &parent.group.sums.children;
        children.set(children.get().plus(usage));
        usage
    }

    /// A process gives up its memory, of which `pages` pages were there at once at most.
    pub fn note_max_rss(&self, leader: TaskRef, pages: u64) {
        let max = &leader.group.sums.max_rss;
        max.set(max.get().max(pages));
    }

    /// A thread that is not the leader ends: what it has used is the process's.
    pub fn keep_usage(&mut self, thread: TaskRef) {
        let ended = &thread.leader().group.sums.ended;
        ended.set(ended.get().plus(thread.account.usage()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::group::{Group, Start};
    use super::super::signal::SIGCHLD;
    use super::*;

    fn usage(run: u64, user: u64, system: u64) -> Usage {
        Usage { run, user, system, ..Usage::default() }
    }

    #[test]
    fn time_is_divided_as_the_samples_are() {
        let split = |run, user, system| {
            let times = Times::split(&usage(run, user, system), Times::default());
            (times.user, times.system)
        };
        assert_eq!(split(1000, 0, 0), (1000, 0));
        assert_eq!(split(1000, 3, 0), (1000, 0));
        assert_eq!(split(1000, 0, 2), (0, 1000));
        assert_eq!(split(1000, 3, 1), (750, 250));
        assert_eq!(split(u64::MAX, 1 << 40, 1 << 40), (u64::MAX - u64::MAX / 2, u64::MAX / 2));
    }

    #[test]
    fn times_that_were_shown_do_not_go_back() {
        let mut shown = Times::default();
        let mut last = usage(0, 0, 0);
        for (run, user, system) in
            [(10, 0, 1), (11, 1, 1), (12, 9, 1), (5000, 9, 1), (5001, 9, 90_000), (5001, 0, 0)]
        {
            last = usage(run, user, system);
            let now = Times::split(&last, shown);
            assert!(now.user >= shown.user && now.system >= shown.system, "{now:?} after {shown:?}");
            assert_eq!(now.total(), run);
            shown = now;
        }
        assert_eq!(Times::split(&usage(4000, 1, 1), shown).total(), last.run, "nor does their sum");
    }

    fn spawn(table: &mut Table, parent: Option<TaskRef>) -> TaskRef {
        let start = parent.map_or(Start::FIRST, |parent| parent.group.for_child(SIGCHLD));
        let task = TaskRef::leaked_with(Group::begin(start), None);
        // SAFETY: new, and alive for ever.
        unsafe { table.insert(task, parent) }.unwrap();
        task
    }

    #[test]
    fn a_process_has_used_what_its_threads_have_and_its_parent_gets_that() {
        let mut table = Table::new();
        let init = spawn(&mut table, None);
        let child = spawn(&mut table, Some(init));
        let grandchild = spawn(&mut table, Some(child));
        let thread = TaskRef::leaked_with(Group::new(), Some(child));
        // SAFETY: new, alive for ever, and its leader has not ended.
        unsafe { table.insert_thread(thread) }.unwrap();
        child.account.ran(100, 5, 2);
        child.account.switched(true);
        thread.account.ran(300, 1, 0);
        thread.account.sampled(4, true);
        thread.account.switched(false);
        assert_eq!(table.spent_by_thread(thread).times, Times { user: 0, system: 300 });
        table.note_max_rss(child, 40);
        table.note_max_rss(child, 30);
        table.note_max_rss(grandchild, 50);
        let counts = Counts { faults: 6, major: 2, voluntary: 1, involuntary: 1, max_rss: 40 };
        assert_eq!(table.spent(child), Spent { times: Times { user: 0, system: 400 }, counts });
        table.keep_usage(thread);
        table.remove_thread(thread);
        assert_eq!(table.spent(child).counts, counts, "the end of a thread changes nothing");

        grandchild.account.ran(1000, 7, 0);
        table.exit(grandchild, init);
        let of_grandchild = table.inherit(child, grandchild);
        assert_eq!((of_grandchild.run, of_grandchild.counts.max_rss), (1000, 50));
        table.remove(grandchild);
        assert_eq!(table.spent(child).times.total(), 400, "a child's is not its own");
        table.exit(child, init);
        let all = table.inherit(init, child);
        assert_eq!((all.run, all.user, all.system, all.counts.minor()), (1400, 0, 4, 11));
        assert_eq!(all.counts.max_rss, 50, "the most of any of them");
        assert_eq!(table.spent(init), Spent::default());
        assert_eq!(table.usage_in_all(init), all);
        assert_eq!(table.spent_by_children(init).times, Times { user: 0, system: 1400 });
    }
}
