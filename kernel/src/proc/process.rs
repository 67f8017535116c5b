//! A process: a task with a kernel stack, user registers, an address space and open files.
//!
//! There is one task per process so far. What threads would share (address space, files) is kept apart from what each
//! would have (`task`, stack, registers), and reached only through its lock.
//!
//! # Locks
//! `mm`, `files` and `comm` have their own. The registers belong to the CPU that switches to or from the process. Not
//! more than one of these locks is held at a time, and none while user memory is accessed: that may take `mm`.

use core::cell::{Cell, UnsafeCell};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::Acquire;

use super::comm::Comm;
use super::room::Room;
use super::signal::Signals;
use super::task::{Task, TaskRef};
use crate::arch::{self, Context, FpState, KernelStack, TrapFrame};
use crate::fs::FdTable;
use crate::mm::AddressSpace;

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
    /// The user address space; none before the first exec and after the exit.
    pub mm: spin::Mutex<Option<AddressSpace>>,
    pub(super) files: spin::Mutex<FdTable>,
    pub(super) comm: spin::Mutex<Comm>,
    /// Where the child writes its own number before it first enters EL0 (CLONE_CHILD_SETTID); 0: nowhere.
    pub(super) set_child_tid: Cell<usize>,
}

// SAFETY: `context`, `tls` and `fp` are used only by the CPU that runs, starts or switches away from the process,
// and `set_child_tid` only by the creator before the process can run, and then by the process itself.
unsafe impl Sync for Process {}

/// What a new process starts with, besides its address space.
pub(super) struct Parts {
    pub signals: Signals,
    pub tls: u64,
    pub stack: KernelStack,
    pub files: FdTable,
    pub comm: Comm,
    pub set_child_tid: usize,
}

impl Process {
    /// The process's task, in the form that lists hold.
    pub(super) fn task_ref(&self) -> TaskRef {
        // SAFETY: `self` is borrowed, so it is alive now; the rules in `task.rs` say for how long.
        unsafe { TaskRef::new(NonNull::from(self).cast()) }
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
        match &*self.mm.lock() {
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
