//! ioctl on the terminal (ioctl_tty(2)).

use super::user_ptr::UserPtr;
use crate::errno::{Errno, Result};
use crate::proc::Pid;
use crate::tty::termios::{TERMIOS_BYTES, Termios};
use crate::tty::{self};

/// Linux: include/uapi/asm-generic/ioctls.h.
mod request {
    pub const TCGETS: u32 = 0x5401;
    pub const TCSETS: u32 = 0x5402;
    pub const TCSETSW: u32 = 0x5403;
    pub const TCSETSF: u32 = 0x5404;
    pub const TCSBRK: u32 = 0x5409;
    pub const TCXONC: u32 = 0x540a;
    pub const TCFLSH: u32 = 0x540b;
    pub const TIOCSCTTY: u32 = 0x540e;
    pub const TIOCGPGRP: u32 = 0x540f;
    pub const TIOCSPGRP: u32 = 0x5410;
    pub const TIOCOUTQ: u32 = 0x5411;
    pub const TIOCSTI: u32 = 0x5412;
    pub const TIOCGWINSZ: u32 = 0x5413;
    pub const TIOCSWINSZ: u32 = 0x5414;
    pub const FIONREAD: u32 = 0x541b;
    pub const TIOCNOTTY: u32 = 0x5422;
    pub const TIOCGSID: u32 = 0x5429;
}

/// TCFLSH: only output, of which none waits.
const TCOFLUSH: u64 = 1;

/// ioctl(fd, request, arg) on the terminal. Output is never late, so nobody waits for it, and it cannot be held up.
///
/// # Errors
/// `EFAULT`; `EINVAL`: a bad argument; `ENOTTY`: unknown here, or for those whose terminal it is; as a read in the
/// background does.
pub fn ioctl(number: u32, arg: u64) -> Result<usize> {
    match number {
        request::TCGETS => UserPtr::new(arg).write(tty::termios().to_bytes())?,
        request::TCSETS | request::TCSETSW | request::TCSETSF => {
            let bytes = UserPtr::<[u8; TERMIOS_BYTES]>::new(arg).read()?;
            tty::set_termios(Termios::from_bytes(&bytes), number == request::TCSETSF)?;
        }
        request::TCSBRK => {}
        request::TCXONC if arg <= 3 => {}
        request::TCFLSH if arg == TCOFLUSH => {}
        request::TCFLSH if arg <= 2 => tty::flush()?,
        request::TIOCSCTTY => tty::acquire(arg == 1)?,
        request::TIOCNOTTY => tty::give_up()?,
        request::TIOCGPGRP => UserPtr::new(arg).write(tty::foreground()?.get())?,
        request::TIOCSPGRP => {
            let pgid = UserPtr::<u32>::new(arg).read()?;
            if (pgid as i32) < 0 {
                return Err(Errno::EINVAL);
            }
            tty::set_foreground(Pid::new(pgid).ok_or(Errno::ESRCH)?)?;
        }
        request::TIOCGSID => UserPtr::new(arg).write(tty::session()?.get())?,
        request::TIOCOUTQ => UserPtr::new(arg).write(0u32)?,
        request::FIONREAD => UserPtr::new(arg).write(tty::available() as u32)?,
        request::TIOCSTI => tty::type_in(UserPtr::<u8>::new(arg).read()?),
        request::TIOCGWINSZ => UserPtr::new(arg).write(tty::size())?,
        request::TIOCSWINSZ => tty::set_size(UserPtr::new(arg).read()?),
        request::TCXONC | request::TCFLSH => return Err(Errno::EINVAL),
        _ => return Err(Errno::ENOTTY),
    }
    Ok(0)
}
