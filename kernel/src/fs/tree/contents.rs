//! A regular file's bytes: an object of memory management, whose pages a mapping of the file shows as well.
//!
//! Files know memory management by the trait [`Store`] only. It is implemented for all of it, so the same files are
//! over the kernel's memory and over the simulated machine's in tests.
//!
//! Locks: an object's own, taken inside the methods here and nowhere held across a call.

use core::mem::ManuallyDrop;
use core::ops::Range;

use crate::errno::Result;
use crate::mm::object_io::WriteAt;
use crate::mm::{Machine, Mm, Object};
use crate::util::Ref;

/// Access to objects as bytes; see `mm::object_io`.
pub trait Store: Sync {
    /// [`Mm::object_read`].
    fn read(&self, object: &Object, offset: u64, to: &mut [u8]) -> usize;

    /// [`Mm::object_write`].
    ///
    /// # Errors
    /// `ENOSPC`, `EFBIG`.
    fn write(&self, object: &Object, at: WriteAt, from: &[u8], ahead: usize) -> Result<(u64, usize)>;

    /// [`Mm::object_resize`].
    ///
    /// # Errors
    /// `EFBIG`.
    fn resize(&self, object: &Object, bytes: u64) -> Result<()>;

    /// [`Mm::object_allocate`].
    ///
    /// # Errors
    /// `ENOSPC`, `EFBIG`.
    fn allocate(&self, object: &Object, range: Range<u64>) -> Result<()>;

    /// [`Mm::object_punch`].
    ///
    /// # Errors
    /// `ENOSPC`.
    fn punch(&self, object: &Object, range: Range<u64>) -> Result<()>;

    /// [`Mm::object_next`].
    fn next(&self, object: &Object, offset: u64, data: bool) -> Option<u64>;

    /// [`Mm::object_put`].
    fn put(&self, object: Ref<Object>);

    /// Pages that files may take, and that they take.
    fn share(&self) -> (u64, u64);
}

impl<M: Machine + Sync> Store for Mm<M> {
    fn read(&self, object: &Object, offset: u64, to: &mut [u8]) -> usize {
        self.object_read(object, offset, to)
    }

    fn write(&self, object: &Object, at: WriteAt, from: &[u8], ahead: usize) -> Result<(u64, usize)> {
        self.object_write(object, at, from, ahead)
    }

    fn resize(&self, object: &Object, bytes: u64) -> Result<()> {
        self.object_resize(object, bytes)
    }

    fn allocate(&self, object: &Object, range: Range<u64>) -> Result<()> {
        self.object_allocate(object, range)
    }

    fn punch(&self, object: &Object, range: Range<u64>) -> Result<()> {
        self.object_punch(object, range)
    }

    fn next(&self, object: &Object, offset: u64, data: bool) -> Option<u64> {
        self.object_next(object, offset, data)
    }

    fn put(&self, object: Ref<Object>) {
        self.object_put(object);
    }

    fn share(&self) -> (u64, u64) {
        (self.object_limit(), self.file_pages())
    }
}

/// A reference to a file's object. With the last one, and the last mapping, the pages go.
pub struct Contents {
    object: ManuallyDrop<Ref<Object>>,
    store: &'static dyn Store,
}

impl Contents {
    /// A file that holds `data` at first.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(store: &'static dyn Store, data: &'static [u8]) -> Result<Self> {
        Ok(Contents { object: ManuallyDrop::new(Object::file(data)?), store })
    }

    /// Its object, to be mapped; whoever gets it gives it back to memory management.
    pub fn to_map(&self) -> Ref<Object> {
        self.object.set_mapped();
        Ref::clone(&self.object)
    }

    /// Its object.
    pub fn object(&self) -> &Ref<Object> {
        &self.object
    }

    /// Size in bytes.
    pub fn len(&self) -> u64 {
        self.object.bytes()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies bytes from `offset` on; returns how many there were.
    pub fn read(&self, offset: u64, to: &mut [u8]) -> usize {
        self.store.read(&self.object, offset, to)
    }

    /// Writes bytes, of which `ahead` are to come in all; returns where they are and how many there was memory for.
    ///
    /// # Errors
    /// `ENOSPC`, `EFBIG`.
    pub fn write(&self, at: WriteAt, from: &[u8], ahead: usize) -> Result<(u64, usize)> {
        self.store.write(&self.object, at, from, ahead)
    }

    /// Sets the size. Pages that are gone then stay in the mappings that show them, until they are taken away there too.
    ///
    /// # Errors
    /// `EFBIG`.
    pub fn resize(&self, bytes: u64) -> Result<()> {
        self.store.resize(&self.object, bytes)
    }

    /// Makes the pages of a range of bytes.
    ///
    /// # Errors
    /// `ENOSPC`, `EFBIG`.
    pub fn allocate(&self, range: Range<u64>) -> Result<()> {
        self.store.allocate(&self.object, range)
    }

    /// Makes a range of bytes a hole; mappings as for [`resize`](Self::resize).
    ///
    /// # Errors
    /// `ENOSPC`.
    pub fn punch(&self, range: Range<u64>) -> Result<()> {
        self.store.punch(&self.object, range)
    }

    /// Where from `offset` on the next data is, or the next hole.
    pub fn next(&self, offset: u64, data: bool) -> Option<u64> {
        self.store.next(&self.object, offset, data)
    }
}

impl Clone for Contents {
    fn clone(&self) -> Self {
        Contents { object: self.object.clone(), store: self.store }
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        // SAFETY: taken once, here; nothing uses the field afterwards.
        self.store.put(unsafe { ManuallyDrop::take(&mut self.object) });
    }
}
