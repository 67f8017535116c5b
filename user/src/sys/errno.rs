//! Linux error numbers on the EL0 side.

use core::fmt;

use linux_raw_sys::errno as raw;

/// A Linux errno that a system call returned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub u16);

/// The result of a system call.
pub type Result<T> = core::result::Result<T, Errno>;

/// Splits a raw return value: -4095 to -1 are errors (Linux: include/linux/err.h, `IS_ERR_VALUE`).
pub fn check(value: isize) -> Result<usize> {
    match value {
        -4095..=-1 => Err(Errno(-value as u16)),
        _ => Ok(value as usize),
    }
}

macro_rules! errnos {
    ($($name:ident)*) => {
        impl Errno {
            $(
                #[doc = concat!("Linux's `", stringify!($name), "`.")]
                pub const $name: Errno = Errno(raw::$name as u16);
            )*

            fn name(self) -> Option<&'static str> {
                match self {
                    $(Errno::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

errnos! {
    EPERM ENOENT ESRCH EINTR EIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST ENOTDIR EISDIR EINVAL
    EMFILE ENOTTY ENOSPC ESPIPE EROFS EPIPE ERANGE ENAMETOOLONG ENOSYS ETIMEDOUT EXDEV ENOTEMPTY EOPNOTSUPP ELOOP ENXIO
    ECONNREFUSED EADDRINUSE
}

impl Errno {
    /// Its number, positive: what a process may exit with to say why.
    pub fn number(self) -> i32 {
        i32::from(self.0)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
