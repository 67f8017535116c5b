//! What a signal tells about itself: a `siginfo_t` without its unused end.
//!
//! ```text
//!    0  si_signo   4  si_errno   8  si_code   12  nothing
//!   16  sent:   16 si_pid  20 si_uid  24 si_value
//!       timer:  16 si_timerid  20 si_overrun  24 si_value
//!       child:  16 si_pid  20 si_uid  24 si_status  32 si_utime  40 si_stime
//!       fault:  16 si_addr
//! ```
//! (Linux: include/uapi/asm-generic/siginfo.h.) Everybody is user 0.

use super::{SIGBUS, SIGCHLD, SIGILL, SIGKILL, SIGSEGV, SIGTRAP};

/// Bytes of a `siginfo_t`.
pub const INFO_BYTES: usize = 128;
/// Bytes of it that are used.
pub const USED_BYTES: usize = 48;

/// `si_code`: sent by kill or raise.
pub const SI_USER: i32 = 0;
/// `si_code`: sent by the kernel.
pub const SI_KERNEL: i32 = 0x80;
/// `si_code`: sent by tkill or tgkill.
pub const SI_TKILL: i32 = -6;
/// `si_code`: a timer has gone off.
pub const SI_TIMER: i32 = -2;
/// `si_code` of SIGSEGV: nothing is mapped there.
pub const SEGV_MAPERR: i32 = 1;
/// `si_code` of SIGSEGV: the mapping does not permit it.
pub const SEGV_ACCERR: i32 = 2;
/// `si_code` of SIGBUS: misaligned.
pub const BUS_ADRALN: i32 = 1;
/// `si_code` of SIGBUS: no such physical address, or behind a file's end.
pub const BUS_ADRERR: i32 = 2;
/// `si_code` of SIGBUS: what the page held is lost.
pub const BUS_MCEERR_AR: i32 = 4;
/// `si_code` of SIGILL: no such instruction.
pub const ILL_ILLOPC: i32 = 1;
/// `si_code` of SIGTRAP: a breakpoint instruction.
pub const TRAP_BRKPT: i32 = 1;
/// `si_code` of SIGCHLD: exited.
pub const CLD_EXITED: i32 = 1;
/// `si_code` of SIGCHLD: killed by a signal.
pub const CLD_KILLED: i32 = 2;
/// `si_code` of SIGCHLD: stopped.
pub const CLD_STOPPED: i32 = 5;
/// `si_code` of SIGCHLD: goes on.
pub const CLD_CONTINUED: i32 = 6;

/// A signal and what it tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// Its number, 1 to 64.
    pub signal: u32,
    /// `si_errno`.
    pub errno: i32,
    /// `si_code`: where it comes from.
    pub code: i32,
    /// Bytes 16 to 47.
    pub rest: [u64; 4],
}

impl Info {
    /// A signal that says only what it is: from the kernel.
    pub const fn kernel(signal: u32) -> Info {
        Info { signal, errno: 0, code: SI_KERNEL, rest: [0; 4] }
    }

    /// A signal that process `pid` sends, by the call that `code` names.
    pub const fn sent(signal: u32, code: i32, pid: u32) -> Info {
        Info { signal, errno: 0, code, rest: [pid as u64, 0, 0, 0] }
    }

    /// A signal for an exception at the user address `addr`.
    pub const fn fault(signal: u32, code: i32, addr: usize) -> Info {
        Info { signal, errno: 0, code, rest: [addr as u64, 0, 0, 0] }
    }

    /// An access to the page of `addr`, whose contents are lost.
    pub const fn lost(addr: usize) -> Info {
        // si_addr_lsb says how much is lost.
        Info {
            signal: SIGBUS,
            errno: 0,
            code: BUS_MCEERR_AR,
            rest: [addr as u64, paging::PAGE_SHIFT as u64, 0, 0],
        }
    }

    /// What has become of child `pid`: `code` is one of the `CLD_`, `value` the exit code or the signal.
    pub const fn child(code: i32, pid: u32, value: u32) -> Info {
        Info { signal: SIGCHLD, errno: 0, code, rest: [pid as u64, value as u64, 0, 0] }
    }

    /// The end of child `pid` with the wait status `status`.
    pub const fn ended(pid: u32, status: u32) -> Info {
        match status & 0x7f {
            0 => Info::child(CLD_EXITED, pid, status >> 8 & 0xff),
            signal => Info::child(CLD_KILLED, pid, signal),
        }
    }

    /// Timer `id` has gone off. Until the signal is taken it holds the timer's `key` where Linux too has something of its own
    /// (`si_sys_private`).
    pub const fn timer(signal: u32, id: u32, value: u64, key: u64) -> Info {
        Info { signal, errno: 0, code: SI_TIMER, rest: [id as u64, value, key, 0] }
    }

    /// The key of the timer whose signal this is and that has not been told; 0: it is another's.
    pub const fn timer_key(&self) -> u64 {
        if self.code == SI_TIMER { self.rest[2] } else { 0 }
    }

    /// Completes what a timer's signal tells.
    pub const fn set_overruns(&mut self, overruns: u32) {
        let id = self.rest[0] as u32;
        self.rest[0] = id as u64 | (overruns as u64) << 32;
        self.rest[2] = 0;
    }

    /// Whether the kernel itself, and not a process, sends it (Linux: `SI_FROMKERNEL`).
    pub const fn is_from_kernel(&self) -> bool {
        self.code > 0
    }

    /// As programs see it.
    pub fn to_bytes(self) -> [u8; INFO_BYTES] {
        let mut bytes = [0; INFO_BYTES];
        bytes[..4].copy_from_slice(&self.signal.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.errno.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.code.to_ne_bytes());
        for (to, word) in bytes[16..USED_BYTES].chunks_exact_mut(8).zip(self.rest) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// As signalfd tells it (Linux: include/uapi/linux/signalfd.h): the fields that this kind of signal has, by their names'
    /// places there, which are not those of a `siginfo_t`.
    pub fn to_record(self) -> [u8; INFO_BYTES] {
        let mut bytes = [0; INFO_BYTES];
        let mut put = |at: usize, value: u64, len: usize| {
            bytes[at..at + len].copy_from_slice(&value.to_ne_bytes()[..len]);
        };
        put(0, self.signal.into(), 4);
        put(4, self.errno as u64, 4);
        put(8, self.code as u64, 4);
        let [first, second, third, fourth] = self.rest;
        match (self.code, self.signal) {
            (SI_TIMER, _) => {
                put(24, first, 4); // timer
                put(32, first >> 32, 4); // overruns
                put(44, second, 4);
                put(48, second, 8);
            }
            (1.., SIGCHLD) if self.code != SI_KERNEL => {
                put(12, first, 8); // process and user
                put(40, second, 4); // status
                put(56, third, 8);
                put(64, fourth, 8);
            }
            (1.., SIGSEGV | SIGBUS | SIGILL | SIGTRAP) if self.code != SI_KERNEL => put(72, first, 8), // address
            _ => {
                put(12, first, 8); // process and user
                put(44, second, 4); // the value, as a number and as a pointer
                put(48, second, 8);
            }
        }
        bytes
    }

    /// What a program hands to rt_sigqueueinfo for `signal`. It is no timer's, whatever it says.
    pub fn from_words(signal: u32, words: [u64; USED_BYTES / 8]) -> Info {
        let [first, second, mut rest @ ..] = words;
        let code = second as i32;
        if code == SI_TIMER {
            rest[2] = 0;
        }
        Info { signal, errno: (first >> 32) as i32, code, rest }
    }
}

/// What kills without a word.
pub const KILL: Info = Info::kernel(SIGKILL);

#[cfg(test)]
mod tests {
    use super::*;

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn fields_are_where_linux_has_them() {
        let sent = Info::sent(10, SI_TKILL, 77).to_bytes();
        assert_eq!([0, 4, 8, 16, 20].map(|at| word(&sent, at)), [10, 0, -6i32 as u32, 77, 0]);
        let ended = Info::ended(5, 0x300).to_bytes();
        assert_eq!([0, 8, 16, 24].map(|at| word(&ended, at)), [SIGCHLD, 1, 5, 3]);
        assert_eq!([8, 24].map(|at| word(&Info::ended(5, 9).to_bytes(), at)), [2, 9]);
        let fault = Info::fault(11, SEGV_MAPERR, 0x1234_5678_9abc).to_bytes();
        assert_eq!(fault[16..24], 0x1234_5678_9abc_u64.to_ne_bytes());
        assert!(fault[24..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn records_have_their_own_places() {
        let queued = Info { signal: 40, errno: 0, code: -1, rest: [77 | 5 << 32, 0x1_0000_0009, 0, 0] };
        let record = queued.to_record();
        assert_eq!(
            [0, 8, 12, 16, 44, 48, 52].map(|at| word(&record, at)),
            [40, -1i32 as u32, 77, 5, 9, 9, 1]
        );
        let ended = Info::ended(5, 0x300).to_record();
        assert_eq!([0, 8, 12, 40, 44].map(|at| word(&ended, at)), [SIGCHLD, 1, 5, 3, 0]);
        let fault = Info::fault(11, SEGV_MAPERR, 0x1234_5678_9abc).to_record();
        assert_eq!((word(&fault, 12), word(&fault, 72)), (0, 0x5678_9abc));
    }

    #[test]
    fn what_a_program_queues_comes_back() {
        let info = Info { signal: 40, errno: 3, code: -1, rest: [7, 8, 9, 10] };
        let bytes = info.to_bytes();
        let words = core::array::from_fn(|i| u64::from_ne_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap()));
        assert_eq!(Info::from_words(40, words), info);
        assert!(!info.is_from_kernel() && Info::kernel(9).is_from_kernel());
    }

    #[test]
    fn a_timer_s_signal_tells_its_overruns_and_not_its_key() {
        let mut info = Info::timer(40, 7, 0x1_0000_0009, 99);
        assert_eq!((info.timer_key(), Info::sent(40, SI_TKILL, 7).timer_key()), (99, 0));
        info.set_overruns(3);
        assert_eq!((info.timer_key(), info.rest), (0, [7 | 3 << 32, 0x1_0000_0009, 0, 0]));
        let record = info.to_record();
        assert_eq!([12, 24, 32, 44, 48, 52].map(|at| word(&record, at)), [0, 7, 3, 9, 9, 1]);
        let forged = Info::from_words(40, [0, SI_TIMER as u64, 7, 9, 99, 5]);
        assert_eq!((forged.timer_key(), forged.rest), (0, [7, 9, 0, 5]));
    }
}
