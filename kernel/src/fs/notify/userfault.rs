//! The descriptor of userfaultfd(2): a monitor, and whose faults it hears of.

use crate::errno::{Errno, Result};
use crate::fs::transfer::Transfer;
use crate::userfault::{MESSAGE_BYTES, Monitor};
use crate::util::Ref;

/// What the descriptor stands for. Closed when the last of its descriptions goes.
pub struct Userfault {
    monitor: Ref<Monitor>,
    pid: u32,
    owner: u32,
}

impl Userfault {
    /// The descriptor of `monitor`, for the address space with the number `owner` of process `pid`.
    pub fn new(monitor: Ref<Monitor>, pid: u32, owner: u32) -> Self {
        Userfault { monitor, pid, owner }
    }

    /// The monitor.
    pub fn monitor(&self) -> &Ref<Monitor> {
        &self.monitor
    }

    /// The number of the process that made it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The number of that process's address space at the time: it has another since, if it executed a program.
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// Reads messages, as many as there are and as there is room for; waits for the first unless `nonblocking`.
    ///
    /// # Errors
    /// `EINVAL`: no room for one, or nothing agreed on yet; `EAGAIN`, `EINTR`; `EFAULT`: what was taken is lost.
    pub fn read(&self, io: &mut dyn Transfer, nonblocking: bool) -> Result<usize> {
        let mut done = 0;
        while io.remaining() >= MESSAGE_BYTES {
            match self.monitor.message(nonblocking || done > 0) {
                Ok(message) if io.put(&message) == MESSAGE_BYTES => done += MESSAGE_BYTES,
                Ok(_) if done == 0 => return Err(Errno::EFAULT),
                Err(error) if done == 0 => return Err(error),
                Ok(_) | Err(_) => return Ok(done),
            }
        }
        if done == 0 { Err(Errno::EINVAL) } else { Ok(done) }
    }
}

impl Drop for Userfault {
    fn drop(&mut self) {
        self.monitor.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::Memory;
    use crate::userfault::{Fault, Missed};

    #[test]
    fn whole_messages_are_read_as_many_as_there_are() {
        let monitor = Ref::try_new(Monitor::new(false)).unwrap();
        let descriptor = Userfault::new(monitor.clone(), 1, 1);
        let read = |bytes| descriptor.read(&mut Memory::sized(bytes), true);
        assert_eq!(read(64), Err(Errno::EINVAL));
        monitor.agree(0).unwrap();
        assert_eq!((read(64), read(31)), (Err(Errno::EAGAIN), Err(Errno::EINVAL)));
        for page in 0..3 {
            let fault = Fault { addr: page << 12, why: Missed::Missing, write: false, thread: 1 };
            monitor.enter(fault).unwrap();
        }
        assert_eq!((read(70), read(64)), (Ok(64), Ok(32)));
        drop(descriptor);
        assert!(monitor.is_closed());
    }
}
