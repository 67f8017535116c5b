//! Which folio sizes anonymous and shared memory get: the settings behind `/sys/kernel/mm/transparent_hugepage`.
//! Linux: `Documentation/admin-guide/mm/transhuge.rst`.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use paging::PAGE_SHIFT;

use super::frame::MAX_ORDER;
use super::thp_disable::PAGES_ONLY;
use super::vma::VmaFlags;

/// A setting of one folio size, or the global one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Setting {
    /// Everywhere but where MADV_NOHUGEPAGE forbids it.
    Always = 0,
    /// Only where MADV_HUGEPAGE asks for it.
    Madvise = 1,
    /// Nowhere.
    Never = 2,
    /// As the global setting; not possible for that itself.
    Inherit = 3,
    /// Shared memory only: everywhere, but not beyond the object's end. No folio ever reaches there, so this is what
    /// `Always` means for shared memory too.
    WithinSize = 4,
    /// The global one of shared memory only: nowhere, whatever the sizes say, and files have single pages too.
    Deny = 5,
    /// The global one of shared memory only: sizes that inherit are used everywhere, others nowhere.
    Force = 6,
}

impl Setting {
    const fn from_raw(raw: u8) -> Setting {
        match raw {
            0 => Setting::Always,
            1 => Setting::Madvise,
            3 => Setting::Inherit,
            4 => Setting::WithinSize,
            5 => Setting::Deny,
            6 => Setting::Force,
            _ => Setting::Never,
        }
    }
}

/// What a setting is about. Each has its own policy and its own files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Memory {
    /// Private anonymous memory: the files named `enabled`.
    Anon,
    /// Shared memory: the files named `shmem_enabled`.
    Shared,
}

impl Memory {
    /// The settings that a size can have, or (`per_size` false) the global one, in the order in which the files show
    /// them, with the words that stand for them.
    pub const fn words(self, per_size: bool) -> &'static [(Setting, &'static str)] {
        match (self, per_size) {
            (Memory::Anon, true) => &[
                (Setting::Always, "always"),
                (Setting::Inherit, "inherit"),
                (Setting::Madvise, "madvise"),
                (Setting::Never, "never"),
            ],
            (Memory::Anon, false) => {
                &[(Setting::Always, "always"), (Setting::Madvise, "madvise"), (Setting::Never, "never")]
            }
            (Memory::Shared, true) => &[
                (Setting::Always, "always"),
                (Setting::Inherit, "inherit"),
                (Setting::WithinSize, "within_size"),
                (Setting::Madvise, "advise"),
                (Setting::Never, "never"),
            ],
            (Memory::Shared, false) => &[
                (Setting::Always, "always"),
                (Setting::WithinSize, "within_size"),
                (Setting::Madvise, "advise"),
                (Setting::Never, "never"),
                (Setting::Deny, "deny"),
                (Setting::Force, "force"),
            ],
        }
    }

    /// The setting that `word` stands for; `None` if it is none.
    pub fn parse(self, word: &[u8], per_size: bool) -> Option<Setting> {
        let words = self.words(per_size).iter();
        words.into_iter().find(|(_, known)| known.as_bytes() == word).map(|(setting, _)| *setting)
    }
}

/// The settings of all folio sizes and the global one that they may inherit.
pub struct Policy {
    global: AtomicU8,
    /// Four bits an order.
    sizes: AtomicU64,
    /// What follows from both, one bit an order, so that a fault need not look at each: orders that everybody gets, and
    /// from bit 16 up those that MADV_HUGEPAGE gets.
    enabled: AtomicU32,
}

/// The order of a contpte block.
pub const BLOCK_ORDER: u8 = paging::CONT_PTES.trailing_zeros() as u8;
/// The order of 64 KiB: on a 4 KiB granule that is a contpte block, on a 64 KiB granule a page.
const ORDER_64K: u8 = (16 - PAGE_SHIFT) as u8;

/// All orders `never`.
const ALL_NEVER: u64 = 0x1111_1111_1111_1111 * Setting::Never as u64;

/// `sizes` with folios of `order` set to `setting`.
const fn with(sizes: u64, order: u8, setting: Setting) -> u64 {
    let shift = 4 * order as u32;
    sizes & !(0xf << shift) | (setting as u64) << shift
}

impl Policy {
    /// Anonymous memory's default: 64 KiB `always`, a contpte block at least `inherit` of a global `madvise`; all others
    /// `never`.
    ///
    /// With 4 KiB pages 64 KiB is a contpte block, and those are what this kernel is for. With 16 and 64 KiB pages a
    /// block has 2 MiB: given to everybody, every stack, heap and data segment would cost that much to zero and to
    /// keep, in a process that needs a few pages of each. So whoever has use for it asks by MADV_HUGEPAGE. Linux: all
    /// sizes `never`, but for the PMD's, which is `inherit`.
    pub(super) const fn anon() -> Self {
        let blocks = with(ALL_NEVER, BLOCK_ORDER, Setting::Inherit);
        let sizes = if ORDER_64K > 0 { with(blocks, ORDER_64K, Setting::Always) } else { blocks };
        Self::from_settings(Setting::Madvise, sizes)
    }

    /// Shared memory's default: contpte blocks `within_size`. Linux has `never`, as its shared memory may be a sparse
    /// file that a folio makes larger; ours is a mapping's, which asked for all of it. The largest size is `inherit` of
    /// a global `never`, as Linux's.
    pub(super) const fn shmem() -> Self {
        let sizes = with(with(ALL_NEVER, MAX_ORDER, Setting::Inherit), BLOCK_ORDER, Setting::WithinSize);
        Self::from_settings(Setting::Never, sizes)
    }

    const fn from_settings(global: Setting, sizes: u64) -> Self {
        Policy {
            global: AtomicU8::new(global as u8),
            sizes: AtomicU64::new(sizes),
            enabled: AtomicU32::new(enabled(global, sizes)),
        }
    }

    /// Draws the conclusions from settings that changed.
    fn settle(&self) {
        let sizes = self.sizes.load(Ordering::Relaxed);
        self.enabled.store(enabled(self.global(), sizes), Ordering::Relaxed);
    }

    /// The setting of folios of `order` (1 to [`MAX_ORDER`]); `None` for any other order.
    pub fn get(&self, order: u8) -> Option<Setting> {
        let sizes = self.sizes.load(Ordering::Relaxed);
        (1..=MAX_ORDER).contains(&order).then(|| setting_of(sizes, order))
    }

    /// Sets what folios of `order` are used for; returns whether there is such a size, and it can be that: while the
    /// global setting is `Force`, the largest size alone can inherit.
    pub fn set(&self, order: u8, setting: Setting) -> bool {
        let forced = matches!(setting, Setting::Inherit) && self.global() == Setting::Force;
        let valid = (1..=MAX_ORDER).contains(&order) && (order == MAX_ORDER || !forced);
        if valid {
            let replace = |sizes: u64| Some(with(sizes, order, setting));
            let _ = self.sizes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, replace);
            self.settle();
        }
        valid
    }

    /// The setting that sizes may inherit.
    pub fn global(&self) -> Setting {
        Setting::from_raw(self.global.load(Ordering::Relaxed))
    }

    /// Sets the global setting; returns whether it can be that: `Inherit` cannot, and `Force` only while the largest
    /// size, and no other, inherits (Linux: other sizes are not to be forced on anybody).
    pub fn set_global(&self, setting: Setting) -> bool {
        let inherits = |order| self.get(order) == Some(Setting::Inherit);
        let valid = match setting {
            Setting::Inherit => false,
            Setting::Force => (1..=MAX_ORDER).all(|order| inherits(order) == (order == MAX_ORDER)),
            _ => true,
        };
        if valid {
            self.global.store(setting as u8, Ordering::Relaxed);
            self.settle();
        }
        valid
    }

    /// Whether large folios are denied to all, files among them.
    pub(super) fn denies(&self) -> bool {
        self.global.load(Ordering::Relaxed) == Setting::Deny as u8
    }

    /// Whether anybody at all can have folios of `order`.
    pub fn permits(&self, order: u8) -> bool {
        self.enabled.load(Ordering::Relaxed) >> 16 >> order & 1 == 1
    }

    /// The largest order below `below` that a VMA with `flags` may have; 0, a single page, is always possible.
    pub fn largest_below(&self, below: u8, flags: VmaFlags) -> u8 {
        if flags.intersects(PAGES_ONLY) {
            return 0;
        }
        let shift = if flags.contains(VmaFlags::HUGEPAGE) { 16 } else { 0 };
        let enabled = self.enabled.load(Ordering::Relaxed) >> shift & 0xffff & ((1 << below) - 1);
        // Order 0 is bit 0, which is set.
        (enabled | 1).ilog2() as u8
    }
}

/// The orders that are enabled, as [`Policy`] keeps them.
const fn enabled(global: Setting, sizes: u64) -> u32 {
    let (mut always, mut asked) = (0, 0);
    let mut order = 1;
    while order <= MAX_ORDER {
        let own = setting_of(sizes, order);
        let bit = 1 << order;
        let own = match (global, own) {
            (Setting::Force, Setting::Inherit) => Setting::Always,
            (Setting::Deny | Setting::Force, _) => Setting::Never,
            (_, Setting::Inherit) => global,
            (_, own) => own,
        };
        match own {
            Setting::Always | Setting::WithinSize => (always, asked) = (always | bit, asked | bit),
            Setting::Madvise => asked |= bit,
            Setting::Never | Setting::Inherit | Setting::Deny | Setting::Force => {}
        }
        order += 1;
    }
    always | asked << 16
}

const fn setting_of(sizes: u64, order: u8) -> Setting {
    Setting::from_raw((sizes >> (4 * order as u32)) as u8 & 0xf)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: u8 = MAX_ORDER + 1;

    #[test]
    fn the_default_is_64_kib_for_all_and_a_block_for_those_who_ask() {
        let policy = Policy::anon();
        assert_eq!(policy.largest_below(ANY, VmaFlags::empty()), ORDER_64K);
        assert_eq!(policy.largest_below(ANY, VmaFlags::HUGEPAGE), BLOCK_ORDER);
        assert_eq!(policy.largest_below(ORDER_64K.max(1), VmaFlags::empty()), 0);
        assert_eq!(policy.largest_below(ANY, VmaFlags::NOHUGEPAGE), 0);
    }

    #[test]
    fn madvise_and_inherit_mean_what_linux_means() {
        let policy = Policy::anon();
        let (small, large) = (MAX_ORDER - 2, MAX_ORDER);
        assert!(policy.set(large, Setting::Madvise) && policy.set(small, Setting::Inherit));
        assert_eq!(policy.largest_below(ANY, VmaFlags::empty()), ORDER_64K);
        assert_eq!(policy.largest_below(ANY, VmaFlags::HUGEPAGE), large);
        assert_eq!(policy.largest_below(large, VmaFlags::HUGEPAGE), small, "the global default is madvise");
        assert!(policy.set_global(Setting::Always));
        assert_eq!(policy.largest_below(large, VmaFlags::empty()), small);
        assert!(
            !policy.set_global(Setting::Inherit)
                && !policy.set(0, Setting::Never)
                && !policy.set(MAX_ORDER + 1, Setting::Never)
        );
    }

    #[test]
    fn deny_is_for_all_and_force_for_those_who_inherit() {
        let policy = Policy::shmem();
        assert!(policy.set(BLOCK_ORDER, Setting::Always) && policy.set(MAX_ORDER, Setting::Inherit));
        assert!(policy.set_global(Setting::Deny) && policy.denies());
        assert_eq!(policy.largest_below(ANY, VmaFlags::HUGEPAGE), 0);
        assert!(policy.set_global(Setting::Force) && !policy.denies());
        assert_eq!(policy.largest_below(ANY, VmaFlags::empty()), MAX_ORDER);
        assert_eq!(
            policy.largest_below(MAX_ORDER, VmaFlags::HUGEPAGE),
            0,
            "what is not inherited is not there"
        );
        assert!(!policy.set(1, Setting::Inherit), "while that would be forced");
        assert!(policy.set_global(Setting::Never) && policy.set(1, Setting::Inherit));
        assert!(!policy.set_global(Setting::Force), "the largest size is not the only one");
        assert_eq!(policy.global(), Setting::Never);
        assert!(policy.set(1, Setting::Never) && policy.set(MAX_ORDER, Setting::Never));
        assert!(!policy.set_global(Setting::Force), "nor does it inherit");
        assert!(!policy.permits(MAX_ORDER));
        assert!(policy.set(MAX_ORDER, Setting::Madvise) && policy.permits(MAX_ORDER));
    }

    #[test]
    fn words_parse_back() {
        for (memory, per_size) in [(Memory::Anon, false), (Memory::Anon, true), (Memory::Shared, false)] {
            for (setting, word) in memory.words(per_size) {
                assert_eq!(memory.parse(word.as_bytes(), per_size), Some(*setting));
                assert_eq!(Setting::from_raw(*setting as u8), *setting);
            }
            assert_eq!(memory.parse(b"sometimes", per_size), None);
        }
        let none =
            [(Memory::Anon, &b"within_size"[..]), (Memory::Shared, b"madvise"), (Memory::Shared, b"deny")];
        assert!(none.iter().all(|(memory, word)| memory.parse(word, true).is_none()));
        assert_eq!(Memory::Anon.parse(b"force", false), None);
    }
}
