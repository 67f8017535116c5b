//! Descriptors that a worker knows of, by sort: those it opened at first, and those that calls have opened since. Others
//! may have closed them, which makes them hostile.

use core::ops::Deref;

use linux_raw_sys::general::*;

use crate::random::Random;

/// Descriptors of a sort that are remembered.
const KEPT: usize = 8;

/// What a descriptor stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    /// A regular file, with or without a name.
    File,
    /// A directory.
    Directory,
    /// An end of a pipe.
    Pipe,
    /// A socket: connected, or nothing yet.
    Socket,
    /// A socket that waits for others.
    Listener,
    /// A set of descriptors to wait for.
    Set,
    /// A timer.
    Timer,
    /// A counter of events.
    Event,
    /// A process.
    Process,
    /// A monitor of faults, userfaultfd's.
    Monitor,
    /// Whatever else: what the kernel generates, devices, copies.
    Other,
}

/// How many sorts there are.
const SORTS: usize = Sort::Other as usize + 1;

/// Descriptors of one sort, the latest.
#[derive(Clone, Copy, Default, Debug)]
pub struct Kept {
    fds: [u16; KEPT],
    count: usize,
    next: usize,
}

impl Kept {
    fn add(&mut self, fd: u16) {
        self.fds[self.next] = fd;
        self.next = (self.next + 1) % KEPT;
        self.count = KEPT.min(self.count + 1);
    }

    /// Forgets a descriptor; what is known of the order is lost with it, which does not matter.
    fn remove(&mut self, fd: u16) {
        while let Some(at) = self.iter().position(|known| *known == fd) {
            self.count -= 1;
            self.fds[at] = self.fds[self.count];
            self.next = self.count;
        }
    }
}

impl Deref for Kept {
    type Target = [u16];

    fn deref(&self) -> &[u16] {
        &self.fds[..self.count]
    }
}

/// All descriptors that are known.
#[derive(Clone, Copy, Default, Debug)]
pub struct Held([Kept; SORTS]);

impl Held {
    /// Remembers a descriptor.
    pub fn add(&mut self, sort: Sort, fd: usize) {
        if let Ok(fd) = u16::try_from(fd) {
            self.0[sort as usize].add(fd);
        }
    }

    /// One of a sort, if there is any.
    pub fn one(&self, sort: Sort, random: &mut Random) -> Option<u64> {
        let kept = &self.0[sort as usize];
        (!kept.is_empty()).then(|| random.pick(kept).into())
    }

    /// One of any sort, each as likely as the others.
    pub fn any(&self, random: &mut Random) -> Option<u64> {
        let first = random.below(SORTS as u64) as usize;
        let kept = (0..SORTS).map(|at| &self.0[(first + at) % SORTS]).find(|kept| !kept.is_empty())?;
        Some(random.pick(kept).into())
    }

    /// Takes note of a call that has succeeded. `load` reads a descriptor that it has written to memory.
    #[allow(non_upper_case_globals)] // `__NR_close` is what Linux calls it
    pub fn note(&mut self, number: u32, args: &[u64; 6], result: usize, load: impl Fn(u64) -> usize) {
        let sort = match number {
            __NR_openat if args[2] as u32 & O_DIRECTORY != 0 => Sort::Directory,
            __NR_openat | __NR_openat2 | __NR_memfd_create => Sort::File,
            __NR_socket | __NR_accept | __NR_accept4 => Sort::Socket,
            __NR_epoll_create1 => Sort::Set,
            __NR_timerfd_create => Sort::Timer,
            __NR_eventfd2 => Sort::Event,
            __NR_pidfd_open => Sort::Process,
            __NR_userfaultfd => Sort::Monitor,
            __NR_dup | __NR_dup3 | __NR_signalfd4 | __NR_inotify_init1 => Sort::Other,
            __NR_fcntl if matches!(args[1] as u32, F_DUPFD | F_DUPFD_CLOEXEC) => Sort::Other,
            __NR_listen => return self.add(Sort::Listener, args[0] as u32 as usize),
            __NR_pipe2 => return self.add_two(Sort::Pipe, args[0], load),
            __NR_socketpair => return self.add_two(Sort::Socket, args[3], load),
            __NR_close => {
                let fd = args[0] as u32 as u16;
                return self.0.iter_mut().for_each(|kept| kept.remove(fd));
            }
            _ => return,
        };
        self.add(sort, result);
    }

    fn add_two(&mut self, sort: Sort, at: u64, load: impl Fn(u64) -> usize) {
        self.add(sort, load(at));
        self.add(sort, load(at.wrapping_add(4)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(held: &mut Held, number: u32, args: [u64; 6], result: usize) {
        held.note(number, &args, result, |at| at as usize);
    }

    #[test]
    fn what_calls_open_is_known_by_its_sort_until_it_is_closed() {
        let (mut held, mut random) = (Held::default(), Random::new(1, 1));
        assert_eq!(held.any(&mut random), None);
        note(&mut held, __NR_openat, [0; 6], 3);
        note(&mut held, __NR_openat, [0, 0, O_DIRECTORY.into(), 0, 0, 0], 4);
        note(&mut held, __NR_pipe2, [10; 6], 0);
        note(&mut held, __NR_listen, [7; 6], 0);
        note(&mut held, __NR_getpid, [0; 6], 9);
        assert_eq!(held.one(Sort::File, &mut random), Some(3));
        assert_eq!(held.one(Sort::Directory, &mut random), Some(4));
        assert_eq!(held.one(Sort::Listener, &mut random), Some(7));
        assert_eq!(held.0[Sort::Pipe as usize][..], [10, 14]);
        assert_eq!(held.one(Sort::Other, &mut random), None);
        note(&mut held, __NR_close, [3; 6], 0);
        assert_eq!(held.one(Sort::File, &mut random), None);
        assert!((0..100).all(|_| held.any(&mut random).is_some_and(|fd| fd != 3)));
    }

    #[test]
    fn the_latest_are_kept() {
        let mut kept = Kept::default();
        (0..KEPT as u16 + 2).for_each(|fd| kept.add(fd));
        assert_eq!(kept.len(), KEPT);
        assert!(!kept.contains(&0) && !kept.contains(&1) && kept.contains(&(KEPT as u16 + 1)));
        kept.remove(5);
        kept.remove(99);
        assert!(kept.len() == KEPT - 1 && !kept.contains(&5));
    }
}
