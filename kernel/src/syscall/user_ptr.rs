//! Pointers that a program hands to the kernel.
//!
//! A [`UserPtr`] proves nothing: it is an address that somebody at EL0 wrote into a register. It may be null, misaligned,
//! unmapped or the kernel's; another thread may change what is there between two reads. What it ensures is that the
//! kernel reaches the memory only by copying, with the rights of EL0, and that a bad address is `EFAULT`.

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use crate::arch::uaccess;
use crate::errno::Result;

/// Types whose values are copied from and to user memory.
///
/// # Safety
/// Any bytes are a valid value, and a value has no padding (which would show kernel memory to EL0).
pub unsafe trait Plain: Copy {}

// SAFETY: integers.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for i64 {}
// SAFETY: elements follow each other without padding.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// An address (in bytes) at which a program says that a `T` is, or may be put.
pub struct UserPtr<T> {
    addr: usize,
    of: PhantomData<*mut T>,
}

impl<T: Plain> UserPtr<T> {
    /// The pointer in a system call's argument.
    pub fn new(arg: u64) -> Self {
        UserPtr { addr: arg as usize, of: PhantomData }
    }

    /// Whether it is null, by which programs say that they want nothing there.
    pub fn is_null(&self) -> bool {
        self.addr == 0
    }

    /// The pointer to element `index` (0-based) of the array that this one points to.
    pub fn at(&self, index: usize) -> Self {
        UserPtr { addr: self.addr.wrapping_add(index.wrapping_mul(size_of::<T>())), of: PhantomData }
    }

    /// Copies the value in.
    ///
    /// # Errors
    /// `EFAULT`: not readable at EL0.
    pub fn read(&self) -> Result<T> {
        let mut value = MaybeUninit::<T>::zeroed();
        // SAFETY: exactly the bytes of `value`, initialised to zero, and borrowed for this statement only.
        let bytes =
            unsafe { core::slice::from_raw_parts_mut(value.as_mut_ptr().cast::<u8>(), size_of::<T>()) };
        uaccess::copy_from_user(bytes, self.addr)?;
        // SAFETY: all bytes are initialised, and any bytes are a valid `Plain`.
        Ok(unsafe { value.assume_init() })
    }

    /// Copies `value` out.
    ///
    /// # Errors
    /// `EFAULT`: not writable at EL0.
    pub fn write(&self, value: T) -> Result<()> {
        // SAFETY: the bytes of `value`, which has no padding, so all are initialised.
        let bytes = unsafe { core::slice::from_raw_parts((&raw const value).cast::<u8>(), size_of::<T>()) };
        uaccess::copy_to_user(self.addr, bytes)
    }

    /// As [`UserPtr::write`], but a null pointer is left alone.
    ///
    /// # Errors
    /// `EFAULT`: not writable at EL0.
    pub fn write_if_wanted(&self, value: T) -> Result<()> {
        if self.is_null() { Ok(()) } else { self.write(value) }
    }
}
