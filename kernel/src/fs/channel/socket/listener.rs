//! Who listens where, and connections that wait to be accepted.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use spin::Mutex;

use super::Stream;
use super::address::Address;
use crate::errno::{Errno, Result};
use crate::fs::file::wait::WaitQueue;
use crate::util::Ref;

/// Connections that may wait at one listener, whatever it asks for (`somaxconn`).
const MOST: usize = 4096;
/// Ports that are given to who does not ask for one, as on Linux (`ip_local_port_range`).
const PORTS: core::ops::Range<u16> = 32768..61000;

/// All listeners, in no order.
static LISTENERS: Mutex<Vec<(Address, Ref<Listener>)>> = Mutex::new(Vec::new());

/// A place where connections are made.
pub(super) struct Listener {
    queue: Mutex<Queue>,
    changed: WaitQueue,
    /// How many connections were made.
    made: AtomicU64,
}

struct Queue {
    waiting: VecDeque<Stream>,
    backlog: usize,
    closed: bool,
}

/// Begins to listen.
///
/// # Errors
/// `EADDRINUSE`; `ENOMEM`.
pub(super) fn listen(address: Address, backlog: usize) -> Result<Ref<Listener>> {
    let queue = Queue { waiting: VecDeque::new(), backlog: clamp(backlog), closed: false };
    let listener = Ref::try_new(Listener {
        queue: Mutex::new(queue),
        changed: WaitQueue::new(),
        made: AtomicU64::new(0),
    })?;
    let mut all = LISTENERS.lock();
    if all.iter().any(|(its, _)| *its == address) {
        return Err(Errno::EADDRINUSE);
    }
    all.try_reserve(1)?;
    all.push((address, listener.clone()));
    Ok(listener)
}

/// Who listens at `address`.
pub(super) fn find(address: &Address) -> Option<Ref<Listener>> {
    LISTENERS.lock().iter().find(|(its, _)| its == address).map(|(_, listener)| listener.clone())
}

/// Stops to listen; who waits in the queue is disconnected.
pub(super) fn close(listener: &Ref<Listener>) {
    let mut all = LISTENERS.lock();
    let index = all.iter().position(|(_, its)| Ref::ptr_eq(its, listener));
    let entry = index.map(|index| all.swap_remove(index));
    drop(all);
    let mut queue = listener.queue.lock();
    queue.closed = true;
    let waiting = core::mem::take(&mut queue.waiting);
    drop(queue);
    drop((entry, waiting));
    listener.changed.wake_all();
}

/// A port nobody listens at, each time another.
///
/// # Errors
/// `EADDRINUSE`: there is none.
pub(super) fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in PORTS {
        let port = PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
        if find(&Address::Port(port)).is_none() {
            return Ok(port);
        }
    }
    Err(Errno::EADDRINUSE)
}

fn clamp(backlog: usize) -> usize {
    backlog.clamp(1, MOST)
}

impl Listener {
    /// Changes how many connections may wait.
    pub fn set_backlog(&self, backlog: usize) {
        self.queue.lock().backlog = clamp(backlog);
        self.changed.wake_all();
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queue.lock().waiting.is_empty()
    }

    /// How many connections were made.
    pub fn generation(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Takes the oldest connection.
    ///
    /// # Errors
    /// `EAGAIN`: none, and `nonblocking`; `EINVAL`: closed meanwhile; `EINTR`.
    pub fn accept(&self, nonblocking: bool) -> Result<Stream> {
        let stream = self.changed.wait_until(|| {
            let mut queue = self.queue.lock();
            match queue.waiting.pop_front() {
                Some(stream) => Some(Ok(stream)),
                None if queue.closed => Some(Err(Errno::EINVAL)),
                None => nonblocking.then_some(Err(Errno::EAGAIN)),
            }
        })??;
        self.changed.wake_all();
        Ok(stream)
    }

    /// Adds a connection.
    ///
    /// # Errors
    /// `ECONNREFUSED`: closed; `EAGAIN`: no room, and `nonblocking`; `EINTR`; `ENOMEM`.
    pub fn connect(&self, stream: Stream, nonblocking: bool) -> Result<()> {
        let mut stream = Some(stream);
        self.changed.wait_until(|| {
            let mut queue = self.queue.lock();
            if queue.closed {
                return Some(Err(Errno::ECONNREFUSED));
            }
            if queue.waiting.len() >= queue.backlog {
                return nonblocking.then_some(Err(Errno::EAGAIN));
            }
            if let Err(error) = queue.waiting.try_reserve(1) {
                return Some(Err(error.into()));
            }
            queue.waiting.extend(stream.take());
            Some(Ok(()))
        })??;
        self.made.fetch_add(1, Ordering::Relaxed);
        self.changed.wake_all();
        Ok(())
    }
}
