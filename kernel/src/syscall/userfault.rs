//! userfaultfd(2), and what ioctl does with its descriptor (Linux: include/uapi/linux/userfaultfd.h).
//!
//! A descriptor works on the address space of the process that made it, whoever uses it: a child of fork, or another
//! process that was given it. When that space is gone the answer is `ESRCH`.

use alloc::vec::Vec;

use linux_raw_sys::general as raw;
use paging::{PAGE_SIZE, VirtAddr};

use super::event::insert;
use super::user_ptr::UserPtr;
use crate::arch::uaccess::copy_from_user;
use crate::errno::{Errno, Result};
use crate::fs::file::Target;
use crate::fs::notify::userfault::Userfault;
use crate::mm::VmaFlags;
use crate::mm::space::{AddressSpace, USER_END, USER_START};
use crate::mm::uffd::check;
use crate::mm::uffd_fill::Fill;
use crate::proc::{self, with_current_mm, yield_now};
use crate::userfault::{Monitor, feature};
use crate::util::Ref;

/// Only faults of the program itself are reported.
const USER_MODE_ONLY: u32 = 1;

/// The version of the interface.
const UFFD_API: u64 = 0xaa;
/// Number 0 of the ioctls of `/dev/userfaultfd`, without an argument.
const NEW: u32 = 0xaa00;

/// The ioctls, by their numbers.
mod number {
    pub const REGISTER: u32 = 0x00;
    pub const UNREGISTER: u32 = 0x01;
    pub const WAKE: u32 = 0x02;
    pub const COPY: u32 = 0x03;
    pub const ZEROPAGE: u32 = 0x04;
    pub const WRITEPROTECT: u32 = 0x06;
    pub const CONTINUE: u32 = 0x07;
    pub const POISON: u32 = 0x08;
    pub const API: u32 = 0x3f;
}

const READ: u32 = 2;
const READ_WRITE: u32 = 3;

/// The request of ioctl number `number` with an argument of `bytes` bytes (Linux: `_IOC`).
const fn request(direction: u32, number: u32, bytes: u32) -> u32 {
    direction << 30 | bytes << 16 | 0xaa << 8 | number
}

const API: u32 = request(READ_WRITE, number::API, 24);
const REGISTER: u32 = request(READ_WRITE, number::REGISTER, 32);
const UNREGISTER: u32 = request(READ, number::UNREGISTER, 16);
const WAKE: u32 = request(READ, number::WAKE, 16);
const COPY: u32 = request(READ_WRITE, number::COPY, 40);
const ZEROPAGE: u32 = request(READ_WRITE, number::ZEROPAGE, 32);
const WRITEPROTECT: u32 = request(READ_WRITE, number::WRITEPROTECT, 24);
const CONTINUE: u32 = request(READ_WRITE, number::CONTINUE, 32);
const POISON: u32 = request(READ_WRITE, number::POISON, 32);

/// Modes of REGISTER.
const MISSING: u64 = 1;
const WP: u64 = 2;
const MINOR: u64 = 4;

/// userfaultfd(flags).
pub fn userfaultfd(args: &[u64; 6]) -> Result<usize> {
    make(args[0] as u32)
}

/// ioctl on `/dev/userfaultfd`.
pub(super) fn device_ioctl(request: u32, arg: u64) -> Result<usize> {
    if request == NEW { make(arg as u32) } else { Err(Errno::EINVAL) }
}

fn make(flags: u32) -> Result<usize> {
    if flags & !(USER_MODE_ONLY | raw::O_CLOEXEC | raw::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let monitor = Ref::try_new(Monitor::new(flags & USER_MODE_ONLY != 0))?;
    let owner = with_current_mm(|space| space.owner()).ok_or(Errno::ENOMEM)?;
    let userfault = Userfault::new(monitor, proc::memory_pid(), owner);
    let kept = raw::O_RDWR | flags & raw::O_NONBLOCK;
    insert(Target::Userfault(userfault), kept, flags & raw::O_CLOEXEC != 0)
}

/// ioctl(fd, request, arg) on a descriptor of userfaultfd.
pub(super) fn ioctl(userfault: &Userfault, request: u32, arg: u64) -> Result<usize> {
    if request != API && !userfault.monitor().is_ready() {
        return Err(Errno::EINVAL);
    }
    match request {
        API => agree(userfault, arg),
        REGISTER => register(userfault, arg),
        UNREGISTER => {
            let (start, end) = range(UserPtr::<[u64; 2]>::new(arg).read()?)?;
            with_space(userfault, |space| space.uffd_unregister(crate::mm(), (start, end)))
                .map_err(no_memory)?;
            Ok(0)
        }
        WAKE => {
            let (start, end) = range(UserPtr::<[u64; 2]>::new(arg).read()?)?;
            userfault.monitor().wake(start.get(), end.get());
            Ok(0)
        }
        COPY => copy(userfault, arg),
        ZEROPAGE => fill(userfault, arg, 1, Fill::Zeroes),
        CONTINUE => fill(userfault, arg, 1 | 2, Fill::Present),
        POISON => fill(userfault, arg, 1, Fill::Poison),
        WRITEPROTECT => protect(userfault, arg),
        _ => Err(Errno::EINVAL),
    }
}

fn range([start, len]: [u64; 2]) -> Result<(VirtAddr, VirtAddr)> {
    let end = start.checked_add(len).ok_or(Errno::EINVAL)?;
    let (start, end) = (VirtAddr::new(start), VirtAddr::new(end));
    check(start, end).map(|()| (start, end))
}

/// What registering says where others say `ESRCH`.
fn no_memory(error: Errno) -> Errno {
    if error == Errno::ESRCH { Errno::ENOMEM } else { error }
}

/// Calls `f` with the address space that the descriptor is for, locked.
///
/// # Errors
/// `ESRCH`: it is gone. What `f` returns.
fn with_space<T>(userfault: &Userfault, f: impl FnOnce(&mut AddressSpace) -> Result<T>) -> Result<T> {
    proc::with_space_of(userfault.pid(), userfault.owner(), f).unwrap_or(Err(Errno::ESRCH))
}

/// UFFDIO_API: `{api, features, ioctls}`.
fn agree(userfault: &Userfault, arg: u64) -> Result<usize> {
    let argument = UserPtr::<[u64; 3]>::new(arg);
    let [api, features, _] = argument.read()?;
    if api != UFFD_API || features & !feature::ALL != 0 {
        // So that the program sees that nothing is.
        argument.write([0; 3])?;
        return Err(Errno::EINVAL);
    }
    let ioctls = 1 << number::REGISTER | 1 << number::UNREGISTER | 1u64 << number::API;
    argument.write([api, feature::ALL, ioctls])?;
    if let Err(error) = userfault.monitor().agree(features) {
        argument.write([0; 3])?;
        return Err(error);
    }
    Ok(0)
}

/// UFFDIO_REGISTER: `{start, len, mode, ioctls}`.
fn register(userfault: &Userfault, arg: u64) -> Result<usize> {
    let argument = UserPtr::<[u64; 4]>::new(arg);
    let [start, len, mode, _] = argument.read()?;
    if mode == 0 || mode & !(MISSING | WP | MINOR) != 0 {
        return Err(Errno::EINVAL);
    }
    let (start, end) = range([start, len])?;
    let mut modes = VmaFlags::empty();
    for (bit, flag) in
        [(MISSING, VmaFlags::UFFD_MISSING), (WP, VmaFlags::UFFD_WP), (MINOR, VmaFlags::UFFD_MINOR)]
    {
        modes.set(flag, mode & bit != 0);
    }
    with_space(userfault, |space| space.uffd_register(crate::mm(), (start, end), modes, userfault.monitor()))
        .map_err(no_memory)?;
    let always = 1 << number::WAKE | 1 << number::COPY | 1 << number::ZEROPAGE | 1u64 << number::POISON;
    let protects = if mode & WP != 0 { 1 << number::WRITEPROTECT } else { 0 };
    let continues = if mode & MINOR != 0 { 1 << number::CONTINUE } else { 0 };
    UserPtr::<u64>::new(arg).at(3).write(always | protects | continues)?;
    Ok(0)
}

/// UFFDIO_COPY: `{dst, src, len, mode, copied}`.
fn copy(userfault: &Userfault, arg: u64) -> Result<usize> {
    const DONTWAKE: u64 = 1;
    const PROTECT: u64 = 2;
    let [to, from, len, mode] = UserPtr::<[u64; 4]>::new(arg).read()?;
    let (start, end) = range([to, len])?;
    let source_end = from.checked_add(len).filter(|end| *end <= USER_END.get());
    if mode & !(DONTWAKE | PROTECT) != 0 || source_end.is_none() || from < USER_START.get() {
        return Err(Errno::EINVAL);
    }
    let mut page = Vec::new();
    page.try_reserve_exact(PAGE_SIZE as usize)?;
    page.resize(PAGE_SIZE as usize, 0);
    let outcome = pages(start, end, |at| {
        let source = from + (at.get() - to);
        copy_from_user(&mut page, source as usize)?;
        with_space(userfault, |space| {
            let protect = mode & PROTECT != 0;
            space.uffd_fill(crate::mm(), (at, end), Fill::Bytes(&page), protect)
        })
    });
    told(userfault, (start, len), outcome, mode & DONTWAKE == 0, &UserPtr::<i64>::new(arg).at(4))
}

/// UFFDIO_ZEROPAGE, UFFDIO_CONTINUE, UFFDIO_POISON: `{start, len, mode, done}`. `modes`: the bits of the mode there are; 1 is
/// not to wake, 2 to protect.
fn fill(userfault: &Userfault, arg: u64, modes: u64, how: Fill<'static>) -> Result<usize> {
    let [start, len, mode] = UserPtr::<[u64; 3]>::new(arg).read()?;
    let (start, end) = range([start, len])?;
    if mode & !modes != 0 {
        return Err(Errno::EINVAL);
    }
    let outcome = pages(start, end, |at| {
        with_space(userfault, |space| space.uffd_fill(crate::mm(), (at, end), how, mode & 2 != 0))
    });
    told(userfault, (start, len), outcome, mode & 1 == 0, &UserPtr::<i64>::new(arg).at(3))
}

/// Calls `each` with every page of a range, until one fails; returns how many bytes that was, and why it ended.
fn pages(start: VirtAddr, end: VirtAddr, mut each: impl FnMut(VirtAddr) -> Result<()>) -> (u64, Result<()>) {
    let mut at = start;
    while at < end {
        if let Err(error) = each(at) {
            return (at.get() - start.get(), Err(error));
        }
        at = at.add(PAGE_SIZE);
        if (at.get() / PAGE_SIZE).is_multiple_of(64) {
            yield_now(); // interrupts are masked, so nobody else ends this
            if proc::is_to_end() {
                return (at.get() - start.get(), Err(Errno::EINTR));
            }
        }
    }
    (at.get() - start.get(), Ok(()))
}

/// Tells the program how much was done, and wakes who waits for it.
///
/// # Errors
/// `EAGAIN`: some, but not all. What kept the first page from being filled. `EFAULT`.
fn told(
    userfault: &Userfault,
    (start, len): (VirtAddr, u64),
    (done, outcome): (u64, Result<()>),
    wake: bool,
    to: &UserPtr<i64>,
) -> Result<usize> {
    match outcome {
        Err(error) if done == 0 => {
            to.write(-i64::from(error.number()))?;
            return Err(error);
        }
        _ => to.write(done as i64)?,
    }
    if wake {
        userfault.monitor().wake(start.get(), start.get() + done);
    }
    if done == len { Ok(0) } else { Err(Errno::EAGAIN) }
}

/// UFFDIO_WRITEPROTECT: `{start, len, mode}`.
fn protect(userfault: &Userfault, arg: u64) -> Result<usize> {
    const PROTECT: u64 = 1;
    const DONTWAKE: u64 = 2;
    let [start, len, mode] = UserPtr::<[u64; 3]>::new(arg).read()?;
    let (start, end) = range([start, len])?;
    // Who protects has nobody to wake.
    if mode & !(PROTECT | DONTWAKE) != 0 || mode == PROTECT | DONTWAKE {
        return Err(Errno::EINVAL);
    }
    with_space(userfault, |space| {
        space.uffd_writeprotect(crate::mm(), start.get() as usize, len as usize, mode & PROTECT != 0)
    })?;
    if mode == 0 {
        userfault.monitor().wake(start.get(), end.get());
    }
    Ok(0)
}
