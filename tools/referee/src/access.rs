//! Accesses to memory as QEMU reports them, and the aligned words that a store changes.

use crate::shadow::Shadow;

/// A load or store, after the fact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Physical address in bytes.
    pub pa: u64,
    /// Bytes: 1, 2, 4, 8 or 16.
    pub bytes: u64,
    /// What was read or written; the first eight bytes in the first word.
    pub value: [u64; 2],
    /// Whether it was a store.
    pub is_store: bool,
}

/// The store of one aligned word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WordStore {
    /// Physical address, a multiple of 8.
    pub pa: u64,
    /// What it held.
    pub old: u64,
    /// What it holds now.
    pub new: u64,
}

impl Access {
    /// Writes a store into `shadow` and calls `each` for every aligned word that it touches.
    ///
    /// What lies behind the end of the page that a store begins in is left out: QEMU gives one physical address for all
    /// of it, and the next page's need not be the next. Nobody writes descriptors like that.
    pub fn apply(&self, shadow: &mut Shadow, mut each: impl FnMut(&Shadow, WordStore)) {
        let Access { pa, bytes, value, .. } = *self;
        let mut word = |shadow: &mut Shadow, pa: u64, new: u64| {
            if let Some(old) = shadow.store(pa, new) {
                each(shadow, WordStore { pa: pa & !7, old, new });
            }
        };
        if bytes >= 8 && pa.is_multiple_of(8) {
            word(shadow, pa, value[0]);
            if bytes == 16 && (pa + 8) >> 12 == pa >> 12 {
                word(shadow, pa + 8, value[1]);
            }
        } else if pa.is_multiple_of(bytes) {
            let new = shadow.merged(pa, bytes, value[0]);
            word(shadow, pa, new);
        } else {
            let all = u128::from(value[1]) << 64 | u128::from(value[0]);
            for byte in (0..bytes).take_while(|byte| (pa + byte) >> 12 == pa >> 12) {
                let new = shadow.merged(pa + byte, 1, (all >> (8 * byte)) as u64 & 0xff);
                word(shadow, pa + byte, new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::RAM_BASE;

    fn apply(shadow: &mut Shadow, pa: u64, bytes: u64, value: [u64; 2]) -> Vec<(u64, u64, u64)> {
        let mut seen = Vec::new();
        let access = Access { pa: RAM_BASE + pa, bytes, value, is_store: true };
        access.apply(shadow, |_, store| seen.push((store.pa - RAM_BASE, store.old, store.new)));
        seen
    }

    #[test]
    fn words_pairs_and_parts() {
        let mut shadow = Shadow::new().unwrap();
        assert_eq!(apply(&mut shadow, 0x10, 8, [5, 0]), [(0x10, 0, 5)]);
        assert_eq!(apply(&mut shadow, 0x10, 16, [6, 7]), [(0x10, 5, 6), (0x18, 0, 7)]);
        assert_eq!(apply(&mut shadow, 0x14, 4, [1, 0]), [(0x10, 6, 1 << 32 | 6)]);
        assert_eq!(apply(&mut shadow, 0x1f, 1, [0xff, 0]), [(0x18, 7, 0xff << 56 | 7)]);
    }

    #[test]
    fn unaligned_stores_go_by_bytes_and_end_with_the_page() {
        let mut shadow = Shadow::new().unwrap();
        let last = apply(&mut shadow, 0x24, 8, [0x1122_3344_5566_7788, 0]);
        assert_eq!(last.len(), 8);
        assert_eq!(shadow.load(RAM_BASE + 0x20), 0x5566_7788_0000_0000);
        assert_eq!(shadow.load(RAM_BASE + 0x28), 0x1122_3344);
        assert_eq!(apply(&mut shadow, 0xffc, 8, [!0, 0]).len(), 4);
        assert_eq!(shadow.load(RAM_BASE + 0x1000), 0);
    }

    #[test]
    fn a_pair_over_the_end_of_a_page_touches_that_page_only() {
        // The kernel's heap is mapped page by page: the next frame is somebody else's, once a loaded root table.
        let mut shadow = Shadow::new().unwrap();
        assert_eq!(apply(&mut shadow, 0xff8, 16, [1, 2]), [(0xff8, 0, 1)]);
        assert_eq!(shadow.load(RAM_BASE + 0x1000), 0);
    }

    #[test]
    fn devices_are_left_out() {
        let mut shadow = Shadow::new().unwrap();
        let access = Access { pa: 0x900_0000, bytes: 4, value: [1, 0], is_store: true };
        access.apply(&mut shadow, |_, store| panic!("{store:?}"));
    }
}
