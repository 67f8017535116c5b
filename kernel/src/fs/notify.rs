//! Files without bytes of their own, which tell that something happened: events, timers, the end of a process,
//! signals, faults to be resolved, and epoll, which tells of other files.

pub mod epoll;
pub mod event;
pub mod pidfd;
pub mod signals;
pub mod timer;
pub mod userfault;
