//! Futexes: threads that wait at a word of memory until another says that it has changed (futex(2)).
//!
//! A waiter enters the queue first and looks at the word then, so that whoever changes the word and wakes afterwards
//! finds it, if it has not seen the change. Nothing is locked while user memory is accessed.
//!
//! Reading a word and writing it back are two steps here (robust locks): no other thread comes in between, because the
//! kernel is not preempted and one CPU runs processes.

mod queue;

pub(super) use queue::Slot;

/// A wait, as far as it can be resumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wait {
    /// The word's address.
    pub addr: usize,
    /// What it must hold.
    pub value: u32,
    /// Which wake-ups count; not 0.
    pub bits: u32,
    /// Until when (nanoseconds since boot; `u64::MAX`: for ever).
    pub deadline: u64,
    /// Who may share the word.
    pub sharing: Sharing,
}

/// Who may share a futex.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sharing {
    /// The threads of the process alone: the address says it all.
    Private,
    /// Whoever maps the same memory.
    Any,
}

#[cfg(target_os = "none")]
pub(super) use calls::release_robust_locks;
#[cfg(target_os = "none")]
pub(crate) use calls::{requeue, wait, wake};

#[cfg(target_os = "none")]
mod calls {
    use super::queue::{Key, Queues};
    use super::{Sharing, Wait};
    use crate::arch::uaccess::{copy_from_user, copy_to_user};
    use crate::errno::{Errno, Result};
    use crate::mm::VmaFlags;
    use crate::proc::process::Process;
    use crate::proc::task::WORK_ENDING;
    use crate::proc::{sched, with_current_mm};

    /// All waiters. A leaf but for the run queue.
    static QUEUES: spin::Mutex<Queues> = spin::Mutex::new(Queues::new());

    fn word(addr: usize) -> Result<u32> {
        let mut bytes = [0; 4];
        copy_from_user(&mut bytes, addr)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    fn key(addr: usize, sharing: Sharing) -> Result<Key> {
        if !addr.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        let private = Key { home: sched::current().space_id(), offset: addr as u64 };
        if sharing == Sharing::Private {
            return Ok(private);
        }
        let va = paging::VirtAddr::new(addr as u64);
        let found = with_current_mm(|space| {
            let vma = space.vmas().find(|vma| vma.start <= va && va < vma.end)?;
            Some(match vma.object_page(va) {
                Some((object, page)) if vma.flags.contains(VmaFlags::SHARED) => Key {
                    home: core::ptr::from_ref(&**object) as usize,
                    offset: page * paging::PAGE_SIZE + addr as u64 % paging::PAGE_SIZE,
                },
                _ => private,
            })
        });
        found.flatten().ok_or(Errno::EFAULT)
    }

    /// Waits until woken.
    ///
    /// # Errors
    /// `EAGAIN`: the word holds something else. `ETIMEDOUT`; `EINTR`; `EFAULT`, `EINVAL`: a bad address.
    pub(crate) fn wait(wait: &Wait) -> Result<()> {
        let key = key(wait.addr, wait.sharing)?;
        let me = sched::current_task();
        word(wait.addr)?; // so that a bad address is found without a trace in the queue
        QUEUES.lock().enqueue(me, key, wait.bits);
        let seen = word(wait.addr);
        let mut outcome = match seen {
            Ok(value) if value == wait.value => None,
            Ok(_) => Some(Err(Errno::EAGAIN)),
            Err(error) => Some(Err(error)),
        };
        while outcome.is_none() {
            me.prepare_to_block();
            outcome = match QUEUES.lock().is_queued(me) {
                false => Some(Ok(())),
                true if me.is_interrupted() => Some(Err(Errno::EINTR)),
                true if sched::is_past(wait.deadline) => Some(Err(Errno::ETIMEDOUT)),
                true => None,
            };
            if outcome.is_some() {
                me.keep_running();
            } else {
                sched::block_until(me, wait.deadline);
            }
        }
        // Who was woken was woken, whatever else happened meanwhile: the waker has counted it.
        let woken = !QUEUES.lock().dequeue(me);
        if woken { Ok(()) } else { outcome.unwrap_or(Ok(())) }
    }

    /// Wakes up to `count` waiters whose bits meet `bits`; returns how many.
    ///
    /// # Errors
    /// `EFAULT`, `EINVAL`: a bad address.
    pub(crate) fn wake(addr: usize, sharing: Sharing, count: u32, bits: u32) -> Result<usize> {
        let key = key(addr, sharing)?;
        Ok(QUEUES.lock().wake(key, count, bits, sched::wake))
    }

    /// Wakes up to `wake` waiters of `from`, and moves up to `requeue` others to `to`, if the word at `from` holds
    /// `expected` or nothing is expected. Returns how many were woken and moved.
    ///
    /// # Errors
    /// `EAGAIN`: it holds something else. `EFAULT`, `EINVAL`: a bad address.
    pub(crate) fn requeue(
        [from, to]: [usize; 2],
        sharing: Sharing,
        [wake, requeue]: [u32; 2],
        expected: Option<u32>,
    ) -> Result<[usize; 2]> {
        let (from_key, to_key) = (key(from, sharing)?, key(to, sharing)?);
        if let Some(expected) = expected
            && word(from)? != expected
        {
            return Err(Errno::EAGAIN);
        }
        Ok(QUEUES.lock().requeue([from_key, to_key], [wake, requeue], sched::wake))
    }

    /// `struct robust_list_head`: the list, from a lock's place in it to its word, and the lock that is being taken.
    type Head = [u64; 3];
    /// No list is longer, so that a ring without end ends (Linux: `ROBUST_LIST_LIMIT`).
    const LIMIT: usize = 2048;
    const WAITERS: u32 = 0x8000_0000;
    const OWNER_DIED: u32 = 0x4000_0000;
    const TID: u32 = 0x3fff_ffff;

    /// Gives up the locks on the thread's robust list: the next owner finds that the last has died. What is not in order is
    /// left alone.
    pub(in crate::proc) fn release_robust_locks(me: &Process) {
        let head = me.robust_list.take();
        if head != 0 {
            me.task.request(WORK_ENDING);
            let _ = walk(head, me.task.pid().get()); // ends where the list does, or at the first bad address
        }
    }

    fn walk(head: usize, tid: u32) -> Result<()> {
        let mut bytes = [0; 24];
        copy_from_user(&mut bytes, head)?;
        let [first, offset, taken]: Head =
            core::array::from_fn(|i| bytes[8 * i..].first_chunk().map_or(0, |w| u64::from_ne_bytes(*w)));
        let mut entry = first;
        for _ in 0..LIMIT {
            if entry & !1 == head as u64 {
                break;
            }
            let mut next = [0; 8];
            copy_from_user(&mut next, (entry & !1) as usize)?;
            if entry & !1 != taken & !1 {
                give_up((entry & !1).wrapping_add(offset) as usize, tid)?;
            }
            entry = u64::from_ne_bytes(next);
        }
        if taken & !1 != 0 {
            give_up((taken & !1).wrapping_add(offset) as usize, tid)?;
        }
        Ok(())
    }

    fn give_up(addr: usize, tid: u32) -> Result<()> {
        let old = word(addr)?;
        if old & TID != tid {
            return Ok(());
        }
        copy_to_user(addr, &(old & WAITERS | OWNER_DIED).to_ne_bytes())?;
        if old & WAITERS != 0 {
            wake(addr, Sharing::Any, 1, u32::MAX)?;
        }
        Ok(())
    }
}
