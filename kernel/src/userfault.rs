//! userfaultfd(2): faults that a program resolves.
//!
//! ```text
//!   a thread faults in a registered range          the monitor, with the descriptor
//!   1  the fault is entered here  ---------------> read: what happened, and where
//!   2  the thread sleeps                           fills the page (UFFDIO_COPY and others)
//!   4  it repeats the access  <------------------- wakes all who wait in the range
//! ```
//!
//! A fault is entered under the lock of the address space, which whoever fills a page takes as well: no wake-up can come
//! between the look at the tables and the entry. It is taken out by the thread itself, however its wait ends.
//!
//! The address space has a reference to each of its monitors. One whose descriptor is closed stays there, *closed*, and
//! is noticed by the next fault: it wakes who waits, and nobody waits for it any more.
//!
//! Locks: the state's is a leaf, held for a moment and never while a queue is woken.

use alloc::vec::Vec;

use linux_raw_sys::general as linux;
use spin::Mutex;

pub mod feature;
mod message;

pub use message::{Fault, MESSAGE_BYTES, Missed};

use crate::errno::{Errno, Result};
use crate::fs::file::wait::WaitQueue;

/// A fault that waits.
struct Entry {
    ticket: u64,
    fault: Fault,
    told: bool,
    woken: bool,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    next: u64,
    /// What the program asked for; none before it asked (UFFDIO_API).
    features: Option<u64>,
    closed: bool,
}

/// What a descriptor of userfaultfd stands for.
#[derive(Default)]
pub struct Monitor {
    state: Mutex<State>,
    readers: WaitQueue,
    faults: WaitQueue,
    /// Faults of the kernel, in system calls of the program, are not reported (UFFD_USER_MODE_ONLY).
    user_only: bool,
}

impl Monitor {
    /// A monitor that has not been asked for anything yet.
    pub fn new(user_only: bool) -> Self {
        Monitor { user_only, ..Monitor::default() }
    }

    /// Whether it hears of the program's own faults only.
    pub fn is_user_only(&self) -> bool {
        self.user_only
    }

    /// Agrees on features. Once.
    ///
    /// # Errors
    /// `EINVAL`: there were some already.
    pub fn agree(&self, features: u64) -> Result<()> {
        let mut state = self.state.lock();
        match state.features {
            Some(_) => Err(Errno::EINVAL),
            None => {
                state.features = Some(features);
                Ok(())
            }
        }
    }

    /// Whether features have been agreed on: before that it serves for nothing.
    pub fn is_ready(&self) -> bool {
        self.state.lock().features.is_some()
    }

    /// Whether the program asked for `feature`.
    pub fn has(&self, feature: u64) -> bool {
        self.state.lock().features.is_some_and(|features| features & feature != 0)
    }

    /// Nobody has the descriptor any more.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.faults.wake_all();
    }

    /// Whether its descriptor is closed.
    pub fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Enters a fault and returns what it is known by. Under the lock of the address space.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn enter(&self, fault: Fault) -> Result<u64> {
        let ticket = {
            let mut state = self.state.lock();
            state.entries.try_reserve(1)?;
            let ticket = state.next;
            state.next += 1;
            state.entries.push(Entry { ticket, fault, told: false, woken: false });
            ticket
        };
        self.readers.wake_all();
        Ok(ticket)
    }

    /// Waits until the fault entered as `ticket` is to be repeated, and forgets it. A fault of EL0 (`user`) is repeated
    /// after a signal too; one in a system call waits on, unless the thread is to end.
    ///
    /// # Errors
    /// `EINTR`: there is a signal to deal with first, or the thread is to end.
    pub fn wait(&self, ticket: u64, user: bool) -> Result<()> {
        let is_over = || {
            let state = self.state.lock();
            let entry = state.entries.iter().find(|entry| entry.ticket == ticket);
            (state.closed || entry.is_none_or(|entry| entry.woken)).then_some(())
        };
        let outcome = if user { self.faults.wait_until(is_over) } else { self.faults.wait_killable(is_over) };
        self.state.lock().entries.retain(|entry| entry.ticket != ticket);
        outcome
    }

    /// Lets the faults in `start..end` (bytes) be repeated.
    pub fn wake(&self, start: u64, end: u64) {
        let mut any = false;
        for entry in &mut self.state.lock().entries {
            let here = (start..end).contains(&entry.fault.addr);
            entry.woken |= here;
            any |= here;
        }
        if any {
            self.faults.wake_all();
        }
    }

    /// Whether the fault entered as `ticket` is not to be repeated yet.
    #[cfg(test)]
    pub(crate) fn is_waiting(&self, ticket: u64) -> bool {
        self.state.lock().entries.iter().any(|entry| entry.ticket == ticket && !entry.woken)
    }

    /// The next message, if there is one; its fault goes on waiting, but is not told again.
    fn next(&self) -> Option<[u8; MESSAGE_BYTES]> {
        let mut state = self.state.lock();
        let features = state.features.unwrap_or(0);
        let entry = state.entries.iter_mut().find(|entry| !entry.told && !entry.woken)?;
        entry.told = true;
        Some(entry.fault.message(features))
    }

    /// The next message; waits for one unless `nonblocking`.
    ///
    /// # Errors
    /// `EINVAL`: nothing has been agreed on; `EAGAIN`: there is none, and `nonblocking`; `EINTR`.
    pub fn message(&self, nonblocking: bool) -> Result<[u8; MESSAGE_BYTES]> {
        if !self.is_ready() {
            return Err(Errno::EINVAL);
        }
        self.readers.wait_until(|| match self.next() {
            Some(message) => Some(Ok(message)),
            None => nonblocking.then_some(Err(Errno::EAGAIN)),
        })?
    }

    /// What poll finds. Of a descriptor that is not `nonblocking` that is an error, as on Linux: another reader could
    /// take what poll has promised.
    pub fn readiness(&self, nonblocking: bool) -> u32 {
        let state = self.state.lock();
        match state.features {
            Some(_) if nonblocking => {
                let untold = state.entries.iter().any(|entry| !entry.told && !entry.woken);
                if untold { linux::POLLIN | linux::POLLRDNORM } else { 0 }
            }
            _ => linux::POLLERR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(addr: u64, why: Missed, write: bool) -> Fault {
        Fault { addr, why, write, thread: 7 }
    }

    #[test]
    fn nothing_works_before_features_are_agreed_on() {
        let monitor = Monitor::new(false);
        assert_eq!((monitor.message(true), monitor.readiness(true)), (Err(Errno::EINVAL), linux::POLLERR));
        assert_eq!((monitor.agree(0), monitor.agree(0)), (Ok(()), Err(Errno::EINVAL)));
        assert_eq!((monitor.message(true), monitor.readiness(true)), (Err(Errno::EAGAIN), 0));
        assert_eq!(monitor.readiness(false), linux::POLLERR);
    }

    #[test]
    fn each_fault_is_told_once_and_in_order() {
        let monitor = Monitor::new(false);
        monitor.agree(1 << 8 | 1 << 11).unwrap();
        monitor.enter(fault(0x5123, Missed::Protected, true)).unwrap();
        monitor.enter(fault(0x9000, Missed::Minor, false)).unwrap();
        assert_eq!(monitor.readiness(true), linux::POLLIN | linux::POLLRDNORM);
        let word = |bytes: &[u8], at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
        let first = monitor.message(true).unwrap();
        assert_eq!((first[0], word(&first, 8), word(&first, 16), word(&first, 24)), (0x12, 3, 0x5123, 7));
        let second = monitor.message(true).unwrap();
        assert_eq!((word(&second, 8), word(&second, 16)), (4, 0x9000));
        assert_eq!(monitor.message(true), Err(Errno::EAGAIN));
    }

    #[test]
    fn without_the_features_the_page_is_told_and_no_thread() {
        let monitor = Monitor::new(false);
        monitor.agree(0).unwrap();
        let addr = 3 * paging::PAGE_SIZE;
        monitor.enter(fault(addr + 5, Missed::Missing, false)).unwrap();
        let message = monitor.message(true).unwrap();
        assert_eq!(message[16..24], addr.to_ne_bytes());
        assert_eq!(message[24..], [0; 8]);
    }

    #[test]
    fn only_faults_in_the_range_go_on() {
        let monitor = Monitor::new(false);
        monitor.agree(0).unwrap();
        let [first, second] = [1, 2].map(|page| page * paging::PAGE_SIZE);
        let tickets = [first, second].map(|addr| monitor.enter(fault(addr, Missed::Missing, true)).unwrap());
        monitor.wake(first, second);
        assert!(!monitor.is_waiting(tickets[0]) && monitor.is_waiting(tickets[1]));
        monitor.wait(tickets[0], true).unwrap();
        // The other is still there to be told, and goes on when the descriptor is closed.
        assert!(monitor.message(true).is_ok_and(|message| message[16..24] == second.to_ne_bytes()));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| monitor.wait(tickets[1], false));
            monitor.close();
            waiter.join().unwrap().unwrap();
        });
        assert!(monitor.is_closed());
    }
}
