//! What an argument of a system call is meant to be. The values that it then gets are [`values`](crate::values)' part.

use crate::held::Sort;

/// What an argument is meant to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An address of a buffer.
    Buffer,
    /// How long a buffer is, in bytes.
    Length,
    /// A page's address, in the worker's mappings.
    Page,
    /// How long a mapping is, in bytes.
    Span,
    /// An open file.
    Fd,
    /// -1 for a new one, or an open file.
    NewOrFd,
    /// O_CLOEXEC, O_NONBLOCK, or others.
    FdFlags,
    /// Something open of this sort.
    Held(Sort),
    /// An end of a pipe, or else an open file.
    End,
    /// A directory to start from.
    Dir,
    /// A path.
    Path,
    /// A path in the worker's own directory.
    OwnPath,
    /// A program's path.
    Program,
    /// An array of strings.
    Strings,
    /// Bits of which few are set.
    Flags,
    /// A small number.
    Small,
    /// A place in a file, in bytes.
    Offset,
    /// A signal.
    Signal,
    /// A process or thread.
    Pid,
    /// A `timespec`, not long.
    Time,
    /// An array of `iovec`s.
    Vector,
    /// How many `iovec`s.
    Count,
    /// P_PID and others.
    IdType,
    /// One of very few choices: 0 to 3.
    Few,
    /// PROT_ bits.
    Prot,
    /// MAP_ bits.
    MapFlags,
    /// MREMAP_ bits.
    RemapFlags,
    /// MADV_ number.
    Advice,
    /// FUTEX_ number and bits.
    FutexOp,
    /// CLONE_ bits and a signal.
    CloneFlags,
    /// A `clone_args`.
    CloneArgs,
    /// An aligned word of memory that is shared with others, or not.
    Word,
    /// A place in a file, as a pointer to it, or none.
    Where,
    /// An array of `pollfd`s.
    Polls,
    /// A set of descriptors, as a bit each, or none.
    Bits,
    /// An `epoll_event`.
    Event,
    /// An `itimerval`.
    Interval,
    /// A `sigaction`, or none.
    Action,
    /// A `stack_t`, or none.
    Stack,
    /// A `robust_list_head`.
    Robust,
    /// An `open_how`.
    How,
    /// A pointer to the length of a buffer.
    Room,
    /// A socket's address.
    Address,
    /// A `msghdr`.
    Message,
    /// An ioctl's number.
    Request,
    /// The same, of a monitor of faults.
    MonitorRequest,
    /// What such an ioctl works on: a range, and what is to become of it.
    MonitorRange,
    /// A prctl's number.
    Process,
    /// A fcntl's number.
    Command,
    /// WNOHANG and others.
    WaitFlags,
    /// O_ bits.
    OpenFlags,
    /// A set of signals.
    Set,
    /// CLOCK_ number.
    Clock,
    /// A file's type and permissions.
    Mode,
    /// A device's number.
    Device,
    /// The program break.
    Break,
    /// Its size.
    AddressSize,
    /// The size of a `clone_args`.
    ArgsSize,
    /// An address family.
    Family,
    /// A socket's type.
    SocketType,
    /// What to do with a set of descriptors: EPOLL_CTL_ number.
    SetOp,
    /// This, as a rule.
    Is(u64),
    /// Anything.
    Any,
}
