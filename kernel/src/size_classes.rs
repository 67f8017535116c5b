//! Free lists of small heap blocks by size: what is freed is handed out again without a search.
//!
//! The heap's own list of holes is sorted by address and searched from the start, so with a thousand processes that
//! come and go each allocation and each free walks a thousand holes. In front of it, class `n` (0-based) keeps freed
//! blocks of exactly `(n + 1) * STEP` bytes, linked through their first word: the last that was freed is the next to be
//! handed out.
//!
//! Invariant: a block on the list of a class has at least that class's [`layout`], and nobody uses it. What the lists
//! keep is bounded by [`KEEP_BLOCKS`] and [`KEEP_BYTES`]; the rest goes back to the heap. No lock: the heap's serves.

use core::alloc::Layout;
use core::ptr::NonNull;

/// Bytes from one class to the next.
const STEP: usize = 32;
/// The largest class (bytes): a page, which paths and the bounce buffers of pipes take.
pub const LARGEST: usize = 4096;
/// The alignment of all blocks (bytes): what a saved SIMD register needs, the most that anything here does.
const ALIGN: usize = 16;
const CLASSES: usize = LARGEST / STEP;

/// How many blocks are kept: what a thousand processes leave. It bounds the time that [`SizeClasses::take_any`] takes to
/// empty the lists, too.
const KEEP_BLOCKS: usize = 8192;
/// How many bytes are kept.
const KEEP_BYTES: usize = 4 << 20;

/// What the first word of a kept block is: the next one of its class.
type Next = Option<NonNull<u8>>;

/// The kept blocks; see the module's text.
pub struct SizeClasses {
    lists: [Next; CLASSES],
    blocks: usize,
    bytes: usize,
}

// SAFETY: the blocks belong to whoever has this value, and to no CPU or thread in particular.
unsafe impl Send for SizeClasses {}

/// The class (0-based) whose blocks serve an allocation of `layout`; none if it is too large or too strictly aligned.
#[inline]
pub fn class_of(layout: Layout) -> Option<usize> {
    let fits = layout.size() <= LARGEST && layout.align() <= ALIGN;
    fits.then(|| layout.size().saturating_sub(1) / STEP)
}

/// Size and alignment of the blocks of `class` (0-based).
#[inline]
pub fn layout(class: usize) -> Layout {
    // SAFETY: the alignment is a power of two, and a class's size is far from overflowing.
    unsafe { Layout::from_size_align_unchecked((class + 1) * STEP, ALIGN) }
}

impl SizeClasses {
    /// Nothing kept.
    pub const fn new() -> Self {
        SizeClasses { lists: [None; CLASSES], blocks: 0, bytes: 0 }
    }

    /// Bytes in the blocks that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A block of `class` (0-based, as [`class_of`] returned it), if one is kept. It is the caller's from now on.
    #[inline]
    pub fn take(&mut self, class: usize) -> Option<NonNull<u8>> {
        let list = self.lists.get_mut(class)?;
        let block = (*list)?;
        // SAFETY: a kept block is ours and aligned, and `keep` stored the link there.
        *list = unsafe { block.cast::<Next>().read() };
        self.blocks -= 1;
        self.bytes -= layout(class).size();
        Some(block)
    }

    /// Keeps a block of `class` (0-based). False if that would be too many: the block is still the caller's then.
    ///
    /// # Safety
    /// The block was allocated with [`layout`] of this class (now or by an earlier owner), is the caller's, and is not
    /// used any more if this returns true.
    #[inline]
    #[must_use]
    pub unsafe fn keep(&mut self, class: usize, block: NonNull<u8>) -> bool {
        let bytes = self.bytes + layout(class).size();
        let Some(list) = self.lists.get_mut(class) else { return false };
        if self.blocks == KEEP_BLOCKS || bytes > KEEP_BYTES {
            return false;
        }
        // SAFETY: the block is given up by the caller, and large and aligned enough for the link.
        unsafe { block.cast::<Next>().write(*list) };
        *list = Some(block);
        self.blocks += 1;
        self.bytes = bytes;
        true
    }

    /// Any kept block, with its layout: the lists are empty when there is none left.
    pub fn take_any(&mut self) -> Option<(NonNull<u8>, Layout)> {
        let class = self.lists.iter().position(Option::is_some)?;
        self.take(class).map(|block| (block, layout(class)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::{alloc, dealloc};

    fn allocate(class: usize) -> NonNull<u8> {
        // SAFETY: no layout of a class is empty.
        NonNull::new(unsafe { alloc(layout(class)) }).unwrap()
    }

    fn release(classes: &mut SizeClasses) -> usize {
        let mut count = 0;
        while let Some((block, layout)) = classes.take_any() {
            // SAFETY: from `allocate`, with the layout of its class.
            unsafe { dealloc(block.as_ptr(), layout) };
            count += 1;
        }
        count
    }

    #[test]
    fn a_class_is_the_smallest_that_fits() {
        let class = |size, align| class_of(Layout::from_size_align(size, align).unwrap());
        assert_eq!([0, 1, 32, 33, 64, 4096].map(|size| class(size, 8)), [0, 0, 0, 1, 1, 127].map(Some));
        assert_eq!([class(4097, 8), class(32, 32), class(usize::MAX / 2, 1)], [None; 3]);
        for size in 1..=LARGEST {
            let class = class(size, 16).unwrap();
            assert!(layout(class).size() >= size && layout(class).size() - size < STEP);
        }
    }

    #[test]
    fn the_last_that_was_freed_comes_first_and_from_its_own_class_only() {
        let mut classes = SizeClasses::new();
        let (a, b, other) = (allocate(2), allocate(2), allocate(3));
        for (class, block) in [(2, a), (2, b), (3, other)] {
            // SAFETY: allocated with the layout of that class, and not used below.
            assert!(unsafe { classes.keep(class, block) });
        }
        assert_eq!(classes.bytes(), 96 + 96 + 128);
        assert_eq!([classes.take(2), classes.take(2), classes.take(2)], [Some(b), Some(a), None]);
        assert_eq!(classes.take(3), Some(other));
        assert_eq!((classes.bytes(), classes.take_any()), (0, None));
        for (class, block) in [(2, a), (2, b), (3, other)] {
            // SAFETY: ours again, allocated with that layout.
            unsafe { dealloc(block.as_ptr(), layout(class)) };
        }
    }

    #[test]
    fn what_is_kept_is_bounded_by_number_and_by_bytes() {
        for (class, most) in [(0, KEEP_BLOCKS), (CLASSES - 1, KEEP_BYTES / LARGEST)] {
            let mut classes = SizeClasses::new();
            for _ in 0..most {
                // SAFETY: allocated with the layout of that class, and not used below.
                assert!(unsafe { classes.keep(class, allocate(class)) });
            }
            let block = allocate(class);
            // SAFETY: as above; refused, so it is still ours.
            assert!(!unsafe { classes.keep(class, block) });
            // SAFETY: as above.
            unsafe { dealloc(block.as_ptr(), layout(class)) };
            assert_eq!(release(&mut classes), most);
            assert_eq!(classes.bytes(), 0);
        }
    }
}
