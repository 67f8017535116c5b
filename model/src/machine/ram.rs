//! The machine's memory: host memory with physical addresses.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::Memory;

/// Physical memory from [`Ram::base`] up.
pub(super) struct Ram {
    bytes: *mut u8,
    layout: Layout,
    base: u64,
}

impl Ram {
    /// `bytes` bytes of zeroes at physical address `base`, aligned in the host's memory as up to 2 MiB.
    pub(super) fn new(base: u64, bytes: usize) -> Self {
        let layout =
            Layout::from_size_align(bytes.max(8), 2 << 20).expect("a machine's memory fits in the host's");
        // SAFETY: the layout is not empty.
        let ram = unsafe { alloc_zeroed(layout) };
        assert!(!ram.is_null(), "the host has no {bytes} bytes");
        Ram { bytes: ram, layout, base }
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Whether the byte at `pa` exists.
    pub(super) fn contains(&self, pa: u64) -> bool {
        pa.wrapping_sub(self.base) < self.layout.size() as u64
    }

    /// Where the host reaches the byte at `pa`.
    pub(super) fn ptr(&self, pa: u64) -> *mut u8 {
        assert!(self.contains(pa), "{pa:#x} is not RAM");
        self.bytes.wrapping_add((pa - self.base) as usize)
    }

    /// The physical address of what the host reaches at `ptr`.
    pub(super) fn pa(&self, ptr: *mut u8) -> u64 {
        self.base + (ptr as usize - self.bytes as usize) as u64
    }

    /// The aligned 8-byte word at `pa`.
    pub(super) fn atomic(&self, pa: u64) -> &AtomicU64 {
        assert!(pa.is_multiple_of(8), "{pa:#x} is not a word's address");
        // SAFETY: `ptr` checked the address; words are aligned, and live as long as `self`. The machine is
        // used by one thread, so nothing accesses them in another way meanwhile.
        unsafe { &*self.ptr(pa).cast::<AtomicU64>() }
    }

    pub(super) fn zero(&self, pa: u64, bytes: usize) {
        self.check(pa, bytes);
        // SAFETY: the whole range is RAM, as just checked; no reference to it is held across a call.
        unsafe { self.ptr(pa).write_bytes(0, bytes) };
    }

    pub(super) fn copy(&self, to: u64, from: u64, bytes: usize) {
        self.check(to, bytes);
        self.check(from, bytes);
        // SAFETY: as for zero; `copy_from` permits overlap.
        unsafe { self.ptr(to).copy_from(self.ptr(from), bytes) };
    }

    pub(super) fn read_byte(&self, pa: u64) -> u8 {
        // SAFETY: `ptr` checked that it is RAM.
        unsafe { self.ptr(pa).read() }
    }

    pub(super) fn write_byte(&self, pa: u64, value: u8) {
        // SAFETY: as for reading.
        unsafe { self.ptr(pa).write(value) };
    }

    fn check(&self, pa: u64, bytes: usize) {
        let end = pa.checked_add(bytes.saturating_sub(1) as u64);
        assert!(
            self.contains(pa) && end.is_some_and(|end| self.contains(end)),
            "{pa:#x} + {bytes:#x} is not RAM"
        );
    }
}

impl Drop for Ram {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { dealloc(self.bytes, self.layout) };
    }
}

impl Memory for Ram {
    fn word(&self, pa: u64) -> u64 {
        if self.contains(pa) { self.atomic(pa).load(Ordering::Relaxed) } else { 0 }
    }

    fn same_contents(&self, a: u64, b: u64, bytes: u64) -> bool {
        let inside = |pa: u64| self.contains(pa) && self.contains(pa + bytes - 1);
        inside(a)
            && inside(b)
            && (0..bytes).step_by(8).all(|offset| self.word(a + offset) == self.word(b + offset))
    }
}
