//! What a kernel may leave to its first process.
//!
//! Pleat has `/proc` and `/sys` from the start, and the machine ends when process 1 does, with its status. Linux comes
//! out of an initramfs with nothing mounted, and panics when process 1 ends. A kernel that leaves the mounting to us
//! therefore gets the rest as well; everywhere else this module does nothing.

use crate::println;
use crate::sys::file::{self, READ_ONLY};
use crate::sys::{Errno, process, system};

/// Whether the kernel leaves them to this process.
pub struct Duties {
    ours: bool,
}

impl Duties {
    /// Mounts `/proc` and `/sys` if this is process 1 and there is no `/proc`. What fails is printed: programs that
    /// need it will say so too.
    pub fn take_up() -> Self {
        let mounted = file::open(c"/proc/version", READ_ONLY).and_then(file::close).is_ok();
        let ours = process::getpid() == 1 && !mounted;
        if ours {
            for (kind, at) in [(c"proc", c"/proc"), (c"sysfs", c"/sys")] {
                let made = match system::make_directory(at) {
                    Err(Errno::EEXIST) => Ok(()),
                    result => result,
                };
                if let Err(errno) = made.and_then(|()| system::mount(kind, at)) {
                    println!("init: cannot mount {}: {errno}", at.to_str().unwrap_or("?"));
                }
            }
        }
        Duties { ours }
    }

    /// Prints `status` and switches the machine off, if that is this process's part; returns `status` otherwise.
    pub fn end(self, status: i32) -> i32 {
        if self.ours {
            println!("init: status {status}");
            // Whatever is still in the kernel's buffers would be lost. What is not a terminal has no buffer.
            let _ = system::drain(1);
            if let Err(errno) = system::power_off() {
                println!("init: cannot power off: {errno}");
            }
        }
        status
    }
}
