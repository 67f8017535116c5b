//! What one stage-1 descriptor says, bit by bit, and the transformations the kernel applies to it.
//!
//! A [`Pte`] is a value, not a place: nothing here touches a table. Names follow Linux's `pgtable.h`.
//!
//! # Writable and dirty
//!
//! The same bits serve CPUs with and without hardware dirty state management (FEAT_HAFDBS). *Writable* is the DBM
//! bit: with the feature it lets hardware clear RDONLY at the first write, without it the CPU ignores it and the
//! write faults into software, which does the same. *Dirty* is RDONLY clear on a writable entry, or the software bit
//! SW_DIRTY, which keeps the fact when the entry is write-protected.
//!
//! | | WRITE (DBM) | RDONLY (AP\[2\]) | SW_DIRTY |
//! |---|---|---|---|
//! | read-only, clean | 0 | 1 | 0 |
//! | read-only, dirty | 0 | 1 | 1 |
//! | writable, clean | 1 | 1 | 0 |
//! | writable, dirty | 1 | 0 | any |
//!
//! # Present and valid
//!
//! Hardware looks at VALID alone. An entry is *present* if it names a frame for the kernel: a valid one, or one of
//! PROT_NONE, which keeps all bits but VALID and is known by nG. Every other entry has VALID, TABLE and nG clear and
//! says in bits that hardware never reads what stands in the frame's place ([`NonPresent`]).
//!
//! | | VALID | nG |
//! |---|---|---|
//! | valid, user | 1 | 1 |
//! | valid, kernel | 1 | 0 |
//! | PROT_NONE | 0 | 1 |
//! | not present | 0 | 0 |
//!
//! # Tracking writes
//!
//! SW_UFFD_WP marks a page whose writes userfaultfd wants to hear of: such an entry is write-protected, whatever its
//! VMA permits. SW_SOFT_DIRTY says that a page was written since somebody began to ask. Both are at the same place in
//! present and in other entries, so that the same functions set and clear them, and a page keeps them while it is
//! swapped out.

use core::fmt;

use crate::addr::{Pfn, PhysAddr};
use crate::granule::{PAGE_SHIFT, PAGE_SIZE};

mod bits;
mod nonpresent;

pub use bits::DESC;
pub use nonpresent::{Marker, NonPresent, SwapEntry};

const VALID: u64 = DESC::VALID::SET.value;
const TABLE: u64 = DESC::TABLE::SET.value;
const USER: u64 = DESC::USER::SET.value;
const RDONLY: u64 = DESC::RDONLY::SET.value;
const AF: u64 = DESC::AF::SET.value;
const NG: u64 = DESC::NG::SET.value;
const WRITE: u64 = DESC::DBM::SET.value;
const CONT: u64 = DESC::CONT::SET.value;
const PXN: u64 = DESC::PXN::SET.value;
const UXN: u64 = DESC::UXN::SET.value;
const SW_DIRTY: u64 = DESC::SW_DIRTY::SET.value;
const SW_SPECIAL: u64 = DESC::SW_SPECIAL::SET.value;
const SW_UFFD_WP: u64 = DESC::SW_UFFD_WP::SET.value;
const SW_SOFT_DIRTY: u64 = DESC::SW_SOFT_DIRTY::SET.value;
const OA_MASK: u64 = DESC::OA.mask << DESC::OA.shift;

/// A leaf descriptor: a page at level 3, or a block above.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(transparent)]
pub struct Pte(u64);

impl Pte {
    /// The empty entry: neither valid nor present.
    pub const NONE: Pte = Pte(0);

    /// The bits that say something else than which frame it maps.
    pub const ATTRIBUTES: u64 = !OA_MASK;

    /// A valid, old, clean, read-only, non-executable, non-global user page of normal memory.
    pub const fn user(pfn: Pfn) -> Pte {
        Pte(pfn.addr().get()
            | VALID
            | TABLE
            | DESC::ATTR_INDEX::Normal.value
            | USER
            | RDONLY
            | DESC::SH::Inner.value
            | NG
            | PXN
            | UXN)
    }

    /// A valid, young, global kernel page of normal memory, readable only: not writable, not executable.
    pub const fn kernel(pfn: Pfn) -> Pte {
        Pte(pfn.addr().get()
            | VALID
            | TABLE
            | DESC::ATTR_INDEX::Normal.value
            | RDONLY
            | DESC::SH::Inner.value
            | AF
            | PXN
            | UXN)
    }

    /// The entry whose bits are `raw`.
    #[inline]
    pub const fn from_raw(raw: u64) -> Pte {
        Pte(raw)
    }

    /// The entry's bits, as stored in a table.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    const fn with(self, bits: u64) -> Pte {
        Pte(self.0 | bits)
    }

    const fn without(self, bits: u64) -> Pte {
        Pte(self.0 & !bits)
    }

    const fn has(self, bits: u64) -> bool {
        self.0 & bits == bits
    }

    /// Whether hardware translates through it.
    #[inline]
    pub const fn is_valid(self) -> bool {
        self.has(VALID)
    }

    /// Whether it maps a frame for the kernel, be it valid or PROT_NONE.
    #[inline]
    pub const fn is_present(self) -> bool {
        self.0 & (VALID | NG) != 0
    }

    /// Whether it is the empty entry.
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether it keeps a frame that no access may reach.
    #[inline]
    pub const fn is_protnone(self) -> bool {
        self.0 & (VALID | NG) == NG
    }

    /// Whether the contiguous bit is set.
    #[inline]
    pub const fn is_cont(self) -> bool {
        self.has(CONT)
    }

    /// Whether the mapping permits writes (though the first may have to set the dirty state).
    #[inline]
    pub const fn is_writable(self) -> bool {
        self.has(WRITE)
    }

    /// Whether hardware lets a write through as it stands.
    #[inline]
    pub const fn is_hw_dirty(self) -> bool {
        self.0 & (WRITE | RDONLY) == WRITE
    }

    /// Whether the page was written through this entry.
    #[inline]
    pub const fn is_dirty(self) -> bool {
        self.is_hw_dirty() || self.has(SW_DIRTY)
    }

    /// Whether the page was accessed through this entry (access flag).
    #[inline]
    pub const fn is_young(self) -> bool {
        self.has(AF)
    }

    /// Whether its frame is not counted.
    #[inline]
    pub const fn is_special(self) -> bool {
        self.has(SW_SPECIAL)
    }

    /// Whether userfaultfd wants to hear of writes to it. Of any entry, present or not.
    #[inline]
    pub const fn is_uffd_wp(self) -> bool {
        self.has(SW_UFFD_WP)
    }

    /// Whether the page was written since soft-dirty tracking began. Of any entry, present or not.
    #[inline]
    pub const fn is_soft_dirty(self) -> bool {
        self.has(SW_SOFT_DIRTY)
    }

    /// Whether EL0 may access.
    #[inline]
    pub const fn is_user(self) -> bool {
        self.has(USER)
    }

    /// Whether EL0 may execute from it.
    #[inline]
    pub const fn is_user_exec(self) -> bool {
        self.has(USER) && !self.has(UXN)
    }

    /// Whether hardware can change nothing in this entry any more: AF is set, and the dirty state is settled.
    /// Hardware only ever sets AF, and clears RDONLY only where DBM is set (Arm ARM, D8.5 "Hardware management of
    /// the Access flag / dirty state"), so such an entry may be replaced by a plain store under the lock.
    #[inline]
    pub const fn is_hw_settled(self) -> bool {
        self.has(AF) && self.0 & (WRITE | RDONLY) != (WRITE | RDONLY)
    }

    /// The frame it maps; for a block the first.
    #[inline]
    pub const fn pfn(self) -> Pfn {
        Pfn::new((self.0 & OA_MASK) >> PAGE_SHIFT)
    }

    /// All that it says but the frame it maps.
    #[inline(always)]
    pub(crate) const fn attributes(self) -> u64 {
        self.0 & Self::ATTRIBUTES
    }

    /// What says which frame a present entry maps, whether it is folded, and whether the frame is counted: not what its
    /// permissions are, nor whether it was accessed or written.
    pub(crate) const MAPPING: u64 = OA_MASK | VALID | NG | CONT | SW_SPECIAL;

    /// The same attributes for the frame `pages` further up.
    #[inline]
    pub const fn advance(self, pages: u64) -> Pte {
        Pte(self.0 + pages * PAGE_SIZE)
    }

    /// The same attributes for the frame `pages` further down. The caller ensures that there is one.
    #[inline]
    pub const fn rewind(self, pages: u64) -> Pte {
        Pte(self.0 - pages * PAGE_SIZE)
    }

    /// Accessed.
    #[inline]
    pub const fn mkyoung(self) -> Pte {
        self.with(AF)
    }

    /// Not accessed.
    #[inline]
    pub const fn mkold(self) -> Pte {
        self.without(AF)
    }

    /// Written.
    #[inline]
    pub const fn mkdirty(self) -> Pte {
        let dirty = self.with(SW_DIRTY);
        if dirty.is_writable() { dirty.without(RDONLY) } else { dirty }
    }

    /// Not written: the next write is noticed.
    #[inline]
    pub const fn mkclean(self) -> Pte {
        self.without(SW_DIRTY).with(RDONLY)
    }

    /// Writable; a dirty entry lets writes through at once.
    #[inline]
    pub const fn mkwrite(self) -> Pte {
        let write = self.with(WRITE);
        if self.has(SW_DIRTY) { write.without(RDONLY) } else { write }
    }

    /// Not writable. A dirty state that only hardware knew moves to the software bit: losing it is losing data.
    #[inline]
    pub const fn wrprotect(self) -> Pte {
        let keep = if self.is_hw_dirty() { self.with(SW_DIRTY) } else { self };
        keep.without(WRITE).with(RDONLY)
    }

    /// Part of a contiguous block.
    #[inline]
    pub const fn mkcont(self) -> Pte {
        self.with(CONT)
    }

    /// Not part of a contiguous block.
    #[inline]
    pub const fn mknoncont(self) -> Pte {
        self.without(CONT)
    }

    /// Maps an uncounted frame.
    #[inline]
    pub const fn mkspecial(self) -> Pte {
        self.with(SW_SPECIAL)
    }

    /// Writes are userfaultfd's to hear of first: marked, and if present write-protected. Not for the empty entry,
    /// whose mark is [`Marker::UffdWp`].
    #[inline]
    pub const fn mkuffd_wp(self) -> Pte {
        let quiet = if self.is_present() { self.wrprotect() } else { self };
        quiet.with(SW_UFFD_WP)
    }

    /// Writes are nobody's to hear of. Still write-protected; [`Pte::mkwrite`] is the caller's to decide.
    #[inline]
    pub const fn clear_uffd_wp(self) -> Pte {
        self.without(SW_UFFD_WP)
    }

    /// Written, for those who track it. Not for the empty entry.
    #[inline]
    pub const fn mksoft_dirty(self) -> Pte {
        self.with(SW_SOFT_DIRTY)
    }

    /// Not written, for those who track it. The next write is noticed only if it faults: write-protect as well.
    #[inline]
    pub const fn clear_soft_dirty(self) -> Pte {
        self.without(SW_SOFT_DIRTY)
    }

    /// Executable at EL0.
    #[inline]
    pub const fn mkexec(self) -> Pte {
        self.without(UXN)
    }

    /// Not executable at EL0.
    #[inline]
    pub const fn mknoexec(self) -> Pte {
        self.with(UXN)
    }

    /// Executable at EL1, for kernel text.
    pub const fn mkkernelexec(self) -> Pte {
        self.without(PXN)
    }

    /// Writable by the kernel, at once and for good (kernel entries have no dirty state).
    pub const fn mkkernelwrite(self) -> Pte {
        self.without(RDONLY)
    }

    /// Device memory (Device-nGnRE, MAIR index 1): no speculation, no gathering.
    pub const fn mkdevice(self) -> Pte {
        Pte(self.0 & !(DESC::ATTR_INDEX.mask << DESC::ATTR_INDEX.shift) | DESC::ATTR_INDEX::Device.value)
    }

    /// A block descriptor (levels 1 and 2) with the same attributes.
    #[inline]
    pub const fn mkblock(self) -> Pte {
        self.without(TABLE)
    }

    /// A page descriptor (level 3) with the same attributes, after [`Pte::mkblock`].
    #[inline]
    pub const fn mkpage(self) -> Pte {
        self.with(TABLE)
    }

    /// No access for anyone, frame kept (PROT_NONE). Never part of a contiguous block. Of user entries only: the nG
    /// bit that tells them from the absent they have anyway.
    #[inline]
    pub const fn mkprotnone(self) -> Pte {
        self.without(VALID | CONT).with(NG)
    }

    /// Valid again after [`Pte::mkprotnone`].
    #[inline]
    pub const fn mkvalid(self) -> Pte {
        self.with(VALID)
    }

    /// What must be equal in all entries of a block once the frame is set aside: everything but the access flag and
    /// the dirty state (RDONLY of a writable entry, SW_DIRTY), which hardware sets in single entries. The bits that
    /// track writes are software's, per page, and so among what must agree: an operation on a whole block looks at
    /// one entry of it.
    #[inline]
    pub const fn block_attributes(self) -> u64 {
        let rdonly = if self.is_writable() { RDONLY } else { 0 };
        self.0 & !(OA_MASK | AF | SW_DIRTY | rdonly)
    }

    /// This entry with the access flag and dirty state of `other` added.
    #[inline]
    pub const fn gather(self, other: Pte) -> Pte {
        let aged = if other.is_young() { self.mkyoung() } else { self };
        if other.is_dirty() { aged.mkdirty() } else { aged }
    }
}

impl fmt::Debug for Pte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_present() {
            return NonPresent::decode(*self).fmt(f);
        }
        write!(f, "pfn {:#x}", self.pfn().get())?;
        let flags = [
            (self.is_protnone(), "protnone"),
            (self.is_user(), "user"),
            (self.is_writable(), "write"),
            (self.is_dirty(), "dirty"),
            (self.is_young(), "young"),
            (self.is_cont(), "cont"),
            (self.is_special(), "special"),
            (self.is_uffd_wp(), "uffd-wp"),
            (self.is_soft_dirty(), "soft-dirty"),
            (self.is_user_exec(), "exec"),
        ];
        flags.iter().filter(|(set, _)| *set).try_for_each(|(_, name)| write!(f, " {name}"))
    }
}

/// A table descriptor of level 0 to 2: where the next level's table is. Its attribute bits are left zero: every
/// permission is in the leaf. Arm ARM, D8.3.1 "Table descriptor format".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct TableDesc(u64);

impl TableDesc {
    /// Points at the table at `table`, a page-aligned address.
    #[inline]
    pub const fn new(table: PhysAddr) -> Self {
        TableDesc(table.get() | VALID | TABLE)
    }

    /// The table at `table` on its way to another place: without VALID, so that hardware sees an empty entry.
    pub(crate) const fn parked(table: PhysAddr) -> Self {
        TableDesc(table.get() | TABLE)
    }

    /// The table that the entry `raw` parks.
    pub(crate) const fn from_parked(raw: u64) -> Option<PhysAddr> {
        if raw & (VALID | TABLE) == TABLE { Some(PhysAddr::new(raw & OA_MASK)) } else { None }
    }

    /// The descriptor's bits.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }
}

/// What an entry above the last level holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upper {
    /// Nothing: the range it covers is not mapped.
    Absent,
    /// The next level's table.
    Table(PhysAddr),
    /// A block.
    Block(Pte),
}

impl Upper {
    /// Decodes an entry of level 0 to 2.
    #[inline]
    pub const fn decode(raw: u64) -> Upper {
        if raw & VALID == 0 {
            // A block without access is no translation to hardware, and one in waiting to the kernel.
            if raw & TABLE == 0 && Pte(raw).is_present() { Upper::Block(Pte(raw)) } else { Upper::Absent }
        } else if raw & TABLE != 0 {
            Upper::Table(PhysAddr::new(raw & OA_MASK))
        } else {
            Upper::Block(Pte(raw))
        }
    }
}

#[cfg(test)]
mod tests;
