//! clone: a second process that differs from the first in its number and in what the call returns, or a second thread of
//! the same process.
//!
//! Whatever can fail comes before the child is in the process table; what was acquired until then is released on the
//! way out. The parent runs on, the child is queued behind everybody else.

use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

use super::group::Start;
use super::pidfd::{self, Announced};
use super::process::{self, Parts, Process, Space};
use super::request::Request;
use super::room::Room;
use super::signal::thread::AltStack;
use super::task::TaskRef;
use super::{Pid, TABLE, sched, vfork};
use crate::arch::{self, KernelStack, TrapFrame, uaccess};
use crate::errno::{Errno, Result};
use crate::fs::FdTable;
use crate::fs::file::fd::Common;
use crate::mm::AddressSpace;

/// Creates a process or a thread as `request` says; the EL0 registers of the current one are `frame`. Returns its number.
///
/// # Errors
/// `ENOMEM`: no memory for it. `EAGAIN`: too many. `EMFILE`, `EFAULT`: of its descriptor. Nothing has changed then.
pub(crate) fn clone(frame: &TrapFrame, request: &Request) -> Result<Pid> {
    let me = sched::current();
    let room = Room::alloc()?;
    let stack = KernelStack::alloc()?;
    let group = match request.thread {
        true => Start::FIRST,
        false => me.task.group().for_child(request.exit_signal),
    };
    let files = match request.thread {
        true => FdTable::new(),
        false => me.leader().files.lock().fork()?,
    };
    let borrows = request.thread || request.vfork;
    let memory = match me.memory.get() {
        _ if !borrows => core::ptr::null(),
        own if own.is_null() => core::ptr::from_ref(me),
        other => other,
    };
    let alt_stack = if request.thread { AltStack::NONE } else { me.task.signals.alt_stack.get() };
    let child_frame = stack.trap_frame();
    let parts = Parts {
        blocked: me.task.signals.blocked(),
        alt_stack,
        group,
        leader: request.thread.then(|| me.task.leader()),
        memory,
        tls: request.tls.unwrap_or_else(arch::tls::get_tls),
        stack,
        files,
        comm: *me.comm.lock(),
        set_child_tid: request.set_child_tid,
        clear_child_tid: request.clear_child_tid,
    };
    // SAFETY: the top of the child's kernel stack, which nobody else uses yet.
    unsafe {
        child_frame.copy_from_nonoverlapping(frame, 1);
        (*child_frame).x[0] = 0;
        if let Some(sp) = request.stack {
            (*child_frame).sp = sp;
        }
    }
    let child = room.fill(parts, child_start, 0);
    // SAFETY: just made, and nobody else knows of it.
    let mut copied = copy_memory(me, unsafe { &mut (*child.as_ptr()).mm }, request);
    if !request.thread {
        // SAFETY: as above.
        let actions = unsafe { (*child.as_ptr()).task.group.actions.get_mut() };
        copied = copied.and_then(|()| me.task.group().actions.lock().fork_into(actions));
        if request.forget_handlers {
            actions.forget_handlers();
        }
    }
    if request.handlers || request.files != Common::default() {
        // SAFETY: as above.
        copied = copied.and_then(|()| share(me, request, unsafe { child.as_ref() }));
    }
    // SAFETY: as above.
    let task = unsafe { child.as_ref() }.task_ref();
    let group = me.task.group();
    let watched = group.watched.load(Relaxed) && !request.thread;
    let copied = copied.and_then(|()| if watched { group.watch_child(&task.group) } else { Ok(()) });
    let announced = match copied.and_then(|()| request.pidfd.map(pidfd::announce).transpose()) {
        Ok(announced) => announced,
        Err(error) => {
            discard(child);
            return Err(error);
        }
    };
    // SAFETY: it stays alive until it is reaped, after its removal from the table, or has removed itself.
    let inserted = unsafe { enter(me, task, request) };
    let Ok(pid) = inserted else {
        announced.into_iter().for_each(Announced::take_back);
        discard(child);
        return inserted;
    };
    if let Some(pidfd) = announced {
        // SAFETY: it does not run before it is enqueued.
        pidfd.is(unsafe { child.as_ref() }.identity());
    }
    if request.set_parent_tid != 0 {
        // The child exists, so there is no way to fail: Linux ignores a bad address too (kernel/fork.c).
        let _ = uaccess::copy_to_user(request.set_parent_tid, &pid.get().to_ne_bytes());
    }
    task.started.set(arch::time::count());
    sched::enqueue(task);
    if request.vfork || request.wait {
        vfork::wait(me, request.vfork);
    }
    Ok(pid)
}

/// Replaces copies by what a child, a process of its own, is to have in common with the current one.
#[cold]
#[inline(never)]
fn share(me: &Process, request: &Request, child: &Process) -> Result<()> {
    if request.handlers {
        *child.task.group.actions.lock() = me.task.group().actions.lock().share()?;
    }
    let shared = me.leader().files.lock().fork_sharing(request.files)?;
    let copy = core::mem::replace(&mut *child.files.lock(), shared);
    drop(copy); // while nothing is locked
    Ok(())
}

/// Gives a child that does not borrow the current process's memory a share of it, or a copy made where it is to stay.
///
/// # Errors
/// `EINVAL`: there is no memory to share or to copy. `ENOMEM`.
#[inline(always)] // one caller
fn copy_memory(me: &Process, to: &mut Space, request: &Request) -> Result<()> {
    match &mut *me.space().lock() {
        None => return Err(Errno::EINVAL),
        Some(_) if request.thread || request.vfork => return Ok(()),
        Some(_) if request.memory => {}
        Some(mm) => return to.own_mut().map_or(Err(Errno::EINVAL), |to| mm.fork_into(crate::mm(), to)),
    }
    to.replace(me.space().share()?); // there was none
    Ok(())
}

/// Enters a new task in the table.
///
/// # Safety
/// As for [`super::table::Table::insert`] and [`super::table::Table::insert_thread`].
unsafe fn enter(me: &Process, task: TaskRef, request: &Request) -> Result<Pid> {
    let mut table = TABLE.lock();
    if request.thread {
        let group = me.task.group();
        if group.ending().is_some() || group.executing.get().is_some() {
            return Err(Errno::EAGAIN); // the process is about to end all its threads
        }
        // SAFETY: as the caller promises; the current thread's leader has not ended.
        return unsafe { table.insert_thread(task) };
    }
    // SAFETY: as the caller promises.
    let pid = unsafe { table.insert(task, Some(me.task.leader())) }?;
    if request.vfork || request.wait {
        me.task.in_vfork.set(true);
        task.vfork_parent.set(Some(me.task_ref()));
    }
    Ok(pid)
}

/// Undoes the creation of a process that is not in the table.
#[cold]
fn discard(child: NonNull<Process>) {
    // SAFETY: alive until the next statement, and nobody else knows of it.
    let (task, mm) = unsafe { (child.as_ref().task_ref(), &mut (*child.as_ptr()).mm) };
    mm.leave(|space| AddressSpace::destroy_in(space, crate::mm()));
    // SAFETY: not in the table and never run, so nobody else can reach it.
    unsafe { process::free(task) };
}

/// Where a child's kernel stack begins: finish the switch to it, then leave for EL0.
extern "C" fn child_start(_: usize) -> ! {
    sched::finish_switch();
    let me = sched::current();
    if me.set_child_tid.get() != 0 {
        // Linux ignores a bad address here too (kernel/sched/core.c, schedule_tail).
        let _ = uaccess::copy_to_user(me.set_child_tid.take(), &me.task.pid().get().to_ne_bytes());
    }
    enter_user(me)
}

/// Leaves for EL0 with the registers in the process's frame.
pub(super) fn enter_user(me: &'static Process) -> ! {
    let frame = me.trap_frame();
    // SAFETY: the current process's own frame, to which no other reference exists: this is the bottom of its stack.
    unsafe {
        sched::before_user_return(&mut *frame);
        arch::enter_user(frame)
    }
}
