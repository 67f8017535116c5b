//! Where frames for the kernel's own mappings come from: tables, stacks, the heap and its large blocks.
//!
//! `mm` registers itself once it runs; before that there are none, and whoever asks gets an error.

use core::sync::atomic::{AtomicUsize, Ordering};

use spin::Once;

/// A supplier of frames and blocks of them.
#[derive(Clone, Copy)]
pub struct FrameSource {
    /// Returns the physical address of `1 << order` frames, aligned to their size, with any content. The order is at
    /// most `mm`'s `MAX_ORDER`.
    pub allocate: fn(order: u8) -> Option<u64>,
    /// Takes back what `allocate` returned.
    pub free: fn(u64),
}

static SOURCE: Once<FrameSource> = Once::new();
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// Registers the supplier; only the first one counts. Its functions may be called with the locks of the heap's
/// growth, the stacks and the kernel map held, so they use none of these.
pub fn set_source(source: FrameSource) {
    SOURCE.call_once(|| source);
}

/// Whether there is a supplier.
pub fn available() -> bool {
    SOURCE.get().is_some()
}

/// Takes a frame: its physical address. `None` without a supplier, or when it has no more.
pub fn allocate() -> Option<u64> {
    allocate_block(0)
}

/// Gives back a frame from [`allocate`].
pub fn free(frame: u64) {
    free_block(frame, 0);
}

/// Takes `1 << order` contiguous frames: the first one's physical address. `None` without a supplier, or when it has no
/// such block.
pub fn allocate_block(order: u8) -> Option<u64> {
    let block = (SOURCE.get()?.allocate)(order)?;
    KEPT.fetch_add(1 << order, Ordering::Relaxed);
    Some(block)
}

/// Gives back a block from [`allocate_block`], of the same order.
pub fn free_block(block: u64, order: u8) {
    if let Some(source) = SOURCE.get() {
        KEPT.fetch_sub(1 << order, Ordering::Relaxed);
        (source.free)(block);
    }
}

/// How many frames are taken at the moment. Heap and stacks grow and never shrink, so a test for leaks subtracts
/// what this grew by.
pub fn kept() -> usize {
    KEPT.load(Ordering::Relaxed)
}
