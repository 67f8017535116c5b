//! Heap allocation that reports failure instead of aborting: `Box` and `Arc` can only do that on nightly Rust.

use alloc::alloc::{alloc, dealloc};
use alloc::boxed::Box;
use core::alloc::Layout;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering, fence};

use crate::errno::{Errno, Result};

/// Moves `value` to the heap.
///
/// # Errors
/// `ENOMEM` when the heap has no room; `value` is dropped.
pub fn try_box<T>(value: T) -> Result<Box<T>> {
    let layout = Layout::new::<T>();
    if layout.size() == 0 {
        return Ok(Box::new(value)); // a zero-sized box allocates nothing and cannot fail
    }
    // SAFETY: the layout is not zero-sized, checked above.
    let ptr = unsafe { alloc(layout) }.cast::<T>();
    if ptr.is_null() {
        return Err(Errno::ENOMEM);
    }
    // SAFETY: `ptr` is fresh memory of the global allocator with T's layout, which is what `Box` frees.
    unsafe {
        ptr.write(value);
        Ok(Box::from_raw(ptr))
    }
}

struct Counted<T> {
    refs: AtomicU64,
    value: T,
}

/// A shared reference-counted value, like `Arc` but with a constructor that can fail. No weak references.
pub struct Ref<T> {
    inner: NonNull<Counted<T>>,
}

// SAFETY: as for `Arc`: the count is atomic, and sharing or moving a `Ref` shares or may drop `T` on another CPU,
// which `T: Send + Sync` permits.
unsafe impl<T: Send + Sync> Send for Ref<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Ref<T> {}

impl<T> Ref<T> {
    /// Moves `value` to the heap behind a reference count of one.
    ///
    /// # Errors
    /// `ENOMEM` when the heap has no room; `value` is dropped.
    pub fn try_new(value: T) -> Result<Self> {
        let boxed = try_box(Counted { refs: AtomicU64::new(1), value })?;
        Ok(Ref { inner: NonNull::from(Box::leak(boxed)) })
    }

    /// Whether two references are to the same value.
    pub fn ptr_eq(a: &Self, b: &Self) -> bool {
        a.inner == b.inner
    }

    /// How many references there are; at least this one.
    pub fn count(this: &Self) -> u64 {
        this.counted().refs.load(Ordering::Relaxed)
    }

    /// Whether this is the only reference, as nobody else can make one then.
    pub fn is_unique(this: &Self) -> bool {
        this.counted().refs.load(Ordering::Acquire) == 1
    }

    /// Gives up this reference; returns the value if it was the last.
    #[inline]
    pub fn into_inner(this: Self) -> Option<T> {
        let this = ManuallyDrop::new(this);
        if this.counted().refs.fetch_sub(1, Ordering::Release) != 1 {
            return None;
        }
        fence(Ordering::Acquire); // as in `drop`
        // SAFETY: the count fell to zero, so this is the only pointer left; the value is moved out once and the
        // memory, which came from a leaked `Box`, is freed without dropping it again.
        unsafe {
            let counted = this.inner.read();
            dealloc(this.inner.as_ptr().cast(), Layout::new::<Counted<T>>());
            Some(counted.value)
        }
    }

    fn counted(&self) -> &Counted<T> {
        // SAFETY: the allocation lives until the last `Ref` is dropped, and `self` is one.
        unsafe { self.inner.as_ref() }
    }
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        // A 64-bit count cannot be wrapped by any number of references that fit in memory.
        self.counted().refs.fetch_add(1, Ordering::Relaxed);
        Ref { inner: self.inner }
    }
}

impl<T> Deref for Ref<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.counted().value
    }
}

impl<T> Drop for Ref<T> {
    #[inline]
    fn drop(&mut self) {
        if self.counted().refs.fetch_sub(1, Ordering::Release) == 1 {
            // SAFETY: the count fell to zero, so this is the only pointer left, and it is used no more.
            unsafe { self.free() };
        }
    }
}

impl<T> Ref<T> {
    /// The end of the last reference. A function of its own, so that all others are dropped without its registers.
    ///
    /// # Safety
    /// The count is zero, and this is the only pointer left, which is not used again.
    #[inline(never)]
    unsafe fn free(&mut self) {
        // Pairs with the Release above on other CPUs: their last uses happen before the value is dropped here.
        fence(Ordering::Acquire);
        // SAFETY: as the caller promises; it came from a leaked `Box`.
        unsafe {
            self.inner.drop_in_place();
            dealloc(self.inner.as_ptr().cast(), Layout::new::<Counted<T>>());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reference_drops_the_value() {
        let dropped = AtomicU64::new(0);
        struct Probe<'a>(&'a AtomicU64);
        impl Drop for Probe<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let a = Ref::try_new(Probe(&dropped)).unwrap();
        let b = a.clone();
        assert!(Ref::ptr_eq(&a, &b));
        drop(a);
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
        drop(b);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn only_the_last_reference_gives_the_value_back() {
        let a = Ref::try_new(std::vec![1, 2]).unwrap();
        let b = a.clone();
        assert!(!Ref::is_unique(&a));
        assert_eq!(Ref::into_inner(a), None);
        assert!(Ref::is_unique(&b));
        assert_eq!(Ref::into_inner(b), Some(std::vec![1, 2]));
    }

    #[test]
    fn a_box_holds_what_it_was_given() {
        assert_eq!(*try_box([7u64; 9]).unwrap(), [7; 9]);
    }
}
