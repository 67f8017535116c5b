//! System calls about what processes have used: getrusage, times, and the limit of CPU time.

use linux_raw_sys::general as raw;

use super::user_ptr::UserPtr;
use crate::arch::time::now_ns;
use crate::errno::{Errno, Result};
use crate::fs::generated::proc_pid::TICK_NS;
use crate::proc::cpu_time::{Used, Whose, used};
use crate::proc::with_current_mm;

/// A `struct rusage`: two times in seconds and microseconds, then 14 counts.
pub(super) type Rusage = [u64; size_of::<raw::rusage>() / 8];

/// What a process has used, as programs read it. What is not counted is 0: Linux counts no more but blocks of disks.
pub(super) fn rusage(used: &Used) -> Rusage {
    let mut usage = Rusage::default();
    for (at, ns) in [(0, used.user), (2, used.system)] {
        (usage[at], usage[at + 1]) = (ns / 1_000_000_000, ns % 1_000_000_000 / 1000);
    }
    let counts = &used.counts;
    usage[4] = counts.max_rss * paging::PAGE_SIZE / 1024;
    (usage[8], usage[9]) = (counts.minor(), counts.major);
    (usage[16], usage[17]) = (counts.voluntary, counts.involuntary);
    usage
}

/// getrusage(who, usage).
pub fn getrusage(args: &[u64; 6]) -> Result<usize> {
    let whose = match args[0] as i32 {
        0 => Whose::Process,
        1 => Whose::Thread,
        -1 => Whose::Children,
        _ => return Err(Errno::EINVAL),
    };
    let mut used = used(whose);
    if !matches!(whose, Whose::Children) {
        let now = with_current_mm(|mm| mm.peak_rss_pages()).unwrap_or(0) as u64;
        used.counts.max_rss = used.counts.max_rss.max(now);
    }
    UserPtr::new(args[1]).write(rusage(&used))?;
    Ok(0)
}

/// times(buffer): the times of the process and of its children. Returns ticks since boot.
pub fn times(args: &[u64; 6]) -> Result<usize> {
    let (own, children) = (used(Whose::Process), used(Whose::Children));
    let times = [own.user, own.system, children.user, children.system];
    UserPtr::new(args[0]).write_if_wanted(times.map(|ns| ns / TICK_NS))?;
    Ok((now_ns() / TICK_NS) as usize)
}
