//! The wait for the child of a vfork: until it has executed a program or ended.
//!
//! No signal disturbs it, but for the end of the waiting thread: as Linux, it can be killed (kernel/fork.c,
//! wait_for_vfork_done). On Linux the child then goes on with the memory that was its parent's. Here the memory ends with
//! the process whose it is, so a child that uses it ends first.

use super::process::Process;
use super::signal::info::KILL;
use super::{TABLE, kill};

/// Waits for the child that the current thread, `me`, has just made. `shares`: it uses this process's memory.
pub(super) fn wait(me: &Process, shares: bool) {
    me.task.child_exit.wait_undisturbed(|| {
        let table = TABLE.lock();
        if !me.task.in_vfork.get() {
            return Some(());
        }
        if !kill::is_to_end(&table, &me.task) {
            return None;
        }
        let mut children = table.children(me.task.leader());
        let child = children.find(|child| child.vfork_parent.get() == Some(me.task_ref()))?;
        if shares {
            // Again at each wake-up until it is gone, which changes nothing: one such signal waits at most.
            let _ = kill::post(&table, child, None, KILL);
            return None;
        }
        child.vfork_parent.set(None);
        me.task.in_vfork.set(false);
        Some(())
    });
}
