//! Processes: wait, exit status, signals, parents.

use user::rt::start::Args;
use user::sys::process::{self, Status, WNOHANG, signal};
use user::sys::{Errno, file, time};

use crate::harness::{Outcome, Test, in_child, killed_by};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("exit status reaches the parent", exit_status),
    ("wait4 without children: ECHILD", no_children),
    ("wait4 with WNOHANG", no_hang),
    ("wait4 for a certain child", certain_child),
    ("getpid and getppid", identity),
    ("an orphan gets another parent", orphan),
    ("kill a spinning child", kill_spinning),
    ("kill a blocked child", kill_blocked),
    ("kill a sleeping child", kill_sleeping),
    ("kill reports what it cannot do", kill_errors),
    ("SIGTERM ends a process", sigterm),
    ("writing to a pipe nobody reads: SIGPIPE", sigpipe),
    ("two spinning processes share the CPU", preemption),
    ("2000 forks, one after another", many_forks),
];

const MILLISECOND: u64 = 1_000_000;

fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

fn exit_status(_: Args) -> Outcome {
    for status in [0, 1, 42, 255] {
        check_eq!(in_child(|| status)?, Status((status as u32) << 8));
    }
    check_eq!(in_child(|| 256 + 7)?.exited(), Some(7));
    check_eq!(in_child(|| -1)?.exited(), Some(255));
    Ok(())
}

fn no_children(_: Args) -> Outcome {
    check_eq!(process::wait_for(-1, 0), Err(Errno::ECHILD));
    check_eq!(process::wait_for(-1, WNOHANG), Err(Errno::ECHILD));
    check_eq!(process::wait_for(process::getpid(), 0), Err(Errno::ECHILD));
    check_eq!(process::wait_for(process::getppid(), WNOHANG), Err(Errno::ECHILD));
    in_child(|| 0)?;
    check_eq!(process::wait_for(-1, 0), Err(Errno::ECHILD));
    check_eq!(process::wait_for(-1, 0x100), Err(Errno::EINVAL));
    Ok(())
}

fn no_hang(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    let child = process::spawn(|| i32::from(file::read(pipe.read, &mut [0]).is_err()))?;
    check_eq!(process::wait_for(child, WNOHANG), Ok(None));
    check_eq!(process::wait_for(-1, WNOHANG), Ok(None));
    file::write_all(pipe.write, &[1])?;
    check_eq!(process::wait_for(-1, 0), Ok(Some((child, Status(0)))));
    Ok(())
}

fn certain_child(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    let first = process::spawn(|| {
        let _ = file::read(pipe.read, &mut [0]);
        1
    })?;
    let second = process::spawn(|| 2)?;
    check!(first != second);
    check_eq!(process::wait_for(second, 0), Ok(Some((second, Status(2 << 8)))));
    check_eq!(process::wait_for(second, 0), Err(Errno::ECHILD));
    file::write_all(pipe.write, &[1])?;
    check_eq!(process::wait(first)?.exited(), Some(1));
    Ok(())
}

fn identity(_: Args) -> Outcome {
    let me = process::getpid();
    check!(me > 0 && process::getppid() != me);
    let status = in_child(|| i32::from(process::getppid() != me || process::getpid() == me))?;
    check_eq!(status.exited(), Some(0));
    Ok(())
}

fn orphan(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    let status = in_child(|| {
        let parent = process::getpid();
        let orphan = process::spawn(|| {
            while process::getppid() == parent {
                process::yield_now();
            }
            i32::from(file::write_all(pipe.write, &[1]).is_err())
        });
        i32::from(orphan.is_err())
    })?;
    check_eq!(status.exited(), Some(0));
    check_eq!(file::read(pipe.read, &mut [0]), Ok(1));
    check_eq!(process::wait_for(-1, WNOHANG), Err(Errno::ECHILD));
    Ok(())
}

fn kill_spinning(_: Args) -> Outcome {
    let child = process::spawn(|| spin())?;
    time::sleep_ns(20 * MILLISECOND)?;
    check_eq!(process::wait_for(child, WNOHANG), Ok(None));
    process::kill(child, signal::SIGKILL)?;
    check_eq!(process::wait(child)?.signalled(), Some(signal::SIGKILL));
    Ok(())
}

fn kill_blocked(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    let child = process::spawn(|| i32::from(file::read(pipe.read, &mut [0]).is_ok()))?;
    time::sleep_ns(5 * MILLISECOND)?;
    process::kill(child, signal::SIGKILL)?;
    check_eq!(process::wait(child)?.signalled(), Some(signal::SIGKILL));
    Ok(())
}

fn kill_sleeping(_: Args) -> Outcome {
    let child = process::spawn(|| i32::from(time::sleep_ns(1000 * 1000 * MILLISECOND).is_ok()))?;
    let pipe = file::pipe(0)?;
    let waiting = process::spawn(|| {
        // A process that waits for a child of its own is asleep as well.
        let _ = in_child(|| i32::from(file::read(pipe.read, &mut [0]).is_err()));
        0
    })?;
    time::sleep_ns(5 * MILLISECOND)?;
    for pid in [child, waiting] {
        process::kill(pid, signal::SIGKILL)?;
        check_eq!(process::wait(pid)?.signalled(), Some(signal::SIGKILL));
    }
    // The grandchild is an orphan now; it is let go.
    file::write_all(pipe.write, &[1])?;
    Ok(())
}

fn kill_errors(_: Args) -> Outcome {
    check_eq!(process::kill(process::getpid(), 0), Ok(()));
    check_eq!(process::kill(0x3fff_fffe, 0), Err(Errno::ESRCH));
    check_eq!(process::kill(process::getpid(), 65), Err(Errno::EINVAL));
    let child = process::spawn(|| 0)?;
    process::wait(child)?;
    check_eq!(process::kill(child, signal::SIGKILL), Err(Errno::ESRCH));
    Ok(())
}

fn sigterm(_: Args) -> Outcome {
    let child = process::spawn(|| spin())?;
    process::kill(child, signal::SIGTERM)?;
    check_eq!(process::wait(child)?.signalled(), Some(signal::SIGTERM));
    killed_by(signal::SIGTERM, || process::kill(process::getpid(), signal::SIGTERM))
}

fn sigpipe(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    file::close(pipe.read)?;
    killed_by(signal::SIGPIPE, || file::write(pipe.write, b"x"))
}

fn preemption(_: Args) -> Outcome {
    // Neither ever gives way by itself, so both can only get on by the timer.
    let flags = user::sys::memory::map(4096, user::sys::memory::READ_WRITE, user::sys::memory::SHARED)?;
    let [mine, other] = [flags, flags + 8].map(|addr| {
        // SAFETY: the fresh mapping, for good, used by atomics alone.
        unsafe { &*(addr as *const core::sync::atomic::AtomicU64) }
    });
    use core::sync::atomic::Ordering::Relaxed;
    const ROUNDS: u64 = 5;
    let child = process::spawn(|| {
        for round in 1..=ROUNDS {
            while mine.load(Relaxed) < round {}
            other.store(round, Relaxed);
        }
        0
    })?;
    for round in 1..=ROUNDS {
        mine.store(round, Relaxed);
        while other.load(Relaxed) < round {}
    }
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}

fn many_forks(_: Args) -> Outcome {
    for _ in 0..2000 {
        check_eq!(in_child(|| 3)?.exited(), Some(3));
    }
    Ok(())
}
