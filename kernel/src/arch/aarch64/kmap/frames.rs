//! Where frames for the kernel's own mappings come from: tables, stacks, the heap.
//!
//! `mm` registers itself once it runs; before that there are none, and whoever asks gets an error.

use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Once;

/// A supplier of 4 KiB frames.
#[derive(Clone, Copy)]
pub struct FrameSource {
    /// Returns the physical address of a frame, with any content.
    pub allocate: fn() -> Option<u64>,
    /// Takes back a frame that `allocate` returned.
    pub free: fn(u64),
}

static SOURCE: Once<FrameSource> = Once::new();
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// Registers the supplier; only the first one counts. Its functions may be called with the locks of the heap's
/// growth, the stacks and the kernel map held, so they use none of these.
pub fn set_source(source: FrameSource) {
    SOURCE.call_once(|| source);
}

/// Takes a frame: its physical address. `None` without a supplier, or when it has no more.
pub fn allocate() -> Option<u64> {
    let frame = (SOURCE.get()?.allocate)()?;
    KEPT.fetch_add(1, Ordering::Relaxed);
    Some(frame)
}

/// Gives back a frame from [`allocate`].
pub fn free(frame: u64) {
    if let Some(source) = SOURCE.get() {
        KEPT.fetch_sub(1, Ordering::Relaxed);
        (source.free)(frame);
    }
}

/// How many frames are taken at the moment. Heap and stacks grow and never shrink, so a test for leaks subtracts
/// what this grew by.
pub fn kept() -> usize {
    KEPT.load(Ordering::Relaxed)
}
