//! pidfd_open(2): a process as a descriptor. It becomes ready when the process has ended.

use linux_raw_sys::general as linux;
use spin::Mutex;

/// Which process it is: its number may come again, its identity does not with the same number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Its number.
    pub pid: u32,
    /// Where the kernel keeps it. Numbers go round, so one comes again only after thirty thousand others, and then
    /// hardly ever in the same place.
    pub place: usize,
}

/// A process; see the module.
pub struct Pidfd {
    /// A leaf lock.
    identity: Mutex<Identity>,
    has_ended: fn(Identity) -> bool,
}

impl Pidfd {
    /// The process that `identity` is; `has_ended` tells whether it has ended, or is not there any more.
    pub fn new(identity: Identity, has_ended: fn(Identity) -> bool) -> Self {
        Pidfd { identity: Mutex::new(identity), has_ended }
    }

    /// A process that is still to be made: until then there is none.
    pub fn of_nobody(has_ended: fn(Identity) -> bool) -> Self {
        Self::new(Identity { pid: 0, place: 0 }, has_ended)
    }

    /// Now it has been made.
    pub fn becomes(&self, identity: Identity) {
        *self.identity.lock() = identity;
    }

    /// Which process it is.
    pub fn identity(&self) -> Identity {
        *self.identity.lock()
    }

    /// What poll finds.
    pub fn readiness(&self) -> u32 {
        if (self.has_ended)(self.identity()) { linux::POLLIN | linux::POLLRDNORM } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_the_process_has_ended() {
        let of = |pid| Pidfd::new(Identity { pid, place: 1 }, |identity| identity.pid == 7);
        assert_eq!((of(6).readiness(), of(7).readiness()), (0, linux::POLLIN | linux::POLLRDNORM));
        assert_eq!(of(6).identity(), Identity { pid: 6, place: 1 });
        let child = Pidfd::of_nobody(|identity| identity.pid != 6);
        assert_ne!(child.readiness(), 0);
        child.becomes(of(6).identity());
        assert_eq!((child.readiness(), child.identity().pid), (0, 6));
    }
}
