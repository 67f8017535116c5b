//! Operations on folios that count: taking and dropping references and mappings.

use paging::{Event, Pfn};

use super::Mm;
use super::counts::{Counts, TooManyReferences};
use super::frame::Kind;
use super::machine::Machine;

impl<M: Machine> Mm<M> {
    /// A fresh anonymous folio of `order`, contents arbitrary, with one reference. `None` when memory is exhausted.
    #[inline]
    pub fn alloc_anon(&self, order: u8, owner: u32) -> Option<Pfn> {
        self.alloc_frames(order, Kind::Anon, owner)
    }

    /// A fresh anonymous folio of `order`, contents arbitrary, all of whose pages the caller is about to map. `None` when
    /// memory is exhausted.
    #[inline(always)]
    pub(super) fn alloc_anon_mapped(&self, order: u8, owner: u32) -> Option<Pfn> {
        self.alloc_counted(order, Kind::Anon, owner, Counts::maps(1 << order))
    }

    /// `nr` more PTEs map frames of the folio at `head`: counts them in one update, which also tells what the counts
    /// were before it.
    ///
    /// # Errors
    /// [`TooManyReferences`]; nothing was taken.
    #[inline]
    pub fn folio_add_mappings(&self, head: Pfn, nr: u32) -> Result<Counts, TooManyReferences> {
        self.folio_add(head, Counts::maps(nr))
    }

    /// `nr` PTEs that mapped frames of the folio are gone from tables and TLBs. Frees the folio with the last.
    #[inline]
    pub fn folio_remove_mappings(&self, head: Pfn, nr: u32) {
        self.folio_sub(head, Counts::maps(nr));
    }

    /// Whether nobody but those who map the folio refers to it.
    pub(super) fn is_unpinned(&self, head: Pfn) -> bool {
        let counts = self.frames.counts(head);
        counts.pins == 0 && counts.others == 0
    }

    /// Takes a reference to the folio.
    ///
    /// # Errors
    /// [`TooManyReferences`]; nothing was taken.
    pub fn folio_get(&self, head: Pfn) -> Result<(), TooManyReferences> {
        self.folio_add(head, Counts::ONE).map(drop)
    }

    /// Drops a reference to the folio and frees it with the last.
    pub fn folio_put(&self, head: Pfn) {
        self.folio_sub(head, Counts::ONE);
    }

    /// Adds references of any kind and returns how many there were.
    #[inline]
    pub(super) fn folio_add(&self, head: Pfn, more: Counts) -> Result<Counts, TooManyReferences> {
        self.machine.count(Event::FolioRefUpdates, 1);
        self.frames.add(head, more)
    }

    /// Drops references of any kind and frees the folio with the last.
    #[inline]
    pub(super) fn folio_sub(&self, head: Pfn, less: Counts) {
        self.machine.count(Event::FolioRefUpdates, 1);
        if self.frames.sub(head, less) {
            self.free_frames(head);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::testing::machine;

    #[test]
    fn a_folio_lives_until_its_last_reference() {
        let mm = machine();
        let free = mm.free_pages();
        let head = mm.alloc_anon(4, 1).unwrap();
        assert_eq!(mm.free_pages(), free - 16);
        assert_eq!(mm.frames.folio(head.add(5)).head, head);
        mm.folio_add_mappings(head, 16).unwrap();
        assert_eq!(mm.frames.counts(head), Counts { pins: 0, others: 1, maps: 16 });
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
        mm.frames.add(head, Counts::maps((1 << 31) - 1000)).unwrap();
        assert_eq!(mm.folio_add_mappings(head, 1), Err(TooManyReferences));
        assert_eq!(mm.frames.counts(head).maps, 1 << 31);
    }
}
