//! What a program claims of its own address space, held against the page tables.
//!
//! A kernel tells programs what it maps for them, in `/proc/<pid>/smaps` and the like. A program that was told passes it
//! on: it executes HINT [`CLAIM`] with the figures in registers, and they have to be what the tables say at that
//! moment. On another kernel, or when nobody watches, the hint does nothing.
//!
//! | register | what it holds |
//! |---|---|
//! | X0, X1 | the range of addresses: its first, and the first behind it |
//! | X2 | pages that are mapped, however |
//! | X3 | pages of them that are mapped by contiguous blocks of last-level entries |
//! | X4 | pages of them that are mapped by entries of a level above the last |
//! | X5 | a frame's number whose mappings are not counted (the page of zeroes, which no process is charged for); 0: none |
//! | X6 | log2 of the pages in a folio |
//! | X7 | naturally aligned groups of so many pages that map consecutive frames, aligned as well: such folios |

use std::fmt;

use crate::tables::{Leaf, Regime};

/// The hint of `user/src/rt/marker.rs`.
pub const CLAIM: u8 = 114;

/// How many registers a claim is made of.
pub const REGISTERS: usize = 8;

/// More pages than this are no claim, but a mistake: a walk over each would take for ever.
const MOST_PAGES: u64 = 1 << 24;

/// What is claimed, or found, of a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Pages mapped.
    pub pages: u64,
    /// Of them, those mapped by contiguous blocks.
    pub contiguous: u64,
    /// Of them, those mapped above the last level.
    pub blocks: u64,
    /// Aligned groups of consecutive frames.
    pub folios: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { pages, contiguous, blocks, folios } = self;
        write!(
            f,
            "{pages} pages, {contiguous} by contiguous blocks, {blocks} by block descriptors, {folios} folios"
        )
    }
}

/// A claim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    start: u64,
    end: u64,
    omitted: u64,
    order: u32,
    figures: Figures,
}

/// Why a claim does not hold, in words.
pub type Refutation = String;

impl Claim {
    /// The claim that these registers make.
    pub fn new(x: [u64; REGISTERS]) -> Self {
        let [start, end, pages, contiguous, blocks, omitted, order, folios] = x;
        let figures = Figures { pages, contiguous, blocks, folios };
        Claim { start, end, omitted, order: order.min(63) as u32, figures }
    }

    /// Holds it against the tables that `regime` translates by and `word` reads.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self, regime: &Regime, word: impl Fn(u64) -> u64) -> Result<(), Refutation> {
        let page = 1 << regime.page_shift(0);
        let Claim { start, end, figures, .. } = *self;
        if start % page != 0 || end % page != 0 || start >= end || (end - start) / page > MOST_PAGES {
            return Err(format!("a claim about {start:#x}..{end:#x}, which is no range of pages"));
        }
        let found = self.found(page, |va| regime.translate(&word, va));
        if found == figures {
            return Ok(());
        }
        Err(format!(
            "a program was told something else of {start:#x}..{end:#x} than its tables say (folios of {} pages)\n  \
             told:   {figures}\n  tables: {found}",
            1u64 << self.order
        ))
    }

    /// What the tables say.
    fn found(&self, page: u64, translate: impl Fn(u64) -> Option<Leaf>) -> Figures {
        let mut found = Figures::default();
        let group = page.checked_shl(self.order).unwrap_or(0);
        // Where the group that `va` is in begins, if all of it up to there is mapped in step.
        let mut in_step = None;
        for va in (self.start..self.end).step_by(page as usize) {
            let leaf = translate(va).filter(|leaf| leaf.pa / page != self.omitted || self.omitted == 0);
            let Some(leaf) = leaf else {
                in_step = None;
                continue;
            };
            found.pages += 1;
            if 1 << leaf.shift > page {
                found.blocks += 1;
            } else if leaf.block_shift > leaf.shift {
                found.contiguous += 1;
            }
            if group == 0 {
                continue;
            }
            if va % group == 0 {
                in_step = (leaf.pa % group == 0).then_some(leaf.pa);
            } else {
                in_step = in_step.filter(|first| leaf.pa == first + va % group);
            }
            found.folios += u64::from(in_step.is_some() && (va + page).is_multiple_of(group));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insn::SystemRegister;
    use std::collections::HashMap;

    const PAGE: u64 = 4096;
    const CONTIGUOUS: u64 = 1 << 52;
    /// A frame's address, aligned to 2 MiB.
    const FRAME: u64 = 0x4020_0000;

    /// Tables that map, from address 0: 16 pages as a contiguous block, 4 consecutive single pages, the frame at 0x5000 and
    /// a hole; at 2 MiB a block.
    fn tables() -> (Regime, HashMap<u64, u64>) {
        let mut regime = Regime::default();
        regime.write(SystemRegister::Tcr, 16 | 16 << 16 | 2 << 30);
        regime.write(SystemRegister::Ttbr0, 0x1000);
        regime.write(SystemRegister::Sctlr, 1);
        let mut words = HashMap::from([(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x4003)]);
        words.insert(0x3008, FRAME | 1);
        for page in 0..20 {
            let cont = if page < 16 { CONTIGUOUS } else { 0 };
            words.insert(0x4000 + 8 * page, (FRAME + page * PAGE) | cont | 3);
        }
        words.insert(0x4000 + 8 * 20, 0x5003);
        (regime, words)
    }

    fn check(start: u64, end: u64, figures: [u64; 3], omitted: u64, order: u64, folios: u64) -> bool {
        let (regime, words) = tables();
        let [pages, contiguous, blocks] = figures;
        let claim = Claim::new([start, end, pages, contiguous, blocks, omitted, order, folios]);
        claim.check(&regime, |pa| words.get(&pa).copied().unwrap_or(0)).is_ok()
    }

    #[test]
    fn what_the_tables_say_holds_and_nothing_else() {
        let all = 4 << 20;
        assert!(check(0, all, [21 + 512, 16, 512], 0, 4, 1 + 32));
        assert!(check(0, all, [20 + 512, 16, 512], 5, 4, 1 + 32), "the frame that is left out");
        for wrong in [[20 + 512, 16, 512], [21 + 512, 15, 512], [21 + 512, 16, 511]] {
            assert!(!check(0, all, wrong, 0, 4, 1 + 32), "{wrong:?}");
        }
        assert!(!check(0, all, [21 + 512, 16, 512], 0, 4, 32));
    }

    #[test]
    fn groups_are_aligned_whole_and_in_step() {
        assert!(check(0, 32 * PAGE, [21, 16, 0], 0, 2, 5), "four of the block and the single pages");
        assert!(check(0, 32 * PAGE, [21, 16, 0], 0, 0, 21), "a page is a group");
        assert!(check(PAGE, 8 * PAGE, [7, 7, 0], 0, 2, 1), "what the range cuts off is no group");
        assert!(check(2 << 20, 4 << 20, [512, 0, 512], 0, 9, 1));
    }

    #[test]
    fn a_claim_about_no_range_does_not_hold() {
        for (start, end) in [(0, 0), (1, PAGE), (2 * PAGE, PAGE), (0, 1 << 48)] {
            assert!(!check(start, end, [0, 0, 0], 0, 0, 0), "{start:#x}..{end:#x}");
        }
    }
}
