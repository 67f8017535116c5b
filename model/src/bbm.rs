//! Which changes of a descriptor need break-before-make, and which do not. Arm ARM DDI 0487, D8.16.1 RWHZWS.

use crate::config::Config;
use crate::desc::{Desc, Kind};
use crate::event::Memory;
use crate::rule::Change;

/// Why `new` may not be used while `old` may be cached, both entries of `level` for the same address; `None`
/// if it may: a change of permissions, of the access flag, or between entries of which one is invalid.
pub(crate) fn needed<M: Memory + ?Sized>(
    old: Desc,
    new: Desc,
    level: u8,
    config: &Config,
    memory: &M,
) -> Option<Change> {
    let granule = config.granule;
    match (old.kind(level, granule), new.kind(level, granule)) {
        (Kind::Invalid, _) | (_, Kind::Invalid) => None,
        (Kind::Table(a), Kind::Table(b)) => (a != b).then_some(Change::Table),
        (Kind::Leaf, Kind::Table(_)) => size_change(old, config),
        (Kind::Table(_), Kind::Leaf) => size_change(new, config),
        (Kind::Leaf, Kind::Leaf) => {
            let (a, b) = (old.output(level, granule), new.output(level, granule));
            let writable = old.writable() || new.writable();
            if a != b && (writable || !memory.same_contents(a, b, granule.size(level))) {
                Some(Change::OutputAddress)
            } else if old.memory_type() != new.memory_type() {
                Some(Change::MemoryType)
            } else if old.shareability() != new.shareability() {
                Some(Change::Shareability)
            } else if old.is_global() != new.is_global() {
                Some(Change::Global)
            } else if old.is_cont() != new.is_cont() && !contiguous_freely(old, new, level, config) {
                Some(Change::Contiguous)
            } else {
                None
            }
        }
    }
}

/// Whether a cached copy of the leaf `old` does for no access more, or anything else, than the leaf `new` at the same
/// place: then it does not matter if it stays.
pub(crate) fn harmless(old: Desc, new: Desc, level: u8, config: &Config) -> bool {
    let granule = config.granule;
    old.kind(level, granule) == Kind::Leaf
        && new.kind(level, granule) == Kind::Leaf
        && old.output(level, granule) == new.output(level, granule)
        && old.memory_type() == new.memory_type()
        && old.shareability() == new.shareability()
        && old.is_global() == new.is_global()
        && (old.is_cont() == new.is_cont() || contiguous_freely(old, new, level, config))
        && !old.permits_more_than(new)
}

/// FEAT_BBM level 1 lets a block and a table replace each other while the block says nT, level 2 always
/// (RPVTFW).
fn size_change(block: Desc, config: &Config) -> Option<Change> {
    let free = config.bbm_level >= 2 || (config.bbm_level == 1 && block.no_translation_hint());
    (!free).then_some(Change::Size)
}

/// The same for the contiguous bit. Pages have no nT bit.
fn contiguous_freely(old: Desc, new: Desc, level: u8, config: &Config) -> bool {
    let hinted =
        level < crate::geometry::LAST_LEVEL && old.no_translation_hint() && new.no_translation_hint();
    config.bbm_level >= 2 || (config.bbm_level == 1 && hinted)
}
