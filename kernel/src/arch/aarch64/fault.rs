//! What went wrong at EL0, from the syndrome register.

use super::esr::{Esr, FaultStatus};
use crate::mm::Access;

/// Why a translation did not permit an access, with the level (0 to 3) of the entry that said so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// No valid entry.
    Translation(u8),
    /// The access flag is clear.
    AccessFlag(u8),
    /// The entry does not allow this access.
    Permission(u8),
}

/// An exception that EL0 code caused, other than a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserFault {
    /// A memory access that the tables do not allow as they stand.
    Page {
        /// The address accessed, in bytes. May be in the kernel's half.
        addr: usize,
        /// What was tried.
        access: Access,
        /// What the tables said.
        kind: FaultKind,
        /// ESR_EL1, for messages.
        esr: u64,
    },
    /// A misaligned PC, stack pointer or exclusive access. Linux: SIGBUS, BUS_ADRALN.
    Alignment {
        /// The address, in bytes; the PC or stack pointer where those are at fault.
        addr: usize,
    },
    /// An instruction that does not exist or is not allowed at EL0. Linux: SIGILL.
    Undefined,
    /// BRK, or a debug event. Linux: SIGTRAP.
    Breakpoint,
    /// Anything else: an external abort, for one. Linux: SIGBUS or SIGILL.
    Other {
        /// ESR_EL1.
        esr: u64,
    },
}

impl UserFault {
    /// What an exception from EL0 with this ESR_EL1 tried, if [`UserFault::decode`] makes a [`UserFault::Page`] of it: all
    /// that is needed to resolve one.
    #[inline(always)]
    pub fn page_access(esr: u64) -> Option<Access> {
        let syndrome = Esr(esr);
        let class = syndrome.class();
        if !matches!(class, Esr::DATA_ABORT_LOWER | Esr::INSTRUCTION_ABORT_LOWER) || !syndrome.is_page_fault()
        {
            return None;
        }
        Some(match class {
            Esr::INSTRUCTION_ABORT_LOWER => Access::Exec,
            _ if syndrome.is_write() && !syndrome.is_cache_maintenance() => Access::Write,
            _ => Access::Read,
        })
    }

    /// Classifies an exception from EL0 with this ESR_EL1 and FAR_EL1, at `pc`, with SP_EL0 `sp`.
    pub fn decode(esr: u64, far: u64, pc: u64, sp: u64) -> UserFault {
        let syndrome = Esr(esr);
        match syndrome.class() {
            Esr::INSTRUCTION_ABORT_LOWER => abort(syndrome, far, Access::Exec),
            // Cache maintenance reports itself as a write (CM set), but needs to read only. Linux: is_write_abort.
            Esr::DATA_ABORT_LOWER if syndrome.is_write() && !syndrome.is_cache_maintenance() => {
                abort(syndrome, far, Access::Write)
            }
            Esr::DATA_ABORT_LOWER => abort(syndrome, far, Access::Read),
            Esr::PC_ALIGNMENT => UserFault::Alignment { addr: pc as usize },
            Esr::SP_ALIGNMENT => UserFault::Alignment { addr: sp as usize },
            Esr::BRK64 | Esr::BKPT32 | Esr::BREAKPOINT_LOWER | Esr::STEP_LOWER | Esr::WATCHPOINT_LOWER => {
                UserFault::Breakpoint
            }
            Esr::UNKNOWN
            | Esr::FP_ACCESS
            | Esr::SVE_ACCESS
            | Esr::SME_ACCESS
            | Esr::TRAPPED_SYSTEM
            | Esr::ILLEGAL_STATE
            | Esr::BRANCH_TARGET
            | Esr::POINTER_AUTHENTICATION => UserFault::Undefined,
            _ => UserFault::Other { esr },
        }
    }
}

fn abort(syndrome: Esr, far: u64, access: Access) -> UserFault {
    let kind = match syndrome.fault_status() {
        FaultStatus::Translation(level) => FaultKind::Translation(level),
        FaultStatus::AccessFlag(level) => FaultKind::AccessFlag(level),
        FaultStatus::Permission(level) => FaultKind::Permission(level),
        FaultStatus::Alignment => return UserFault::Alignment { addr: far as usize },
        _ => return UserFault::Other { esr: syndrome.0 },
    };
    UserFault::Page { addr: far as usize, access, kind, esr: syndrome.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(esr: u64) -> UserFault {
        UserFault::decode(esr, 0x1234, 0x400_000, 0x7ff0)
    }

    #[test]
    fn a_store_to_a_read_only_page() {
        // EC 0x24, IL, WnR, permission fault at level 3: what QEMU gives for a COW write.
        let esr = 0x24 << 26 | 1 << 25 | 1 << 6 | 0b001111;
        assert_eq!(
            decode(esr),
            UserFault::Page { addr: 0x1234, access: Access::Write, kind: FaultKind::Permission(3), esr }
        );
    }

    #[test]
    fn the_short_way_to_a_page_fault_agrees_with_the_long_one() {
        for class in 0..64 {
            // All status codes, with and without WnR and CM.
            for (status, flags) in
                (0..64).flat_map(|status| [0, 1 << 6, 1 << 8, 1 << 8 | 1 << 6].map(|f| (status, f)))
            {
                let esr = class << 26 | 1 << 25 | flags | status;
                let page = match decode(esr) {
                    UserFault::Page { access, .. } => Some(access),
                    _ => None,
                };
                assert_eq!(UserFault::page_access(esr), page, "{esr:#x}");
            }
        }
    }

    #[test]
    fn cache_maintenance_only_reads() {
        let esr = 0x24 << 26 | 1 << 8 | 1 << 6 | 0b000111;
        assert!(matches!(decode(esr), UserFault::Page { access: Access::Read, .. }));
    }

    #[test]
    fn an_instruction_fetch_from_nowhere() {
        let UserFault::Page { access, kind, .. } = decode(0x20 << 26 | 0b000100) else { panic!() };
        assert_eq!((access, kind), (Access::Exec, FaultKind::Translation(0)));
    }

    #[test]
    fn misalignment_names_what_is_misaligned() {
        assert_eq!(decode(0x22 << 26), UserFault::Alignment { addr: 0x400_000 });
        assert_eq!(decode(0x26 << 26), UserFault::Alignment { addr: 0x7ff0 });
        assert_eq!(decode(0x24 << 26 | 0b100001), UserFault::Alignment { addr: 0x1234 });
    }

    #[test]
    fn the_rest() {
        assert_eq!(decode(0), UserFault::Undefined);
        assert_eq!(decode(0x3c << 26), UserFault::Breakpoint);
        let external = 0x24 << 26 | 0b010000;
        assert_eq!(decode(external), UserFault::Other { esr: external });
    }
}
