//! Swap to compressed memory: where anonymous pages go that are paged out.
//!
//! ```text
//!   swap entry in a PTE -> slot: count -> one word (page filled with it)
//!                                      -> object in the store (compressed, or as it is)
//! ```
//!
//! There is no swap cache: whoever faults on a swap entry gets a page of its own, and its reference to the slot ends.
//! So the contents of a slot never change, and a page that was read back is mapped by one address space only.
//!
//! Swap is off until [`Mm::swap_on`]; then nothing here costs anything but the check of a size that is 0.
//!
//! Locks: the area's lock is taken with an address space's held, never with an object's; the allocator's are taken
//! inside it. Compression happens under it: one page at a time in the whole machine.

mod slots;
mod store;

use core::slice;
use core::sync::atomic::{AtomicUsize, Ordering};

use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};
use paging::{Event, PAGE_SIZE, Pfn};

use super::Mm;
use super::machine::Machine;
use crate::errno::{Errno, Result};
use slots::{Contents, Slots};
use store::Store;

pub use slots::SlotSaturated;

const PAGE: usize = PAGE_SIZE as usize;
const WORDS: usize = PAGE / 8;

/// The swap area, if there is one.
pub struct Swap {
    /// How many slots there are; 0 when swap is off. Outside of the lock for those who only want to know that.
    total: AtomicUsize,
    area: spin::Mutex<Area>,
}

struct Area {
    slots: Slots,
    store: Store,
    table: CompressTable,
    /// What a page is compressed to, before it is known how much room that needs.
    output: [u8; get_maximum_output_size(PAGE)],
}

/// How full swap is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SwapUsage {
    /// Pages that it can hold.
    pub total: usize,
    /// Pages that it holds.
    pub used: usize,
    /// Frames that hold them.
    pub frames: usize,
}

impl Swap {
    pub(super) const fn new() -> Self {
        let table = if PAGE < u16::MAX as usize { CompressTable::small() } else { CompressTable::large() };
        let output = [0; get_maximum_output_size(PAGE)];
        Swap {
            total: AtomicUsize::new(0),
            area: spin::Mutex::new(Area { slots: Slots::EMPTY, store: Store::EMPTY, table, output }),
        }
    }

    /// Whether there is any.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.total.load(Ordering::Relaxed) != 0
    }

    /// How full it is.
    pub fn usage(&self) -> SwapUsage {
        let area = self.area.lock();
        SwapUsage { total: area.slots.total(), used: area.slots.used(), frames: area.store.frames_in_use() }
    }
}

impl<M: Machine> Mm<M> {
    /// Makes swap that holds `pages` pages. Only its bookkeeping takes memory now.
    ///
    /// # Errors
    /// `EBUSY`: there is swap already. `EINVAL`: no pages. `ENOMEM`.
    pub fn swap_on(&self, pages: usize) -> Result<()> {
        if pages == 0 {
            return Err(Errno::EINVAL);
        }
        if self.swap.is_on() {
            return Err(Errno::EBUSY);
        }
        let slots = Slots::new(pages)?;
        let store = Store::new(self, slots.total())?;
        let mut area = self.swap.area.lock();
        if area.slots.total() != 0 {
            drop(area);
            store.release(self);
            return Err(Errno::EBUSY);
        }
        self.swap.total.store(slots.total(), Ordering::Relaxed);
        (area.slots, area.store) = (slots, store);
        Ok(())
    }

    /// Ends swap; nothing if there is none.
    ///
    /// # Errors
    /// `EBUSY`: pages are in it.
    pub fn swap_off(&self) -> Result<()> {
        let mut area = self.swap.area.lock();
        if area.slots.used() != 0 {
            return Err(Errno::EBUSY);
        }
        self.swap.total.store(0, Ordering::Relaxed);
        area.slots = Slots::EMPTY;
        let store = core::mem::replace(&mut area.store, Store::EMPTY);
        drop(area);
        store.release(self);
        Ok(())
    }

    /// Stores the contents of the frame `pfn`, which nobody can write to any more, in a slot with one reference.
    /// `None`: swap is off or full, or there is no memory to store them in.
    pub(super) fn swap_out(&self, pfn: Pfn) -> Option<u32> {
        let mut area = self.swap.area.lock();
        if area.slots.is_full() {
            return None;
        }
        let Area { slots, store, table, output } = &mut *area;
        // SAFETY: a whole frame of RAM, aligned to more than a word, which by the contract nobody writes to.
        let words = unsafe { slice::from_raw_parts(self.machine.ptr(pfn.addr()).cast::<u64>(), WORDS) };
        let contents = if words.iter().all(|word| *word == words[0]) {
            Contents::Same(words[0])
        } else {
            // SAFETY: as above; bytes need no alignment.
            let page = unsafe { slice::from_raw_parts(self.machine.ptr(pfn.addr()), PAGE) };
            let bytes = match compress_into_with_table(page, output, table) {
                Ok(len) if len < PAGE => &output[..len],
                _ => page,
            };
            Contents::Stored(store.put(self, bytes)?)
        };
        let slot = slots.take(contents);
        debug_assert!(slot.is_some(), "there was a free slot");
        self.count(Event::PswpOut);
        slot
    }

    /// Writes what `slot` holds to the frame `pfn`, which is nobody else's yet. The slot keeps its references.
    pub(super) fn swap_in(&self, slot: u32, pfn: Pfn) {
        let area = self.swap.area.lock();
        let to = self.machine.ptr(pfn.addr());
        match area.slots.contents(slot) {
            Contents::Free(_) => unreachable!("an entry refers to the free slot {slot}"),
            Contents::Same(word) => {
                // SAFETY: a whole frame, which is the caller's alone, as words: it is aligned to its size.
                unsafe { slice::from_raw_parts_mut(to.cast::<u64>(), WORDS) }.fill(word);
            }
            Contents::Stored(object) => {
                let bytes = area.store.get(self, object);
                // SAFETY: a whole frame, which is the caller's alone; the store's frames are others.
                let page = unsafe { slice::from_raw_parts_mut(to, PAGE) };
                if bytes.len() == PAGE {
                    page.copy_from_slice(bytes);
                } else {
                    let len = decompress_into(bytes, page);
                    assert!(matches!(len, Ok(PAGE)), "slot {slot} does not decompress to a page: {len:?}");
                }
            }
        }
        self.count(Event::PswpIn);
    }

    /// One more entry refers to `slot`.
    ///
    /// # Errors
    /// [`SlotSaturated`]; nothing changed.
    pub(super) fn swap_duplicate(&self, slot: u32) -> core::result::Result<(), SlotSaturated> {
        self.swap.area.lock().slots.duplicate(slot)
    }

    /// An entry that referred to `slot` is gone; with the last, so are the contents.
    pub(super) fn swap_free(&self, slot: u32) {
        let mut area = self.swap.area.lock();
        if let Some(Contents::Stored(object)) = area.slots.release(slot) {
            area.store.remove(self, object);
        }
    }

    /// How many entries refer to `slot`.
    pub fn swap_count(&self, slot: u32) -> u16 {
        self.swap.area.lock().slots.count(slot)
    }
}

#[cfg(test)]
mod tests;
