//! Simulated TLBs: how many misses the kernel's mappings cost, and what the contiguous bit saves.
//!
//! Two TLBs of the same shape see the same instruction fetches and data accesses of CPU 0. One keeps a contiguous block
//! as one entry, as hardware may; for the other the bit does not exist. Both are kept coherent by the guest's own
//! TLBIs. They simulate, and count, only within the window ([`Window`]) and start it empty.
//!
//! Fetches are looked up once per block of instructions that QEMU translated, and one TLB serves fetches and data, at
//! both levels.

use model::event::{Tlbi, TlbiOp};
use model::geometry::{Granule, LAST_LEVEL};
use model::operand;
use model::tlb::{EntrySize, Shape, Tlb, TlbConfig, TlbCounts};

use crate::options::{Options, Window};
use crate::tables::Leaf;

/// The hints of `user/src/rt/marker.rs`.
const BEGIN: u8 = 112;
const END: u8 = 113;

/// The ASID of entries that are valid in all address spaces; no process has it.
const GLOBAL: u16 = 0;

/// log2 of the bytes of each [`EntrySize`]: a page, a contiguous block of pages, an entry of level 2, one of level 1.
const fn shifts(granule: Granule) -> [u32; 4] {
    let page = granule.page_shift();
    [page, page + granule.contiguous(LAST_LEVEL).trailing_zeros(), granule.shift(2), granule.shift(1)]
}

/// The two TLBs and their counts.
pub struct Reach {
    window: Window,
    open: bool,
    instructions: u64,
    granule: Granule,
    shape: (Shape, Shape),
    honoured: Tlb,
    ignored: Tlb,
    sizes: Sizes,
}

/// The size of the entry that `leaf` gives a TLB that honours the contiguous bit, or not.
fn entry_size(leaf: &Leaf, honour: bool, granule: Granule) -> EntrySize {
    let [_, _, block, large] = shifts(granule);
    if leaf.shift >= large {
        EntrySize::LargeBlock
    } else if leaf.shift >= block {
        EntrySize::Block
    } else if honour && leaf.block_shift > leaf.shift {
        EntrySize::Contiguous
    } else {
        EntrySize::Page
    }
}

fn empty((l1, l2): (Shape, Shape), granule: Granule) -> Tlb {
    Tlb::new(TlbConfig { l1, l2, shifts: shifts(granule) })
}

impl Reach {
    /// Empty TLBs of the shape that the options ask for, of 4 KiB pages until [`Reach::translated_by`] says otherwise.
    pub fn new(options: &Options) -> Self {
        let shape = (
            Shape { sets: 1, ways: options.l1 },
            Shape { sets: options.l2 / options.ways, ways: options.ways },
        );
        let granule = Granule::K4;
        Reach {
            window: options.window,
            open: false,
            instructions: 0,
            granule,
            shape,
            honoured: empty(shape, granule),
            ignored: empty(shape, granule),
            sizes: Sizes::new(),
        }
    }

    /// The guest translates by `granule` from here on. A change empties the TLBs.
    pub fn translated_by(&mut self, granule: Granule) {
        if granule != self.granule {
            self.granule = granule;
            (self.honoured, self.ignored) = (empty(self.shape, granule), empty(self.shape, granule));
            self.sizes.forget();
        }
    }

    /// A hint was executed. Returns whether the window is open now.
    pub fn hint(&mut self, number: u8) -> bool {
        match (self.window, number) {
            (Window::Marked, BEGIN) => self.open = true,
            (Window::Marked, END) => self.open = false,
            _ => {}
        }
        self.open
    }

    /// A CPU returns to EL0. Returns whether the window is open now.
    pub fn user(&mut self) -> bool {
        self.open |= self.window == Window::User;
        self.open
    }

    /// So many instructions are executed.
    pub fn executed(&mut self, instructions: u32) {
        self.instructions += u64::from(instructions);
    }

    /// An access to `va` in address space `asid`; `translate` walks the tables.
    pub fn touch(&mut self, va: u64, asid: u16, translate: impl FnOnce() -> Option<Leaf>) {
        let Some((global, honoured, ignored)) = self.sizes.get(va, asid, self.granule, translate) else {
            return;
        };
        let asid = if global { GLOBAL } else { asid };
        self.honoured.access(va, asid, honoured);
        self.ignored.access(va, asid, ignored);
    }

    /// A TLBI is executed.
    pub fn invalidate(&mut self, tlbi: &Tlbi) {
        self.sizes.forget();
        let what = operand::decode(tlbi, self.granule);
        for tlb in [&mut self.honoured, &mut self.ignored] {
            match (tlbi.op, what.range, what.asid) {
                (TlbiOp::Vmalle1, _, _) | (_, None, None) => tlb.flush(),
                (_, None, Some(asid)) => tlb.flush_asid(asid),
                (_, Some((start, end)), asid) => tlb.flush_range(start, end, asid),
            }
        }
    }

    /// The result as `LABEL name=value ...`: instructions in the window, and misses of the first level and of both, with
    /// the contiguous bit and without.
    pub fn report(&self, label: &str) -> String {
        let (with, without) = (self.honoured.counts(), self.ignored.counts());
        let l1_misses = |counts: TlbCounts| counts.l2_hits + counts.misses;
        format!(
            "{label} instructions={} accesses={} l1_misses={} misses={} l1_misses_ignored={} misses_ignored={}",
            self.instructions,
            with.l1_hits + l1_misses(with),
            l1_misses(with),
            with.misses,
            l1_misses(without),
            without.misses
        )
    }
}

/// What an entry is to the two TLBs: global or not, its size with the contiguous bit honoured and ignored.
type Entry = (bool, EntrySize, EntrySize);

/// Remembers what walks found, because the TLBs ask before each access. Only valid entries, and only until the next
/// TLBI: a valid entry does not change without one.
struct Sizes {
    slots: Vec<(u64, u16, u64, Entry)>,
    round: u64,
}

const SLOTS: usize = 1 << 14;

impl Sizes {
    fn new() -> Self {
        Sizes { slots: vec![(0, 0, 0, (false, EntrySize::Page, EntrySize::Page)); SLOTS], round: 1 }
    }

    fn forget(&mut self) {
        self.round += 1;
    }

    fn get(
        &mut self,
        va: u64,
        asid: u16,
        granule: Granule,
        translate: impl FnOnce() -> Option<Leaf>,
    ) -> Option<Entry> {
        let page = va >> granule.page_shift();
        let slot = &mut self.slots[page as usize % SLOTS];
        if (slot.0, slot.1, slot.2) != (page, asid, self.round) {
            let leaf = translate()?;
            let size = |honour| entry_size(&leaf, honour, granule);
            *slot = (page, asid, self.round, (leaf.global, size(true), size(false)));
        }
        Some(slot.3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Leaf = Leaf { pa: 0, shift: 12, block_shift: 12, global: false };
    const MEMBER: Leaf = Leaf { block_shift: 16, ..PAGE };

    fn reach() -> Reach {
        Reach::new(&Options::default())
    }

    fn misses(reach: &Reach) -> (u64, u64) {
        (reach.honoured.counts().misses, reach.ignored.counts().misses)
    }

    #[test]
    fn a_block_is_one_entry_where_the_bit_counts() {
        let mut reach = reach();
        for page in 0..16 {
            reach.touch(page << 12, 1, || Some(MEMBER));
        }
        assert_eq!(misses(&reach), (1, 16));
        reach.touch(0x10_0000, 1, || None);
        assert_eq!(misses(&reach), (1, 16), "what faults is in no TLB");
    }

    #[test]
    fn sizes_are_those_of_the_guest_s_granule() {
        let mut reach = reach();
        reach.translated_by(Granule::K64);
        let member = Leaf { pa: 0, shift: 16, block_shift: 21, global: false };
        for page in 0..32 {
            reach.touch(page << 16, 1, || Some(member));
            reach.touch((page << 16) + 0x8000, 1, || Some(member));
        }
        assert_eq!(misses(&reach), (1, 32));
        // By 64 KiB pages, this names the second.
        reach.invalidate(&Tlbi { op: TlbiOp::Vale1, broadcast: true, operand: 1 << 48 | 0x10 });
        reach.touch(0x1_0000, 1, || Some(member));
        reach.touch(0, 1, || Some(member));
        assert_eq!(misses(&reach), (2, 33));
    }

    #[test]
    fn a_tlbi_ends_what_it_names() {
        let mut reach = reach();
        reach.touch(0x1000, 1, || Some(PAGE));
        reach.touch(0x2000, 2, || Some(PAGE));
        reach.touch(0xffff_0000_0000_0000, 2, || {
            Some(Leaf { shift: 21, block_shift: 21, global: true, ..PAGE })
        });
        assert_eq!(misses(&reach), (3, 3));
        reach.invalidate(&Tlbi { op: TlbiOp::Aside1, broadcast: true, operand: 1 << 48 });
        reach.touch(0x2000, 2, || Some(PAGE));
        assert_eq!(misses(&reach), (3, 3));
        // The page has become part of a block.
        reach.touch(0x1000, 1, || Some(MEMBER));
        reach.touch(0x3000, 1, || Some(MEMBER));
        assert_eq!(misses(&reach), (4, 5));
        reach.invalidate(&Tlbi { op: TlbiOp::Vale1, broadcast: true, operand: 2 << 48 | 2 });
        reach.touch(0x2000, 2, || Some(PAGE));
        assert_eq!(misses(&reach), (5, 6));
        reach.invalidate(&Tlbi { op: TlbiOp::Vmalle1, broadcast: true, operand: 0 });
        reach.touch(0xffff_0000_0000_0000, 3, || {
            Some(Leaf { shift: 21, block_shift: 21, global: true, ..PAGE })
        });
        assert_eq!(misses(&reach), (6, 7));
    }

    #[test]
    fn windows_open_by_mark_or_by_the_first_return_to_el0() {
        let mut marked = reach();
        assert!(!marked.user());
        assert!(marked.hint(BEGIN) && marked.hint(96) && !marked.hint(END));
        let mut user = Reach::new(&Options { window: Window::User, ..Options::default() });
        assert!(!user.hint(BEGIN));
        assert!(user.user() && user.hint(END));
    }
}
