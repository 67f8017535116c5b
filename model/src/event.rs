//! What happened on a machine, as raw as hardware or a QEMU plugin sees it.
//!
//! Nothing here is interpreted: descriptors, TLBI operands and register values are 64-bit words. The model
//! decodes them by itself, so that a mistake in a kernel's encoders is not repeated in what checks them.

/// One thing a CPU did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// The CPU that did it, 0-based, below [`crate::MAX_CPUS`].
    pub cpu: u8,
    /// Whatever the host wants to find again in a violation's history: a plugin puts the guest's PC here.
    pub tag: u64,
    /// What it did.
    pub action: Action,
}

impl Event {
    /// `action` by `cpu`, without a tag.
    pub const fn new(cpu: u8, action: Action) -> Self {
        Event { cpu, tag: 0, action }
    }

    /// The same event with a tag.
    pub const fn tagged(self, tag: u64) -> Self {
        Event { tag, ..self }
    }
}

/// What a CPU did. Addresses are physical and in bytes where nothing else is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// A store or atomic read-modify-write to the aligned 8-byte word at `pa`. A failed compare-and-exchange
    /// is none. Only stores to pages that the model watches matter ([`crate::Model::watches`]); others may be
    /// left out.
    Store {
        /// Address of the word, a multiple of 8.
        pa: u64,
        /// What it held.
        old: u64,
        /// What it holds now.
        new: u64,
    },
    /// The table walker set the access flag or the dirty state of the descriptor at `pa`.
    HwUpdate {
        /// Address of the descriptor, a multiple of 8.
        pa: u64,
        /// What it held.
        old: u64,
        /// What it holds now.
        new: u64,
    },
    /// A data synchronisation barrier.
    Dsb {
        /// The accesses it waits for.
        access: Access,
        /// The observers it waits for.
        domain: Domain,
    },
    /// An instruction synchronisation barrier, or another context synchronisation event.
    Isb,
    /// A TLB invalidation.
    Tlbi(Tlbi),
    /// A write to TTBR0_EL1.
    WriteTtbr0(u64),
    /// A write to TTBR1_EL1.
    WriteTtbr1(u64),
    /// A write to TCR_EL1.
    WriteTcr(u64),
    /// SCTLR_EL1.M was written: translation is on or off on this CPU. On until something else is said.
    SetMmu(bool),
    /// An exception return to EL0.
    ReturnToUser,
    /// Cooperative: the page at `pa` was taken for a translation table.
    TableAllocated {
        /// The page's first byte.
        pa: u64,
    },
    /// Cooperative: the table page at `pa` went back to the allocator.
    TableFreed {
        /// The page's first byte.
        pa: u64,
    },
    /// Cooperative: these frames went back to the allocator.
    FramesFreed {
        /// The first frame's first byte.
        pa: u64,
        /// How many bytes, a multiple of the page size.
        bytes: u64,
    },
    /// Cooperative: these frames got a new use or new contents through another address: zeroed, copied to.
    FramesReused {
        /// The first frame's first byte.
        pa: u64,
        /// How many bytes, a multiple of the page size.
        bytes: u64,
    },
    /// Cooperative: an access by EL0 was translated. For the history only.
    Translated {
        /// The virtual address.
        va: u64,
        /// Where it led; `None` for a fault.
        pa: Option<u64>,
        /// Whether it was a write.
        write: bool,
    },
}

/// The accesses that a DSB waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Loads only (the LD forms).
    Loads,
    /// Stores only (the ST forms).
    Stores,
    /// Loads, stores and maintenance operations.
    Full,
}

/// The shareability domain of a barrier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Domain {
    /// Non-shareable: this CPU.
    Nsh,
    /// Inner shareable: all CPUs.
    Ish,
    /// Outer shareable.
    Osh,
    /// The full system.
    Sy,
}

/// A TLBI instruction with its operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tlbi {
    /// Which instruction, without the IS or OS suffix.
    pub op: TlbiOp,
    /// Whether it is an IS or OS form, which reaches all CPUs.
    pub broadcast: bool,
    /// The register operand; 0 where the instruction has none.
    pub operand: u64,
}

/// The EL1 stage-1 TLBI instructions. Arm ARM DDI 0487, C5.5.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)] // each is the instruction of that name
pub enum TlbiOp {
    Vae1,
    Vale1,
    Vaae1,
    Vaale1,
    Rvae1,
    Rvale1,
    Rvaae1,
    Rvaale1,
    Aside1,
    Vmalle1,
}

/// Memory as the host of the model knows it: where tables that were built unseen are read from.
pub trait Memory {
    /// The aligned 8-byte word at physical address `pa`. When it is asked while an event is handled, the
    /// event's own store may or may not have happened already.
    fn word(&self, pa: u64) -> u64;

    /// Whether the `bytes` bytes at `a` and at `b` are known to be equal. A change of output address between
    /// equal read-only contents needs no break (Arm ARM, RWHZWS). "Not known" is false.
    fn same_contents(&self, a: u64, b: u64, bytes: u64) -> bool {
        let _ = (a, b, bytes);
        false
    }
}
