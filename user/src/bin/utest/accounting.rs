//! What the kernel tells of memory as a whole, and the limit of what files may have of it.

use linux_raw_sys::general as linux;
use user::counters::field;
use user::rt::start::Args;
use user::sys::memory::{PRIVATE, READ_WRITE, map_at, page_size, unmap};
use user::sys::process::signal::SIGBUS;
use user::sys::{Errno, file, raw, tree};

use crate::harness::{Outcome, Test, Trouble, killed_by};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("vmstat has Linux's names and agrees with meminfo", vmstat),
    ("files have no more memory than they may, mapped or written", limited),
    ("a limit of files that cannot be is refused", refused),
];

fn number(path: &core::ffi::CStr, name: &str) -> Result<u64, Trouble> {
    let mut text = [0; user::probe::VMSTAT_SIZE];
    field(file::read_file(path, &mut text)?, name).ok_or(Trouble::Failed)
}

fn vmstat(_: Args) -> Outcome {
    let pages = Pages::map(4 << 20, PRIVATE)?;
    pages.fill(1);
    let kib = page_size() as u64 / 1024;
    const ALIKE: [(&str, &str); 3] =
        [("nr_shmem", "Shmem"), ("nr_mlock", "Mlocked"), ("nr_page_table_pages", "PageTables")];
    for (name, line) in ALIKE {
        let (counted, told) = (number(c"/proc/vmstat", name)? * kib, number(c"/proc/meminfo", line)?);
        // Linux has counts per CPU that it adds up now and then.
        check!(counted.abs_diff(told) <= 1024);
    }
    check!(number(c"/proc/meminfo", "AnonPages")? >= 4096);
    for name in ["nr_free_pages", "nr_file_pages", "nr_kernel_stack", "pgfault", "pgmajfault", "oom_kill"] {
        number(c"/proc/vmstat", name)?;
    }
    Ok(())
}

/// Mounts the root anew with these options.
fn remount(options: &[u8]) -> Result<usize, Errno> {
    let (root, flags) = (c"/".as_ptr() as usize, linux::MS_REMOUNT as usize);
    // SAFETY: the kernel reads strings that are there.
    unsafe { raw(linux::__NR_mount, [0, root, 0, flags, options.as_ptr() as usize]) }
}

/// Linux's root need not be a tmpfs, and is not this test's to change.
fn pleat() -> Outcome {
    if user::probe::is_pleat() { Ok(()) } else { Err(Trouble::Skip("changes the root's limit")) }
}

fn limited(_: Args) -> Outcome {
    pleat()?;
    const PATH: &core::ffi::CStr = c"/limited";
    // Much more than is let, since shared memory is told of with files.
    let (page, pages, more) = (page_size(), 64, 4096);
    let fd = tree::create(PATH, linux::O_RDWR | linux::O_CREAT)?;
    tree::truncate(fd, (more * page) as u64)?;
    tree::write_at(fd, b"x", 0)?;
    let used = number(c"/proc/meminfo", "Shmem")?;
    let mut options: user::text::Text<64> =
        user::text::Text::format(format_args!("size={}k\0", used + (pages * page / 1024) as u64));
    remount(options.as_bytes())?;
    let outcome = (|| {
        // SAFETY: replaces nothing.
        let base = unsafe { map_at(0, more * page, READ_WRITE, linux::MAP_SHARED, fd, 0) }?;
        // SAFETY: in the mapping.
        let touch = |number: usize| unsafe { ((base + number * page) as *mut u8).write_volatile(1) };
        killed_by(SIGBUS, || (0..more).for_each(touch))?;
        check_eq!(tree::write_at(fd, b"x", ((more - 1) * page) as u64), Err(Errno::ENOSPC));
        // What is there goes on working.
        touch(0);
        // SAFETY: the mapping is this test's.
        Ok(unsafe { unmap(base, more * page) }?)
    })();
    options = user::text::Text::format(format_args!("size=50%\0"));
    file::close(fd)?;
    tree::unlink(PATH)?;
    remount(options.as_bytes())?;
    outcome
}

fn refused(_: Args) -> Outcome {
    pleat()?;
    for options in [&b"size=1k\0"[..], b"size=x\0", b"whatever\0"] {
        check_eq!(remount(options), Err(Errno::EINVAL));
    }
    check_eq!(remount(b"mode=755\0"), Ok(0));
    Ok(())
}
