//! Where workers work: a directory each, `/tmp/fz<slot>`; and its removal with all they have made there and in `/`.

use core::ffi::CStr;

use user::sys::file::{self, DIRECTORY, READ_ONLY};
use user::sys::{Errno, Result, system, tree};
use user::text::Text;

use crate::population;
use crate::records::names;
use crate::words::PREFIX;

/// Says how likely it is that the kernel chooses this process when memory is exhausted.
pub const ADJUSTMENT: &CStr = c"/proc/self/oom_score_adj";

/// Makes the directory of a worker, if need be, and goes there. Unlike the supervisor it may be killed for its memory.
///
/// # Errors
/// Those of mkdir and chdir, and of unlink for what is in the way.
pub fn enter(slot: usize) -> Result<()> {
    file::write_file(ADJUSTMENT, b"0")?;
    population::disarm();
    let path = Text::<32>::format(format_args!("/tmp/fz{slot}\0"));
    let path = CStr::from_bytes_with_nul(path.as_bytes()).map_err(|_| Errno::EINVAL)?;
    for directory in [c"/tmp", path] {
        match system::make_directory(directory) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
        // Workers rename: in its place there may be a file, or a link that leads nowhere.
        tree::chdir(directory).or_else(|_| {
            tree::unlink(directory)?;
            system::make_directory(directory)?;
            tree::chdir(directory)
        })?;
    }
    Ok(())
}

/// Removes what workers have made.
///
/// # Errors
/// What could not be removed says.
pub fn clean() -> Result<()> {
    for directory in [c"/tmp", c"/"] {
        tree::chdir(directory)?;
        remove_all()?;
        tree::chdir(c"/")?;
    }
    Ok(())
}

/// Removes the workers' files in the current directory, and all in directories among them.
fn remove_all() -> Result<()> {
    let mut depth = 0;
    loop {
        match next_entry(depth > 0)? {
            Some(name) => {
                let name = CStr::from_bytes_until_nul(&name).map_err(|_| Errno::EINVAL)?;
                match unlink(name) {
                    Ok(()) => {}
                    Err(Errno::ENOTEMPTY) => {
                        tree::chdir(name)?;
                        depth += 1;
                    }
                    Err(errno) => return Err(errno),
                }
            }
            None if depth == 0 => return Ok(()),
            None => {
                tree::chdir(c"..")?;
                depth -= 1;
            }
        }
    }
}

/// Removes a file, or a directory if it is empty.
fn unlink(name: &CStr) -> Result<()> {
    match tree::unlink(name) {
        Err(Errno::EISDIR | Errno::EPERM) => tree::rmdir(name),
        result => result,
    }
}

/// The first entry of the current directory, of any name or of a worker's.
fn next_entry(any: bool) -> Result<Option<[u8; 256]>> {
    let fd = file::open(c".", READ_ONLY | DIRECTORY)?;
    let mut buffer = [0; 2048];
    let found = loop {
        let bytes = match file::directory_entries(fd, &mut buffer) {
            Ok(0) => break Ok(None),
            Ok(bytes) => bytes,
            Err(errno) => break Err(errno),
        };
        if let Some(name) = names(&buffer[..bytes]).find(|name| any || name.starts_with(PREFIX)) {
            let mut copy = [0; 256];
            copy[..name.len().min(255)].copy_from_slice(&name[..name.len().min(255)]);
            break Ok(Some(copy));
        }
    };
    file::close(fd)?;
    found
}
