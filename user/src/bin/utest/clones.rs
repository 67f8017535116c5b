//! Processes of their own that share memory, files or signal handlers with their parent.

use core::ptr::null;
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use linux_raw_sys::general::{
    __NR_clone, __NR_fcntl, __NR_pidfd_getfd, __NR_waitid, CLONE_CHILD_CLEARTID, CLONE_DETACHED, CLONE_FILES,
    CLONE_FS, CLONE_PARENT_SETTID, CLONE_PIDFD, CLONE_SIGHAND, CLONE_THREAD, CLONE_VM, F_SETFL, O_NONBLOCK,
    P_PIDFD, POLLIN, WEXITED,
};
use user::counters::field;
use user::rt::start::Args;
use user::sys::memory::{self, PRIVATE, READ_WRITE};
use user::sys::process::{self, signal::*};
use user::sys::signal::{self, Context, Info};
use user::sys::thread::{self, clone, wake};
use user::sys::{Errno, file, raw, time, tree};

use crate::harness::{Outcome, Test, Trouble};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("a process that shares memory, and nothing else", memory_alone),
    ("a process that shares files, and one that shares the working directory", files_alone),
    ("processes that share signal handlers", handlers),
    ("shared memory stays while one of those who share it does", outlives),
    ("who executes a program leaves shared memory", executes),
    ("processes that share memory wait at a private futex", futexes),
    ("memory that is shared is promised once", promised_once),
    ("a descriptor of the child, and of what it has open", descriptors),
    ("clones that there are not", refused),
];

/// The word holds the child's number until it is done with the memory.
const OPTIONS: u32 = CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;

static WORD: AtomicU32 = AtomicU32::new(0);
static TID: AtomicU32 = AtomicU32::new(0);
static FD: AtomicU32 = AtomicU32::new(0);

fn wait_until_cleared() {
    loop {
        match TID.load(SeqCst) {
            0 => return,
            tid => drop(thread::wait_shared(&TID, tid)),
        }
    }
}

extern "C" fn on_signal(_: u32, _: *const Info, _: *mut Context) {
    WORD.fetch_add(0x100, SeqCst);
}

/// Changes whatever may be shared: the word, the descriptor, the working directory, the handler.
extern "C" fn change(arg: usize) {
    WORD.store(arg as u32, SeqCst);
    let _ = file::close(FD.load(SeqCst) as file::Fd);
    let _ = tree::chdir(c"/proc");
    let _ = signal::handle(SIGUSR1, on_signal, 0, 0);
    process::exit(7);
}

/// Which of the four the child has changed for this process as well.
fn changed(flags: u32) -> Result<[bool; 4], Trouble> {
    WORD.store(0, SeqCst);
    signal::action(SIGUSR1, 1, 0, 0)?; // ignored
    tree::chdir(c"/")?;
    let pipe = file::pipe(0)?;
    FD.store(pipe.read as u32, SeqCst);
    let child = clone(flags | OPTIONS, &TID, change, 5)?;
    check!(child != process::getpid());
    if flags & CLONE_VM != 0 {
        wait_until_cleared();
    }
    check_eq!(process::wait(child)?.exited(), Some(7));
    let mut buffer = [0; 16];
    let moved = tree::getcwd(&mut buffer)?.starts_with(b"/proc");
    tree::chdir(c"/")?;
    let closed = file::close(pipe.read) == Err(Errno::EBADF);
    file::close(pipe.write)?;
    let word = WORD.load(SeqCst) == 5;
    process::kill(process::getpid(), SIGUSR1)?;
    Ok([word, closed, moved, WORD.load(SeqCst) >= 0x100])
}

fn memory_alone(_: Args) -> Outcome {
    check_eq!(changed(CLONE_VM)?, [true, false, false, false]);
    check_eq!(changed(0)?, [false; 4]);
    check_eq!(changed(CLONE_VM)?, [true, false, false, false]);
    Ok(())
}

fn files_alone(_: Args) -> Outcome {
    check_eq!(changed(CLONE_FILES)?, [false, true, false, false]);
    check_eq!(changed(CLONE_FS)?, [false, false, true, false]);
    check_eq!(changed(CLONE_FS | CLONE_FILES | CLONE_VM)?, [true, true, true, false]);
    check_eq!(changed(0)?, [false; 4]);
    Ok(())
}

fn handlers(_: Args) -> Outcome {
    check_eq!(changed(CLONE_VM | CLONE_SIGHAND)?, [true, false, false, true]);
    check_eq!(changed(CLONE_VM | CLONE_SIGHAND | CLONE_FILES | CLONE_FS)?, [true; 4]);
    check_eq!(changed(CLONE_VM)?, [true, false, false, false]);
    Ok(())
}

/// Writes to memory that the parent has written to before, which is gone by now, and says what is there.
extern "C" fn go_on(page: usize) {
    let mut byte = [0];
    let fd = FD.load(SeqCst) as file::Fd;
    let _ = file::read(fd, &mut byte);
    // SAFETY: both processes' mapping, which atomic words are accessed in.
    let word = unsafe { &*(page as *const AtomicU32) };
    let fresh = memory::map(memory::page_size(), READ_WRITE, PRIVATE);
    let good = word.fetch_add(1, SeqCst) == 41 && fresh.is_ok();
    let _ = file::write(WORD.load(SeqCst) as file::Fd, &[if good { word.load(SeqCst) as u8 } else { 0 }]);
    process::exit(0);
}

fn outlives(_: Args) -> Outcome {
    let (gone, told) = (file::pipe(0)?, file::pipe(0)?);
    let parent = process::spawn(|| {
        let Ok(page) = memory::map(memory::page_size(), READ_WRITE, PRIVATE) else { return 1 };
        // SAFETY: the fresh mapping.
        unsafe { &*(page as *const AtomicU32) }.store(41, SeqCst);
        FD.store(gone.read as u32, SeqCst);
        WORD.store(told.write as u32, SeqCst);
        if clone(CLONE_VM, &TID, go_on, page).is_ok() { 0 } else { 2 }
    })?;
    check_eq!(process::wait(parent)?.exited(), Some(0));
    file::close(told.write)?;
    let mut byte = [0];
    file::write(gone.write, b"x")?;
    check_eq!((file::read(told.read, &mut byte), byte[0]), (Ok(1), 42));
    check_eq!(file::read(told.read, &mut byte), Ok(0));
    Ok(())
}

extern "C" fn execute(_: usize) {
    let _ = process::execve(c"/bin/true", &[c"true".as_ptr(), null()], &[null()]);
    process::exit(9);
}

extern "C" fn dawdle(fd: usize) {
    let _ = file::read(fd as file::Fd, &mut [0]);
    WORD.fetch_add(1, SeqCst);
    process::exit(3);
}

extern "C" fn sleep(_: usize) {
    let _ = time::sleep_ns(60_000_000_000);
}

fn executes(_: Args) -> Outcome {
    WORD.store(1, SeqCst);
    let child = clone(CLONE_VM | CLONE_SIGHAND | CLONE_FILES | OPTIONS, &TID, execute, 0)?;
    wait_until_cleared();
    check_eq!(process::wait(child)?.exited(), Some(0));
    check_eq!(WORD.load(SeqCst), 1);
    // The other way round: the parent executes a program, and the child goes on with the memory.
    let pipe = file::pipe(0)?;
    let parent = process::spawn(|| {
        if clone(CLONE_VM, &TID, dawdle, pipe.read as usize).is_ok() {
            execute(0);
        }
        1
    })?;
    check_eq!(process::wait(parent)?.exited(), Some(0));
    file::write(pipe.write, b"x")?;
    // A killed one takes nobody along.
    let child = clone(CLONE_VM, &TID, sleep, 0)?;
    process::kill(child, SIGKILL)?;
    check_eq!(process::wait(child)?.signalled(), Some(SIGKILL));
    check_eq!(WORD.load(SeqCst), 1);
    Ok(())
}

extern "C" fn answer(_: usize) {
    while WORD.load(SeqCst) == 0 {
        let _ = thread::wait(&WORD, 0);
    }
    WORD.store(2, SeqCst);
    let _ = wake(&WORD, 1);
    process::exit(0);
}

fn futexes(_: Args) -> Outcome {
    WORD.store(0, SeqCst);
    let child = clone(CLONE_VM, &TID, answer, 0)?;
    time::sleep_ns(2_000_000)?;
    WORD.store(1, SeqCst);
    check_eq!(wake(&WORD, 1), Ok(1));
    while WORD.load(SeqCst) == 1 {
        let _ = thread::wait(&WORD, 1);
    }
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}

fn promised() -> Result<u64, Trouble> {
    let mut buffer = [0; 4096];
    field(file::read_file(c"/proc/meminfo", &mut buffer)?, "Committed_AS").ok_or(Trouble::Skip("no meminfo"))
}

fn promised_once(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    memory::map(64 << 20, READ_WRITE, PRIVATE)?;
    let before = promised()?;
    let child = clone(CLONE_VM, &TID, dawdle, pipe.read as usize)?;
    check!(promised()? < before + (32 << 10));
    file::write(pipe.write, b"x")?;
    check_eq!(process::wait(child)?.exited(), Some(3));
    Ok(())
}

/// waitid by a descriptor of a process; `WEXITED` alone.
fn wait_by(pidfd: usize) -> Result<(), Errno> {
    let mut info = [0u64; 16];
    let args = [P_PIDFD as usize, pidfd, info.as_mut_ptr() as usize, WEXITED as usize];
    // SAFETY: the kernel writes a `siginfo_t`, which is as large.
    unsafe { raw(__NR_waitid, args) }.map(drop)
}

fn take_descriptor(pidfd: usize, fd: usize, flags: usize) -> Result<file::Fd, Errno> {
    // SAFETY: no memory.
    unsafe { raw(__NR_pidfd_getfd, [pidfd, fd, flags]) }.map(|fd| fd as file::Fd)
}

/// Makes a pipe, says which, and waits at another.
extern "C" fn own_pipe(fd: usize) {
    if let Ok(pipe) = file::pipe(0) {
        let _ = file::write(pipe.write, b"own");
        WORD.store(pipe.read as u32, SeqCst);
        let _ = wake(&WORD, 1);
    }
    dawdle(fd);
}

fn descriptors(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    WORD.store(0, SeqCst);
    let child = clone(CLONE_VM | CLONE_PIDFD, &TID, own_pipe, pipe.read as usize)?;
    let pidfd = TID.load(SeqCst) as usize;
    while WORD.load(SeqCst) == 0 {
        let _ = thread::wait(&WORD, 0);
    }
    let theirs = WORD.load(SeqCst) as usize;
    let mine = take_descriptor(pidfd, theirs, 0)?;
    let mut bytes = [0; 3];
    check_eq!((file::read(mine, &mut bytes), &bytes), (Ok(3), b"own"));
    check_eq!(take_descriptor(pidfd, theirs, 1), Err(Errno::EINVAL));
    check_eq!(take_descriptor(pidfd, 900, 0), Err(Errno::EBADF));
    check_eq!(take_descriptor(mine as usize, theirs, 0), Err(Errno::EBADF));

    check_eq!(file::poll(pidfd as file::Fd, POLLIN as u16, 0), Ok(0));
    // SAFETY: no memory.
    unsafe { raw(__NR_fcntl, [pidfd, F_SETFL as usize, O_NONBLOCK as usize]) }?;
    check_eq!(wait_by(pidfd), Err(Errno::EAGAIN));
    file::write(pipe.write, b"x")?;
    check_eq!(file::poll(pidfd as file::Fd, POLLIN as u16, 5_000_000_000), Ok(POLLIN as u16));
    check_eq!(take_descriptor(pidfd, theirs, 0), Err(Errno::ESRCH));
    wait_by(pidfd)?;
    check_eq!(process::wait_for(child, 0), Err(Errno::ECHILD));
    check_eq!(wait_by(pidfd), Err(Errno::ECHILD));
    // Whatever fails leaves no descriptor behind.
    // SAFETY: a fork, refused for its bad address.
    let bad = unsafe { raw(__NR_clone, [(CLONE_PIDFD | SIGCHLD) as usize, 0, 16]) };
    check_eq!(bad, Err(Errno::EFAULT));
    let next = file::pipe(0)?;
    check!(next.read as usize <= mine as usize + 1);
    Ok(())
}

fn refused(_: Args) -> Outcome {
    check_eq!(clone(CLONE_PIDFD | CLONE_PARENT_SETTID, &TID, change, 0), Err(Errno::EINVAL));
    check_eq!(clone(CLONE_PIDFD | CLONE_DETACHED, &TID, change, 0), Err(Errno::EINVAL));
    for flags in [CLONE_SIGHAND, CLONE_THREAD, CLONE_THREAD | CLONE_SIGHAND, CLONE_SIGHAND | CLONE_FILES] {
        check_eq!(clone(flags, &TID, change, 0), Err(Errno::EINVAL));
    }
    Ok(())
}
