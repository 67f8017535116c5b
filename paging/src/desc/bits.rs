//! The bit fields of a descriptor.

// The macro generates items of its own (one per field and value) that it gives no documentation.
#![allow(missing_docs)]

use tock_registers::register_bitfields;

register_bitfields! {u64,
    /// VMSAv8-64 stage 1 block and page descriptor. Arm ARM DDI 0487, D8.3.1, figures "Block descriptor formats"
    /// and "Page descriptor formats"; bits 55 to 58 are reserved for software use.
    pub DESC [
        /// The entry takes part in translation.
        VALID OFFSET(0) NUMBITS(1) [],
        /// Set: table (levels 0 to 2) or page (level 3). Clear: block.
        TABLE OFFSET(1) NUMBITS(1) [],
        /// Index into MAIR_EL1.
        ATTR_INDEX OFFSET(2) NUMBITS(3) [
            Normal = 0,
            Device = 1
        ],
        /// AP[1]: EL0 may access.
        USER OFFSET(6) NUMBITS(1) [],
        /// AP[2]: writes are not permitted (with DBM set: not yet written).
        RDONLY OFFSET(7) NUMBITS(1) [],
        /// Shareability.
        SH OFFSET(8) NUMBITS(2) [
            Non = 0,
            Outer = 2,
            Inner = 3
        ],
        /// Access flag: clear means that an access faults, or that hardware sets it.
        AF OFFSET(10) NUMBITS(1) [],
        /// Not global: the translation is tagged with an ASID.
        NG OFFSET(11) NUMBITS(1) [],
        /// Output address bits 47 to 12, or the address of the next-level table.
        OA OFFSET(12) NUMBITS(36) [],
        /// Dirty bit modifier; our "writable".
        DBM OFFSET(51) NUMBITS(1) [],
        /// Contiguous: this entry is one of an aligned group that may be cached as one.
        CONT OFFSET(52) NUMBITS(1) [],
        /// Not executable at EL1.
        PXN OFFSET(53) NUMBITS(1) [],
        /// Not executable at EL0 (in tables of TTBR1: by anyone unprivileged).
        UXN OFFSET(54) NUMBITS(1) [],
        /// Software: written since it was last cleaned, though now read-only.
        SW_DIRTY OFFSET(55) NUMBITS(1) [],
        /// Software: maps a frame that is not counted (the zero page).
        SW_SPECIAL OFFSET(56) NUMBITS(1) [],
        /// Software: userfaultfd wants to hear of writes.
        SW_UFFD_WP OFFSET(57) NUMBITS(1) [],
        /// Software: written since soft-dirty tracking began.
        SW_SOFT_DIRTY OFFSET(58) NUMBITS(1) []
    ],

    /// An entry that is not present: hardware reads VALID, which is clear, and nothing else (Arm ARM DDI 0487,
    /// D8.3.1: bits 63 to 1 of an invalid descriptor are ignored). nG (bit 11) is clear too, as it tells PROT_NONE
    /// entries; SW_UFFD_WP and SW_SOFT_DIRTY are where present entries have them.
    pub ABSENT [
        /// Bits 0 and 1: clear.
        VALID OFFSET(0) NUMBITS(2) [],
        /// What stands in the frame's place.
        TYPE OFFSET(2) NUMBITS(3) [
            None = 0,
            Swap = 1,
            MigrationRead = 2,
            MigrationWrite = 3,
            MarkerUffdWp = 4,
            MarkerPoison = 5,
            MarkerGuard = 6
        ],
        /// Bit 11: clear.
        NG OFFSET(11) NUMBITS(1) [],
        /// The swap slot, or the frame number.
        PAYLOAD OFFSET(12) NUMBITS(40) [],
        /// Software: as in a present entry.
        SW_UFFD_WP OFFSET(57) NUMBITS(1) [],
        /// Software: as in a present entry.
        SW_SOFT_DIRTY OFFSET(58) NUMBITS(1) []
    ]
}
