//! The texts of `/proc`, formatted as Linux does it (proc(5)). Pure: what they tell comes in as arguments.

use core::fmt::Write;

use crate::errno::Result;
use crate::fs::file::fd::FD_LIMIT;
use crate::fs::generated::text::{Text, written};

/// What `/proc/<pid>/status` tells.
pub struct Status<'a> {
    /// Name of the program, without its directory.
    pub name: &'a [u8],
    /// State letter, as `ps` shows it: R, S, T or Z.
    pub state: char,
    /// Process number.
    pub pid: u32,
    /// The parent's process number; 0 for PID 1.
    pub parent: u32,
    /// Threads.
    pub threads: u32,
    /// Permission bits that files are created without.
    pub umask: u32,
    /// Address space that is mapped, in KiB.
    pub size_kib: u64,
    /// The most address space that was ever mapped, in KiB.
    pub peak_kib: u64,
    /// Memory that is locked, in KiB.
    pub locked_kib: u64,
    /// The most resident memory that there ever was, in KiB.
    pub peak_rss_kib: u64,
    /// Resident memory in KiB.
    pub rss_kib: u64,
    /// Of that, anonymous memory. The rest is shared memory, as all files are.
    pub anon_kib: u64,
    /// Anonymous memory that may be written, in KiB.
    pub data_kib: u64,
    /// The stack, in KiB.
    pub stack_kib: u64,
    /// The program's code, in KiB.
    pub code_kib: u64,
    /// Its libraries' code, in KiB.
    pub libraries_kib: u64,
    /// Translation tables in KiB.
    pub tables_kib: u64,
    /// What is in swap, in KiB.
    pub swap_kib: u64,
    /// It has large folios, where they are to be had.
    pub large_folios: bool,
    /// Switches because it had to wait, and because others wanted to run.
    pub switches: [u64; 2],
}

/// A VMA as `/proc/<pid>/maps` tells it.
pub struct Mapping<'a> {
    /// First address.
    pub start: usize,
    /// Address behind the last byte.
    pub end: usize,
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub exec: bool,
    /// Shared with other processes, not copied on write.
    pub shared: bool,
    /// Offset in the file, in bytes; 0 without a file.
    pub offset: u64,
    /// The file's inode number; 0 without a file.
    pub ino: u64,
    /// The file's path, or a name such as `[heap]` without a file; empty if there is neither.
    pub name: &'a [u8],
}

/// A name and a count, one on each line.
///
/// # Errors
/// `ENOMEM`, as for all functions here.
pub fn vmstat<'a>(out: &mut Text, counters: impl Iterator<Item = (&'a str, u64)>) -> Result<()> {
    for (name, value) in counters {
        written(writeln!(out, "{name} {value}"))?;
    }
    Ok(())
}

/// Time since boot, and how long the CPUs had nothing to do, in seconds with two decimals.
///
/// # Errors
/// `ENOMEM`.
pub fn uptime(out: &mut Text, up_ns: u64, idle_ns: u64) -> Result<()> {
    let [up, idle] = [up_ns, idle_ns].map(|ns| ns / 10_000_000);
    written(writeln!(out, "{}.{:02} {}.{:02}", up / 100, up % 100, idle / 100, idle % 100))
}

/// A block for each CPU, of which only the number is told.
///
/// # Errors
/// `ENOMEM`.
pub fn cpuinfo(out: &mut Text, cpus: usize) -> Result<()> {
    for cpu in 0..cpus {
        written(write!(out, "processor\t: {cpu}\nCPU architecture: 8\n\n"))?;
    }
    Ok(())
}

/// Identity and size of a process.
///
/// # Errors
/// `ENOMEM`.
pub fn status(out: &mut Text, status: &Status<'_>) -> Result<()> {
    let state = match status.state {
        'R' => "running",
        'Z' => "zombie",
        'T' => "stopped",
        _ => "sleeping",
    };
    let Status { pid, parent, threads, umask, state: letter, .. } = *status;
    out.push(b"Name:\t")?;
    out.push(status.name)?;
    written(write!(out, "\nUmask:\t{umask:04o}\nState:\t{letter} ({state})\nTgid:\t{pid}\nNgid:\t0\n"))?;
    written(write!(out, "Pid:\t{pid}\nPPid:\t{parent}\nTracerPid:\t0\n"))?;
    written(write!(out, "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t{}\nGroups:\t0\n", FD_LIMIT))?;
    let sizes = [
        ("VmPeak:", status.peak_kib),
        ("VmSize:", status.size_kib),
        ("VmLck:", status.locked_kib),
        ("VmPin:", 0),
        ("VmHWM:", status.peak_rss_kib),
        ("VmRSS:", status.rss_kib),
        ("RssAnon:", status.anon_kib),
        ("RssFile:", 0),
        ("RssShmem:", status.rss_kib.saturating_sub(status.anon_kib)),
        ("VmData:", status.data_kib),
        ("VmStk:", status.stack_kib),
        ("VmExe:", status.code_kib),
        ("VmLib:", status.libraries_kib),
        ("VmPTE:", status.tables_kib),
        ("VmSwap:", status.swap_kib),
        ("HugetlbPages:", 0),
    ];
    for (name, kib) in sizes {
        written(writeln!(out, "{name}\t{kib:>8} kB"))?;
    }
    written(writeln!(out, "THP_enabled:\t{}", u8::from(status.large_folios)))?;
    let [voluntary, involuntary] = status.switches;
    written(writeln!(out, "Threads:\t{threads}"))?;
    written(writeln!(out, "voluntary_ctxt_switches:\t{voluntary}"))?;
    written(writeln!(out, "nonvoluntary_ctxt_switches:\t{involuntary}"))
}

/// The column, 0-based, that names in `maps` start at (Linux: fs/proc/task_mmu.c, `show_vma_header_prefix`).
pub(in crate::fs) const NAME_COLUMN: usize = 73;

/// One line of `maps`.
///
/// # Errors
/// `ENOMEM`.
pub fn mapping(out: &mut Text, mapping: &Mapping<'_>) -> Result<()> {
    let line = out.bytes().len();
    let flag = |set, letter| if set { letter } else { '-' };
    let (r, w, x) = (flag(mapping.read, 'r'), flag(mapping.write, 'w'), flag(mapping.exec, 'x'));
    let s = if mapping.shared { 's' } else { 'p' };
    let Mapping { start, end, offset, ino, name, .. } = *mapping;
    let minor = u8::from(ino != 0);
    written(write!(out, "{start:08x}-{end:08x} {r}{w}{x}{s} {offset:08x} 00:{minor:02x} {ino} "))?;
    if !name.is_empty() {
        let column = out.bytes().len() - line;
        let gap = NAME_COLUMN.saturating_sub(column);
        written(write!(out, "{:gap$}", ""))?;
        out.push(name)?;
    }
    out.push(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::generated::text::text;

    #[test]
    fn counters_are_one_to_a_line() {
        let counters = [("pgfault", 12), ("forks", u64::MAX)];
        assert_eq!(text(|out| vmstat(out, counters.into_iter())), "pgfault 12\nforks 18446744073709551615\n");
    }

    #[test]
    fn times_have_two_decimals() {
        assert_eq!(text(|out| uptime(out, 12_059_999_999, 1_230_000_000)), "12.05 1.23\n");
        assert_eq!(text(|out| cpuinfo(out, 2)).matches("processor\t: ").count(), 2);
    }

    #[test]
    fn a_status_names_the_process() {
        let init = Status {
            name: b"init",
            state: 'R',
            pid: 1,
            parent: 0,
            threads: 1,
            umask: 0o22,
            size_kib: 256,
            peak_kib: 300,
            peak_rss_kib: 200,
            locked_kib: 8,
            rss_kib: 128,
            anon_kib: 100,
            data_kib: 64,
            stack_kib: 32,
            code_kib: 20,
            libraries_kib: 4,
            tables_kib: 16,
            swap_kib: 12,
            large_folios: false,
            switches: [5, 6],
        };
        let text = text(|out| status(out, &init));
        let expected =
            "Name:\tinit\nUmask:\t0022\nState:\tR (running)\nTgid:\t1\nNgid:\t0\nPid:\t1\nPPid:\t0\n";
        assert!(text.starts_with(expected), "{text}");
        assert!(
            text.contains("\nVmPeak:\t     300 kB\n") && text.contains("\nVmHWM:\t     200 kB\n"),
            "{text}"
        );
        let rss = "\nRssAnon:\t     100 kB\nRssFile:\t       0 kB\nRssShmem:\t      28 kB\n";
        assert!(text.contains(rss) && text.contains("\nVmSwap:\t      12 kB\n"), "{text}");
        assert!(
            text.contains("\nVmRSS:\t     128 kB\n") && text.contains("\nTHP_enabled:\t0\nThreads:\t1\n"),
            "{text}"
        );
        assert!(text.ends_with("\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t6\n"), "{text}");
    }

    #[test]
    fn mappings_are_lines_as_linux_prints_them() {
        let file = Mapping {
            start: 0x40_0000,
            end: 0x45_2000,
            read: true,
            write: false,
            exec: true,
            shared: false,
            offset: 0x1000,
            ino: 173_521,
            name: b"/usr/bin/dbus-daemon",
        };
        let expected = "00400000-00452000 r-xp 00001000 00:01 173521 ";
        let line = text(|out| mapping(out, &file));
        assert_eq!(line, format!("{expected:<73}/usr/bin/dbus-daemon\n"));

        let stack = Mapping { write: true, exec: false, offset: 0, ino: 0, name: b"[stack]", ..file };
        let expected = "00400000-00452000 rw-p 00000000 00:00 0 ";
        assert_eq!(text(|out| mapping(out, &stack)), format!("{expected:<73}[stack]\n"));
        let anonymous =
            Mapping { shared: true, name: b"", start: 0xffff_0000_0000, end: 0xffff_ffff_f000, ..stack };
        assert_eq!(
            text(|out| mapping(out, &anonymous)),
            "ffff00000000-fffffffff000 rw-s 00000000 00:00 0 \n"
        );
    }
}
