//! System calls on descriptors that stand for events: eventfd, signalfd, timerfd, epoll, and select.
//!
//! Waiting is looking again from time to time, as in `poll`.

use linux_raw_sys::general as linux;

use super::clock::{check_clock, from_timespec, to_timespec};
use super::signal::with_mask;
use super::user_ptr::UserPtr;
use crate::arch::time::now_ns;
use crate::arch::uaccess::copy_to_user;
use crate::errno::{Errno, Result};
use crate::fs::file::device::Device;
use crate::fs::file::fd::FD_LIMIT;
use crate::fs::file::{OpenFile, Target};
use crate::fs::notify::epoll::{Epoll, Ready};
use crate::fs::notify::event::Event;
use crate::fs::notify::signals::Signals;
use crate::fs::notify::timer::{Setting, Timer};
use crate::proc::signal::UNSTOPPABLE;
use crate::proc::{current_files, sigcalls, sleep_until};
use crate::tty;
use crate::util::Ref;

/// How often a waiting call looks, in nanoseconds.
const LOOK_NS: u64 = 1_000_000;
/// Events that one call hands out at most; who has room for more asks again.
const EVENTS: usize = 64;
/// Size of `struct epoll_event` on this architecture, where it is not packed.
const EVENT_BYTES: usize = 16;

/// What poll finds of a file: of a set of descriptors, whether something is ready in it.
pub(super) fn readiness(file: &OpenFile) -> u32 {
    match file.target() {
        Target::Epoll(set) if set.is_ready(look) => linux::POLLIN | linux::POLLRDNORM,
        _ => own_readiness(file),
    }
}

/// What poll finds of anything but a set.
fn own_readiness(file: &OpenFile) -> u32 {
    match file.target() {
        Target::Device(_, Device::Console) => tty::readiness(),
        Target::Signals(signals) if signals.set() & sigcalls::waiting() != 0 => {
            linux::POLLIN | linux::POLLRDNORM
        }
        _ => file.readiness(),
    }
}

/// What a descriptor of this process is, and what poll finds; a set within a set is not looked into.
fn look(fd: u32) -> Option<(u64, u32, u64)> {
    let file = current_files().lock().get(fd as usize).ok()?;
    Some((file.id(), own_readiness(&file), file.generation()))
}

/// Looks until `ready` finds something, or the deadline has passed.
fn wait_until(deadline: u64, mut ready: impl FnMut() -> Result<usize>) -> Result<usize> {
    loop {
        let found = ready()?;
        let now = now_ns();
        if found > 0 || now >= deadline {
            return Ok(found);
        }
        sleep_until(deadline.min(now + LOOK_NS))?;
    }
}

fn deadline(timeout: u64) -> Result<u64> {
    let timeout = UserPtr::<[i64; 2]>::new(timeout);
    match timeout.is_null() {
        true => Ok(u64::MAX),
        false => Ok(now_ns().saturating_add(from_timespec(timeout.read()?)?)),
    }
}

/// Gives a new description a descriptor.
pub(super) fn insert(target: Target, flags: u32, close_on_exec: bool) -> Result<usize> {
    let file = Ref::try_new(OpenFile::new(target, flags))?;
    // The clone outlives the lock, should there be no descriptor for it.
    current_files().lock().insert(file.clone(), close_on_exec, 0)
}

fn file(arg: u64) -> Result<Ref<OpenFile>> {
    current_files().lock().get(arg as u32 as usize)
}

/// eventfd2(count, flags).
pub fn eventfd2(args: &[u64; 6]) -> Result<usize> {
    let flags = args[1] as u32;
    if flags & !(linux::EFD_SEMAPHORE | linux::O_CLOEXEC | linux::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let event = Event::new(u64::from(args[0] as u32), flags & linux::EFD_SEMAPHORE != 0);
    let kept = linux::O_RDWR | flags & linux::O_NONBLOCK;
    insert(Target::Event(event), kept, flags & linux::O_CLOEXEC != 0)
}

/// signalfd4(fd, set, bytes, flags): a descriptor for the signals in `set`, or (`fd` not -1) another set for one there is.
pub fn signalfd4(args: &[u64; 6]) -> Result<usize> {
    let [fd, set, bytes, flags, ..] = *args;
    let flags = flags as u32;
    if flags & !(linux::O_CLOEXEC | linux::O_NONBLOCK) != 0 || bytes != size_of::<u64>() as u64 {
        return Err(Errno::EINVAL);
    }
    let set = UserPtr::<u64>::new(set).read()? & !UNSTOPPABLE;
    if fd as i32 == -1 {
        let kept = linux::O_RDWR | flags & linux::O_NONBLOCK;
        return insert(Target::Signals(Signals::new(set)), kept, flags & linux::O_CLOEXEC != 0);
    }
    let file = file(fd)?;
    let Target::Signals(signals) = file.target() else { return Err(Errno::EINVAL) };
    signals.change(set);
    Ok(fd as u32 as usize)
}

/// timerfd_create(clock, flags).
pub fn timerfd_create(args: &[u64; 6]) -> Result<usize> {
    check_clock(args[0])?;
    let flags = args[1] as u32;
    if flags & !(linux::O_CLOEXEC | linux::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let kept = linux::O_RDONLY | flags & linux::O_NONBLOCK;
    insert(Target::Timer(Timer::new(now_ns)), kept, flags & linux::O_CLOEXEC != 0)
}

/// timerfd_settime(fd, flags, new, old).
pub fn timerfd_settime(args: &[u64; 6]) -> Result<usize> {
    const KNOWN: u64 = (linux::TFD_TIMER_ABSTIME | linux::TFD_TIMER_CANCEL_ON_SET) as u64;
    let file = file(args[0])?;
    let Target::Timer(timer) = file.target() else { return Err(Errno::EINVAL) };
    if args[1] & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let [interval_s, interval_ns, next_s, next_ns] = UserPtr::<[i64; 4]>::new(args[2]).read()?;
    let interval = from_timespec([interval_s, interval_ns])?;
    let next = match from_timespec([next_s, next_ns])? {
        0 => 0,
        // A time that has passed is now.
        next if args[1] & u64::from(linux::TFD_TIMER_ABSTIME) != 0 => next,
        next => now_ns().saturating_add(next),
    };
    let old = timer.set(Setting { next, interval });
    if args[3] != 0 {
        put_setting(args[3], old)?;
    }
    Ok(0)
}

/// timerfd_gettime(fd, setting).
pub fn timerfd_gettime(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    let Target::Timer(timer) = file.target() else { return Err(Errno::EINVAL) };
    put_setting(args[1], timer.setting())
}

/// Writes a setting as a `struct itimerspec`: the time that is left, not the time of day.
fn put_setting(at: u64, setting: Setting) -> Result<usize> {
    let left = match setting.next {
        0 => 0,
        next => next.saturating_sub(now_ns()).max(1),
    };
    let ([interval_s, interval_ns], [left_s, left_ns]) = (to_timespec(setting.interval), to_timespec(left));
    UserPtr::new(at).write([interval_s, interval_ns, left_s, left_ns])?;
    Ok(0)
}

/// epoll_create1(flags).
pub fn epoll_create1(args: &[u64; 6]) -> Result<usize> {
    let flags = args[0] as u32;
    if flags & !linux::O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    insert(Target::Epoll(Epoll::default()), linux::O_RDWR, flags != 0)
}

/// epoll_ctl(set, operation, fd, event).
pub fn epoll_ctl(args: &[u64; 6]) -> Result<usize> {
    let (set, fd) = (file(args[0])?, args[2] as u32);
    let watched = file(args[2])?;
    let Target::Epoll(epoll) = set.target() else { return Err(Errno::EINVAL) };
    if Ref::ptr_eq(&set, &watched) {
        return Err(Errno::EINVAL);
    }
    // Regular files and directories are always ready; nobody waits for them.
    if matches!(watched.target(), Target::File(..) | Target::Dir(_) | Target::Place(_)) {
        return Err(Errno::EPERM);
    }
    let event = || {
        let [events, data] = UserPtr::<[u64; 2]>::new(args[3]).read()?;
        Ok::<_, Errno>((events as u32, data))
    };
    match args[1] as u32 {
        linux::EPOLL_CTL_ADD => event().and_then(|(events, data)| epoll.add(fd, &watched, events, data))?,
        linux::EPOLL_CTL_MOD => {
            event().and_then(|(events, data)| epoll.change(fd, &watched, events, data))?
        }
        linux::EPOLL_CTL_DEL => epoll.remove(fd, &watched)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// epoll_pwait(set, events, room, timeout, sigmask, sigsetsize): the timeout is in milliseconds, -1 for none.
pub fn epoll_pwait(args: &[u64; 6]) -> Result<usize> {
    let deadline = match args[3] as i32 {
        ..0 => u64::MAX,
        milliseconds => now_ns().saturating_add(milliseconds as u64 * 1_000_000),
    };
    epoll_wait(args, deadline)
}

/// epoll_pwait2(set, events, room, timeout, sigmask, sigsetsize): the timeout is a `struct timespec`.
pub fn epoll_pwait2(args: &[u64; 6]) -> Result<usize> {
    epoll_wait(args, deadline(args[3])?)
}

fn epoll_wait(args: &[u64; 6], deadline: u64) -> Result<usize> {
    let set = file(args[0])?;
    let Target::Epoll(epoll) = set.target() else { return Err(Errno::EINVAL) };
    let room = usize::try_from(args[2] as i32).ok().filter(|room| *room > 0).ok_or(Errno::EINVAL)?;
    let mut found: [Ready; EVENTS] = [(0, 0); EVENTS];
    let found = &mut found[..room.min(EVENTS)];
    let count = with_mask(args[4], args[5], || wait_until(deadline, || Ok(epoll.collect(found, look))))?;
    for (index, (events, data)) in found[..count].iter().enumerate() {
        let mut bytes = [0; EVENT_BYTES];
        bytes[..4].copy_from_slice(&events.to_ne_bytes());
        bytes[8..].copy_from_slice(&data.to_ne_bytes());
        copy_to_user((args[1] as usize).wrapping_add(index * EVENT_BYTES), &bytes)?;
    }
    Ok(count)
}

/// Words of a set of descriptors.
const SET_WORDS: usize = FD_LIMIT / 64;

/// pselect6(count, readable, writable, exceptional, timeout, sigmask).
pub fn pselect6(args: &[u64; 6]) -> Result<usize> {
    const IN: u32 = linux::POLLIN | linux::POLLRDNORM | linux::POLLHUP | linux::POLLERR;
    const OUT: u32 = linux::POLLOUT | linux::POLLWRNORM | linux::POLLERR;
    let count = usize::try_from(args[0] as i32).map_err(|_| Errno::EINVAL)?.min(FD_LIMIT);
    let words = count.div_ceil(64);
    let mut asked = [[0u64; SET_WORDS]; 3];
    for (set, address) in asked.iter_mut().zip(&args[1..4]) {
        let pointer = UserPtr::<u64>::new(*address);
        for (index, word) in set[..words].iter_mut().enumerate().filter(|_| !pointer.is_null()) {
            *word = pointer.at(index).read()?;
        }
    }
    let deadline = deadline(args[4])?;
    let mask = UserPtr::<[u64; 2]>::new(args[5]);
    let [mask, mask_bytes] = if mask.is_null() { [0; 2] } else { mask.read()? };
    let mut there = [[0u64; SET_WORDS]; 3];
    let look_once = || {
        there = [[0; SET_WORDS]; 3];
        let mut found = 0;
        for fd in 0..count {
            let (word, bit) = (fd / 64, 1 << (fd % 64));
            if asked.iter().all(|set| set[word] & bit == 0) {
                continue;
            }
            let ready = readiness(&*file(fd as u64)?);
            for ((set, wanted), events) in there.iter_mut().zip(&asked).zip([IN, OUT, linux::POLLPRI]) {
                if wanted[word] & bit != 0 && ready & events != 0 {
                    set[word] |= bit;
                    found += 1;
                }
            }
        }
        Ok(found)
    };
    let found = with_mask(mask, mask_bytes, || wait_until(deadline, look_once))?;
    for (set, address) in there.iter().zip(&args[1..4]) {
        let pointer = UserPtr::<u64>::new(*address);
        for (index, word) in set[..words].iter().enumerate().filter(|_| !pointer.is_null()) {
            pointer.at(index).write(*word)?;
        }
    }
    Ok(found)
}
