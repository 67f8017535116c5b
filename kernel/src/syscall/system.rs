//! System calls about the system as a whole, and those that have nothing to do here but succeed.

use linux_raw_sys::general as raw;

use super::user_ptr::UserPtr;
use crate::arch::{self, uaccess};
use crate::errno::{Errno, Result};
use crate::proc;

/// getuid and its kin: everybody is root.
pub fn root(_: &[u64; 6]) -> Result<usize> {
    Ok(0)
}

/// getresuid and getresgid(real, effective, saved).
pub fn all_root(args: &[u64; 6]) -> Result<usize> {
    args[..3].iter().try_for_each(|at| UserPtr::new(*at).write(0u32))?;
    Ok(0)
}

/// setuid and its kin: everybody stays root. -1 means no change to those that take several.
pub fn stay_root(args: &[u64; 6]) -> Result<usize> {
    if [0, -1].contains(&(args[0] as i32)) { Ok(0) } else { Err(Errno::EPERM) }
}

/// getgroups(size, list): root is in its own group only.
pub fn getgroups(args: &[u64; 6]) -> Result<usize> {
    match args[0] as i32 {
        0 => {}
        1.. => UserPtr::new(args[1]).write(0u32)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(1)
}

/// sched_getscheduler(pid): the ordinary policy.
pub fn sched_getscheduler(_: &[u64; 6]) -> Result<usize> {
    Ok(0)
}

/// sched_getparam(pid, param): the ordinary policy has priority 0.
pub fn sched_getparam(args: &[u64; 6]) -> Result<usize> {
    UserPtr::new(args[1]).write(0u32)?;
    Ok(0)
}

/// sched_get_priority_max and _min(policy).
pub fn sched_priority(args: &[u64; 6], realtime: usize) -> Result<usize> {
    match args[0] as u32 {
        raw::SCHED_FIFO | raw::SCHED_RR => Ok(realtime),
        raw::SCHED_NORMAL | raw::SCHED_BATCH | raw::SCHED_IDLE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// getpriority(which, who): as nice as anybody. The system call returns 20 minus that.
pub fn getpriority(_: &[u64; 6]) -> Result<usize> {
    Ok(20)
}

/// getcpu(cpu, node).
pub fn getcpu(args: &[u64; 6]) -> Result<usize> {
    UserPtr::new(args[0]).write_if_wanted(0u32)?;
    UserPtr::new(args[1]).write_if_wanted(0u32)?;
    Ok(0)
}

/// personality(persona): Linux's, and -1 asks for it.
pub fn personality(args: &[u64; 6]) -> Result<usize> {
    if [0, u32::MAX].contains(&(args[0] as u32)) { Ok(0) } else { Err(Errno::EINVAL) }
}

/// Words in a `struct sysinfo`.
const SYSINFO_WORDS: usize = 14;

/// sysinfo(info): uptime, memory and processes, in units of a byte.
pub fn sysinfo(args: &[u64; 6]) -> Result<usize> {
    let mm = crate::mm();
    let swap = mm.swap.usage();
    let mut words = [0u64; SYSINFO_WORDS];
    words[0] = arch::time::now_ns() / 1_000_000_000;
    words[4] = mm.total_pages() * paging::PAGE_SIZE;
    words[5] = mm.free_pages() * paging::PAGE_SIZE;
    words[8] = swap.total as u64 * paging::PAGE_SIZE;
    words[9] = (swap.total - swap.used) as u64 * paging::PAGE_SIZE;
    words[10] = u64::from(proc::count());
    words[13] = 1;
    UserPtr::new(args[0]).write(words)?;
    Ok(0)
}

/// sched_setscheduler, sched_setaffinity: there is one policy and one CPU, and a hint that is not followed does no harm.
pub fn accepted(_: &[u64; 6]) -> Result<usize> {
    Ok(0)
}

/// sched_getaffinity(pid, bytes, mask): CPU 0. Returns the bytes written, as the system call does.
pub fn sched_getaffinity(args: &[u64; 6]) -> Result<usize> {
    if args[1] < 8 || !args[1].is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    UserPtr::new(args[2]).write(1u64)?;
    Ok(8)
}

/// Bytes of each string of `struct new_utsname`.
const UTS_BYTES: usize = 65;

/// uname(name). The ABI is Linux's, and programs that ask want to know which ABI it is and from which version on they
/// may expect things: so the system calls itself Linux, and says who it really is in the release and version.
pub fn uname(args: &[u64; 6]) -> Result<usize> {
    let mut name = [[0u8; UTS_BYTES]; 6];
    let strings =
        ["Linux", "pleat", "6.12.0-pleat", concat!("Pleat ", env!("CARGO_PKG_VERSION")), "aarch64", "(none)"];
    for (field, string) in name.iter_mut().zip(strings) {
        field[..string.len()].copy_from_slice(string.as_bytes());
    }
    UserPtr::new(args[0]).write(name)?;
    Ok(0)
}

/// getrandom(buffer, bytes, flags). Never blocks, and gives at most 32 MiB at a time, as Linux.
pub fn getrandom(args: &[u64; 6]) -> Result<usize> {
    let [buffer, bytes, flags, ..] = *args;
    let known = u64::from(raw::GRND_NONBLOCK | raw::GRND_RANDOM | raw::GRND_INSECURE);
    let contradiction = u64::from(raw::GRND_RANDOM | raw::GRND_INSECURE);
    if flags & !known != 0 || flags & contradiction == contradiction {
        return Err(Errno::EINVAL);
    }
    let bytes = (bytes as usize).min((32 << 20) - 1);
    let mut chunk = [0; 256];
    for done in (0..bytes).step_by(chunk.len()) {
        let part = &mut chunk[..(bytes - done).min(256)];
        arch::random::fill(part);
        uaccess::copy_to_user((buffer as usize).wrapping_add(done), part)?;
        if done != 0 && done.is_multiple_of(64 << 10) {
            proc::yield_now(); // interrupts are masked, so nobody else ends this
        }
    }
    Ok(bytes)
}

/// reboot(magic, magic2, command). The end of QEMU, with exit status 0; a restart is one too, since a benchmark that
/// restarts itself would never end.
pub fn reboot(args: &[u64; 6]) -> Result<usize> {
    let [magic, magic2, command] = [args[0] as u32, args[1] as u32, args[2] as u32];
    let second = [
        raw::LINUX_REBOOT_MAGIC2,
        raw::LINUX_REBOOT_MAGIC2A,
        raw::LINUX_REBOOT_MAGIC2B,
        raw::LINUX_REBOOT_MAGIC2C,
    ];
    if magic != raw::LINUX_REBOOT_MAGIC1 || !second.contains(&magic2) {
        return Err(Errno::EINVAL);
    }
    match command {
        raw::LINUX_REBOOT_CMD_POWER_OFF | raw::LINUX_REBOOT_CMD_HALT | raw::LINUX_REBOOT_CMD_RESTART => {
            log::info!("powering off");
            arch::exit(0)
        }
        raw::LINUX_REBOOT_CMD_CAD_ON | raw::LINUX_REBOOT_CMD_CAD_OFF => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}
