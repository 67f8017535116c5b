//! What a thread does about its signals on the way back to EL0: end, stop, or run a handler.
//!
//! A handler is run by changing the registers that EL0 will find: it starts with a frame on its stack that holds the
//! interrupted state (`signal::frame`) and returns to code that calls rt_sigreturn, which loads it from there. That code
//! is the C library's (SA_RESTORER), or else the kernel's, on a page of its own ([`trampoline`](super::trampoline)).

use super::process::{Call, Process};
use super::restart::Class;
use super::signal::action::{Action, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SA_RESTORER, SA_SIGINFO};
use super::signal::frame::{self, Interrupted, UCONTEXT};
use super::signal::info::{Info, SI_TIMER};
use super::signal::thread::{AltStack, SS_AUTODISARM};
use super::signal::{Default, SIGKILL, SIGSEGV, SIGSTOP, bit, default_of, status_killed};
use super::task::WORK_SIGNAL;
use super::{Pid, TABLE, exit, kill, sched, timers, trampoline};
use crate::arch::{FpState, TrapFrame, uaccess};
use crate::errno::{Errno, Result};
use core::sync::atomic::Ordering::SeqCst;
use linux_raw_sys::general::__NR_restart_syscall;

/// Deals with everything that waits for the current thread. Does not return if the thread ends.
#[inline(never)] // its frame is large, and most of who has work to do has no signals
pub(super) fn signals(me: &'static Process, frame: &mut TrapFrame) {
    let mut call = me.interrupted.take();
    let mut handled = false;
    loop {
        follow_process(me);
        let Some(info) = take(me) else { break };
        let action = action_for(me, info.signal);
        if action.is_handler() {
            rewind_for_handler(frame, call.take(), &action);
            if run_handler(me, frame, &info, &action).is_err() {
                force(me, Info::kernel(SIGSEGV), info.signal == SIGSEGV);
            }
            handled = true;
            continue;
        }
        if action.ignores(info.signal) || me.task.leader().pid() == Pid::INIT {
            continue;
        }
        match default_of(info.signal) {
            Default::Stop => begin_stop(me, info.signal),
            Default::Ignore | Default::Continue => {}
            Default::Kill => {
                log::debug!("{}[{}]: killed by signal {}", *me.comm.lock(), me.task.pid(), info.signal);
                exit::group_exit(status_killed(info.signal))
            }
        }
    }
    if !handled {
        rewind(frame, call);
        me.task.signals.restore_mask();
    }
}

/// Does what the whole process does: ends, makes way for a thread that executes another program, or stops.
fn follow_process(me: &'static Process) {
    let group = me.task.group();
    loop {
        if group.ending().is_some() {
            exit::thread_exit(0);
        }
        if group.executing.get().is_some_and(|thread| thread != me.task.as_ref()) {
            exit::make_way(me);
            continue;
        }
        match group.stopping.load(SeqCst) {
            0 => return,
            signal => stop(me, signal),
        }
    }
}

/// Takes the next signal that the thread does not block: SIGKILL first, then its own, then the process's.
fn take(me: &Process) -> Option<Info> {
    let (own, group) = (&me.task.signals, me.task.group());
    let allowed = !own.blocked();
    for set in [bit(SIGKILL), allowed] {
        let found = own.pending.lock().take(set).or_else(|| group.pending.lock().take(set));
        if let Some(mut info) = found {
            if info.code == SI_TIMER {
                timers::taken(&mut info);
            }
            return Some(info);
        }
    }
    None
}

/// What `signal` does now; a handler that is to run once is forgotten.
fn action_for(me: &Process, signal: u32) -> Action {
    let mut actions = me.task.group().actions.lock();
    let action = actions.get(signal);
    if action.is_handler() && action.flags & SA_RESETHAND != 0 {
        actions.reset(signal);
    }
    action
}

/// Has all threads stop. An orphaned group does not stop by signals from the terminal, as nobody would let it go on.
fn begin_stop(me: &Process, signal: u32) {
    let table = TABLE.lock();
    let leader = me.task.leader();
    let group = &leader.group;
    if signal != SIGSTOP && table.is_orphaned(group.pgid.get(), None) {
        return;
    }
    group.stopped.set(0);
    group.stopping.store(signal, SeqCst);
    table.threads(leader).filter(|thread| *thread != me.task.as_ref()).for_each(kill::interrupt);
}

/// Stays here until the stop ends, or the process.
fn stop(me: &Process, signal: u32) {
    let leader = me.task.leader();
    let group = &leader.group;
    kill::stopped_one(&TABLE.lock(), leader, signal);
    loop {
        me.task.prepare_to_block();
        let over = group.stopping.load(SeqCst) == 0;
        if over || kill::is_killed(&me.task) {
            me.task.keep_running();
            if !over {
                group.stopping.store(0, SeqCst);
            }
            return;
        }
        sched::schedule();
    }
}

/// The interrupted call starts again, as there is no handler.
fn rewind(frame: &mut TrapFrame, call: Option<Call>) {
    let Some(call) = call else { return };
    match call.class {
        Class::Never => return,
        Class::Continue => frame.x[8] = __NR_restart_syscall.into(),
        Class::Restart | Class::WithoutHandler => {}
    }
    frame.x[0] = call.first;
    frame.pc -= 4;
}

fn rewind_for_handler(frame: &mut TrapFrame, call: Option<Call>, action: &Action) {
    if let Some(call) = call
        && call.class == Class::Restart
        && action.flags & SA_RESTART != 0
    {
        rewind(frame, Some(call));
    }
}

/// Makes EL0 continue in the handler.
fn run_handler(me: &Process, frame: &mut TrapFrame, info: &Info, action: &Action) -> Result<()> {
    let signals = &me.task.signals;
    let blocked = signals.blocked();
    let alt_stack = signals.alt_stack.get();
    let mut fp = FpState::ZERO;
    fp.save(); // what the CPU has now is this thread's, as it is current
    let interrupted = Interrupted {
        x: frame.x,
        sp: frame.sp,
        pc: frame.pc,
        pstate: frame.pstate,
        v: *fp.registers(),
        fpsr: fp.status(),
        fpcr: fp.control(),
        mask: signals.saved_mask.take().unwrap_or(blocked),
        alt_stack: alt_stack.shown(frame.sp),
    };
    let start = if action.flags & SA_ONSTACK != 0 { alt_stack.start(frame.sp) } else { frame.sp };
    // A frame record first, then the frame, each at a multiple of 16.
    let record = (start & !15).wrapping_sub(16);
    let sp = record.wrapping_sub(frame::FRAME_BYTES as u64);
    if alt_stack.holds(frame.sp) && !alt_stack.holds(sp) {
        return Err(Errno::EFAULT); // the alternate stack is full
    }
    let mut words = [0; 16];
    words[..8].copy_from_slice(&frame.x[29].to_ne_bytes());
    words[8..].copy_from_slice(&frame.x[30].to_ne_bytes());
    uaccess::copy_to_user(record as usize, &words)?;
    uaccess::copy_to_user(sp as usize, &frame::encode(info, &interrupted))?;
    let returns_to = match action.flags & SA_RESTORER {
        0 => trampoline::ADDRESS as u64,
        _ => action.restorer,
    };
    frame.x[0] = info.signal.into();
    if action.flags & SA_SIGINFO != 0 {
        frame.x[1] = sp;
        frame.x[2] = sp + UCONTEXT as u64;
    }
    (frame.x[29], frame.x[30]) = (record, returns_to);
    (frame.sp, frame.pc, frame.pstate) = (sp, action.handler, 0);
    if alt_stack.flags & SS_AUTODISARM != 0 {
        signals.alt_stack.set(AltStack::NONE);
    }
    set_blocked(me, blocked | action.blocks(info.signal));
    Ok(())
}

/// rt_sigreturn: loads the state that a handler's frame holds, which is at the stack pointer. What is not well-formed
/// ends in SIGSEGV.
pub(crate) fn sigreturn(frame: &mut TrapFrame) {
    let me = sched::current();
    me.interrupted.set(None);
    let sp = frame.sp as usize;
    let read = |at: usize, to: &mut [u8]| uaccess::copy_from_user(to, sp.wrapping_add(at));
    let decoded = if sp.is_multiple_of(16) { frame::decode(read) } else { Err(Errno::EFAULT) };
    let Ok(state) = decoded else {
        force(me, Info::fault(SIGSEGV, super::signal::info::SEGV_MAPERR, sp), false);
        return;
    };
    (frame.x, frame.sp, frame.pc, frame.pstate) = (state.x, state.sp, state.pc, state.pstate);
    FpState::new(state.v, state.fpcr, state.fpsr).restore();
    // As in Linux, a stack that sigaltstack would refuse is not taken, and nobody hears of it.
    if let Ok(alt_stack) = state.alt_stack.checked()
        && !me.task.signals.alt_stack.get().holds(state.sp)
    {
        me.task.signals.alt_stack.set(alt_stack);
    }
    set_blocked(me, state.mask);
}

/// A signal that cannot be put off: for an exception. If it is blocked or ignored, or `for_good`, it kills.
pub(super) fn force(me: &Process, info: Info, for_good: bool) {
    let signals = &me.task.signals;
    let blocked = signals.blocked();
    {
        let mut actions = me.task.group().actions.lock();
        let ignored = actions.get(info.signal).handler == super::signal::action::SIG_IGN;
        if for_good || ignored || blocked & bit(info.signal) != 0 {
            actions.reset(info.signal);
        }
        if me.task.leader().pid() == Pid::INIT && !actions.get(info.signal).is_handler() {
            drop(actions);
            exit::group_exit(status_killed(info.signal));
        }
    }
    signals.set_blocked(blocked & !bit(info.signal));
    // Only a real-time signal can be refused.
    let _ = signals.pending.lock().add(info);
    me.task.request(WORK_SIGNAL);
}

/// Sets what the current thread blocks. What it lets through, it looks at on its way to EL0; what it does not take any
/// more, another thread may.
pub(super) fn set_blocked(me: &Process, set: u64) {
    me.task.signals.set_blocked(set);
    recheck(me);
}

/// After a change to the mask.
pub(super) fn recheck(me: &Process) {
    let own = me.task.signals.pending.lock().set();
    let shared = me.task.group().pending.lock().set();
    let blocked = me.task.signals.blocked();
    if (own | shared) & !blocked != 0 {
        me.task.request(WORK_SIGNAL);
    }
    if shared & blocked != 0 {
        kill::offer(&TABLE.lock(), me.task.leader(), shared & blocked);
    }
}

/// What the current thread waits for is over without success because of a signal: takes note of the call, whose first
/// argument was `first`, so that it can start again.
pub(crate) fn interrupted(number: u32, first: u64) {
    let me = sched::current();
    if me.task.is_interrupted() {
        me.interrupted.set(Some(Call { first, class: super::restart::class(number) }));
    }
}
