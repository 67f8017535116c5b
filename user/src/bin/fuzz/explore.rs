//! Reads and writes what the kernel generates, by walking down directories and taking what is there: no list of files
//! that could be out of date.
//!
//! Written to is only what is a worker's own or a setting that the supervisor puts back; a symbolic link is never
//! followed, since it could lead to what the machine needs.

use core::ffi::CStr;
use core::fmt::Write;

use linux_raw_sys::general as linux;
use user::sys::file::{self, DIRECTORY, READ_ONLY, WRITE_ONLY};
use user::sys::{raw, tree};
use user::text::Text;

use crate::held::Sort;
use crate::random::Random;
use crate::records::names;
use crate::words::{EXPLORED, WRITTEN, may_be_written};
use crate::worker::Worker;

/// How far down.
const DEPTH: usize = 6;

/// A path, its end marked.
type Path = Text<200>;

fn as_c(path: &Path) -> &CStr {
    CStr::from_bytes_until_nul(path.as_bytes()).unwrap_or(c"")
}

/// One of the entries of a directory; none if it is no directory, or empty.
fn entry(directory: &Path, random: &mut Random) -> Option<Path> {
    let fd = file::open(as_c(directory), READ_ONLY | DIRECTORY | linux::O_NOFOLLOW).ok()?;
    let mut buffer = [0; 2048];
    let bytes = file::directory_entries(fd, &mut buffer);
    let _ = file::close(fd);
    let entries = &buffer[..bytes.ok()?];
    let count = names(entries).count() as u64;
    let name = names(entries).nth(if count == 0 { return None } else { random.below(count) as usize })?;
    let mut path = Text::new();
    let base = as_c(directory).to_str().ok()?.trim_end_matches('/');
    write!(path, "{base}/{}\0", core::str::from_utf8(name).ok()?).ok()?;
    Some(path)
}

/// Some file or directory below one of [`EXPLORED`].
fn find(random: &mut Random) -> Path {
    let mut path = Text::format(format_args!("{}/.\0", random.pick(&EXPLORED)));
    for _ in 0..DEPTH {
        match entry(&path, random) {
            Some(next) => path = next,
            None => break,
        }
    }
    path
}

/// Opens something and does a few things with it. It may stay open.
pub fn explore(worker: &mut Worker) {
    let path = find(&mut worker.random);
    let writes = may_be_written(as_c(&path).to_bytes());
    let mode = if writes { worker.random.pick(&[READ_ONLY, linux::O_RDWR, WRITE_ONLY]) } else { READ_ONLY };
    let Ok(fd) = file::open(as_c(&path), mode | linux::O_NOFOLLOW | linux::O_NONBLOCK) else { return };
    worker.task.tally.explored.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    for _ in 0..1 + worker.random.below(4) {
        let mut values = worker.values();
        let (buffer, length, offset) = (values.pointer(), values.length(), values.offset());
        let [buffer, length, offset] = [buffer, length, offset].map(|word| word as usize);
        let number = worker.random.pick(&[
            linux::__NR_read,
            linux::__NR_read,
            linux::__NR_pread64,
            linux::__NR_lseek,
            linux::__NR_write,
            linux::__NR_getdents64,
        ]);
        if number == linux::__NR_write && mode != READ_ONLY {
            let word = worker.random.pick(&WRITTEN);
            let _ = file::write(fd, word);
            continue;
        }
        let args = match number {
            linux::__NR_lseek => [fd as usize, offset, 0, 0],
            _ => [fd as usize, buffer, length, offset],
        };
        // SAFETY: as for the worker's calls: memory that is its own, or not there.
        let _ = unsafe { raw(number, args) };
    }
    if worker.random.one_in(2) {
        worker.task.held.add(Sort::Other, fd as usize);
    } else {
        let _ = file::close(fd);
    }
    // What was found may be a directory to be in, for the calls that take paths.
    if worker.random.one_in(64) {
        let _ = tree::chdir(as_c(&path));
    }
}
