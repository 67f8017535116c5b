//! Which tree a CPU translates by, under which ASID, and which trees may be forgotten.

use crate::desc::Desc;
use crate::event::Memory;
use crate::report::Matter;
use crate::rule::Rule;
use crate::space::Space;
use crate::state::Model;

/// BADDR of a TTBR, for tables that begin on a page.
const BASE: u64 = 0x0000_ffff_ffff_f000;

impl Model {
    /// `cpu` wrote `value` to TTBR0_EL1 (`half` 0) or TTBR1_EL1 (1).
    pub(crate) fn write_ttbr<M: Memory + ?Sized>(&mut self, cpu: u8, half: u8, value: u64, memory: &M) {
        let root = self.tables.page_of(value & BASE);
        let asid = if half == 0 { (value >> 48) as u16 } else { 0 };
        let bit = 1 << cpu;
        let tag = match self.spaces.find(half, root) {
            Some(tag) => tag,
            None => self.learn_tree(half, root, asid, memory),
        };
        let Some(space) = self.spaces.get(tag) else { return };
        if space.asid != asid {
            self.spaces.change_asid(tag, asid);
        }
        self.check_asid(cpu, tag);
        let state = &mut self.cpus[cpu as usize];
        let left = state.current[half as usize].replace(tag).filter(|left| *left != tag);
        state.leaving.extend(left);
        state.leaving.retain(|leaving| *leaving != tag);
        let mmu_on = state.mmu_on;
        if let Some(space) = self.spaces.get_mut(tag) {
            space.loaded |= bit;
            space.ran |= if mmu_on { bit } else { 0 };
        }
        for pending in self.cpus.iter_mut().flat_map(|cpu| &mut cpu.pending) {
            if pending.tag == tag {
                pending.clears &= !bit;
            }
        }
    }

    fn learn_tree<M: Memory + ?Sized>(&mut self, half: u8, root: u64, asid: u16, memory: &M) -> u32 {
        if let Some(table) = self.tables.get(root) {
            // Both halves may share an empty table; anything else is a table of another tree.
            let empty = table.words.iter().all(|word| word & 1 == 0);
            let at = table.at(root, 0, self.config.granule);
            let record = self.unlinked_above(&at);
            if table.frozen || !empty {
                self.report(Rule::TableReused, Matter { at: Some(at), old: 0, new: root, record });
            }
            self.forget_below(root);
        }
        let tag = self.spaces.add(half, root, asid);
        let level = self.config.granule.start_level(self.config.va_bits);
        let va = if half == 1 { !0 << self.config.va_bits } else { 0 };
        self.learn(root, tag, level, va, memory);
        tag
    }

    /// Whether nothing is mapped by the tree.
    fn is_empty(&self, root: u64) -> bool {
        self.tables.get(root).is_none_or(|table| table.words.iter().all(|word| word & 1 == 0))
    }

    /// `cpu` is about to translate by the tree `tag`: no other tree's translations may be left under its
    /// ASID, except that nothing can be wrong about a tree without entries, which is how another one is got
    /// rid of.
    fn check_asid(&mut self, cpu: u8, tag: u32) {
        let Some(new) = self.spaces.get(tag).copied() else { return };
        let left_over = |other: &&Space| {
            let same_tag = other.asid == new.asid || other.global;
            other.half == new.half && other.root != new.root && same_tag && other.ran & 1 << cpu != 0
        };
        let conflicts = self.spaces.iter().filter(left_over).copied();
        let Some(other) = conflicts.into_iter().find(|other| other.ghost || !self.is_empty(other.root))
        else {
            return;
        };
        if self.is_empty(new.root) {
            return;
        }
        let rule = match (new.half, other.asid == new.asid) {
            (1, _) => Rule::KernelTableSwitch,
            (_, true) => Rule::AsidReused,
            _ => Rule::GlobalOverlap,
        };
        let at = self.tables.get(new.root).map(|table| table.at(new.root, 0, self.config.granule));
        self.report(rule, Matter { at, old: other.root, new: new.root, record: None });
        // Said once; what is left over is the new tree's now.
        if let Some(other) = self.spaces.get_mut(other.tag) {
            other.ran &= !(1 << cpu);
        }
    }

    /// A context synchronisation event: walks by trees that `cpu` left are over.
    pub(crate) fn synchronised(&mut self, cpu: u8) {
        while let Some(tag) = self.cpus[cpu as usize].leaving.pop() {
            if let Some(space) = self.spaces.get_mut(tag) {
                space.loaded &= !(1 << cpu);
            }
            self.forget_if_unused(tag);
        }
    }

    pub(crate) fn set_mmu(&mut self, cpu: u8, on: bool) {
        self.cpus[cpu as usize].mmu_on = on;
        for space in self.spaces.iter_mut().filter(|space| on && space.loaded & 1 << cpu != 0) {
            space.ran |= 1 << cpu;
        }
    }

    /// Forgets a tree that no CPU has loaded and that is in no TLB: nobody can see what happens to it.
    pub(crate) fn forget_if_unused(&mut self, tag: u32) {
        let Some(space) = self.spaces.get(tag).filter(|space| space.ran == 0 && space.loaded == 0) else {
            return;
        };
        if !space.ghost {
            self.tables.remove_tree(tag);
            self.stale.remove_tree(tag);
        }
        self.spaces.remove(tag);
    }

    /// A descriptor as the model knows it, for hosts that resolve addresses: the word at `pa` in a known
    /// table.
    pub fn descriptor(&self, pa: u64) -> Option<u64> {
        let page = self.tables.page_of(pa);
        self.tables.get(page).map(|table| Desc(table.words[((pa - page) / 8) as usize]).0)
    }
}
