//! What is asked of a clone, whichever call asks.

use crate::fs::file::fd::Common;

/// A clone: a process unless it says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Request {
    /// A thread of the same process.
    pub thread: bool,
    /// The child uses the parent's memory; the parent waits until it does not any more.
    pub vfork: bool,
    /// The child, a process of its own, has the parent's memory with it, and both run.
    pub memory: bool,
    /// Where the parent's memory gets the number of a descriptor that stands for the child.
    pub pidfd: Option<usize>,
    /// What of the parent's files the child, a process of its own, has with it.
    pub files: Common,
    /// What one of the two has signals do goes for both.
    pub handlers: bool,
    /// The parent waits for the child to execute a program or to end, though memory is not shared.
    pub wait: bool,
    /// The child's stack pointer (address in bytes); none: the parent's.
    pub stack: Option<u64>,
    /// The child's thread pointer; none: the parent's.
    pub tls: Option<u64>,
    /// Where the parent's memory gets the child's number (address in bytes); 0: nowhere.
    pub set_parent_tid: usize,
    /// Where the child writes its number; 0: nowhere.
    pub set_child_tid: usize,
    /// Where the child writes 0 when it ends, and wakes who waits there; 0: nowhere.
    pub clear_child_tid: usize,
    /// The signal that the parent gets when the child ends; 0: none.
    pub exit_signal: u32,
    /// The child has no handlers.
    pub forget_handlers: bool,
}
