//! Threads, futexes, and children that use their parent's memory.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use linux_raw_sys::general as linux;
use user::rt::start::Args;
use user::sys::process::{self, signal::*};
use user::sys::signal::{self, Context, Info, SA_RESTART, bit};
use user::sys::thread::{self, exit_thread, futex, gettid, start, wake};
use user::sys::{Errno, file, memory, time};

use crate::harness::{Outcome, Test, in_child};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("a thread shares memory and files, and is awaited", one_thread),
    ("threads take turns by futexes", turns),
    ("futex: values, times and bad addresses", futex_errors),
    ("futex: requeue moves waiters", requeue),
    ("a futex in shared memory, between processes", shared_futex),
    ("a hundred threads at once", many),
    ("exit_group ends all threads", group_exit),
    ("the last thread ends the process", last_exit),
    ("a fatal signal ends all threads", group_kill),
    ("a signal for one thread, and one for any", directed),
    ("a stop stops all threads", group_stop),
    ("fork takes one thread along", fork_of_one),
    ("a thread executes a program for the process", exec_in_thread),
    ("vfork: the parent waits and its memory is used", vfork),
    ("vfork and exec", vfork_exec),
    ("vfork: who waits for the child can be killed", vfork_killed),
    ("a robust lock of a dead owner", robust),
    ("/proc/self/task and thread-self name the threads", listed),
];

const MILLISECOND: u64 = 1_000_000;

static WORD: AtomicU32 = AtomicU32::new(0);
static OTHER: AtomicU32 = AtomicU32::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);

extern "C" fn note(arg: usize) {
    WORD.store(arg as u32, SeqCst);
    OTHER.store((gettid() != process::getpid()) as u32, SeqCst);
    let _ = file::close(COUNT.load(SeqCst) as file::Fd);
}

fn one_thread(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    COUNT.store(pipe.read as u32, SeqCst);
    let thread = start(note, 42)?;
    check!(thread.tid != process::getpid());
    thread.join();
    check_eq!([WORD.load(SeqCst), OTHER.load(SeqCst)], [42, 1]);
    check_eq!(file::read(pipe.read, &mut [0]), Err(Errno::EBADF));
    check_eq!(signal::kill_thread(process::getpid(), thread.tid, 0), Err(Errno::ESRCH));
    Ok(())
}

const ROUNDS: u32 = 1000;

extern "C" fn odd_turns(_: usize) {
    for round in (1..ROUNDS).step_by(2) {
        while WORD.load(SeqCst) != round {
            let _ = thread::wait(&WORD, round - 1);
        }
        WORD.store(round + 1, SeqCst);
        let _ = wake(&WORD, 1);
    }
}

fn turns(_: Args) -> Outcome {
    let thread = start(odd_turns, 0)?;
    for round in (0..ROUNDS).step_by(2) {
        while WORD.load(SeqCst) != round {
            let _ = thread::wait(&WORD, round.wrapping_sub(1));
        }
        WORD.store(round + 1, SeqCst);
        wake(&WORD, 1)?;
    }
    thread.join();
    check_eq!(WORD.load(SeqCst), ROUNDS);
    Ok(())
}

fn futex_errors(_: Args) -> Outcome {
    WORD.store(5, SeqCst);
    check_eq!(thread::wait(&WORD, 4), Err(Errno::EAGAIN));
    let start = time::now_ns();
    check_eq!(thread::wait_for(&WORD, 5, 3 * MILLISECOND), Err(Errno::ETIMEDOUT));
    check!(time::now_ns() - start >= 3 * MILLISECOND);
    let now = time::now_ns() + 2 * MILLISECOND;
    let until = [now / 1_000_000_000, now % 1_000_000_000];
    let waited = futex(&WORD, linux::FUTEX_WAIT_BITSET, 5, until.as_ptr() as usize, 0, u32::MAX);
    check_eq!(waited, Err(Errno::ETIMEDOUT));
    check_eq!(futex(&WORD, linux::FUTEX_WAIT_BITSET, 5, 0, 0, 0), Err(Errno::EINVAL));
    check_eq!(futex(&WORD, 99, 0, 0, 0, 0), Err(Errno::ENOSYS));
    check_eq!(wake(&WORD, 9), Ok(0));
    for (addr, error) in [(16usize, Errno::EFAULT), (3, Errno::EINVAL)] {
        // SAFETY: bad addresses, which the kernel refuses.
        let result =
            unsafe { user::sys::raw(linux::__NR_futex, [addr, linux::FUTEX_WAIT as usize, 0, 0, 0, 0]) };
        check_eq!(result, Err(error));
    }
    signal::handle(SIGALRM, count, SA_RESTART, 0)?;
    signal::set_alarm(2000, 0)?;
    check_eq!(thread::wait_for(&WORD, 5, 10_000 * MILLISECOND), Err(Errno::EINTR));
    Ok(())
}

extern "C" fn wait_once(_: usize) {
    let _ = thread::wait(&WORD, 0);
    COUNT.fetch_add(1, SeqCst);
}

fn requeue(_: Args) -> Outcome {
    let threads = [start(wait_once, 0)?, start(wait_once, 0)?, start(wait_once, 0)?];
    time::sleep_ns(5 * MILLISECOND)?;
    let to = OTHER.as_ptr() as usize;
    let requeue = |expected| futex(&WORD, linux::FUTEX_CMP_REQUEUE_PRIVATE, 1, 9, to, expected);
    check_eq!(requeue(1), Err(Errno::EAGAIN));
    check_eq!(requeue(0), Ok(3));
    time::sleep_ns(5 * MILLISECOND)?;
    check_eq!(COUNT.load(SeqCst), 1);
    check_eq!(wake(&WORD, 9), Ok(0));
    check_eq!(wake(&OTHER, 9), Ok(2));
    threads.iter().for_each(thread::Thread::join);
    check_eq!(COUNT.load(SeqCst), 3);
    Ok(())
}

fn shared_futex(_: Args) -> Outcome {
    let page = memory::map(memory::page_size(), memory::READ_WRITE, memory::SHARED)?;
    // SAFETY: the fresh mapping, for good, used by atomics alone.
    let word = unsafe { &*((page + 64) as *const AtomicU32) };
    let child = process::spawn(|| {
        while word.load(SeqCst) == 0 {
            let _ = thread::wait_shared(word, 0);
        }
        i32::from(word.load(SeqCst) != 7)
    })?;
    time::sleep_ns(5 * MILLISECOND)?;
    word.store(7, SeqCst);
    check_eq!(thread::wake_shared(word, 1), Ok(1));
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}

extern "C" fn add(arg: usize) {
    process::yield_now();
    COUNT.fetch_add(arg as u32, SeqCst);
}

fn many(_: Args) -> Outcome {
    for _ in 0..3 {
        COUNT.store(0, SeqCst);
        let mut threads = [const { None }; 100];
        for (index, place) in threads.iter_mut().enumerate() {
            *place = Some(start(add, index)?);
        }
        threads.iter().flatten().for_each(thread::Thread::join);
        check_eq!(COUNT.load(SeqCst), 4950);
    }
    Ok(())
}

extern "C" fn sleep_long(_: usize) {
    let _ = time::sleep_ns(100_000 * MILLISECOND);
}

extern "C" fn spin(_: usize) {
    loop {
        core::hint::spin_loop();
    }
}

extern "C" fn exit_with(arg: usize) {
    process::exit(arg as i32)
}

fn group_exit(_: Args) -> Outcome {
    let status = in_child(|| {
        let started = [start(sleep_long, 0), start(spin, 0)];
        if started.iter().any(Result::is_err) { 1 } else { 17 }
    })?;
    check_eq!(status.exited(), Some(17));
    let status = in_child(|| {
        let started = [start(sleep_long, 0), start(exit_with, 18)];
        if started.iter().any(Result::is_err) {
            return 1;
        }
        loop {
            core::hint::spin_loop();
        }
    })?;
    check_eq!(status.exited(), Some(18));
    Ok(())
}

extern "C" fn sleep_short(_: usize) {
    let _ = time::sleep_ns(5 * MILLISECOND);
    COUNT.fetch_add(1, SeqCst);
}

fn last_exit(_: Args) -> Outcome {
    let start_time = time::now_ns();
    let status = in_child(|| match start(sleep_short, 0) {
        Ok(_) => exit_thread(),
        Err(_) => 1,
    })?;
    check_eq!(status.exited(), Some(0));
    check!(time::now_ns() - start_time >= 5 * MILLISECOND);
    Ok(())
}

fn group_kill(_: Args) -> Outcome {
    for fatal in [SIGKILL, SIGTERM] {
        let child = process::spawn(|| match (start(spin, 0), start(sleep_long, 0)) {
            (Ok(_), Ok(_)) => exit_thread(),
            _ => 1,
        })?;
        time::sleep_ns(5 * MILLISECOND)?;
        process::kill(child, fatal)?;
        check_eq!(process::wait(child)?.signalled(), Some(fatal));
    }
    Ok(())
}

extern "C" fn count(_: u32, _: *const Info, _: *mut Context) {
    WORD.store(gettid() as u32, SeqCst);
    COUNT.fetch_add(1, SeqCst);
}

extern "C" fn block_and_wait(_: usize) {
    OTHER.store(1, SeqCst);
    while OTHER.load(SeqCst) == 1 {
        let _ = time::sleep_ns(MILLISECOND);
    }
}

fn directed(_: Args) -> Outcome {
    signal::handle(SIGUSR1, count, SA_RESTART, 0)?;
    let thread = start(block_and_wait, 0)?;
    while OTHER.load(SeqCst) == 0 {
        process::yield_now();
    }
    signal::kill_thread(process::getpid(), thread.tid, SIGUSR1)?;
    while COUNT.load(SeqCst) == 0 {
        process::yield_now();
    }
    check_eq!(WORD.load(SeqCst), thread.tid as u32);
    // What this thread blocks, the other takes.
    signal::set_mask(bit(SIGUSR1))?;
    process::kill(process::getpid(), SIGUSR1)?;
    while COUNT.load(SeqCst) == 1 {
        process::yield_now();
    }
    check_eq!(WORD.load(SeqCst), thread.tid as u32);
    signal::set_mask(0)?;
    process::kill(process::getpid(), SIGUSR1)?;
    check_eq!([WORD.load(SeqCst), COUNT.load(SeqCst)], [process::getpid() as u32, 3]);
    check_eq!(signal::kill_thread(process::getppid(), thread.tid, SIGUSR1), Err(Errno::ESRCH));
    OTHER.store(2, SeqCst);
    thread.join();
    Ok(())
}

extern "C" fn count_up(arg: usize) {
    // SAFETY: the test's shared word.
    let word = unsafe { &*(arg as *const AtomicU32) };
    loop {
        word.fetch_add(1, SeqCst);
    }
}

fn group_stop(_: Args) -> Outcome {
    let page = memory::map(memory::page_size(), memory::READ_WRITE, memory::SHARED)?;
    // SAFETY: the fresh mapping, for good, used by atomics alone.
    let word = unsafe { &*(page as *const AtomicU32) };
    let child = process::spawn(|| match start(count_up, page) {
        Ok(_) => {
            sleep_long(0);
            0
        }
        Err(_) => 1,
    })?;
    time::sleep_ns(5 * MILLISECOND)?;
    process::kill(child, SIGSTOP)?;
    let stopped = process::wait_for(child, process::WUNTRACED)?;
    check_eq!(stopped.and_then(|(_, status)| status.stopped()), Some(SIGSTOP));
    let then = word.load(SeqCst);
    check!(then > 0);
    time::sleep_ns(15 * MILLISECOND)?;
    check_eq!(word.load(SeqCst), then);
    process::kill(child, SIGCONT)?;
    time::sleep_ns(15 * MILLISECOND)?;
    check!(word.load(SeqCst) > then);
    process::kill(child, SIGKILL)?;
    process::wait(child)?;
    Ok(())
}

fn fork_of_one(_: Args) -> Outcome {
    start(sleep_long, 0)?;
    let status = in_child(|| i32::from(gettid() != process::getpid()))?;
    check_eq!(status.exited(), Some(0));
    process::exit(0)
}

extern "C" fn exec_true(_: usize) {
    process::execve(c"/bin/true", &[c"true".as_ptr(), core::ptr::null()], &[core::ptr::null()]);
    process::exit(99)
}

fn exec_in_thread(_: Args) -> Outcome {
    for leader_stays in [true, false] {
        let child = process::spawn(|| match (start(spin, 0), start(exec_true, 0)) {
            (Ok(_), Ok(_)) if leader_stays => loop {
                core::hint::spin_loop();
            },
            (Ok(_), Ok(_)) => exit_thread(),
            _ => 1,
        })?;
        check_eq!(process::wait(child)?.exited(), Some(0));
    }
    Ok(())
}

extern "C" fn set_word(arg: usize) {
    let _ = time::sleep_ns(3 * MILLISECOND);
    WORD.store(arg as u32, SeqCst);
}

fn vfork(_: Args) -> Outcome {
    let child = thread::vfork(set_word, 9)?;
    check_eq!(WORD.load(SeqCst), 9);
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}

fn vfork_exec(_: Args) -> Outcome {
    let child = thread::vfork(exec_true, 0)?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    extern "C" fn die(_: usize) {
        let _ = process::kill(process::getpid(), SIGKILL);
    }
    let child = thread::vfork(die, 0)?;
    check_eq!(process::wait(child)?.signalled(), Some(SIGKILL));
    Ok(())
}

fn vfork_killed(_: Args) -> Outcome {
    extern "C" fn dawdle(_: usize) {
        let _ = time::sleep_ns(2000 * MILLISECOND);
    }
    let begin = time::now_ns();
    for flags in [linux::CLONE_VFORK, linux::CLONE_VFORK | linux::CLONE_VM] {
        let parent = process::spawn(|| {
            if flags & linux::CLONE_VM != 0 {
                return i32::from(thread::vfork(dawdle, 0).is_err());
            }
            // SAFETY: the child has a copy of the memory.
            if unsafe { user::sys::raw(linux::__NR_clone, [(flags | linux::SIGCHLD) as usize]) } == Ok(0) {
                dawdle(0);
            }
            0
        })?;
        time::sleep_ns(5 * MILLISECOND)?;
        process::kill(parent, SIGKILL)?;
        check_eq!(process::wait(parent)?.signalled(), Some(SIGKILL));
    }
    check!(time::now_ns() - begin < 1000 * MILLISECOND);
    Ok(())
}

/// A `struct robust_list_head` with one lock on it, and the lock.
#[repr(C)]
struct Robust {
    next: usize,
    offset: usize,
    pending: usize,
    entry: usize,
    lock: AtomicU32,
}

extern "C" fn die_with_lock(arg: usize) {
    // SAFETY: the test's own, which nobody else uses now.
    let robust = unsafe { &mut *(arg as *mut Robust) };
    (robust.next, robust.entry) = (arg + 24, arg);
    (robust.offset, robust.pending) = (8, 0);
    robust.lock.store(gettid() as u32 | linux::FUTEX_WAITERS, SeqCst);
    // SAFETY: the list is in memory that stays.
    let _ = unsafe { user::sys::raw(linux::__NR_set_robust_list, [arg, 24]) };
}

fn robust(_: Args) -> Outcome {
    let page = memory::map(memory::page_size(), memory::READ_WRITE, memory::PRIVATE)?;
    start(die_with_lock, page)?.join();
    // SAFETY: the fresh mapping; the thread is gone.
    let lock = unsafe { &(*(page as *const Robust)).lock };
    check_eq!(lock.load(SeqCst), linux::FUTEX_WAITERS | linux::FUTEX_OWNER_DIED);
    Ok(())
}

/// Waits in the thread: notes which one `/proc/thread-self` is, and stays until told to go.
extern "C" fn look_and_wait(_: usize) {
    let mut buffer = [0; 64];
    let own = user::sys::tree::readlink(c"/proc/thread-self", &mut buffer).ok().and_then(|path| {
        let last = path.rsplit(|byte| *byte == b'/').next()?;
        user::text::leading_number(last)
    });
    WORD.store(own.unwrap_or(0) as u32, SeqCst);
    let _ = wake(&WORD, 1);
    while OTHER.load(SeqCst) == 0 {
        let _ = thread::wait(&OTHER, 0);
    }
}

fn listed(_: Args) -> Outcome {
    WORD.store(0, SeqCst);
    OTHER.store(0, SeqCst);
    let thread = start(look_and_wait, 0)?;
    while WORD.load(SeqCst) == 0 {
        let _ = thread::wait(&WORD, 0);
    }
    let task = file::open(c"/proc/self/task", linux::O_RDONLY | linux::O_DIRECTORY)?;
    let mut buffer = [0; 512];
    let bytes = file::directory_entries(task, &mut buffer)?;
    OTHER.store(1, SeqCst);
    wake(&OTHER, 1)?;
    thread.join();
    file::close(task)?;
    check_eq!(WORD.load(SeqCst), thread.tid as u32);
    let (mut at, mut entries) = (0, 0);
    while at < bytes {
        let Some([low, high]) = buffer.get(at + 16..at + 18) else { break };
        at += usize::from(u16::from_ne_bytes([*low, *high])); // d_reclen
        entries += 1;
    }
    check_eq!(entries, 4); // . and .. and two threads
    Ok(())
}
