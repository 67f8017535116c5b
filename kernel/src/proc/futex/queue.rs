//! Who waits at which word. The links are the tasks' own, so waiting takes no memory.
//!
//! The queues are under one lock, and the tasks' slots with them.

use crate::proc::list::{Linked, List};
use crate::proc::task::{Task, TaskRef, WAIT};

const BUCKETS: usize = 64;

/// A word of memory that may be waited at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::proc) struct Key {
    /// Whose memory: an address space's or shared object's address in the kernel.
    pub home: usize,
    /// Where in it (bytes).
    pub offset: u64,
}

impl Key {
    fn bucket(self) -> usize {
        let mixed = (self.home as u64 >> 4 ^ self.offset >> 2).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 58) as usize % BUCKETS
    }
}

/// What a waiting task waits for.
#[derive(Clone, Copy, Default)]
pub(in crate::proc) struct Slot {
    key: Key,
    bits: u32,
}

/// All waiters.
pub(super) struct Queues([List<Task, WAIT>; BUCKETS]);

impl Queues {
    pub const fn new() -> Self {
        Queues([const { List::new() }; BUCKETS])
    }

    /// Enters the current task.
    pub fn enqueue(&mut self, task: TaskRef, key: Key, bits: u32) {
        task.futex.set(Slot { key, bits });
        // SAFETY: the current task is on no wait queue, and takes itself off before it can end.
        unsafe { self.0[key.bucket()].push_back(task.as_ptr()) };
    }

    /// Whether `task`, which has entered, has not been woken yet.
    pub fn is_queued(&self, task: TaskRef) -> bool {
        Linked::<WAIT>::link(&*task).is_linked()
    }

    /// Takes `task` off; whether it still was on.
    pub fn dequeue(&mut self, task: TaskRef) -> bool {
        let queued = self.is_queued(task);
        // SAFETY: it entered this queue and no other.
        unsafe { self.0[task.futex.get().key.bucket()].remove(task.as_ptr()) };
        queued
    }

    /// Takes up to `count` waiters off whose bits meet `bits`, in the order of their coming, and calls `woken` for each.
    pub fn wake(&mut self, key: Key, count: u32, bits: u32, mut woken: impl FnMut(TaskRef)) -> usize {
        let mut done = 0;
        while done < count as usize
            && let Some(task) = self.first(key, bits)
        {
            self.dequeue(task);
            woken(task);
            done += 1;
        }
        done
    }

    /// Takes up to `wake` waiters off, and moves up to `requeue` others to another word. Returns how many of each.
    pub fn requeue(
        &mut self,
        [from, to]: [Key; 2],
        [wake, requeue]: [u32; 2],
        woken: impl FnMut(TaskRef),
    ) -> [usize; 2] {
        let done = self.wake(from, wake, u32::MAX, woken);
        let mut moved = 0;
        while from != to
            && moved < requeue as usize
            && let Some(task) = self.first(from, u32::MAX)
        {
            self.dequeue(task);
            self.enqueue(task, to, task.futex.get().bits);
            moved += 1;
        }
        [done, moved]
    }

    fn first(&self, key: Key, bits: u32) -> Option<TaskRef> {
        // SAFETY: members take themselves off before they end, and the queues are locked.
        let mut tasks = self.0[key.bucket()].iter().map(|task| unsafe { TaskRef::new(task) });
        tasks.find(|task| task.futex.get().key == key && task.futex.get().bits & bits != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Key = Key { home: 0x1000, offset: 8 };
    const B: Key = Key { home: 0x1000, offset: 12 };

    fn waiting<const N: usize>(queues: &mut Queues, key: Key) -> [TaskRef; N] {
        core::array::from_fn(|_| {
            let task = TaskRef::leaked();
            queues.enqueue(task, key, u32::MAX);
            task
        })
    }

    #[test]
    fn the_first_to_come_is_the_first_to_go() {
        let mut queues = Queues::new();
        let [a, b, c] = waiting(&mut queues, A);
        let [other] = waiting(&mut queues, B);
        let mut woken = Vec::new();
        assert_eq!(queues.wake(A, 2, u32::MAX, |task| woken.push(task)), 2);
        assert!(woken == [a, b] && queues.is_queued(c) && queues.is_queued(other));
        assert!(!queues.dequeue(a) && queues.dequeue(c));
        assert_eq!(queues.wake(A, 9, u32::MAX, |_| ()), 0);
        assert_eq!(queues.wake(Key { home: 0x2000, ..B }, 9, u32::MAX, |_| ()), 0);
    }

    #[test]
    fn bits_choose_whom_to_wake() {
        let mut queues = Queues::new();
        let [odd, even] = core::array::from_fn(|_| TaskRef::leaked());
        queues.enqueue(odd, A, 1);
        queues.enqueue(even, A, 2);
        assert_eq!(queues.wake(A, 9, 2, |task| assert!(task == even)), 1);
        assert_eq!(queues.wake(A, 9, 6, |_| ()), 0);
        assert_eq!(queues.wake(A, 9, u32::MAX, |task| assert!(task == odd)), 1);
    }

    #[test]
    fn requeued_waiters_wait_elsewhere_in_order() {
        let mut queues = Queues::new();
        let [a, b, c, d] = waiting(&mut queues, A);
        assert_eq!(queues.requeue([A, B], [1, 2], |task| assert!(task == a)), [1, 2]);
        let mut woken = Vec::new();
        assert_eq!(queues.wake(B, 9, u32::MAX, |task| woken.push(task)), 2);
        assert!(woken == [b, c] && queues.is_queued(d));
        assert_eq!(queues.requeue([A, A], [0, 9], |_| ()), [0, 0], "to itself");
        assert!(queues.dequeue(d));
    }
}
