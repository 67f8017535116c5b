//! execve.

use alloc::vec::Vec;

use super::user_ptr::UserPtr;
use crate::arch::{TrapFrame, uaccess};
use crate::errno::{Errno, Result};
use crate::proc::args::Strings;
use crate::proc::exec;

/// Bytes of a path, its NUL included (Linux: `PATH_MAX`).
const PATH_MAX: usize = 4096;

/// execve(path, argv, envp). A null `argv` or `envp` is an empty list, and a program without arguments gets an empty one
/// for its name, as in Linux (fs/exec.c, do_execveat_common): programs rely on argv[0].
pub fn execve(args: &[u64; 6], frame: &mut TrapFrame) -> Result<usize> {
    execute(args, frame)?;
    exec::settle();
    Ok(0)
}

fn execute(args: &[u64; 6], frame: &mut TrapFrame) -> Result<()> {
    let mut path = Vec::new();
    path.try_reserve_exact(PATH_MAX)?;
    path.resize(PATH_MAX, 0);
    let len = uaccess::strncpy_from_user(&mut path, args[0] as usize)?;
    path.truncate(len);
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    let mut budget = crate::proc::args::ARG_MAX;
    let mut argv = copy_strings(args[1], &mut budget)?;
    if argv.is_empty() {
        argv.finish_last()?;
    }
    let envp = copy_strings(args[2], &mut budget)?;
    exec::exec(&path, &argv, &envp, frame)
}

/// Copies a null-terminated array of strings in, which may cost up to `budget` bytes.
fn copy_strings(array: u64, budget: &mut usize) -> Result<Strings> {
    let mut strings = Strings::new();
    let array = UserPtr::<u64>::new(array);
    if array.is_null() {
        return Ok(strings);
    }
    while let string @ 1.. = array.at(strings.len()).read()? {
        copy_string(&mut strings, string as usize)?;
        if strings.cost() > *budget {
            return Err(Errno::E2BIG);
        }
    }
    *budget -= strings.cost();
    Ok(strings)
}

/// Appends the string at the user address `at`, in pieces, as nobody knows how long it is.
fn copy_string(strings: &mut Strings, mut at: usize) -> Result<()> {
    let mut piece = [0; 256];
    loop {
        match uaccess::strncpy_from_user(&mut piece, at) {
            Ok(len) => {
                strings.extend_last(&piece[..len])?;
                return strings.finish_last();
            }
            Err(Errno::ENAMETOOLONG) => {
                strings.extend_last(&piece)?;
                at = at.wrapping_add(piece.len());
            }
            Err(error) => return Err(error),
        }
    }
}
