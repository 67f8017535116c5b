//! Device registers mapped through `/dev/mem`: special pages, which nothing counts and nobody can fault in.
//!
//! The real-time clock of QEMU's `virt`, an Arm PL031 (ARM DDI 0224), whose last registers say what it is.

use user::probe;
use user::rt::start::Args;
use user::sys::memory::{self, DONTNEED, NONE, READ, READ_WRITE, page_size};
use user::sys::process::signal::SIGSEGV;
use user::sys::{Errno, file};

use crate::harness::{Outcome, Test, Trouble, child_passes, killed_by};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("device registers are mapped, shared and private", |_| with_each(|clock| clock.identifies())),
    ("device registers survive fork", |_| with_each(across_fork)),
    ("device registers can only be looked at", |_| with_each(only_read)),
    ("/dev/mem shows no RAM and no device in use", refused),
];

/// Where the clock's registers are, physically.
const CLOCK: u64 = 0x901_0000;
/// Where the console's are, and RAM.
const IN_USE: [u64; 2] = [0x900_0000, 0x4000_0000];
const MAPS: [u32; 2] = [linux_raw_sys::general::MAP_SHARED, linux_raw_sys::general::MAP_PRIVATE];

/// The clock's registers, mapped.
struct Clock(usize);

impl Clock {
    fn register(&self, offset: usize) -> u32 {
        // SAFETY: inside of the page that this object mapped; a fault ends the process.
        unsafe { ((self.0 + offset) as *const u32).read_volatile() }
    }

    fn identifies(&self) -> Outcome {
        check_eq!((self.register(0xfe0), self.register(0xfe4)), (0x31, 0x10));
        let cell = [0xff0, 0xff4, 0xff8, 0xffc].map(|offset| self.register(offset));
        check_eq!(cell, [0x0d, 0xf0, 0x05, 0xb1]);
        Ok(())
    }
}

fn open() -> Result<file::Fd, Trouble> {
    if !probe::is_pleat() {
        return Err(Trouble::Skip("another kernel may use the clock itself"));
    }
    Ok(file::open(c"/dev/mem", file::READ_ONLY)?)
}

/// Runs `test` on a shared mapping, then on a private one.
fn with_each(test: impl Fn(&Clock) -> Outcome) -> Outcome {
    let mem = open()?;
    for flags in MAPS {
        // SAFETY: at no fixed place.
        let base = unsafe { memory::map_at(0, page_size(), READ, flags, mem, CLOCK) }?;
        test(&Clock(base))?;
        // SAFETY: this function's own.
        unsafe { memory::unmap(base, page_size()) }?;
        killed_by(SIGSEGV, || Clock(base).register(0))?;
    }
    Ok(())
}

fn across_fork(clock: &Clock) -> Outcome {
    child_passes(|| {
        clock.identifies()?;
        child_passes(|| clock.identifies())
    })?;
    clock.identifies()
}

fn only_read(clock: &Clock) -> Outcome {
    let base = clock.0;
    // SAFETY: refused.
    check_eq!(unsafe { memory::protect(base, page_size(), READ_WRITE) }, Err(Errno::EACCES));
    // SAFETY: refused.
    check_eq!(unsafe { memory::advise(base, page_size(), DONTNEED) }, Err(Errno::EINVAL));
    // SAFETY: kills the child.
    killed_by(SIGSEGV, || unsafe { (base as *mut u32).write_volatile(0) })?;
    // SAFETY: nobody reads it meanwhile.
    unsafe { memory::protect(base, page_size(), NONE) }?;
    killed_by(SIGSEGV, || clock.register(0))?;
    // SAFETY: as before.
    unsafe { memory::protect(base, page_size(), READ) }?;
    clock.identifies()
}

fn refused(_: Args) -> Outcome {
    let mem = open()?;
    for (offset, len) in [
        (IN_USE[0], page_size()),
        (IN_USE[1], page_size()),
        (CLOCK, 17 * page_size()),
        (CLOCK - page_size() as u64, page_size()),
    ] {
        // SAFETY: refused.
        check_eq!(unsafe { memory::map_at(0, len, READ, MAPS[0], mem, offset) }, Err(Errno::EPERM));
    }
    // SAFETY: refused.
    check_eq!(unsafe { memory::map_at(0, page_size(), READ_WRITE, MAPS[1], mem, CLOCK) }, Err(Errno::EACCES));
    check!(file::read(mem, &mut [0; 4]) == Err(Errno::EFAULT));
    Ok(())
}
