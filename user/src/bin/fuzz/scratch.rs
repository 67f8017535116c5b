//! Room for what arguments point to: a page with nothing accessible behind it, written anew for each call.

use core::slice;

use user::sys::Result;
use user::sys::memory::{self, NONE, PRIVATE, READ_WRITE, page_size};

use crate::random::Random;
use crate::words::WRITTEN;

/// A thread's own such page.
pub struct Scratch {
    base: usize,
    used: usize,
}

impl Scratch {
    /// Maps one.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new() -> Result<Scratch> {
        let base = memory::map(2 * page_size(), READ_WRITE, PRIVATE)?;
        // SAFETY: the second page of a fresh mapping.
        unsafe { memory::protect(base + page_size(), page_size(), NONE) }?;
        Ok(Scratch { base, used: 0 })
    }

    /// For the next call: nothing that was written before is needed.
    pub fn reset(&mut self) {
        self.used = 0;
    }

    /// Room for `bytes` bytes; what does not fit is written over what was before.
    fn room(&mut self, bytes: usize) -> &'static mut [u8] {
        let start = self.used.next_multiple_of(8);
        let start = if start + bytes > page_size() { 0 } else { start };
        self.used = start + bytes;
        // SAFETY: in the page that is this object's, and nothing else refers to it: callers of this are done before
        // the next call. That a fuzzed call unmaps it ends this process, no more.
        unsafe { slice::from_raw_parts_mut((self.base + start) as *mut u8, bytes) }
    }

    /// A string, its end marked.
    pub fn string(&mut self, bytes: &[u8]) -> u64 {
        let room = self.room(bytes.len() + 1);
        room[..bytes.len()].copy_from_slice(bytes);
        room[bytes.len()] = 0;
        room.as_ptr() as u64
    }

    /// A name that is too long for a file, or just not.
    pub fn long_name(&mut self, random: &mut Random) -> u64 {
        let name = [b'f'; 300];
        self.string(&name[..253 + random.below(6) as usize])
    }

    /// One of the words that settings understand.
    pub fn word(&mut self, random: &mut Random) -> u64 {
        let word = random.pick(&WRITTEN);
        self.string(word)
    }

    /// Words.
    pub fn words(&mut self, words: &[u64]) -> u64 {
        let room = self.room(8 * words.len());
        for (bytes, word) in room.chunks_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        room.as_ptr() as u64
    }

    /// Small numbers, as they are in most structures.
    pub fn random_words(&mut self, random: &mut Random) -> u64 {
        let mut words = [0; 16];
        for word in &mut words {
            *word = random.below(20) | if random.one_in(4) { random.below(20) << 32 } else { 0 };
        }
        self.words(&words)
    }

    /// An array of strings.
    pub fn strings(&mut self, random: &mut Random) -> u64 {
        let mut pointers = [0; 5];
        let count = random.below(5) as usize;
        for pointer in &mut pointers[..count] {
            *pointer = self.word(random);
        }
        self.words(&pointers)
    }

    /// A socket's address: a path, a port of this machine, or nonsense.
    pub fn address(&mut self, random: &mut Random) -> u64 {
        const LOOPBACK: [u8; 4] = [127, 0, 0, 1];
        let mut bytes = [0; 112];
        let family = random.pick(&[1u16, 1, 2, 2, 10, 0, 16]);
        bytes[..2].copy_from_slice(&family.to_ne_bytes());
        match family {
            2 => {
                bytes[2] = 0x70;
                bytes[3] = random.below(4) as u8;
                bytes[4..8].copy_from_slice(&LOOPBACK);
            }
            _ => {
                bytes[2..6].copy_from_slice(b"fz-s");
                bytes[6] = b'0' + random.below(4) as u8;
            }
        }
        let room = self.room(bytes.len());
        room.copy_from_slice(&bytes);
        room.as_ptr() as u64
    }
}
