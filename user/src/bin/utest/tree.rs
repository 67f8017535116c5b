//! The root file system as one that can be written: names, contents, mappings of files, and what memory they take.

use core::ffi::CStr;

use user::counters::field;
use user::rt::start::Args;
use user::sys::memory::{self, READ, READ_WRITE, page_size};
use user::sys::process::signal::SIGBUS;
use user::sys::{Errno, file, tree};
use user::text::Text;

use crate::harness::{Outcome, Test, child_passes, killed_by};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("a file is made, written, read and emptied", contents),
    ("a file as large as can be has holes, found at once", enormous),
    ("names are made, renamed, linked and removed", names),
    ("a file that lost its name lives until it is closed", unlinked),
    ("a directory can be emptied while it is read", emptied),
    ("the working directory is a process's own", working_directory),
    ("write and a shared mapping show the same", mapped),
    ("what is cut off a mapped file is gone: SIGBUS", cut_off),
    ("a shared mapping of a file opened for reading stays so", read_only),
    ("files of memory give it back", given_back),
    ("a sealed memfd is not written", sealed),
    ("sendfile copies", sent),
];

/// Linux: MAP_SHARED.
const MAP_SHARED: u32 = 1;

fn size(fd: file::Fd) -> Result<u64, Errno> {
    file::stat(fd).map(|(_, size)| size)
}

fn map_shared(fd: file::Fd, len: usize, prot: u32) -> Result<usize, Errno> {
    // SAFETY: a new mapping, at an address that the kernel chooses.
    unsafe { memory::map_at(0, len, prot, MAP_SHARED, fd, 0) }
}

fn load(addr: usize) -> u8 {
    // SAFETY: the tests read only what they have mapped.
    unsafe { (addr as *const u8).read_volatile() }
}

fn store(addr: usize, value: u8) {
    // SAFETY: the tests write only to what they have mapped.
    unsafe { (addr as *mut u8).write_volatile(value) }
}

fn contents(_: Args) -> Outcome {
    let path = c"/utest-contents";
    let fd = tree::create(path, tree::EXCLUSIVE)?;
    check_eq!(tree::create(path, tree::EXCLUSIVE), Err(Errno::EEXIST));
    file::write_all(fd, b"hello, ")?;
    file::write_all(fd, b"world")?;
    check_eq!(size(fd), Ok(12));
    check_eq!(tree::write_at(fd, b"W", 7), Ok(1));
    check_eq!(tree::write_at(fd, b"!", 100_000), Ok(1));
    check_eq!(size(fd), Ok(100_001));
    let mut buffer = [0xee; 16];
    check_eq!(tree::read_at(fd, &mut buffer, 0), Ok(16));
    check_eq!(buffer, *b"hello, World\0\0\0\0");
    check_eq!(tree::read_at(fd, &mut buffer, 99_999), Ok(2));
    check_eq!(buffer[..2], *b"\0!");
    let end = tree::create(path, tree::APPEND)?;
    file::write_all(end, b"?")?;
    check_eq!(size(fd), Ok(100_002));
    tree::truncate(fd, 5)?;
    tree::truncate(fd, 8)?;
    check_eq!(tree::read_at(fd, &mut buffer, 0), Ok(8));
    check_eq!(buffer[..8], *b"hello\0\0\0");
    tree::create(path, tree::TRUNCATE)?;
    check_eq!(size(fd), Ok(0));
    check_eq!(file::seek(fd, 0, file::SEEK_END), Ok(0));
    tree::unlink(path)?;
    check_eq!(file::open(path, file::READ_ONLY), Err(Errno::ENOENT));
    Ok(())
}

fn enormous(_: Args) -> Outcome {
    const SEEK_DATA: u32 = linux_raw_sys::general::SEEK_DATA;
    const SEEK_HOLE: u32 = linux_raw_sys::general::SEEK_HOLE;
    let fd = tree::memfd(c"enormous")?;
    file::write_all(fd, b"x")?;
    let end = i64::MAX as u64;
    let end = if tree::truncate(fd, end).is_ok() { end } else { 1 << 40 };
    tree::truncate(fd, end)?;
    let page = user::sys::memory::page_size() as i64;
    check_eq!(file::seek(fd, 0, SEEK_DATA), Ok(0));
    check!(file::seek(fd, 1 << 30, SEEK_DATA) == Err(Errno::ENXIO));
    check!(file::seek(fd, 1, SEEK_HOLE).is_ok_and(|hole| hole >= page as u64));
    check_eq!(file::seek(fd, 1 << 30, SEEK_HOLE), Ok(1 << 30));
    file::close(fd)?;
    Ok(())
}

fn names(_: Args) -> Outcome {
    tree::mkdir(c"/utest-d")?;
    check_eq!(tree::mkdir(c"/utest-d"), Err(Errno::EEXIST));
    check_eq!(tree::mkdir(c"/utest-none/d"), Err(Errno::ENOENT));
    file::close(tree::create(c"/utest-d/f", 0)?)?;
    check_eq!(tree::rmdir(c"/utest-d"), Err(Errno::ENOTEMPTY));
    check_eq!(tree::unlink(c"/utest-d"), Err(Errno::EISDIR));
    check_eq!(tree::rmdir(c"/utest-d/f"), Err(Errno::ENOTDIR));
    tree::link(c"/utest-d/f", c"/utest-d/g")?;
    check_eq!(tree::link(c"/utest-d/f", c"/utest-d/g"), Err(Errno::EEXIST));
    check_eq!(tree::rename(c"/utest-d/f", c"/utest-d/g", tree::NOREPLACE), Err(Errno::EEXIST));
    tree::rename(c"/utest-d/f", c"/utest-d/h", 0)?;
    tree::mkdir(c"/utest-d/sub")?;
    check_eq!(tree::rename(c"/utest-d", c"/utest-d/sub/d", 0), Err(Errno::EINVAL));
    check_eq!(tree::rename(c"/utest-d/h", c"/utest-d/sub", 0), Err(Errno::EISDIR));
    tree::rename(c"/utest-d/h", c"/utest-d/sub", tree::EXCHANGE)?;
    check_eq!(tree::rmdir(c"/utest-d/h"), Ok(()));
    tree::symlink(c"sub", c"/utest-d/link")?;
    let mut buffer = [0; 9];
    check_eq!(tree::readlink(c"/utest-d/link", &mut buffer), Ok(&b"sub"[..]));
    check_eq!(tree::readlink(c"/utest-d/sub", &mut buffer), Err(Errno::EINVAL));
    file::close(file::open(c"/utest-d/link", file::READ_ONLY)?)?;
    for name in [c"/utest-d/link", c"/utest-d/sub", c"/utest-d/g"] {
        tree::unlink(name)?;
    }
    check_eq!(tree::rmdir(c"/utest-d"), Ok(()));
    check_eq!(tree::unlink(c"/utest-d/g"), Err(Errno::ENOENT));
    Ok(())
}

fn unlinked(_: Args) -> Outcome {
    let fd = tree::create(c"/utest-u", 0)?;
    tree::unlink(c"/utest-u")?;
    file::write_all(fd, b"still here")?;
    let again = tree::create(c"/utest-u", 0)?;
    check_eq!(size(again), Ok(0));
    let mut buffer = [0; 10];
    check_eq!(tree::read_at(fd, &mut buffer, 0), Ok(10));
    check_eq!(buffer, *b"still here");
    Ok(tree::unlink(c"/utest-u")?)
}

fn emptied(_: Args) -> Outcome {
    const FILES: u8 = 40;
    tree::mkdir(c"/utest-e")?;
    let path = |index: u8| Text::<32>::format(format_args!("/utest-e/a{index:02}\0"));
    for index in 0..FILES {
        file::close(tree::create(as_path(&path(index)), 0)?)?;
    }
    let fd = file::open(c"/utest-e", file::READ_ONLY | file::DIRECTORY)?;
    let (mut buffer, mut removed) = ([0u8; 128], 0);
    loop {
        let len = file::directory_entries(fd, &mut buffer)?;
        if len == 0 {
            break;
        }
        let mut at = 0;
        while at < len {
            let record = usize::from(u16::from_ne_bytes([buffer[at + 16], buffer[at + 17]]));
            // Names of three letters are ours.
            if buffer[at + 19] == b'a' {
                let index = (buffer[at + 20] - b'0') * 10 + buffer[at + 21] - b'0';
                tree::unlink(as_path(&path(index)))?;
                removed += 1;
            }
            at += record;
        }
    }
    check_eq!(removed, FILES);
    Ok(tree::rmdir(c"/utest-e")?)
}

fn as_path(text: &Text<32>) -> &CStr {
    CStr::from_bytes_with_nul(text.as_bytes()).unwrap_or(c"")
}

fn working_directory(_: Args) -> Outcome {
    tree::mkdir(c"/utest-w")?;
    child_passes(|| {
        let mut buffer = [0; 64];
        tree::chdir(c"/utest-w")?;
        check_eq!(tree::getcwd(&mut buffer), Ok(&b"/utest-w\0"[..]));
        file::close(tree::create(c"f", tree::EXCLUSIVE)?)?;
        file::close(file::open(c"../utest-w/f", file::READ_ONLY)?)?;
        check_eq!(tree::readlink(c"/proc/self/cwd", &mut buffer), Ok(&b"/utest-w"[..]));
        tree::unlink(c"f")?;
        tree::rmdir(c"/utest-w")?;
        check_eq!(tree::getcwd(&mut buffer), Err(Errno::ENOENT));
        check_eq!(tree::create(c"f", 0), Err(Errno::ENOENT));
        Ok(())
    })?;
    let mut buffer = [0; 64];
    check_eq!(tree::getcwd(&mut buffer), Ok(&b"/\0"[..]));
    Ok(())
}

fn mapped(_: Args) -> Outcome {
    let (fd, page) = (tree::create(c"/utest-m", 0)?, page_size());
    tree::unlink(c"/utest-m")?;
    tree::truncate(fd, 4 * page as u64)?;
    let shared = map_shared(fd, 4 * page, READ_WRITE)?;
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let private = unsafe { memory::map_at(0, 4 * page, READ_WRITE, memory::FILE_PRIVATE, fd, 0) }?;
    store(shared + page + 3, 7);
    let mut byte = [0];
    check_eq!(tree::read_at(fd, &mut byte, page as u64 + 3), Ok(1));
    check_eq!((byte, load(private + page + 3)), ([7], 7));
    check_eq!(tree::write_at(fd, &[9], page as u64 + 3), Ok(1));
    check_eq!((load(shared + page + 3), load(private + page + 3)), (9, 9));
    store(private + page + 3, 1);
    check_eq!(load(shared + page + 3), 9);
    child_passes(|| {
        store(shared, 5);
        Ok(())
    })?;
    check_eq!(load(shared), 5);
    Ok(())
}

fn cut_off(_: Args) -> Outcome {
    let (fd, page) = (tree::create(c"/utest-c", 0)?, page_size());
    tree::unlink(c"/utest-c")?;
    tree::truncate(fd, 2 * page as u64)?;
    let shared = map_shared(fd, 2 * page, READ_WRITE)?;
    store(shared, 1);
    store(shared + page, 2);
    tree::truncate(fd, 1)?;
    check_eq!(load(shared), 1);
    killed_by(SIGBUS, || load(shared + page))?;
    tree::truncate(fd, 2 * page as u64)?;
    check_eq!(load(shared + page), 0);
    store(shared + page, 3);
    tree::allocate(fd, tree::PUNCH_HOLE, page as u64, page as u64)?;
    check_eq!(load(shared + page), 0);
    Ok(())
}

fn read_only(_: Args) -> Outcome {
    file::close(tree::create(c"/utest-r", 0)?)?;
    let fd = file::open(c"/utest-r", file::READ_ONLY)?;
    check_eq!(map_shared(fd, page_size(), READ_WRITE), Err(Errno::EACCES));
    let addr = map_shared(fd, page_size(), READ)?;
    // SAFETY: a mapping of our own.
    check_eq!(unsafe { memory::protect(addr, page_size(), READ_WRITE) }, Err(Errno::EACCES));
    Ok(tree::unlink(c"/utest-r")?)
}

/// Free memory in KiB.
fn free_kib() -> Result<u64, Errno> {
    let mut buffer = [0; 2048];
    let text = file::read_file(c"/proc/meminfo", &mut buffer)?;
    Ok(field(text, "MemFree").unwrap_or(0))
}

fn given_back(_: Args) -> Outcome {
    const MIB: usize = 8;
    let before = free_kib()?;
    let fd = tree::create(c"/utest-g", 0)?;
    let chunk = [1; 64 << 10];
    for _ in 0..MIB * 16 {
        file::write_all(fd, &chunk)?;
    }
    let full = free_kib()?;
    check!(full + (MIB as u64) * 900 < before);
    tree::unlink(c"/utest-g")?;
    file::close(fd)?;
    let after = free_kib()?;
    check!(after + 512 > before);
    Ok(())
}

fn sealed(_: Args) -> Outcome {
    let fd = tree::memfd(c"utest")?;
    file::write_all(fd, b"abc")?;
    let addr = map_shared(fd, page_size(), READ_WRITE)?;
    check_eq!(load(addr + 1), b'b');
    check_eq!(tree::seal(fd, tree::SEAL_WRITE), Err(Errno::EBUSY));
    // SAFETY: a mapping of our own, not used any more.
    unsafe { memory::unmap(addr, page_size()) }?;
    tree::seal(fd, tree::SEAL_WRITE | tree::SEAL_SHRINK)?;
    check_eq!(file::write(fd, b"d"), Err(Errno::EPERM));
    check_eq!(tree::truncate(fd, 1), Err(Errno::EPERM));
    check_eq!(map_shared(fd, page_size(), READ_WRITE), Err(Errno::EPERM));
    Ok(())
}

fn sent(_: Args) -> Outcome {
    let (from, to) = (tree::memfd(c"from")?, tree::memfd(c"to")?);
    file::write_all(from, &[7; 10_000])?;
    file::seek(from, 1, file::SEEK_SET)?;
    check_eq!(tree::send_file(to, from, 20_000), Ok(9_999));
    check_eq!(tree::send_file(to, from, 20_000), Ok(0));
    check_eq!(size(to), Ok(9_999));
    Ok(())
}
