//! What is between a pipe's two ends: up to [`SLOTS`] buffers in a row, each of bytes of its own or of bytes of a pinned
//! page of user memory. Linux: `struct pipe_buffer`.
//!
//! Bytes that are written go on in the last buffer if that has its own, and fill further ones; a page takes a buffer
//! however few bytes of it are meant. So the capacity in bytes depends on how they came. A buffer is free again when
//! its last byte is read.

use alloc::vec::Vec;

use crate::errno::Result;
use crate::fs::channel::pinned::Fragment;

/// Buffers in a pipe, as on Linux.
pub const SLOTS: usize = 16;
/// Bytes that a buffer has of its own: a small page, whatever the page size is, and not less than `PIPE_BUF`.
pub const SLOT_BYTES: usize = 4096;

#[derive(Default)]
struct Slot {
    /// Whose bytes they are; none: the slot's own.
    page: Option<Fragment>,
    /// Index of the oldest byte, in the page's fragment or in the slot's own memory.
    start: usize,
    /// Bytes queued.
    len: usize,
}

/// First in, first out; its own memory is allocated once.
pub struct Ring {
    /// [`SLOT_BYTES`] for each slot.
    bytes: Vec<u8>,
    slots: [Slot; SLOTS],
    /// Index of the oldest slot in use.
    first: usize,
    /// Slots in use.
    used: usize,
}

impl Ring {
    /// An empty queue.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(SLOTS * SLOT_BYTES)?;
        bytes.resize(SLOTS * SLOT_BYTES, 0);
        Ok(Ring { bytes, slots: Default::default(), first: 0, used: 0 })
    }

    /// Slots that are free.
    pub fn free_slots(&self) -> usize {
        SLOTS - self.used
    }

    /// Bytes that [`push`](Self::push) would take.
    pub fn room(&self) -> usize {
        self.free_slots() * SLOT_BYTES + self.tail().map_or(0, |(_, end)| SLOT_BYTES - end)
    }

    /// Bytes that are queued.
    pub fn bytes(&self) -> usize {
        (0..self.used).map(|number| self.slots[(self.first + number) % SLOTS].len).sum()
    }

    /// Whether there is nothing to read.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// The last slot, if it has bytes of its own, and where they end.
    fn tail(&self) -> Option<(usize, usize)> {
        let index = (self.first + self.used.checked_sub(1)?) % SLOTS;
        let slot = &self.slots[index];
        slot.page.is_none().then_some((index, slot.start + slot.len))
    }

    /// Takes the next free slot into use, there being one.
    fn append(&mut self, slot: Slot) -> usize {
        let index = (self.first + self.used) % SLOTS;
        self.slots[index] = slot;
        self.used += 1;
        index
    }

    /// Queues as many bytes as fit; returns how many.
    pub fn push(&mut self, from: &[u8]) -> usize {
        let mut done = 0;
        while done < from.len() {
            let (index, end) = match self.tail() {
                Some((index, end)) if end < SLOT_BYTES => (index, end),
                _ if self.free_slots() == 0 => break,
                _ => (self.append(Slot::default()), 0),
            };
            let count = (from.len() - done).min(SLOT_BYTES - end);
            let at = index * SLOT_BYTES + end;
            self.bytes[at..at + count].copy_from_slice(&from[done..done + count]);
            self.slots[index].len += count;
            done += count;
        }
        done
    }

    /// Queues a page's bytes.
    ///
    /// # Errors
    /// The page, if no slot is free.
    pub fn push_page(&mut self, page: Fragment) -> core::result::Result<(), Fragment> {
        if self.free_slots() == 0 {
            return Err(page);
        }
        let len = page.bytes();
        self.append(Slot { page: Some(page), start: 0, len });
        Ok(())
    }

    /// Copies the oldest bytes without taking them; returns how many.
    pub fn peek(&self, to: &mut [u8]) -> usize {
        let mut done = 0;
        for index in (0..self.used).map(|number| (self.first + number) % SLOTS) {
            let slot = &self.slots[index];
            let count = slot.len.min(to.len() - done);
            let into = &mut to[done..done + count];
            match &slot.page {
                Some(page) => page.read(slot.start, into),
                None => {
                    let at = index * SLOT_BYTES + slot.start;
                    into.copy_from_slice(&self.bytes[at..at + count]);
                }
            }
            done += count;
            if done == to.len() {
                break;
            }
        }
        done
    }

    /// Takes the oldest `count` bytes away, or all if there are fewer. Pages of which nothing is left are unpinned.
    pub fn consume(&mut self, count: usize) {
        let mut left = count;
        while left > 0 && self.used > 0 {
            let slot = &mut self.slots[self.first];
            let taken = slot.len.min(left);
            (slot.start, slot.len) = (slot.start + taken, slot.len - taken);
            left -= taken;
            if slot.len > 0 {
                break;
            }
            slot.page = None;
            self.first = (self.first + 1) % SLOTS;
            self.used -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::testing::Frames;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push(usize),
        Page(usize, usize),
        Peek(usize),
        Consume(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..3 * SLOT_BYTES).prop_map(Step::Push),
            (0..30usize).prop_map(Step::Push),
            (0..SLOT_BYTES, 1..SLOT_BYTES).prop_map(|(at, len)| Step::Page(at, len.min(SLOT_BYTES - at))),
            (0..5 * SLOT_BYTES).prop_map(Step::Peek),
            (0..5 * SLOT_BYTES).prop_map(Step::Consume),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_a_deque_and_unpins_what_was_read(steps in proptest::collection::vec(step(), 1..60)) {
            let frames = Frames::leak();
            let mut ring = Ring::new().unwrap();
            let mut model: VecDeque<u8> = VecDeque::new();
            let mut fresh = 0u8;
            for step in steps {
                fresh = fresh.wrapping_add(1);
                match step {
                    Step::Push(len) => {
                        let input: Vec<u8> = (0..len).map(|i| fresh.wrapping_add(i as u8)).collect();
                        let pushed = ring.room().min(len);
                        prop_assert_eq!(ring.push(&input), pushed);
                        model.extend(&input[..pushed]);
                    }
                    Step::Page(at, len) => {
                        let (page, free) = (frames.page(fresh), ring.free_slots());
                        let pushed = ring.push_page(frames.fragment(page, at, len));
                        prop_assert_eq!(pushed.is_ok(), free > 0);
                        if free > 0 {
                            model.extend(&frames.contents(page)[at..at + len]);
                        }
                    }
                    Step::Peek(len) => {
                        let mut seen = std::vec![0xee; len];
                        let count = ring.peek(&mut seen);
                        prop_assert_eq!(count, len.min(model.len()));
                        prop_assert!(model.iter().zip(&seen[..count]).all(|(a, b)| a == b));
                    }
                    Step::Consume(count) => {
                        ring.consume(count);
                        model.drain(..count.min(model.len()));
                    }
                }
                prop_assert_eq!(ring.is_empty(), model.is_empty());
                prop_assert!(frames.pinned() <= SLOTS - ring.free_slots());
            }
            ring.consume(usize::MAX);
            prop_assert_eq!((ring.room(), frames.pinned()), (SLOTS * SLOT_BYTES, 0));
        }
    }

    #[test]
    fn a_page_of_one_byte_takes_a_slot() {
        let frames = Frames::leak();
        let mut ring = Ring::new().unwrap();
        for number in 0..SLOTS {
            let page = frames.page(number as u8);
            assert!(ring.push_page(frames.fragment(page, 9, 1)).is_ok());
        }
        assert_eq!((ring.room(), ring.push(b"x"), frames.pinned()), (0, 0, SLOTS));
        assert!(ring.push_page(frames.fragment(frames.page(99), 0, 1)).is_err());
        ring.consume(1);
        assert_eq!((ring.room(), frames.pinned()), (SLOT_BYTES, SLOTS - 1));
        drop(ring);
        assert_eq!(frames.pinned(), 0);
    }
}
