//! What a program can ask for when it agrees on the interface (Linux: `UFFD_FEATURE_*`): a bit each.
//!
//! Those that are not here do not exist: events of fork, mremap, unmap and remove, huge pages of hugetlbfs, write-protection
//! that ends by itself, and moving of pages.

/// Faults say whether they are writes to protected pages.
pub const PAGEFAULT_FLAG_WP: u64 = 1 << 0;
/// Shared memory can be registered for missing pages.
pub const MISSING_SHMEM: u64 = 1 << 5;
/// A fault is a bus error, and nobody is told.
pub const SIGBUS: u64 = 1 << 7;
/// Faults say whose they are.
pub const THREAD_ID: u64 = 1 << 8;
/// Shared memory can be registered for minor faults.
pub const MINOR_SHMEM: u64 = 1 << 10;
/// Faults say the address, not only the page's.
pub const EXACT_ADDRESS: u64 = 1 << 11;
/// Shared memory can be write-protected.
pub const WP_HUGETLBFS_SHMEM: u64 = 1 << 12;
/// Pages of anonymous memory that are not there can be write-protected.
pub const WP_UNPOPULATED: u64 = 1 << 13;
/// Pages can be made bus errors.
pub const POISON: u64 = 1 << 14;

/// All there are.
pub const ALL: u64 = PAGEFAULT_FLAG_WP
    | MISSING_SHMEM
    | SIGBUS
    | THREAD_ID
    | MINOR_SHMEM
    | EXACT_ADDRESS
    | WP_HUGETLBFS_SHMEM
    | WP_UNPOPULATED
    | POISON;
