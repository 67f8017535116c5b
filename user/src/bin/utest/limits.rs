//! Resource limits: set, told, inherited, and kept to.

use linux_raw_sys::general as linux;
use user::rt::start::Args;
use user::sys::memory::{self, PRIVATE, READ, READ_WRITE, page_size};
use user::sys::{Errno, Result, file, process, raw};

use crate::harness::{Outcome, Test, child_passes};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("prlimit: what is set is told, to the process and to others", told),
    ("RLIMIT_NOFILE: no descriptor from there on", descriptors),
    ("RLIMIT_AS: no more address space", address_space),
    ("RLIMIT_DATA: no more private memory to write to, nor heap", data),
];

const MIB: usize = 1 << 20;

fn prlimit(pid: i32, resource: u32, new: Option<[u64; 2]>) -> Result<[u64; 2]> {
    let mut old = [0; 2];
    let new = new.as_ref().map_or(0, |new| new.as_ptr() as usize);
    // SAFETY: the kernel reads one pair and writes the other.
    unsafe { raw(linux::__NR_prlimit64, [pid as usize, resource as usize, new, old.as_mut_ptr() as usize]) }?;
    Ok(old)
}

fn limit(resource: u32, soft: u64) -> Result<()> {
    let [_, hard] = prlimit(0, resource, None)?;
    prlimit(0, resource, Some([soft, hard])).map(|_| ())
}

fn told(_: Args) -> Outcome {
    check_eq!(prlimit(0, linux::RLIM_NLIMITS, None), Err(Errno::EINVAL));
    check_eq!(prlimit(0, linux::RLIMIT_FSIZE, Some([2, 1])), Err(Errno::EINVAL));
    check_eq!(prlimit(0, linux::RLIMIT_NOFILE, Some([1, 1 << 40])), Err(Errno::EPERM));
    let parent = process::getpid();
    let before = prlimit(0, linux::RLIMIT_MEMLOCK, Some([4096, 8192]))?;
    child_passes(|| {
        check_eq!(prlimit(0, linux::RLIMIT_MEMLOCK, None), Ok([4096, 8192]));
        check_eq!(prlimit(0, linux::RLIMIT_MEMLOCK, Some([1, 2])), Ok([4096, 8192]));
        check_eq!(prlimit(parent, linux::RLIMIT_RSS, Some([7, 7])).map(|_| ()), Ok(()));
        Ok(())
    })?;
    check_eq!(prlimit(0, linux::RLIMIT_RSS, Some([u64::MAX; 2])), Ok([7, 7]));
    check_eq!(prlimit(0, linux::RLIMIT_MEMLOCK, Some(before)), Ok([4096, 8192]));
    Ok(())
}

fn descriptors(_: Args) -> Outcome {
    child_passes(|| {
        let fd = file::open(c"/dev/null", file::READ_ONLY)?;
        limit(linux::RLIMIT_NOFILE, fd as u64 + 2)?;
        check_eq!(file::open(c"/dev/null", file::READ_ONLY), Ok(fd + 1));
        check_eq!(file::open(c"/dev/null", file::READ_ONLY), Err(Errno::EMFILE));
        check_eq!(file::duplicate(fd, fd + 2), Err(Errno::EBADF));
        file::close(fd)?;
        check_eq!(file::open(c"/dev/null", file::READ_ONLY), Ok(fd));
        Ok(())
    })
}

/// The first field of `/proc/self/statm`, in bytes.
fn mapped() -> Result<u64> {
    let mut buffer = [0; 128];
    let text = file::read_file(c"/proc/self/statm", &mut buffer)?;
    Ok(user::text::leading_number(text).unwrap_or(0) * page_size() as u64)
}

fn address_space(_: Args) -> Outcome {
    child_passes(|| {
        limit(linux::RLIMIT_AS, mapped()? + MIB as u64)?;
        let base = memory::map(MIB, READ, PRIVATE)?;
        check_eq!(memory::map(page_size(), READ, PRIVATE), Err(Errno::ENOMEM));
        // What takes the place of something needs no more.
        let fixed = linux::MAP_FIXED | PRIVATE | linux::MAP_ANONYMOUS;
        // SAFETY: over a mapping of our own, which nobody uses.
        check_eq!(unsafe { memory::map_at(base, MIB, READ_WRITE, fixed, -1, 0) }, Ok(base));
        // SAFETY: as above.
        unsafe { memory::unmap(base, page_size()) }?;
        check!(memory::map(page_size(), READ, PRIVATE).is_ok());
        Ok(())
    })
}

fn data(_: Args) -> Outcome {
    child_passes(|| {
        limit(linux::RLIMIT_DATA, 0)?;
        check_eq!(memory::map(page_size(), READ_WRITE, PRIVATE), Err(Errno::ENOMEM));
        check!(memory::map(page_size(), READ, PRIVATE).is_ok());
        check!(memory::map(page_size(), READ_WRITE, memory::SHARED).is_ok());
        // SAFETY: asks where the heap ends, and for more, which nobody uses.
        let brk = |addr| unsafe { raw(linux::__NR_brk, [addr]) };
        let end = brk(0)?;
        check_eq!(brk(end + MIB), Ok(end));
        Ok(())
    })
}
