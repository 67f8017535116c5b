//! Files, directories, pipes, and files mapped into memory. The file under test is this program's own.

use core::ffi::CStr;

use user::counters::field;
use user::rt::start::Args;
use user::sys::memory::{self, FILE_PRIVATE, LARGEST_PAGE, READ, READ_WRITE, page_size};
use user::sys::process::signal::{SIGBUS, SIGSEGV};
use user::sys::process::{self, spawn};
use user::sys::{Errno, file};
use user::text::Text;

use crate::harness::{Outcome, Test, Trouble, as_status, child_passes, killed_by};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("read, lseek and fstat agree", read_seek_stat),
    ("closed descriptors: EBADF", closed),
    ("open reports what it cannot do", open_errors),
    ("dup3", dup),
    ("getdents64 lists the root directory", directory),
    ("pipe data crosses fork", pipe_across_fork),
    ("a pipe blocks, fills and ends", pipe_bulk),
    ("memory that was full of pipes is free again", pipes_to_the_limit),
    ("a file's private mapping reads like the file", map_file),
    ("writes to a private mapping stay private", map_private),
    ("a file's mapping across fork", map_across_fork),
    ("beyond a mapped file's end: SIGBUS", map_beyond),
];

/// Opens this program's file; returns it with its size in bytes.
fn own_file(args: Args) -> Result<(file::Fd, usize), Errno> {
    let path: Text<256> = Text::format(format_args!("{}\0", args.get(0).unwrap_or("")));
    let path = CStr::from_bytes_with_nul(path.as_bytes()).map_err(|_| Errno::EINVAL)?;
    let fd = file::open(path, file::READ_ONLY)?;
    let (_, size) = file::stat(fd)?;
    Ok((fd, size as usize))
}

fn read_seek_stat(args: Args) -> Outcome {
    let (fd, size) = own_file(args)?;
    let mut magic = [0; 4];
    check_eq!(file::read(fd, &mut magic), Ok(4));
    check_eq!(magic, *b"\x7fELF");
    check_eq!(file::seek(fd, 0, file::SEEK_END), Ok(size as u64));
    check_eq!(file::read(fd, &mut magic), Ok(0));
    check_eq!(file::seek(fd, -4, file::SEEK_END), Ok(size as u64 - 4));
    check_eq!(file::read(fd, &mut [0; 64]), Ok(4));
    check_eq!(file::seek(fd, 1, file::SEEK_SET), Ok(1));
    check_eq!(file::read(fd, &mut magic[..3]), Ok(3));
    check_eq!(magic[..3], *b"ELF");
    check_eq!(file::seek(fd, -1, file::SEEK_SET), Err(Errno::EINVAL));
    let (mode, _) = file::stat(fd)?;
    check_eq!(mode & 0o170_000, 0o100_000);
    let root = file::open(c"/", file::READ_ONLY | file::DIRECTORY)?;
    check_eq!(file::stat(root)?.0 & 0o170_000, 0o040_000);
    check_eq!(file::read(root, &mut magic), Err(Errno::EISDIR));
    let pipe = file::pipe(0)?;
    check_eq!(file::stat(pipe.read)?.0 & 0o170_000, 0o010_000);
    check_eq!(file::seek(pipe.read, 0, file::SEEK_SET), Err(Errno::ESPIPE));
    Ok(())
}

fn closed(args: Args) -> Outcome {
    let (fd, _) = own_file(args)?;
    file::close(fd)?;
    check_eq!(file::close(fd), Err(Errno::EBADF));
    check_eq!(file::read(fd, &mut [0]), Err(Errno::EBADF));
    check_eq!(file::write(-1, b"x"), Err(Errno::EBADF));
    check_eq!(file::write(1 << 20, b"x"), Err(Errno::EBADF));
    let pipe = file::pipe(0)?;
    check_eq!(file::write(pipe.read, b"x"), Err(Errno::EBADF));
    check_eq!(file::read(pipe.write, &mut [0]), Err(Errno::EBADF));
    // The lowest free number is taken, as Linux does.
    let (again, _) = own_file(args)?;
    file::close(pipe.read)?;
    check_eq!(own_file(args)?.0, pipe.read);
    file::close(again)?;
    Ok(())
}

fn open_errors(args: Args) -> Outcome {
    check_eq!(file::open(c"/no/such/file", file::READ_ONLY), Err(Errno::ENOENT));
    let path: Text<256> = Text::format(format_args!("{}/x\0", args.get(0).unwrap_or("")));
    let path = CStr::from_bytes_with_nul(path.as_bytes()).map_err(|_| Errno::EINVAL)?;
    check_eq!(file::open(path, file::READ_ONLY), Err(Errno::ENOTDIR));
    check_eq!(file::open(c"/", file::WRITE_ONLY), Err(Errno::EISDIR));
    Ok(())
}

fn dup(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    file::duplicate(pipe.write, 50)?;
    file::close(pipe.write)?;
    file::write_all(50, b"dup")?;
    let mut buffer = [0; 3];
    check_eq!(file::read(pipe.read, &mut buffer), Ok(3));
    check_eq!(buffer, *b"dup");
    check_eq!(file::duplicate(50, 50), Err(Errno::EINVAL));
    check_eq!(file::duplicate(99, 51), Err(Errno::EBADF));
    file::close(50)?;
    check_eq!(file::read(pipe.read, &mut buffer), Ok(0));
    Ok(())
}

fn directory(_: Args) -> Outcome {
    let fd = file::open(c"/", file::READ_ONLY | file::DIRECTORY)?;
    check_eq!(file::directory_entries(fd, &mut [0; 8]), Err(Errno::EINVAL));
    let [mut dot, mut dot_dot, mut others] = [0; 3];
    // Small, so that several calls are needed.
    let mut buffer = [0u8; 96];
    loop {
        let len = file::directory_entries(fd, &mut buffer)?;
        if len == 0 {
            break;
        }
        let mut at = 0;
        while at < len {
            // linux_dirent64: inode (8 bytes), offset (8), record length (2), type (1), name.
            let record = usize::from(u16::from_ne_bytes([buffer[at + 16], buffer[at + 17]]));
            check!(record % 8 == 0 && record >= 24 && at + record <= len);
            let name = CStr::from_bytes_until_nul(&buffer[at + 19..at + record]);
            match name.map(CStr::to_bytes) {
                Ok(b".") => dot += 1,
                Ok(b"..") => dot_dot += 1,
                Ok(name) => {
                    check!(!name.is_empty() && !name.contains(&b'/'));
                    others += 1;
                }
                Err(_) => check!(false),
            }
            at += record;
        }
    }
    check_eq!((dot, dot_dot), (1, 1));
    check!(others >= 2);
    check_eq!(file::directory_entries(fd, &mut buffer), Ok(0));
    Ok(())
}

fn pipe_across_fork(_: Args) -> Outcome {
    let pipe = file::pipe(0)?;
    let child = spawn(|| i32::from(file::write_all(pipe.write, b"from the child").is_err()))?;
    let mut buffer = [0; 14];
    check_eq!(file::read_all(pipe.read, &mut buffer), Ok(14));
    check_eq!(buffer, *b"from the child");
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}

fn pipe_bulk(_: Args) -> Outcome {
    // More than any pipe holds, so that both sides block in turn.
    const CHUNKS: usize = 600;
    let pipe = file::pipe(0)?;
    let child = spawn(|| {
        as_status((|| {
            file::close(pipe.read)?;
            for chunk in 0..CHUNKS {
                file::write_all(pipe.write, &[chunk as u8; 1000])?;
            }
            Ok(())
        })())
    })?;
    file::close(pipe.write)?;
    for chunk in 0..CHUNKS {
        let mut buffer = [0; 1000];
        check_eq!(file::read_all(pipe.read, &mut buffer), Ok(1000));
        check!(buffer.iter().all(|byte| *byte == chunk as u8));
    }
    check_eq!(file::read(pipe.read, &mut [0]), Ok(0));
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}

/// Maps the whole of this program's file; returns address and size in bytes.
fn map_own_file(args: Args, prot: u32) -> Result<(usize, usize), Errno> {
    let (fd, size) = own_file(args)?;
    // SAFETY: at no fixed place.
    let base = unsafe { memory::map_at(0, size, prot, FILE_PRIVATE, fd, 0) }?;
    file::close(fd)?;
    Ok((base, size))
}

/// Whether the mapping at `base` equals the file, page by page, but for the pages in `except`.
fn equals_file(args: Args, base: usize, except: &[usize]) -> Outcome {
    let (fd, size) = own_file(args)?;
    let mut buffer = [0; LARGEST_PAGE];
    for page in 0..size.div_ceil(page_size()) {
        let len = file::read_all(fd, &mut buffer[..page_size()])?;
        if !except.contains(&page) {
            // SAFETY: inside the mapping, which is as long as the file, rounded up to whole pages.
            let mapped =
                unsafe { core::slice::from_raw_parts((base + page * page_size()) as *const u8, page_size()) };
            check!(mapped[..len] == buffer[..len]);
            check!(mapped[len..].iter().all(|byte| *byte == 0));
        }
    }
    file::close(fd)?;
    Ok(())
}

fn set(base: usize, page: usize, value: u8) {
    // SAFETY: inside a mapping that the test owns and nothing borrows.
    unsafe { ((base + page * page_size()) as *mut u8).write_volatile(value) };
}

fn get(base: usize, page: usize) -> u8 {
    // SAFETY: inside a mapping that the test owns.
    unsafe { ((base + page * page_size()) as *const u8).read_volatile() }
}

fn pipes_to_the_limit(_: Args) -> Outcome {
    // Pleat's kernel memory counts: what many pipes took must be there for programs again.
    let Some(before) = free_pages() else { return Err(Trouble::Skip("/proc/vmstat does not say")) };
    let held = file::pipe(0)?;
    let mut children = 0;
    for _ in 0..20 {
        spawn(|| {
            let _ = file::close(held.write);
            let all_open = (0..60).all(|_| file::pipe(0).is_ok());
            let _ = file::read(held.read, &mut [0]); // ends when the parent closes the other end
            i32::from(!all_open)
        })?;
        children += 1;
    }
    file::close(held.write)?;
    for _ in 0..children {
        process::wait_for(-1, 0)?;
    }
    // 75 MiB came and went. Linux, and a kernel that keeps some small things for reuse, may be off by a few.
    let after = free_pages().unwrap_or(0);
    check!(after + (8 << 20) / page_size() as u64 > before);
    Ok(())
}

fn free_pages() -> Option<u64> {
    let mut buffer = [0; 8192];
    let vmstat = file::open(c"/proc/vmstat", file::READ_ONLY).ok()?;
    let len = file::read_all(vmstat, &mut buffer).ok()?;
    file::close(vmstat).ok()?;
    field(&buffer[..len], "nr_free_pages")
}

fn map_file(args: Args) -> Outcome {
    let (base, _) = map_own_file(args, READ)?;
    equals_file(args, base, &[])?;
    killed_by(SIGSEGV, || set(base, 0, 1))?;
    let (fd, size) = own_file(args)?;
    // From the second page on.
    // SAFETY: at no fixed place.
    let tail = unsafe { memory::map_at(0, size - page_size(), READ, FILE_PRIVATE, fd, page_size() as u64) }?;
    check_eq!(get(tail, 0), get(base, 1));
    // SAFETY: refused.
    check_eq!(unsafe { memory::map_at(0, page_size(), READ, FILE_PRIVATE, fd, 12) }, Err(Errno::EINVAL));
    Ok(())
}

fn map_private(args: Args) -> Outcome {
    let (base, _) = map_own_file(args, READ_WRITE)?;
    let (other, _) = map_own_file(args, READ)?;
    // One page that was read before, one that was not.
    get(base, 0);
    set(base, 0, 0xee);
    set(base, 2, 0xef);
    check_eq!((get(base, 0), get(base, 2)), (0xee, 0xef));
    equals_file(args, base, &[0, 2])?;
    equals_file(args, other, &[])
}

fn map_across_fork(args: Args) -> Outcome {
    let (base, _) = map_own_file(args, READ_WRITE)?;
    set(base, 1, 0x11);
    child_passes(|| {
        check_eq!(get(base, 1), 0x11);
        set(base, 1, 0x22);
        set(base, 2, 0x33);
        equals_file(args, base, &[1, 2])
    })?;
    check_eq!(get(base, 1), 0x11);
    equals_file(args, base, &[1])
}

fn map_beyond(args: Args) -> Outcome {
    let (fd, size) = own_file(args)?;
    let pages = size.div_ceil(page_size());
    // SAFETY: at no fixed place.
    let base = unsafe { memory::map_at(0, (pages + 2) * page_size(), READ_WRITE, FILE_PRIVATE, fd, 0) }?;
    get(base, pages - 1);
    killed_by(SIGBUS, || get(base, pages))?;
    killed_by(SIGBUS, || set(base, pages + 1, 1))
}
