//! Who makes room for a large folio when there is none: the setting behind
//! `/sys/kernel/mm/transparent_hugepage/defrag`.
//!
//! Free memory here is merged at once, and nothing of it is moved to make more of one piece: there is no compaction,
//! neither by who asks nor in the background. What a fault can do for a large folio is to discard what its address
//! space freed lazily (MADV_FREE), so that is the effort that the setting permits or not. `defer`, which on Linux
//! leaves the work to the background, therefore does what `never` does.

use core::sync::atomic::{AtomicU8, Ordering};

use super::Mm;
use super::frame::Kind;
use super::machine::Machine;
use super::space::AddressSpace;
use super::vma::VmaFlags;

/// What the setting can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Defrag {
    /// Every fault makes room.
    Always = 0,
    /// None does; the background would, if there were any.
    Defer = 1,
    /// One where MADV_HUGEPAGE asks for large folios does; for the others as `Defer`.
    DeferMadvise = 2,
    /// One where MADV_HUGEPAGE asks for large folios does.
    Madvise = 3,
    /// None does.
    Never = 4,
}

impl Defrag {
    /// All of them with their words, in the order in which the file shows them.
    pub const WORDS: [(Defrag, &'static str); 5] = [
        (Defrag::Always, "always"),
        (Defrag::Defer, "defer"),
        (Defrag::DeferMadvise, "defer+madvise"),
        (Defrag::Madvise, "madvise"),
        (Defrag::Never, "never"),
    ];
}

/// The setting. Linux's default: `madvise`.
pub struct DefragSetting(AtomicU8);

impl DefragSetting {
    pub(super) const fn new() -> Self {
        DefragSetting(AtomicU8::new(Defrag::Madvise as u8))
    }

    /// What it is.
    pub fn get(&self) -> Defrag {
        let raw = usize::from(self.0.load(Ordering::Relaxed));
        Defrag::WORDS.get(raw).map_or(Defrag::Never, |(defrag, _)| *defrag)
    }

    /// Sets it to what `word` stands for; `None` if that is nothing.
    pub fn set(&self, word: &[u8]) -> Option<()> {
        let (defrag, _) = Defrag::WORDS.into_iter().find(|(_, known)| known.as_bytes() == word)?;
        self.0.store(defrag as u8, Ordering::Relaxed);
        Some(())
    }

    /// Whether a fault in a VMA with `flags` makes room.
    fn is_direct(&self, flags: VmaFlags) -> bool {
        match self.get() {
            Defrag::Always => true,
            Defrag::DeferMadvise | Defrag::Madvise => flags.contains(VmaFlags::HUGEPAGE),
            Defrag::Defer | Defrag::Never => false,
        }
    }
}

impl AddressSpace {
    /// There is no folio of `order` (1 at least) for a fault in a VMA with `flags`: makes room if the setting lets it;
    /// returns whether there is such a folio now.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room_for<M: Machine>(&mut self, mm: &Mm<M>, order: u8, flags: VmaFlags) -> bool {
        mm.defrag.is_direct(flags) && self.discard_lazy_for(mm, order)
    }

    /// Discards what was freed lazily until there is a folio of `order`; returns whether there is one.
    pub(super) fn discard_lazy_for<M: Machine>(&mut self, mm: &Mm<M>, order: u8) -> bool {
        // Each time less is left of what was advised.
        while self.discard_lazy(mm) > 0 {
            if let Some(head) = mm.alloc_frames(order, Kind::Anon, 0) {
                mm.folio_put(head); // to this CPU's cache, where the fault takes it from
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use linux_raw_sys::general::MADV_FREE;
    use paging::{CONT_PTES, PAGE_SIZE};

    use super::*;
    use crate::mm::policy::{BLOCK_ORDER, Setting};
    use crate::mm::testing::{Process, machine};

    const BASE: usize = 0x4000_0000;
    const PAGE: usize = PAGE_SIZE as usize;

    /// The order of the folio that a write gets when nothing is free but what the process freed lazily.
    fn order_after(word: &[u8], asks: bool) -> u8 {
        let mm = machine();
        assert_eq!(mm.defrag.set(word), Some(()));
        assert!(mm.policy.set(BLOCK_ORDER, Setting::Always));
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 16 * CONT_PTES);
        if asks {
            process
                .space
                .madvise(&mm, BASE, 16 * CONT_PTES * PAGE, linux_raw_sys::general::MADV_HUGEPAGE)
                .unwrap();
        }
        // The table is there, and so is a folio that is freed as a whole.
        for block in 0..4 {
            process.write(BASE + block * CONT_PTES * PAGE, 1).unwrap();
        }
        process.space.madvise(&mm, BASE, 4 * CONT_PTES * PAGE, MADV_FREE).unwrap();
        let mut held = mm.hold_all();
        assert!(held.release(1));
        let at = BASE + 8 * CONT_PTES * PAGE;
        process.write(at, 1).unwrap();
        let order = mm.frames.folio(process.pte(at).pfn()).order;
        drop(held);
        process.exit();
        order
    }

    #[test]
    fn who_makes_room_follows_the_setting() {
        assert_eq!(order_after(b"always", false), BLOCK_ORDER);
        assert_eq!(order_after(b"madvise", false), 0);
        assert_eq!(order_after(b"madvise", true), BLOCK_ORDER);
        assert_eq!(order_after(b"defer+madvise", true), BLOCK_ORDER);
        assert_eq!(order_after(b"defer", true), 0);
        assert_eq!(order_after(b"never", true), 0);
    }

    #[test]
    fn words_are_those_of_the_setting() {
        let setting = DefragSetting::new();
        assert_eq!(setting.get(), Defrag::Madvise);
        for (defrag, word) in Defrag::WORDS {
            assert_eq!((setting.set(word.as_bytes()), setting.get()), (Some(()), defrag));
        }
        assert_eq!((setting.set(b"defer+"), setting.get()), (None, Defrag::Never));
    }
}
