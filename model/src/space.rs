//! Trees of tables as TTBRs name them: which CPUs have one loaded, and which may hold translations of it.

use alloc::vec::Vec;

/// The tag of records of global entries below TTBR0; they belong to all address spaces.
pub(crate) const GLOBAL: u32 = 0;
/// The tag of all records of the kernel's half.
pub(crate) const KERNEL: u32 = 1;
/// The first tag of an address space.
const FIRST: u32 = 2;

/// One tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    /// Its name, never used twice.
    pub tag: u32,
    /// 0 for TTBR0, 1 for TTBR1.
    pub half: u8,
    /// Physical address of its top-level table.
    pub root: u64,
    /// The ASID of its entries; 0 in the kernel's half.
    pub asid: u16,
    /// CPUs, one bit each, that may hold translations of it: it was loaded there since the last flush.
    pub ran: u8,
    /// CPUs, one bit each, that have it loaded.
    pub loaded: u8,
    /// It runs under another ASID now; this one only says who may hold translations under the former.
    pub ghost: bool,
    /// It has had global entries below TTBR0.
    pub global: bool,
}

impl Space {
    /// The tag under which records of its entries are kept.
    pub(crate) fn record_tag(&self, global: bool) -> u32 {
        match (self.half, global) {
            (1, _) => KERNEL,
            (_, true) => GLOBAL,
            _ => self.tag,
        }
    }
}

/// All known trees.
#[derive(Clone, Debug)]
pub(crate) struct Spaces {
    all: Vec<Space>,
    next: u32,
}

impl Default for Spaces {
    fn default() -> Self {
        Spaces { all: Vec::new(), next: FIRST }
    }
}

impl Spaces {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Space> {
        self.all.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Space> {
        self.all.iter_mut()
    }

    pub(crate) fn get(&self, tag: u32) -> Option<&Space> {
        self.all.iter().find(|space| space.tag == tag)
    }

    pub(crate) fn get_mut(&mut self, tag: u32) -> Option<&mut Space> {
        self.all.iter_mut().find(|space| space.tag == tag)
    }

    /// The tree at `root` that TTBR0 or TTBR1 (`half`) may be loaded with.
    pub(crate) fn find(&self, half: u8, root: u64) -> Option<u32> {
        let found = self.all.iter().find(|space| space.half == half && space.root == root && !space.ghost);
        found.map(|space| space.tag)
    }

    /// Adds a tree that no CPU has run; returns its tag.
    pub(crate) fn add(&mut self, half: u8, root: u64, asid: u16) -> u32 {
        let tag = self.next;
        self.next += 1;
        self.all.push(Space { tag, half, root, asid, ran: 0, loaded: 0, ghost: false, global: false });
        tag
    }

    /// Splits off what `tag` ran as until now: from here on it has ASID `asid` and ran nowhere.
    pub(crate) fn change_asid(&mut self, tag: u32, asid: u16) {
        let next = self.next;
        let Some(space) = self.get_mut(tag) else { return };
        let former = Space { tag: next, ghost: true, loaded: 0, ..*space };
        (space.asid, space.ran) = (asid, 0);
        if former.ran != 0 {
            self.next += 1;
            self.all.push(former);
        }
    }

    pub(crate) fn remove(&mut self, tag: u32) {
        self.all.retain(|space| space.tag != tag);
    }
}
