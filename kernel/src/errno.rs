//! Linux error numbers, as system calls return them.
//!
//! One type for the whole kernel: an error is named where it arises and reaches EL0 as `-errno` unchanged.

use linux_raw_sys::errno as raw;

/// A Linux errno (1 to 4095), for example [`Errno::ENOMEM`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(u16);

/// What a fallible kernel operation returns: the error is an [`Errno`] unless the signature says otherwise.
pub type Result<T> = core::result::Result<T, Errno>;

macro_rules! errnos {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        impl Errno {
            $($(#[$doc])* pub const $name: Errno = Errno(raw::$name as u16);)*

            /// The symbolic name, for messages; `"E?"` for a number the kernel never creates.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Errno::$name => stringify!($name),)*
                    _ => "E?",
                }
            }
        }
    };
}

errnos! {
    /// Operation not permitted.
    EPERM,
    /// No such device or address.
    ENXIO,
    /// No such file or directory.
    ENOENT,
    /// No such process.
    ESRCH,
    /// Interrupted by a signal.
    EINTR,
    /// Input/output error.
    EIO,
    /// Argument list too long.
    E2BIG,
    /// Not an executable the kernel can load.
    ENOEXEC,
    /// Not an open file descriptor, or open the wrong way.
    EBADF,
    /// No child to wait for.
    ECHILD,
    /// Would block; or out of process slots.
    EAGAIN,
    /// Out of memory.
    ENOMEM,
    /// Not permitted by the file's mode.
    EACCES,
    /// A user pointer that cannot be read or written.
    EFAULT,
    /// In use.
    EBUSY,
    /// Already exists.
    EEXIST,
    /// Between two file systems.
    EXDEV,
    /// Not a directory.
    ENOTDIR,
    /// Is a directory.
    EISDIR,
    /// Invalid argument.
    EINVAL,
    /// Too many open files in the system.
    ENFILE,
    /// Too many open files in the process.
    EMFILE,
    /// Behind the greatest offset of a file.
    EFBIG,
    /// Not a terminal.
    ENOTTY,
    /// No space left.
    ENOSPC,
    /// Seek on something that cannot seek.
    ESPIPE,
    /// Read-only file system.
    EROFS,
    /// Write to a pipe nobody reads.
    EPIPE,
    /// Result too large for the caller's buffer.
    ERANGE,
    /// A path or string too long.
    ENAMETOOLONG,
    /// System call not implemented.
    ENOSYS,
    /// A directory that has entries.
    ENOTEMPTY,
    /// Too many symbolic links.
    ELOOP,
    /// Value does not fit.
    EOVERFLOW,
    /// No such device or file system.
    ENODEV,
    /// Operation not supported.
    EOPNOTSUPP,
    /// Somebody has that address.
    EADDRINUSE,
    /// No address of this machine.
    EADDRNOTAVAIL,
    /// No such address family.
    EAFNOSUPPORT,
    /// Nobody listens there.
    ECONNREFUSED,
    /// Connected already.
    EISCONN,
    /// Not connected.
    ENOTCONN,
    /// Not a socket.
    ENOTSOCK,
    /// No such protocol.
    EPROTONOSUPPORT,
    /// No such type of socket.
    ESOCKTNOSUPPORT,
    /// No such option.
    ENOPROTOOPT,
    /// It took too long.
    ETIMEDOUT,
}

impl Errno {
    /// The number, 1 to 4095.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// What a system call puts in x0: `-errno` as an unsigned register value.
    pub const fn to_ret(self) -> u64 {
        (-(self.0 as i64)) as u64
    }
}

impl core::fmt::Debug for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl From<alloc::collections::TryReserveError> for Errno {
    /// A collection that cannot grow is out of memory, whatever the reason.
    fn from(_: alloc::collections::TryReserveError) -> Self {
        Errno::ENOMEM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_linux_s() {
        assert_eq!(Errno::ENOMEM.number(), 12);
        assert_eq!(Errno::EFAULT.to_ret() as i64, -14);
        assert_eq!(Errno::ENOSYS.name(), "ENOSYS");
    }
}
