//! Capabilities: everybody is root and has all of them (capabilities(7)). They cannot be given up, as user IDs cannot: who
//! asks for less is refused, rather than left to believe that it worked.

use crate::errno::{Errno, Result};

/// The numbers of capabilities there are: 0 to this one, CAP_CHECKPOINT_RESTORE (Linux 6.12). `/proc/sys/kernel/cap_last_cap`
/// says the same.
pub const LAST: u32 = 40;

/// The version that Linux prefers.
pub const PREFERRED: u32 = 0x2008_0522;

/// A word of each set, as capget and capset pass them: effective, permitted, inheritable.
pub type Sets = [u32; 3];

/// How many [`Sets`] a structure of this version holds; none: there is no such version.
pub fn words(version: u32) -> Option<usize> {
    match version {
        0x1998_0330 => Some(1),
        0x2007_1026 | PREFERRED => Some(2),
        _ => None,
    }
}

/// What everybody has: word number `word` of the sets.
pub fn root(word: usize) -> Sets {
    let all = (1u64 << (LAST + 1)) - 1;
    let word = (all >> (32 * word)) as u32;
    [word, word, 0]
}

/// Whether a process may have `wanted`, the sets' words in order.
///
/// # Errors
/// `EPERM`: less than all, or more.
pub fn check(wanted: &[Sets]) -> Result<()> {
    let same = wanted.iter().enumerate().all(|(word, sets)| {
        let [effective, permitted, _] = root(word);
        // Whether programs that it executes inherit any makes no difference: they are root's.
        sets[0] == effective && sets[1] == permitted && sets[2] & !permitted == 0
    });
    if same { Ok(()) } else { Err(Errno::EPERM) }
}

#[cfg(target_os = "none")]
pub use calls::{capget, capset};

#[cfg(target_os = "none")]
mod calls {
    use super::{PREFERRED, Sets, check, root, words};
    use crate::errno::{Errno, Result};
    use crate::proc;
    use crate::syscall::user_ptr::UserPtr;

    /// The header: how many [`Sets`] follow, and which process is meant. Who asks for a version that does not exist is told
    /// which one to ask for.
    fn header(at: u64) -> Result<(usize, i32)> {
        let [version, pid] = UserPtr::<[u32; 2]>::new(at).read()?;
        match words(version) {
            Some(words) => Ok((words, pid as i32)),
            None => UserPtr::new(at).write(PREFERRED).and(Err(Errno::EINVAL)),
        }
    }

    /// capget(header, data). Without data it only tells the version.
    pub fn capget(args: &[u64; 6]) -> Result<usize> {
        let (words, pid) = match header(args[0]) {
            Err(Errno::EINVAL) if args[1] == 0 => return Ok(0),
            header => header?,
        };
        if args[1] == 0 {
            return Ok(0);
        }
        let pid = u32::try_from(pid).map_err(|_| Errno::EINVAL)?;
        if pid != 0 && proc::find(pid).is_none() {
            return Err(Errno::ESRCH);
        }
        let data = UserPtr::<Sets>::new(args[1]);
        (0..words).try_for_each(|word| data.at(word).write(root(word)))?;
        Ok(0)
    }

    /// capset(header, data).
    pub fn capset(args: &[u64; 6]) -> Result<usize> {
        let (words, pid) = header(args[0])?;
        if pid != 0 && pid as u32 != proc::current_tid() {
            return Err(Errno::EPERM);
        }
        let data = UserPtr::<Sets>::new(args[1]);
        let mut wanted = [[0; 3]; 2];
        for (word, sets) in wanted[..words].iter_mut().enumerate() {
            *sets = data.at(word).read()?;
        }
        check(&wanted[..words]).map(|()| 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_all_of_them() {
        assert_eq!(root(0), [u32::MAX, u32::MAX, 0]);
        assert_eq!(root(1), [0x1ff, 0x1ff, 0]);
        assert_eq!([0x1998_0330, 0x2007_1026, PREFERRED, 0].map(words), [Some(1), Some(2), Some(2), None]);
    }

    #[test]
    fn nothing_is_given_up_and_nothing_gained() {
        assert_eq!(check(&[root(0), root(1)]), Ok(()));
        assert_eq!(check(&[root(0)]), Ok(()));
        assert_eq!(check(&[[1, u32::MAX, 0], root(1)]), Err(Errno::EPERM));
        assert_eq!(check(&[root(0), [0x3ff, 0x3ff, 0]]), Err(Errno::EPERM));
        assert_eq!(check(&[root(0), [0x1ff, 0x1ff, 0x200]]), Err(Errno::EPERM));
    }
}
