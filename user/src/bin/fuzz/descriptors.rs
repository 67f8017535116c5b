//! What a worker has open: something of each sort.

use core::ffi::CStr;
use core::ops::Deref;

use linux_raw_sys::{general as linux, net};
use user::sys::event::{self, Address};
use user::sys::file::{self, Fd, READ_ONLY};
use user::sys::{Result, raw, tree, userfault};

use crate::random::Random;
use crate::words::OPENED;

/// Descriptors of one kind.
#[derive(Clone, Copy, Default)]
pub struct Kept {
    fds: [u8; 8],
    count: usize,
}

impl Kept {
    fn add(&mut self, fd: Fd) {
        if let (Some(place), Ok(fd)) = (self.fds.get_mut(self.count), u8::try_from(fd)) {
            *place = fd;
            self.count += 1;
        }
    }

    fn add_result(&mut self, fd: Result<Fd>) {
        if let Ok(fd) = fd {
            self.add(fd);
        }
    }
}

impl Deref for Kept {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.fds[..self.count]
    }
}

/// What was opened at first, by kind. Calls may have closed it since.
#[derive(Clone, Copy, Default)]
pub struct Opened {
    /// Sockets: two that are connected, two that wait, two that are nothing yet.
    pub sockets: Kept,
    /// Ends of pipes.
    pub pipes: Kept,
    /// Sets of descriptors to wait for.
    pub sets: Kept,
    /// Timers.
    pub timers: Kept,
    /// Monitors of faults: one that makes them bus errors, and now and then one that lets them wait.
    pub monitors: Kept,
}

/// Opens things. What cannot be had is left out. Standard input and output are `/dev/null`.
pub fn open(random: &mut Random, slot: usize) -> Opened {
    let mut opened = Opened::default();
    let Ok(null) = file::open(c"/dev/null", linux::O_RDWR) else { return opened };
    for fd in 0..3 {
        let _ = file::duplicate(null, fd);
    }
    for flags in [linux::O_NONBLOCK, 0] {
        if let Ok(pipe) = file::pipe(flags) {
            opened.pipes.add(pipe.read);
            opened.pipes.add(pipe.write);
        }
    }
    opened.timers.add_result(event::timer(1_000_000));
    opened.sets.add_result(event::set());
    sockets(&mut opened.sockets, slot);
    let _ = event::counter(1);
    let _ = tree::memfd(c"fz-memfd");
    let _ = tree::mkdir(c"fz-d");
    let _ = file::open(c".", READ_ONLY | file::DIRECTORY);
    for name in [c"fz0", c"fz1", c"fz-d/fz1"] {
        if let Ok(fd) = tree::create(name, 0) {
            let _ = file::write(fd, b"some words");
        }
    }
    opened.monitors.add_result(userfault::make(linux::O_NONBLOCK, userfault::SIGBUS));
    if random.one_in(4) {
        let user_only = random.below(2) as u32;
        opened.monitors.add_result(userfault::make(linux::O_NONBLOCK | user_only, 0));
    }
    for _ in 0..8 {
        let _ = file::open(random.pick(&OPENED), READ_ONLY | linux::O_NONBLOCK);
    }
    let _ = file::open(c"/dev/zero", linux::O_RDWR);
    opened
}

/// Where one of the worker's sockets waits; [`crate::scratch`] makes addresses like it.
const PATH: &CStr = c"fz-s0";

fn sockets(opened: &mut Kept, slot: usize) {
    if let Ok((one, other)) = event::socket_pair() {
        opened.add(one);
        opened.add(other);
    }
    let _ = tree::unlink(PATH);
    opened.add_result(event::listen(Address::Path(PATH)));
    // Ports are the machine's: of several workers with the same number the first gets it.
    opened.add_result(event::listen(Address::Port(0x7000 | slot as u16 & 3)));
    for family in [net::AF_UNIX, net::AF_INET] {
        // SAFETY: touches no memory of ours.
        let fd = unsafe { raw(linux::__NR_socket, [family as usize, net::SOCK_STREAM as usize, 0]) };
        opened.add_result(fd.map(|fd| fd as Fd));
    }
}
