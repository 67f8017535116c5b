//! The scheduler: round robin with a time slice of 10 ms, a run queue per CPU, no tick while a CPU idles.
//!
//! A process gives up the CPU when it blocks, yields or exits, and when its slice ends while another is ready; the
//! last happens only on the way back to EL0. The timer is set for the first of: the end of the slice, a sleeper, an alarm,
//! and, unless the CPU idles, the next sample of what it does (`sampler.rs`). The decision to set it anew is put off to
//! the next return to EL0, since most of what would set it (fork, then wait) takes that back before. khugepaged
//! runs at the first sample after its time, on the way back to EL0, or when the CPU idles.
//!
//! # Locks
//! Interrupts are masked at EL1, so the current CPU's data changes only under its own hands. Each run queue and each
//! list of sleepers has a lock; order: sleepers, then run queue. No lock is held across [`schedule`].

use core::cell::{Cell, UnsafeCell};
use core::sync::atomic::{AtomicU64, Ordering::*};

use super::process::{self, Process};
use super::run_queue::{RunQueue, Sleepers};
use super::sampler::{CpuTimes, Sampler};
use super::task::{DETACHED, EXITING, RUNNING, SwitchedOut, TaskRef};
use super::task::{WORK_COLLAPSE, WORK_RESCHED, WORK_RETIME, WORK_SIGNAL};
use super::{alarm, cpu_time, deliver, khugepaged, timers};
use crate::arch::{self, Context, TrapFrame, percpu, time};
use crate::errno::{Errno, Result};
use crate::util::MAX_CPUS;

/// How long a process runs while others are ready (nanoseconds).
const SLICE_NS: u64 = 10_000_000;

/// How often a CPU that is not idle is looked at (nanoseconds): 250 times a second, as Linux does by default.
const SAMPLE_NS: u64 = 4_000_000;

/// No time at all: the timer is stopped, or a wait has no end of its own.
pub(super) const NEVER: u64 = u64::MAX;

struct Cpu {
    queue: spin::Mutex<RunQueue>,
    sleepers: spin::Mutex<Sleepers>,
    /// When the first sleeper wakes up or the first alarm goes off (nanoseconds), so that a switch need not lock them.
    next_wake: AtomicU64,
    /// What the timer is set to (nanoseconds), or `NEVER`.
    armed: Cell<u64>,
    /// When the current process's slice ends (nanoseconds).
    slice_end: Cell<u64>,
    /// What the CPU's time is spent on.
    sampler: Sampler,
    /// When the next sample is due (nanoseconds).
    sample_at: Cell<u64>,
    /// The task that the switch under way comes from.
    previous: Cell<Option<TaskRef>>,
    /// The idle loop's registers while a process runs.
    idle: UnsafeCell<Context>,
}

// SAFETY: the cells are used only by the CPU they belong to, with interrupts masked; the rest is locked or atomic.
unsafe impl Sync for Cpu {}

static CPUS: [Cpu; MAX_CPUS] = [const {
    Cpu {
        queue: spin::Mutex::new(RunQueue::new()),
        sleepers: spin::Mutex::new(Sleepers::new()),
        next_wake: AtomicU64::new(NEVER),
        armed: Cell::new(NEVER),
        slice_end: Cell::new(0),
        sampler: Sampler::new(),
        sample_at: Cell::new(NEVER),
        previous: Cell::new(None),
        idle: UnsafeCell::new(Context::EMPTY),
    }
}; MAX_CPUS];

impl Cpu {
    /// Takes note of when the first sleeper wakes up.
    fn set_next_wake(&self, first_sleeper: u64) {
        self.next_wake.store(first_sleeper.min(alarm::next()).min(timers::next()), Relaxed);
    }

    /// When the timer is to interrupt a process that has the CPU for itself (nanoseconds).
    fn next_event(&self) -> u64 {
        self.next_wake.load(Relaxed).min(self.sample_at.get())
    }

    /// Takes the samples that are due at `now` (ticks), if any are, of `current`.
    #[cold]
    fn sample(&self, current: Option<&Process>, now: u64, in_kernel: bool) -> bool {
        let due = self.sampler.sample(current.map(|me| &me.task.account), now, in_kernel);
        if due {
            self.sample_at.set(time::count_to_ns(self.sampler.due()));
        }
        due
    }
}

/// An alarm was set or taken off: the timer may have to be set for it.
pub(super) fn alarms_changed() {
    let cpu = this_cpu();
    let first_sleeper = cpu.sleepers.lock().next_wake();
    cpu.set_next_wake(first_sleeper);
    current().task.request(WORK_RETIME);
}

fn this_cpu() -> &'static Cpu {
    &CPUS[percpu::cpu_id() % MAX_CPUS] // the remainder only tells the compiler what `cpu_id` guarantees
}

/// The process this CPU runs; none in the idle loop.
pub(super) fn try_current() -> Option<&'static Process> {
    // SAFETY: null, or set by `switch` to a process that stays alive until this CPU has switched away from it.
    unsafe { percpu::current().cast::<Process>().as_ref() }
}

/// The process that makes this system call or took this fault. The reference is good until that process ends, which
/// is at the end of [`super::exit::exit`], whose callers' stack frames are never returned to.
#[inline]
pub(super) fn current() -> &'static Process {
    let process = percpu::current().cast::<Process>();
    debug_assert!(!process.is_null(), "no process runs on this CPU");
    // SAFETY: system calls, faults and returns to EL0 happen only in a process; alive as in `try_current`.
    unsafe { &*process }
}

/// The current process's task.
pub(super) fn current_task() -> TaskRef {
    current().task_ref()
}

/// Puts a task whose state is `READY` at the end of this CPU's run queue.
pub(super) fn enqueue(task: TaskRef) {
    let cpu = this_cpu();
    cpu.queue.lock().push(task);
    match try_current() {
        Some(me) if cpu.slice_end.get() == NEVER => me.task.request(WORK_RETIME),
        _ => {}
    }
}

/// Ends the sleep of `task`, if it sleeps.
pub(super) fn wake(task: TaskRef) {
    if task.try_wake() {
        enqueue(task);
    }
}

/// Runs the next ready task; returns when this one's turn comes again. The current task's state says what becomes
/// of it. Without a ready task, a task that can run on does, and otherwise the CPU idles.
pub(super) fn schedule() {
    let cpu = this_cpu();
    let previous = try_current();
    let next = cpu.queue.lock().pop();
    if next.is_none() && previous.is_none_or(|me| me.task.state.load(Relaxed) == RUNNING) {
        return;
    }
    switch(cpu, previous, next);
    finish_switch();
}

fn switch(cpu: &Cpu, previous: Option<&Process>, next: Option<TaskRef>) {
    cpu.previous.set(previous.map(Process::task_ref));
    let (now, faults) = (time::count(), percpu::faults());
    let from = match previous {
        Some(me) => {
            let state = me.task.state.load(Relaxed);
            if cpu.sampler.switch(&me.task.account, state != RUNNING, now, faults) {
                cpu.sample(previous, now, true);
            }
            if !matches!(state, EXITING | DETACHED) {
                me.save_user_registers();
            }
            me.context.get()
        }
        None => {
            if cpu.sampler.resume(now, faults) {
                cpu.sample(None, now, true);
            }
            cpu.idle.get()
        }
    };
    let to = match next {
        Some(next) => {
            // SAFETY: every task is a process's, and one taken off the run queue is alive until it has run.
            let next = unsafe { process::of(next) };
            next.task.keep_running();
            next.activate();
            percpu::set_current(core::ptr::from_ref(next).cast_mut().cast());
            next.context.get()
        }
        None => {
            arch::mmu::set_empty_user_table();
            percpu::set_current(core::ptr::null_mut());
            cpu.idle.get()
        }
    };
    // SAFETY: `from` is this thread's own context; `to` was saved by a switch or made for a new task, no other CPU
    // has it because it came off the run queue under lock, and its stack is alive.
    unsafe { arch::context_switch(from, to) }
}

/// The first thing a task does when it gets the CPU: settle what becomes of the one before it, on whose stack nobody
/// is any more.
pub(super) fn finish_switch() {
    let cpu = this_cpu();
    cpu.slice_end.set(NEVER);
    if let Some(previous) = cpu.previous.take() {
        match previous.switched_out() {
            SwitchedOut::Requeue => cpu.queue.lock().push(previous),
            SwitchedOut::Sleeps | SwitchedOut::Zombie => {}
            // SAFETY: struck off the table by `Table::exit`, and switched away from.
            SwitchedOut::Free => unsafe { process::free(previous) },
        }
    }
    // A slice begins if others wait, and a timer that was set for others' sake has to be stopped.
    if let Some(me) = try_current()
        && (cpu.armed.get() != cpu.next_event() || !cpu.queue.lock().is_empty())
    {
        me.task.request(WORK_RETIME);
    }
}

/// Lets others run first, if there are any.
pub fn yield_now() {
    schedule();
}

/// Whether it is `deadline` (nanoseconds since boot) or later.
pub(super) fn is_past(deadline: u64) -> bool {
    deadline != NEVER && time::now_ns() >= deadline
}

/// Switches away until somebody wakes `me`, the current task, or until `deadline` (nanoseconds since boot). The caller
/// has announced that by [`super::task::Task::prepare_to_block`].
pub(super) fn block_until(me: TaskRef, deadline: u64) {
    if deadline == NEVER {
        schedule();
        return;
    }
    let cpu = this_cpu();
    let mut sleepers = cpu.sleepers.lock();
    sleepers.insert(me, deadline);
    cpu.set_next_wake(sleepers.next_wake());
    drop(sleepers);
    schedule();
    let mut sleepers = cpu.sleepers.lock();
    sleepers.remove(me);
    cpu.set_next_wake(sleepers.next_wake());
}

/// Sleeps until `wake_at` (nanoseconds since boot).
///
/// # Errors
/// `EINTR`: there is a signal to deal with.
pub(super) fn sleep_until(wake_at: u64) -> Result<()> {
    let me = current_task();
    while time::now_ns() < wake_at {
        me.prepare_to_block();
        if me.is_interrupted() {
            me.keep_running();
            return Err(Errno::EINTR);
        }
        block_until(me, wake_at);
        if me.is_interrupted() {
            return Err(Errno::EINTR);
        }
    }
    Ok(())
}

/// The timer interrupt, taken at EL0 or in the idle loop. `at_return`: nothing has been executed at EL0 since the kernel
/// was left last, so the interrupt came while it was in the kernel and has waited.
pub fn timer_tick(at_return: bool) {
    let cpu = this_cpu();
    if cpu.sample(try_current(), time::count(), at_return)
        && let Some(me) = try_current()
    {
        settle();
        cpu_time::check(me);
    }
    let now = time::now_ns();
    alarm::ring(now);
    timers::ring(now);
    let mut sleepers = cpu.sleepers.lock();
    while let Some(task) = sleepers.pop_due(now) {
        wake(task);
    }
    cpu.set_next_wake(sleepers.next_wake());
    drop(sleepers);
    if let Some(me) = try_current()
        && now >= cpu.slice_end.get()
    {
        cpu.slice_end.set(NEVER);
        me.task.request(WORK_RESCHED);
    }
    if khugepaged::is_due(now)
        && let Some(me) = try_current()
    {
        me.task.request(WORK_COLLAPSE);
    }
    // The interrupt is a level: it goes away only when the deadline is moved or the timer stopped. So do that even
    // if the deadline is the same.
    cpu.armed.set(0);
    arm(cpu, cpu.next_event().min(cpu.slice_end.get()));
}

/// Sets the timer, or stops it (`NEVER`), unless that is how it is.
fn arm(cpu: &Cpu, deadline: u64) {
    if cpu.armed.replace(deadline) == deadline {
        return;
    }
    match deadline {
        NEVER => time::stop_timer(),
        deadline => time::set_timer(deadline),
    }
}

/// Starts a slice if others are ready and none has begun, and sets or stops the timer as needed.
fn retime(cpu: &Cpu) {
    if cpu.queue.lock().is_empty() {
        cpu.slice_end.set(NEVER);
    } else if cpu.slice_end.get() == NEVER {
        cpu.slice_end.set(time::now_ns() + SLICE_NS);
    }
    arm(cpu, cpu.next_event().min(cpu.slice_end.get()));
}

/// Called right before each return to EL0: gives up the CPU if the slice has ended, deals with signals.
#[inline]
pub fn before_user_return(frame: &mut TrapFrame) {
    if current().task.work.load(Relaxed) != 0 {
        do_work(current(), frame);
    }
}

#[cold]
fn do_work(me: &'static Process, frame: &mut TrapFrame) {
    loop {
        let work = me.task.work.swap(0, SeqCst);
        if work == 0 {
            return;
        }
        if work & WORK_SIGNAL != 0 {
            deliver::signals(me, frame);
        }
        if work & WORK_COLLAPSE != 0 {
            khugepaged::run();
        }
        if work & WORK_RESCHED != 0 {
            schedule();
        }
        if work & WORK_RETIME != 0 {
            retime(this_cpu());
        }
    }
}

/// Charges the current thread what it has used up to now, so that its account can be read.
pub(super) fn settle() {
    if let Some(me) = try_current() {
        this_cpu().sampler.charge(&me.task.account, time::count(), percpu::faults());
    }
}

/// What all CPUs together have done.
pub(super) fn cpu_times() -> CpuTimes {
    CPUS.iter().map(|cpu| cpu.sampler.times()).fold(CpuTimes::default(), CpuTimes::plus)
}

/// The idle loop: what a CPU does when there is nothing to do, and what the boot path ends in.
pub fn run() -> ! {
    let cpu = this_cpu();
    cpu.sampler.start(time::count(), time::ns_to_count(SAMPLE_NS));
    cpu.sample_at.set(time::count_to_ns(cpu.sampler.due()));
    loop {
        schedule();
        if khugepaged::is_due(time::now_ns()) {
            khugepaged::run();
        }
        let cpu = this_cpu();
        arm(cpu, cpu.next_wake.load(Relaxed).min(khugepaged::next()));
        let before = time::count();
        arch::idle_wait();
        cpu.sampler.idled(time::count() - before);
    }
}
