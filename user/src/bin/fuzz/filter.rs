//! What workers do not do, because it would hit those who are not to be hit: the supervisor, process 1 and the machine.
//! Everybody is root, so the kernel cannot tell them apart. What this covers is all that is left out:
//!
//! - signals go to the worker itself, its own process group, its children, and to nobody (numbers that no process has);
//!   in the same way it changes only its own process group, limits, scheduling and memory;
//! - `reboot` never has the first magic number;
//! - devices that are made are none that reach memory or the console;
//! - a `clone` that shares memory gets a stack of its own ([`crate::threads`]), since two threads on one stack would sooner
//!   or later do anything at all, also what is left out here;
//! - `/bin` and whatever else the machine needs is not among the paths that are opened or changed ([`crate::words`]).

use linux_raw_sys::general::*;

/// First magic number of `reboot` (Linux: include/uapi/linux/reboot.h).
const REBOOT_MAGIC: u32 = 0xfee1_dead;

/// No process has such a number, nor is a group's number the negative of one.
const NOBODY: i32 = 4_000_000;

/// Who is about to make a call.
#[derive(Clone, Copy, Debug)]
pub struct Me {
    /// Process.
    pub pid: i32,
    /// Thread.
    pub tid: i32,
    /// The child that was made last; 0: none.
    pub child: i32,
}

impl Me {
    /// `pid`, if it reaches only this worker, its children or nobody; else the worker's own number.
    fn own(&self, pid: u64) -> u64 {
        let own = [0, self.pid, self.tid, self.child, -self.pid];
        let nobody = |pid: i32| pid.unsigned_abs() >= NOBODY as u32;
        match pid as i32 {
            pid if own.contains(&pid) || nobody(pid) => pid as u64,
            _ => self.pid as u64,
        }
    }
}

/// Changes the arguments of call `number` so that they hit nobody who is not to be hit.
#[allow(non_upper_case_globals)] // `__NR_kill` is what Linux calls it
pub fn harmless(number: u32, args: &mut [u64; 6], me: Me) {
    match number {
        __NR_kill
        | __NR_tkill
        | __NR_rt_sigqueueinfo
        | __NR_getpgid
        | __NR_prlimit64
        | __NR_ptrace
        | __NR_sched_setscheduler
        | __NR_sched_setparam
        | __NR_sched_setaffinity
        | __NR_sched_setattr
        | __NR_process_vm_readv
        | __NR_process_vm_writev
        | __NR_pidfd_open
        | __NR_migrate_pages
        | __NR_move_pages => args[0] = me.own(args[0]),
        __NR_tgkill | __NR_rt_tgsigqueueinfo | __NR_setpgid | __NR_kcmp => {
            args[0] = me.own(args[0]);
            args[1] = me.own(args[1]);
        }
        __NR_setpriority | __NR_ioprio_set => args[1] = me.own(args[1]),
        __NR_reboot if args[0] as u32 == REBOOT_MAGIC => args[0] = 0,
        __NR_mknodat => {
            let (major, minor) = (args[3] >> 8 & 0xfff, args[3] & 0xff | args[3] >> 12 & 0xfff_ff00);
            if !(major == 0 || major == 1 && matches!(minor, 3 | 5 | 7 | 8 | 9)) {
                args[3] = 0;
            }
        }
        __NR_fcntl if matches!(args[1] as u32, F_SETOWN) => args[2] = me.own(args[2]),
        __NR_clone if args[0] as u32 & CLONE_VM != 0 => {
            args[0] &= !u64::from(CLONE_VM | CLONE_THREAD | CLONE_SIGHAND)
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Me = Me { pid: 70, tid: 71, child: 72 };

    fn filtered(number: u32, mut args: [u64; 6]) -> [u64; 6] {
        harmless(number, &mut args, ME);
        args
    }

    #[test]
    fn signals_reach_the_worker_or_nobody() {
        for pid in [-1i32, 1, 2, 69, -69, -1000, 100_000, 73] {
            for number in [__NR_kill, __NR_tkill, __NR_rt_sigqueueinfo] {
                // The upper half of the register means nothing to the kernel.
                for arg in [pid as u32 as u64, pid as i64 as u64, pid as u32 as u64 | 7 << 32] {
                    assert_eq!(filtered(number, [arg, 9, 0, 0, 0, 0])[0], 70, "{pid}");
                }
            }
            assert_eq!(filtered(__NR_tgkill, [pid as u64, pid as u64, 9, 0, 0, 0])[..2], [70, 70]);
        }
        for pid in [0i32, 70, -70, 71, 72, i32::MIN, i32::MAX, -5_000_000] {
            assert_eq!(filtered(__NR_kill, [pid as u64, 9, 0, 0, 0, 0])[0] as i32, pid);
        }
    }

    #[test]
    fn the_machine_stays_on() {
        assert_eq!(filtered(__NR_reboot, [0xfee1_dead, 672_274_793, 0x4321_fedc, 0, 0, 0])[0], 0);
        assert_eq!(filtered(__NR_reboot, [0xffff_ffff_fee1_dead, 672_274_793, 0, 0, 0, 0])[0], 0);
        assert_eq!(filtered(__NR_reboot, [7; 6]), [7; 6]);
    }

    #[test]
    fn devices_are_harmless_ones() {
        for (device, kept) in [(0x101, false), (0x102, false), (0x501, false), (0x440, false), (0x103, true)]
        {
            assert_eq!(filtered(__NR_mknodat, [0, 0, 0, device, 0, 0])[3] == device, kept, "{device:#x}");
        }
    }

    #[test]
    fn memory_is_not_shared_on_one_stack() {
        let flags = u64::from(CLONE_VM | CLONE_VFORK | SIGCHLD);
        assert_eq!(filtered(__NR_clone, [flags, 0, 0, 0, 0, 0])[0], u64::from(CLONE_VFORK | SIGCHLD));
        assert_eq!(filtered(__NR_clone, [17, 0, 0, 0, 0, 0])[0], 17);
    }
}
