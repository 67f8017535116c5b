//! The first process.
//!
//! It begins on its own kernel stack without an address space, executes the program it is told to, and enters EL0. If
//! that fails there is nobody to report to, and the machine stops.

use alloc::boxed::Box;

use super::args::Strings;
use super::comm::Comm;
use super::exec;
use super::fork::enter_user;
use super::group::Start;
use super::process::Parts;
use super::room::Room;
use super::signal::thread::AltStack;
use super::{TABLE, sched};
use crate::arch::{self, KernelStack};
use crate::errno::Result;
use crate::fs::FdTable;
use crate::util::try_box;

/// QEMU's exit status if the program cannot be executed: what a shell returns for a command it cannot find.
const CANNOT_EXECUTE: i32 = 127;

struct Program {
    path: Strings,
    argv: Strings,
    envp: Strings,
}

/// Creates the first process, which will execute `path` (without a NUL) with the arguments `argv`, the first of which
/// is its name for itself. It runs as soon as [`super::run`] is called.
///
/// # Errors
/// `ENOMEM`; `E2BIG`: too many arguments; `EAGAIN`: never for the first process.
pub fn spawn_init(path: &[u8], argv: &[&[u8]]) -> Result<()> {
    let program = Program {
        path: Strings::copy_of(&[path])?,
        argv: Strings::copy_of(argv)?,
        envp: Strings::copy_of(&[b"HOME=/", b"TERM=linux"])?, // as Linux's init/main.c
    };
    let room = Room::alloc()?;
    let stack = KernelStack::alloc()?;
    let files = FdTable::with_console()?;
    let program = Box::into_raw(try_box(program)?);
    let parts = Parts {
        blocked: 0,
        alt_stack: AltStack::NONE,
        group: Start::FIRST,
        leader: None,
        memory: core::ptr::null(),
        tls: 0,
        stack,
        files,
        comm: Comm::default(),
        set_child_tid: 0,
        clear_child_tid: 0,
    };
    // SAFETY: just made, and nobody else knows of it.
    let init = unsafe { room.fill(parts, init_start, program as usize).as_ref() };
    // SAFETY: the first process is never freed.
    unsafe { TABLE.lock().insert(init.task_ref(), None) }?;
    sched::enqueue(init.task_ref());
    Ok(())
}

/// Where the first process's kernel stack begins. `program` is the box that [`spawn_init`] made.
extern "C" fn init_start(program: usize) -> ! {
    sched::finish_switch();
    let me = sched::current();
    // SAFETY: `spawn_init` made this pointer from a box and handed it to this function alone, which is entered once.
    let Program { path, argv, envp } = *unsafe { Box::from_raw(program as *mut Program) };
    let path_bytes = path.bytes().strip_suffix(b"\0").unwrap_or_default();
    // SAFETY: this process's own frame, which nobody else uses before it enters EL0.
    let frame = unsafe { &mut *me.trap_frame() };
    if let Err(error) = exec::exec(path_bytes, &argv, &envp, frame) {
        log::error!("cannot execute {}: {error:?}", path_bytes.escape_ascii());
        arch::exit(CANNOT_EXECUTE);
    }
    drop((path, argv, envp)); // this function does not return, so nothing else drops them
    enter_user(me)
}
