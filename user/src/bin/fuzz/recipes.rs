//! Calls whose arguments depend on each other: what a number asked for with `ioctl`, `prctl` and their kin points to.

use linux_raw_sys::general::*;

use user::sys::userfault::REQUESTS;

use crate::held::Sort;
use crate::values::Values;

/// Requests of terminals, sockets and whatever is open (Linux: include/uapi/asm-generic/ioctls.h).
const GENERAL: [u64; 21] = [
    0x5401,
    0x5402,
    0x5403,
    0x5404,
    0x5409,
    0x540a,
    0x540b,
    0x540e,
    0x540f,
    0x5410,
    0x5411,
    0x5413,
    0x5414,
    0x541b,
    0x5421,
    0x5422,
    0x5429,
    0x5450,
    0x5451,
    0x8004_5430,
    0x8905,
];
/// Request that looks for pages by what they are, on `pagemap` (Linux: include/uapi/linux/fs.h).
const PAGEMAP_SCAN: u64 = 0xc060_6610;
/// Options of prctl that take a flag or nothing (Linux: include/uapi/linux/prctl.h).
const OPTIONS: [u64; 17] = [2, 3, 4, 7, 8, 27, 30, 36, 37, 39, 40, 41, 42, 65, 66, 67, 68];

/// From which tameness on workers do not take away what keeps them going.
const TAME: u64 = 60;

impl Values<'_> {
    /// Has the arguments of call `number` go together, more often than not.
    #[allow(non_upper_case_globals)] // `__NR_ioctl` is what Linux calls it
    pub fn combine(&mut self, number: u32, args: &mut [u64; 6]) {
        if self.tameness >= TAME {
            self.spare(number, args);
        }
        if self.random.one_in(4) {
            return;
        }
        match number {
            __NR_ioctl => self.request(args),
            __NR_prctl => self.process(args),
            __NR_fcntl => args[2] = self.command(args[1] as u32),
            __NR_mmap if args[3] as u32 & MAP_ANONYMOUS == 0 => {
                args[5] = self.random.below(8) * user::sys::memory::page_size() as u64;
            }
            _ => {}
        }
    }

    /// Leaves the alarm and the fault handlers as they are, without which a worker soon waits for ever or dies.
    #[allow(non_upper_case_globals)] // as above
    fn spare(&mut self, number: u32, args: &mut [u64; 6]) {
        match number {
            __NR_rt_sigaction if matches!(args[0] as u32, SIGALRM | SIGSEGV | SIGBUS) => {
                args[0] = SIGUSR1.into()
            }
            __NR_setitimer if args[0] as u32 == ITIMER_REAL => args[0] = ITIMER_PROF.into(),
            __NR_kill | __NR_tkill | __NR_rt_sigqueueinfo
                if matches!(args[1] as u32, SIGKILL | SIGSTOP..=SIGTTOU) =>
            {
                args[1] = SIGUSR2.into();
            }
            _ => {}
        }
    }

    fn request(&mut self, args: &mut [u64; 6]) {
        if REQUESTS.contains(&(args[1] as usize)) {
            return; // they have a shape of their own
        }
        let (page, span) = (self.page(), self.span());
        match self.random.below(4) {
            0 => {
                let room = self.pointer();
                let mut flags = || self.random.next() & self.random.next() & 0x1ff;
                let words = [
                    96,
                    flags() & 3,
                    page,
                    page.wrapping_add(span),
                    0,
                    room,
                    16,
                    0,
                    flags(),
                    flags(),
                    flags(),
                    0x1ff,
                ];
                let fd = self.held_as(Sort::Other);
                (args[0], args[1], args[2]) = (fd, PAGEMAP_SCAN, self.scratch.words(&words));
            }
            _ => args[1] = self.random.pick(&GENERAL),
        }
    }

    fn process(&mut self, args: &mut [u64; 6]) {
        /// PR_SET_VMA and its only use, a name.
        const AREA: u64 = 0x5356_4d41;
        let chosen = match self.random.below(5) {
            0 => [AREA, 0, self.page(), self.span(), self.scratch.word(self.random)],
            1 => [15, self.scratch.word(self.random), 0, 0, 0],
            2 => [16, self.pointer(), 0, 0, 0],
            3 => [1, self.random.below(66), 0, 0, 0],
            _ => [self.random.pick(&OPTIONS), self.random.below(3), 0, 0, 0],
        };
        args[..5].copy_from_slice(&chosen);
    }

    fn command(&mut self, command: u32) -> u64 {
        match command {
            F_GETLK | F_SETLK | F_OFD_GETLK | F_OFD_SETLK => {
                let lock = [self.random.below(3), self.random.below(4096), self.random.below(4096), 0];
                self.scratch.words(&lock)
            }
            F_SETPIPE_SZ => self.length(),
            F_SETFL => self.open_flags(),
            _ => self.random.below(64),
        }
    }
}
