//! Contpte blocks' places that have holes, as one look at each finds them.
//!
//! A hole unfolds its block, and a folio of many blocks in which single pages were given back is nothing but such
//! places. Whoever goes through them entry by entry spends more on the ends of the runs between two holes than on the runs.
//! So a look at a whole place says all of it at once ([`Mmu::survey`](crate::Mmu::survey)), and what it found is then
//! written without another ([`Mmu::copy_sparse`](crate::Mmu::copy_sparse)).
//!
//! A place is taken whole or not at all: if one of its entries is neither empty nor what its neighbours make expected,
//! nothing is said of it, and it is for those who know what to do with entries that differ.

use crate::addr::Pfn;
use crate::desc::Pte;
use crate::granule::{CONT_PTES, PAGE_SIZE};

/// Entries of which one word of [`Sparse`] tells.
const GROUP: usize = 16;

/// What the entries of a contpte block's place hold: consecutive frames, such that a block could map them, and for the
/// rest the same, or nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Sparse {
    /// The first entry, or what it would be if it is a hole; 0 if all are.
    first: u64,
    /// Entries that are not empty.
    pages: u64,
    /// Four bits for each entry, set if it is empty: what a comparison by vectors leaves with the fewest instructions.
    holes: [u64; CONT_PTES / GROUP],
}

impl Sparse {
    /// Nothing but holes.
    pub const EMPTY: Sparse = Sparse { first: 0, pages: 0, holes: [!0; CONT_PTES / GROUP] };

    /// Looks at the place whose entries are `entry` of 0 to [`CONT_PTES`]. None if one is neither empty nor, apart from
    /// its frame, `attributes`, or if their frames are not those of a block.
    #[inline]
    pub(crate) fn look(entry: impl Fn(usize) -> u64, attributes: u64) -> Option<Sparse> {
        let mut sparse = Sparse::EMPTY;
        for index in 0..CONT_PTES {
            let (raw, ahead) = (entry(index), index as u64 * PAGE_SIZE);
            if raw == 0 {
                continue;
            }
            if sparse.pages == 0 {
                sparse.first = raw.wrapping_sub(ahead);
                let first = Pte::from_raw(sparse.first);
                if first.attributes() != attributes || first.pfn().get() & (CONT_PTES as u64 - 1) != 0 {
                    return None;
                }
            } else if raw != sparse.first + ahead {
                return None;
            }
            sparse.pages += 1;
            sparse.holes[index / GROUP] &= !Self::bits(index);
        }
        Some(sparse)
    }

    const fn bits(index: usize) -> u64 {
        0xf << (4 * (index % GROUP))
    }

    /// How many entries are not empty.
    #[inline(always)]
    pub const fn pages(&self) -> usize {
        self.pages as usize
    }

    /// Whether none is a hole.
    #[inline(always)]
    pub const fn is_whole(&self) -> bool {
        self.pages == CONT_PTES as u64
    }

    /// Whether entry number `index` is there.
    #[inline(always)]
    pub const fn holds(&self, index: usize) -> bool {
        self.holes[index / GROUP] & Self::bits(index) == 0
    }

    /// The frame of the first entry, be it that nothing maps it: the first of the block's.
    #[inline(always)]
    pub const fn start(&self) -> Pfn {
        Pte::from_raw(self.first).pfn()
    }

    /// The first frame that an entry maps. Not if there is none.
    #[inline(always)]
    pub fn first_mapped(&self) -> Pfn {
        debug_assert!(self.pages > 0);
        let mut index = 0;
        for holes in self.holes {
            let group = holes.trailing_ones() as u64 / 4;
            index += group;
            if group < GROUP as u64 {
                break;
            }
        }
        self.start().add(index)
    }
}
