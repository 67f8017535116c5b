//! Memory for compressed pages: objects of a few sizes, many to a frame.
//!
//! A frame is cut into objects of one size, its *class*; the classes are those that waste least of a frame for each
//! number of objects. Frames with room are on their class's list, full ones on none, and an empty one leaves the store.
//!
//! ```text
//!   class of 12 units:  | object 0 | object 1 | object 2 | object 3 | object 4 | 4 units unused |
//! ```
//!
//! Pages are stored when memory is exhausted, so the store keeps a few frames in reserve: what is written out at once
//! frees more than it takes, but only afterwards.
//!
//! Locks: the store is part of the swap area and behind its lock; it takes the allocator's locks inside.

use alloc::vec::Vec;
use core::slice;

use paging::{PAGE_SIZE, Pfn};

use crate::errno::{Errno, Result};
use crate::mm::frame::Kind;
use crate::mm::{Machine, Mm};

/// Units in a frame: the granularity of classes, and the most objects that fit.
const UNITS: usize = 64;
/// Bytes in a unit.
const UNIT: usize = PAGE_SIZE as usize / UNITS;
/// Units in an object of each class.
const CLASSES: [usize; 15] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 21, 32, UNITS];
/// Frames kept for the moment in which there are no others: as many as a block of pages needs that compress to a fifth.
const RESERVE: usize = 4;
/// No frame: the end of a list.
const NONE: u32 = u32::MAX;

/// Where something is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Object {
    frame: u32,
    index: u8,
    len: u32,
}

/// A frame of the store, on a list if it has room or holds nothing.
struct StoreFrame {
    pfn: Pfn,
    /// A bit for each object in use.
    used: u64,
    class: u8,
    next: u32,
    previous: u32,
}

/// All stored objects.
pub(super) struct Store {
    frames: Vec<StoreFrame>,
    /// Entries of `frames` without a frame, chained by `next`.
    vacant: u32,
    partial: [u32; CLASSES.len()],
    reserve: [Option<Pfn>; RESERVE],
    in_use: usize,
}

impl Store {
    pub(super) const EMPTY: Store = Store {
        frames: Vec::new(),
        vacant: NONE,
        partial: [NONE; CLASSES.len()],
        reserve: [None; RESERVE],
        in_use: 0,
    };

    /// A store for at most `objects` objects, with its reserve.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn new<M: Machine>(mm: &Mm<M>, objects: usize) -> Result<Store> {
        let mut store = Store::EMPTY;
        store.frames.try_reserve_exact(objects)?;
        store.fill_reserve(mm);
        if store.reserve.contains(&None) {
            store.release(mm);
            return Err(Errno::ENOMEM);
        }
        Ok(store)
    }

    /// Gives the reserve back; nothing is stored any more.
    pub(super) fn release<M: Machine>(self, mm: &Mm<M>) {
        debug_assert!(self.in_use == 0);
        self.reserve.into_iter().flatten().for_each(|pfn| mm.folio_put(pfn));
    }

    /// Frames that hold objects.
    pub(super) fn frames_in_use(&self) -> usize {
        self.in_use
    }

    /// Stores a copy of `bytes`, at most a page; `None` without memory.
    pub(super) fn put<M: Machine>(&mut self, mm: &Mm<M>, bytes: &[u8]) -> Option<Object> {
        let class = CLASSES.iter().position(|units| units * UNIT >= bytes.len())?;
        let frame = match self.partial[class] {
            NONE => self.add_frame(mm, class)?,
            frame => frame,
        };
        let entry = &mut self.frames[frame as usize];
        let index = entry.used.trailing_ones() as u8;
        entry.used |= 1 << index;
        if entry.used.count_ones() as usize == UNITS / CLASSES[class] {
            self.unlink(frame);
        }
        let object = Object { frame, index, len: bytes.len() as u32 };
        // SAFETY: the object's bytes lie in a frame that the store took for itself, and nobody else has the object;
        // `bytes` are not in the store.
        unsafe { self.place(mm, object).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Some(object)
    }

    /// What is stored.
    pub(super) fn get<M: Machine>(&self, mm: &Mm<M>, object: Object) -> &[u8] {
        // SAFETY: `put` wrote that many bytes there, and writes there again only once `remove` has freed the object,
        // which takes the store mutably.
        unsafe { slice::from_raw_parts(self.place(mm, object), object.len as usize) }
    }

    /// Forgets an object.
    pub(super) fn remove<M: Machine>(&mut self, mm: &Mm<M>, object: Object) {
        let entry = &mut self.frames[object.frame as usize];
        let was_full = entry.used.count_ones() as usize == UNITS / CLASSES[entry.class as usize];
        debug_assert!(entry.used & 1 << object.index != 0, "{object:?} is not in use");
        entry.used &= !(1 << object.index);
        let (empty, pfn) = (entry.used == 0, entry.pfn);
        if was_full && !empty {
            self.link(object.frame);
        } else if empty {
            if !was_full {
                self.unlink(object.frame);
            }
            self.frames[object.frame as usize].next = self.vacant;
            self.vacant = object.frame;
            self.in_use -= 1;
            match self.reserve.iter_mut().find(|kept| kept.is_none()) {
                Some(room) => *room = Some(pfn),
                None => mm.folio_put(pfn),
            }
        }
    }

    fn place<M: Machine>(&self, mm: &Mm<M>, object: Object) -> *mut u8 {
        let entry = &self.frames[object.frame as usize];
        let offset = object.index as usize * CLASSES[entry.class as usize] * UNIT;
        mm.machine.ptr(entry.pfn.addr().add(offset as u64))
    }

    /// An empty frame of `class`, on its list.
    fn add_frame<M: Machine>(&mut self, mm: &Mm<M>, class: usize) -> Option<u32> {
        self.fill_reserve(mm);
        let pfn = self.reserve.iter_mut().find_map(Option::take)?;
        let fresh = StoreFrame { pfn, used: 0, class: class as u8, next: NONE, previous: NONE };
        let frame = match self.vacant {
            NONE => {
                debug_assert!(self.frames.len() < self.frames.capacity(), "more frames than objects");
                self.frames.push(fresh);
                self.frames.len() as u32 - 1
            }
            frame => {
                self.vacant = self.frames[frame as usize].next;
                self.frames[frame as usize] = fresh;
                frame
            }
        };
        self.in_use += 1;
        self.link(frame);
        Some(frame)
    }

    fn fill_reserve<M: Machine>(&mut self, mm: &Mm<M>) {
        for room in self.reserve.iter_mut().filter(|room| room.is_none()) {
            *room = mm.alloc_frames(0, Kind::Kernel, 0);
        }
    }

    /// Puts a frame at the head of its class's list.
    fn link(&mut self, frame: u32) {
        let class = self.frames[frame as usize].class as usize;
        let next = core::mem::replace(&mut self.partial[class], frame);
        let entry = &mut self.frames[frame as usize];
        (entry.next, entry.previous) = (next, NONE);
        if next != NONE {
            self.frames[next as usize].previous = frame;
        }
    }

    /// Takes a frame off its class's list.
    fn unlink(&mut self, frame: u32) {
        let StoreFrame { next, previous, class, .. } = self.frames[frame as usize];
        match previous {
            NONE => self.partial[class as usize] = next,
            previous => self.frames[previous as usize].next = next,
        }
        if next != NONE {
            self.frames[next as usize].previous = previous;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::testing::{machine, sized};
    use std::vec::Vec;

    #[test]
    fn objects_of_all_sizes_keep_their_bytes_and_leave_nothing_behind() {
        let mm = machine();
        let free = mm.free_pages();
        let mut store = Store::new(&mm, 600).unwrap();
        let bytes = |n: usize| std::vec![n as u8 ^ 0x5a; 1 + n * 37 % PAGE_SIZE as usize];
        let mut objects: Vec<_> = (0..500).map(|n| Some(store.put(&mm, &bytes(n)).unwrap())).collect();
        assert!(store.frames_in_use() < 500);
        // Every third goes and comes again, so that frames become partial, empty and full once more.
        for n in (0..500).step_by(3) {
            store.remove(&mm, objects[n].take().unwrap());
        }
        for n in (0..500).step_by(3) {
            objects[n] = store.put(&mm, &bytes(n));
        }
        for (n, object) in objects.iter().enumerate() {
            assert_eq!(store.get(&mm, object.unwrap()), &bytes(n)[..]);
        }
        objects.into_iter().flatten().for_each(|object| store.remove(&mm, object));
        assert_eq!(store.frames_in_use(), 0);
        store.release(&mm);
        assert_eq!(mm.free_pages(), free);
    }

    #[test]
    fn small_objects_share_frames_and_the_reserve_serves_when_memory_is_gone() {
        let mm = sized(512);
        let mut store = Store::new(&mm, 64 * (RESERVE + 1)).unwrap();
        let held = mm.hold_all();
        let objects: Vec<_> = core::iter::from_fn(|| store.put(&mm, &[7; UNIT])).collect();
        assert_eq!((objects.len(), store.frames_in_use()), (UNITS * RESERVE, RESERVE));
        assert_eq!(store.put(&mm, &[7; PAGE_SIZE as usize]), None);
        objects.into_iter().for_each(|object| store.remove(&mm, object));
        // The frames went back to the reserve first.
        assert_eq!(mm.free_pages(), 0);
        assert!(store.put(&mm, &[7; UNIT]).map(|object| store.remove(&mm, object)).is_some());
        drop(held);
        store.release(&mm);
    }
}
