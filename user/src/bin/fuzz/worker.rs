//! A worker: a process, or a thread or child of one, that makes calls until its budget is used up or it dies.

use core::sync::atomic::Ordering::Relaxed;

use linux_raw_sys::general::{__NR_clone, __NR_clone3, __NR_exit, __NR_exit_group, __NR_mmap, __NR_mremap};
use user::rt::syscall::syscall;
use user::rt::touch;
use user::sys::file::{self, WRITE_ONLY};
use user::sys::process::{self, exit, getpid};
use user::sys::{memory, thread};

use crate::arena::Arena;
use crate::calls::{self, Call};
use crate::filter::{self, Me};
use crate::held::Held;
use crate::kind::Kind;
use crate::random::Random;
use crate::scratch::Scratch;
use crate::tally::{Slot, Tally};
use crate::values::Values;
use crate::words::{SETTINGS, WRITTEN};
use crate::{descriptors, explore, forge, handlers, pressure, threads};

/// Calls that a process makes before its successor begins with everything fresh.
const BUDGET: u64 = 2000;
/// Calls that a child or a thread makes.
const CHILD_BUDGET: u64 = 100;
/// How far children of children go.
const MAX_DEPTH: u32 = 3;
/// How tame workers are. The wild ones find what is not checked, and die soon; the others get further.
const TAMENESS: [u64; 6] = [8, 20, 20, 60, 200, 1000];

/// What a worker works for and with. Its threads and children get a copy.
#[derive(Clone, Copy)]
pub struct Task {
    /// What is counted.
    pub tally: &'static Tally,
    /// Which of the slots it works for.
    pub slot: usize,
    /// Calls of that slot at which it is over.
    pub limit: u64,
    /// Its mappings.
    pub arena: Arena,
    /// The descriptors it knows.
    pub held: Held,
    /// How many ancestors, up to the supervisor's child.
    pub depth: u32,
    /// One value in so many is hostile.
    pub tameness: u64,
}

/// One that makes calls.
pub struct Worker {
    /// Where its decisions come from.
    pub random: Random,
    /// What it works for and with.
    pub task: Task,
    scratch: Scratch,
    me: Me,
    budget: u64,
}

/// What the supervisor's child does.
pub fn run(random: Random, tally: &'static Tally, slot: usize, limit: u64) -> ! {
    let mut random = random;
    let _ = process::set_group(0, 0);
    let held = descriptors::open(&mut random, slot);
    let tameness = random.pick(&TAMENESS);
    let memory = Arena::new().and_then(|arena| Ok((arena, Scratch::new()?)));
    let (arena, scratch) = memory.unwrap_or_else(|errno| exit(errno.number()));
    handlers::install(tally, &mut random);
    let task = Task { tally, slot, limit, arena, held, depth: 0, tameness };
    let mut worker = Worker::new(random, task, scratch);
    worker.budget = BUDGET;
    worker.work();
    exit(0)
}

impl Worker {
    /// One that does its part of `task`.
    pub fn new(random: Random, task: Task, scratch: Scratch) -> Worker {
        let me = Me { pid: getpid(), tid: thread::gettid(), child: 0 };
        Worker { random, task, scratch, me, budget: CHILD_BUDGET }
    }

    fn slot(&self) -> &'static Slot {
        &self.task.tally.slots[self.task.slot]
    }

    /// Makes calls until it is over.
    pub fn work(&mut self) {
        while self.budget > 0 && self.slot().calls.load(Relaxed) < self.task.limit {
            self.budget -= 1;
            match self.random.below(320) {
                0..32 => self.touch(),
                32..34 if self.task.depth < MAX_DEPTH => {
                    if let Some(pid) = threads::start(self) {
                        self.me.child = pid;
                    }
                }
                34..36 => self.set(),
                36..40 => explore::explore(self),
                40 if self.task.depth == 0 => {
                    if let Some(pid) = forge::forge(self) {
                        self.me.child = pid;
                    }
                }
                41 if self.random.one_in(8) => pressure::squeeze(&mut self.random),
                _ => self.call(),
            }
        }
    }

    /// Where values come from.
    pub fn values(&mut self) -> Values<'_> {
        Values {
            random: &mut self.random,
            arena: &self.task.arena,
            held: &self.task.held,
            scratch: &mut self.scratch,
            me: self.me,
            tameness: self.task.tameness,
        }
    }

    #[allow(non_upper_case_globals)] // `__NR_mmap` is what Linux calls it
    fn call(&mut self) {
        let (number, _, kinds): Call = calls::choose(&mut self.random);
        if matches!(number, __NR_clone | __NR_clone3) && self.task.depth >= MAX_DEPTH {
            return;
        }
        self.scratch.reset();
        let mut args = [0; 6];
        let mut values = self.values();
        for (index, arg) in args.iter_mut().enumerate() {
            *arg = values.of(kinds.get(index).copied().unwrap_or(Kind::Any));
        }
        values.combine(number, &mut args);
        filter::harmless(number, &mut args, self.me);
        let slot = self.slot();
        slot.calls.fetch_add(1, Relaxed);
        slot.last.store(number, Relaxed);
        if matches!(number, __NR_exit | __NR_exit_group) {
            self.task.tally.count(number, 0);
        }
        let raw = args.map(|arg| arg as usize);
        // SAFETY: none for this process: what the kernel does to its memory is what is tried, and it may well end it.
        // No other process relies on that memory, but for the tally's atomics, any value of which is one.
        let result = unsafe { syscall(number, raw) };
        if matches!(number, __NR_clone | __NR_clone3) && result == 0 {
            self.be_child();
            return;
        }
        self.task.tally.count(number, result);
        if result >= 0 {
            // SAFETY: where the kernel has just written; should it be gone by now, the handler skips the load.
            let byte = |at: u64| unsafe { touch::load(at as usize) } & 0xff;
            let load = |at: u64| byte(at) | byte(at.wrapping_add(1)) << 8;
            self.task.held.note(number, &args, result as usize, load);
        }
        match number {
            __NR_mmap if result > 0 => self.task.arena.note(result as usize, raw[1]),
            __NR_mremap if result > 0 => self.task.arena.note(result as usize, raw[2]),
            __NR_clone | __NR_clone3 if result > 0 => self.me.child = result as i32,
            _ => {}
        }
    }

    /// Goes on as the child of the process that this was.
    fn be_child(&mut self) {
        self.task.tally.started.fetch_add(1, Relaxed);
        self.me = Me { pid: getpid(), tid: thread::gettid(), child: 0 };
        self.random = self.random.split();
        self.task.depth += 1;
        self.budget = CHILD_BUDGET;
        self.work();
        exit(0)
    }

    /// Loads from or stores to its mappings: a page, or each page of a stretch.
    fn touch(&mut self) {
        let [base, bytes] = self.task.arena.any(&mut self.random);
        let pages = if self.random.one_in(4) { 1 + self.random.below(64) as usize } else { 1 };
        let first = base + self.random.below(bytes as u64) as usize;
        let store = !self.random.one_in(3);
        for page in 0..pages {
            let addr = first + page * memory::page_size();
            if store {
                // SAFETY: as for the calls; a fault is skipped by the handler, if there still is one.
                unsafe { touch::store(addr, page) };
            } else {
                // SAFETY: as above.
                let _ = unsafe { touch::load(addr) };
            }
        }
        self.task.tally.touches.fetch_add(pages as u64, Relaxed);
    }

    /// Changes one of the kernel's settings.
    fn set(&mut self) {
        let (path, word) = (self.random.pick(&SETTINGS), self.random.pick(&WRITTEN));
        if let Ok(fd) = file::open(path, WRITE_ONLY) {
            let _ = file::write(fd, word);
            let _ = file::close(fd);
        }
    }
}
