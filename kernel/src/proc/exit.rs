//! The end of a process: exit, death by signal, and reaping.
//!
//! A process gives back its files and memory itself. Its number, exit status and kernel stack stay until its parent
//! waits for it. The last thing it does is to switch away, so the stack must not go before that: a reaper waits for
//! state `DEAD`, which the next thread on that CPU sets (it has set it long ago unless that is another CPU).

use core::sync::atomic::Ordering::Acquire;

use super::signal::{self, status_exited, status_killed};
use super::table::{Found, Which};
use super::task::{DEAD, TaskRef};
use super::{Pid, TABLE, process, sched};
use crate::arch;
use crate::errno::{Errno, Result};

/// Ends the current process as `exit(code)` does.
pub(crate) fn exit(code: u32) -> ! {
    end(status_exited(code))
}

/// Ends the current process as `signal` does.
pub(crate) fn killed(signal: u32) -> ! {
    end(status_killed(signal))
}

fn end(status: u32) -> ! {
    let me = sched::current();
    if me.task.pid() == Pid::INIT {
        shut_down(status);
    }
    let files = core::mem::take(&mut *me.files.lock());
    drop(files); // not under the lock: the end of a pipe's last descriptor wakes others
    // Out of the table walker's reach before it is torn down, so that the teardown has no user of the tables to fear.
    arch::mmu::set_empty_user_table();
    let mm = me.mm.lock().take();
    if let Some(mm) = mm {
        mm.destroy(crate::mm());
    }
    me.task.wait_status.set(status);
    let mut table = TABLE.lock();
    let parent = me.task.parent.get();
    if let Some(init) = table.lookup(Pid::INIT)
        && table.exit(me.task_ref(), init)
    {
        init.child_exit.wake_all();
    }
    if let Some(parent) = parent {
        parent.child_exit.wake_all();
    }
    drop(table);
    sched::schedule();
    unreachable!("an exited process runs");
}

/// The first process has ended, and so does the machine. Its exit status becomes QEMU's.
fn shut_down(status: u32) -> ! {
    let code = signal::shell_status(status);
    match status & 0x7f {
        0 => log::info!("init exited with status {code}"),
        number => log::error!("init was killed by signal {number}"),
    }
    arch::exit(code as i32)
}

/// A child that has been waited for.
pub(crate) struct Reaped {
    pub pid: Pid,
    /// As wait4 reports it.
    pub status: u32,
}

/// Waits for a child of the current process to end, and buries it. None if `nohang` and all are alive.
///
/// # Errors
/// `ECHILD`: there is no such child. `EINTR`: the caller is being killed.
pub(crate) fn wait(which: Which, nohang: bool) -> Result<Option<Reaped>> {
    let me = sched::current_task();
    me.child_exit.wait_until(|| {
        let mut table = TABLE.lock();
        match table.find_zombie(me, which) {
            Found::Zombie(zombie) => {
                table.remove(zombie);
                drop(table);
                Some(Ok(Some(bury(zombie))))
            }
            Found::Nobody => Some(Err(Errno::ECHILD)),
            Found::Alive if nohang => Some(Ok(None)),
            Found::Alive => None,
        }
    })?
}

/// Frees a zombie that has been struck off the table.
fn bury(zombie: TaskRef) -> Reaped {
    let reaped = Reaped { pid: zombie.pid(), status: zombie.wait_status.get() };
    while zombie.state.load(Acquire) != DEAD {
        core::hint::spin_loop();
    }
    // SAFETY: not in the table, on nobody's list, and switched away from for good.
    unsafe { process::free(zombie) };
    reaped
}
