//! fork: a second process that differs from the first in its number and in what fork returns.
//!
//! Whatever can fail comes before the child is in the process table; what was acquired until then is released on the
//! way out. The parent runs on, the child is queued behind everybody else.

use core::ptr::NonNull;

use super::process::{self, Parts, Process};
use super::room::Room;
use super::{Pid, TABLE, sched};
use crate::arch::{self, Context, KernelStack, TrapFrame, uaccess};
use crate::errno::{Errno, Result};

/// How the child is to differ from the parent, besides its number.
#[derive(Clone, Copy, Default)]
pub(crate) struct Differences {
    /// The child's stack pointer (address in bytes); none: the parent's.
    pub stack: Option<u64>,
    /// The child's thread pointer; none: the parent's.
    pub tls: Option<u64>,
    /// Where the child writes its number (address in bytes); 0: nowhere.
    pub set_child_tid: usize,
}

/// Creates a child of the current process, whose EL0 registers are `frame`. Returns the child's number.
///
/// # Errors
/// `ENOMEM`: no memory for the child. `EAGAIN`: too many processes. Nothing has changed then.
pub(crate) fn fork(frame: &TrapFrame, differences: Differences) -> Result<Pid> {
    let me = sched::current();
    let room = Room::alloc()?;
    let stack = KernelStack::alloc()?;
    let files = me.files.lock().fork()?;
    let mm = match &mut *me.mm.lock() {
        Some(mm) => mm.fork(crate::mm())?, // the last that fails, as only `destroy` undoes it
        None => return Err(Errno::EINVAL),
    };
    let child_frame = stack.trap_frame();
    let parts = Parts {
        signals: me.task.signals.for_child(),
        tls: differences.tls.unwrap_or_else(arch::tls::get_tls),
        stack,
        files,
        comm: *me.comm.lock(),
        set_child_tid: differences.set_child_tid,
    };
    // SAFETY: the top of the child's kernel stack, which nobody else uses yet.
    unsafe {
        child_frame.copy_from_nonoverlapping(frame, 1);
        (*child_frame).x[0] = 0;
        if let Some(sp) = differences.stack {
            (*child_frame).sp = sp;
        }
    }
    let child = room.fill(parts, Some(mm), Context::new(child_frame as usize, child_start, 0));
    // SAFETY: just made, and nobody else knows of it.
    let task = unsafe { child.as_ref() }.task_ref();
    // SAFETY: it stays alive until it is reaped, after its removal from the table.
    let inserted = unsafe { TABLE.lock().insert(task, Some(me.task_ref())) };
    match inserted {
        Ok(_) => sched::enqueue(task),
        Err(_) => discard(child),
    }
    inserted
}

/// Undoes the creation of a process that is not in the table.
#[cold]
fn discard(child: NonNull<Process>) {
    // SAFETY: alive until the next statement, and nobody else knows of it.
    let (task, mm) = unsafe { (child.as_ref().task_ref(), child.as_ref().mm.lock().take()) };
    if let Some(mm) = mm {
        mm.destroy(crate::mm());
    }
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
