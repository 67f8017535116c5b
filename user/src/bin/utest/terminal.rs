//! The terminal: line editing, settings, and job control. What is typed comes by TIOCSTI.

use linux_raw_sys::general as linux;
use user::rt::start::Args;
use user::sys::process::{self, WNOHANG, WUNTRACED, signal::*};
use user::sys::signal::{self, Context, Info, SIG_IGN};
use user::sys::{Errno, file, raw, thread, time};

use crate::harness::{Outcome, Test, Trouble, child_passes};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("a terminal belongs to one session", ownership),
    ("lines are edited, raw input is not", editing),
    ("keys send signals to the foreground", keys),
    ("the background is stopped when it reads", background),
    ("a session's end hangs up", hang_up),
];

const MILLISECOND: u64 = 1_000_000;
const TCGETS: u32 = 0x5401;
const TCSETS: u32 = 0x5402;
const TCFLSH: u32 = 0x540b;
const TIOCSCTTY: u32 = 0x540e;
const TIOCGPGRP: u32 = 0x540f;
const TIOCSPGRP: u32 = 0x5410;
const TIOCSTI: u32 = 0x5412;
const TIOCGSID: u32 = 0x5429;

/// A `struct termios`: flags, then characters from byte 17 on.
type Termios = [u8; 36];

fn ioctl<T>(request: u32, arg: &mut T) -> user::sys::Result<usize> {
    // SAFETY: each request here reads or writes what the callers pass.
    unsafe { raw(linux::__NR_ioctl, [0, request as usize, core::ptr::from_mut(arg) as usize]) }
}

fn type_in(keys: &[u8]) -> user::sys::Result<()> {
    keys.iter().try_for_each(|key| ioctl(TIOCSTI, &mut { *key }).map(drop))
}

fn read(buffer: &mut [u8; 32]) -> user::sys::Result<&[u8]> {
    let count = file::read(0, buffer)?;
    Ok(&buffer[..count])
}

/// Runs `body` in a child that leads a session with the terminal.
fn with_terminal(body: impl FnOnce() -> Outcome) -> Outcome {
    if ioctl(TCGETS, &mut [0u8; 36]).is_err() {
        return Err(Trouble::Skip("standard input is no terminal"));
    }
    child_passes(|| {
        process::new_session()?;
        // SAFETY: the argument is a number.
        unsafe { raw(linux::__NR_ioctl, [0, TIOCSCTTY as usize, 1]) }?;
        let mut old = [0; 36];
        ioctl(TCGETS, &mut old)?;
        let mut quiet = old;
        quiet[12] &= !(linux::ECHO as u8);
        ioctl(TCSETS, &mut quiet)?;
        let outcome = body();
        signal::action(linux::SIGTTOU, SIG_IGN, 0, 0)?;
        ioctl(TCSETS, &mut old)?;
        outcome
    })
}

fn number(request: u32) -> user::sys::Result<i32> {
    let mut number = 0i32;
    ioctl(request, &mut number)?;
    Ok(number)
}

fn ownership(_: Args) -> Outcome {
    with_terminal(|| {
        let me = process::getpid();
        check_eq!((number(TIOCGSID)?, number(TIOCGPGRP)?), (me, me));
        check_eq!(ioctl(TIOCSPGRP, &mut 0x3fff_fffei32), Err(Errno::ESRCH));
        check_eq!(ioctl(TIOCSPGRP, &mut -1i32), Err(Errno::EINVAL));
        check_eq!(ioctl(0x5aaa, &mut 0u64), Err(Errno::ENOTTY));
        child_passes(|| {
            process::new_session()?;
            check_eq!(number(TIOCGPGRP), Err(Errno::ENOTTY));
            // SAFETY: the argument is a number.
            let taken = unsafe { raw(linux::__NR_ioctl, [0, TIOCSCTTY as usize, 0]) };
            check_eq!(taken, Err(Errno::EPERM));
            Ok(())
        })
    })
}

fn editing(_: Args) -> Outcome {
    with_terminal(|| {
        let mut buffer = [0; 32];
        type_in(b"ab\x7fc\rrest")?;
        check_eq!(read(&mut buffer)?, b"ac\n");
        type_in(b"\x15\x04")?;
        check_eq!(read(&mut buffer)?, b"");
        let mut settings: Termios = [0; 36];
        ioctl(TCGETS, &mut settings)?;
        let lines = settings;
        settings[12] &= !(linux::ICANON as u8);
        settings[17 + linux::VMIN as usize] = 0;
        settings[17 + linux::VTIME as usize] = 0;
        ioctl(TCSETS, &mut settings)?;
        check_eq!(read(&mut buffer)?, b"");
        type_in(b"a\x7f\x04")?;
        check_eq!(read(&mut buffer)?, b"a\x7f\x04");
        settings[17 + linux::VTIME as usize] = 1;
        ioctl(TCSETS, &mut settings)?;
        let start = time::now_ns();
        check_eq!(read(&mut buffer)?, b"");
        check!(time::now_ns() - start >= 100 * MILLISECOND);
        settings[17 + linux::VMIN as usize] = 3;
        ioctl(TCSETS, &mut settings)?;
        type_in(b"xy")?;
        check_eq!(read(&mut buffer)?, b"xy");
        ioctl(TCSETS, &mut { lines })?;
        type_in(b"lost")?;
        // SAFETY: the argument is a number.
        unsafe { raw(linux::__NR_ioctl, [0, TCFLSH as usize, 0]) }?;
        type_in(b"kept\n")?;
        check_eq!(read(&mut buffer)?, b"kept\n");
        Ok(())
    })
}

fn sleeper() -> i32 {
    let _ = time::sleep_ns(60_000 * MILLISECOND);
    0
}

fn keys(_: Args) -> Outcome {
    with_terminal(|| {
        let job = process::spawn(sleeper)?;
        process::set_group(job, job)?;
        ioctl(TIOCSPGRP, &mut { job })?;
        type_in(b"\x1a")?;
        let stopped = process::wait_for(job, WUNTRACED)?;
        check_eq!(stopped.and_then(|(_, status)| status.stopped()), Some(SIGTSTP));
        process::kill(job, SIGCONT)?;
        type_in(b"\x03")?;
        check_eq!(process::wait(job)?.signalled(), Some(linux::SIGINT));
        // This process was in the background, and got none of it.
        signal::action(linux::SIGTTOU, SIG_IGN, 0, 0)?;
        ioctl(TIOCSPGRP, &mut process::getpid())?;
        check_eq!(number(TIOCGPGRP)?, process::getpid());
        Ok(())
    })
}

fn background(_: Args) -> Outcome {
    with_terminal(|| {
        let job = process::spawn(|| {
            let mut buffer = [0; 32];
            i32::from(read(&mut buffer) != Ok(b"now\n"))
        })?;
        process::set_group(job, job)?;
        let stopped = process::wait_for(job, WUNTRACED)?;
        check_eq!(stopped.and_then(|(_, status)| status.stopped()), Some(linux::SIGTTIN));
        type_in(b"now\n")?;
        ioctl(TIOCSPGRP, &mut { job })?;
        process::kill(job, SIGCONT)?;
        check_eq!(process::wait(job)?.exited(), Some(0));
        signal::action(linux::SIGTTOU, SIG_IGN, 0, 0)?;
        ioctl(TIOCSPGRP, &mut process::getpid())?;
        // One that cannot be stopped gets an error.
        let job = process::spawn(|| {
            let ignored = signal::action(linux::SIGTTIN, SIG_IGN, 0, 0);
            let moved = process::set_group(0, 0);
            let denied = read(&mut [0; 32]) == Err(Errno::EIO);
            i32::from(ignored.is_err() || moved.is_err() || !denied)
        })?;
        check_eq!(process::wait(job)?.exited(), Some(0));
        check_eq!(process::wait_for(-1, WNOHANG), Err(Errno::ECHILD));
        check_eq!(thread::gettid(), process::getpid());
        Ok(())
    })
}

extern "C" fn note(_: u32, _: *const Info, _: *mut Context) {
    process::exit(7)
}

fn hang_up(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    with_terminal(|| {
        process::spawn(|| {
            let handled = signal::handle(SIGHUP, note, 0, 0);
            let told = file::write_all(pipe.write, b"r");
            i32::from(handled.is_err() || told.is_err()) + sleeper()
        })?;
        check_eq!(file::read(pipe.read, &mut [0])?, 1);
        Ok(())
    })?;
    // The orphan ends by the handler, and with it the pipe's last writer but this one.
    file::close(pipe.write)?;
    check_eq!(file::read(pipe.read, &mut [0])?, 0);
    Ok(())
}
