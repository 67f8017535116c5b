//! What system calls on files and memory refuse, and the number they say it with: where a wrong answer would lose or mix up
//! bytes, or never come.

use linux_raw_sys::general as linux;
use user::rt::start::Args;
use user::sys::memory::{self, page_size};
use user::sys::{Errno, Result, file, raw, tree};

use crate::harness::{Outcome, Test};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("splice refuses a pipe to itself and files written at their end", spliced),
    ("sendfile refuses what cannot be read a second time", sent),
    ("copy_file_range refuses ranges that overlap", overlapping),
    ("a memfd sealed against being executable, its name, and flags that there are not", memfd_flags),
    ("mmap refuses files that would grow, and flags that it is to know all of", mapped),
    ("mprotect with PROT_GROWSDOWN reaches down to the beginning", grows_down),
    ("readahead has no advice; syncfs wants a descriptor", ahead),
];

fn call<const N: usize>(number: u32, args: [usize; N]) -> Result<usize> {
    // SAFETY: the tests pass memory of their own, and change only mappings that they made.
    unsafe { raw(number, args) }
}

fn appending() -> Result<file::Fd> {
    tree::create(c"/utest-end", 0).and_then(file::close)?;
    file::open(c"/utest-end", linux::O_WRONLY | linux::O_APPEND)
}

fn spliced(_: Args) -> Outcome {
    let (pipe, fd) = (file::pipe(0)?, appending()? as usize);
    let (from, to) = (pipe.read as usize, pipe.write as usize);
    check_eq!(call(linux::__NR_splice, [from, 0, to, 0, 1, 0]), Err(Errno::EINVAL));
    check_eq!(call(linux::__NR_splice, [to, 0, from, 0, 1, 0]), Err(Errno::EBADF));
    check_eq!(call(linux::__NR_splice, [from, 0, fd, 0, 1, 0]), Err(Errno::EINVAL));
    let offset = [0u64];
    check_eq!(call(linux::__NR_splice, [from, offset.as_ptr() as usize, fd, 0, 1, 0]), Err(Errno::ESPIPE));
    Ok(())
}

fn sent(_: Args) -> Outcome {
    let (pipe, fd) = (file::pipe(0)?, tree::memfd(c"to")?);
    check_eq!(tree::send_file(fd, pipe.read, 1), Err(Errno::EINVAL));
    file::write_all(fd, b"x")?;
    check_eq!(tree::send_file(appending()?, fd, 1), Err(Errno::EINVAL));
    Ok(())
}

fn overlapping(_: Args) -> Outcome {
    let fd = tree::memfd(c"both")?;
    file::write_all(fd, &[1; 100])?;
    let copy = |from: u64, to: u64, count: usize| {
        let (from, to) = ([from], [to]);
        let (from, to) = (from.as_ptr() as usize, to.as_ptr() as usize);
        call(linux::__NR_copy_file_range, [fd as usize, from, fd as usize, to, count, 0])
    };
    check_eq!(copy(0, 10, 11), Err(Errno::EINVAL));
    check_eq!(copy(10, 0, 11), Err(Errno::EINVAL));
    check_eq!(copy(0, 10, 10), Ok(10));
    Ok(())
}

fn memfd_flags(_: Args) -> Outcome {
    let name = c"name";
    let create = |flags: u32| call(linux::__NR_memfd_create, [name.as_ptr() as usize, flags as usize]);
    check_eq!(create(linux::MFD_EXEC | linux::MFD_NOEXEC_SEAL), Err(Errno::EINVAL));
    check_eq!(create(0x40), Err(Errno::EINVAL));
    let fd = create(linux::MFD_NOEXEC_SEAL)?;
    check_eq!(call(linux::__NR_fchmod, [fd, 0o777]), Err(Errno::EPERM));
    check_eq!(call(linux::__NR_fchmod, [fd, 0o600]), Ok(0));
    file::duplicate(fd as file::Fd, 99)?;
    let mut buffer = [0; 64];
    check_eq!(tree::readlink(c"/proc/self/fd/99", &mut buffer)?, b"/memfd:name (deleted)");
    Ok(())
}

fn mapped(_: Args) -> Outcome {
    let fd = tree::memfd(c"mapped")? as usize;
    let map = |flags: u32, fd: usize| call(linux::__NR_mmap, [0, page_size(), 1, flags as usize, fd, 0]);
    check_eq!(map(linux::MAP_SHARED | linux::MAP_GROWSDOWN, fd), Err(Errno::EINVAL));
    check_eq!(map(linux::MAP_PRIVATE | linux::MAP_GROWSDOWN, fd), Err(Errno::EINVAL));
    check_eq!(map(linux::MAP_SHARED_VALIDATE | 1 << 21, fd), Err(Errno::EOPNOTSUPP));
    let place = file::open(c"/proc/self/exe", linux::O_PATH)? as usize;
    check_eq!(map(linux::MAP_PRIVATE, place), Err(Errno::EBADF));
    Ok(())
}

fn grows_down(_: Args) -> Outcome {
    let flags = linux::MAP_PRIVATE | linux::MAP_ANONYMOUS | linux::MAP_GROWSDOWN;
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let base = unsafe { memory::map_at(0, 4 * page_size(), memory::READ_WRITE, flags, -1, 0) }?;
    let prot = (memory::READ | linux::PROT_GROWSDOWN) as usize;
    check_eq!(call(linux::__NR_mprotect, [base + 3 * page_size(), page_size(), prot]), Ok(0));
    // Nothing may write to the first page any more, so the kernel cannot either.
    check_eq!(call(linux::__NR_clock_gettime, [linux::CLOCK_MONOTONIC as usize, base]), Err(Errno::EFAULT));
    let other = memory::map(page_size(), memory::READ_WRITE, memory::PRIVATE)?;
    check_eq!(call(linux::__NR_mprotect, [other, page_size(), prot]), Err(Errno::EINVAL));
    let both = (memory::READ | linux::PROT_GROWSDOWN | linux::PROT_GROWSUP) as usize;
    check_eq!(call(linux::__NR_mprotect, [base, page_size(), both]), Err(Errno::EINVAL));
    Ok(())
}

fn ahead(_: Args) -> Outcome {
    let (fd, pipe) = (tree::memfd(c"ahead")? as usize, file::pipe(0)?);
    // What is in the register behind the last argument does not count.
    check_eq!(call(linux::__NR_readahead, [fd, 0, 4096, 0xdead]), Ok(0));
    check_eq!(call(linux::__NR_readahead, [pipe.read as usize, 0, 4096]), Err(Errno::EINVAL));
    check_eq!(call(linux::__NR_syncfs, [fd]), Ok(0));
    check_eq!(call(linux::__NR_syncfs, [1025]), Err(Errno::EBADF));
    check!(call(linux::__NR_sync, []).is_ok());
    Ok(())
}
