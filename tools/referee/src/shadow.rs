//! The guest's RAM as the watched stores made it, because a plugin cannot read physical memory.
//!
//! One flat, sparse mapping: the host gives a page of memory to a guest page when it is first written. What QEMU itself
//! loads into RAM at the start (image, initramfs, device tree) is not there and reads as zero; no table is among it.

use std::io;

use memmap2::{MmapMut, MmapOptions};
use model::Memory;

/// Where RAM starts on QEMU's `virt` machine, in bytes.
pub const RAM_BASE: u64 = 0x4000_0000;
/// Bytes of RAM that are watched.
pub const RAM_BYTES: u64 = 64 << 30;

/// Shadow memory; see the module.
pub struct Shadow {
    bytes: MmapMut,
}

impl Shadow {
    /// Shadow memory, all zero.
    ///
    /// # Errors
    /// The host does not give the address space.
    pub fn new() -> io::Result<Self> {
        // Without a reservation: what is never touched costs nothing, also where overcommit is restricted.
        let bytes = MmapOptions::new().len(RAM_BYTES as usize).no_reserve_swap().map_anon()?;
        Ok(Shadow { bytes })
    }

    /// Where the word that holds physical address `pa` is; `None` for what is not RAM.
    #[inline]
    fn offset(pa: u64) -> Option<usize> {
        pa.checked_sub(RAM_BASE).filter(|&offset| offset < RAM_BYTES).map(|offset| (offset & !7) as usize)
    }

    /// The aligned word that holds physical address `pa`; 0 for what is not RAM or was never written.
    #[inline]
    pub fn load(&self, pa: u64) -> u64 {
        let word = Self::offset(pa).and_then(|at| self.bytes[at..].first_chunk());
        word.map_or(0, |&word| u64::from_le_bytes(word))
    }

    /// Writes the aligned word that holds `pa`, and returns what was there before; `None` for what is not RAM.
    #[inline]
    pub fn store(&mut self, pa: u64, value: u64) -> Option<u64> {
        let word = self.bytes[Self::offset(pa)?..].first_chunk_mut()?;
        Some(u64::from_le_bytes(std::mem::replace(word, value.to_le_bytes())))
    }

    /// The word around `pa` as it would be after a store of `value`'s low `bytes` (1, 2 or 4) there, aligned.
    #[inline]
    pub fn merged(&self, pa: u64, bytes: u64, value: u64) -> u64 {
        let shift = pa % 8 * 8;
        let mask = ((1u64 << (bytes * 8)) - 1) << shift;
        self.load(pa) & !mask | value << shift & mask
    }
}

impl Memory for Shadow {
    fn word(&self, pa: u64) -> u64 {
        self.load(pa)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_of_all_sizes() {
        let mut shadow = Shadow::new().unwrap();
        let pa = RAM_BASE + 0x1238;
        assert_eq!(shadow.load(pa), 0);
        assert_eq!(shadow.store(pa, 0x1122_3344_5566_7788), Some(0));
        assert_eq!(shadow.merged(pa, 1, 0xff), 0x1122_3344_5566_77ff);
        assert_eq!(shadow.merged(pa + 6, 2, 0xabcd), 0xabcd_3344_5566_7788);
        assert_eq!(shadow.merged(pa + 4, 4, 0xffff_ffff_0000_0001), 0x0000_0001_5566_7788);
        assert_eq!(shadow.load(pa + 7), 0x1122_3344_5566_7788, "any byte's address finds the word");
        assert_eq!(shadow.load(pa + 8), 0);
        assert_eq!(shadow.store(pa + 1, 5), Some(0x1122_3344_5566_7788));
    }

    #[test]
    fn outside_of_ram() {
        let mut shadow = Shadow::new().unwrap();
        for pa in [0, RAM_BASE - 1, RAM_BASE + RAM_BYTES, u64::MAX] {
            assert_eq!(shadow.store(pa, 1), None);
            assert_eq!(shadow.load(pa), 0);
        }
        assert_eq!(shadow.store(RAM_BASE + RAM_BYTES - 8, 1), Some(0));
    }
}
