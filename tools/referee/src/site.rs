//! Instrumented places in the guest's code: what a callback gets to know about where it is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::insn::{Insn, decode};

/// An instruction, or a block of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Site {
    /// Virtual address, in bytes.
    pub pc: u64,
    /// The instruction, if it is one of interest beyond its accesses.
    pub insn: Option<Insn>,
    /// How many instructions: more than one for a block.
    pub insns: u32,
}

/// All sites there ever were. QEMU holds pointers to them and does not say when it drops one, so they live for ever;
/// equal ones are the same, so that translating code again costs no memory.
#[derive(Default)]
pub struct Sites {
    /// By address, instruction word (0 for blocks) and number of instructions.
    all: Mutex<HashMap<(u64, u32, u32), &'static Site>>,
}

impl Sites {
    fn get(&self, word: u32, site: Site) -> &'static Site {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry((site.pc, word, site.insns)).or_insert_with(|| Box::leak(Box::new(site)))
    }

    /// The site of the instruction `word` at `pc`.
    pub fn instruction(&self, pc: u64, word: u32) -> &'static Site {
        self.get(word, Site { pc, insn: decode(word), insns: 1 })
    }

    /// The site of the block of `insns` instructions at `pc`.
    pub fn block(&self, pc: u64, insns: u32) -> &'static Site {
        self.get(0, Site { pc, insn: None, insns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sites_are_one() {
        const ISB: u32 = 0xd503_3fdf;
        let sites = Sites::default();
        assert!(std::ptr::eq(sites.instruction(4, ISB), sites.instruction(4, ISB)));
        assert!(!std::ptr::eq(sites.instruction(4, ISB), sites.instruction(8, ISB)));
        assert!(
            !std::ptr::eq(sites.instruction(4, ISB), sites.instruction(4, 0xf900_0041)),
            "new code there"
        );
        assert!(!std::ptr::eq(sites.block(4, 1), sites.block(4, 2)));
        assert_eq!(sites.instruction(4, ISB).insn, Some(Insn::Isb));
    }
}
