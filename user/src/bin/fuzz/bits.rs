//! Arguments that are flags.

use linux_raw_sys::general::*;

use crate::values::Values;

impl Values<'_> {
    pub(crate) fn map_flags(&mut self) -> u64 {
        let mut flags = self.random.pick(&[
            MAP_PRIVATE | MAP_ANONYMOUS,
            MAP_PRIVATE | MAP_ANONYMOUS,
            MAP_SHARED | MAP_ANONYMOUS,
            MAP_PRIVATE,
            MAP_SHARED,
            MAP_SHARED_VALIDATE,
        ]);
        for (bit, times) in [
            (MAP_FIXED, 4),
            (MAP_POPULATE, 4),
            (MAP_NORESERVE, 4),
            (MAP_GROWSDOWN, 16),
            (MAP_FIXED_NOREPLACE, 16),
            (MAP_STACK, 8),
            (MAP_LOCKED, 16),
        ] {
            if self.random.one_in(times) {
                flags |= bit;
            }
        }
        flags.into()
    }

    pub(crate) fn open_flags(&mut self) -> u64 {
        let mut flags = self.random.pick(&[O_RDONLY, O_RDWR, O_WRONLY, O_RDWR]) | O_NONBLOCK;
        for (bit, times) in [
            (O_CREAT, 2),
            (O_TRUNC, 6),
            (O_APPEND, 6),
            (O_EXCL, 8),
            (O_DIRECTORY, 8),
            (O_NOFOLLOW, 8),
            (O_PATH, 12),
            (O_CLOEXEC, 4),
            (O_NONBLOCK, 3),
        ] {
            if self.random.one_in(times) {
                flags ^= bit;
            }
        }
        flags.into()
    }

    pub(crate) fn clone_flags(&mut self) -> u64 {
        let mut flags = self.random.pick(&[SIGCHLD, SIGCHLD, SIGCHLD, 0, SIGUSR1, 63, 77]);
        for (bit, times) in CLONE_BITS {
            if self.random.one_in(times) {
                flags |= bit;
            }
        }
        flags.into()
    }
}

/// Flags of clone, and once in how many times each is set.
pub const CLONE_BITS: [(u32, u64); 13] = [
    (CLONE_VM, 4),
    (CLONE_FS, 4),
    (CLONE_FILES, 4),
    (CLONE_SIGHAND, 6),
    (CLONE_THREAD, 6),
    (CLONE_VFORK, 8),
    (CLONE_PARENT, 12),
    (CLONE_PIDFD, 8),
    (CLONE_SETTLS, 12),
    (CLONE_PARENT_SETTID, 4),
    (CLONE_CHILD_SETTID, 4),
    (CLONE_CHILD_CLEARTID, 4),
    (CLONE_NEWNS, 24),
];
