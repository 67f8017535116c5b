//! Memory shared with the children: time stamps, counter readings, results.
//!
//! Parent and child take turns: the child writes before it signals through a pipe or exits, the parent reads after
//! that. There is no other locking. Shared memory is also never copied on write, so that the parent can write here
//! right after a fork without a fault.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use user::counters::Counters;
use user::probe::VMSTAT_SIZE;
use user::rt::fork::Reading;
use user::sys::memory::page_size;
use user::sys::{Result, file, memory};

/// A place for one reading of `/proc/vmstat`.
#[derive(Clone, Copy)]
pub enum Slot {
    /// The parent's, before a window.
    Before = 0,
    /// The parent's, after a window.
    After = 1,
    /// The child's, before its window.
    ChildBefore = 2,
    /// The child's, after its window.
    ChildAfter = 3,
}

/// One page-aligned mapping that parent and children see alike.
#[repr(C)]
pub struct Shared {
    /// The child's time stamps: before and after what it measures.
    pub start: AtomicU64,
    /// See `start`.
    pub end: AtomicU64,
    /// Whatever else a child reports.
    pub result: AtomicU64,
    lens: [AtomicU64; 4],
    buffers: [UnsafeCell<[u8; VMSTAT_SIZE]>; 4],
}

impl Shared {
    /// Maps it and touches every page.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn map() -> Result<&'static Self> {
        let base = memory::map(size_of::<Shared>(), memory::READ_WRITE, memory::SHARED)?;
        for offset in (0..size_of::<Shared>()).step_by(page_size()) {
            // SAFETY: within the fresh mapping. A write, so that no page is left to be made writable later.
            unsafe { ((base + offset) as *mut u8).write_volatile(0) };
        }
        // SAFETY: mapped for good, page-aligned, zeroed: a valid `Shared`. Its fields are atomics and cells.
        Ok(unsafe { &*(base as *const Shared) })
    }

    /// Reads `/proc/vmstat` into `slot`. Where there is none, the slot stays empty.
    pub fn read(&self, slot: Slot) {
        // SAFETY: parent and child use different slots and each has one thread; no reference outlives a call.
        let buffer = unsafe { &mut *self.buffers[slot as usize].get() };
        let len = file::open(c"/proc/vmstat", file::READ_ONLY).map(|fd| {
            let len = file::read(fd, buffer);
            let _ = file::close(fd);
            len.unwrap_or(0)
        });
        self.lens[slot as usize].store(len.unwrap_or(0) as u64, Relaxed);
    }

    /// A reading for the timed fork to make into `slot`; [`Shared::finish`] takes it back.
    pub fn reading(&self, slot: Slot) -> Reading {
        Reading::into(self.buffers[slot as usize].get() as usize, VMSTAT_SIZE)
    }

    /// Records how a reading into `slot` went.
    pub fn finish(&self, slot: Slot, reading: &Reading) {
        if reading.fd >= 0 {
            let _ = file::close(reading.fd as i32);
        }
        self.lens[slot as usize].store(reading.len.max(0) as u64, Relaxed);
    }

    /// What was counted between the readings in `before` and `after`.
    pub fn events(&self, before: Slot, after: Slot) -> Counters {
        self.counters(after).since(&self.counters(before))
    }

    fn counters(&self, slot: Slot) -> Counters {
        let len = self.lens[slot as usize].load(Relaxed) as usize;
        // SAFETY: nobody writes to the slot while this call runs: see the module's protocol.
        let buffer = unsafe { &*self.buffers[slot as usize].get() };
        Counters::parse(&buffer[..len.min(VMSTAT_SIZE)])
    }
}
