//! System calls on processes by descriptors: pidfd_open, pidfd_send_signal, pidfd_getfd, process_madvise.

use linux_raw_sys::general as raw;

use super::event::insert;
use super::file::user::vector;
use super::signal;
use crate::errno::{Errno, Result};
use crate::fs::file::Target;
use crate::fs::notify::pidfd::Pidfd;
use crate::proc::layout::PAGE;
use crate::proc::{self, current_files};

/// The signal is for the process, which it is anyway (Linux: `PIDFD_SIGNAL_THREAD_GROUP`).
const SIGNAL_THREAD_GROUP: u32 = 2;

/// pidfd_open(pid, flags). The flag is PIDFD_NONBLOCK.
pub fn pidfd_open(args: &[u64; 6]) -> Result<usize> {
    let (pid, flags) = (args[0] as i32, args[1] as u32);
    if pid <= 0 || flags & !raw::O_NONBLOCK != 0 {
        return Err(Errno::EINVAL);
    }
    let process = proc::find(pid as u32).ok_or(Errno::ESRCH)?;
    let identity = process.identity();
    drop(process);
    if identity.pid != pid as u32 {
        return Err(Errno::EINVAL); // a thread's number
    }
    insert(Target::Pidfd(Pidfd::new(identity, proc::has_ended)), raw::O_RDWR | flags, true)
}

/// The number of the process that descriptor `fd` stands for.
///
/// # Errors
/// `EBADF`: it is none of a process. `ESRCH`: the process is not there any more.
pub(super) fn process_of(fd: u64) -> Result<u32> {
    process_and_flags(fd).map(|(pid, _)| pid)
}

/// As above, with the flags of the description.
pub(super) fn process_and_flags(fd: u64) -> Result<(u32, u32)> {
    let file = current_files().lock().get(fd as u32 as usize)?;
    let Target::Pidfd(pidfd) = file.target() else { return Err(Errno::EBADF) };
    let identity = pidfd.identity();
    let found = proc::find(identity.pid).is_some_and(|process| process.identity() == identity);
    if found { Ok((identity.pid, file.flags())) } else { Err(Errno::ESRCH) }
}

/// pidfd_getfd(pidfd, fd, flags): a descriptor of one's own for what another process has open. There are no users, so
/// everybody may.
pub fn pidfd_getfd(args: &[u64; 6]) -> Result<usize> {
    if args[2] as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    let process = proc::find(process_of(args[0])?).ok_or(Errno::ESRCH)?;
    let found = process.files().lock().get(args[1] as u32 as usize);
    let ended = process.state_letter() == 'Z';
    drop(process);
    let file = if ended { Err(Errno::ESRCH) } else { found }?;
    // The clone outlives the lock, as always.
    current_files().lock().insert(file.clone(), true, 0)
}

/// pidfd_send_signal(pidfd, signal, info, flags).
pub fn pidfd_send_signal(args: &[u64; 6]) -> Result<usize> {
    let [pidfd, number, info, flags, ..] = *args;
    if flags as u32 & !SIGNAL_THREAD_GROUP != 0 {
        return Err(Errno::EINVAL);
    }
    let pid = u64::from(process_of(pidfd)?);
    match info {
        0 => signal::kill(&[pid, number, 0, 0, 0, 0]),
        info => signal::rt_sigqueueinfo(&[pid, number, info, 0, 0, 0]),
    }
}

/// process_madvise(pidfd, vec, count, advice, flags): advice that changes nothing another process could see the contents
/// of. Returns how many bytes were advised.
pub fn process_madvise(args: &[u64; 6]) -> Result<usize> {
    let [pidfd, array, count, advice, flags, _] = *args;
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    let spans = vector(array, count)?;
    let pid = process_of(pidfd)?;
    let advice = advice as u32;
    if !matches!(advice, raw::MADV_COLD | raw::MADV_PAGEOUT | raw::MADV_WILLNEED | raw::MADV_COLLAPSE) {
        return Err(Errno::EINVAL);
    }
    let mut done = 0;
    for span in spans {
        match advise(pid, span.addr(), span.bytes(), advice) {
            Ok(()) => done += span.bytes(),
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

fn advise(pid: u32, addr: usize, bytes: usize, advice: u32) -> Result<()> {
    let len = bytes.checked_next_multiple_of(PAGE).ok_or(Errno::EINVAL)?;
    let process = proc::find(pid).ok_or(Errno::ESRCH)?;
    let mut memory = process.mm.lock();
    memory.as_mut().ok_or(Errno::ESRCH)?.madvise(crate::mm(), addr, len, advice)
}
