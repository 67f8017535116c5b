//! What a worker has open: something of each sort.

use linux_raw_sys::{general as linux, net};
use user::sys::file::{self, READ_ONLY};
use user::sys::{event, raw, tree};

use crate::random::Random;
use crate::words::OPENED;

/// Opens things, until there are enough. What cannot be had is left out. Standard input and output are `/dev/null`.
pub fn open(random: &mut Random) {
    let Ok(null) = file::open(c"/dev/null", linux::O_RDWR) else { return };
    for fd in 0..3 {
        let _ = file::duplicate(null, fd);
    }
    let _ = file::pipe(linux::O_NONBLOCK);
    let _ = file::pipe(0);
    let _ = event::counter(1);
    let _ = event::timer(1_000_000);
    let _ = event::set();
    let _ = event::socket_pair();
    let _ = tree::memfd(c"fz-memfd");
    let _ = tree::mkdir(c"fz-d");
    let _ = file::open(c".", READ_ONLY | file::DIRECTORY);
    for name in [c"fz0", c"fz1", c"fz-d/fz1"] {
        if let Ok(fd) = tree::create(name, 0) {
            let _ = file::write(fd, b"some words");
        }
    }
    for family in [net::AF_UNIX, net::AF_INET] {
        // SAFETY: touches no memory of ours.
        let _ = unsafe { raw(linux::__NR_socket, [family as usize, net::SOCK_STREAM as usize, 0]) };
    }
    // SAFETY: as above.
    let _ = unsafe { raw(linux::__NR_userfaultfd, [linux::O_NONBLOCK as usize | 1]) };
    for _ in 0..8 {
        let _ = file::open(random.pick(&OPENED), READ_ONLY | linux::O_NONBLOCK);
    }
    let _ = file::open(c"/dev/zero", linux::O_RDWR);
}
