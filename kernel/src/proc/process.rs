//! A thread: a task with a kernel stack and user registers; the first of a process, its leader, also has the address
//! space and the open files that all threads of the process use.
//!
//! A child of vfork uses its parent's address space, until it executes a program or ends: the parent waits for that. So
//! which address space a thread uses is said by `memory`, and [`Process::space`] follows it.
//!
//! A process may also be cloned so that it has its parent's address space for good, and both run side by side: then each
//! has a share of it, and the last one to end or to execute a program gives it back. What walks through the spaces of all
//! processes and adds something up asks [`Process::counts_for_its_space`].
//!
//! # Locks
//! `mm`, `files` and `comm` have their own. The registers belong to the CPU that switches to or from the process. Not
//! more than one of these locks is held at a time, and none while user memory is accessed: that may take `mm`.

use core::cell::{Cell, UnsafeCell};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Acquire;

use super::comm::Comm;
use super::futex::Wait;
use super::group::Start;
use super::restart::Class;
use super::room::Room;
use super::signal::thread::AltStack;
use super::task::{Task, TaskRef};
use crate::arch::{self, Context, FpState, KernelStack, TrapFrame};
use crate::fs::FdTable;
use crate::mm::AddressSpace;
use crate::util::ShareLock;

/// An address space as processes have it: their own, or shared.
pub type Space = ShareLock<Option<AddressSpace>>;

/// A process; see the module's text.
#[repr(C)]
pub struct Process {
    /// What the scheduler and the process table see. First: a pointer to it is a pointer to the process.
    pub(super) task: Task,
    pub(super) context: UnsafeCell<Context>,
    pub(super) tls: Cell<u64>,
    pub(super) fp: UnsafeCell<FpState>,
    /// The kernel stack. The frame of the EL0 registers is at its top.
    pub(super) stack: KernelStack,
    /// The process's own address space, or its share of one; none before the first exec, after the exit, in a child of
    /// vfork, and in threads other than the leader.
    pub mm: Space,
    /// Whose address space the thread uses; null: its own.
    pub(super) memory: Cell<*const Process>,
    /// The process's open files; empty in threads other than the leader.
    pub(super) files: spin::Mutex<FdTable>,
    pub(super) comm: spin::Mutex<Comm>,
    /// Where the child writes its own number before it first enters EL0 (CLONE_CHILD_SETTID); 0: nowhere.
    pub(super) set_child_tid: Cell<usize>,
    /// Where the thread writes 0 and wakes whoever waits there when it ends (CLONE_CHILD_CLEARTID); 0: nowhere.
    pub(super) clear_child_tid: Cell<usize>,
    /// The list of locks to give up when the thread ends (set_robust_list); 0: none.
    pub(super) robust_list: Cell<usize>,
    /// The system call that a signal has interrupted, until the signal has been dealt with.
    pub(super) interrupted: Cell<Option<Call>>,
    /// What restart_syscall continues.
    pub(super) restart: Cell<Restart>,
}

/// An interrupted system call.
#[derive(Clone, Copy)]
pub(super) struct Call {
    /// Its first argument, which the result has replaced.
    pub first: u64,
    /// What becomes of it.
    pub class: Class,
}

/// A wait that goes on after an interruption without a handler: its parameters are not those of the original call any more.
#[derive(Clone, Copy, Default)]
pub(crate) enum Restart {
    /// None.
    #[default]
    Nothing,
    /// A sleep until `deadline` (nanoseconds), with what remains of it to be written to the user address `remaining`.
    Sleep {
        /// Nanoseconds since boot.
        deadline: u64,
        /// 0: nowhere.
        remaining: u64,
    },
    /// A wait for a futex.
    Futex(Wait),
}

// SAFETY: `context`, `tls` and `fp` are used only by the CPU that runs, starts or switches away from the thread, or by a
// thread that executes a program for it while it is parked; the other cells only by the creator before the thread can
// run, and then by the thread itself, or for it as above.
unsafe impl Sync for Process {}

/// What a new process starts with, besides its address space: nothing large, since all of it is moved.
pub(super) struct Parts {
    pub blocked: u64,
    pub alt_stack: AltStack,
    pub group: Start,
    /// None: it is a leader.
    pub leader: Option<TaskRef>,
    /// Null: its own.
    pub memory: *const Process,
    pub tls: u64,
    pub stack: KernelStack,
    pub files: FdTable,
    pub comm: Comm,
    pub set_child_tid: usize,
    pub clear_child_tid: usize,
}

impl Process {
    /// The process's task, in the form that lists hold.
    pub(super) fn task_ref(&self) -> TaskRef {
        // SAFETY: `self` is borrowed, so it is alive now; the rules in `task.rs` say for how long.
        unsafe { TaskRef::new(NonNull::from(self).cast()) }
    }

    /// The most pages that were in its memory at once, be it its own or that of the parent it was made by vfork by.
    pub(super) fn max_rss(&self) -> u64 {
        self.space().lock().as_ref().map_or(0, |space| space.peak_rss_pages() as u64)
    }

    /// The address space that the thread uses.
    #[inline]
    pub(super) fn space(&self) -> &Space {
        &self.home().mm
    }

    /// The process whose address space that is.
    #[inline]
    pub(super) fn home(&self) -> &Process {
        match self.memory.get() {
            own if own.is_null() => self,
            // SAFETY: the leader, which outlives its threads, or the process that waits in vfork for this one to use
            // another; it is not freed before.
            other => unsafe { &*other },
        }
    }

    /// Which address space that is, to tell it from others: where its first table lies. 0: none.
    pub(super) fn space_id(&self) -> usize {
        self.space().lock().as_ref().map_or(0, |space| space.root().get() as usize)
    }

    /// Whether threads of another process use the memory of this one, a thread of which calls, or did so.
    pub(super) fn shares_space(&self) -> bool {
        !self.memory.get().is_null() && self.task.is_leader() || self.home().mm.is_shared()
    }

    /// The process's first thread.
    #[inline]
    pub(super) fn leader(&self) -> &Process {
        // SAFETY: a leader outlives its threads.
        unsafe { of(self.task.leader()) }
    }

    /// Saves the FP/SIMD registers and the thread pointer, which are this process's, since it is current.
    pub(super) fn save_user_registers(&self) {
        // SAFETY: only the CPU that runs the process gets here, with interrupts masked.
        unsafe { (*self.fp.get()).save() };
        self.tls.set(arch::tls::get_tls());
    }

    /// Makes this CPU see this process's address space, FP/SIMD registers and thread pointer.
    pub(super) fn activate(&self) {
        self.activate_mm();
        // SAFETY: the process has just come off the run queue, so no other CPU runs it or saves its registers.
        unsafe { (*self.fp.get()).restore() };
        arch::tls::set_tls(self.tls.get());
    }

    /// Makes this CPU see this process's address space, or none.
    pub(super) fn activate_mm(&self) {
        match &*self.space().lock() {
            Some(mm) => mm.activate(crate::mm()),
            None => arch::mmu::set_empty_user_table(),
        }
    }

    /// The EL0 registers. Only the process itself, or its creator before it runs, may follow the pointer.
    pub(super) fn trap_frame(&self) -> *mut TrapFrame {
        self.stack.trap_frame()
    }
}

/// The process a task belongs to.
///
/// # Safety
/// The task is alive for as long as the result is used.
pub(super) unsafe fn of<'a>(task: TaskRef) -> &'a Process {
    // SAFETY: every task is the first field of a `repr(C)` process, and the caller keeps it alive.
    unsafe { task.as_ptr().cast().as_ref() }
}

/// Frees a process whose address space and files are gone, once nobody has it pinned.
///
/// # Safety
/// It is not in the process table, no CPU is on its kernel stack, and nobody but those who have it pinned uses a
/// reference to it.
pub(super) unsafe fn free(task: TaskRef) {
    let process: NonNull<Process> = task.as_ptr().cast();
    while task.pins.load(Acquire) != 0 {
        core::hint::spin_loop();
    }
    // SAFETY: initialised by `Room::fill`, and the caller gives it up, so what is left is a room.
    unsafe {
        process.drop_in_place();
        drop(Room::from_raw(process));
    }
}
