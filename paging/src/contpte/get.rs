//! Reading entries: as they are, and as the block says.

use super::extent;
use crate::desc::Pte;
use crate::granule::CONT_PTES;
use crate::mmu::Mmu;
use crate::walk::PteRef;

/// Reads one entry as it is in the table. For what is the same in a whole block: frame, permissions, software bits.
#[inline]
pub fn ptep_get_raw<M: Mmu>(mmu: &M, at: PteRef) -> Pte {
    Pte::from_raw(mmu.load(at.desc()))
}

/// Reads one entry; if it is part of a folded block, with the access flag and dirty state of the whole block, since
/// hardware may have noted an access in any of its entries (Arm ARM, RXDPXQ, INFFSV).
pub fn ptep_get<M: Mmu>(mmu: &M, at: PteRef) -> Pte {
    let mut pte = ptep_get_raw(mmu, at);
    let (first, nr) = extent(at, pte);
    if nr == 1 {
        return pte;
    }
    for index in 0..nr {
        if pte.is_young() && pte.is_dirty() {
            break;
        }
        pte = pte.gather(ptep_get_raw(mmu, first.add(index)));
    }
    pte
}

/// Reads one entry as [`ptep_get`] does, without the address space's lock: others may fold, unfold and replace the
/// block meanwhile.
///
/// The flags of 16 entries and the frame of one are several loads. They are taken for one state only if every entry
/// belonged to the block that the first load saw: valid, with the bit, the frame of its place, equal attributes.
/// Otherwise all is read again; each retry means that a writer got on. A block that was replaced by itself between
/// two loads (the same frames and attributes) gives flags of either time, which are both true.
///
/// The table must stay: whoever unlinks tables waits for such readers. What is read may be old when it is returned.
pub fn ptep_get_lockless<M: Mmu>(mmu: &M, at: PteRef) -> Pte {
    let block = at.cont_start();
    loop {
        let seen = ptep_get_raw(mmu, at);
        if !seen.is_valid() || !seen.is_cont() {
            return seen;
        }
        let mut gathered = seen;
        let belongs = |index: usize, entry: Pte| {
            entry.is_valid()
                && entry.block_attributes() == seen.block_attributes()
                && entry.pfn().get() + at.cont_index() as u64 == seen.pfn().get() + index as u64
        };
        let consistent = (0..CONT_PTES).all(|index| {
            let entry = ptep_get_raw(mmu, block.add(index));
            gathered = gathered.gather(entry);
            belongs(index, entry)
        });
        if consistent {
            return gathered;
        }
        core::hint::spin_loop();
    }
}
