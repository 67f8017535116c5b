//! ESR_EL1 in words. Arm ARM DDI 0487, D24.2 "ESR_EL1".
//!
//! The exception classes are written out here rather than taken from `aarch64-cpu` because this module also compiles
//! on hosts, for its tests and those of `fault`.

use core::fmt;

/// A value of ESR_EL1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Esr(
    /// The register's bits.
    pub u64,
);

/// The fault status code (DFSC, IFSC) of an abort.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultStatus {
    /// An address beyond the configured size, at this level (0 to 3).
    AddressSize(u8),
    /// No valid entry at this level.
    Translation(u8),
    /// The access flag of the entry at this level is clear.
    AccessFlag(u8),
    /// The entry at this level does not allow it.
    Permission(u8),
    /// The memory system refused the access, not the tables.
    External,
    /// The memory system refused a table walk, at this level.
    ExternalWalk(u8),
    /// Misaligned.
    Alignment,
    /// Two TLB entries match (a contiguous bit or block size misprogrammed).
    TlbConflict,
    /// Exclusive or atomic access to memory that has none.
    Unsupported,
    /// Any other code.
    Other(u8),
}

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $words:literal;)*) => {
        impl Esr {
            $($(#[$doc])* pub const $name: u8 = $value;)*

            /// The exception class in words.
            pub const fn class_name(self) -> &'static str {
                match self.class() {
                    $($value => $words,)*
                    _ => "unknown exception class",
                }
            }
        }
    };
}

classes! {
    /// Undefined instruction, or no reason known.
    UNKNOWN = 0x00, "undefined instruction or unknown reason";
    /// WFI at EL0.
    TRAPPED_WAIT = 0x01, "trapped WFI or WFE";
    /// FP or SIMD access while trapped.
    FP_ACCESS = 0x07, "access to FP or SIMD registers";
    /// Branch target exception (BTI).
    BRANCH_TARGET = 0x0d, "branch to something that is no target";
    /// PSTATE.IL was set.
    ILLEGAL_STATE = 0x0e, "illegal execution state";
    /// System call from AArch64.
    SVC64 = 0x15, "SVC";
    /// MSR, MRS or system instruction not allowed here.
    TRAPPED_SYSTEM = 0x18, "trapped system register access or instruction";
    /// SVE while off.
    SVE_ACCESS = 0x19, "access to SVE";
    /// Pointer authentication failed.
    POINTER_AUTHENTICATION = 0x1c, "pointer authentication failure";
    /// SME while off.
    SME_ACCESS = 0x1d, "access to SME";
    /// Instruction abort at EL0.
    INSTRUCTION_ABORT_LOWER = 0x20, "instruction abort from EL0";
    /// Instruction abort at EL1.
    INSTRUCTION_ABORT_SAME = 0x21, "instruction abort from EL1";
    /// PC not a multiple of 4.
    PC_ALIGNMENT = 0x22, "misaligned PC";
    /// Data abort at EL0.
    DATA_ABORT_LOWER = 0x24, "data abort from EL0";
    /// Data abort at EL1.
    DATA_ABORT_SAME = 0x25, "data abort from EL1";
    /// SP not a multiple of 16.
    SP_ALIGNMENT = 0x26, "misaligned stack pointer";
    /// SError.
    SERROR = 0x2f, "SError";
    /// Hardware breakpoint at EL0.
    BREAKPOINT_LOWER = 0x30, "breakpoint from EL0";
    /// Single step at EL0.
    STEP_LOWER = 0x32, "software step from EL0";
    /// Watchpoint at EL0.
    WATCHPOINT_LOWER = 0x34, "watchpoint from EL0";
    /// BKPT in AArch32.
    BKPT32 = 0x38, "BKPT";
    /// BRK in AArch64.
    BRK64 = 0x3c, "BRK";
}

impl Esr {
    /// EC: why the exception was taken.
    pub const fn class(self) -> u8 {
        (self.0 >> 26 & 0x3f) as u8
    }

    /// Whether this is an abort: an access to memory that failed.
    pub const fn is_abort(self) -> bool {
        matches!(
            self.class(),
            Esr::INSTRUCTION_ABORT_LOWER
                | Esr::INSTRUCTION_ABORT_SAME
                | Esr::DATA_ABORT_LOWER
                | Esr::DATA_ABORT_SAME
        )
    }

    /// Whether this is an abort of a load, store or cache operation.
    pub const fn is_data_abort(self) -> bool {
        matches!(self.class(), Esr::DATA_ABORT_LOWER | Esr::DATA_ABORT_SAME)
    }

    /// WnR, for a data abort: it was a write.
    pub const fn is_write(self) -> bool {
        self.0 & 1 << 6 != 0
    }

    /// CM, for a data abort: it was a cache maintenance or address translation instruction.
    pub const fn is_cache_maintenance(self) -> bool {
        self.0 & 1 << 8 != 0
    }

    /// For an abort: the tables do not allow the access, at any level. One comparison, where [`Esr::fault_status`] tells
    /// all codes apart.
    #[inline(always)]
    pub const fn is_page_fault(self) -> bool {
        matches!((self.0 & 0x3f) as u8, 0x04..=0x0f)
    }

    /// What the abort was about.
    pub const fn fault_status(self) -> FaultStatus {
        let code = (self.0 & 0x3f) as u8;
        let level = code & 3;
        match code {
            0x00..=0x03 => FaultStatus::AddressSize(level),
            0x04..=0x07 => FaultStatus::Translation(level),
            0x08..=0x0b => FaultStatus::AccessFlag(level),
            0x0c..=0x0f => FaultStatus::Permission(level),
            0x10 => FaultStatus::External,
            0x14..=0x17 => FaultStatus::ExternalWalk(level),
            0x21 => FaultStatus::Alignment,
            0x30 => FaultStatus::TlbConflict,
            0x35 => FaultStatus::Unsupported,
            _ => FaultStatus::Other(code),
        }
    }
}

impl fmt::Display for FaultStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            FaultStatus::AddressSize(level) => write!(f, "address size fault, level {level}"),
            FaultStatus::Translation(level) => write!(f, "translation fault, level {level}"),
            FaultStatus::AccessFlag(level) => write!(f, "access flag fault, level {level}"),
            FaultStatus::Permission(level) => write!(f, "permission fault, level {level}"),
            FaultStatus::External => f.write_str("external abort"),
            FaultStatus::ExternalWalk(level) => write!(f, "external abort on a table walk, level {level}"),
            FaultStatus::Alignment => f.write_str("alignment fault"),
            FaultStatus::TlbConflict => f.write_str("TLB conflict abort"),
            FaultStatus::Unsupported => f.write_str("unsupported exclusive or atomic access"),
            FaultStatus::Other(code) => write!(f, "fault status {code:#04x}"),
        }
    }
}

impl fmt::Debug for Esr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x} ({self})", self.0)
    }
}

impl fmt::Display for Esr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class_name())?;
        if self.is_data_abort() {
            f.write_str(if self.is_write() { ", write" } else { ", read" })?;
        }
        if self.is_abort() {
            write!(f, ": {}", self.fault_status())?;
        }
        if self.class() == Esr::BRK64 {
            write!(f, " #{:#x}", self.0 & 0xffff)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aborts_read_as_a_sentence() {
        let esr = Esr(0x25 << 26 | 1 << 25 | 1 << 6 | 0b001111);
        assert_eq!(esr.to_string(), "data abort from EL1, write: permission fault, level 3");
        assert_eq!(Esr(0x86000005).to_string(), "instruction abort from EL1: translation fault, level 1");
    }

    #[test]
    fn other_classes_say_what_they_are() {
        assert_eq!(Esr(0x3c << 26 | 0x3e8).to_string(), "BRK #0x3e8");
        assert_eq!(Esr(0x3f << 26).to_string(), "unknown exception class");
        assert_eq!(Esr(0x96000030).fault_status(), FaultStatus::TlbConflict);
    }
}
