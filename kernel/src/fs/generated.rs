//! The catalogue of files whose contents the kernel writes: their names, and who may write to them.

pub mod devmem;
pub mod pagemap;
pub mod proc_pid;
pub mod proc_system;
pub mod procfs;
pub mod smaps;
pub mod sysfs;
pub mod text;

use paging::PAGE_SHIFT;

use crate::mm::block_policy::BlockSetting;
use crate::mm::folio_stats::FolioStat;
use crate::mm::khugepaged::settings::KhugepagedFile;
use crate::mm::policy::Memory;

/// A file of `/proc` or `/sys`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generated {
    /// `/proc/vmstat`: counters of the memory manager.
    Vmstat,
    /// `/proc/meminfo`.
    Meminfo,
    /// `/proc/cmdline`: the kernel's command line.
    Cmdline,
    /// `/proc/version`.
    Version,
    /// `/proc/uptime`.
    Uptime,
    /// `/proc/cpuinfo`.
    Cpuinfo,
    /// `/proc/stat`.
    Stat,
    /// `/proc/loadavg`.
    Loadavg,
    /// `/proc/kpagecount`: how often each frame is mapped, in binary.
    Kpagecount,
    /// `/proc/kpageflags`: what each frame is used for, in binary.
    Kpageflags,
    /// A file that always says the same.
    Constant(&'static str),
    /// A file about the process with this number.
    Process(u32, ProcessFile),
    /// `/proc/swaps`: where swap is.
    Swaps,
    /// `/proc/sys/vm/drop_caches`: writing to it gives up what is kept in memory for speed only.
    DropCaches,
    /// `/proc/sys/vm/overcommit_kbytes`: how much may be promised, if that is limited by a number.
    OvercommitKbytes,
    /// `/proc/sys/vm/overcommit_memory`: how it is decided whether memory may be promised.
    OvercommitMemory,
    /// `/proc/sys/vm/overcommit_ratio`: how much may be, if that is limited.
    OvercommitRatio,
    /// `/sys/kernel/mm/swap/size`: how much swap there is, in bytes. Pleat's own; Linux has devices for it.
    SwapSize,
    /// `/sys/kernel/mm/transparent_hugepage/enabled` or `shmem_enabled`.
    FolioPolicy(Memory),
    /// `.../hugepages-<N>kB/enabled` or `shmem_enabled` for folios of this order (2 to the order pages).
    FolioSizePolicy(Memory, u8),
    /// A file of `.../hugepages-<N>kB/stats`, about folios of this order.
    FolioStat(FolioStat, u8),
    /// `/sys/kernel/mm/transparent_hugepage/` `cow`, `reuse` or `refold`.
    BlockPolicy(BlockSetting),
    /// `/sys/kernel/mm/transparent_hugepage/defrag`: who makes room for a large folio.
    Defrag,
    /// `.../use_zero_page`: whether reads map a large folio of zeroes. There is none, so it is off and stays so.
    UseZeroPage,
    /// A file of `.../khugepaged`.
    Khugepaged(KhugepagedFile),
}

impl Generated {
    /// Permission bits of the file: settings can be written, everything else is only read.
    pub const fn permissions(self) -> u32 {
        match self {
            Generated::FolioPolicy(_) | Generated::FolioSizePolicy(..) | Generated::BlockPolicy(_) => 0o644,
            Generated::Defrag | Generated::UseZeroPage => 0o644,
            Generated::Khugepaged(file) if !file.is_count() => 0o644,
            Generated::SwapSize | Generated::OvercommitMemory => 0o644,
            Generated::OvercommitKbytes | Generated::OvercommitRatio => 0o644,
            Generated::DropCaches | Generated::Process(_, ProcessFile::ClearRefs) => 0o200,
            Generated::Process(_, ProcessFile::OomAdj | ProcessFile::OomScoreAdj) => 0o644,
            _ => 0o444,
        }
    }
}

/// A file of `/proc/<pid>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessFile {
    /// `clear_refs`: writing to it clears what is noted of accesses and writes.
    ClearRefs,
    /// `cmdline`: the program's arguments.
    Cmdline,
    /// `comm`: the program's name.
    Comm,
    /// `limits`: the most that it may have of each resource.
    Limits,
    /// `maps`: the VMAs.
    Maps,
    /// `mountinfo`: what is mounted.
    Mountinfo,
    /// `mounts`: the same, for people.
    Mounts,
    /// `oom_adj`: as `oom_score_adj`, from -17 to 15, for programs of old.
    OomAdj,
    /// `oom_score`: how likely the lack of memory strikes it.
    OomScore,
    /// `oom_score_adj`: what is added to that.
    OomScoreAdj,
    /// `pagemap`: a word about each page of the address space, in binary.
    Pagemap,
    /// `smaps`: the VMAs, and how each is mapped.
    Smaps,
    /// `smaps_rollup`: how the address space is mapped, in sum.
    SmapsRollup,
    /// `stat`: identity, size and times, as numbers.
    Stat,
    /// `statm`: its size, as numbers.
    Statm,
    /// `status`: identity and size.
    Status,
}

/// The files of `/proc`.
pub const PROC: [(&[u8], Generated); 11] = [
    (b"cmdline", Generated::Cmdline),
    (b"cpuinfo", Generated::Cpuinfo),
    (b"kpagecount", Generated::Kpagecount),
    (b"kpageflags", Generated::Kpageflags),
    (b"loadavg", Generated::Loadavg),
    (b"meminfo", Generated::Meminfo),
    (b"stat", Generated::Stat),
    (b"swaps", Generated::Swaps),
    (b"uptime", Generated::Uptime),
    (b"version", Generated::Version),
    (b"vmstat", Generated::Vmstat),
];

/// A symbolic link of `/proc/<pid>` that leads straight to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessLink {
    /// `cwd`: the working directory.
    Cwd,
    /// `exe`: the program.
    Exe,
    /// `root`: the root directory.
    Root,
}

/// What is in `/proc/<pid>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEntry {
    /// A file.
    File(ProcessFile),
    /// A link.
    Link(ProcessLink),
    /// `fd`: a directory of links to what is open.
    Fds,
    /// `task`: a directory of threads.
    Tasks,
}

/// The entries of `/proc/<pid>`.
pub const PROCESS: [(&[u8], ProcessEntry); 21] = [
    (b"clear_refs", ProcessEntry::File(ProcessFile::ClearRefs)),
    (b"cmdline", ProcessEntry::File(ProcessFile::Cmdline)),
    (b"comm", ProcessEntry::File(ProcessFile::Comm)),
    (b"cwd", ProcessEntry::Link(ProcessLink::Cwd)),
    (b"exe", ProcessEntry::Link(ProcessLink::Exe)),
    (b"fd", ProcessEntry::Fds),
    (b"limits", ProcessEntry::File(ProcessFile::Limits)),
    (b"maps", ProcessEntry::File(ProcessFile::Maps)),
    (b"mountinfo", ProcessEntry::File(ProcessFile::Mountinfo)),
    (b"mounts", ProcessEntry::File(ProcessFile::Mounts)),
    (b"oom_adj", ProcessEntry::File(ProcessFile::OomAdj)),
    (b"oom_score", ProcessEntry::File(ProcessFile::OomScore)),
    (b"oom_score_adj", ProcessEntry::File(ProcessFile::OomScoreAdj)),
    (b"pagemap", ProcessEntry::File(ProcessFile::Pagemap)),
    (b"root", ProcessEntry::Link(ProcessLink::Root)),
    (b"smaps", ProcessEntry::File(ProcessFile::Smaps)),
    (b"smaps_rollup", ProcessEntry::File(ProcessFile::SmapsRollup)),
    (b"stat", ProcessEntry::File(ProcessFile::Stat)),
    (b"statm", ProcessEntry::File(ProcessFile::Statm)),
    (b"status", ProcessEntry::File(ProcessFile::Status)),
    (b"task", ProcessEntry::Tasks),
];

/// Names of directories of `/sys/kernel/mm/transparent_hugepage`, and log2 of the bytes in the folios each is about.
const FOLIO_SIZES: [(&[u8], u32); 9] = [
    (b"hugepages-8kB", 13),
    (b"hugepages-16kB", 14),
    (b"hugepages-32kB", 15),
    (b"hugepages-64kB", 16),
    (b"hugepages-128kB", 17),
    (b"hugepages-256kB", 18),
    (b"hugepages-512kB", 19),
    (b"hugepages-1024kB", 20),
    (b"hugepages-2048kB", 21),
];

/// The directories there are, with the folio order each is about: of folios of more than a page. Linux starts at order
/// 2; our smallest is of order 1.
pub fn folio_sizes() -> impl Iterator<Item = (&'static [u8], u8)> {
    let larger = FOLIO_SIZES.into_iter().filter(|(_, shift)| *shift > PAGE_SHIFT);
    larger.map(|(name, shift)| (name, (shift - PAGE_SHIFT) as u8))
}

#[cfg(test)]
mod tests {
    use paging::PAGE_SIZE;

    use super::*;

    #[test]
    fn directory_names_are_the_folio_sizes() {
        for (name, order) in folio_sizes() {
            assert_eq!(name, format!("hugepages-{}kB", PAGE_SIZE >> 10 << order).as_bytes());
        }
        let orders = folio_sizes().map(|(_, order)| order);
        assert!(orders.eq(1..=crate::mm::frame::MAX_ORDER));
    }
}
