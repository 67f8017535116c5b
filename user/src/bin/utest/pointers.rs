//! Bad pointers and lengths given to system calls: an error, never a fault, never another process's memory.

use linux_raw_sys::general as linux;
use user::rt::start::Args;
use user::sys::memory::{self, NONE, PRIVATE, READ, READ_WRITE, page_size};
use user::sys::{Errno, Result, file, raw};

use crate::harness::{Outcome, Test};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("bad pointers: EFAULT", bad_pointers),
    ("read into a read-only page: EFAULT", read_only_target),
    ("write from a page never touched", untouched_source),
    ("read into copy-on-write memory", cow_target),
    ("huge lengths", huge_lengths),
    ("a buffer that ends at a hole", partial_buffer),
    ("bad paths", bad_paths),
    ("unknown system calls: ENOSYS", unknown_numbers),
];

const BAD: [usize; 6] =
    [0, 0x10, 0xdead_0000_0000, 0xffff_0000_0000_0000, 0xffff_ffff_ffff_fff0, 0x00ff_0000_0000_0000];

fn call<const N: usize>(number: u32, args: [usize; N]) -> Result<usize> {
    // SAFETY: the tests pass addresses that the kernel must refuse, or memory of their own.
    unsafe { raw(number, args) }
}

fn bad_pointers(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    file::write_all(pipe.write, b"data")?;
    let (read_end, write_end) = (pipe.read as usize, pipe.write as usize);
    for bad in BAD {
        check_eq!(call(linux::__NR_write, [write_end, bad, 4]), Err(Errno::EFAULT));
        check_eq!(call(linux::__NR_read, [read_end, bad, 4]), Err(Errno::EFAULT));
        check_eq!(call(linux::__NR_pipe2, [bad, 0]), Err(Errno::EFAULT));
        check_eq!(
            call(linux::__NR_clock_gettime, [linux::CLOCK_MONOTONIC as usize, bad]),
            Err(Errno::EFAULT)
        );
        check_eq!(call(linux::__NR_nanosleep, [bad, 0]), Err(Errno::EFAULT));
        check_eq!(call(linux::__NR_fstat, [read_end, bad]), Err(Errno::EFAULT));
        check_eq!(call(linux::__NR_uname, [bad]), Err(Errno::EFAULT));
        check_eq!(call(linux::__NR_getrandom, [bad, 8, 0]), Err(Errno::EFAULT));
    }
    Ok(())
}

fn read_only_target(_: Args) -> Outcome {
    let page = memory::map(page_size(), READ, PRIVATE)?;
    let pipe = file::pipe(0)?;
    file::write_all(pipe.write, b"data")?;
    check_eq!(call(linux::__NR_read, [pipe.read as usize, page, 4]), Err(Errno::EFAULT));
    check_eq!(call(linux::__NR_uname, [page]), Err(Errno::EFAULT));
    // SAFETY: nobody uses the page.
    unsafe { memory::protect(page, page_size(), NONE) }?;
    check_eq!(call(linux::__NR_write, [pipe.write as usize, page, 4]), Err(Errno::EFAULT));
    // The program's own constants.
    static CONSTANT: [u8; 8] = *b"constant";
    let target = CONSTANT.as_ptr() as usize;
    check_eq!(call(linux::__NR_getrandom, [target, 8, 0]), Err(Errno::EFAULT));
    check!(core::hint::black_box(&CONSTANT) == b"constant");
    Ok(())
}

fn untouched_source(_: Args) -> Outcome {
    let page = memory::map(2 * page_size(), READ_WRITE, PRIVATE)?;
    let pipe = file::pipe(0)?;
    check_eq!(call(linux::__NR_write, [pipe.write as usize, page + page_size() - 4, 8]), Ok(8));
    let mut buffer = [1; 8];
    check_eq!(file::read(pipe.read, &mut buffer), Ok(8));
    check_eq!(buffer, [0; 8]);
    // And the kernel writes to a page never touched.
    file::write_all(pipe.write, b"12345678")?;
    check_eq!(call(linux::__NR_read, [pipe.read as usize, page + page_size() - 4, 8]), Ok(8));
    // SAFETY: inside the mapping.
    check_eq!(unsafe { ((page + page_size() - 4) as *const [u8; 8]).read_unaligned() }, *b"12345678");
    Ok(())
}

fn cow_target(_: Args) -> Outcome {
    // The kernel's own write must break the sharing, as a write by the program does.
    let pages = crate::memory::Pages::map(memory::block_size(), PRIVATE)?;
    pages.fill(0);
    let (data, go) = (file::pipe(0)?, file::pipe(0)?);
    let child = user::sys::process::spawn(|| {
        let released = file::read(go.read, &mut [0]);
        i32::from(released != Ok(1) || !pages.is_filled(0, 0..16))
    })?;
    file::write_all(data.write, &[0xff; 8])?;
    check_eq!(call(linux::__NR_read, [data.read as usize, pages.base + 3 * page_size(), 8]), Ok(8));
    file::write_all(go.write, &[1])?;
    check_eq!(user::sys::process::wait(child)?.exited(), Some(0));
    check_eq!(pages.get(3), u64::MAX);
    Ok(())
}

fn huge_lengths(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    let page = memory::map(page_size(), READ_WRITE, PRIVATE)?;
    for len in [usize::MAX, isize::MAX as usize, 1 << 60] {
        for (number, fd) in [(linux::__NR_write, pipe.write), (linux::__NR_read, pipe.read)] {
            let result = call(number, [fd as usize, page, len]);
            check!(matches!(result, Err(Errno::EFAULT | Errno::EINVAL)));
        }
        let result = call(linux::__NR_getrandom, [0xffff_0000_0000_0000, len, 0]);
        check_eq!(result, Err(Errno::EFAULT));
    }
    // Zero bytes are no error, wherever.
    check_eq!(call(linux::__NR_write, [pipe.write as usize, page, 0]), Ok(0));
    Ok(())
}

fn partial_buffer(_: Args) -> Outcome {
    let base = memory::map(2 * page_size(), READ_WRITE, PRIVATE)?;
    // SAFETY: nobody uses it.
    unsafe { memory::unmap(base + page_size(), page_size()) }?;
    let pipe = file::pipe(0)?;
    // Linux writes what it can read before it reports the fault, or reports it at once, by the kind of file.
    let result = call(linux::__NR_write, [pipe.write as usize, base + page_size() - 16, 64]);
    check!(matches!(result, Ok(1..=16) | Err(Errno::EFAULT)));
    check_eq!(call(linux::__NR_uname, [base + page_size() - 16]), Err(Errno::EFAULT));
    Ok(())
}

fn bad_paths(_: Args) -> Outcome {
    let at = linux::AT_FDCWD as usize;
    for bad in BAD {
        check_eq!(call(linux::__NR_openat, [at, bad, 0]), Err(Errno::EFAULT));
        check_eq!(call(linux::__NR_execve, [bad, 0, 0]), Err(Errno::EFAULT));
    }
    // No NUL before the end of memory, and no NUL within PATH_MAX.
    let base = memory::map(4 * page_size(), READ_WRITE, PRIVATE)?;
    for offset in 0..3 * page_size() {
        // SAFETY: inside the mapping.
        unsafe { ((base + offset) as *mut u8).write_volatile(b'x') };
    }
    // SAFETY: nobody uses it.
    unsafe { memory::unmap(base + 3 * page_size(), page_size()) }?;
    check_eq!(call(linux::__NR_openat, [at, base + 3 * page_size() - 100, 0]), Err(Errno::EFAULT));
    check_eq!(call(linux::__NR_openat, [at, base, 0]), Err(Errno::ENAMETOOLONG));
    check_eq!(file::open(c"", 0), Err(Errno::ENOENT));
    Ok(())
}

fn unknown_numbers(_: Args) -> Outcome {
    for number in [5000, 0x7fff_ffff, 244] {
        check_eq!(call(number, [1, 2, 3, 4, 5, 6]), Err(Errno::ENOSYS));
    }
    Ok(())
}
