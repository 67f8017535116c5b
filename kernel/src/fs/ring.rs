//! A byte queue of fixed size: what is between a pipe's two ends.

use alloc::vec::Vec;

use crate::errno::Result;

/// First in, first out, in memory that is allocated once.
pub struct Ring {
    /// As long as its capacity; which bytes of it mean something say `start` and `len`.
    bytes: Vec<u8>,
    /// Index of the oldest byte.
    start: usize,
    /// Bytes queued.
    len: usize,
}

impl Ring {
    /// An empty queue for up to `capacity` bytes, which is not 0.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(capacity: usize) -> Result<Self> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(capacity)?;
        bytes.resize(capacity, 0);
        Ok(Ring { bytes, start: 0, len: 0 })
    }

    /// Bytes that fit in.
    pub fn room(&self) -> usize {
        self.bytes.len() - self.len
    }

    /// Queues as many bytes as fit; returns how many.
    pub fn push(&mut self, from: &[u8]) -> usize {
        let count = from.len().min(self.room());
        let at = (self.start + self.len) % self.bytes.len();
        let first = count.min(self.bytes.len() - at);
        self.bytes[at..at + first].copy_from_slice(&from[..first]);
        self.bytes[..count - first].copy_from_slice(&from[first..count]);
        self.len += count;
        count
    }

    /// Copies the oldest bytes without taking them; returns how many.
    pub fn peek(&self, to: &mut [u8]) -> usize {
        let count = to.len().min(self.len);
        let first = count.min(self.bytes.len() - self.start);
        to[..first].copy_from_slice(&self.bytes[self.start..self.start + first]);
        to[first..count].copy_from_slice(&self.bytes[..count - first]);
        count
    }

    /// Takes the oldest `count` bytes away, or all if there are fewer.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.len);
        self.start = (self.start + count) % self.bytes.len();
        self.len -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn behaves_like_a_deque(steps in proptest::collection::vec((0usize..14, 0usize..14, 0usize..14), 1..60)) {
            let mut ring = Ring::new(11).unwrap();
            let mut model: VecDeque<u8> = VecDeque::new();
            let mut fresh = 0u8;
            for (push, peek, consume) in steps {
                let input: std::vec::Vec<u8> = (0..push).map(|i| fresh.wrapping_add(i as u8)).collect();
                let pushed = ring.push(&input);
                prop_assert_eq!(pushed, push.min(11 - model.len()));
                model.extend(&input[..pushed]);
                fresh = fresh.wrapping_add(pushed as u8);

                let mut seen = [0xee; 14];
                let count = ring.peek(&mut seen[..peek]);
                prop_assert_eq!(count, peek.min(model.len()));
                prop_assert!(model.iter().zip(&seen[..count]).all(|(a, b)| a == b));

                ring.consume(consume);
                model.drain(..consume.min(model.len()));
                prop_assert_eq!(ring.room(), 11 - model.len());
            }
        }
    }
}
