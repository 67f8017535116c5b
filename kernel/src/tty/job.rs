//! Whose terminal it is: the session's that took it, and of its process groups the one in the foreground.
//!
//! # Locks
//! The process table's, then the terminal's.

use super::terminal::TTY;
use crate::errno::{Errno, Result};
use crate::proc::signal::{SIGCONT, SIGHUP, SIGTTIN};
use crate::proc::{Pid, kill, session as sessions};

/// Sends `signal`, which stops, to the current process's group if that is in the background of the terminal's session, and
/// ends the call. A process that the signal would not stop may go on, but not read.
///
/// # Errors
/// `EINTR`: the signal is sent. `EIO`: it would not stop the process, and the process wants to read; or nobody would let
/// the group go on.
pub(super) fn check_background(signal: u32) -> Result<()> {
    let own = sessions::place();
    {
        let tty = TTY.lock();
        if tty.session != own.session || own.session == Pid::NONE || tty.foreground == own.group {
            return Ok(());
        }
    }
    if own.holds_off(signal) {
        return if signal == SIGTTIN { Err(Errno::EIO) } else { Ok(()) };
    }
    if sessions::is_orphaned(own.group) {
        return Err(Errno::EIO);
    }
    kill::signal_group(own.group, signal);
    Err(Errno::EINTR)
}

/// Makes it the terminal of the current process's session, which that leads; takes it from another if `steal`.
///
/// # Errors
/// `EPERM`: the process leads no session, or the terminal has one.
pub(crate) fn acquire(steal: bool) -> Result<()> {
    let own = sessions::place();
    let mut tty = TTY.lock();
    if tty.session == own.session && own.session != Pid::NONE {
        return Ok(());
    }
    if own.session != own.process || tty.session != Pid::NONE && !steal {
        return Err(Errno::EPERM);
    }
    (tty.session, tty.foreground) = (own.session, own.group);
    Ok(())
}

/// The current process gives it up; if that leads the session, the session does.
///
/// # Errors
/// `ENOTTY`: it is not that session's.
pub(crate) fn give_up() -> Result<()> {
    let own = sessions::place();
    own_terminal(own.session)?;
    if own.session == own.process {
        hang_up();
    }
    Ok(())
}

fn own_terminal(session: Pid) -> Result<()> {
    if session != Pid::NONE && TTY.lock().session == session { Ok(()) } else { Err(Errno::ENOTTY) }
}

/// The session loses it, and the foreground hears of that.
fn hang_up() {
    let foreground = {
        let mut tty = TTY.lock();
        tty.session = Pid::NONE;
        core::mem::replace(&mut tty.foreground, Pid::NONE)
    };
    kill::signal_group(foreground, SIGHUP);
    kill::signal_group(foreground, SIGCONT);
}

/// The session's number.
///
/// # Errors
/// `ENOTTY`: it is not the terminal of the current process's session.
pub(crate) fn session() -> Result<Pid> {
    let own = sessions::place();
    own_terminal(own.session).map(|()| own.session)
}

/// The number of the process group in the foreground, if it is the terminal of the session with this number.
pub(crate) fn foreground_of(session: u32) -> Option<u32> {
    let tty = TTY.lock();
    (session != 0 && tty.session.get() == session).then(|| tty.foreground.get())
}

/// The process group in the foreground.
///
/// # Errors
/// As [`session`].
pub(crate) fn foreground() -> Result<Pid> {
    session()?;
    Ok(TTY.lock().foreground)
}

/// Puts process group `pgid` in the foreground.
///
/// # Errors
/// As [`session`]; `EPERM`, `ESRCH`: not a group of the session; `EINTR`, `EIO`: in the background, as for a read.
pub(crate) fn set_foreground(pgid: Pid) -> Result<()> {
    let session = session()?;
    check_background(crate::proc::signal::SIGTTOU)?;
    sessions::check_member(pgid, session)?;
    TTY.lock().foreground = pgid;
    Ok(())
}

/// A process is about to end; `leads` the session of its number, perhaps this terminal's.
pub(crate) fn process_ends(process: Pid) {
    let ends = {
        let tty = TTY.lock();
        tty.session == process
    };
    if ends {
        hang_up();
    }
}
