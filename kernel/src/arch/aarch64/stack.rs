//! Kernel stacks: mapped on first use, kept for reuse, each with as much unmapped space below.
//!
//! ```text
//! slot:  |<- guard, never mapped ->|<- stack, 16 KiB ->|
//!        ^ multiple of 32 KiB      ^ bit 14 set        ^ top: the next slot, bit 14 clear
//! ```
//! In a push below the stack, and in an exception's frame, SP has bit 14 clear: that is how `vectors.s` tells. With 64 KiB
//! pages a stack is a page, its slot 128 KiB, and the bit is 16.
//!
//! A stack that is given back stays mapped. Unmapping would need a broadcast TLBI per exit, and the number of stacks is
//! bounded by the most processes that were alive at once.

use paging::PAGE_SIZE;
use spin::Mutex;

use super::frame::TrapFrame;
use super::kmap::{self, Kind, frames};
use super::layout::{STACK_BASE, STACK_BYTES, STACK_SLOT_BYTES, WINDOW_BYTES};
use crate::errno::{Errno, Result};

/// Bytes of all stacks that are mapped, in use or not.
pub fn mapped_bytes() -> usize {
    (CACHE.lock().next_slot - STACK_BASE) / STACK_SLOT_BYTES * STACK_BYTES
}

struct Cache {
    /// The top of the stack that was given back last; 0 if there is none. Its highest word is the top of the one
    /// given back before.
    free: usize,
    /// The first slot that was never used.
    next_slot: usize,
}

/// Taken before the kernel map's lock and the frame source's.
static CACHE: Mutex<Cache> = Mutex::new(Cache { free: 0, next_slot: STACK_BASE });

/// A kernel stack, exclusively owned.
#[derive(Debug)]
pub struct KernelStack {
    top: usize,
}

impl KernelStack {
    /// Takes a stack from the cache, or maps a new one.
    ///
    /// # Errors
    /// `ENOMEM` when there are no frames for it.
    pub fn alloc() -> Result<KernelStack> {
        let mut cache = CACHE.lock();
        if cache.free != 0 {
            let top = cache.free;
            // SAFETY: a free stack is mapped and nobody's; `drop` stored the link there.
            cache.free = unsafe { link(top).read() };
            return Ok(KernelStack { top });
        }
        let slot = cache.next_slot;
        if slot + STACK_SLOT_BYTES > STACK_BASE + WINDOW_BYTES {
            return Err(Errno::ENOMEM);
        }
        map_pages(slot + STACK_BYTES)?;
        cache.next_slot += STACK_SLOT_BYTES;
        Ok(KernelStack { top: slot + STACK_SLOT_BYTES })
    }

    /// The first address behind the stack.
    pub const fn top(&self) -> usize {
        self.top
    }

    /// Where the state of the user thread that runs on this stack is kept.
    pub const fn trap_frame(&self) -> *mut TrapFrame {
        (self.top - size_of::<TrapFrame>()) as *mut TrapFrame
    }
}

impl Drop for KernelStack {
    /// Gives the stack back. Nothing runs on it any more: the thread has switched away for good.
    fn drop(&mut self) {
        let mut cache = CACHE.lock();
        // SAFETY: the stack is mapped, and exclusively ours until the link below is published.
        unsafe { link(self.top).write(cache.free) };
        cache.free = self.top;
    }
}

/// The highest word of a stack.
const fn link(top: usize) -> *mut usize {
    (top - size_of::<usize>()) as *mut usize
}

/// Maps the pages of a stack from `bottom`. All frames are taken before the first is mapped; pages that an earlier
/// attempt left mapped (it ran out of tables) are kept.
fn map_pages(bottom: usize) -> Result<()> {
    const PAGES: usize = STACK_BYTES / PAGE_SIZE as usize;
    let mut taken = [None; PAGES];
    for frame in &mut taken {
        *frame = frames::allocate();
    }
    let mut result = if taken.contains(&None) { Err(Errno::ENOMEM) } else { Ok(()) };
    for (page, frame) in taken.into_iter().enumerate() {
        let Some(frame) = frame else { continue };
        let va = bottom + page * PAGE_SIZE as usize;
        if result.is_ok() {
            match kmap::vmap(va, frame, PAGE_SIZE as usize, Kind::Data, frames::allocate) {
                Ok(()) => continue,
                Err(Errno::EEXIST) => {}
                Err(error) => result = Err(error),
            }
        }
        frames::free(frame);
    }
    result
}
