//! Files of `/proc` and `/sys` that always say the same: what this kernel is, and how the settings stand that it does not
//! let anybody change.

/// A file: the directory it is in, below the root and without a slash at its ends, its name, and its contents.
pub type Constant = (&'static str, &'static str, &'static str);

/// All of them. Sorted by directory, so that each is made once.
pub const CONSTANTS: [Constant; 31] = [
    ("proc", "filesystems", "nodev\tproc\nnodev\tsysfs\nnodev\ttmpfs\nnodev\tdevtmpfs\n"),
    ("proc", "mounts", MOUNTS),
    ("proc/sys/fs", "file-max", "9223372036854775807\n"),
    ("proc/sys/fs", "nr_open", "1024\n"),
    ("proc/sys/fs", "pipe-max-size", "65536\n"),
    ("proc/sys/kernel", "cap_last_cap", "40\n"),
    ("proc/sys/kernel", "hostname", "pleat\n"),
    ("proc/sys/kernel", "ngroups_max", "65536\n"),
    ("proc/sys/kernel", "osrelease", "6.12.0-pleat\n"),
    ("proc/sys/kernel", "ostype", "Linux\n"),
    ("proc/sys/kernel", "overflowuid", "65534\n"),
    ("proc/sys/kernel", "overflowgid", "65534\n"),
    ("proc/sys/kernel", "pid_max", "32768\n"),
    ("proc/sys/kernel", "randomize_va_space", "0\n"),
    ("proc/sys/kernel", "threads-max", "16384\n"),
    ("proc/sys/kernel", "version", concat!("Pleat ", env!("CARGO_PKG_VERSION"), "\n")),
    ("proc/sys/net/core", "somaxconn", "4096\n"),
    ("proc/sys/vm", "max_map_count", "65530\n"),
    ("proc/sys/vm", "mmap_min_addr", "65536\n"),
    ("proc/sys/vm", "nr_hugepages", "0\n"),
    ("proc/sys/vm", "oom_dump_tasks", "0\n"),
    ("proc/sys/vm", "oom_kill_allocating_task", "0\n"),
    ("proc/sys/vm", "page-cluster", "0\n"),
    ("proc/sys/vm", "panic_on_oom", "0\n"),
    ("proc/sys/vm", "swappiness", "60\n"),
    ("sys/devices/system/cpu", "online", "0\n"),
    ("sys/devices/system/cpu", "possible", "0\n"),
    ("sys/devices/system/cpu/cpu0/topology", "core_id", "0\n"),
    ("sys/devices/system/cpu/cpu0/topology", "physical_package_id", "0\n"),
    ("sys/devices/system/node", "online", "0\n"),
    ("sys/kernel/mm/transparent_hugepage", "hpage_pmd_size", PMD_SIZE),
];

/// Bytes that an entry of the level above PTEs maps.
const PMD_SIZE: &str = match paging::PAGE_SHIFT {
    12 => "2097152\n",
    14 => "33554432\n",
    _ => "536870912\n",
};

/// What is mounted, as `mounts` tells it.
pub const MOUNTS: &str = "tmpfs / tmpfs rw 0 0\nproc /proc proc rw 0 0\nsysfs /sys sysfs rw 0 0\n";

/// The same, as `mountinfo` does.
pub const MOUNTINFO: &str = "1 1 0:1 / / rw - tmpfs tmpfs rw\n2 1 0:2 / /proc rw - proc proc rw\n\
                             3 1 0:3 / /sys rw - sysfs sysfs rw\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::PID_MAX;

    #[test]
    fn limits_are_what_they_are_said_to_be() {
        let value = |wanted: &str| {
            let (_, _, text) = CONSTANTS.into_iter().find(|(_, name, _)| *name == wanted).unwrap();
            text.trim().parse::<u64>().unwrap()
        };
        assert_eq!(value("pid_max"), u64::from(PID_MAX));
        assert_eq!(value("threads-max"), u64::from(crate::proc::MAX_PROCESSES));
        assert_eq!(value("cap_last_cap"), u64::from(crate::syscall::capability::LAST));
        assert_eq!(value("nr_open"), crate::fs::file::fd::FD_LIMIT as u64);
        assert_eq!(value("pipe-max-size"), crate::fs::channel::pipe::PIPE_BYTES as u64);
        assert_eq!(value("hpage_pmd_size"), paging::Level::PMD.entry_size());
        assert_eq!(value("max_map_count"), crate::mm::vma_list::MAX_MAP_COUNT as u64);
        assert_eq!(value("mmap_min_addr"), crate::mm::space::USER_START.get());
    }

    #[test]
    fn mounts_are_the_file_systems_there_are() {
        assert_eq!(MOUNTS.lines().count(), MOUNTINFO.lines().count());
        for (mount, info) in MOUNTS.lines().zip(MOUNTINFO.lines()) {
            assert_eq!(mount.split(' ').nth(1), info.split(' ').nth(4));
        }
    }
}
