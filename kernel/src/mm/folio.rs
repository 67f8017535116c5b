//! Operations on folios that count: taking and dropping references and mappings.

use paging::{Event, Pfn};

use super::Mm;
use super::frame::{Kind, TooManyReferences};
use super::machine::Machine;

impl<M: Machine> Mm<M> {
    /// A fresh anonymous folio of `order`, contents arbitrary, with one reference. `None` when memory is exhausted.
    #[inline]
    pub fn alloc_anon(&self, order: u8, owner: u32) -> Option<Pfn> {
        self.alloc_frames(order, Kind::Anon, owner)
    }

    /// `nr` more PTEs map frames of the folio at `head`: takes that many references and mappings in one update.
    ///
    /// # Errors
    /// [`TooManyReferences`]; nothing was taken.
    #[inline]
    pub fn folio_add_mappings(&self, head: Pfn, nr: u32) -> Result<(), TooManyReferences> {
        self.machine.count(Event::FolioRefUpdates, 1);
        self.frames.add(head, nr, nr)
    }

    /// `nr` PTEs that mapped frames of the folio are gone from tables and TLBs. Frees the folio with the last.
    #[inline]
    pub fn folio_remove_mappings(&self, head: Pfn, nr: u32) {
        self.machine.count(Event::FolioRefUpdates, 1);
        if self.frames.sub(head, nr, nr) {
            self.free_frames(head);
        }
    }

    /// Takes a reference to the folio.
    ///
    /// # Errors
    /// [`TooManyReferences`]; nothing was taken.
    pub fn folio_get(&self, head: Pfn) -> Result<(), TooManyReferences> {
        self.machine.count(Event::FolioRefUpdates, 1);
        self.frames.add(head, 1, 0)
    }

    /// Drops a reference to the folio and frees it with the last.
    pub fn folio_put(&self, head: Pfn) {
        self.machine.count(Event::FolioRefUpdates, 1);
        if self.frames.sub(head, 1, 0) {
            self.free_frames(head);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::frame::Counts;
    use crate::mm::testing::machine;

    #[test]
    fn a_folio_lives_until_its_last_reference() {
        let mm = machine();
        let free = mm.free_pages();
        let head = mm.alloc_anon(4, 1).unwrap();
        assert_eq!(mm.free_pages(), free - 16);
        assert_eq!(mm.frames.folio(head.add(5)).head, head);
        mm.folio_add_mappings(head, 16).unwrap();
        assert_eq!(mm.frames.counts(head), Counts { refs: 17, maps: 16 });
        mm.folio_put(head);
        mm.folio_remove_mappings(head, 15);
        assert_eq!(mm.frames.folio(head).kind, Kind::Anon);
        mm.folio_remove_mappings(head, 1);
        assert_eq!(mm.frames.folio(head).kind, Kind::Free);
        assert_eq!(mm.free_pages(), free);
    }

    #[test]
    fn counts_take_far_more_than_256_references_and_stop_before_they_wrap() {
        // Failure 14: 8-bit counts freed a live page at the 256th fork.
        let mm = machine();
        let head = mm.alloc_anon(0, 1).unwrap();
        for _ in 0..1000 {
            mm.folio_add_mappings(head, 1).unwrap();
        }
        assert_eq!(mm.frames.counts(head).maps, 1000);
        mm.frames.add(head, (1 << 31) - 1, (1 << 31) - 1001).unwrap();
        assert_eq!(mm.folio_add_mappings(head, 1), Err(TooManyReferences));
        assert_eq!(mm.frames.counts(head).maps, (1 << 31) - 1);
    }
}
