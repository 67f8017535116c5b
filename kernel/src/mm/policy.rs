//! Which folio sizes anonymous memory gets: the settings behind `/sys/kernel/mm/transparent_hugepage`.
//! Linux: `Documentation/admin-guide/mm/transhuge.rst`.

use core::sync::atomic::{AtomicU8, Ordering};

use super::frame::MAX_ORDER;
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
}

impl Setting {
    /// All settings, in the order in which the files show them.
    pub const ALL: [Setting; 4] = [Setting::Always, Setting::Inherit, Setting::Madvise, Setting::Never];

    /// The word that stands for it in the files.
    pub const fn word(self) -> &'static str {
        match self {
            Setting::Always => "always",
            Setting::Madvise => "madvise",
            Setting::Never => "never",
            Setting::Inherit => "inherit",
        }
    }

    /// The setting that `word` stands for; `None` if it is none.
    pub fn parse(word: &[u8]) -> Option<Setting> {
        Self::ALL.into_iter().find(|setting| setting.word().as_bytes() == word)
    }

    fn from_raw(raw: u8) -> Setting {
        match raw {
            0 => Setting::Always,
            1 => Setting::Madvise,
            3 => Setting::Inherit,
            _ => Setting::Never,
        }
    }
}

/// The settings of all folio sizes and the global one that they may inherit.
pub struct Policy {
    global: AtomicU8,
    sizes: [AtomicU8; MAX_ORDER as usize + 1],
}

/// 64 KiB: the size of a contpte block.
const DEFAULT_ORDER: usize = paging::CONT_PTES.trailing_zeros() as usize;

impl Policy {
    /// The default: 64 KiB `always`, since contpte blocks are what this kernel is for; all others `never`.
    pub(super) fn new() -> Self {
        let setting = |order| if order == DEFAULT_ORDER { Setting::Always } else { Setting::Never };
        Policy {
            global: AtomicU8::new(Setting::Madvise as u8),
            sizes: core::array::from_fn(|order| AtomicU8::new(setting(order) as u8)),
        }
    }

    /// The setting of folios of `order` (1 to [`MAX_ORDER`]); `None` for any other order.
    pub fn get(&self, order: u8) -> Option<Setting> {
        let slot = self.sizes.get(order as usize).filter(|_| order > 0)?;
        Some(Setting::from_raw(slot.load(Ordering::Relaxed)))
    }

    /// Sets what folios of `order` are used for; returns whether there is such a size.
    pub fn set(&self, order: u8, setting: Setting) -> bool {
        let slot = self.sizes.get(order as usize).filter(|_| order > 0);
        slot.inspect(|slot| slot.store(setting as u8, Ordering::Relaxed)).is_some()
    }

    /// The setting that sizes may inherit.
    pub fn global(&self) -> Setting {
        Setting::from_raw(self.global.load(Ordering::Relaxed))
    }

    /// Sets the global setting; returns whether it can be that (`Inherit` cannot).
    pub fn set_global(&self, setting: Setting) -> bool {
        if setting != Setting::Inherit {
            self.global.store(setting as u8, Ordering::Relaxed);
        }
        setting != Setting::Inherit
    }

    /// The largest order below `below` that a VMA with `flags` may have; 0, a single page, is always possible.
    pub fn largest_below(&self, below: u8, flags: VmaFlags) -> u8 {
        if flags.contains(VmaFlags::NOHUGEPAGE) {
            return 0;
        }
        let asked = flags.contains(VmaFlags::HUGEPAGE);
        let enabled = |order: &u8| {
            let own = Setting::from_raw(self.sizes[*order as usize].load(Ordering::Relaxed));
            match if own == Setting::Inherit { self.global() } else { own } {
                Setting::Always => true,
                Setting::Madvise => asked,
                Setting::Never | Setting::Inherit => false,
            }
        };
        (1..below.min(MAX_ORDER + 1)).rev().find(enabled).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: u8 = MAX_ORDER + 1;

    #[test]
    fn the_default_is_64_kib_always() {
        let policy = Policy::new();
        assert_eq!(policy.largest_below(ANY, VmaFlags::empty()), 4);
        assert_eq!(policy.largest_below(4, VmaFlags::empty()), 0);
        assert_eq!(policy.largest_below(ANY, VmaFlags::NOHUGEPAGE), 0);
    }

    #[test]
    fn madvise_and_inherit_mean_what_linux_means() {
        let policy = Policy::new();
        assert!(policy.set(9, Setting::Madvise) && policy.set(7, Setting::Inherit));
        assert_eq!(policy.largest_below(ANY, VmaFlags::empty()), 4);
        assert_eq!(policy.largest_below(ANY, VmaFlags::HUGEPAGE), 9);
        assert_eq!(policy.largest_below(9, VmaFlags::HUGEPAGE), 7, "the global default is madvise");
        assert!(policy.set_global(Setting::Always));
        assert_eq!(policy.largest_below(9, VmaFlags::empty()), 7);
        assert!(
            !policy.set_global(Setting::Inherit)
                && !policy.set(0, Setting::Never)
                && !policy.set(10, Setting::Never)
        );
    }

    #[test]
    fn words_parse_back() {
        for setting in Setting::ALL {
            assert_eq!(Setting::parse(setting.word().as_bytes()), Some(setting));
        }
        assert_eq!(Setting::parse(b"sometimes"), None);
    }
}
