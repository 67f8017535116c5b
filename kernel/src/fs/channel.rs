//! Files that carry bytes from one process to another, or back to the same: pipes and sockets.
//!
//! `ring` is what is between a pipe's two ends, and a socket is two pipes, `fifo` a pipe with a name; `pinned` is a page of user memory that
//! `vmsplice` or `splice` left in one.

pub mod fifo;
pub mod pinned;
pub mod pipe;
pub mod ring;
pub mod socket;
