//! FIFOs, and signals read from descriptors.

use core::ffi::CStr;

use linux_raw_sys::general::{O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, S_IFIFO, S_IFMT};
use user::rt::start::Args;
use user::sys::event::{self, HUP, IN};
use user::sys::process::signal::{SIGCHLD, SIGKILL, SIGTERM, SIGUSR1, SIGUSR2};
use user::sys::signal::{self, bit};
use user::sys::{Errno, file, process, time, tree};

use crate::harness::{Outcome, Test, as_status};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("a FIFO carries bytes between processes", carries),
    ("a FIFO's open waits for the other end, or not", waits),
    ("a FIFO's open is interrupted", interrupted),
    ("a FIFO is ready when there is something, and at an end when all have left", ready),
    ("signals are read from a descriptor", signals),
    ("a descriptor of signals is ready when one waits", ready_signals),
    ("what signalfd refuses", refused),
];

/// Bytes of a `struct signalfd_siginfo`.
const RECORD: usize = 128;

fn word(record: &[u8], at: usize) -> u32 {
    record.get(at..at + 4).map_or(0, |bytes| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}

/// Makes a FIFO at `path`, in place of what a test before may have left.
fn make(path: &CStr) -> Outcome {
    let _ = tree::unlink(path); // it need not be there
    Ok(tree::make_fifo(path)?)
}

fn carries(_: Args) -> Outcome {
    let path = c"/tmp/utest-fifo";
    let _ = tree::mkdir(c"/tmp"); // it may be there
    make(path)?;
    check_eq!(tree::make_fifo(path), Err(Errno::EEXIST));
    let child = process::spawn(|| {
        let write = || {
            let fd = file::open(path, O_WRONLY)?;
            time::sleep_ns(2_000_000)?;
            file::write_all(fd, b"through a name")
        };
        i32::from(write().is_err())
    })?;
    let fd = file::open(path, O_RDONLY)?;
    let mut buffer = [0; 32];
    check_eq!(file::read_all(fd, &mut buffer), Ok(14));
    check_eq!(&buffer[..14], b"through a name");
    check_eq!(process::wait(child)?.exited(), Some(0));
    check_eq!(file::stat(fd)?.0 & S_IFMT, S_IFIFO);
    tree::unlink(path)?;
    check_eq!(file::open(path, O_RDONLY), Err(Errno::ENOENT));
    check_eq!(file::seek(fd, 0, file::SEEK_SET), Err(Errno::ESPIPE));
    Ok(())
}

fn waits(_: Args) -> Outcome {
    let path = c"/tmp/utest-fifo";
    let _ = tree::mkdir(c"/tmp"); // it may be there
    make(path)?;
    check_eq!(file::open(path, O_WRONLY | O_NONBLOCK), Err(Errno::ENXIO));
    // The child comes and goes; that is enough for who waits.
    let child = process::spawn(|| {
        let came = time::sleep_ns(20_000_000).and_then(|()| file::open(path, O_WRONLY));
        i32::from(came.and_then(file::close).is_err())
    })?;
    let start = time::now_ns();
    let reader = file::open(path, O_RDONLY)?;
    check!(time::now_ns() - start >= 10_000_000);
    check_eq!(process::wait(child)?.exited(), Some(0));
    check_eq!(file::read(reader, &mut [0; 1]), Ok(0));
    let writer = file::open(path, O_WRONLY | O_NONBLOCK)?;
    file::close(reader)?;
    file::close(writer)?;
    let both = file::open(path, O_RDWR | O_NONBLOCK)?;
    check_eq!(file::read(both, &mut [0; 1]), Err(Errno::EAGAIN));
    file::write_all(both, b"x")?;
    check_eq!(file::read(both, &mut [0; 9]), Ok(1));
    tree::unlink(path)?;
    Ok(())
}

extern "C" fn nothing(_: u32, _: *const signal::Info, _: *mut signal::Context) {}

fn interrupted(_: Args) -> Outcome {
    let path = c"/tmp/utest-fifo";
    let _ = tree::mkdir(c"/tmp"); // it may be there
    make(path)?;
    signal::handle(process::signal::SIGALRM, nothing, 0, 0)?;
    signal::set_alarm(20_000, 0)?;
    check_eq!(file::open(path, O_RDONLY), Err(Errno::EINTR));
    check_eq!(file::open(path, O_WRONLY | O_NONBLOCK), Err(Errno::ENXIO)); // nobody is left
    tree::unlink(path)?;
    Ok(())
}

fn ready(_: Args) -> Outcome {
    let path = c"/tmp/utest-fifo";
    let _ = tree::mkdir(c"/tmp"); // it may be there
    make(path)?;
    let reader = file::open(path, O_RDONLY | O_NONBLOCK)?;
    let set = event::set()?;
    event::watch(set, reader, IN)?;
    check_eq!(event::wait(set, 0), Ok(None));
    let writer = file::open(path, O_WRONLY)?;
    check_eq!(event::wait(set, 0), Ok(None));
    file::write_all(writer, b"x")?;
    check_eq!(event::wait(set, 1000), Ok(Some((reader, IN))));
    file::close(writer)?;
    check_eq!(event::wait(set, 1000), Ok(Some((reader, IN | HUP))));
    check_eq!(file::read(reader, &mut [0; 9]), Ok(1));
    check_eq!(event::wait(set, 1000), Ok(Some((reader, HUP))));
    tree::unlink(path)?;
    Ok(())
}

fn signals(_: Args) -> Outcome {
    let set = bit(SIGUSR1) | bit(SIGUSR2) | bit(SIGCHLD);
    signal::set_mask(set | bit(SIGTERM))?;
    let fd = event::signals(-1, set, O_NONBLOCK | O_CLOEXEC)?;
    let mut records = [0; 3 * RECORD];
    check_eq!(file::read(fd, &mut records), Err(Errno::EAGAIN));
    check_eq!(file::read(fd, &mut records[..RECORD - 1]), Err(Errno::EINVAL));
    let me = process::getpid();
    process::kill(me, SIGTERM)?;
    check_eq!(file::read(fd, &mut records), Err(Errno::EAGAIN)); // one it is not for
    signal::queue(me, SIGUSR2, 77)?;
    process::kill(me, SIGUSR1)?;
    check_eq!(file::read(fd, &mut records), Ok(2 * RECORD));
    check_eq!([0, 12].map(|at| word(&records, at)), [SIGUSR1, me as u32]);
    check_eq!([0, 8, 12, 44].map(|at| word(&records[RECORD..], at)), [SIGUSR2, -1i32 as u32, me as u32, 77]);
    let child = process::spawn(|| 7)?;
    process::wait(child)?;
    check_eq!(file::read(fd, &mut records), Ok(RECORD));
    check_eq!([0, 8, 12, 40].map(|at| word(&records, at)), [SIGCHLD, 1, child as u32, 7]);
    // Another set for the same descriptor, and a read that waits.
    let waiting = event::signals(-1, bit(SIGUSR1), 0)?;
    check_eq!(event::signals(waiting, bit(SIGUSR2), 0), Ok(waiting));
    let child = process::spawn(|| {
        let sent = time::sleep_ns(10_000_000).and_then(|()| process::kill(me, SIGUSR2));
        as_status(sent.map_err(Into::into))
    })?;
    check_eq!(file::read(waiting, &mut records), Ok(RECORD));
    check_eq!([0, 12].map(|at| word(&records, at)), [SIGUSR2, child as u32]);
    check_eq!(process::wait(child)?.exited(), Some(0));
    check_eq!(signal::pending()? & bit(SIGTERM), bit(SIGTERM));
    Ok(())
}

fn ready_signals(_: Args) -> Outcome {
    signal::set_mask(bit(SIGUSR1))?;
    let (fd, set) = (event::signals(-1, bit(SIGUSR1), O_NONBLOCK)?, event::set()?);
    event::watch(set, fd, IN)?;
    check_eq!(event::wait(set, 0), Ok(None));
    check_eq!(file::poll(fd, IN as u16, 0), Ok(0));
    process::kill(process::getpid(), SIGUSR1)?;
    check_eq!(event::wait(set, 1000), Ok(Some((fd, IN))));
    check_eq!(file::poll(fd, IN as u16, 0), Ok(IN as u16));
    check_eq!(file::read(fd, &mut [0; RECORD]), Ok(RECORD));
    check_eq!(event::wait(set, 0), Ok(None));
    Ok(())
}

fn refused(_: Args) -> Outcome {
    check_eq!(event::signals(-1, 1, 1), Err(Errno::EINVAL));
    check_eq!(event::signals(99, 1, 0), Err(Errno::EBADF));
    check_eq!(event::signals(event::counter(0)?, 1, 0), Err(Errno::EINVAL));
    let fd = event::signals(-1, bit(SIGKILL), 0)?;
    check_eq!(file::write(fd, &[0; RECORD]), Err(Errno::EINVAL));
    Ok(())
}
