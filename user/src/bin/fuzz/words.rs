//! The names that workers use: files to open, files to change, programs to run, words to write.

use core::ffi::CStr;

/// What files of a worker's own are called. The supervisor removes whatever begins like this.
pub const PREFIX: &[u8] = b"fz";

/// Names in the worker's own directory (which may be any by now): they may be made, changed and removed.
pub const OWN: [&CStr; 14] = [
    c"fz0",
    c"fz1",
    c"fz2",
    c"fz3",
    c"fz-d",
    c"fz-d/fz0",
    c"fz-d/fz1",
    c"fz-d/fz-d",
    c"fz-l",
    c"fz-l/fz0",
    c"fz-d/../fz0",
    c".",
    c"fz-d/.",
    c"fz4/",
];

/// What may be opened besides.
pub const OPENED: [&CStr; 36] = [
    c"/",
    c"..",
    c"",
    c"/proc",
    c"/proc/self",
    c"/proc/self/maps",
    c"/proc/self/smaps",
    c"/proc/self/smaps_rollup",
    c"/proc/self/stat",
    c"/proc/self/statm",
    c"/proc/self/status",
    c"/proc/self/pagemap",
    c"/proc/self/clear_refs",
    c"/proc/self/fd",
    c"/proc/self/task",
    c"/proc/self/limits",
    c"/proc/self/cmdline",
    c"/proc/self/comm",
    c"/proc/self/oom_score_adj",
    c"/proc/meminfo",
    c"/proc/vmstat",
    c"/proc/stat",
    c"/proc/kpagecount",
    c"/proc/kpageflags",
    c"/proc/sys/vm/overcommit_memory",
    c"/dev/null",
    c"/dev/zero",
    c"/dev/full",
    c"/dev/urandom",
    c"/sys/kernel/mm/transparent_hugepage",
    c"/sys/kernel/mm/transparent_hugepage/enabled",
    c"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled",
    c"/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled",
    c"/sys/kernel/mm/transparent_hugepage/cow",
    c"/sys/kernel/mm/swap/size",
    c"/proc/self/no-such-file",
];

/// What is executed: programs that end by themselves, and what is no program.
pub const PROGRAMS: [&CStr; 6] = [c"/bin/true", c"/bin/echo", c"/bin/true", c"fz0", c"/dev/null", c"/proc"];

/// What the settings files understand, and what files might.
pub const WRITTEN: [&[u8]; 18] = [
    b"always",
    b"never\n",
    b"madvise",
    b"inherit\n",
    b"advise",
    b"within_size\n",
    b"page",
    b"block\n",
    b"0",
    b"1\n",
    b"4",
    b"8M\n",
    b"2",
    b"50\n",
    b"3",
    b"4096",
    b"-1000",
    b"#!/bin/true\n",
];

/// The settings files that workers may write to.
pub const SETTINGS: [&CStr; 10] = [
    c"/sys/kernel/mm/transparent_hugepage/enabled",
    c"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled",
    c"/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled",
    c"/sys/kernel/mm/transparent_hugepage/shmem_enabled",
    c"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/shmem_enabled",
    c"/sys/kernel/mm/transparent_hugepage/cow",
    c"/sys/kernel/mm/transparent_hugepage/reuse",
    c"/sys/kernel/mm/transparent_hugepage/refold",
    c"/proc/sys/vm/overcommit_memory",
    c"/proc/sys/vm/overcommit_ratio",
];

/// Where workers look around: in what the kernel generates.
pub const EXPLORED: [&str; 6] = [
    "/proc/self",
    "/proc/self",
    "/proc",
    "/proc/sys",
    "/sys/kernel/mm",
    "/sys/kernel/mm/transparent_hugepage",
];

/// Whether what was found below [`EXPLORED`] may be written to: the worker's own, and settings.
pub fn may_be_written(path: &[u8]) -> bool {
    [&b"/proc/self/"[..], b"/proc/sys/", b"/sys/kernel/mm/"].iter().any(|start| path.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_changed_is_the_workers_own() {
        for name in OWN {
            let name = name.to_bytes();
            assert!(name.starts_with(PREFIX) || name == b".", "{name:?}");
        }
    }

    #[test]
    fn settings_may_be_written_and_other_processes_may_not() {
        assert!(SETTINGS.iter().all(|file| may_be_written(file.to_bytes())));
        for path in
            [&b"/proc/7/oom_score_adj"[..], b"/proc/1/mem", b"/proc/self", b"/bin/true", b"/sys/devices"]
        {
            assert!(!may_be_written(path), "{path:?}");
        }
    }

    #[test]
    fn what_is_opened_is_not_what_the_machine_needs() {
        for path in OPENED {
            let path = path.to_bytes();
            let needed =
                [&b"/bin"[..], b"/init", b"/dev/mem", b"/dev/console", b"/dev/tty", b"/proc/self/exe"];
            assert!(!needed.iter().any(|needed| path.starts_with(needed)), "{path:?}");
        }
    }
}
