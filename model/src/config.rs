//! What the model takes for granted about the machine.

use crate::MAX_CPUS;
use crate::geometry::Granule;

/// The machine's properties.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// The granule of both halves of the address space, until TCR_EL1 is written (TG0).
    pub granule: Granule,
    /// Bits of virtual address that the tables translate, until TCR_EL1 is written (TnSZ).
    pub va_bits: u32,
    /// FEAT_BBM level: 0, 1 or 2. Arm ARM, D8.16.2.
    pub bbm_level: u8,
    /// Whether TLBIs by address obey a level hint (FEAT_TTL). Without it the field is ignored.
    pub ttl: bool,
    /// Hardware sets the access flag, until TCR_EL1 is written (HA).
    pub hw_af: bool,
    /// Hardware manages dirty state, until TCR_EL1 is written (HD).
    pub hw_dirty: bool,
    /// Whether every update by the walker comes as an [`crate::event::Action::HwUpdate`]. QEMU's plugins do
    /// not see them; then an entry without access flag may have been used all the same where hardware sets
    /// it.
    pub sees_hw_updates: bool,
    /// How many CPUs events may come from, at most [`MAX_CPUS`].
    pub cpus: u8,
    /// How many events are kept for the history of a violation.
    pub history: usize,
    /// How many violations are kept; later ones are only counted.
    pub max_violations: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            granule: Granule::K4,
            va_bits: 48,
            bbm_level: 0,
            ttl: true,
            hw_af: false,
            hw_dirty: false,
            sees_hw_updates: true,
            cpus: MAX_CPUS as u8,
            history: 2048,
            max_violations: 64,
        }
    }
}
