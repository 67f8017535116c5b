//! Reading `/proc/<pid>/pagemap`, `/proc/kpagecount` and `/proc/kpageflags`: a word about each page of an address space,
//! or about each frame, found as it is asked for. As text the first would be half a terabyte.

use crate::errno::{Errno, Result};
use crate::fs::environment::Environment;
use crate::fs::generated::{Generated, ProcessFile};
use crate::fs::transfer::{Transfer, moved};

/// Words looked up under one taking of the process's memory lock.
const WORDS: usize = 64;
/// Words after which others may run.
const BREATH_WORDS: u64 = 8192;

/// Whether a file is one of words.
pub fn is_words(what: Generated) -> bool {
    let process = matches!(what, Generated::Process(_, ProcessFile::Pagemap));
    process || matches!(what, Generated::Kpagecount | Generated::Kpageflags)
}

/// Reads such a file from `offset` (bytes) on.
///
/// # Errors
/// `EINVAL`: not whole words, as on Linux; `EFAULT`: nothing could be copied; `ESRCH`: the process is gone.
pub fn read(env: &dyn Environment, what: Generated, offset: u64, io: &mut dyn Transfer) -> Result<usize> {
    let wanted = io.remaining();
    if !offset.is_multiple_of(8) || !wanted.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    let mut words = [0; WORDS];
    let mut bytes = [0; WORDS * 8];
    let mut done = 0;
    while done < wanted {
        let first = (offset + done as u64) / 8;
        let count = env.words(what, first, &mut words[..((wanted - done) / 8).min(WORDS)])?;
        for (to, word) in bytes.chunks_exact_mut(8).zip(&words[..count]) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        let put = io.put(&bytes[..count * 8]);
        done += put;
        if put < count * 8 || count < WORDS {
            break;
        }
        if first % BREATH_WORDS < WORDS as u64 && env.breathe().is_err() {
            break;
        }
    }
    // At the end of the address space there is nothing to move.
    if done == 0 && env.words(what, offset / 8, &mut words[..1])? == 0 { Ok(0) } else { moved(done, wanted) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::{Memory, World};

    #[test]
    fn whole_words_are_read_up_to_the_end() {
        let world = World { pids: std::vec![7], ..World::default() };
        let of = |pid| Generated::Process(pid, ProcessFile::Pagemap);
        let words = |offset, bytes| {
            let mut to = Memory::sized(bytes);
            let count = read(&world, of(7), offset, &mut to)?;
            let words = to.moved()[..count].chunks_exact(8);
            Ok(words.map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect::<std::vec::Vec<_>>())
        };
        assert_eq!(words(80, 24), Ok(std::vec![10, 11, 12]));
        assert_eq!(words(0, 8 * 1000).map(|all| all.len()), Ok(1000));
        assert_eq!(words(8 * (World::PAGEMAP_WORDS - 1), 32), Ok(std::vec![World::PAGEMAP_WORDS - 1]));
        assert_eq!(words(8 * World::PAGEMAP_WORDS, 32), Ok(std::vec![]));
        assert_eq!(words(4, 8), Err(Errno::EINVAL));
        assert_eq!(words(8, 12), Err(Errno::EINVAL));
        assert_eq!(read(&world, of(8), 0, &mut Memory::sized(8)), Err(Errno::ESRCH));
    }
}
