//! Sleeping until something happens, without losing the wake-up.
//!
//! ```text
//!   sleeper                                waker
//!   1 announce: state = BLOCKING           a make the condition true
//!   2 enter the queue (lock)               b take each task off the queue and wake it (lock)
//!   3 look at the condition
//!   4 switch away
//! ```
//! If b comes before 2, then a comes before 3, and the sleeper sees that the condition is true. If b comes after 2,
//! it finds the sleeper on the queue and turns BLOCKING into RUNNING or, after 4, BLOCKED into READY.
//!
//! The queue's lock may be taken with the process table or a file table locked; inside it only a run queue is locked.

use super::list::List;
use super::task::{Task, WAIT};

/// The processes that wait for one thing.
pub struct WaitQueue {
    waiting: spin::Mutex<List<Task, WAIT>>,
}

impl WaitQueue {
    /// A queue nobody waits on.
    pub const fn new() -> Self {
        WaitQueue { waiting: spin::Mutex::new(List::new()) }
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(target_os = "none")]
mod blocking {
    use super::WaitQueue;
    use crate::errno::{Errno, Result};
    use crate::proc::task::{Task, TaskRef};
    use crate::proc::{TABLE, kill, sched};

    impl WaitQueue {
        /// Sleeps until `ready` returns something, and returns that. `ready` is called again after each
        /// [`WaitQueue::wake_all`], and takes whatever locks it needs itself. The caller holds no spin lock.
        ///
        /// # Errors
        /// `EINTR`: there is a signal to deal with; the caller returns towards EL0, where that is done.
        pub fn wait_until<T>(&self, ready: impl FnMut() -> Option<T>) -> Result<T> {
            self.wait(sched::NEVER, Task::is_interrupted, ready)?.ok_or(Errno::EINTR)
        }

        /// As [`WaitQueue::wait_until`], but on through signals, unless they or another thread end this one.
        ///
        /// # Errors
        /// `EINTR`: the thread is to end.
        pub fn wait_killable<T>(&self, ready: impl FnMut() -> Option<T>) -> Result<T> {
            self.wait(sched::NEVER, |me| kill::is_to_end(&TABLE.lock(), me), ready)?.ok_or(Errno::EINTR)
        }

        /// As [`WaitQueue::wait_until`], but for no longer than until `deadline` (nanoseconds since boot): none then.
        ///
        /// # Errors
        /// `EINTR`, as above.
        pub(crate) fn wait_with_deadline<T>(
            &self,
            deadline: u64,
            ready: impl FnMut() -> Option<T>,
        ) -> Result<Option<T>> {
            self.wait(deadline, Task::is_interrupted, ready)
        }

        /// As [`WaitQueue::wait_until`], whatever signals there are. For what ends soon, or the thread's end.
        pub(in crate::proc) fn wait_undisturbed<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
            loop {
                if let Ok(Some(value)) = self.wait(sched::NEVER, |_| false, &mut ready) {
                    return value;
                }
            }
        }

        fn wait<T>(
            &self,
            deadline: u64,
            gives_up: impl Fn(&Task) -> bool,
            mut ready: impl FnMut() -> Option<T>,
        ) -> Result<Option<T>> {
            let me = sched::current_task();
            loop {
                if let Some(value) = ready() {
                    return Ok(Some(value));
                }
                if sched::is_past(deadline) {
                    return Ok(None);
                }
                me.prepare_to_block();
                // SAFETY: the current task is on no wait queue, and takes itself off below before it can end.
                unsafe { self.waiting.lock().push_back(me.as_ptr()) };
                let outcome = ready();
                let stay = outcome.is_some() || gives_up(&me);
                if stay {
                    me.keep_running();
                } else {
                    sched::block_until(me, deadline);
                }
                // SAFETY: the current task is on this queue, or has been taken off by its waker.
                unsafe { self.waiting.lock().remove(me.as_ptr()) };
                match outcome {
                    Some(value) => return Ok(Some(value)),
                    None if gives_up(&me) => return Err(Errno::EINTR),
                    None => {}
                }
            }
        }

        /// Wakes everybody who waits here. The condition they wait for has been made true before.
        pub fn wake_all(&self) {
            let mut waiting = self.waiting.lock();
            while let Some(task) = waiting.pop_front() {
                // SAFETY: it was on this queue, whose lock is held, so it cannot have run on and ended.
                sched::wake(unsafe { TaskRef::new(task) });
            }
        }
    }
}
