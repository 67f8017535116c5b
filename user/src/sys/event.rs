//! Descriptors that stand for events, and sockets within the machine.

use core::ffi::CStr;

use linux_raw_sys::{general as linux, net};

use super::file::Fd;
use super::{Result, raw};

/// [`watch`], [`wait`]: there is something to read.
pub const IN: u32 = linux::EPOLLIN;
/// [`watch`], [`wait`]: there is room to write.
pub const OUT: u32 = linux::EPOLLOUT;
/// [`wait`]: the other side is gone.
pub const HUP: u32 = linux::EPOLLHUP;
/// [`watch`]: tell of what is new, once.
pub const EDGE: u32 = linux::EPOLLET;

/// A counter that stands at `count`.
///
/// # Errors
/// `EMFILE`, `ENOMEM`.
pub fn counter(count: u32) -> Result<Fd> {
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_eventfd2, [count as usize, linux::O_NONBLOCK as usize]) }.map(|fd| fd as Fd)
}

/// A timer that goes off once, in `ns` nanoseconds.
///
/// # Errors
/// `EMFILE`, `ENOMEM`.
pub fn timer(ns: u64) -> Result<Fd> {
    // SAFETY: touches no memory of ours.
    let fd = unsafe { raw(linux::__NR_timerfd_create, [linux::CLOCK_MONOTONIC as usize, 0]) }?;
    let setting = [0, 0, ns / 1_000_000_000, ns % 1_000_000_000];
    // SAFETY: the kernel only reads the setting.
    unsafe { raw(linux::__NR_timerfd_settime, [fd, 0, setting.as_ptr() as usize, 0]) }?;
    Ok(fd as Fd)
}

/// A descriptor (`fd` -1: a new one) to read the signals in `set` from.
///
/// # Errors
/// `EINVAL`: unknown flags, or not such a descriptor. `EBADF`, `EMFILE`, `ENOMEM`.
pub fn signals(fd: Fd, set: u64, flags: u32) -> Result<Fd> {
    let args = [fd as usize, &raw const set as usize, 8, flags as usize];
    // SAFETY: the kernel reads one set.
    unsafe { raw(linux::__NR_signalfd4, args) }.map(|fd| fd as Fd)
}

/// An empty set of descriptors to wait for.
///
/// # Errors
/// `EMFILE`, `ENOMEM`.
pub fn set() -> Result<Fd> {
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_epoll_create1, [0]) }.map(|fd| fd as Fd)
}

/// Adds `fd` to a set, to be told of these events.
///
/// # Errors
/// `EEXIST`: it is in it; `EPERM`: nobody waits for such a file; `EBADF`, `ENOMEM`.
pub fn watch(set: Fd, fd: Fd, events: u32) -> Result<()> {
    let event = [u64::from(events), fd as u64];
    let args = [set as usize, linux::EPOLL_CTL_ADD as usize, fd as usize, event.as_ptr() as usize];
    // SAFETY: the kernel only reads the event, which is laid out as on this architecture.
    unsafe { raw(linux::__NR_epoll_ctl, args) }.map(drop)
}

/// Waits up to `ms` milliseconds for one of the set's descriptors; returns which, and its events.
///
/// # Errors
/// `EBADF`, `EINTR`.
pub fn wait(set: Fd, ms: usize) -> Result<Option<(Fd, u32)>> {
    let mut event = [0u64; 2];
    let args = [set as usize, event.as_mut_ptr() as usize, 1, ms, 0, 8];
    // SAFETY: the kernel writes one event.
    let count = unsafe { raw(linux::__NR_epoll_pwait, args) }?;
    Ok((count > 0).then_some((event[1] as Fd, event[0] as u32)))
}

/// Two sockets that are connected to each other.
///
/// # Errors
/// `EMFILE`, `ENOMEM`.
pub fn socket_pair() -> Result<(Fd, Fd)> {
    let mut pair = [0 as Fd; 2];
    let args = [net::AF_UNIX as usize, net::SOCK_STREAM as usize, 0, pair.as_mut_ptr() as usize];
    // SAFETY: the kernel writes two descriptors.
    unsafe { raw(linux::__NR_socketpair, args) }?;
    Ok((pair[0], pair[1]))
}

/// Where a socket is.
#[derive(Clone, Copy)]
pub enum Address<'a> {
    /// A path.
    Path(&'a CStr),
    /// A port of 127.0.0.1.
    Port(u16),
}

impl Address<'_> {
    fn family(&self) -> usize {
        match self {
            Address::Path(_) => net::AF_UNIX as usize,
            Address::Port(_) => net::AF_INET as usize,
        }
    }

    fn bytes(&self) -> ([u8; 110], usize) {
        let mut bytes = [0; 110];
        bytes[..2].copy_from_slice(&(self.family() as u16).to_ne_bytes());
        match self {
            Address::Path(path) => {
                let path = path.to_bytes_with_nul();
                bytes[2..2 + path.len()].copy_from_slice(path);
                (bytes, 2 + path.len())
            }
            Address::Port(port) => {
                bytes[2..4].copy_from_slice(&port.to_be_bytes());
                bytes[4..8].copy_from_slice(&[127, 0, 0, 1]);
                (bytes, 16)
            }
        }
    }
}

fn socket_at(address: Address<'_>, call: u32) -> Result<Fd> {
    // SAFETY: touches no memory of ours.
    let fd = unsafe { raw(linux::__NR_socket, [address.family(), net::SOCK_STREAM as usize, 0]) }?;
    let (bytes, len) = address.bytes();
    // SAFETY: the kernel only reads the address.
    unsafe { raw(call, [fd, bytes.as_ptr() as usize, len]) }?;
    Ok(fd as Fd)
}

/// A socket that waits for connections.
///
/// # Errors
/// `EADDRINUSE` and others, see bind(2).
pub fn listen(address: Address<'_>) -> Result<Fd> {
    let fd = socket_at(address, linux::__NR_bind)?;
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_listen, [fd as usize, 5]) }?;
    Ok(fd)
}

/// A socket that is connected to who listens there.
///
/// # Errors
/// `ECONNREFUSED` and others, see connect(2).
pub fn connect(address: Address<'_>) -> Result<Fd> {
    socket_at(address, linux::__NR_connect)
}

/// Takes a connection.
///
/// # Errors
/// As accept(2).
pub fn accept(fd: Fd) -> Result<Fd> {
    // SAFETY: touches no memory of ours.
    unsafe { raw(linux::__NR_accept4, [fd as usize, 0, 0, 0]) }.map(|fd| fd as Fd)
}
