//! What a worker has open: something of each sort.

use core::ffi::CStr;

use linux_raw_sys::{general as linux, net};
use user::sys::event::{self, Address};
use user::sys::file::{self, Fd, READ_ONLY};
use user::sys::{Result, process, raw, tree, userfault};

use crate::held::{Held, Sort};
use crate::random::Random;
use crate::words::OPENED;

/// Opens things. What cannot be had is left out. Standard input and output are `/dev/null`.
pub fn open(random: &mut Random, slot: usize) -> Held {
    let mut held = Held::default();
    let Ok(null) = file::open(c"/dev/null", linux::O_RDWR) else { return held };
    for fd in 0..3 {
        let _ = file::duplicate(null, fd);
    }
    let mut add = |sort, fd: Result<Fd>| {
        if let Ok(fd) = fd {
            held.add(sort, fd as usize);
        }
    };
    for flags in [linux::O_NONBLOCK, 0] {
        if let Ok(pipe) = file::pipe(flags) {
            add(Sort::Pipe, Ok(pipe.read));
            add(Sort::Pipe, Ok(pipe.write));
        }
    }
    add(Sort::Timer, event::timer(1_000_000));
    add(Sort::Set, event::set());
    add(Sort::Event, event::counter(1));
    add(Sort::File, tree::memfd(c"fz-memfd"));
    let _ = tree::mkdir(c"fz-d");
    for name in [c".", c"fz-d", c"/proc", c"/proc/self", c"/proc/self/fd"] {
        add(Sort::Directory, file::open(name, READ_ONLY | file::DIRECTORY));
    }
    for name in [c"fz0", c"fz1", c"fz-d/fz1"] {
        let fd = tree::create(name, 0);
        if let Ok(fd) = fd {
            let _ = file::write(fd, b"some words");
        }
        add(Sort::File, fd);
    }
    let own = process::getpid() as usize;
    // SAFETY: touches no memory of ours.
    add(Sort::Process, unsafe { raw(linux::__NR_pidfd_open, [own]) }.map(|fd| fd as Fd));
    add(Sort::Monitor, userfault::make(linux::O_NONBLOCK, userfault::SIGBUS));
    if random.one_in(4) {
        let user_only = random.below(2) as u32;
        add(Sort::Monitor, userfault::make(linux::O_NONBLOCK | user_only, 0));
    }
    for _ in 0..6 {
        add(Sort::Other, file::open(random.pick(&OPENED), READ_ONLY | linux::O_NONBLOCK));
    }
    add(Sort::Other, file::open(c"/dev/zero", linux::O_RDWR));
    sockets(add, slot);
    held
}

/// Where one of the worker's sockets waits; [`crate::scratch`] makes addresses like it.
const PATH: &CStr = c"fz-s0";

fn sockets(mut add: impl FnMut(Sort, Result<Fd>), slot: usize) {
    if let Ok((one, other)) = event::socket_pair() {
        add(Sort::Socket, Ok(one));
        add(Sort::Socket, Ok(other));
    }
    let _ = tree::unlink(PATH);
    add(Sort::Listener, event::listen(Address::Path(PATH)));
    // Ports are the machine's: of several workers with the same number the first gets it.
    add(Sort::Listener, event::listen(Address::Port(0x7000 | slot as u16 & 3)));
    for family in [net::AF_UNIX, net::AF_INET] {
        // SAFETY: touches no memory of ours.
        let fd = unsafe { raw(linux::__NR_socket, [family as usize, net::SOCK_STREAM as usize, 0]) };
        add(Sort::Socket, fd.map(|fd| fd as Fd));
    }
}
