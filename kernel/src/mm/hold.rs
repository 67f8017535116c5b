//! Taking memory away for a while, so that tests can run out of it at a chosen point, whatever the machine's size.
//!
//! The buddy's free blocks are held as they are, by the block and not by the frame, chained through their own first
//! words: holding all of 64 GiB costs as little as holding 64 MiB.

use paging::Pfn;

use super::Mm;
use super::machine::Machine;

/// One more than log2 of the largest block in frames that the buddy may hand out.
const MAX_BLOCK_ORDER: u8 = 26;

/// Memory held back from everybody; given back when dropped.
#[must_use = "dropping it gives the memory back"]
pub struct Held<'m, M: Machine> {
    mm: &'m Mm<M>,
    /// The last block held: its first frame and its order. The block's first two words say which came before.
    top: Option<(Pfn, u8)>,
}

impl<M: Machine> Mm<M> {
    /// Holds back all free memory; [`Held::release`] lets some of it go again.
    pub fn hold_all(&self) -> Held<'_, M> {
        let mut held = Held { mm: self, top: None };
        self.drain_caches();
        for order in (0..=MAX_BLOCK_ORDER).rev() {
            while let Some(pfn) = self.buddy.lock().alloc(&self.machine, order) {
                held.push(pfn, order);
            }
        }
        held
    }
}

impl<M: Machine> Held<'_, M> {
    fn link(&self, pfn: Pfn) -> *mut [u64; 2] {
        self.mm.machine.ptr(pfn.addr()).cast()
    }

    fn push(&mut self, pfn: Pfn, order: u8) {
        let (before, its_order) = self.top.unwrap_or((Pfn::new(0), u8::MAX));
        // SAFETY: the block came from the buddy and is nobody else's while it is held.
        unsafe { self.link(pfn).write([before.get(), its_order as u64]) };
        self.top = Some((pfn, order));
    }

    fn pop(&mut self) -> Option<(Pfn, u8)> {
        let (pfn, order) = self.top?;
        // SAFETY: `push` wrote it, and the block is still held.
        let [before, its_order] = unsafe { self.link(pfn).read() };
        self.top = (its_order as u8 != u8::MAX).then_some((Pfn::new(before), its_order as u8));
        Some((pfn, order))
    }

    /// Gives `frames` single frames back; returns whether there were as many.
    pub fn release(&mut self, frames: u64) -> bool {
        for _ in 0..frames {
            let Some((pfn, mut order)) = self.pop() else { return false };
            while order > 0 {
                order -= 1;
                self.push(pfn.add(1 << order), order);
            }
            self.mm.buddy.lock().free(&self.mm.machine, pfn, 0);
        }
        true
    }
}

impl<M: Machine> Drop for Held<'_, M> {
    fn drop(&mut self) {
        // What the test freed meanwhile went to the caches or the buddy and merges with what comes now.
        while let Some((pfn, order)) = self.pop() {
            self.mm.buddy.lock().free(&self.mm.machine, pfn, order);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::mm::frame::MAX_ORDER;
    use crate::mm::testing::machine;

    #[test]
    fn held_memory_is_gone_and_comes_back() {
        let mm = machine();
        let free = mm.free_pages();
        let mut held = mm.hold_all();
        assert_eq!(mm.free_pages(), 0);
        assert!(mm.alloc_anon(0, 0).is_none());
        assert!(held.release(3));
        assert_eq!(mm.free_pages(), 3);
        let one = mm.alloc_anon(0, 0).unwrap();
        drop(held);
        mm.folio_put(one);
        assert_eq!(mm.free_pages(), free);
        let whole = mm.hold_all();
        drop(whole);
        let large = mm.alloc_anon(MAX_ORDER, 0).expect("blocks merge again");
        mm.folio_put(large);
    }
}
