//! What the kernel says about itself and about this process.

use core::ffi::CStr;

use crate::counters::{Counters, field};
use crate::sys::{Result, file};
use crate::text::{Text, leading_number};

/// Room for a kernel's whole `/proc/vmstat` (Linux: about 5 KiB).
pub const VMSTAT_SIZE: usize = 8192;

/// Whether this is Pleat: it counts contpte folds, Linux does not.
pub fn is_pleat() -> bool {
    counters().get("contpte_fold").is_some()
}

/// The event counters now; none where `/proc` is missing.
pub fn counters() -> Counters {
    let mut buffer = [0; VMSTAT_SIZE];
    file::read_file(c"/proc/vmstat", &mut buffer).map(Counters::parse).unwrap_or_default()
}

/// `nr_free_pages`: 4 KiB frames that nobody uses.
pub fn free_pages() -> Option<u64> {
    let mut buffer = [0; VMSTAT_SIZE];
    field(file::read_file(c"/proc/vmstat", &mut buffer).ok()?, "nr_free_pages")
}

/// KiB of this process mapped by contpte blocks; `None` where the kernel does not say (Linux).
pub fn contpte_kib() -> Option<u64> {
    let mut buffer = [0; 2048];
    field(file::read_file(c"/proc/self/smaps_rollup", &mut buffer).ok()?, "ContpteMapped")
}

/// KiB of this process mapped by block descriptors; `None` where the kernel does not say.
pub fn block_kib() -> Option<u64> {
    let mut buffer = [0; 2048];
    field(file::read_file(c"/proc/self/smaps_rollup", &mut buffer).ok()?, "AnonHugePages")
}

/// Anonymous folios of `kib` KiB that were ever allocated for a fault; `None` where the kernel does not count them: single
/// pages.
pub fn folios_allocated(kib: u32) -> Option<u64> {
    let path = Text::<96>::format(format_args!(
        "/sys/kernel/mm/transparent_hugepage/hugepages-{kib}kB/stats/anon_fault_alloc\0"
    ));
    let mut buffer = [0; 32];
    let path = CStr::from_bytes_with_nul(path.as_bytes()).ok()?;
    leading_number(file::read_file(path, &mut buffer).ok()?)
}

/// Whether fork copies in batches: Pleat's boot argument `pleat.batch`, on unless it says `off`. `None` if there is no
/// `/proc/cmdline`.
///
/// # Errors
/// As [`file::read_file`].
pub fn batching() -> Result<bool> {
    let mut buffer = [0; 2048];
    let line = file::read_file(c"/proc/cmdline", &mut buffer)?;
    Ok(!line.split(|b| b.is_ascii_whitespace()).any(|word| word == b"pleat.batch=off"))
}
