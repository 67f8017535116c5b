//! Threads and futexes.

use core::sync::atomic::{AtomicU32, Ordering::*};

use linux_raw_sys::general as linux;

use super::memory;
use super::process::Pid;
use super::{Result, errno, raw};
use crate::rt::thread::clone_to;

/// Bytes of a thread's stack.
const STACK: usize = 64 << 10;

/// A thread that has been started. Its stack is never given back.
pub struct Thread {
    /// Its number.
    pub tid: Pid,
    /// Holds the number until the thread has ended, then 0.
    alive: &'static AtomicU32,
}

/// Starts a thread that calls `entry(arg)` and ends with that.
///
/// # Errors
/// `ENOMEM`, `EAGAIN`.
pub fn start(entry: extern "C" fn(usize), arg: usize) -> Result<Thread> {
    const FLAGS: u32 = linux::CLONE_VM
        | linux::CLONE_FS
        | linux::CLONE_FILES
        | linux::CLONE_SIGHAND
        | linux::CLONE_THREAD
        | linux::CLONE_PARENT_SETTID
        | linux::CLONE_CHILD_CLEARTID;
    let stack = memory::map(STACK, memory::READ_WRITE, memory::PRIVATE)?;
    // SAFETY: the lowest word of the fresh mapping, which stays for good; a stack does not get that far.
    let alive = unsafe { &*(stack as *const AtomicU32) };
    let word = alive.as_ptr() as usize;
    // SAFETY: the thread has the mapping for its stack, and shares what it is meant to share.
    let tid = errno::check(unsafe { clone_to(FLAGS as usize, stack + STACK, word, 0, word, entry, arg) })?;
    Ok(Thread { tid: tid as Pid, alive })
}

impl Thread {
    /// Waits until the thread has ended.
    pub fn join(&self) {
        loop {
            match self.alive.load(SeqCst) {
                0 => return,
                // Woken or not, the word says whether it is over. The kernel wakes it as a shared one.
                tid => drop(wait_shared(self.alive, tid)),
            }
        }
    }
}

/// Calls `entry(arg)` in a child that uses this process's memory, with a stack of its own, while this process waits until
/// it has ended or executed a program; returns the child's number.
///
/// # Errors
/// `ENOMEM`, `EAGAIN`.
pub fn vfork(entry: extern "C" fn(usize), arg: usize) -> Result<Pid> {
    let flags = (linux::CLONE_VM | linux::CLONE_VFORK | linux::SIGCHLD) as usize;
    let stack = memory::map(STACK, memory::READ_WRITE, memory::PRIVATE)?;
    // SAFETY: as above, and the parent does not run meanwhile.
    errno::check(unsafe { clone_to(flags, stack + STACK, 0, 0, 0, entry, arg) }).map(|pid| pid as Pid)
}

/// Calls `entry(arg)` in a child, a process of its own that has with it what `flags` says; with CLONE_VM it uses this
/// process's memory, and has a stack of its own there. Returns the child's number. `tid` is where clone's options may write.
///
/// # Errors
/// `EINVAL`: flags that do not go together. `ENOMEM`, `EAGAIN`.
pub fn clone(flags: u32, tid: &AtomicU32, entry: extern "C" fn(usize), arg: usize) -> Result<Pid> {
    let flags = (flags | linux::SIGCHLD) as usize;
    let stack = memory::map(STACK, memory::READ_WRITE, memory::PRIVATE)?;
    let word = tid.as_ptr() as usize;
    // SAFETY: as above; what both use is atomic.
    errno::check(unsafe { clone_to(flags, stack + STACK, word, 0, word, entry, arg) }).map(|pid| pid as Pid)
}

/// This thread's number.
pub fn gettid() -> Pid {
    // SAFETY: no arguments. It cannot fail.
    unsafe { raw(linux::__NR_gettid, []) }.map_or(0, |tid| tid as Pid)
}

/// Ends this thread alone.
pub fn exit_thread() -> ! {
    loop {
        // SAFETY: nothing is left that could be unsound.
        let _ = unsafe { raw(linux::__NR_exit, [0]) };
    }
}

/// Calls futex with everything said.
///
/// # Errors
/// See futex(2).
pub fn futex(
    word: &AtomicU32,
    operation: u32,
    value: u32,
    extra: usize,
    other: usize,
    third: u32,
) -> Result<usize> {
    let args = [word.as_ptr() as usize, operation as usize, value as usize, extra, other, third as usize];
    // SAFETY: the kernel reads the words, and a timeout that the caller vouches for.
    unsafe { raw(linux::__NR_futex, args) }
}

/// Waits at `word` while it holds `value`.
///
/// # Errors
/// `EAGAIN`: it holds something else. `EINTR`.
pub fn wait(word: &AtomicU32, value: u32) -> Result<()> {
    futex(word, linux::FUTEX_WAIT_PRIVATE, value, 0, 0, 0).map(drop)
}

/// As [`wait`], with whoever maps the same memory.
///
/// # Errors
/// As above.
pub fn wait_shared(word: &AtomicU32, value: u32) -> Result<()> {
    futex(word, linux::FUTEX_WAIT, value, 0, 0, 0).map(drop)
}

/// As [`wait`], for up to `ns` nanoseconds.
///
/// # Errors
/// As above; `ETIMEDOUT`.
pub fn wait_for(word: &AtomicU32, value: u32, ns: u64) -> Result<()> {
    let timeout = [ns / 1_000_000_000, ns % 1_000_000_000];
    futex(word, linux::FUTEX_WAIT_PRIVATE, value, timeout.as_ptr() as usize, 0, 0).map(drop)
}

/// Wakes up to `count` who wait at `word`; returns how many.
///
/// # Errors
/// None for memory that is there.
pub fn wake(word: &AtomicU32, count: u32) -> Result<usize> {
    futex(word, linux::FUTEX_WAKE_PRIVATE, count, 0, 0, 0)
}

/// As [`wake`], for those in [`wait_shared`].
///
/// # Errors
/// As above.
pub fn wake_shared(word: &AtomicU32, count: u32) -> Result<usize> {
    futex(word, linux::FUTEX_WAKE, count, 0, 0, 0)
}
