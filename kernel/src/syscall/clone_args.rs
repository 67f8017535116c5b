//! Which clones are forks.
//!
//! There are no threads yet, so a child always gets its own copies of everything. `CLONE_VM | CLONE_VFORK`, which C
//! libraries use for posix_spawn, gets that too: such a child may do no more than exec or exit, and it can do both on
//! a copy of the memory. (glibc's cannot report a failed exec that way: the parent sees exit status 127 instead.)

use linux_raw_sys::general as raw;

use crate::errno::{Errno, Result};

/// What is asked of a clone beyond a plain fork.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CloneFlags {
    /// The child gets its own thread pointer.
    pub set_tls: bool,
    /// The parent's memory gets the child's number.
    pub parent_set_tid: bool,
    /// The child's memory gets the child's number.
    pub child_set_tid: bool,
}

/// Checks the flags of a clone (its first argument).
///
/// CLONE_CHILD_CLEARTID changes nothing: Linux clears the word only if others use the memory (kernel/fork.c,
/// mm_release), and nobody does.
///
/// # Errors
/// `EINVAL`: not a fork.
pub fn check(flags: u64) -> Result<CloneFlags> {
    let flags = u32::try_from(flags).map_err(|_| Errno::EINVAL)?;
    let set = |flag| flags & flag != 0;
    let options =
        raw::CLONE_SETTLS | raw::CLONE_PARENT_SETTID | raw::CLONE_CHILD_SETTID | raw::CLONE_CHILD_CLEARTID;
    let spawn = raw::CLONE_VM | raw::CLONE_VFORK;
    let exit_signal = flags & raw::CSIGNAL;
    let shared = flags & !raw::CSIGNAL & !options;
    // Without CLONE_VM, CLONE_VFORK only says that the parent would wait for the child's exec.
    let fork = [0, raw::CLONE_VFORK, spawn].contains(&shared);
    if !fork || ![0, raw::SIGCHLD].contains(&exit_signal) {
        return Err(Errno::EINVAL);
    }
    Ok(CloneFlags {
        set_tls: set(raw::CLONE_SETTLS),
        parent_set_tid: set(raw::CLONE_PARENT_SETTID),
        child_set_tid: set(raw::CLONE_CHILD_SETTID),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forks_of_the_usual_c_libraries() {
        let plain = CloneFlags { set_tls: false, parent_set_tid: false, child_set_tid: false };
        assert_eq!(check(17), Ok(plain)); // musl fork, vfork of old
        assert_eq!(check(0), Ok(plain));
        assert_eq!(check(0x0120_0011), Ok(CloneFlags { child_set_tid: true, ..plain })); // glibc fork
        assert_eq!(check(0x4111), Ok(plain)); // posix_spawn
        assert_eq!(check(0x4011), Ok(plain)); // vfork without shared memory
        assert!(check(0x0018_0011).unwrap().set_tls && check(0x0018_0011).unwrap().parent_set_tid);
    }

    #[test]
    fn threads_and_namespaces_are_refused() {
        for flags in [
            u64::from(raw::CLONE_VM) | 17,
            0x003d_0f00, // pthread_create
            u64::from(raw::CLONE_FILES) | 17,
            u64::from(raw::CLONE_NEWPID) | 17,
            u64::from(raw::CLONE_PARENT) | 17,
            10, // exit signal SIGUSR1
            1 << 32 | 17,
        ] {
            assert_eq!(check(flags), Err(Errno::EINVAL), "{flags:#x}");
        }
    }
}
