//! The texts of `/proc` about the system as a whole, formatted as Linux does it (proc(5)). Pure.

use core::fmt::Write;

use crate::errno::Result;
use crate::fs::generated::proc_pid::TICK_NS;
use crate::fs::generated::text::{Text, written};
use crate::proc::CpuTimes;

/// Memory, in KiB.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    /// All that the kernel manages.
    pub total: u64,
    /// What nothing uses.
    pub free: u64,
    /// What files and shared memory have.
    pub cached: u64,
    /// Translation tables of processes.
    pub tables: u64,
    /// Anonymous memory that processes have mapped.
    pub anon: u64,
    /// Of `cached`, what processes have mapped.
    pub mapped: u64,
    /// Mapped by single entries of the level above: anonymous memory, and what files and shared memory have.
    pub pmd: [u64; 2],
    /// Locked memory that is there.
    pub locked: u64,
    /// All swap, and what of it is free.
    pub swap: (u64, u64),
    /// What may be promised where that is limited, and what has been.
    pub commit: (u64, u64),
    /// The kernel's heap: in use, and mapped.
    pub heap: (u64, u64),
    /// Kernel stacks, in use or kept for reuse.
    pub stacks: u64,
}

/// `meminfo`. Files are memory, so what they have is shared memory as well as a cache, and none of it can be had back. What
/// the heap has mapped and does not use (`SReclaimable`) is for the kernel's next requests.
///
/// # Errors
/// `ENOMEM`, as for all functions here.
pub fn meminfo(out: &mut Text, memory: &Memory) -> Result<()> {
    let Memory { total, free, cached, tables, anon, mapped, pmd, locked, swap, commit, heap, stacks } =
        *memory;
    let lines = [
        ("MemTotal:", total),
        ("MemFree:", free),
        ("MemAvailable:", free),
        ("Buffers:", 0),
        ("Cached:", cached),
        ("SwapCached:", 0),
        ("Active:", anon),
        ("Inactive:", cached),
        ("Unevictable:", locked),
        ("Mlocked:", locked),
        ("SwapTotal:", swap.0),
        ("SwapFree:", swap.1),
        ("Dirty:", 0),
        ("Writeback:", 0),
        ("AnonPages:", anon),
        ("Mapped:", mapped),
        ("Shmem:", cached),
        ("Slab:", heap.1),
        ("SReclaimable:", heap.1.saturating_sub(heap.0)),
        ("SUnreclaim:", heap.0),
        ("KernelStack:", stacks),
        ("PageTables:", tables),
        ("CommitLimit:", commit.0),
        ("Committed_AS:", commit.1),
        ("AnonHugePages:", pmd[0]),
        ("ShmemHugePages:", 0),
        ("ShmemPmdMapped:", pmd[1]),
    ];
    lines.into_iter().try_for_each(|(name, kib)| written(writeln!(out, "{name:<16}{kib:>8} kB")))
}

/// `stat`: how the CPU's time was spent (in nanoseconds), and how many processes there were and are.
///
/// # Errors
/// `ENOMEM`.
pub fn stat(out: &mut Text, times: &CpuTimes, forks: u64, running: u64) -> Result<()> {
    let [user, system, idle] = [times.user, times.system, times.idle].map(|ns| ns / TICK_NS);
    for cpu in ["cpu ", "cpu0"] {
        written(writeln!(out, "{cpu} {user} 0 {system} {idle} 0 0 0 0 0 0"))?;
    }
    written(writeln!(out, "intr 0\nctxt {}\nbtime 0\nprocesses {forks}", times.switches))?;
    written(writeln!(out, "procs_running {running}\nprocs_blocked 0"))
}

/// `swaps`: the one place that swap can be, with its size and what is used of it, in KiB; no line if there is none. It is
/// memory and no device, so it has the path of the file that sets its size.
///
/// # Errors
/// `ENOMEM`.
pub fn swaps(out: &mut Text, (total, used): (u64, u64)) -> Result<()> {
    out.push(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")?;
    if total == 0 {
        return Ok(());
    }
    let tab = |kib| if kib < 10_000_000 { "\t" } else { "" };
    let (path, gap) = ("/sys/kernel/mm/swap/size", 40);
    written(writeln!(out, "{path:<gap$}file\t\t{total}\t{}{used}\t{}-2", tab(total), tab(used)))
}

/// `loadavg`: no averages are kept, so what is running now stands for all three.
///
/// # Errors
/// `ENOMEM`.
pub fn loadavg(out: &mut Text, running: u64, processes: u64, last: u32) -> Result<()> {
    written(writeln!(out, "{running}.00 {running}.00 {running}.00 {running}/{processes} {last}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::generated::text::text;

    #[test]
    fn lines_are_as_programs_expect_them() {
        let memory = Memory {
            total: 524_288,
            free: 1024,
            cached: 77,
            swap: (64, 3),
            heap: (40, 64),
            commit: (500, 6),
            ..Memory::default()
        };
        let info = text(|out| meminfo(out, &memory));
        assert!(info.starts_with("MemTotal:         524288 kB\nMemFree:            1024 kB\n"), "{info}");
        assert!(
            info.contains("Shmem:                77 kB\n") && info.contains("SwapFree:              3 kB\n")
        );
        assert!(info.contains(
            "Slab:                 64 kB\nSReclaimable:         24 kB\nSUnreclaim:           40 kB\n"
        ));
        assert!(info.contains("CommitLimit:         500 kB\nCommitted_AS:          6 kB\n"), "{info}");
        let times = CpuTimes { user: 20 * TICK_NS, system: 7 * TICK_NS, idle: 10 * TICK_NS, switches: 77 };
        let stat = text(|out| stat(out, &times, 9, 2));
        assert!(stat.starts_with("cpu  20 0 7 10 0 0 0 0 0 0\ncpu0 20 0 7 10 "), "{stat}");
        assert!(stat.contains("\nctxt 77\n") && stat.contains("\nprocesses 9\nprocs_running 2\n"));
        let swap = text(|out| swaps(out, (65_536, 4096)));
        let expected = format!("{:<40}file\t\t65536\t\t4096\t\t-2", "/sys/kernel/mm/swap/size");
        assert_eq!(swap.lines().nth(1), Some(expected.as_str()));
        assert_eq!(text(|out| swaps(out, (0, 0))).lines().count(), 1);
        assert_eq!(text(|out| loadavg(out, 1, 7, 42)), "1.00 1.00 1.00 1/7 42\n");
    }
}
