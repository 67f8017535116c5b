//! Events, sets of descriptors, and sockets.

use user::rt::start::Args;
use user::sys::event::{self, Address, EDGE, HUP, IN, OUT};
use user::sys::{Errno, file, process, tree};

use crate::harness::{Outcome, Test, as_status};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("eventfd counts", counts),
    ("a timerfd goes off", goes_off),
    ("epoll tells what is ready", tells),
    ("epoll tells of edges once", edges),
    ("a socket pair talks both ways", pair),
    ("a Unix socket serves another process", unix),
    ("a TCP socket serves another process", tcp),
    ("/dev and /proc are as programs expect them", places),
];

/// The port under test.
const PORT: u16 = 7357;

fn counts(_: Args) -> Outcome {
    let fd = event::counter(3)?;
    file::write_all(fd, &4u64.to_ne_bytes())?;
    let mut value = [0; 8];
    check_eq!(file::read(fd, &mut value), Ok(8));
    check_eq!(value, 7u64.to_ne_bytes());
    check_eq!(file::read(fd, &mut value), Err(Errno::EAGAIN));
    check_eq!(file::read(fd, &mut value[..7]), Err(Errno::EINVAL));
    Ok(())
}

fn goes_off(_: Args) -> Outcome {
    // Long enough that the next two calls come before, however slow the machine is just now.
    let (fd, set) = (event::timer(400_000_000)?, event::set()?);
    event::watch(set, fd, IN)?;
    check_eq!(event::wait(set, 0), Ok(None));
    check_eq!(event::wait(set, 10_000), Ok(Some((fd, IN))));
    let mut value = [0; 8];
    check_eq!(file::read(fd, &mut value), Ok(8));
    check_eq!(value, 1u64.to_ne_bytes());
    Ok(())
}

fn tells(_: Args) -> Outcome {
    let (set, pipe) = (event::set()?, file::pipe(0)?);
    event::watch(set, pipe.read, IN)?;
    check_eq!(event::watch(set, pipe.read, IN), Err(Errno::EEXIST));
    check_eq!(event::wait(set, 0), Ok(None));
    file::write_all(pipe.write, b"x")?;
    check_eq!(event::wait(set, 1000), Ok(Some((pipe.read, IN))));
    check_eq!(file::read(pipe.read, &mut [0; 9]), Ok(1));
    check_eq!(event::wait(set, 1), Ok(None));
    file::close(pipe.write)?;
    check_eq!(event::wait(set, 1000), Ok(Some((pipe.read, HUP))));
    file::close(pipe.read)?;
    check_eq!(event::wait(set, 0), Ok(None));
    let regular = file::open(c"/proc/version", file::READ_ONLY)?;
    file::close(regular)?;
    check_eq!(event::watch(set, regular, IN), Err(Errno::EBADF));
    Ok(())
}

fn edges(_: Args) -> Outcome {
    let (set, pipe) = (event::set()?, file::pipe(0)?);
    event::watch(set, pipe.read, IN | EDGE)?;
    file::write_all(pipe.write, b"x")?;
    check_eq!(event::wait(set, 1000), Ok(Some((pipe.read, IN))));
    check_eq!(event::wait(set, 0), Ok(None));
    file::write_all(pipe.write, b"y")?;
    check_eq!(event::wait(set, 1000), Ok(Some((pipe.read, IN))));
    Ok(())
}

fn pair(_: Args) -> Outcome {
    let (a, b) = event::socket_pair()?;
    file::write_all(a, b"ping")?;
    file::write_all(b, b"pong!")?;
    let mut buffer = [0; 9];
    check_eq!(file::read(b, &mut buffer), Ok(4));
    check_eq!(file::read(a, &mut buffer), Ok(5));
    check_eq!(&buffer[..5], b"pong!");
    check_eq!(file::poll(a, file::POLL_IN | file::POLL_OUT, 0), Ok(file::POLL_OUT));
    file::close(b)?;
    check_eq!(file::read(a, &mut buffer), Ok(0));
    Ok(())
}

/// A child sends what it receives back, once; the parent talks to it.
fn serve(address: Address<'_>) -> Outcome {
    let listener = event::listen(address)?;
    let child = process::spawn(|| {
        as_status((|| {
            let connection = event::accept(listener)?;
            let mut buffer = [0; 16];
            let count = file::read(connection, &mut buffer)?;
            Ok(file::write_all(connection, &buffer[..count])?)
        })())
    })?;
    let connection = event::connect(address)?;
    file::write_all(connection, b"echo")?;
    let mut buffer = [0; 16];
    check_eq!(file::read(connection, &mut buffer), Ok(4));
    check_eq!(&buffer[..4], b"echo");
    check_eq!(file::read(connection, &mut buffer), Ok(0));
    check_eq!(process::wait(child)?.exited(), Some(0));
    file::close(listener)?;
    check_eq!(event::connect(address), Err(Errno::ECONNREFUSED));
    Ok(())
}

fn unix(_: Args) -> Outcome {
    serve(Address::Path(c"/utest-socket"))?;
    check_eq!(event::listen(Address::Path(c"/utest-socket")), Err(Errno::EADDRINUSE));
    Ok(tree::unlink(c"/utest-socket")?)
}

fn tcp(_: Args) -> Outcome {
    serve(Address::Port(PORT))
}

fn places(_: Args) -> Outcome {
    for path in [
        c"/dev/null",
        c"/dev/full",
        c"/proc/self/stat",
        c"/proc/self/statm",
        c"/proc/self/cmdline",
        c"/proc/self/limits",
        c"/proc/self/mountinfo",
        c"/proc/thread-self/comm",
        c"/proc/mounts",
        c"/proc/stat",
        c"/proc/loadavg",
        c"/proc/filesystems",
        c"/proc/sys/kernel/osrelease",
        c"/proc/kpageflags",
    ] {
        let fd = file::open(path, file::READ_ONLY)?;
        let mut buffer = [0; 8];
        let expected = if path == c"/dev/null" { 0 } else { 1 };
        check!(file::read(fd, &mut buffer)? >= expected);
        file::close(fd)?;
    }
    let full = file::open(c"/dev/full", file::WRITE_ONLY)?;
    check_eq!(file::write(full, b"x"), Err(Errno::ENOSPC));
    let set = event::set()?;
    event::watch(set, event::counter(1)?, OUT)?;
    check!(event::wait(set, 0)?.is_some());
    Ok(())
}
