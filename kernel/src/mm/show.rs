//! What the tables say about an address, for last words and logs. Linux: `show_pte`.
//!
//! No lock is taken: whoever is at fault may hold the address space's. So the entry is read as it is read beside
//! writers, and what is shown may be old when it is read.

use core::fmt;

use paging::contpte::ptep_get_lockless;
use paging::walk::{Walk, walk};
use paging::{Level, Mmu, PhysAddr, Pte, VirtAddr};

/// What a walk for an address found; `Display` says it in words.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    va: VirtAddr,
    found: Found,
}

#[derive(Clone, Copy, Debug)]
enum Found {
    /// What the last-level entry says, with what is noted in its whole block.
    Entry(Pte),
    /// A block of this level.
    Block(Pte, Level),
    /// No table and no block at this level.
    Nothing(Level),
}

/// What the tables at `root` say about `va`. The tables stay while this reads them: on this CPU nothing else runs, and
/// other CPUs unlink no table of an address space that is loaded here.
pub fn show_pte<M: Mmu>(mmu: &M, root: PhysAddr, va: VirtAddr) -> Shown {
    let found = match walk(mmu, root, va) {
        Walk::Pte(at) => Found::Entry(ptep_get_lockless(mmu, at)),
        Walk::Block(block, level) => Found::Block(block, level),
        Walk::Absent(level) => Found::Nothing(level),
    };
    Shown { va, found }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let va = self.va.get();
        match self.found {
            Found::Entry(pte) => write!(f, "{va:#x}: {:#018x}, {pte:?}", pte.raw()),
            Found::Block(block, level) => {
                write!(f, "{va:#x}: {:#018x}, block of level {}, {block:?}", block.raw(), level.number())
            }
            Found::Nothing(level) => write!(f, "{va:#x}: nothing at level {}", level.number()),
        }
    }
}
