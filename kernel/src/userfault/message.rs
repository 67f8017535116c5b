//! A fault, and the message in which the program reads of it (Linux: `struct uffd_msg`).

use super::feature;

/// Bytes of a message.
pub const MESSAGE_BYTES: usize = 32;

/// What a page fault is among the events that messages tell of (Linux: `UFFD_EVENT_PAGEFAULT`).
const PAGEFAULT: u8 = 0x12;
/// Flags of the event (Linux: `UFFD_PAGEFAULT_FLAG_*`).
const WRITE: u64 = 1;
const WP: u64 = 2;
const MINOR: u64 = 4;

/// Why an access waits for the monitor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missed {
    /// There is no page.
    Missing,
    /// There is one, of shared memory, that this address space does not map.
    Minor,
    /// The page is protected against writes.
    Protected,
}

/// A fault, as the monitor is told of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The address, in bytes.
    pub addr: u64,
    /// Why it waits.
    pub why: Missed,
    /// Whether it is a write.
    pub write: bool,
    /// The number of the thread.
    pub thread: u32,
}

impl Fault {
    /// The message to a program that asked for `features`.
    pub(super) fn message(&self, features: u64) -> [u8; MESSAGE_BYTES] {
        let why = match self.why {
            Missed::Missing => 0,
            Missed::Minor => MINOR,
            Missed::Protected => WP,
        };
        let flags = why | if self.write { WRITE } else { 0 };
        let exact = features & feature::EXACT_ADDRESS != 0;
        let addr = if exact { self.addr } else { self.addr & !(paging::PAGE_SIZE - 1) };
        let thread = if features & feature::THREAD_ID != 0 { self.thread } else { 0 };
        let mut bytes = [0; MESSAGE_BYTES];
        bytes[0] = PAGEFAULT;
        bytes[8..16].copy_from_slice(&flags.to_ne_bytes());
        bytes[16..24].copy_from_slice(&addr.to_ne_bytes());
        bytes[24..28].copy_from_slice(&thread.to_ne_bytes());
        bytes
    }
}
